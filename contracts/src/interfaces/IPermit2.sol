// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @title The one function of Permit2 that moves money here
/// @notice Permit2 is at 0x000000000022D473030F116dDEE9F6B43aC78BA3 wherever it was deployed.
interface IPermit2 {
    /// @notice What may be moved.
    struct TokenPermissions {
        address token;
        uint256 amount;
    }

    /// @notice What the payer signed, beside the spender, which is who calls.
    struct PermitTransferFrom {
        TokenPermissions permitted;
        uint256 nonce;
        uint256 deadline;
    }

    /// @notice What the spender makes of it. Not signed.
    struct SignatureTransferDetails {
        address to;
        uint256 requestedAmount;
    }

    /// @notice Moves tokens on a signature, once per nonce.
    /// @param permit What was signed.
    /// @param transferDetails Where it goes, and how much.
    /// @param owner The payer and signer.
    /// @param signature `r ‖ s ‖ v`, or what the payer's contract accepts.
    function permitTransferFrom(
        PermitTransferFrom calldata permit,
        SignatureTransferDetails calldata transferDetails,
        address owner,
        bytes calldata signature
    ) external;
}
