// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {Guarantee, ICreditCore} from "../src/interfaces/ICreditCore.sol";
import {vm} from "./Vm.sol";
import {CreditFixture} from "./utils/CreditFixture.sol";
import {FeeToken} from "./utils/CreditTokens.sol";

/// @title Two payers, two recipients, three assets, and an operator; anything in any order
/// @notice The operator keeps its books as a careful one would: a guarantee is given only over collateral that neither
/// another tab nor a withdrawal request it has noticed counts on, and it notices a request as late as it may. `careless`
/// lets it sign whatever it likes instead, and governance change the durations.
contract CreditHandler is CreditFixture {
    /// @dev A tab, and what became of it. `asset`, `who` and `to` are numbers.
    struct Tab {
        uint256 who;
        uint256 to;
        uint256 asset;
        uint256 total;
        uint256 recorded;
        uint256 redeemed;
        uint256 lastGiven;
    }

    uint256 internal constant TABS = 12;
    bool internal immutable CARELESS;

    address[2] public payers;
    address[2] public recipients;
    address[3] public assets;
    Tab[12] private _tabs;
    Guarantee[] private _given;
    uint256[3] public deposited;
    uint256[3] public withdrawn;
    uint256[3] public taken;
    uint256 public unpaidThoughDue;
    uint256 public keptFromPayers;
    uint256 public overpaid;
    uint256 public redemptions;
    uint256 public partials;
    bytes32 private _ids;

    /// @dev forge forgets a warp between two calls of a campaign, so time is kept here.
    uint256 private _time = NOW;

    modifier onTime() {
        vm.warp(_time);
        _;
    }

    constructor(bool careless) {
        CARELESS = careless;
    }

    function setUp() public override {
        super.setUp();
        FeeToken fee = new FeeToken();
        assets = [ETH, address(usdc), address(fee)];
        payers = [payer, address(0xB1)];
        recipients = [payee, address(0xBEE2)];
        vm.prank(governor);
        core.addAsset(address(fee));
        for (uint256 i = 0; i < 2; ++i) {
            vm.deal(payers[i], 1e6);
            usdc.mint(payers[i], 1e6);
            fee.mint(payers[i], 1e6);
            vm.startPrank(payers[i]);
            require(usdc.approve(address(core), type(uint256).max), "refused");
            require(fee.approve(address(core), type(uint256).max), "refused");
            vm.stopPrank();
        }
        for (uint256 i = 0; i < TABS; ++i) {
            (_tabs[i].who, _tabs[i].to, _tabs[i].asset) = (i % 2, i / 2 % 2, i / 4);
        }
    }

    // ---- payers ----------------------------------------------------------------------------------------------------------

    function deposit(uint256 who, uint256 asset, uint256 amount) external onTime {
        (who, asset, amount) = (_who(who), _asset(asset), amount % (CARELESS ? 1000 : 200) + 20);
        uint256 before = held(asset);
        vm.prank(payers[who]);
        if (asset == 0) {
            if (payers[who].balance < amount) return;
            core.deposit{value: amount}();
        } else {
            try core.depositStablecoin(assets[asset], amount) {}
            catch {
                return; // no tokens left
            }
        }
        deposited[asset] += held(asset) - before;
    }

    function request(uint256 who, uint256 asset, uint256 amount) external onTime {
        (who, asset) = (_who(who), _asset(asset));
        uint256 most = core.collateral(payers[who], assets[asset]);
        if (most == 0) return;
        vm.prank(payers[who]);
        core.requestWithdrawal(assets[asset], amount % most + 1);
    }

    function cancel(uint256 who, uint256 asset) external onTime {
        (who, asset) = (_who(who), _asset(asset));
        (, uint256 amount) = core.withdrawalRequests(payers[who], assets[asset]);
        if (amount == 0) return;
        vm.prank(payers[who]);
        core.cancelWithdrawal(assets[asset]);
    }

    /// @dev After the time there is no reason for which a payer would not get what is still requested.
    function finalize(uint256 who, uint256 asset) external onTime {
        (who, asset) = (_who(who), _asset(asset));
        (uint256 when, uint256 amount) = core.withdrawalRequests(payers[who], assets[asset]);
        if (amount == 0) return;
        bool elapsed = block.timestamp >= when + core.withdrawalGracePeriod();
        uint256 before = held(asset);
        vm.prank(payers[who]);
        try core.finalizeWithdrawal(assets[asset]) {
            if (before - held(asset) != amount) keptFromPayers += 1;
        } catch {
            if (elapsed) keptFromPayers += 1;
        }
        withdrawn[asset] += before - held(asset);
    }

    // ---- the operator ------------------------------------------------------------------------------------------------------

    function give(uint256 tab, uint256 amount) external onTime {
        tab = _tab(tab);
        amount = amount % 200 + 1;
        Tab storage one = _tabs[tab];
        if (!CARELESS && locked(one.who, one.asset, tab) + amount > free(one.who, one.asset)) return;
        one.total += amount;
        one.lastGiven = block.timestamp;
        Guarantee memory claim = claimOf(assets[one.asset], amount, one.total);
        (claim.tabId, claim.client, claim.recipient) = (tab, payers[one.who], recipients[one.to]);
        _given.push(claim);
    }

    /// @dev A payment, of which the operator may hear late; it may also be too much.
    function pay(uint256 tab, uint256 amount) external onTime {
        tab = _tab(tab);
        Tab storage one = _tabs[tab];
        amount = amount % 100 + 1;
        _ids = keccak256(abi.encode(_ids));
        vm.prank(operator);
        core.recordPaymentById(_ids, tab, assets[one.asset], amount);
        one.recorded += amount;
        vm.prank(operator);
        core.recordPaymentById(_ids, tab, assets[one.asset], amount);
    }

    function set(uint256[4] memory durations) external {
        if (!CARELESS) return;
        vm.prank(governor);
        try core.setTimingParameters(
            durations[0] % 30 days, durations[1] % 30 days, durations[2] % 2 days, durations[3] % 60 days
        ) {}
            catch {}
    }

    // ---- recipients ------------------------------------------------------------------------------------------------------

    /// @dev Any certificate ever given, the newest ones more often.
    function redeemAny(uint256 which) external onTime {
        uint256 count = _given.length;
        if (count == 0) return;
        _redeem(_given[which % 2 == 0 ? count - 1 - (which / 2 % count) % 4 % count : which / 2 % count]);
    }

    /// @dev A recipient with only the last certificate of a tab gets all that is left of it, whoever redeemed what before.
    function redeemLast(uint256 tab) external onTime {
        tab = _tab(tab);
        Tab storage one = _tabs[tab];
        for (uint256 i = _given.length; i > 0; --i) {
            if (_given[i - 1].tabId != tab) continue;
            uint256 left = worth(one);
            uint256 age = block.timestamp - _given[i - 1].timestamp;
            uint256 got = _redeem(_given[i - 1]);
            bool due = age >= core.remunerationGracePeriod() && age <= core.tabExpirationTime();
            if (due && !CARELESS && got != left) unpaidThoughDue += 1;
            return;
        }
    }

    /// @dev A moment, or so long that what was given is due.
    function wait(uint256 time) external {
        _time += time % 2 == 0 ? time % 3 days : GRACE + time % 8 days;
    }

    // ---- what must hold ----------------------------------------------------------------------------------------------------

    /// @dev What this contract holds of an asset.
    function held(uint256 asset) public view returns (uint256) {
        return asset == 0 ? address(core).balance : FeeToken(assets[asset]).balanceOf(address(core));
    }

    /// @dev What it owes to payers.
    function owed(uint256 asset) external view returns (uint256) {
        return core.collateral(payers[0], assets[asset]) + core.collateral(payers[1], assets[asset]);
    }

    function requestExceeds(uint256 who, uint256 asset) external view returns (bool) {
        (uint256 when, uint256 amount) = core.withdrawalRequests(payers[who], assets[asset]);
        return amount > core.collateral(payers[who], assets[asset]) || (amount == 0) != (when == 0);
    }

    /// @dev What all tabs that can still be redeemed are worth, beyond the collateral there is for them.
    function uncovered(uint256 who, uint256 asset) external view returns (uint256) {
        uint256 sum = locked(who, asset, TABS);
        uint256 there = core.collateral(payers[who], assets[asset]);
        return sum > there ? sum - there : 0;
    }

    function tabIsRight(uint256 tab) external view returns (bool) {
        Tab storage one = _tabs[tab];
        (uint256 paid, bool remunerated,) = core.getPaymentStatus(tab);
        bool told = paid == one.recorded && remunerated == (one.redeemed != 0);
        return told && core.remuneratedAmount(tab) == one.redeemed && one.redeemed <= one.total;
    }

    /// @dev The careful operator has one payer with two tabs in one asset, so that much happens to each.
    function _who(uint256 pick) private view returns (uint256) {
        return CARELESS ? pick % 2 : 0;
    }

    function _asset(uint256 pick) private view returns (uint256) {
        return CARELESS ? pick % 3 : 0;
    }

    function _tab(uint256 pick) private view returns (uint256) {
        return CARELESS ? pick % TABS : pick % 2 * 2;
    }

    function worth(Tab storage one) private view returns (uint256) {
        uint256 covered = one.recorded + one.redeemed;
        return one.total > covered ? one.total - covered : 0;
    }

    /// @dev What the tabs of a payer count on. A tab that gets another guarantee lives again with all that is unpaid of it.
    function locked(uint256 who, uint256 asset, uint256 revived) private view returns (uint256 sum) {
        for (uint256 i = 0; i < TABS; ++i) {
            Tab storage one = _tabs[i];
            if (one.who != who || one.asset != asset) continue;
            if (i == revived || _time <= one.lastGiven + core.tabExpirationTime()) sum += worth(one);
        }
    }

    /// @dev Collateral without a request that the operator must have noticed.
    function free(uint256 who, uint256 asset) private view returns (uint256) {
        (uint256 when, uint256 amount) = core.withdrawalRequests(payers[who], assets[asset]);
        bool noticed = amount != 0 && block.timestamp > when + core.synchronizationDelay();
        return core.collateral(payers[who], assets[asset]) - (noticed ? amount : 0);
    }

    function _redeem(Guarantee memory claim) private returns (uint256 got) {
        uint256 asset = _tabs[claim.tabId].asset;
        (uint256 before, uint256 owned) = (held(asset), core.collateral(claim.client, claim.asset));
        try this.tryRedeem(claim) {
            redemptions += 1;
        } catch {
            return 0;
        }
        got = before - held(asset);
        if (owned - core.collateral(claim.client, claim.asset) != got) overpaid += 1;
        Tab storage one = _tabs[claim.tabId];
        if (one.recorded + one.redeemed + got > claim.totalAmount) overpaid += 1;
        if (one.recorded + one.redeemed + got < claim.totalAmount) partials += 1;
        one.redeemed += got;
        taken[asset] += got;
    }

    function tryRedeem(Guarantee calldata claim) external {
        redeem(claim);
    }
}

