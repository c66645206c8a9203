// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Guarantee, ICreditCore} from "../src/interfaces/ICreditCore.sol";
import {vm} from "./Vm.sol";
import {ValidationFixture} from "./utils/ValidationFixture.sol";
import {BLS} from "solady/src/utils/ext/ithaca/BLS.sol";

/// @title What the credit core's operations cost, kept in snapshots/CreditCore.json
/// @dev Run with --isolate, so that each call is a transaction of its own and the intrinsic gas counts.
contract CreditGasTest is ValidationFixture {
    function test_gas_collateral() public {
        pledge(ETH, 100);
        vm.snapshotGasLastCall("CreditCore", "deposit of ETH, the first");
        pledge(ETH, 100);
        vm.snapshotGasLastCall("CreditCore", "deposit of ETH");
        pledge(address(usdc), 100);
        vm.snapshotGasLastCall("CreditCore", "deposit of a token, the first");
        pledge(address(usdc), 100);
        vm.snapshotGasLastCall("CreditCore", "deposit of a token");
        ask(ETH, 10);
        vm.snapshotGasLastCall("CreditCore", "requestWithdrawal");
        ask(address(usdc), 10);
        vm.warp(NOW + WITHDRAWAL);
        vm.prank(payer);
        core.finalizeWithdrawal();
        vm.snapshotGasLastCall("CreditCore", "finalizeWithdrawal of ETH");
        vm.prank(payer);
        core.finalizeWithdrawal(address(usdc));
        vm.snapshotGasLastCall("CreditCore", "finalizeWithdrawal of a token");
    }

    function test_gas_payments() public {
        usdc.mint(payee, 1);
        vm.prank(payer);
        core.payTabInERC20Token(TAB, address(usdc), 10, payee);
        vm.snapshotGasLastCall("CreditCore", "payTabInERC20Token");
        record("a", address(usdc), 10);
        vm.snapshotGasLastCall("CreditCore", "recordPaymentById, the tab's first");
        record("b", address(usdc), 10);
        vm.snapshotGasLastCall("CreditCore", "recordPaymentById");
        record("b", address(usdc), 10);
        vm.snapshotGasLastCall("CreditCore", "recordPaymentById, again");
        ICreditCore.PaymentRecord[] memory records = new ICreditCore.PaymentRecord[](100);
        for (uint256 i = 0; i < 100; ++i) {
            records[i] = ICreditCore.PaymentRecord(keccak256(abi.encode(i)), 1000 + i, ETH, 10);
        }
        vm.prank(operator);
        core.recordPaymentsById(records);
        vm.snapshotGasLastCall("CreditCore", "recordPaymentsById, 100 new tabs");
    }

    function test_gas_remunerate() public {
        pledge(ETH, 100);
        pledge(address(usdc), 100);
        vm.deal(payee, 1);
        usdc.mint(payee, 1);
        Guarantee memory first = claimOf(ETH, 10, 10);
        Guarantee memory next = claimOf(ETH, 10, 20);
        Guarantee memory token = claimOf(address(usdc), 10, 10);
        token.tabId = 2;
        vm.warp(NOW + GRACE);
        redeem(first);
        vm.snapshotGasLastCall("CreditCore", "remunerate, version 1, ETH");
        redeem(next);
        vm.snapshotGasLastCall("CreditCore", "remunerate, version 1, ETH, the tab's second");
        redeem(token);
        vm.snapshotGasLastCall("CreditCore", "remunerate, version 1, token");
    }

    function test_gas_remunerate_versionTwo() public {
        pledge(ETH, 100);
        vm.deal(payee, 1);
        Guarantee memory claim = claimOfTwo(30);
        Terms memory terms = termsOf(claim, "hard-finality");
        answer(terms, 90, "hard-finality");
        bytes memory certificate = abi.encode(uint64(2), encode(claim, terms, true));
        BLS.G2Point memory signature = signBls(OPERATOR_KEY, certificate);
        vm.warp(NOW + GRACE);
        core.remunerate(certificate, signature);
        vm.snapshotGasLastCall("CreditCore", "remunerate, version 2, ETH");
    }
}
