// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @title Many calls in one (the interface found at 0xcA11bde05977b3631167028862bE2a173976CA11 on most chains)
/// @notice Runs calls in order and returns what each answered, together with facts about the block they ran in.
/// @dev The target sees this contract as the caller. It is anyone's: never give it an allowance or a balance.
interface IMulticall3 {
    /// @notice A call that must succeed, or whose failure the surrounding function decides about.
    /// @param target Whom to call.
    /// @param callData What to send.
    struct Call {
        address target;
        bytes callData;
    }

    /// @notice A call that says for itself whether it may fail.
    /// @param target Whom to call.
    /// @param allowFailure True when the others shall stand even if this one reverts.
    /// @param callData What to send.
    struct Call3 {
        address target;
        bool allowFailure;
        bytes callData;
    }

    /// @notice A {Call3} that carries ether.
    /// @param target Whom to call.
    /// @param allowFailure True when the others shall stand even if this one reverts.
    /// @param value Wei to send along.
    /// @param callData What to send.
    struct Call3Value {
        address target;
        bool allowFailure;
        uint256 value;
        bytes callData;
    }

    /// @notice What became of one call.
    /// @param success False when it reverted.
    /// @param returnData What it returned, or its revert data.
    struct Result {
        bool success;
        bytes returnData;
    }

    /// @notice Runs all calls; reverts with `Multicall3: call failed` when one does.
    /// @param calls The calls, in order.
    /// @return blockNumber The block they ran in.
    /// @return returnData One answer per call.
    function aggregate(Call[] calldata calls) external payable returns (uint256 blockNumber, bytes[] memory returnData);

    /// @notice Runs all calls and reports each outcome.
    /// @param requireSuccess True to revert with `Multicall3: call failed` when one does.
    /// @param calls The calls, in order.
    /// @return returnData One outcome per call.
    function tryAggregate(bool requireSuccess, Call[] calldata calls)
        external
        payable
        returns (Result[] memory returnData);

    /// @notice {tryAggregate} with the block's number and hash.
    /// @param requireSuccess True to revert with `Multicall3: call failed` when one does.
    /// @param calls The calls, in order.
    /// @return blockNumber The block they ran in.
    /// @return blockHash Its hash as the EVM gives it to itself: zero, since the running block has none yet.
    /// @return returnData One outcome per call.
    function tryBlockAndAggregate(bool requireSuccess, Call[] calldata calls)
        external
        payable
        returns (uint256 blockNumber, bytes32 blockHash, Result[] memory returnData);

    /// @notice {tryBlockAndAggregate} that requires success.
    /// @param calls The calls, in order.
    /// @return blockNumber The block they ran in.
    /// @return blockHash As in {tryBlockAndAggregate}.
    /// @return returnData One outcome per call.
    function blockAndAggregate(Call[] calldata calls)
        external
        payable
        returns (uint256 blockNumber, bytes32 blockHash, Result[] memory returnData);

    /// @notice Runs all calls; reverts with `Multicall3: call failed` when one fails that may not.
    /// @param calls The calls, in order.
    /// @return returnData One outcome per call.
    function aggregate3(Call3[] calldata calls) external payable returns (Result[] memory returnData);

    /// @notice {aggregate3} with ether. The values must add up to what was sent, or it reverts with
    /// `Multicall3: value mismatch`. The value of a call that was allowed to fail stays in this contract.
    /// @param calls The calls, in order.
    /// @return returnData One outcome per call.
    function aggregate3Value(Call3Value[] calldata calls) external payable returns (Result[] memory returnData);

    /// @notice The running block's number.
    /// @return blockNumber The number.
    function getBlockNumber() external view returns (uint256 blockNumber);

    /// @notice The hash of one of the last 256 blocks.
    /// @param blockNumber Which one.
    /// @return blockHash Its hash; zero when it is older, or not yet there.
    function getBlockHash(uint256 blockNumber) external view returns (bytes32 blockHash);

    /// @notice The hash of the block before the running one.
    /// @return blockHash The hash.
    function getLastBlockHash() external view returns (bytes32 blockHash);

    /// @notice The running block's time.
    /// @return timestamp Unix seconds.
    function getCurrentBlockTimestamp() external view returns (uint256 timestamp);

    /// @notice The running block's gas limit.
    /// @return gaslimit The limit, in gas.
    function getCurrentBlockGasLimit() external view returns (uint256 gaslimit);

    /// @notice What the EVM answers for the block's difficulty: since the merge, the beacon chain's random value.
    /// @return difficulty The value.
    function getCurrentBlockDifficulty() external view returns (uint256 difficulty);

    /// @notice Who gets the running block's fees.
    /// @return coinbase The address.
    function getCurrentBlockCoinbase() external view returns (address coinbase);

    /// @notice The running block's base fee.
    /// @return basefee Wei per gas.
    function getBasefee() external view returns (uint256 basefee);

    /// @notice The chain's id.
    /// @return chainid The id.
    function getChainId() external view returns (uint256 chainid);

    /// @notice An account's ether.
    /// @param addr The account.
    /// @return balance Wei.
    function getEthBalance(address addr) external view returns (uint256 balance);
}