/// @title What forge calls, in any order
abstract contract CreditCampaign {
    CreditHandler internal handler;

    constructor(bool careless) {
        handler = new CreditHandler(careless);
    }

    function setUp() public {
        handler.setUp();
    }

    /// @notice forge calls only the handler.
    function targetContracts() external view returns (address[] memory list) {
        list = new address[](1);
        list[0] = address(handler);
    }

    /// @dev Not setUp, which would begin anew.
    struct FuzzSelector {
        address addr;
        bytes4[] selectors;
    }

    function targetSelectors() external view returns (FuzzSelector[] memory list) {
        list = new FuzzSelector[](1);
        list[0].addr = address(handler);
        list[0].selectors = new bytes4[](12);
        list[0].selectors[0] = CreditHandler.deposit.selector;
        list[0].selectors[1] = CreditHandler.request.selector;
        list[0].selectors[2] = CreditHandler.cancel.selector;
        list[0].selectors[3] = CreditHandler.finalize.selector;
        list[0].selectors[4] = CreditHandler.give.selector;
        list[0].selectors[5] = CreditHandler.give.selector;
        list[0].selectors[6] = CreditHandler.give.selector;
        list[0].selectors[7] = CreditHandler.pay.selector;
        list[0].selectors[8] = CreditHandler.set.selector;
        list[0].selectors[9] = CreditHandler.redeemAny.selector;
        list[0].selectors[10] = CreditHandler.redeemLast.selector;
        list[0].selectors[11] = CreditHandler.wait.selector;
    }
}

