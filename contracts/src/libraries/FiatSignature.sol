// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";
import {SignatureChecker} from "@openzeppelin/contracts/utils/cryptography/SignatureChecker.sol";

/// @title Who signed, by USDC's rules
/// @dev An account without code signs with its key. An account with code, an EIP-7702 delegation included, answers by
/// EIP-1271 and by nothing else: its key, if it has one, no longer counts. Recovery and the wallet call are
/// OpenZeppelin's; the decision and the revert texts are USDC's.
library FiatSignature {
    /// @notice Tells whether `signature` over `digest` is `signer`'s.
    /// @dev For an account without code a signature that could not be anyone's reverts instead of answering false:
    /// `ECRecover: invalid signature length` unless 65 bytes, `ECRecover: invalid signature 's' value` for the upper half
    /// of the curve order (the other form of a signature, which would make it malleable), `ECRecover: invalid signature
    /// 'v' value` unless 27 or 28, `ECRecover: invalid signature` when no key fits.
    /// @param signer The account that should have signed.
    /// @param digest The EIP-712 digest.
    /// @param signature `r ‖ s ‖ v`, or what the signer's contract accepts.
    /// @return True when it is.
    function isValid(address signer, bytes32 digest, bytes memory signature) internal view returns (bool) {
        if (signer.code.length > 0) {
            return SignatureChecker.isValidERC1271SignatureNow(signer, digest, signature);
        }

        (address recovered, ECDSA.RecoverError err,) = ECDSA.tryRecover(digest, signature);
        require(err != ECDSA.RecoverError.InvalidSignatureLength, "ECRecover: invalid signature length");
        require(err != ECDSA.RecoverError.InvalidSignatureS, "ECRecover: invalid signature 's' value");
        // The EVM's recovery answers zero for such a v as well; this is for the text alone.
        uint8 v = uint8(signature[64]);
        require(v == 27 || v == 28, "ECRecover: invalid signature 'v' value");
        require(err == ECDSA.RecoverError.NoError, "ECRecover: invalid signature");
        return recovered == signer;
    }
}
