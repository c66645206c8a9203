// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IMulticall3} from "../src/interfaces/IMulticall3.sol";
import {vm} from "./Vm.sol";
import {Fixture} from "./utils/Fixture.sol";

/// @title A target that answers, refuses and takes ether
contract Target {
    /// @notice Gives back the caller, the ether that came, and the word.
    function echo(uint256 word) external payable returns (address, uint256, uint256) {
        return (msg.sender, msg.value, word);
    }

    /// @notice Always reverts.
    function refuse() external payable {
        revert("no");
    }
}

/// @title Many calls in one, from the committed artifact's runtime code at the well-known address
contract Multicall3Test is Fixture {
    IMulticall3 private constant MULTICALL = IMulticall3(0xcA11bde05977b3631167028862bE2a173976CA11);
    Target private _target;

    function setUp() public override {
        super.setUp();
        _target = new Target();
        vm.etch(address(MULTICALL), vm.parseJsonBytes(vm.readFile("artifacts/Multicall3.json"), ".deployedBytecode"));
        vm.roll(1000);
    }

    function test_interface_selectors() public pure {
        _selector(IMulticall3.aggregate.selector, 0x252dba42);
        _selector(IMulticall3.tryAggregate.selector, 0xbce38bd7);
        _selector(IMulticall3.blockAndAggregate.selector, 0xc3077fa9);
        _selector(IMulticall3.tryBlockAndAggregate.selector, 0x399542e9);
        _selector(IMulticall3.aggregate3.selector, 0x82ad56cb);
        _selector(IMulticall3.aggregate3Value.selector, 0x174dea71);
        _selector(IMulticall3.getBlockNumber.selector, 0x42cbb15c);
        _selector(IMulticall3.getBlockHash.selector, 0xee82ac5e);
        _selector(IMulticall3.getLastBlockHash.selector, 0x27e86d6e);
        _selector(IMulticall3.getCurrentBlockTimestamp.selector, 0x0f28c97d);
        _selector(IMulticall3.getCurrentBlockGasLimit.selector, 0x86d516e8);
        _selector(IMulticall3.getCurrentBlockDifficulty.selector, 0x72425d9d);
        _selector(IMulticall3.getCurrentBlockCoinbase.selector, 0xa8b0574e);
        _selector(IMulticall3.getBasefee.selector, 0x3e64a696);
        _selector(IMulticall3.getChainId.selector, 0x3408e470);
        _selector(IMulticall3.getEthBalance.selector, 0x4d2301cc);
    }

    function test_aggregate_returnsInOrder() public {
        (uint256 number, bytes[] memory answers) = MULTICALL.aggregate(_calls(_echo(1), _echo(2)));
        vm.assertEq(number, 1000);
        vm.assertEq(answers.length, 2);
        vm.assertEq(answers[0], abi.encode(address(MULTICALL), 0, 1));
        vm.assertEq(answers[1], abi.encode(address(MULTICALL), 0, 2));
    }

    function test_aggregate_ofNothing() public {
        (, bytes[] memory answers) = MULTICALL.aggregate(new IMulticall3.Call[](0));
        vm.assertEq(answers.length, 0);
    }

    function test_aggregate_refusesFailure() public {
        expectText("Multicall3: call failed");
        MULTICALL.aggregate(_calls(_echo(1), _refuse()));
    }

    function test_tryAggregate_reportsFailure() public {
        _checkHalfFailed(MULTICALL.tryAggregate(false, _calls(_echo(1), _refuse())));
    }

    function test_tryAggregate_refusesFailureWhenAsked() public {
        expectText("Multicall3: call failed");
        MULTICALL.tryAggregate(true, _calls(_echo(1), _refuse()));
    }

    function test_tryBlockAndAggregate_reportsFailureAndBlock() public {
        (uint256 number, bytes32 hash, IMulticall3.Result[] memory results) =
            MULTICALL.tryBlockAndAggregate(false, _calls(_echo(1), _refuse()));
        vm.assertEq(number, 1000);
        vm.assertEq(hash, bytes32(0));
        _checkHalfFailed(results);
    }

    function test_tryBlockAndAggregate_refusesFailureWhenAsked() public {
        expectText("Multicall3: call failed");
        MULTICALL.tryBlockAndAggregate(true, _calls(_echo(1), _refuse()));
    }

    function test_blockAndAggregate_requiresSuccess() public {
        (uint256 number,, IMulticall3.Result[] memory results) = MULTICALL.blockAndAggregate(_calls(_echo(1), _echo(2)));
        vm.assertEq(number, 1000);
        vm.assertTrue(results[0].success && results[1].success);
        expectText("Multicall3: call failed");
        MULTICALL.blockAndAggregate(_calls(_refuse(), _echo(2)));
    }

    function test_aggregate3_allowsFailurePerCall() public {
        IMulticall3.Call3[] memory calls = new IMulticall3.Call3[](2);
        calls[0] = IMulticall3.Call3(address(_target), false, _echo(1));
        calls[1] = IMulticall3.Call3(address(_target), true, _refuse());
        _checkHalfFailed(MULTICALL.aggregate3(calls));

        calls[1].allowFailure = false;
        expectText("Multicall3: call failed");
        MULTICALL.aggregate3(calls);
    }

    function test_aggregate3_succeedsWithoutCode() public {
        IMulticall3.Call3[] memory calls = new IMulticall3.Call3[](1);
        calls[0] = IMulticall3.Call3(address(0xdead), false, _echo(1));
        IMulticall3.Result[] memory results = MULTICALL.aggregate3(calls);
        vm.assertTrue(results[0].success);
        vm.assertEq(results[0].returnData, "");
    }

    function test_aggregate3Value_sendsEther() public {
        IMulticall3.Call3Value[] memory calls = _valued(3, 4, false);
        IMulticall3.Result[] memory results = MULTICALL.aggregate3Value{value: 7}(calls);
        vm.assertEq(results[0].returnData, abi.encode(address(MULTICALL), 3, 1));
        vm.assertEq(results[1].returnData, abi.encode(address(MULTICALL), 4, 1));
        vm.assertEq(address(_target).balance, 7);
    }

    function test_aggregate3Value_refusesOtherSum() public {
        IMulticall3.Call3Value[] memory calls = _valued(3, 4, false);
        expectText("Multicall3: value mismatch");
        MULTICALL.aggregate3Value{value: 8}(calls);
        expectText("Multicall3: call failed");
        MULTICALL.aggregate3Value{value: 6}(calls);
        calls[1].allowFailure = true;
        expectText("Multicall3: value mismatch");
        MULTICALL.aggregate3Value{value: 6}(calls);
    }

    function test_aggregate3Value_keepsEtherOfAllowedFailure() public {
        IMulticall3.Call3Value[] memory calls = _valued(3, 4, true);
        calls[1].callData = _refuse();
        _checkHalfFailed(3, MULTICALL.aggregate3Value{value: 7}(calls));
        vm.assertEq(address(MULTICALL).balance, 4);
    }

    function testFuzz_aggregate3Value_sumsUp(uint96 first, uint96 second, uint96 sent) public {
        if (sent % 2 == 0) sent = uint96((uint256(first) + second) % type(uint96).max);
        vm.deal(address(this), uint256(first) + second + sent);
        if (uint256(first) + second > sent) expectText("Multicall3: call failed");
        else if (uint256(first) + second < sent) expectText("Multicall3: value mismatch");
        MULTICALL.aggregate3Value{value: sent}(_valued(first, second, false));
    }

    function test_getters_tellTheBlock() public {
        vm.fee(7);
        vm.coinbase(payee);
        vm.prevrandao(bytes32(uint256(42)));
        vm.deal(payer, 5 ether);
        vm.chainId(84532);
        vm.assertEq(MULTICALL.getBlockNumber(), 1000);
        vm.assertEq(MULTICALL.getBlockHash(999), blockhash(999));
        vm.assertTrue(blockhash(999) != bytes32(0));
        vm.assertEq(MULTICALL.getLastBlockHash(), blockhash(999));
        vm.assertEq(MULTICALL.getCurrentBlockTimestamp(), NOW);
        vm.assertEq(MULTICALL.getCurrentBlockGasLimit(), block.gaslimit);
        vm.assertEq(MULTICALL.getCurrentBlockDifficulty(), 42);
        vm.assertEq(MULTICALL.getCurrentBlockCoinbase(), payee);
        vm.assertEq(MULTICALL.getBasefee(), 7);
        vm.assertEq(MULTICALL.getChainId(), 84532);
        vm.assertEq(MULTICALL.getEthBalance(payer), 5 ether);
    }

    function test_getLastBlockHash_ofGenesis() public {
        vm.roll(0);
        vm.assertEq(MULTICALL.getLastBlockHash(), bytes32(0));
    }

    /// @dev The way facilitators use it: ask a token many things at once, some of which may fail.
    function test_aggregate3_readsToken() public {
        IMulticall3.Call3[] memory calls = new IMulticall3.Call3[](2);
        calls[0] = IMulticall3.Call3(address(usdc), true, abi.encodeCall(usdc.balanceOf, (payer)));
        calls[1] = IMulticall3.Call3(address(usdc), true, abi.encodeCall(usdc.authorizationState, (payer, "n")));
        IMulticall3.Result[] memory results = MULTICALL.aggregate3(calls);
        vm.assertEq(results[0].returnData, abi.encode(1000));
        vm.assertEq(results[1].returnData, abi.encode(false));
    }

    function _selector(bytes4 ours, bytes4 known) private pure {
        vm.assertEq(bytes32(ours), bytes32(known));
    }

    function _echo(uint256 word) private pure returns (bytes memory) {
        return abi.encodeCall(Target.echo, (word));
    }

    function _refuse() private pure returns (bytes memory) {
        return abi.encodeCall(Target.refuse, ());
    }

    function _calls(bytes memory first, bytes memory second) private view returns (IMulticall3.Call[] memory calls) {
        calls = new IMulticall3.Call[](2);
        calls[0] = IMulticall3.Call(address(_target), first);
        calls[1] = IMulticall3.Call(address(_target), second);
    }

    function _valued(uint256 first, uint256 second, bool allowFailure)
        private
        view
        returns (IMulticall3.Call3Value[] memory calls)
    {
        calls = new IMulticall3.Call3Value[](2);
        calls[0] = IMulticall3.Call3Value(address(_target), allowFailure, first, _echo(1));
        calls[1] = IMulticall3.Call3Value(address(_target), allowFailure, second, _echo(1));
    }

    function _checkHalfFailed(IMulticall3.Result[] memory results) private pure {
        _checkHalfFailed(0, results);
    }

    function _checkHalfFailed(uint256 value, IMulticall3.Result[] memory results) private pure {
        vm.assertEq(results.length, 2);
        vm.assertTrue(results[0].success);
        vm.assertEq(results[0].returnData, abi.encode(address(MULTICALL), value, 1));
        vm.assertFalse(results[1].success);
        vm.assertEq(results[1].returnData, abi.encodeWithSignature("Error(string)", "no"));
    }
}
