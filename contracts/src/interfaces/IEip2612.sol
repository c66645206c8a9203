// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";

/// @title Allowances by signature (EIP-2612), with USDC's second form for contract wallets
/// @notice The standard's `permit`, `nonces` and `DOMAIN_SEPARATOR`, plus `permit` with the signature as one string.
interface IEip2612 is IERC20Permit {
    /// @notice Sets the allowance of `spender` over `owner`'s balance on a signature of `owner`.
    /// @dev Reverts with `FiatTokenV2: permit is expired` when `deadline` has passed, `ECRecover: ...` for a malformed
    /// signature of an account without code, and `EIP2612: invalid signature` otherwise; a permit that was used before
    /// fails so, because the nonce it was signed over is gone.
    /// @param owner The signer, whose balance may be spent.
    /// @param spender Who may spend it.
    /// @param value The new allowance, in the token's smallest unit; it replaces the old one.
    /// @param deadline Unix seconds; the last second in which the permit works.
    /// @param signature `r ‖ s ‖ v` for an account without code, whatever its wallet accepts for an account with code.
    function permit(address owner, address spender, uint256 value, uint256 deadline, bytes calldata signature) external;

    /// @notice The EIP-712 type hash that permits are signed over.
    /// @return The hash of the type's text.
    function PERMIT_TYPEHASH() external view returns (bytes32);
}
