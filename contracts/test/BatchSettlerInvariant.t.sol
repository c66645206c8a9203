// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IBatchSettler} from "../src/interfaces/IBatchSettler.sol";
import {vm} from "./Vm.sol";
import {Fixture} from "./utils/Fixture.sol";

/// @title Batches of good, repeated and forged items, in any order
contract BatchSettlerHandler is Fixture {
    IBatchSettler public settler;
    uint256 public authorized;
    uint256 public wronglyTaken;
    mapping(bytes32 => bool) private _spent;

    function setUp() public override {
        super.setUp();
        settler = IBatchSettler(create(vm.parseJsonBytes(vm.readFile("artifacts/BatchSettler.json"), ".bytecode")));
        usdc.mint(payer, 1e9);
    }

    function settle(uint8[3] calldata nonces, uint8 forged) external {
        IBatchSettler.Item[] memory items = new IBatchSettler.Item[](3);
        for (uint256 i = 0; i < 3; ++i) {
            Auth memory a = auth(bytes32(uint256(nonces[i])));
            bytes memory signature = sign(forged >> i & 1 == 1 ? OTHER_KEY : PAYER_KEY, transferDigest(a));
            items[i] = IBatchSettler.Item(
                address(usdc), a.from, a.to, a.value, a.validAfter, a.validBefore, a.nonce, signature
            );
        }
        bool[] memory settled = settler.settle(items, 150_000);
        for (uint256 i = 0; i < 3; ++i) {
            bool expected = forged >> i & 1 == 0 && !_spent[items[i].nonce];
            if (settled[i] != expected) wronglyTaken += 1;
            if (!expected) continue;
            _spent[items[i].nonce] = true;
            authorized += items[i].value;
        }
    }

    function holdings() external view returns (uint256 ofSettler, uint256 ofPayer, uint256 ofPayee) {
        return (usdc.balanceOf(address(settler)), usdc.balanceOf(payer), usdc.balanceOf(payee));
    }
}

/// @title The settler holds nothing and moves what was authorized
contract BatchSettlerInvariantTest {
    BatchSettlerHandler private _handler;

    function setUp() public {
        _handler = new BatchSettlerHandler();
        _handler.setUp();
    }

    /// @notice forge calls only the handler, and only to settle.
    function targetContracts() external view returns (address[] memory list) {
        list = new address[](1);
        list[0] = address(_handler);
    }

    /// @dev Not setUp, which would begin anew.
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function targetSelectors() external view returns (FuzzSelector[] memory list) {
        list = new FuzzSelector[](1);
        list[0].addr = address(_handler);
        list[0].selectors = new bytes4[](1);
        list[0].selectors[0] = BatchSettlerHandler.settle.selector;
    }

    function invariant_holdsNothingAndMovesWhatWasAuthorized() external view {
        (uint256 ofSettler, uint256 ofPayer, uint256 ofPayee) = _handler.holdings();
        vm.assertEq(ofSettler, 0);
        vm.assertEq(ofPayee, _handler.authorized());
        vm.assertEq(ofPayer + ofPayee, 1e9 + 1000);
        vm.assertEq(_handler.wronglyTaken(), 0);
    }
}
