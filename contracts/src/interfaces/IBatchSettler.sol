// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @title Many EIP-3009 payments in one transaction
/// @notice Hands each authorization to its token. Each item succeeds or fails for itself.
/// @dev Nobody's contract: no owner, no storage, no custody. Its only call is `transferWithAuthorization`, so it moves
/// only what a payer signed, to the payee in that signature. Anyone may call it.
interface IBatchSettler {
    /// @notice One signed authorization.
    /// @param token The token's contract.
    /// @param from The payer and signer.
    /// @param to The payee.
    /// @param value The amount, in the token's smallest unit.
    /// @param validAfter Unix seconds; the authorization works strictly after this time.
    /// @param validBefore Unix seconds; the authorization works strictly before this time.
    /// @param nonce The authorization's nonce.
    /// @param signature 65 bytes `r ‖ s ‖ v` go to the (v, r, s) form 0xe3ee160e, any other length to 0xcf092995.
    struct Item {
        address token;
        address from;
        address to;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
        bytes signature;
    }

    /// @notice An item did not settle; the others are not affected.
    /// @param index Its place in the batch, from 0.
    /// @param from The payer the item named.
    /// @param nonce The nonce the item named.
    /// @param reason The first `MAX_REASON_BYTES` of what the token answered; empty for a token without code, a
    /// signature over `MAX_SIGNATURE_BYTES`, or a token that ran out of gas.
    event ItemFailed(uint256 indexed index, address indexed from, bytes32 indexed nonce, bytes reason);

    /// @notice The batch has no items.
    error EmptyBatch();

    /// @notice The batch has more items than `MAX_ITEMS`.
    /// @param count How many it has.
    error TooManyItems(uint256 count);

    /// @notice The remaining gas does not give every remaining item its `gasPerItem`.
    /// @param index The first item that was not tried.
    error NotEnoughGas(uint256 index);

    /// @notice Settles every item it can, in order. Reverts only as the errors above say, or for malformed ABI data.
    /// @dev An item counts as settled when its token has code, did not revert, and returned nothing or the word 1. A
    /// call gets at most 63/64 of what is left, so the check before each item asks for `gasPerItem / 63` beyond the sum.
    /// @param items The authorizations, at least 1, at most `MAX_ITEMS`.
    /// @param gasPerItem The most gas one token call may burn; 0 for no limit, when one item can starve the rest.
    /// @return settled One answer per item, in the same order.
    function settle(Item[] calldata items, uint256 gasPerItem) external returns (bool[] memory settled);

    /// @notice The most items in a batch.
    /// @return The count.
    function MAX_ITEMS() external view returns (uint256);

    /// @notice The most bytes of an answer that an event repeats.
    /// @return The number of bytes.
    function MAX_REASON_BYTES() external view returns (uint256);

    /// @notice The longest signature that is tried.
    /// @return The number of bytes.
    function MAX_SIGNATURE_BYTES() external view returns (uint256);

    /// @notice Gas set aside per item, beside `gasPerItem`, for the work around the token's call.
    /// @return The gas.
    function ITEM_OVERHEAD() external view returns (uint256);
}