/// @title What holds whatever anybody does, the operator's key included
contract CreditInvariantTest is CreditCampaign(true) {
    /// @dev Holds what it owes, to the last unit, and everything that left was asked for or certified.
    /// forge-config: default.invariant.runs = 24
    function invariant_solvent() external view {
        for (uint256 asset = 0; asset < 3; ++asset) {
            vm.assertEq(handler.held(asset), handler.owed(asset));
            uint256 left = handler.withdrawn(asset) + handler.taken(asset);
            vm.assertEq(handler.held(asset) + left, handler.deposited(asset));
        }
    }

    /// forge-config: default.invariant.runs = 24
    function invariant_requestsAreCovered() external view {
        for (uint256 i = 0; i < 6; ++i) {
            vm.assertFalse(handler.requestExceeds(i % 2, i / 2));
        }
        vm.assertEq(handler.keptFromPayers(), 0);
    }

    /// @dev Nobody gets more than a certificate's total, and collateral goes down by what is paid out.
    /// forge-config: default.invariant.runs = 24
    function invariant_nobodyGetsMoreThanTheTotal() external view {
        vm.assertEq(handler.overpaid(), 0);
        for (uint256 tab = 0; tab < 12; ++tab) {
            vm.assertTrue(handler.tabIsRight(tab));
        }
    }
}

/// @title What a careful operator's recipients can count on besides
contract CreditCarefulInvariantTest is CreditCampaign(false) {
    /// @dev Withdrawals, however they are timed, take nothing that a guarantee counts on.
    /// forge-config: default.invariant.runs = 24
    function invariant_guaranteesAreCovered() external view {
        for (uint256 i = 0; i < 6; ++i) {
            vm.assertEq(handler.uncovered(i % 2, i / 2), 0);
        }
    }

    /// forge-config: default.invariant.runs = 24
    function invariant_theLastCertificateIsPaidInFull() external view {
        vm.assertEq(handler.unpaidThoughDue(), 0);
        vm.assertEq(handler.partials(), 0);
    }
}
