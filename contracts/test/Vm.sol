// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

/// @title The cheatcodes of forge that these tests use
/// @notice Declared here because the packaged standard library for forge is older than the forge we pin.
interface Vm {
    /// @notice One log line of a transaction.
    struct Log {
        bytes32[] topics;
        bytes data;
        address emitter;
    }

    /// @notice Signs a digest.
    function sign(uint256 privateKey, bytes32 digest) external pure returns (uint8 v, bytes32 r, bytes32 s);

    /// @notice The address of a private key.
    function addr(uint256 privateKey) external pure returns (address);

    /// @notice Sets `block.timestamp`.
    function warp(uint256 timestamp) external;

    /// @notice Sets `block.number`.
    function roll(uint256 number) external;

    /// @notice Sets `block.chainid`.
    function chainId(uint256 id) external;

    /// @notice Sets `block.basefee`.
    function fee(uint256 basefee) external;

    /// @notice Sets `block.coinbase`.
    function coinbase(address account) external;

    /// @notice Sets `block.prevrandao`.
    function prevrandao(bytes32 value) external;

    /// @notice Sets an account's ether.
    function deal(address account, uint256 balance) external;

    /// @notice Sets an account's code.
    function etch(address account, bytes calldata code) external;

    /// @notice Writes a storage slot.
    function store(address account, bytes32 slot, bytes32 value) external;

    /// @notice The next call comes from `caller`.
    function prank(address caller) external;

    /// @notice The next call must revert with exactly this data.
    function expectRevert(bytes calldata revertData) external;

    /// @notice The next call must emit, from `emitter`, what is emitted right after this line.
    function expectEmit(address emitter) external;

    /// @notice Skips a fuzz input.
    function assume(bool condition) external pure;

    /// @notice Starts to keep the logs.
    function recordLogs() external;

    /// @notice Takes the logs kept so far.
    function getRecordedLogs() external returns (Log[] memory);

    /// @notice Reads a file of the project.
    function readFile(string calldata path) external view returns (string memory);

    /// @notice Reads a hex string out of a JSON text.
    function parseJsonBytes(string calldata json, string calldata key) external pure returns (bytes memory);

    /// @notice Reads a list of words out of a JSON text.
    function parseJsonBytes32Array(string calldata json, string calldata key) external pure returns (bytes32[] memory);

    /// @notice Reads a number out of a JSON text.
    function parseJsonUint(string calldata json, string calldata key) external pure returns (uint256);

    /// @notice Reads a string out of a JSON text.
    function parseJsonString(string calldata json, string calldata key) external pure returns (string memory);

    /// @notice Keeps the gas of the last call under snapshots/.
    function snapshotGasLastCall(string calldata group, string calldata name) external returns (uint256 gas);

    /// @notice All calls until {stopPrank} come from `caller`.
    function startPrank(address caller) external;

    /// @notice Ends {startPrank}.
    function stopPrank() external;

    /// @notice The next call must revert, with whatever data.
    function expectRevert() external;

    function assertLe(uint256 left, uint256 right) external pure;

    function assertGe(uint256 left, uint256 right) external pure;

    function assertTrue(bool condition) external pure;

    function assertFalse(bool condition) external pure;

    function assertEq(uint256 left, uint256 right) external pure;

    function assertEq(bytes32 left, bytes32 right) external pure;

    function assertEq(address left, address right) external pure;

    function assertEq(string calldata left, string calldata right) external pure;

    function assertEq(bytes calldata left, bytes calldata right) external pure;
}

/// @dev Where forge answers.
Vm constant vm = Vm(address(uint160(uint256(keccak256("hevm cheat code")))));
