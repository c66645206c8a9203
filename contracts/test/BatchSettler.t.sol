// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IBatchSettler} from "../src/interfaces/IBatchSettler.sol";
import {vm} from "./Vm.sol";
import {Fixture} from "./utils/Fixture.sol";

/// @title Tokens that misbehave in one way each
contract OddToken {
    uint256 public calls;
    uint256 private immutable WAY;

    constructor(uint256 way) {
        WAY = way;
    }

    fallback() external {
        calls += 1;
        uint256 way = WAY;
        bytes memory nested;
        if (way == 5) {
            nested = abi.encodeCall(IBatchSettler.settle, (new IBatchSettler.Item[](1), 0));
            (bool success,) = msg.sender.call(nested);
            require(success, "nested failed");
        }
        assembly ("memory-safe") {
            switch way
            case 0 { return(0, 0) }
            case 1 {
                mstore(0, 1)
                return(0, 32)
            }
            case 2 {
                mstore(0, 0)
                return(0, 32)
            }
            case 3 { revert(0x10000, 100000) }
            case 4 { invalid() }
            case 6 { return(0x10000, 100000) }
        }
    }
}

/// @title A token that burns what it is given and then refuses in 256 bytes
contract GreedyToken {
    fallback() external {
        assembly ("memory-safe") {
            for {} gt(gas(), 400) {} {}
            revert(0x80, 256)
        }
    }
}

/// @title Measures a call from inside a transaction, without what the transaction itself costs
contract Meter {
    /// @notice The gas that a call burns.
    function burnt(address target, bytes calldata data) external returns (uint256) {
        bytes memory input = data;
        uint256 before = gasleft();
        (bool success,) = target.call(input);
        uint256 left = gasleft();
        require(success, "failed");
        return before - left;
    }
}

