// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Guarantee, ICreditCore} from "../src/interfaces/ICreditCore.sol";
import {vm} from "./Vm.sol";
import {CreditFixture} from "./utils/CreditFixture.sol";
import {BLS} from "solady/src/utils/ext/ithaca/BLS.sol";

/// @title Certificates redeemed: who is paid how much, and when
contract CreditRemunerateTest is CreditFixture {
    function test_remunerate_eth() public {
        pledge(ETH, 100);
        Guarantee memory claim = claimOf(ETH, 10, 30);
        vm.warp(NOW + GRACE);
        vm.expectEmit(address(core));
        emit ICreditCore.CollateralDebited(payer, ETH, TAB, payee, 30, 0);
        vm.expectEmit(address(core));
        emit ICreditCore.RecipientRemunerated(TAB, ETH, 30);
        redeem(claim);
        vm.assertEq(payee.balance, 30);
        vm.assertEq(core.collateral(payer), 70);
        (uint256 paid, bool remunerated, address asset) = core.getPaymentStatus(TAB);
        vm.assertEq(paid, 0);
        vm.assertTrue(remunerated);
        vm.assertEq(asset, ETH);
        vm.assertEq(core.remuneratedAmount(TAB), 30);
    }

    function test_remunerate_token() public {
        pledge(address(usdc), 100);
        Guarantee memory claim = claimOf(address(usdc), 10, 30);
        vm.warp(NOW + GRACE);
        redeem(claim);
        vm.assertEq(usdc.balanceOf(payee), 30);
        vm.assertEq(core.collateral(payer, address(usdc)), 70);
    }

    /// @dev What a payer might try: redeem the first certificate of a tab, to use the tab up.
    function test_remunerate_anOldCertificateBurnsNothing() public {
        pledge(ETH, 100);
        Guarantee memory first = claimOf(ETH, 10, 10);
        vm.warp(NOW + 1 days);
        Guarantee memory second = claimOf(ETH, 10, 20);
        vm.warp(NOW + 2 days);
        Guarantee memory last = claimOf(ETH, 10, 30);
        vm.warp(NOW + 2 days + GRACE);
        vm.prank(payer);
        redeem(first);
        vm.assertEq(payee.balance, 10);
        redeem(last);
        vm.assertEq(payee.balance, 30);
        bytes4 gone = ICreditCore.TabPreviouslyRemunerated.selector;
        redeemRefused(first, gone);
        redeemRefused(second, gone);
        redeemRefused(last, gone);
        vm.assertEq(payee.balance, 30);
        vm.assertEq(core.collateral(payer), 70);
    }

    function test_remunerate_less_whatWasPaid() public {
        pledge(ETH, 100);
        Guarantee memory claim = claimOf(ETH, 10, 30);
        record("a", ETH, 12);
        vm.warp(NOW + GRACE);
        redeem(claim);
        vm.assertEq(payee.balance, 18);
        vm.assertEq(core.collateral(payer), 82);
    }

    function test_remunerate_nothingOfAPaidTab() public {
        pledge(ETH, 100);
        Guarantee memory claim = claimOf(ETH, 10, 30);
        record("a", ETH, 30);
        vm.warp(NOW + GRACE);
        redeemRefused(claim, ICreditCore.TabAlreadyPaid.selector);
    }

    /// @dev A payment recorded after the payout counts against what is guaranteed later.
    function test_remunerate_aPaymentRecordedLateCountsLater() public {
        pledge(ETH, 100);
        Guarantee memory claim = claimOf(ETH, 10, 30);
        vm.warp(NOW + GRACE);
        redeem(claim);
        record("late", ETH, 30);
        Guarantee memory next = claimOf(ETH, 10, 50);
        vm.warp(NOW + 2 * GRACE);
        redeemRefused(next, ICreditCore.TabPreviouslyRemunerated.selector); // 60 of 50
        next.totalAmount = 65;
        redeem(next);
        vm.assertEq(payee.balance, 35);
        vm.assertEq(core.collateral(payer), 65);
        vm.assertEq(core.remuneratedAmount(TAB), 35);
    }

    /// @dev Too little collateral pays what there is, and the rest when more comes.
    function test_remunerate_whatThereIs() public {
        pledge(ETH, 10);
        Guarantee memory claim = claimOf(ETH, 10, 30);
        vm.warp(NOW + GRACE);
        vm.expectEmit(address(core));
        emit ICreditCore.CollateralDebited(payer, ETH, TAB, payee, 10, 20);
        redeem(claim);
        vm.assertEq(payee.balance, 10);
        redeemRefused(claim, ICreditCore.DoubleSpendingDetected.selector);
        pledge(ETH, 100);
        redeem(claim);
        vm.assertEq(payee.balance, 30);
        vm.assertEq(core.collateral(payer), 80);
    }

    function test_remunerate_onlyInItsTime() public {
        pledge(ETH, 100);
        Guarantee memory claim = claimOf(ETH, 10, 30);
        vm.warp(NOW + GRACE - 1);
        redeemRefused(claim, ICreditCore.TabNotYetOverdue.selector);
        vm.warp(NOW + EXPIRATION + 1);
        redeemRefused(claim, ICreditCore.TabExpired.selector);
        vm.warp(NOW + EXPIRATION);
        redeem(claim);
        claim.timestamp = type(uint64).max;
        claim.tabId = 1;
        redeemRefused(claim, ICreditCore.TabNotYetOverdue.selector);
        claim.timestamp = 0;
        redeemRefused(claim, ICreditCore.TabExpired.selector);
    }

    function test_remunerate_refused() public {
        pledge(ETH, 100);
        vm.warp(NOW + GRACE);
        Guarantee memory claim = claimOf(ETH, 10, 30);
        claim.timestamp = uint64(NOW);
        claim.domain = "other";
        redeemRefused(claim, ICreditCore.InvalidGuaranteeDomain.selector);
        claim.domain = core.guaranteeDomainSeparator();
        claim.amount = 0;
        redeemRefused(claim, ICreditCore.AmountZero.selector);
        (claim.amount, claim.totalAmount) = (1, 0);
        redeemRefused(claim, ICreditCore.AmountZero.selector);
        claim.totalAmount = 1;
        claim.recipient = address(0);
        redeemRefused(claim, ICreditCore.InvalidRecipient.selector);
        claim.recipient = address(core);
        redeemRefused(claim, ICreditCore.InvalidRecipient.selector);
        claim.recipient = payee;
        claim.asset = payee;
        redeemRefused(claim, abi.encodeWithSelector(ICreditCore.UnsupportedAsset.selector, payee));
        claim.asset = address(usdc);
        redeemRefused(claim, ICreditCore.DoubleSpendingDetected.selector); // no collateral in USDC
        claim.asset = ETH;
        claim.client = payee;
        redeemRefused(claim, ICreditCore.DoubleSpendingDetected.selector);
        claim.client = payer;
        claim.version = 2;
        redeemRefused(claim, abi.encodeWithSelector(ICreditCore.UnsupportedGuaranteeVersion.selector, 2));
        claim.version = 1;
        redeem(claim);
        claim.asset = address(usdc);
        redeemRefused(claim, abi.encodeWithSelector(ICreditCore.InvalidAsset.selector, address(usdc)));
    }

    /// @dev The unmodified client asks with an `eth_call` that names no sender, and gives up when it fails.
    function test_remunerate_byAnybodyAndWhilePaused() public {
        pledge(ETH, 100);
        Guarantee memory claim = claimOf(ETH, 10, 30);
        vm.prank(guardian);
        core.pause();
        vm.warp(NOW + GRACE);
        (bytes memory certificate, BLS.G2Point memory signature) = certify(claim);
        vm.prank(address(0));
        core.remunerate(certificate, signature);
        vm.assertEq(payee.balance, 30);
    }

    function test_remunerate_otherSignatures() public {
        pledge(ETH, 100);
        Guarantee memory claim = claimOf(ETH, 10, 30);
        vm.warp(NOW + GRACE);
        (bytes memory certificate, BLS.G2Point memory good) = certify(claim);
        bytes memory refused = abi.encodePacked(ICreditCore.InvalidSignature.selector);
        BLS.G2Point memory bad = signBls(OPERATOR_KEY + 1, certificate);
        vm.expectRevert(refused);
        core.remunerate(certificate, bad);
        bad = signBls(OPERATOR_KEY, abi.encode(claim)); // without the envelope
        vm.expectRevert(refused);
        core.remunerate(certificate, bad);
        BLS.G2Point memory infinity;
        vm.expectRevert(refused);
        core.remunerate(certificate, infinity);
        bad = abi.decode(abi.encode(good), (BLS.G2Point));
        bad.y_c0_b = bytes32(uint256(bad.y_c0_b) ^ 1);
        vm.expectRevert(refused);
        core.remunerate{gas: 10_000_000}(certificate, bad);
        core.remunerate(certificate, good);
    }

    /// @dev Bytes that say the same, or nearly, are not the same; each is signed, so only its form can be wrong.
    function test_remunerate_malformed() public {
        Guarantee memory claim = claimOf(ETH, 10, 30);
        bytes memory good = abi.encode(uint64(1), abi.encode(claim));
        bytes4 refused = ICreditCore.MalformedGuarantee.selector;
        refuse("", refused);
        refuse(abi.encode(claim), refused); // no envelope
        refuse(abi.encodePacked(good, bytes32(0)), refused);
        refuse(cut(good, good.length - 1), refused);
        refuse(abi.encode(uint64(1), cut(abi.encode(claim), 319)), refused);
        refuse(abi.encode(uint64(1), abi.encodePacked(abi.encode(claim), hex"00")), refused);
        refuse(abi.encode(uint256(1) << 64 | 1, abi.encode(claim)), refused);
        good[96 + 3 * 32] = 0x01; // the payer's word has more than an address
        refuse(good, refused);
        refuse(abi.encode(uint64(1), uint256(96), uint256(0), uint256(320)), refused);
        refuse(abi.encodePacked(uint256(1), uint256(64), type(uint256).max), refused);
        refuseWith(
            abi.encode(uint64(0), ""), abi.encodeWithSelector(ICreditCore.UnsupportedGuaranteeVersion.selector, 0)
        );
        refuseWith(
            abi.encode(uint64(9), ""), abi.encodeWithSelector(ICreditCore.UnsupportedGuaranteeVersion.selector, 9)
        );
    }

    /// @dev Whatever is signed, reading it ends in an error of ours or in a payout.
    function test_remunerate_anything(bytes memory certificate) public {
        (bool done, bytes memory why) = address(core)
            .call(abi.encodeCall(ICreditCore.remunerate, (certificate, signBls(OPERATOR_KEY, certificate))));
        vm.assertFalse(done);
        vm.assertTrue(why.length >= 4);
    }

    // ---- withdrawal requests beside payouts --------------------------------------------------------------------------------

    function test_remunerate_capsTheRequest() public {
        pledge(ETH, 100);
        Guarantee memory claim = claimOf(ETH, 10, 70);
        ask(ETH, 60);
        vm.warp(NOW + GRACE);
        vm.expectEmit(address(core));
        emit ICreditCore.WithdrawalReduced(payer, ETH, 30);
        redeem(claim);
        (uint256 when, uint256 amount) = core.withdrawalRequests(payer, ETH);
        vm.assertEq(when, NOW);
        vm.assertEq(amount, 30);
        vm.warp(NOW + WITHDRAWAL);
        uint256 before = payer.balance;
        vm.prank(payer);
        core.finalizeWithdrawal();
        vm.assertEq(payer.balance, before + 30);
    }

    function test_remunerate_endsTheRequest() public {
        pledge(ETH, 100);
        Guarantee memory claim = claimOf(ETH, 10, 100);
        ask(ETH, 60);
        vm.warp(NOW + GRACE);
        vm.expectEmit(address(core));
        emit ICreditCore.WithdrawalReduced(payer, ETH, 0);
        redeem(claim);
        (uint256 when, uint256 amount) = core.withdrawalRequests(payer, ETH);
        vm.assertEq(when, 0);
        vm.assertEq(amount, 0);
    }

    function test_remunerate_leavesARequestThatIsCovered() public {
        pledge(ETH, 100);
        Guarantee memory claim = claimOf(ETH, 10, 40);
        ask(ETH, 60);
        vm.warp(NOW + GRACE);
        vm.recordLogs();
        redeem(claim);
        vm.assertEq(vm.getRecordedLogs().length, 2);
        (, uint256 amount) = core.withdrawalRequests(payer, ETH);
        vm.assertEq(amount, 60);
    }

    // ---- recipients with code ----------------------------------------------------------------------------------------------

    function test_remunerate_aRecipientThatRefuses() public {
        pledge(ETH, 100);
        Guarantee memory claim = claimOf(ETH, 10, 30);
        claim.recipient = address(usdc); // takes no ETH
        vm.warp(NOW + GRACE);
        redeemRefused(claim, ICreditCore.TransferFailed.selector);
        vm.assertEq(core.collateral(payer), 100);
        vm.assertEq(core.remuneratedAmount(TAB), 0);
    }

    function test_remunerate_aRecipientThatCallsBack() public {
        pledge(ETH, 100);
        Guarantee memory claim = claimOf(ETH, 10, 30);
        Caller caller = new Caller(address(core));
        claim.recipient = address(caller);
        vm.warp(NOW + GRACE);
        (bytes memory certificate, BLS.G2Point memory signature) = certify(claim);
        caller.arm(abi.encodeCall(ICreditCore.remunerate, (certificate, signature)));
        core.remunerate(certificate, signature);
        vm.assertEq(caller.why(), abi.encodeWithSignature("ReentrancyGuardReentrantCall()"));
        vm.assertEq(address(caller).balance, 30);
        vm.assertEq(core.collateral(payer), 70);
    }

    function test_finalizeWithdrawal_aPayerThatCallsBack() public {
        Caller caller = new Caller(address(core));
        vm.deal(address(caller), 10);
        caller.run(10, abi.encodeCall(ICreditCore.deposit, ()));
        pledge(ETH, 10);
        caller.run(0, abi.encodeWithSignature("requestWithdrawal(uint256)", 10));
        vm.warp(NOW + WITHDRAWAL);
        caller.arm(abi.encodeWithSignature("finalizeWithdrawal()"));
        caller.run(0, abi.encodeWithSignature("finalizeWithdrawal()"));
        vm.assertEq(caller.why(), abi.encodeWithSignature("ReentrancyGuardReentrantCall()"));
        vm.assertEq(address(caller).balance, 10);
        vm.assertEq(address(core).balance, 10);
    }

    // ---- the vectors -------------------------------------------------------------------------------------------------------

    /// @dev The calldata that the unmodified client sends for a certificate, at the contract it was signed for.
    function test_remunerate_theClientsCalldata() public {
        vm.chainId(84532);
        address there = 0x5FbDB2315678afecb367f032d93F642f64180aa3;
        address[] memory tokens = new address[](0);
        bytes memory arguments = abi.encode(address(manager), publicKey(OPERATOR_KEY), tokens);
        vm.etch(there, abi.encodePacked(code("CreditCore"), arguments));
        (bool done, bytes memory runtime) = there.call("");
        vm.assertTrue(done);
        vm.etch(there, runtime);
        core = ICreditCore(there);
        string memory all = vm.readFile("../conformance/vectors/4mica.json");
        vm.assertEq(vm.parseJsonString(all, "$[96].name"), "remunerate_calldata_v1");
        vm.assertEq(core.guaranteeDomainSeparator(), 0x4d7fa08e2d37e90961160a0c3d9229028216fa7a2ede561f028c5ffec7228730);
        payer = 0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266;
        vm.deal(payer, 1 ether);
        pledge(ETH, 1 ether);
        vm.warp(1_716_500_000 + GRACE);
        (done,) = there.call(vm.parseJsonBytes(all, "$[96].expected.data"));
        vm.assertTrue(done);
        vm.assertEq(0x70997970C51812dc3A010C7d01b50e0d17dc79C8.balance, 0.1 ether);
    }

    function refuse(bytes memory certificate, bytes4 problem) private {
        refuseWith(certificate, abi.encodePacked(problem));
    }

    function refuseWith(bytes memory certificate, bytes memory problem) private {
        BLS.G2Point memory signature = signBls(OPERATOR_KEY, certificate);
        vm.expectRevert(problem);
        core.remunerate(certificate, signature);
    }

    function cut(bytes memory data, uint256 length) private pure returns (bytes memory part) {
        part = new bytes(length);
        for (uint256 i = 0; i < length; ++i) {
            part[i] = data[i];
        }
    }
}

/// @title A contract that calls back when it is paid
contract Caller {
    address private immutable CORE;
    bytes private _call;
    bytes public why;

    constructor(address core) {
        CORE = core;
    }

    receive() external payable {
        if (_call.length == 0) return;
        (bool done, bytes memory answer) = CORE.call(_call);
        require(!done, "it worked");
        why = answer;
    }

    function arm(bytes calldata call) external {
        _call = call;
    }

    function run(uint256 value, bytes calldata call) external {
        (bool done,) = CORE.call{value: value}(call);
        require(done, "it failed");
    }
}
