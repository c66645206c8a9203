// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {TestValidationRegistry} from "../src/TestValidationRegistry.sol";
import {ValidationGuaranteeDecoder} from "../src/ValidationGuaranteeDecoder.sol";
import {Guarantee, ICreditCore} from "../src/interfaces/ICreditCore.sol";
import {IGuaranteeDecoder} from "../src/interfaces/IGuaranteeDecoder.sol";
import {IValidationRegistry} from "../src/interfaces/IValidationRegistry.sol";
import {vm} from "./Vm.sol";
import {ValidationFixture} from "./utils/ValidationFixture.sol";
import {BLS} from "solady/src/utils/ext/ithaca/BLS.sol";

/// @title Certificates of version 2, in both layouts, and what makes them worth nothing
contract ValidationGuaranteeDecoderTest is ValidationFixture {
    function test_bothLayouts() public {
        Guarantee memory claim = claimOfTwo(30);
        Terms memory terms = termsOf(claim, "hard-finality");
        answer(terms, 90, "hard-finality");
        vm.assertEq(abi.encode(decoder.decode(encode(claim, terms, true))), abi.encode(claim));
        vm.assertEq(abi.encode(decoder.decode(encode(claim, terms, false))), abi.encode(claim));
    }

    function test_anyTagAndAnyValues(Guarantee memory claim, Terms memory terms, string memory tag, bool tagFirst)
        public
    {
        terms.tag = tag;
        terms.score = terms.score % 100 + 1;
        terms.validator = payee;
        terms.jobHash = keccak256(abi.encode(terms.jobHash));
        claim.version = 2;
        bind(claim, terms);
        answer(terms, 100, tag);
        vm.assertEq(abi.encode(decoder.decode(encode(claim, terms, tagFirst))), abi.encode(claim));
    }

    /// @dev Certificates that the unmodified clients decode, and one of the other layout, for the registry of the real chain.
    function test_vectors() public {
        vm.chainId(84532);
        vm.warp(1_716_500_000);
        address there = 0x8004Cb1BF31DAf7788923b405b754f57acEB4272;
        vm.etch(there, address(registry).code);
        address[] memory trusted = new address[](1);
        trusted[0] = there;
        IGuaranteeDecoder ours = newDecoder(trusted);
        string memory all = vm.readFile("../conformance/vectors/4mica.json");
        string[8] memory paths = ["$[70]", "$[71]", "$[72]", "$[73]", "$[74]", "$[75]", "$[76]", "$[79]"];
        for (uint256 i = 0; i < paths.length; ++i) {
            bytes memory envelope = vm.parseJsonBytes(all, string.concat(paths[i], ".inputs.encoded"));
            (uint64 version, bytes memory inner) = abi.decode(envelope, (uint64, bytes));
            vm.assertEq(version, 2);
            bytes32 request = wordOf(inner, 12);
            string memory tag = tagOf(inner);
            address validator = address(uint160(uint256(wordOf(inner, 14))));
            try IValidationRegistry(there).getValidationStatus(request) {}
            catch {
                IValidationRegistry(there).validationRequest(validator, uint256(wordOf(inner, 15)), "", request);
                vm.prank(validator);
                IValidationRegistry(there).validationResponse(request, 100, "", 0, tag);
            }
            Guarantee memory claim = ours.decode(inner);
            vm.assertEq(abi.encode(claim), part(inner, 32, 320));
        }
        // The client also reads a flat list of the members; nobody issues that.
        bytes memory flat = vm.parseJsonBytes(all, "$[80].inputs.encoded");
        vm.assertEq(vm.parseJsonString(all, "$[80].name"), "claims_v2_sdk_layout_flat");
        (, bytes memory members) = abi.decode(flat, (uint64, bytes));
        vm.expectRevert(abi.encodePacked(ICreditCore.MalformedGuarantee.selector));
        ours.decode(members);
    }

    function test_refused_inTheirOrder() public {
        Guarantee memory claim = claimOfTwo(30);
        Terms memory terms = termsOf(claim, "t");
        // Everything is wrong, and is put right from the first check to the last.
        claim.version = 1;
        terms.score = 0;
        terms.chainId = 5;
        terms.registry = payee;
        terms.subjectHash = "s";
        terms.requestHash = "r";
        refused(
            claim, terms, abi.encodeWithSelector(ValidationGuaranteeDecoder.UnsupportedGuaranteeVersion.selector, 1)
        );
        claim.version = 2;
        refused(claim, terms, abi.encodeWithSelector(ValidationGuaranteeDecoder.InvalidMinValidationScore.selector, 0));
        terms.score = 101;
        refused(
            claim, terms, abi.encodeWithSelector(ValidationGuaranteeDecoder.InvalidMinValidationScore.selector, 101)
        );
        terms.score = 80;
        refused(
            claim,
            terms,
            abi.encodeWithSelector(ValidationGuaranteeDecoder.ValidationChainIdMismatch.selector, block.chainid, 5)
        );
        terms.chainId = uint64(block.chainid);
        refused(
            claim, terms, abi.encodeWithSelector(ValidationGuaranteeDecoder.UntrustedValidationRegistry.selector, payee)
        );
        terms.registry = address(registry);
        Terms memory right = termsOf(claim, "t");
        refused(
            claim,
            terms,
            abi.encodeWithSelector(
                ValidationGuaranteeDecoder.ValidationSubjectHashMismatch.selector, right.subjectHash, bytes32("s")
            )
        );
        terms.subjectHash = right.subjectHash;
        refused(
            claim,
            terms,
            abi.encodeWithSelector(
                ValidationGuaranteeDecoder.ValidationRequestHashMismatch.selector, right.requestHash, bytes32("r")
            )
        );
        refused(
            claim,
            right,
            abi.encodeWithSelector(
                ValidationGuaranteeDecoder.ValidationLookupFailed.selector, address(registry), right.requestHash
            )
        );
        registry.validationRequest(validator, 8, "", right.requestHash);
        refused(
            claim,
            right,
            abi.encodeWithSelector(ValidationGuaranteeDecoder.ValidationPending.selector, right.requestHash)
        );
        respond(right.requestHash, 79, "other");
        refused(claim, right, abi.encodeWithSelector(ValidationGuaranteeDecoder.ValidationScoreTooLow.selector, 80, 79));
        respond(right.requestHash, 80, "other");
        refused(
            claim, right, abi.encodeWithSelector(ValidationGuaranteeDecoder.ValidationAgentIdMismatch.selector, 7, 8)
        );
    }

    function test_refused_answersThatDoNotFit() public {
        Guarantee memory claim = claimOfTwo(30);
        Terms memory terms = termsOf(claim, "t");
        registry.validationRequest(payee, 7, "", terms.requestHash);
        vm.prank(payee);
        registry.validationResponse(terms.requestHash, 80, "", 0, "other");
        refused(
            claim,
            terms,
            abi.encodeWithSelector(ValidationGuaranteeDecoder.ValidationValidatorMismatch.selector, validator, payee)
        );
        terms = termsOf(claim, "tt");
        answer(terms, 80, "other");
        refused(
            claim,
            terms,
            abi.encodeWithSelector(ValidationGuaranteeDecoder.ValidationTagMismatch.selector, "tt", "other")
        );
        terms = termsOf(claim, "");
        answer(terms, 80, "other"); // no tag asked for, any will do
        decoder.decode(encode(claim, terms, true));
        vm.etch(address(registry), "");
        refused(
            claim,
            terms,
            abi.encodeWithSelector(ValidationGuaranteeDecoder.ValidationRegistryHasNoCode.selector, address(registry))
        );
    }

    function test_refused_malformed() public {
        Guarantee memory claim = claimOfTwo(30);
        Terms memory terms = termsOf(claim, "tag");
        answer(terms, 100, "tag");
        bytes memory good = encode(claim, terms, true);
        malformed("");
        malformed(part(good, 0, 32 + 19 * 32 + 31));
        malformed(part(good, 0, good.length - 1));
        malformed(part(good, 32, good.length - 32)); // flat
        malformed(abi.encodePacked(good, bytes32(0)));
        uint256[4] memory words = [uint256(4), 13, 14, 17]; // the payer, registry's chain, validator, and the tag's place
        for (uint256 i = 0; i < 4; ++i) {
            bytes memory bad = encode(claim, terms, true);
            bad[(words[i] + (i == 3 ? 1 : 0)) * 32] = 0x01;
            malformed(bad);
        }
    }

    /// @dev Through the core: signed, decoded, paid.
    function test_remunerate() public {
        pledge(ETH, 100);
        Guarantee memory claim = claimOfTwo(30);
        Terms memory terms = termsOf(claim, "t");
        bytes memory certificate = abi.encode(uint64(2), encode(claim, terms, true));
        BLS.G2Point memory signature = signBls(OPERATOR_KEY, certificate);
        vm.warp(NOW + GRACE);
        vm.expectRevert(
            abi.encodeWithSelector(
                ValidationGuaranteeDecoder.ValidationLookupFailed.selector, address(registry), terms.requestHash
            )
        );
        core.remunerate(certificate, signature);
        answer(terms, 80, "t");
        core.remunerate(certificate, signature);
        vm.assertEq(payee.balance, 30);
        // Under the envelope of version 1 it is no certificate.
        certificate = abi.encode(uint64(1), encode(claim, terms, true));
        signature = signBls(OPERATOR_KEY, certificate);
        vm.expectRevert(abi.encodePacked(ICreditCore.MalformedGuarantee.selector));
        core.remunerate(certificate, signature);
    }

    // ---- the registry ------------------------------------------------------------------------------------------------------

    function test_registry() public {
        vm.expectEmit(address(registry));
        emit IValidationRegistry.ValidationRequest(validator, 7, "uri", "h");
        registry.validationRequest(validator, 7, "uri", "h");
        vm.expectRevert(abi.encodeWithSelector(TestValidationRegistry.RequestExists.selector, bytes32("h")));
        registry.validationRequest(payee, 7, "uri", "h");
        (,,,,, uint256 lastUpdate) = registry.getValidationStatus("h");
        vm.assertEq(lastUpdate, 0);
        vm.expectRevert(abi.encodeWithSelector(TestValidationRegistry.NotTheValidator.selector, validator));
        registry.validationResponse("h", 1, "", 0, "");
        vm.expectRevert(abi.encodeWithSelector(TestValidationRegistry.ResponseTooHigh.selector, 101));
        respond("h", 101, "");
        vm.expectEmit(address(registry));
        emit IValidationRegistry.ValidationResponse(validator, 7, "h", 50, "", 0, "soft");
        respond("h", 50, "soft");
        vm.warp(NOW + 1);
        respond("h", 60, "hard");
        (address who, uint256 agent, uint8 response,, string memory tag, uint256 updated) =
            registry.getValidationStatus("h");
        vm.assertEq(who, validator);
        vm.assertEq(agent, 7);
        vm.assertEq(response, 60);
        vm.assertEq(tag, "hard");
        vm.assertEq(updated, NOW + 1);
        vm.expectRevert(abi.encodeWithSelector(TestValidationRegistry.UnknownRequest.selector, bytes32("x")));
        registry.getValidationStatus("x");
        vm.expectRevert(abi.encodeWithSelector(TestValidationRegistry.UnknownRequest.selector, bytes32("x")));
        respond("x", 1, "");
        vm.expectRevert(abi.encodeWithSelector(TestValidationRegistry.UnknownRequest.selector, bytes32("x")));
        registry.validationRequest(address(0), 1, "", "x");
    }

    function refused(Guarantee memory claim, Terms memory terms, bytes memory problem) private {
        bytes memory inner = encode(claim, terms, true);
        vm.expectRevert(problem);
        decoder.decode(inner);
    }

    function malformed(bytes memory inner) private {
        vm.expectRevert(abi.encodePacked(ICreditCore.MalformedGuarantee.selector));
        decoder.decode(inner);
    }

    function tagOf(bytes memory inner) private pure returns (string memory) {
        return string(part(inner, 32 + 20 * 32, uint256(wordOf(inner, 20))));
    }

    function wordOf(bytes memory data, uint256 index) private pure returns (bytes32) {
        return bytes32(part(data, 32 * index, 32));
    }

    function part(bytes memory data, uint256 from, uint256 length) private pure returns (bytes memory piece) {
        piece = new bytes(length);
        for (uint256 i = 0; i < length; ++i) {
            piece[i] = data[from + i];
        }
    }
}
