// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ECDSA} from "@openzeppelin/contracts/utils/cryptography/ECDSA.sol";

/// @title A contract wallet whose one owner signs with a key
contract OwnerWallet {
    address private immutable OWNER;

    constructor(address owner) {
        OWNER = owner;
    }

    /// @notice EIP-1271.
    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        (address signer, ECDSA.RecoverError err,) = ECDSA.tryRecover(digest, signature);
        return err == ECDSA.RecoverError.NoError && signer == OWNER ? bytes4(0x1626ba7e) : bytes4(0xffffffff);
    }
}

/// @title Code for an EIP-7702 delegation: the account's own key signs for it
contract SelfWallet {
    /// @notice EIP-1271.
    function isValidSignature(bytes32 digest, bytes calldata signature) external view returns (bytes4) {
        (address signer, ECDSA.RecoverError err,) = ECDSA.tryRecover(digest, signature);
        return err == ECDSA.RecoverError.NoError && signer == address(this) ? bytes4(0x1626ba7e) : bytes4(0xffffffff);
    }
}

/// @title A contract wallet that accepts one text of any length
contract PasswordWallet {
    /// @notice EIP-1271.
    function isValidSignature(bytes32, bytes calldata signature) external pure returns (bytes4) {
        return keccak256(signature) == keccak256("open sesame") ? bytes4(0x1626ba7e) : bytes4(0);
    }
}

/// @title A contract that knows nothing of signatures
contract MuteWallet {
    /// @notice Something else.
    function hello() external pure returns (uint256) {
        return 1;
    }
}

/// @title A wallet that answers every question with nothing, successfully
contract EmptyAnswerWallet {
    fallback() external {}
}

/// @title A wallet that answers with the magic value and nothing behind it: 4 bytes, not a word
contract ShortAnswerWallet {
    fallback() external {
        assembly ("memory-safe") {
            mstore(0, shl(224, 0x1626ba7e))
            return(0, 4)
        }
    }
}

/// @title A wallet that says "true" instead of the magic value
contract TrueWallet {
    /// @notice Not EIP-1271, though it looks like it.
    function isValidSignature(bytes32, bytes calldata) external pure returns (bool) {
        return true;
    }
}

/// @title A wallet that reverts
contract RevertingWallet {
    /// @notice EIP-1271, out of order.
    function isValidSignature(bytes32, bytes calldata) external pure returns (bytes4) {
        revert("closed");
    }
}

/// @title A wallet that tries to change something while it is asked
contract WritingWallet {
    uint256 private _asked;

    /// @notice EIP-1271, except that it is not a view.
    function isValidSignature(bytes32, bytes calldata) external returns (bytes4) {
        _asked += 1;
        return 0x1626ba7e;
    }
}
