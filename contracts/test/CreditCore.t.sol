// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ICreditCore} from "../src/interfaces/ICreditCore.sol";
import {vm} from "./Vm.sol";
import {CreditFixture} from "./utils/CreditFixture.sol";
import {FeeToken} from "./utils/CreditTokens.sol";
import {IAccessManaged} from "@openzeppelin/contracts/access/manager/IAccessManaged.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

/// @title Collateral, withdrawals, payments and their records
contract CreditCoreTest is CreditFixture {
    function test_deposit() public {
        vm.expectEmit(address(core));
        emit ICreditCore.CollateralDeposited(payer, ETH, 3);
        pledge(ETH, 3);
        pledge(ETH, 4);
        pledge(address(usdc), 5);
        vm.assertEq(core.collateral(payer), 7);
        vm.assertEq(core.collateral(payer, address(usdc)), 5);
        vm.assertEq(address(core).balance, 7);
        vm.assertEq(usdc.balanceOf(address(core)), 5);
        ICreditCore.UserAsset[] memory rows = core.getUserAllAssets(payer);
        vm.assertEq(rows.length, 2);
        vm.assertEq(rows[0].asset, ETH);
        vm.assertEq(rows[0].collateral, 7);
        vm.assertEq(rows[1].asset, address(usdc));
        vm.assertEq(rows[1].collateral, 5);
        vm.assertEq(core.USDC(), address(usdc));
        vm.assertEq(core.USDT(), address(0));
    }

    function test_deposit_refused() public {
        vm.expectRevert(abi.encodePacked(ICreditCore.AmountZero.selector));
        core.deposit();
        vm.expectRevert(abi.encodePacked(ICreditCore.AmountZero.selector));
        core.depositStablecoin(address(usdc), 0);
        vm.expectRevert(abi.encodeWithSelector(ICreditCore.UnsupportedAsset.selector, ETH));
        core.depositStablecoin(ETH, 1);
        vm.expectRevert(abi.encodeWithSelector(ICreditCore.UnsupportedAsset.selector, payee));
        core.depositStablecoin(payee, 1);
        vm.deal(payer, 1 << 105);
        pledge(ETH, (1 << 104) - 1);
        vm.expectRevert(abi.encodePacked(ICreditCore.IllegalValue.selector));
        pledge(ETH, 1);
    }

    function test_deposit_directly() public {
        vm.deal(address(this), 10);
        (bool done, bytes memory why) = address(core).call{value: 1}("");
        vm.assertFalse(done);
        vm.assertEq(why, abi.encodePacked(ICreditCore.DirectTransferNotAllowed.selector));
        (done, why) = address(core).call(hex"12345678");
        vm.assertFalse(done);
        vm.assertEq(why, abi.encodePacked(ICreditCore.DirectTransferNotAllowed.selector));
    }

    /// @dev What a token keeps for itself is nobody's collateral.
    function test_deposit_ofATokenWithAFee() public {
        FeeToken token = new FeeToken();
        addAsset(address(token));
        token.mint(payer, 1000);
        vm.prank(payer);
        require(token.approve(address(core), 1000), "refused");
        pledge(address(token), 500);
        vm.assertEq(core.collateral(payer, address(token)), 450);
        vm.assertEq(token.balanceOf(address(core)), 450);
        vm.expectEmit(address(core));
        emit ICreditCore.TabPaid(TAB, address(token), payer, payee, 90);
        vm.prank(payer);
        core.payTabInERC20Token(TAB, address(token), 100, payee);
        vm.expectRevert(abi.encodePacked(ICreditCore.TransferFailed.selector));
        pledge(address(token), 1); // the fee takes all of it
    }

    function test_withdrawal() public {
        pledge(ETH, 10);
        vm.expectEmit(address(core));
        emit ICreditCore.WithdrawalRequested(payer, ETH, NOW, 6);
        vm.prank(payer);
        core.requestWithdrawal(6);
        vm.warp(NOW + 5);
        ask(ETH, 4); // in place of the first, and the time begins anew
        (uint256 when, uint256 amount) = core.withdrawalRequests(payer, ETH);
        vm.assertEq(when, NOW + 5);
        vm.assertEq(amount, 4);
        vm.warp(NOW + 5 + WITHDRAWAL - 1);
        vm.expectRevert(abi.encodePacked(ICreditCore.GracePeriodNotElapsed.selector));
        vm.prank(payer);
        core.finalizeWithdrawal();
        vm.warp(NOW + 5 + WITHDRAWAL);
        uint256 before = payer.balance;
        vm.expectEmit(address(core));
        emit ICreditCore.CollateralWithdrawn(payer, ETH, 4);
        vm.prank(payer);
        core.finalizeWithdrawal();
        vm.assertEq(payer.balance, before + 4);
        vm.assertEq(core.collateral(payer), 6);
        vm.expectRevert(abi.encodePacked(ICreditCore.NoWithdrawalRequested.selector));
        vm.prank(payer);
        core.finalizeWithdrawal();
    }

    function test_withdrawal_ofTokens() public {
        pledge(address(usdc), 10);
        ask(address(usdc), 10);
        (uint256 held, uint256 when, uint256 amount) = core.getUser(payer, address(usdc));
        vm.assertEq(held, 10);
        vm.assertEq(when, NOW);
        vm.assertEq(amount, 10);
        vm.warp(NOW + WITHDRAWAL);
        uint256 before = usdc.balanceOf(payer);
        vm.prank(payer);
        core.finalizeWithdrawal(address(usdc));
        vm.assertEq(usdc.balanceOf(payer), before + 10);
        vm.assertEq(core.collateral(payer, address(usdc)), 0);
    }

    function test_withdrawal_refused() public {
        pledge(ETH, 10);
        vm.expectRevert(abi.encodePacked(ICreditCore.AmountZero.selector));
        ask(ETH, 0);
        vm.expectRevert(abi.encodePacked(ICreditCore.InsufficientAvailable.selector));
        ask(ETH, 11);
        vm.expectRevert(abi.encodeWithSelector(ICreditCore.UnsupportedAsset.selector, payee));
        ask(payee, 1);
        vm.expectRevert(abi.encodePacked(ICreditCore.NoWithdrawalRequested.selector));
        vm.prank(payer);
        core.cancelWithdrawal();
    }

    function test_withdrawal_canceled() public {
        pledge(ETH, 10);
        ask(ETH, 10);
        vm.expectEmit(address(core));
        emit ICreditCore.WithdrawalCanceled(payer, ETH);
        vm.prank(payer);
        core.cancelWithdrawal();
        vm.warp(NOW + WITHDRAWAL);
        vm.expectRevert(abi.encodePacked(ICreditCore.NoWithdrawalRequested.selector));
        vm.prank(payer);
        core.finalizeWithdrawal();
    }

    /// @dev Pausing stops what puts money at risk and nothing that gets it out.
    function test_pause() public {
        pledge(ETH, 10);
        pledge(address(usdc), 10);
        ask(ETH, 5);
        ask(address(usdc), 5);
        vm.prank(guardian);
        core.pause();
        bytes memory paused = abi.encodePacked(Pausable.EnforcedPause.selector);
        vm.expectRevert(paused);
        pledge(ETH, 1);
        vm.expectRevert(paused);
        pledge(address(usdc), 1);
        vm.expectRevert(paused);
        ask(ETH, 1);
        vm.expectRevert(paused);
        vm.prank(payer);
        core.payTabInERC20Token(TAB, address(usdc), 1, payee);
        record("1", ETH, 1);
        vm.warp(NOW + WITHDRAWAL);
        vm.prank(payer);
        core.cancelWithdrawal(address(usdc));
        vm.prank(payer);
        core.finalizeWithdrawal();
        vm.prank(governor);
        core.unpause();
        pledge(ETH, 1);
    }

    function test_payTab() public {
        uint256 before = usdc.balanceOf(payer);
        vm.expectEmit(address(core));
        emit ICreditCore.TabPaid(TAB, address(usdc), payer, payee, 7);
        vm.prank(payer);
        core.payTabInERC20Token(TAB, address(usdc), 7, payee);
        vm.assertEq(usdc.balanceOf(payee), 7);
        vm.assertEq(usdc.balanceOf(payer), before - 7);
        (uint256 paid,,) = core.getPaymentStatus(TAB);
        vm.assertEq(paid, 0); // only the operator's word counts
    }

    function test_payTab_refused() public {
        vm.startPrank(payer);
        vm.expectRevert(abi.encodePacked(ICreditCore.AmountZero.selector));
        core.payTabInERC20Token(TAB, address(usdc), 0, payee);
        vm.expectRevert(abi.encodePacked(ICreditCore.InvalidRecipient.selector));
        core.payTabInERC20Token(TAB, address(usdc), 1, address(0));
        vm.expectRevert(abi.encodePacked(ICreditCore.InvalidRecipient.selector));
        core.payTabInERC20Token(TAB, address(usdc), 1, address(core));
        vm.expectRevert(abi.encodePacked(ICreditCore.TransferFailed.selector));
        core.payTabInERC20Token(TAB, address(usdc), 1, payer); // to oneself nothing arrives
        vm.expectRevert(abi.encodeWithSelector(ICreditCore.UnsupportedAsset.selector, ETH));
        core.payTabInERC20Token(TAB, ETH, 1, payee);
        vm.stopPrank();
    }

    function test_recordPayment() public {
        vm.prank(operator);
        core.recordPayment(TAB, address(usdc), 3);
        vm.prank(operator);
        core.recordPayment(TAB, address(usdc), 3);
        (uint256 paid, bool remunerated, address asset) = core.payments(TAB);
        vm.assertEq(paid, 6);
        vm.assertFalse(remunerated);
        vm.assertEq(asset, address(usdc));
        vm.startPrank(operator);
        vm.expectRevert(abi.encodeWithSelector(ICreditCore.InvalidAsset.selector, ETH));
        core.recordPayment(TAB, ETH, 1);
        vm.expectRevert(abi.encodeWithSelector(ICreditCore.UnsupportedAsset.selector, payee));
        core.recordPayment(TAB, payee, 1);
        vm.expectRevert(abi.encodePacked(ICreditCore.AmountZero.selector));
        core.recordPayment(TAB, address(usdc), 0);
        vm.expectRevert(abi.encodePacked(ICreditCore.IllegalValue.selector));
        core.recordPayment(TAB, address(usdc), type(uint120).max - 5);
        core.recordPayment(TAB, address(usdc), type(uint120).max - 6);
        vm.stopPrank();
    }

    function test_recordPaymentById_once() public {
        record("a", ETH, 3);
        vm.assertEq(core.paymentRecordDigest("a"), keccak256(abi.encode(TAB, ETH, uint256(3))));
        vm.expectEmit(address(core));
        emit ICreditCore.PaymentRecordReplayed("a", TAB, ETH, 3);
        record("a", ETH, 3);
        (uint256 paid,,) = core.getPaymentStatus(TAB);
        vm.assertEq(paid, 3);
        vm.expectRevert(abi.encodeWithSelector(ICreditCore.PaymentRecordConflict.selector, bytes32("a")));
        record("a", ETH, 4);
        vm.expectRevert(abi.encodeWithSelector(ICreditCore.InvalidAsset.selector, address(usdc)));
        record("b", address(usdc), 1);
        vm.assertEq(core.paymentRecordDigest("b"), bytes32(0)); // what was refused may come again
    }

    /// @dev The payment of another tab, of a wrong asset, a conflict and a replay: none stops the others.
    function test_recordPaymentsById() public {
        record("a", ETH, 3);
        ICreditCore.PaymentRecord[] memory records = new ICreditCore.PaymentRecord[](5);
        records[0] = ICreditCore.PaymentRecord("a", TAB, ETH, 3);
        records[1] = ICreditCore.PaymentRecord("a", TAB, ETH, 4);
        records[2] = ICreditCore.PaymentRecord("b", TAB, address(usdc), 1);
        records[3] = ICreditCore.PaymentRecord("c", TAB, ETH, 5);
        records[4] = ICreditCore.PaymentRecord("c", TAB, ETH, 5);
        vm.expectEmit(address(core));
        emit ICreditCore.PaymentRecordReplayed("a", TAB, ETH, 3);
        vm.expectEmit(address(core));
        emit ICreditCore.PaymentRecordRefused("a", TAB, ETH, 4, ICreditCore.PaymentRecordConflict.selector);
        vm.expectEmit(address(core));
        emit ICreditCore.PaymentRecordRefused("b", TAB, address(usdc), 1, ICreditCore.InvalidAsset.selector);
        vm.expectEmit(address(core));
        emit ICreditCore.PaymentRecordedById("c", TAB, ETH, 5);
        vm.expectEmit(address(core));
        emit ICreditCore.PaymentRecordReplayed("c", TAB, ETH, 5);
        vm.prank(operator);
        core.recordPaymentsById(records);
        (uint256 paid,,) = core.getPaymentStatus(TAB);
        vm.assertEq(paid, 8);
    }

    /// @dev Nobody but the holder of the role that a function was opened to may call it.
    function test_roles() public {
        bytes[] memory calls = new bytes[](13);
        calls[0] = abi.encodeCall(ICreditCore.recordPayment, (TAB, ETH, 1));
        calls[1] = abi.encodeCall(ICreditCore.recordPaymentById, ("x", TAB, ETH, 1));
        calls[2] = abi.encodeCall(ICreditCore.recordPaymentsById, (new ICreditCore.PaymentRecord[](0)));
        calls[3] = abi.encodeCall(ICreditCore.pause, ());
        calls[4] = abi.encodeCall(ICreditCore.unpause, ());
        calls[5] = abi.encodeCall(ICreditCore.addAsset, (payee));
        calls[6] = abi.encodeCall(ICreditCore.setGuaranteeVerificationKey, (publicKey(8)));
        calls[7] = abi.encodeCall(ICreditCore.configureGuaranteeVersion, (2, publicKey(8), "d", address(usdc), true));
        calls[8] = abi.encodeCall(ICreditCore.setRemunerationGracePeriod, (13 days));
        calls[9] = abi.encodeCall(ICreditCore.setTabExpirationTime, (20 days));
        calls[10] = abi.encodeCall(ICreditCore.setSynchronizationDelay, (1 hours));
        calls[11] = abi.encodeCall(ICreditCore.setWithdrawalGracePeriod, (23 days));
        calls[12] = abi.encodeCall(ICreditCore.setTimingParameters, (1, 2, 1, 4));
        for (uint256 i = 0; i < calls.length; ++i) {
            vm.prank(i < 3 ? governor : operator);
            (bool done, bytes memory why) = address(core).call(calls[i]);
            vm.assertFalse(done);
            address caller = i < 3 ? governor : operator;
            vm.assertEq(why, abi.encodeWithSelector(IAccessManaged.AccessManagedUnauthorized.selector, caller));
        }
    }

    function test_addAsset() public {
        FeeToken token = new FeeToken();
        vm.expectEmit(address(core));
        emit ICreditCore.StablecoinAssetUpdated(address(token), true);
        addAsset(address(token));
        vm.assertEq(core.getERC20Tokens().length, 2);
        vm.assertEq(core.USDT(), address(token));
        vm.assertEq(core.getUserAllAssets(payer)[2].asset, address(token));
        vm.expectRevert(abi.encodeWithSelector(ICreditCore.InvalidAsset.selector, address(token)));
        addAsset(address(token));
        vm.expectRevert(abi.encodeWithSelector(ICreditCore.InvalidAsset.selector, payee));
        addAsset(payee);
        vm.expectRevert(abi.encodeWithSelector(ICreditCore.InvalidAsset.selector, ETH));
        addAsset(ETH);
        for (uint256 i = 0; i < 30; ++i) {
            addAsset(address(new FeeToken()));
        }
        token = new FeeToken();
        vm.expectRevert(abi.encodePacked(ICreditCore.IllegalValue.selector));
        addAsset(address(token));
        vm.assertEq(core.getUserAllAssets(payer).length, 33);
    }

    function addAsset(address asset) private {
        vm.prank(governor);
        core.addAsset(asset);
    }
}
