// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Guarantee, ICreditCore} from "./interfaces/ICreditCore.sol";
import {IGuaranteeDecoder} from "./interfaces/IGuaranteeDecoder.sol";
import {IValidationRegistry} from "./interfaces/IValidationRegistry.sol";
import {GuaranteeCodec} from "./libraries/GuaranteeCodec.sol";

/// @title Certificates of version 2: redeemed only when a validator has approved of the work
/// @dev The registries that are believed are fixed in the constructor. Takes both orders of the last two members that are in
/// use, tag before job hash and job hash before tag: the offset of the tag, always 19 words, tells which.
contract ValidationGuaranteeDecoder is IGuaranteeDecoder {
    /// @notice The certificate is of another version.
    error UnsupportedGuaranteeVersion(uint64 version);

    /// @notice The least score that is asked for is not one of 1 to 100.
    error InvalidMinValidationScore(uint8 score);

    /// @notice The certificate is for another chain.
    error ValidationChainIdMismatch(uint256 expected, uint256 actual);

    /// @notice The registry is not one that is believed.
    error UntrustedValidationRegistry(address registry);

    /// @notice The subject hash is not the one of the guarantee.
    error ValidationSubjectHashMismatch(bytes32 expected, bytes32 actual);

    /// @notice The request hash is not the one of the guarantee and its conditions.
    error ValidationRequestHashMismatch(bytes32 expected, bytes32 actual);

    /// @notice There is no registry at the address.
    error ValidationRegistryHasNoCode(address registry);

    /// @notice The registry does not know the request, or fails.
    error ValidationLookupFailed(address registry, bytes32 requestHash);

    /// @notice The validator has not answered.
    error ValidationPending(bytes32 requestHash);

    /// @notice The validator's answer is too low.
    error ValidationScoreTooLow(uint8 expected, uint8 actual);

    /// @notice Another validator was asked.
    error ValidationValidatorMismatch(address expected, address actual);

    /// @notice Another agent was asked about.
    error ValidationAgentIdMismatch(uint256 expected, uint256 actual);

    /// @notice The answer carries another tag.
    error ValidationTagMismatch(string expected, string actual);

    /// @dev The members of a certificate of version 2 behind the first ten.
    struct Conditions {
        address registry;
        bytes32 requestHash;
        uint256 chainId;
        address validator;
        uint256 agentId;
        uint8 minScore;
        bytes32 subjectHash;
        bytes32 jobHash;
        string tag;
    }

    uint64 private constant VERSION = 2;

    /// @dev Where the tag is, from the first member: behind all 19 of them.
    uint256 private constant TAG_OFFSET = 19 * 32;

    bytes32 private constant SUBJECT_DOMAIN = keccak256("4MICA_VALIDATION_SUBJECT_V1");
    bytes32 private constant REQUEST_DOMAIN = keccak256("4MICA_VALIDATION_REQUEST_V2");

    /// @notice Whether a registry is believed. No function changes it.
    mapping(address registry => bool) public isTrustedValidationRegistry;

    /// @param registries Those that are believed, at least one.
    constructor(address[] memory registries) {
        require(registries.length != 0, UntrustedValidationRegistry(address(0)));
        for (uint256 i = 0; i < registries.length; ++i) {
            require(registries[i] != address(0), UntrustedValidationRegistry(address(0)));
            isTrustedValidationRegistry[registries[i]] = true;
        }
    }

    /// @inheritdoc IGuaranteeDecoder
    function decode(bytes calldata guarantee) external view returns (Guarantee memory claim) {
        Conditions memory conditions;
        (claim, conditions) = _read(guarantee);
        require(claim.version == VERSION, UnsupportedGuaranteeVersion(claim.version));
        uint8 score = conditions.minScore;
        require(score >= 1 && score <= 100, InvalidMinValidationScore(score));
        require(conditions.chainId == block.chainid, ValidationChainIdMismatch(block.chainid, conditions.chainId));
        require(isTrustedValidationRegistry[conditions.registry], UntrustedValidationRegistry(conditions.registry));
        _checkHashes(claim, conditions);
        _checkAnswer(conditions);
    }

    function _read(bytes calldata inner) private pure returns (Guarantee memory claim, Conditions memory conditions) {
        // The leading word of a tuple with a dynamic member, 19 words, and the length of the tag.
        require(inner.length >= 32 + TAG_OFFSET + 32, ICreditCore.MalformedGuarantee());
        require(uint256(GuaranteeCodec.word(inner, 0)) == 32, ICreditCore.MalformedGuarantee());
        bytes calldata tuple = inner[32:];
        claim = GuaranteeCodec.readHead(tuple);
        uint256 score = uint256(GuaranteeCodec.word(tuple, 15));
        require(score <= type(uint8).max, ICreditCore.MalformedGuarantee());
        (bytes32 first, bytes32 second) = (GuaranteeCodec.word(tuple, 17), GuaranteeCodec.word(tuple, 18));
        bool tagFirst = uint256(first) == TAG_OFFSET;
        require(tagFirst || uint256(second) == TAG_OFFSET, ICreditCore.MalformedGuarantee());
        uint256 length = uint256(GuaranteeCodec.word(tuple, 19));
        require(
            length <= type(uint32).max && tuple.length == TAG_OFFSET + 32 + (length + 31) / 32 * 32,
            ICreditCore.MalformedGuarantee()
        );
        conditions = Conditions({
            registry: GuaranteeCodec.toAddress(GuaranteeCodec.word(tuple, 10)),
            requestHash: GuaranteeCodec.word(tuple, 11),
            chainId: GuaranteeCodec.toUint64(GuaranteeCodec.word(tuple, 12)),
            validator: GuaranteeCodec.toAddress(GuaranteeCodec.word(tuple, 13)),
            agentId: uint256(GuaranteeCodec.word(tuple, 14)),
            // forge-lint: disable-next-line(unsafe-typecast)
            minScore: uint8(score),
            subjectHash: GuaranteeCodec.word(tuple, 16),
            jobHash: tagFirst ? second : first,
            tag: string(tuple[TAG_OFFSET + 32:TAG_OFFSET + 32 + length])
        });
    }

    function _checkHashes(Guarantee memory claim, Conditions memory conditions) private pure {
        bytes32 subject = keccak256(
            abi.encode(
                SUBJECT_DOMAIN,
                claim.tabId,
                claim.reqId,
                claim.client,
                claim.recipient,
                claim.amount,
                claim.asset,
                claim.timestamp
            )
        );
        require(conditions.subjectHash == subject, ValidationSubjectHashMismatch(subject, conditions.subjectHash));
        bytes32 request = keccak256(
            abi.encode(
                REQUEST_DOMAIN,
                conditions.chainId,
                conditions.registry,
                conditions.validator,
                conditions.agentId,
                subject,
                conditions.minScore,
                keccak256(bytes(conditions.tag)),
                conditions.jobHash
            )
        );
        require(conditions.requestHash == request, ValidationRequestHashMismatch(request, conditions.requestHash));
    }

    function _checkAnswer(Conditions memory conditions) private view {
        (address registry, bytes32 hash) = (conditions.registry, conditions.requestHash);
        require(registry.code.length != 0, ValidationRegistryHasNoCode(registry));
        try IValidationRegistry(registry).getValidationStatus(hash) returns (
            address validator, uint256 agentId, uint8 response, bytes32, string memory tag, uint256 lastUpdate
        ) {
            require(lastUpdate != 0, ValidationPending(hash));
            require(response >= conditions.minScore, ValidationScoreTooLow(conditions.minScore, response));
            require(validator == conditions.validator, ValidationValidatorMismatch(conditions.validator, validator));
            require(agentId == conditions.agentId, ValidationAgentIdMismatch(conditions.agentId, agentId));
            bool tagged = bytes(conditions.tag).length == 0 || keccak256(bytes(tag)) == keccak256(bytes(conditions.tag));
            require(tagged, ValidationTagMismatch(conditions.tag, tag));
        } catch {
            revert ValidationLookupFailed(registry, hash);
        }
    }
}
