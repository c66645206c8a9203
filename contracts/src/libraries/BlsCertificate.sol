// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {BLS} from "solady/src/utils/ext/ithaca/BLS.sol";

/// @title BLS signatures over BLS12-381 with keys in G1: the check `e(-G1, signature) · e(key, H(message)) = 1`
/// @dev Ciphersuite `BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_NUL_`, on the precompiles of EIP-2537. On a chain without them
/// nothing verifies and no key is valid. The precompiles check that points are on their curve and in their subgroup; the
/// point at infinity, which they take, is refused here.
library BlsCertificate {
    // The negated generator of G1.
    bytes32 private constant NEG_G1_X_A = 0x0000000000000000000000000000000017f1d3a73197d7942695638c4fa9ac0f;
    bytes32 private constant NEG_G1_X_B = 0xc3688c4f9774b905a14e3a3f171bac586c55e83ff97a1aeffb3af00adb22c6bb;
    bytes32 private constant NEG_G1_Y_A = 0x00000000000000000000000000000000114d1d6855d545a8aa7d76c8cf2e21f2;
    bytes32 private constant NEG_G1_Y_B = 0x67816aef1db507c96655b9d5caac42364e6f38ba0ecb751bad54dcd6b939c2ca;

    /// @notice Whether `key` signed `message`. What is no signature at all is answered with `false` too; a precompile that
    /// refuses its input burns the gas it was given.
    function verify(BLS.G1Point memory key, bytes memory message, BLS.G2Point memory signature)
        internal
        view
        returns (bool)
    {
        if (_isInfinity(signature)) return false;
        BLS.G2Point memory hash = BLS.hashToG2(message);
        bytes memory pairs = abi.encode(NEG_G1_X_A, NEG_G1_X_B, NEG_G1_Y_A, NEG_G1_Y_B, signature, key, hash);
        (bool done, bytes memory answer) = BLS.BLS12_PAIRING_CHECK.staticcall(pairs);
        return done && answer.length == 32 && uint256(bytes32(answer)) == 1;
    }

    /// @notice Whether something can be signed for this key: a point of the right subgroup, and not infinity.
    function isKey(BLS.G1Point memory key) internal view returns (bool) {
        if (key.x_a == 0 && key.x_b == 0 && key.y_a == 0 && key.y_b == 0) return false;
        // Multiplying by one checks the subgroup, which adding does not.
        (bool done, bytes memory answer) = BLS.BLS12_G1MSM.staticcall(abi.encode(key, uint256(1)));
        return done && answer.length == 128;
    }

    function _isInfinity(BLS.G2Point memory point) private pure returns (bool) {
        return point.x_c0_a | point.x_c0_b | point.x_c1_a | point.x_c1_b | point.y_c0_a | point.y_c0_b | point.y_c1_a
                | point.y_c1_b == 0;
    }
}
