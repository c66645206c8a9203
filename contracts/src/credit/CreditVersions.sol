// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Guarantee, ICreditCore} from "../interfaces/ICreditCore.sol";
import {IGuaranteeDecoder} from "../interfaces/IGuaranteeDecoder.sol";
import {BlsCertificate} from "../libraries/BlsCertificate.sol";
import {GuaranteeCodec} from "../libraries/GuaranteeCodec.sol";
import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {BLS} from "solady/src/utils/ext/ithaca/BLS.sol";

/// @title Which certificates are believed
abstract contract CreditVersions is ICreditCore, AccessManaged {
    /// @inheritdoc ICreditCore
    uint64 public constant INITIAL_GUARANTEE_VERSION = 1;

    /// @dev A key takes three slots: the high halves of both coordinates fit into one.
    struct Version {
        bytes32 keyHigh;
        bytes32 keyXLow;
        bytes32 keyYLow;
        bytes32 domain;
        address decoder;
        bool enabled;
    }

    mapping(uint64 version => Version) private _versions;

    constructor(BLS.G1Point memory key) {
        bytes32 domain = keccak256(abi.encode("4MICA_CORE_GUARANTEE_V1", block.chainid, address(this)));
        _configure(INITIAL_GUARANTEE_VERSION, key, domain, address(0), true);
        emit VerificationKeyUpdated(key);
    }

    /// @inheritdoc ICreditCore
    function configureGuaranteeVersion(
        uint64 version,
        BLS.G1Point calldata verificationKey,
        bytes32 domainSeparator,
        address decoder,
        bool enabled
    ) external restricted {
        BLS.G1Point memory key = verificationKey;
        if (!enabled) {
            Version storage known = _versions[version];
            if (key.x_a | key.x_b | key.y_a | key.y_b == 0) key = _key(known);
            if (domainSeparator == 0) domainSeparator = known.domain;
            if (decoder == address(0)) decoder = known.decoder;
        }
        _configure(version, key, domainSeparator, decoder, enabled);
        if (version == INITIAL_GUARANTEE_VERSION) emit VerificationKeyUpdated(key);
    }

    /// @inheritdoc ICreditCore
    function setGuaranteeVerificationKey(BLS.G1Point calldata verificationKey) external restricted {
        Version storage known = _versions[INITIAL_GUARANTEE_VERSION];
        _configure(INITIAL_GUARANTEE_VERSION, verificationKey, known.domain, address(0), known.enabled);
        emit VerificationKeyUpdated(verificationKey);
    }

    /// @inheritdoc ICreditCore
    function GUARANTEE_VERIFICATION_KEY() external view returns (bytes32, bytes32, bytes32, bytes32) {
        BLS.G1Point memory key = _key(_versions[INITIAL_GUARANTEE_VERSION]);
        return (key.x_a, key.x_b, key.y_a, key.y_b);
    }

    /// @inheritdoc ICreditCore
    function guaranteeDomainSeparator() external view returns (bytes32) {
        return _versions[INITIAL_GUARANTEE_VERSION].domain;
    }

    /// @inheritdoc ICreditCore
    function getGuaranteeVersionConfig(uint64 version) external view returns (VersionConfig memory) {
        Version storage known = _versions[version];
        return VersionConfig({
            verificationKey: _key(known), domainSeparator: known.domain, decoder: known.decoder, enabled: known.enabled
        });
    }

    /// @inheritdoc ICreditCore
    function verifyAndDecodeGuarantee(bytes calldata guarantee, BLS.G2Point calldata signature)
        external
        view
        returns (Guarantee memory)
    {
        return _verifyAndDecode(guarantee, signature);
    }

    /// @dev The signature comes before the reading, so a decoder sees only what the operator signed.
    function _verifyAndDecode(bytes calldata envelope, BLS.G2Point calldata signature)
        internal
        view
        returns (Guarantee memory guarantee)
    {
        (uint64 version, bytes calldata inner) = GuaranteeCodec.open(envelope);
        Version storage known = _versions[version];
        (address decoder, bool enabled) = (known.decoder, known.enabled);
        require(enabled, UnsupportedGuaranteeVersion(version));
        require(BlsCertificate.verify(_key(known), envelope, signature), InvalidSignature());
        if (version == INITIAL_GUARANTEE_VERSION) {
            require(inner.length == GuaranteeCodec.V1_BYTES, MalformedGuarantee());
            guarantee = GuaranteeCodec.readHead(inner);
        } else {
            require(decoder != address(0), MissingGuaranteeDecoder(version));
            guarantee = IGuaranteeDecoder(decoder).decode(inner);
        }
        require(guarantee.version == version, UnsupportedGuaranteeVersion(guarantee.version));
        require(guarantee.domain == known.domain, InvalidGuaranteeDomain());
    }

    function _configure(uint64 version, BLS.G1Point memory key, bytes32 domain, address decoder, bool enabled) private {
        require(version != 0, UnsupportedGuaranteeVersion(version));
        if (version == INITIAL_GUARANTEE_VERSION) {
            require(decoder == address(0), IllegalValue());
        } else {
            require(!enabled || decoder.code.length != 0, MissingGuaranteeDecoder(version));
        }
        if (enabled) {
            require(domain != 0, InvalidGuaranteeDomain());
            require(BlsCertificate.isKey(key), IllegalValue());
        }
        Version storage known = _versions[version];
        // The precompile refuses a coordinate whose first 16 bytes are not 0, so nothing of an enabled key is lost.
        known.keyHigh = key.x_a << 128 | (key.y_a << 128 >> 128);
        known.keyXLow = key.x_b;
        known.keyYLow = key.y_b;
        known.domain = domain;
        known.decoder = decoder;
        known.enabled = enabled;
        emit GuaranteeVersionUpdated(version, key, domain, decoder, enabled);
    }

    function _key(Version storage known) private view returns (BLS.G1Point memory) {
        bytes32 high = known.keyHigh;
        return BLS.G1Point({x_a: high >> 128, x_b: known.keyXLow, y_a: high << 128 >> 128, y_b: known.keyYLow});
    }
}
