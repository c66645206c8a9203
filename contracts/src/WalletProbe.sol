// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @title What a payment of a wallet comes to that does not exist yet (ERC-6492)
/// @notice Never deployed: its creation code runs in an `eth_call` without a recipient, so that it needs no contract to
/// stand on the chain. What it returns is not code but an answer, the ABI encoding of `(Outcome, bytes reason)`.
/// @dev Runs only in simulations, where it can change nothing, and holds nothing.
contract WalletProbe {
    /// @notice How far it came.
    enum Outcome {
        // The factory reverted, or needed more gas than it was given.
        FactoryFailed,
        // The factory ran, and nothing stands at the wallet's address.
        NoWallet,
        // The wallet stands, and the token refused the transfer: `reason` is the beginning of what it said.
        Refused,
        // The money moved.
        Moved
    }

    /// @notice What is tried.
    struct Try {
        // Who deploys the wallet, how, and with how much gas at most.
        address factory;
        bytes factoryData;
        uint256 factoryGas;
        // Where the wallet will stand. When it does already, the factory is not called.
        address wallet;
        // The token, its transfer, and how much gas that may take.
        address token;
        bytes transfer;
        uint256 transferGas;
    }

    /// @dev Bytes of the token's reason, at most.
    uint256 private constant REASON_BYTES_MAX = 256;

    /// @param job What is tried.
    constructor(Try memory job) {
        (Outcome outcome, bytes memory reason) = _run(job);
        bytes memory answer = abi.encode(outcome, reason);
        assembly ("memory-safe") {
            return(add(answer, 0x20), mload(answer))
        }
    }

    function _run(Try memory job) private returns (Outcome, bytes memory) {
        if (job.wallet.code.length == 0) {
            if (!_call(job.factory, job.factoryData, job.factoryGas)) return (Outcome.FactoryFailed, "");
            if (job.wallet.code.length == 0) return (Outcome.NoWallet, "");
        }
        if (_call(job.token, job.transfer, job.transferGas)) return (Outcome.Moved, "");
        return (Outcome.Refused, _reason());
    }

    /// @dev A call whose answer is not copied, however long it is.
    function _call(address to, bytes memory data, uint256 gasLimit) private returns (bool ok) {
        assembly ("memory-safe") {
            ok := call(gasLimit, to, 0, add(data, 0x20), mload(data), 0, 0)
        }
    }

    /// @dev The beginning of what the last call said.
    function _reason() private pure returns (bytes memory reason) {
        assembly ("memory-safe") {
            let size := returndatasize()
            if gt(size, REASON_BYTES_MAX) { size := REASON_BYTES_MAX }
            reason := mload(0x40)
            mstore(reason, size)
            returndatacopy(add(reason, 0x20), 0, size)
            mstore(0x40, and(add(add(reason, 0x3f), size), not(0x1f)))
        }
    }
}
