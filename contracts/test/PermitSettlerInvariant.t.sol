// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {IPermitSettler} from "../src/interfaces/IPermitSettler.sol";
import {vm} from "./Vm.sol";
import {PermitFixture} from "./utils/PermitFixture.sol";

/// @title Batches of good, repeated, forged and front-run items of all kinds by two payers, in any order
contract PermitSettlerHandler is PermitFixture {
    uint256 public authorized;
    uint256 public wronglyTold;
    mapping(bytes32 item => bool) private _paid;
    uint256[2] private _keys = [PAYER_KEY, OTHER_KEY];

    function setUp() public override {
        super.setUp();
        usdc.mint(payer, 1e9);
        usdc.mint(vm.addr(OTHER_KEY), 1e9);
        vm.prank(vm.addr(OTHER_KEY));
        require(usdc.approve(PERMIT2, type(uint256).max), "refused");
    }

    /// @dev Each item of three from 16 bits: kind, payer, whether forged, and a nonce near the next one.
    function settle(uint16[3] calldata picks, bool alone) external {
        IPermitSettler.Item[] memory items = new IPermitSettler.Item[](3);
        for (uint256 i = 0; i < 3; ++i) {
            items[i] = _pick(picks[i]);
        }
        if (!alone) {
            bool[] memory settled = settler.settle(items, GAS);
            for (uint256 i = 0; i < 3; ++i) {
                if (settled[i]) _count(items[i]);
            }
            return;
        }
        for (uint256 i = 0; i < 3; ++i) {
            try settler.settleOne(items[i]) {
                _count(items[i]);
            } catch {}
        }
    }

    /// @dev Somebody hands a permit or an authorization to the token itself.
    function interfere(uint16 pick) external {
        IPermitSettler.Item memory item = _pick(pick & 0xff7f);
        if (item.kind == IPermitSettler.Kind.Permit) {
            if (usdc.nonces(item.payer) != item.nonce) return;
            frontRun(item);
        } else if (item.kind == IPermitSettler.Kind.Authorization) {
            if (usdc.authorizationState(item.payer, bytes32(item.nonce))) return;
            frontRun(item);
            _count(item);
        }
    }

    /// @dev A payer leaves an allowance of any size.
    function approve(uint16 value) external {
        vm.prank(payer);
        require(usdc.approve(address(settler), value), "refused");
    }

    function forward() external {
        settler.forward(address(usdc));
    }

    /// @dev A word of the settler may be told about each signed item at most once.
    function _count(IPermitSettler.Item memory item) private {
        bytes32 key = keccak256(abi.encode(item.kind, item.payer, item.nonce));
        if (_paid[key]) wronglyTold += 1;
        _paid[key] = true;
        authorized += item.value;
    }

    function _pick(uint16 pick) private view returns (IPermitSettler.Item memory item) {
        uint256 key = _keys[pick >> 8 & 1];
        address owner = vm.addr(key);
        uint256 nonce = pick & 7;
        uint256 kind = (pick >> 9) % 3;
        if (kind == 0) {
            uint256 next = usdc.nonces(owner);
            nonce = next + nonce > 4 ? next + nonce - 4 : 0;
            item = permitItem(key, nonce, 10 + nonce);
        } else if (kind == 1) {
            item = authorizationItem(key, pick >> 4 & 7, 100 + nonce);
        } else {
            item = permit2Item(key, address(usdc), pick >> 4 & 7, 1000);
        }
        if (pick >> 7 & 1 == 1) {
            uint256 other = key == PAYER_KEY ? OTHER_KEY : PAYER_KEY;
            item.payer = vm.addr(other);
        }
    }

    function holdings() external view returns (uint256 ofSettler, uint256 ofPayers, uint256 ofTreasury) {
        ofPayers = usdc.balanceOf(payer) + usdc.balanceOf(vm.addr(OTHER_KEY));
        return (usdc.balanceOf(address(settler)), ofPayers, usdc.balanceOf(payee));
    }

    function sweepAndHold() external returns (uint256) {
        settler.forward(address(usdc));
        return usdc.balanceOf(address(settler));
    }
}

/// @title What leaves payers is what they signed, once, and it reaches the treasury
contract PermitSettlerInvariantTest {
    PermitSettlerHandler private _handler;

    function setUp() public {
        _handler = new PermitSettlerHandler();
        _handler.setUp();
    }

    /// @notice forge calls only the handler.
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
        list[0].selectors = new bytes4[](4);
        list[0].selectors[0] = PermitSettlerHandler.settle.selector;
        list[0].selectors[1] = PermitSettlerHandler.interfere.selector;
        list[0].selectors[2] = PermitSettlerHandler.approve.selector;
        list[0].selectors[3] = PermitSettlerHandler.forward.selector;
    }

    function invariant_movesWhatWasSignedToTheTreasuryOnce() external {
        (uint256 ofSettler, uint256 ofPayers, uint256 ofTreasury) = _handler.holdings();
        vm.assertEq(ofTreasury + ofSettler, _handler.authorized());
        vm.assertEq(ofPayers + ofTreasury + ofSettler, 2e9 + 1000);
        vm.assertEq(_handler.wronglyTold(), 0);
        vm.assertEq(_handler.sweepAndHold(), 0);
    }
}
