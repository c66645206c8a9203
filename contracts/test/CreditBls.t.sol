// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {BlsCertificate} from "../src/libraries/BlsCertificate.sol";
import {vm} from "./Vm.sol";
import {CreditFixture} from "./utils/CreditFixture.sol";
import {BLS} from "solady/src/utils/ext/ithaca/BLS.sol";

/// @title The pairing check, against signatures made by py_ecc
contract CreditBlsTest is CreditFixture {
    // The base field's order.
    uint256 private constant P_HIGH = 0x1a0111ea397fe69a4b1ba7b6434bacd7;
    uint256 private constant P_LOW = 0x64774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab;

    function test_vectors() public view {
        string memory all = vm.readFile("../conformance/vectors/4mica.json");
        string[2] memory paths = ["$[53]", "$[54]"];
        string[2] memory names = ["bls_sign_empty", "bls_sign_payload"];
        for (uint256 i = 0; i < 2; ++i) {
            vm.assertEq(vm.parseJsonString(all, string.concat(paths[i], ".name")), names[i]);
            bytes memory message = vm.parseJsonBytes(all, string.concat(paths[i], ".inputs.message"));
            vm.assertEq(vm.parseJsonUint(all, string.concat(paths[i], ".inputs.secret_key")), OPERATOR_KEY);
            BLS.G2Point memory hash = point(all, string.concat(paths[i], ".expected.hash_to_g2_words"));
            vm.assertEq(abi.encode(BLS.hashToG2(message)), abi.encode(hash));
            BLS.G2Point memory signature = point(all, string.concat(paths[i], ".expected.signature_words"));
            vm.assertEq(abi.encode(signBls(OPERATOR_KEY, message)), abi.encode(signature));
            vm.assertTrue(verify(publicKey(OPERATOR_KEY), message, signature));
            vm.assertFalse(verify(publicKey(OPERATOR_KEY + 1), message, signature));
            vm.assertFalse(verify(publicKey(OPERATOR_KEY), abi.encodePacked(message, hex"00"), signature));
        }
    }

    function test_onlyItsKeyAndItsMessage(uint256 key, uint256 other, bytes memory message, bytes memory text)
        public
        view
    {
        key = bound(key);
        other = bound(other);
        BLS.G2Point memory signature = signBls(key, message);
        vm.assertTrue(verify(publicKey(key), message, signature));
        vm.assertTrue(verify(publicKey(other), message, signature) == (key == other));
        vm.assertTrue(verify(publicKey(key), text, signature) == (keccak256(text) == keccak256(message)));
    }

    /// @dev Infinity would verify under a key that is infinity, and is refused as a signature of any.
    function test_infinityIsNoSignatureAndNoKey() public view {
        BLS.G2Point memory nothing;
        BLS.G1Point memory nobody;
        vm.assertFalse(verify(publicKey(OPERATOR_KEY), "m", nothing));
        vm.assertFalse(verify(nobody, "m", nothing));
        vm.assertFalse(BlsCertificate.isKey(nobody));
        vm.assertTrue(BlsCertificate.isKey(publicKey(OPERATOR_KEY)));
    }

    function test_pointsOffTheCurveOrOutsideTheSubgroup() public view {
        BLS.G2Point memory signature = signBls(OPERATOR_KEY, "m");
        signature.y_c1_b = bytes32(uint256(signature.y_c1_b) ^ 1);
        vm.assertFalse(verifyWithin(5_000_000, signature));
        BLS.G1Point memory key = publicKey(OPERATOR_KEY);
        key.y_b = bytes32(uint256(key.y_b) ^ 1);
        vm.assertFalse(keyWithin(5_000_000, key));
        // (0, 2) is on y^2 = x^3 + 4 and of order 3.
        BLS.G1Point memory small = BLS.G1Point({x_a: 0, x_b: 0, y_a: 0, y_b: bytes32(uint256(2))});
        vm.assertEq(abi.encode(BLS.add(small, BLS.add(small, small))), new bytes(128));
        vm.assertFalse(keyWithin(5_000_000, small));
    }

    /// @dev The same point with p added to a coordinate is another byte string, and refused.
    function test_coordinatesMustBeReduced() public view {
        BLS.G2Point memory signature = signBls(OPERATOR_KEY, "m");
        (uint256 high, uint256 low) = (uint256(signature.x_c0_a), uint256(signature.x_c0_b));
        unchecked {
            uint256 sum = low + P_LOW;
            high += P_HIGH + (sum < low ? 1 : 0);
            low = sum;
        }
        (signature.x_c0_a, signature.x_c0_b) = (bytes32(high), bytes32(low));
        vm.assertFalse(verifyWithin(5_000_000, signature));
    }

    function verify(BLS.G1Point memory key, bytes memory message, BLS.G2Point memory signature)
        public
        view
        returns (bool)
    {
        return BlsCertificate.verify(key, message, signature);
    }

    function isKey(BLS.G1Point memory key) external view returns (bool) {
        return BlsCertificate.isKey(key);
    }

    /// @dev A precompile that refuses its input burns all gas it was given, so these get little.
    function verifyWithin(uint256 gas, BLS.G2Point memory signature) private view returns (bool) {
        return this.verify{gas: gas}(publicKey(OPERATOR_KEY), "m", signature);
    }

    function keyWithin(uint256 gas, BLS.G1Point memory key) private view returns (bool) {
        return this.isKey{gas: gas}(key);
    }

    function point(string memory json, string memory key) private pure returns (BLS.G2Point memory) {
        bytes32[] memory words = vm.parseJsonBytes32Array(json, key);
        vm.assertEq(words.length, 8);
        return abi.decode(abi.encodePacked(words), (BLS.G2Point));
    }

    function bound(uint256 key) private pure returns (uint256) {
        return key % 0x73eda753299d7d483339d80809a1d80553bda402fffe5bfeffffffff00000000 + 1;
    }
}
