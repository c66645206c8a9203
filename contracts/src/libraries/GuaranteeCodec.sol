// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Guarantee, ICreditCore} from "../interfaces/ICreditCore.sol";

/// @title The bytes of certificates
/// @dev Strict: exactly the canonical encoding is read, so no two byte strings say the same.
library GuaranteeCodec {
    /// @notice Bytes of a certificate of version 1 inside its envelope: ten words.
    uint256 internal constant V1_BYTES = 320;

    /// @notice Opens the envelope `abi.encode(uint64 version, bytes inner)`.
    function open(bytes calldata envelope) internal pure returns (uint64 version, bytes calldata inner) {
        require(envelope.length >= 96, ICreditCore.MalformedGuarantee());
        version = toUint64(word(envelope, 0));
        uint256 length = uint256(word(envelope, 2));
        require(
            uint256(word(envelope, 1)) == 64 && length <= type(uint32).max
                && envelope.length == 96 + (length + 31) / 32 * 32,
            ICreditCore.MalformedGuarantee()
        );
        inner = envelope[96:96 + length];
    }

    /// @notice Reads the ten words that every version begins with.
    function readHead(bytes calldata inner) internal pure returns (Guarantee memory guarantee) {
        require(inner.length >= V1_BYTES, ICreditCore.MalformedGuarantee());
        guarantee = Guarantee({
            domain: word(inner, 0),
            tabId: uint256(word(inner, 1)),
            reqId: uint256(word(inner, 2)),
            client: toAddress(word(inner, 3)),
            recipient: toAddress(word(inner, 4)),
            amount: uint256(word(inner, 5)),
            totalAmount: uint256(word(inner, 6)),
            asset: toAddress(word(inner, 7)),
            timestamp: toUint64(word(inner, 8)),
            version: toUint64(word(inner, 9))
        });
    }

    /// @notice The word at an index, counted from 0.
    function word(bytes calldata data, uint256 index) internal pure returns (bytes32) {
        return bytes32(data[32 * index:32 * index + 32]);
    }

    /// @notice A word as an address.
    function toAddress(bytes32 value) internal pure returns (address) {
        require(uint256(value) <= type(uint160).max, ICreditCore.MalformedGuarantee());
        // forge-lint: disable-next-line(unsafe-typecast)
        return address(uint160(uint256(value)));
    }

    /// @notice A word as a 64-bit number.
    function toUint64(bytes32 value) internal pure returns (uint64) {
        require(uint256(value) <= type(uint64).max, ICreditCore.MalformedGuarantee());
        // forge-lint: disable-next-line(unsafe-typecast)
        return uint64(uint256(value));
    }
}
