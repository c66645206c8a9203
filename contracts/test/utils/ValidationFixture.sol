// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Guarantee} from "../../src/interfaces/ICreditCore.sol";
import {IGuaranteeDecoder} from "../../src/interfaces/IGuaranteeDecoder.sol";
import {IValidationRegistry} from "../../src/interfaces/IValidationRegistry.sol";
import {vm} from "../Vm.sol";
import {CreditFixture} from "./CreditFixture.sol";

/// @title The credit core with version 2 switched on
abstract contract ValidationFixture is CreditFixture {
    /// @dev What a certificate of version 2 adds.
    struct Terms {
        address registry;
        bytes32 requestHash;
        uint64 chainId;
        address validator;
        uint256 agentId;
        uint8 score;
        bytes32 subjectHash;
        string tag;
        bytes32 jobHash;
    }

    bytes32 internal constant DOMAIN_TWO = "two";
    address internal validator = address(0x7a11);
    IGuaranteeDecoder internal decoder;
    IValidationRegistry internal registry;

    function setUp() public virtual override {
        super.setUp();
        registry = IValidationRegistry(create(code("TestValidationRegistry")));
        address[] memory trusted = new address[](1);
        trusted[0] = address(registry);
        decoder = newDecoder(trusted);
        switchOn();
    }

    function newDecoder(address[] memory trusted) internal returns (IGuaranteeDecoder) {
        return IGuaranteeDecoder(create(abi.encodePacked(code("ValidationGuaranteeDecoder"), abi.encode(trusted))));
    }

    function claimOfTwo(uint256 total) internal view returns (Guarantee memory claim) {
        claim = claimOf(ETH, 10, total);
        (claim.version, claim.domain) = (2, DOMAIN_TWO);
    }

    function termsOf(Guarantee memory claim, string memory tag) internal view returns (Terms memory terms) {
        terms.validator = validator;
        terms.agentId = 7;
        terms.score = 80;
        terms.tag = tag;
        terms.jobHash = keccak256("job");
        bind(claim, terms);
    }

    /// @dev Registry, chain and both hashes, from the texts of the specification.
    function bind(Guarantee memory claim, Terms memory terms) internal view {
        terms.registry = address(registry);
        terms.chainId = uint64(block.chainid);
        terms.subjectHash = keccak256(
            abi.encode(
                keccak256("4MICA_VALIDATION_SUBJECT_V1"),
                claim.tabId,
                claim.reqId,
                claim.client,
                claim.recipient,
                claim.amount,
                claim.asset,
                claim.timestamp
            )
        );
        terms.requestHash = keccak256(
            abi.encode(
                keccak256("4MICA_VALIDATION_REQUEST_V2"),
                uint256(terms.chainId),
                terms.registry,
                terms.validator,
                terms.agentId,
                terms.subjectHash,
                terms.score,
                keccak256(bytes(terms.tag)),
                terms.jobHash
            )
        );
    }

    function answer(Terms memory terms, uint8 score, string memory tag) internal {
        registry.validationRequest(terms.validator, terms.agentId, "", terms.requestHash);
        vm.prank(terms.validator);
        registry.validationResponse(terms.requestHash, score, "", 0, tag);
    }

    function respond(bytes32 request, uint8 score, string memory tag) internal {
        vm.prank(validator);
        registry.validationResponse(request, score, "", 0, tag);
    }

    /// @dev Written out by hand: a leading word, 19 members, the tag.
    function encode(Guarantee memory claim, Terms memory terms, bool tagFirst) internal pure returns (bytes memory) {
        bytes memory middle = abi.encode(
            terms.registry,
            terms.requestHash,
            terms.chainId,
            terms.validator,
            terms.agentId,
            terms.score,
            terms.subjectHash
        );
        uint256 length = bytes(terms.tag).length;
        bytes memory padding = new bytes((32 - length % 32) % 32);
        (bytes32 first, bytes32 second) = (bytes32(uint256(19 * 32)), terms.jobHash);
        if (!tagFirst) (first, second) = (second, first);
        return abi.encodePacked(uint256(32), abi.encode(claim), middle, first, second, length, terms.tag, padding);
    }

    function switchOn() private {
        bytes memory call = abi.encodeCall(
            core.configureGuaranteeVersion, (2, publicKey(OPERATOR_KEY), DOMAIN_TWO, address(decoder), true)
        );
        vm.prank(governor);
        (bool done,) = address(core).call(call);
        require(done, "not configured");
    }
}
