// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @title Signed payments of three kinds, moved to one treasury
/// @notice Payers sign for this contract: as spender of an EIP-2612 permit, as payee of an EIP-3009 authorization, as
/// spender of a Permit2 transfer. What they signed goes to `TREASURY`, all of it, and nowhere else.
/// @dev Nobody's contract: no owner, no upgrade, no pause. The treasury is fixed in the code, and with it the CREATE2
/// address, so a payer who signs for this address signs for that treasury. Anyone may call every function: an item
/// moves exactly the signed amount to the treasury, once, so there is nothing in a call to choose and nothing to win by
/// calling first.
interface IPermitSettler {
    /// @notice What a payer signed.
    enum Kind {
        Permit, // EIP-2612: an allowance for this contract
        Authorization, // EIP-3009 TransferWithAuthorization: a transfer to this contract
        Permit2 // Permit2 PermitTransferFrom: a transfer by this contract
    }

    /// @notice One signed payment.
    /// @param kind What was signed; it says how the other fields are meant.
    /// @param token The token's contract.
    /// @param payer The signer: owner, or authorizer.
    /// @param value The signed amount, in the token's smallest unit. All of it moves, or nothing.
    /// @param validAfter Unix seconds, of an Authorization; no meaning in the other kinds, and to be 0 there.
    /// @param deadline Unix seconds: the deadline of Permit and Permit2 (inclusive), `validBefore` of an Authorization.
    /// @param nonce The signed nonce: the token's count of a Permit, chosen by the payer in the other kinds.
    /// @param v Recovery byte, 27 or 28.
    /// @param r First half of the signature.
    /// @param s Second half of the signature.
    struct Item {
        Kind kind;
        address token;
        address payer;
        uint256 value;
        uint256 validAfter;
        uint256 deadline;
        uint256 nonce;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    /// @notice A Permit or Permit2 payment reached the treasury. (An Authorization is logged by its token.)
    /// @param token The token.
    /// @param payer Who paid.
    /// @param nonce The item's nonce.
    /// @param value How much.
    event Collected(address indexed token, address indexed payer, uint256 indexed nonce, uint256 value);

    /// @notice An item of a batch did not settle, and moved nothing; the others are not affected.
    /// @param index Its place in the batch, from 0.
    /// @param payer The payer the item named.
    /// @param nonce The nonce the item named.
    /// @param reason The first `MAX_REASON_BYTES` of the error: one of this interface, or what the token or Permit2
    /// answered; empty when the item ran out of gas.
    event ItemFailed(uint256 indexed index, address indexed payer, uint256 indexed nonce, bytes reason);

    /// @notice What authorizations of a batch brought here could not be handed on. It waits here for {forward}.
    /// @param token The token that refused.
    /// @param reason The first `MAX_REASON_BYTES` of what it answered.
    event ForwardFailed(address indexed token, bytes reason);

    /// @notice There is no treasury at the zero address.
    error ZeroTreasury();

    /// @notice The batch has no items.
    error EmptyBatch();

    /// @notice The batch has more items than `MAX_ITEMS`.
    /// @param count How many it has.
    error TooManyItems(uint256 count);

    /// @notice The remaining gas does not give every remaining item its `gasPerItem`.
    /// @param index The first item that was not tried.
    error NotEnoughGas(uint256 index);

    /// @notice There is no code at the token's address.
    error NoToken();

    /// @notice This permit was collected before.
    error AlreadyCollected();

    /// @notice The token's nonce of the payer is not at this permit: still before it, or beyond the one after it, when
    /// a later permit has replaced its allowance.
    /// @param next The token's nonce.
    error NonceMismatch(uint256 next);

    /// @notice The token took the permit without spending its nonce, so it checked nothing.
    error PermitIgnored();

    /// @notice The permit's nonce is spent and its deadline has passed.
    error Expired();

    /// @notice The permit's nonce is spent, and not by what this item holds.
    error NotSigned();

    /// @notice The authorization was executed or canceled before, in a transaction whose logs tell which. If it was
    /// executed, its value came here, and is at the treasury or on its way there.
    error AlreadyUsed();

    /// @notice The token answered with something else than success.
    error Refused();

    /// @notice Settles every item it can, in order. Reverts only as the errors of a batch say, or for malformed ABI data.
    /// @dev Each item runs in a call of its own, so a failed one leaves no trace but its event. What authorizations
    /// bring here is handed on once per run of authorizations of one token, so put these together. The transaction needs
    /// `(items + runs) * (gasPerItem + ITEM_OVERHEAD) + gasPerItem / 63` gas when the first item begins.
    /// @param items The payments, at least 1, at most `MAX_ITEMS`.
    /// @param gasPerItem The most gas one item may burn, or the handing on of one run; 0 for no limit, when one item can
    /// starve the rest.
    /// @return settled One answer per item, in the same order.
    function settle(Item[] calldata items, uint256 gasPerItem) external returns (bool[] memory settled);

    /// @notice Settles one item, or reverts with the reason.
    /// @param item The payment.
    function settleOne(Item calldata item) external;

    /// @notice Hands everything this contract holds of a token to the treasury.
    /// @dev Needed when somebody executed an authorization without this contract, or after `ForwardFailed`.
    /// @param token The token.
    /// @return value How much it was.
    function forward(address token) external returns (uint256 value);

    /// @notice Tells whether a permit was collected.
    /// @param token The token.
    /// @param payer The permit's owner.
    /// @param nonce The permit's nonce.
    /// @return True when it was.
    function collected(address token, address payer, uint256 nonce) external view returns (bool);

    /// @notice Where everything goes.
    /// @return The address.
    function TREASURY() external view returns (address);

    /// @notice The one Permit2 contract that is asked, at its address on every chain.
    /// @return The address.
    function PERMIT2() external view returns (address);

    /// @notice The most items in a batch.
    /// @return The count.
    function MAX_ITEMS() external view returns (uint256);

    /// @notice The most bytes of an error that an event repeats.
    /// @return The number of bytes.
    function MAX_REASON_BYTES() external view returns (uint256);

    /// @notice Gas set aside per item, beside `gasPerItem`, for the work around it.
    /// @return The gas.
    function ITEM_OVERHEAD() external view returns (uint256);
}
