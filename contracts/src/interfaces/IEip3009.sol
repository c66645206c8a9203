// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @title Transfers by signed authorization (EIP-3009)
/// @notice The holder of a balance signs a transfer off chain; anyone, or only the payee, submits it and pays the gas.
/// Each authorization carries a random 32-byte nonce of its own, so authorizations have no order among themselves.
/// @dev Both signature forms are here: `v, r, s` as the standard has it, and one `bytes` string, which is what contract
/// wallets (EIP-1271) need. The revert texts are those of the deployed USDC, because clients compare them.
interface IEip3009 {
    /// @notice An authorization was used: its transfer happened in this transaction.
    /// @param authorizer The signer, whose balance was debited.
    /// @param nonce The authorization's nonce; it never works again for this signer.
    event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce);

    /// @notice An authorization was withdrawn by its signer before anyone used it.
    /// @param authorizer The signer.
    /// @param nonce The authorization's nonce; it never works again for this signer.
    event AuthorizationCanceled(address indexed authorizer, bytes32 indexed nonce);

    /// @notice Moves `value` from `from` to `to` on a signature of `from`. Anyone may submit it.
    /// @dev Reverts, in this order of checks, with
    /// `FiatTokenV2: authorization is not yet valid` unless `block.timestamp > validAfter`,
    /// `FiatTokenV2: authorization is expired` unless `block.timestamp < validBefore`,
    /// `FiatTokenV2: authorization is used or canceled`,
    /// `ECRecover: ...` for a malformed signature of an account without code,
    /// `FiatTokenV2: invalid signature`,
    /// `ERC20: transfer amount exceeds balance`.
    /// @param from The payer and signer.
    /// @param to The payee.
    /// @param value The amount, in the token's smallest unit.
    /// @param validAfter Unix seconds; the authorization works strictly after this time.
    /// @param validBefore Unix seconds; the authorization works strictly before this time.
    /// @param nonce 32 bytes the signer chose, unused until now.
    /// @param v Recovery byte, 27 or 28.
    /// @param r First half of the signature.
    /// @param s Second half of the signature, in the lower half of the curve order.
    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external;

    /// @notice The same, with the signature as one string: `r ‖ s ‖ v` for an account without code, whatever its wallet
    /// accepts for an account with code.
    /// @param from The payer and signer.
    /// @param to The payee.
    /// @param value The amount, in the token's smallest unit.
    /// @param validAfter Unix seconds; the authorization works strictly after this time.
    /// @param validBefore Unix seconds; the authorization works strictly before this time.
    /// @param nonce 32 bytes the signer chose, unused until now.
    /// @param signature The signature.
    function transferWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external;

    /// @notice Moves `value` from `from` to `to` on a signature of `from`, and only when `to` itself submits it. A
    /// contract that acts on being paid uses this form, since nobody can run the transfer ahead of it.
    /// @dev Reverts first with `FiatTokenV2: caller must be the payee`, then like {transferWithAuthorization}. The
    /// signature is over another type, `ReceiveWithAuthorization`, and does not work for {transferWithAuthorization}.
    /// @param from The payer and signer.
    /// @param to The payee, who must be the caller.
    /// @param value The amount, in the token's smallest unit.
    /// @param validAfter Unix seconds; the authorization works strictly after this time.
    /// @param validBefore Unix seconds; the authorization works strictly before this time.
    /// @param nonce 32 bytes the signer chose, unused until now.
    /// @param v Recovery byte, 27 or 28.
    /// @param r First half of the signature.
    /// @param s Second half of the signature, in the lower half of the curve order.
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external;

    /// @notice The same, with the signature as one string.
    /// @param from The payer and signer.
    /// @param to The payee, who must be the caller.
    /// @param value The amount, in the token's smallest unit.
    /// @param validAfter Unix seconds; the authorization works strictly after this time.
    /// @param validBefore Unix seconds; the authorization works strictly before this time.
    /// @param nonce 32 bytes the signer chose, unused until now.
    /// @param signature The signature.
    function receiveWithAuthorization(
        address from,
        address to,
        uint256 value,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        bytes calldata signature
    ) external;

    /// @notice Withdraws an authorization nobody has used yet. Anyone may submit the signer's wish.
    /// @dev Reverts with `FiatTokenV2: authorization is used or canceled` or a signature text as above.
    /// @param authorizer The signer.
    /// @param nonce The nonce that shall never work.
    /// @param v Recovery byte, 27 or 28.
    /// @param r First half of the signature.
    /// @param s Second half of the signature, in the lower half of the curve order.
    function cancelAuthorization(address authorizer, bytes32 nonce, uint8 v, bytes32 r, bytes32 s) external;

    /// @notice The same, with the signature as one string.
    /// @param authorizer The signer.
    /// @param nonce The nonce that shall never work.
    /// @param signature The signature.
    function cancelAuthorization(address authorizer, bytes32 nonce, bytes calldata signature) external;

    /// @notice Tells whether a nonce is spent.
    /// @param authorizer The signer.
    /// @param nonce The nonce.
    /// @return True once the authorization was used or canceled.
    function authorizationState(address authorizer, bytes32 nonce) external view returns (bool);

    /// @notice The EIP-712 type hash that {transferWithAuthorization} signatures are over.
    /// @return The hash of the type's text.
    function TRANSFER_WITH_AUTHORIZATION_TYPEHASH() external view returns (bytes32);

    /// @notice The EIP-712 type hash that {receiveWithAuthorization} signatures are over.
    /// @return The hash of the type's text.
    function RECEIVE_WITH_AUTHORIZATION_TYPEHASH() external view returns (bytes32);

    /// @notice The EIP-712 type hash that {cancelAuthorization} signatures are over.
    /// @return The hash of the type's text.
    function CANCEL_AUTHORIZATION_TYPEHASH() external view returns (bytes32);
}
