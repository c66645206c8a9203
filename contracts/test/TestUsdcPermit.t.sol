// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {vm} from "./Vm.sol";
import {Fixture} from "./utils/Fixture.sol";
import {OwnerWallet} from "./utils/Wallets.sol";
import {IERC20} from "@openzeppelin/contracts/token/ERC20/IERC20.sol";

/// @title Allowances by signature (EIP-2612), each case through both signature forms
contract TestUsdcPermitTest is Fixture {
    function test_permit_vrs() public {
        _permits(Form.Vrs);
    }

    function test_permit_bytes() public {
        _permits(Form.Bytes);
    }

    function _permits(Form form) private {
        bytes memory signature = sign(PAYER_KEY, permitDigest(payer, relayer, 70, 0, NOW));
        vm.expectEmit(address(usdc));
        emit IERC20.Approval(payer, relayer, 70);
        permit(form, payer, relayer, 70, NOW, signature);
        vm.assertEq(usdc.allowance(payer, relayer), 70);
        vm.assertEq(usdc.nonces(payer), 1);

        vm.prank(relayer);
        usdc.transferFrom(payer, payee, 70);
        checkBalances(930, 70);
    }

    function test_permit_refusesReplay() public {
        bytes memory signature = sign(PAYER_KEY, permitDigest(payer, relayer, 70, 0, NOW));
        permit(Form.Vrs, payer, relayer, 70, NOW, signature);
        for (uint256 form = 0; form < 2; ++form) {
            expectText("EIP2612: invalid signature");
            permit(Form(form), payer, relayer, 70, NOW, signature);
        }
        vm.assertEq(usdc.nonces(payer), 1);
    }

    function test_permit_nextNonceReplacesAllowance() public {
        permit(Form.Vrs, payer, relayer, 70, NOW, sign(PAYER_KEY, permitDigest(payer, relayer, 70, 0, NOW)));
        permit(Form.Bytes, payer, relayer, 5, NOW, sign(PAYER_KEY, permitDigest(payer, relayer, 5, 1, NOW)));
        vm.assertEq(usdc.allowance(payer, relayer), 5);
        vm.assertEq(usdc.nonces(payer), 2);
    }

    function test_permit_refusesNonceAhead() public {
        _bothRefuse(70, NOW, sign(PAYER_KEY, permitDigest(payer, relayer, 70, 1, NOW)), "EIP2612: invalid signature");
    }

    function test_permit_deadlineIsInclusive() public {
        bytes memory signature = sign(PAYER_KEY, permitDigest(payer, relayer, 70, 0, NOW));
        vm.warp(NOW + 1);
        _bothRefuse(70, NOW, signature, "FiatTokenV2: permit is expired");
        vm.warp(NOW);
        permit(Form.Vrs, payer, relayer, 70, NOW, signature);
    }

    function test_permit_withoutDeadline() public {
        uint256 never = type(uint256).max;
        permit(Form.Vrs, payer, relayer, 70, never, sign(PAYER_KEY, permitDigest(payer, relayer, 70, 0, never)));
        vm.assertEq(usdc.allowance(payer, relayer), 70);
    }

    function test_permit_refusesWrongSigner() public {
        _bothRefuse(70, NOW, sign(OTHER_KEY, permitDigest(payer, relayer, 70, 0, NOW)), "EIP2612: invalid signature");
        vm.assertEq(usdc.nonces(payer), 0);
    }

    function test_permit_refusesChangedValue() public {
        _bothRefuse(71, NOW, sign(PAYER_KEY, permitDigest(payer, relayer, 70, 0, NOW)), "EIP2612: invalid signature");
    }

    function test_permit_refusesHighS() public {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(PAYER_KEY, permitDigest(payer, relayer, 70, 0, NOW));
        bytes memory signature = abi.encodePacked(r, CURVE_ORDER - uint256(s), v == 27 ? uint8(28) : uint8(27));
        _bothRefuse(70, NOW, signature, "ECRecover: invalid signature 's' value");
    }

    function test_permit_byContractWallet() public {
        address wallet = address(new OwnerWallet(payer));
        bytes memory signature = sign(PAYER_KEY, permitDigest(wallet, relayer, 70, 0, NOW));
        permit(Form.Vrs, wallet, relayer, 70, NOW, signature);
        vm.assertEq(usdc.allowance(wallet, relayer), 70);
        signature = sign(PAYER_KEY, permitDigest(wallet, relayer, 80, 1, NOW));
        permit(Form.Bytes, wallet, relayer, 80, NOW, signature);
        vm.assertEq(usdc.allowance(wallet, relayer), 80);
        vm.assertEq(usdc.allowance(payer, relayer), 0);
    }

    function test_permit_refusesZeroSpender() public {
        bytes memory signature = sign(PAYER_KEY, permitDigest(payer, address(0), 70, 0, NOW));
        expectText("ERC20: approve to the zero address");
        permit(Form.Vrs, payer, address(0), 70, NOW, signature);
    }

    function testFuzz_permit_setsAllowance(uint256 key, address spender, uint256 value, uint256 deadline) public {
        key = 1 + key % (CURVE_ORDER - 1);
        address owner = vm.addr(key);
        vm.assume(spender != address(0) && owner.code.length == 0);
        bytes memory signature = sign(key, permitDigest(owner, spender, value, 0, deadline));
        if (deadline < NOW) expectText("FiatTokenV2: permit is expired");
        permit(value % 2 == 0 ? Form.Vrs : Form.Bytes, owner, spender, value, deadline, signature);
        vm.assertEq(usdc.allowance(owner, spender), deadline < NOW ? 0 : value);
        vm.assertEq(usdc.nonces(owner), deadline < NOW ? 0 : 1);
    }

    function _bothRefuse(uint256 value, uint256 deadline, bytes memory signature, string memory text) private {
        for (uint256 form = 0; form < 2; ++form) {
            expectText(text);
            permit(Form(form), payer, relayer, value, deadline, signature);
        }
    }
}