/// @title Many payments in one call, from the committed artifact
contract BatchSettlerTest is Fixture {
    uint256 private constant GAS = 150_000;
    bytes32 private constant INIT_CODE_HASH = 0xb9cb9f6dd3d314d85fa3c21b7f0ddbf9b55f217c2be4977b79e57c81a25cded4;
    address private constant ADDRESS = 0xC544eF3F48DFF0Fa2A948e5F4811BAe36C653EF7;
    IBatchSettler private _settler;

    function setUp() public override {
        super.setUp();
        _settler = IBatchSettler(create(vm.parseJsonBytes(vm.readFile("artifacts/BatchSettler.json"), ".bytecode")));
    }

    function test_settle_refusesEmptyAndTooMany() public {
        vm.expectRevert(abi.encodeWithSelector(IBatchSettler.EmptyBatch.selector));
        _settler.settle(new IBatchSettler.Item[](0), 0);
        vm.expectRevert(abi.encodeWithSelector(IBatchSettler.TooManyItems.selector, 257));
        _settler.settle(new IBatchSettler.Item[](257), 0);
    }

    function test_settle_refusesTooLittleGas() public {
        IBatchSettler.Item[] memory items = _batch(2);
        vm.expectRevert(abi.encodeWithSelector(IBatchSettler.NotEnoughGas.selector, 0));
        _settler.settle{gas: 2 * GAS}(items, GAS);
        checkBalances(1000, 0);
        vm.expectRevert(abi.encodeWithSelector(IBatchSettler.NotEnoughGas.selector, 0));
        _settler.settle(items, type(uint256).max);
    }

    function test_settle_isolatesFailuresAndKeepsOrder() public {
        IBatchSettler.Item[] memory items = _batch(5);
        items[1].value += 1;
        items[3].token = address(0x1234);
        vm.expectEmit(address(_settler));
        bytes memory text = abi.encodeWithSignature("Error(string)", "FiatTokenV2: invalid signature");
        emit IBatchSettler.ItemFailed(1, payer, items[1].nonce, text);
        vm.expectEmit(address(_settler));
        emit IBatchSettler.ItemFailed(3, payer, items[3].nonce, "");
        _checkSettled(_settler.settle(items, GAS), 0x15);
        checkBalances(700, 300);
    }

    function test_settle_replayAndFrontRun() public {
        IBatchSettler.Item[] memory items = _batch(3);
        items[1] = items[0];
        Auth memory a = auth(bytes32(uint256(2)));
        transferAuthorized(Form.Vrs, a, items[2].signature);
        _checkSettled(_settler.settle(items, GAS), 0x1);
        checkBalances(800, 200);
    }

    function test_settle_refusesAnotherPayee() public {
        IBatchSettler.Item[] memory items = _batch(1);
        items[0].to = relayer;
        _checkSettled(_settler.settle(items, GAS), 0);
        checkBalances(1000, 0);
    }

    function test_settle_oddTokens() public {
        IBatchSettler.Item[] memory items = _batch(8);
        for (uint256 way = 0; way < 7; ++way) {
            items[way].token = address(new OddToken(way));
        }
        uint256 before = gasleft();
        // Silence, the word 1, the reentrant one and the true token settle; way 6 answers with zeros.
        _checkSettled(_settler.settle(items, GAS), 0xa3);
        vm.assertTrue(before - gasleft() < 8 * (GAS + 22_000));
        checkBalances(900, 100);
    }

    /// @dev The dearest work around a call: a token never seen before, the longest signature, the longest reason. The
    /// tokens leave at most 400 gas of what they get, so the rest of what was burnt is the overhead.
    function test_settle_overheadCoversTheDearestItem() public {
        _checkOverhead(1);
        _checkOverhead(16);
    }

    function _checkOverhead(uint256 count) private {
        IBatchSettler.Item[] memory items = _batch(count);
        bytes memory signature = new bytes(8192);
        for (uint256 i = 0; i < count; ++i) {
            items[i].token = address(new GreedyToken());
            items[i].signature = signature;
        }
        bytes memory data = abi.encodeCall(IBatchSettler.settle, (items, GAS));
        uint256 burnt = new Meter().burnt(address(_settler), data);
        vm.assertTrue(burnt > count * (GAS - 400));
        vm.assertTrue(burnt - count * (GAS - 400) <= count * _settler.ITEM_OVERHEAD());
        vm.assertTrue(burnt - count * (GAS - 400) > count * _settler.ITEM_OVERHEAD() * 3 / 4);
    }

    function test_settle_reasonIsBounded() public {
        IBatchSettler.Item[] memory items = _batch(1);
        items[0].token = address(new OddToken(3));
        vm.expectEmit(address(_settler));
        emit IBatchSettler.ItemFailed(0, payer, items[0].nonce, new bytes(256));
        _settler.settle(items, GAS);
    }

    function test_settle_otherLengthsUseBytes() public {
        IBatchSettler.Item[] memory items = _batch(2);
        items[0].signature = "short";
        items[1].signature = new bytes(8193);
        vm.expectEmit(address(_settler));
        bytes memory text = abi.encodeWithSignature("Error(string)", "ECRecover: invalid signature length");
        emit IBatchSettler.ItemFailed(0, payer, items[0].nonce, text);
        vm.expectEmit(address(_settler));
        emit IBatchSettler.ItemFailed(1, payer, items[1].nonce, "");
        _checkSettled(_settler.settle(items, GAS), 0);
    }

    function testFuzz_settle_sumOfTransfers(uint8 damaged) public {
        IBatchSettler.Item[] memory items = _batch(8);
        uint256 sum = 0;
        for (uint256 i = 0; i < 8; ++i) {
            if (damaged >> i & 1 == 1) items[i].nonce = keccak256(abi.encode(i));
            else sum += items[i].value;
        }
        _checkSettled(_settler.settle(items, GAS), uint8(~damaged));
        checkBalances(1000 - sum, sum);
        vm.assertEq(usdc.balanceOf(address(_settler)), 0);
    }

    function test_create2_addressInReadme() public view {
        bytes memory code = vm.parseJsonBytes(vm.readFile("artifacts/BatchSettler.json"), ".bytecode");
        vm.assertEq(keccak256(code), INIT_CODE_HASH);
        bytes32 hash = keccak256(
            abi.encodePacked(hex"ff", 0x4e59b44847b379578588920cA78FbF26c0B4956C, bytes32(0), INIT_CODE_HASH)
        );
        vm.assertEq(hash << 96 >> 96, bytes32(uint256(uint160(ADDRESS))));
    }

    function test_gas_settle() public {
        usdc.mint(payee, 1);
        usdc.mint(payer, 1e6);
        _measure(1, 1000, "1 item");
        _measure(10, 2000, "10 items");
        _measure(100, 3000, "100 items");
    }

    function _measure(uint256 count, uint256 first, string memory name) private {
        IBatchSettler.Item[] memory items = new IBatchSettler.Item[](count);
        for (uint256 i = 0; i < count; ++i) {
            items[i] = _item(first + i);
        }
        bool[] memory settled = _settler.settle(items, GAS);
        vm.snapshotGasLastCall("BatchSettler", name);
        for (uint256 i = 0; i < count; ++i) {
            vm.assertTrue(settled[i]);
        }
    }

    function _batch(uint256 count) private view returns (IBatchSettler.Item[] memory items) {
        items = new IBatchSettler.Item[](count);
        for (uint256 i = 0; i < count; ++i) {
            items[i] = _item(i);
        }
    }

    function _item(uint256 nonce) private view returns (IBatchSettler.Item memory) {
        Auth memory a = auth(bytes32(nonce));
        bytes memory signature = sign(PAYER_KEY, transferDigest(a));
        return IBatchSettler.Item(address(usdc), a.from, a.to, a.value, a.validAfter, a.validBefore, a.nonce, signature);
    }

    /// @dev Compares with a mask: bit i is item i.
    function _checkSettled(bool[] memory settled, uint256 mask) private pure {
        for (uint256 i = 0; i < settled.length; ++i) {
            vm.assertEq(settled[i] ? 1 : 0, mask >> i & 1);
        }
    }
}
