// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title A contract wallet with one owner, who signs with a key
/// @notice For tests: it can hold tokens and confirm signatures (EIP-1271), and nothing else.
contract TestWallet {
    /// @notice Who signs for this wallet.
    address public immutable OWNER;

    /// @param owner Who signs for this wallet.
    constructor(address owner) {
        OWNER = owner;
    }

    /// @notice EIP-1271.
    /// @param digest What was signed.
    /// @param signature `r ‖ s ‖ v` of the owner.
    /// @return The magic value, or all ones.
    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        (address signer, ECDSA.RecoverError err,) = ECDSA.tryRecover(digest, signature);
        return err == ECDSA.RecoverError.NoError && signer == OWNER ? bytes4(0x1626ba7e) : bytes4(0xffffffff);
    }
}

/// @title Deploys wallets at addresses that are known before
/// @notice For tests of ERC-6492: a payer can sign for a wallet that does not exist yet.
contract TestWalletFactory {
    /// @notice Deploys a wallet, or does nothing when it is there.
    /// @param owner Who signs for it.
    /// @param salt Tells several wallets of one owner apart.
    /// @return wallet Its address.
    function createAccount(address owner, uint256 salt) external returns (address wallet) {
        wallet = getAddress(owner, salt);
        if (wallet.code.length == 0) new TestWallet{salt: bytes32(salt)}(owner);
    }

    /// @notice Where a wallet is or will be.
    /// @param owner Who signs for it.
    /// @param salt Tells several wallets of one owner apart.
    /// @return Its address.
    function getAddress(address owner, uint256 salt) public view returns (address) {
        bytes32 code = keccak256(abi.encodePacked(type(TestWallet).creationCode, abi.encode(owner)));
        bytes32 hash = keccak256(abi.encodePacked(hex"ff", address(this), bytes32(salt), code));
        return address(uint160(uint256(hash)));
    }
}
