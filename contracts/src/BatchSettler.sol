// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IBatchSettler} from "./interfaces/IBatchSettler.sol";

/// @title Many EIP-3009 payments in one transaction
/// @dev No storage, no immutables, no receive function. A reentrant token gains nothing: there is no state to catch
/// half-way, and a nested batch still needs signatures.
contract BatchSettler is IBatchSettler {
    /// @inheritdoc IBatchSettler
    uint256 public constant MAX_ITEMS = 256;

    /// @inheritdoc IBatchSettler
    uint256 public constant MAX_REASON_BYTES = 256;

    /// @inheritdoc IBatchSettler
    uint256 public constant MAX_SIGNATURE_BYTES = 8192;

    /// @inheritdoc IBatchSettler
    uint256 public constant ITEM_OVERHEAD = 22_000;

    bytes4 private constant BY_VRS = 0xe3ee160e;
    bytes4 private constant BY_BYTES = 0xcf092995;

    /// @inheritdoc IBatchSettler
    function settle(Item[] calldata items, uint256 gasPerItem) external returns (bool[] memory settled) {
        uint256 count = items.length;
        require(count != 0, EmptyBatch());
        require(count <= MAX_ITEMS, TooManyItems(count));
        require(gasPerItem <= gasleft(), NotEnoughGas(0));
        settled = new bool[](count);
        for (uint256 i = 0; i < count; ++i) {
            if (gasPerItem != 0) {
                uint256 needed = (count - i) * (gasPerItem + ITEM_OVERHEAD) + gasPerItem / 63;
                require(gasleft() >= needed, NotEnoughGas(i));
            }
            settled[i] = _settle(i, items[i], gasPerItem);
        }
    }

    /// @dev One item. Memory is given back afterwards, so that item 256 costs what item 1 does.
    function _settle(uint256 index, Item calldata item, uint256 gasPerItem) private returns (bool ok) {
        uint256 mark;
        assembly ("memory-safe") {
            mark := mload(0x40)
        }
        bytes memory reason;
        if (item.token.code.length != 0 && item.signature.length <= MAX_SIGNATURE_BYTES) {
            (ok, reason) = _call(item.token, _encode(item), gasPerItem == 0 ? gasleft() : gasPerItem);
        }
        if (!ok) emit ItemFailed(index, item.from, item.nonce, reason);
        assembly ("memory-safe") {
            mstore(0x40, mark)
        }
    }

    /// @dev The only two calls this contract can make.
    function _encode(Item calldata item) private pure returns (bytes memory) {
        bytes calldata signature = item.signature;
        if (signature.length != 65) {
            return abi.encodeWithSelector(
                BY_BYTES, item.from, item.to, item.value, item.validAfter, item.validBefore, item.nonce, signature
            );
        }
        return abi.encodeWithSelector(
            BY_VRS,
            item.from,
            item.to,
            item.value,
            item.validAfter,
            item.validBefore,
            item.nonce,
            uint8(signature[64]),
            bytes32(signature[:32]),
            bytes32(signature[32:64])
        );
    }

    /// @dev A call that copies a bounded part of the answer, and only on failure.
    function _call(address token, bytes memory data, uint256 gasLimit) private returns (bool ok, bytes memory reason) {
        uint256 limit = MAX_REASON_BYTES;
        assembly ("memory-safe") {
            mstore(0, 0)
            ok := call(gasLimit, token, 0, add(data, 0x20), mload(data), 0, 0x20)
            let size := returndatasize()
            if ok { ok := or(iszero(size), and(gt(size, 0x1f), eq(mload(0), 1))) }
            reason := mload(0x40)
            mstore(reason, 0)
            if iszero(ok) {
                if gt(size, limit) { size := limit }
                mstore(reason, size)
                mstore(add(add(reason, 0x20), size), 0)
                returndatacopy(add(reason, 0x20), 0, size)
            }
            mstore(0x40, add(reason, 0x160))
        }
    }
}
