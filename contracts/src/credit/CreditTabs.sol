// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {ICreditCore} from "../interfaces/ICreditCore.sol";
import {CreditAssets} from "./CreditAssets.sol";

/// @title What was paid on tabs: by payers, as operators record it, and out of collateral
/// @dev Both only grow. A certificate is worth what its total exceeds their sum by, so certificates of one tab may come in
/// any order and any number, and all of them together bring what the one with the highest total brings alone.
abstract contract CreditTabs is CreditAssets {
    /// @dev One slot. `asset` is a number of {CreditAssets}, 0 until the first payment or payout.
    struct Tab {
        uint120 paid;
        uint120 remunerated;
        uint16 asset;
    }

    mapping(uint256 tabId => Tab) private _tabs;
    mapping(bytes32 id => bytes32 digest) private _records;

    /// @inheritdoc ICreditCore
    function recordPayment(uint256 tabId, address asset, uint256 amount) external restricted {
        bytes4 problem = _credit(tabId, asset, amount);
        if (problem != 0) _refuse(problem, 0, asset);
        emit PaymentRecorded(tabId, asset, amount);
    }

    /// @inheritdoc ICreditCore
    function recordPaymentById(bytes32 id, uint256 tabId, address asset, uint256 amount) external restricted {
        bytes4 problem = _record(id, tabId, asset, amount);
        if (problem != 0) _refuse(problem, id, asset);
    }

    /// @inheritdoc ICreditCore
    function recordPaymentsById(PaymentRecord[] calldata records) external restricted {
        for (uint256 i = 0; i < records.length; ++i) {
            PaymentRecord calldata one = records[i];
            bytes4 problem = _record(one.id, one.tabId, one.asset, one.amount);
            if (problem != 0) emit PaymentRecordRefused(one.id, one.tabId, one.asset, one.amount, problem);
        }
    }

    /// @inheritdoc ICreditCore
    function getPaymentStatus(uint256 tabId) public view returns (uint256 paid, bool remunerated, address asset) {
        Tab memory tab = _tabs[tabId];
        return (tab.paid, tab.remunerated != 0, _assetOf(tab.asset));
    }

    /// @inheritdoc ICreditCore
    function payments(uint256 tabId) external view returns (uint256 paid, bool remunerated, address asset) {
        return getPaymentStatus(tabId);
    }

    /// @inheritdoc ICreditCore
    function remuneratedAmount(uint256 tabId) external view returns (uint256) {
        return _tabs[tabId].remunerated;
    }

    /// @inheritdoc ICreditCore
    function paymentRecordDigest(bytes32 id) external view returns (bytes32) {
        return _records[id];
    }

    /// @dev What a certificate with this total is still worth, before anybody looks at the collateral; never 0.
    function _worth(uint256 tabId, address asset, uint256 total) internal view returns (uint256) {
        uint16 number = _numberOf(asset);
        require(number != 0, UnsupportedAsset(asset));
        Tab memory tab = _tabs[tabId];
        require(tab.asset == 0 || tab.asset == number, InvalidAsset(asset));
        uint256 covered = uint256(tab.paid) + tab.remunerated;
        if (covered >= total) {
            require(tab.remunerated == 0, TabPreviouslyRemunerated());
            revert TabAlreadyPaid();
        }
        return total - covered;
    }

    /// @dev Notes a payout that {_worth} allowed.
    function _notePayout(uint256 tabId, address asset, uint256 amount) internal {
        Tab storage tab = _tabs[tabId];
        uint256 sum = amount + tab.remunerated;
        require(sum <= type(uint120).max, IllegalValue());
        // forge-lint: disable-next-line(unsafe-typecast)
        tab.remunerated = uint120(sum);
        tab.asset = _numberOf(asset);
    }

    /// @dev Records once per id. Says what is wrong instead of reverting, so that a batch goes on.
    function _record(bytes32 id, uint256 tabId, address asset, uint256 amount) private returns (bytes4) {
        bytes32 digest = keccak256(abi.encode(tabId, asset, amount));
        bytes32 known = _records[id];
        if (known == digest) {
            emit PaymentRecordReplayed(id, tabId, asset, amount);
            return 0;
        }
        if (known != 0) return PaymentRecordConflict.selector;
        bytes4 problem = _credit(tabId, asset, amount);
        if (problem != 0) return problem;
        _records[id] = digest;
        emit PaymentRecordedById(id, tabId, asset, amount);
        return 0;
    }

    function _credit(uint256 tabId, address asset, uint256 amount) private returns (bytes4) {
        if (amount == 0) return AmountZero.selector;
        uint16 number = _numberOf(asset);
        if (number == 0) return UnsupportedAsset.selector;
        Tab memory tab = _tabs[tabId];
        if (tab.asset != 0 && tab.asset != number) return InvalidAsset.selector;
        if (amount > type(uint120).max - tab.paid) return IllegalValue.selector;
        // forge-lint: disable-next-line(unsafe-typecast)
        tab.paid += uint120(amount);
        tab.asset = number;
        _tabs[tabId] = tab;
        return 0;
    }

    function _refuse(bytes4 problem, bytes32 id, address asset) private pure {
        if (problem == PaymentRecordConflict.selector) revert PaymentRecordConflict(id);
        if (problem == UnsupportedAsset.selector) revert UnsupportedAsset(asset);
        if (problem == InvalidAsset.selector) revert InvalidAsset(asset);
        if (problem == AmountZero.selector) revert AmountZero();
        revert IllegalValue();
    }
}
