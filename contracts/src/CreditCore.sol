// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {CreditAssets} from "./credit/CreditAssets.sol";
import {CreditTabs} from "./credit/CreditTabs.sol";
import {CreditTiming} from "./credit/CreditTiming.sol";
import {CreditVersions} from "./credit/CreditVersions.sol";
import {Guarantee, ICreditCore} from "./interfaces/ICreditCore.sol";
import {AccessManaged} from "@openzeppelin/contracts/access/manager/AccessManaged.sol";
import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";
import {ReentrancyGuardTransient} from "@openzeppelin/contracts/utils/ReentrancyGuardTransient.sol";
import {BLS} from "solady/src/utils/ext/ithaca/BLS.sol";

/// @title Collateral that answers for certified debts
/// @dev A request never exceeds the collateral it is for, and the sum of all collateral of an asset never exceeds what this
/// contract holds of it. Whatever calls out does so last, behind a guard.
contract CreditCore is CreditTiming, CreditVersions, CreditTabs, Pausable, ReentrancyGuardTransient {
    /// @dev One slot. 2^104 is more than there is of ETH and of any stablecoin with 18 decimals.
    struct Account {
        uint104 collateral;
        uint104 requested;
        uint48 requestedAt;
    }

    mapping(address user => mapping(address asset => Account)) private _accounts;

    /// @param manager The AccessManager that decides who may call what is restricted.
    /// @param verificationKey Who signs certificates of version 1.
    /// @param stablecoins The tokens taken from the beginning; where that matters to clients, USDC first, then USDT.
    constructor(address manager, BLS.G1Point memory verificationKey, address[] memory stablecoins)
        AccessManaged(manager)
        CreditVersions(verificationKey)
        CreditAssets(stablecoins)
    {}

    receive() external payable {
        revert DirectTransferNotAllowed();
    }

    fallback() external payable {
        revert DirectTransferNotAllowed();
    }

    // ---- payers ----------------------------------------------------------------------------------------------------------

    /// @inheritdoc ICreditCore
    function deposit() external payable whenNotPaused nonReentrant {
        require(msg.value != 0, AmountZero());
        _add(ETH, msg.value);
    }

    /// @inheritdoc ICreditCore
    function depositStablecoin(address asset, uint256 amount) external whenNotPaused nonReentrant {
        require(amount != 0, AmountZero());
        _requireToken(asset);
        _add(asset, _pull(asset, address(this), amount));
    }

    /// @inheritdoc ICreditCore
    function requestWithdrawal(uint256 amount) external {
        requestWithdrawal(ETH, amount);
    }

    /// @inheritdoc ICreditCore
    function requestWithdrawal(address asset, uint256 amount) public whenNotPaused nonReentrant {
        require(amount != 0, AmountZero());
        require(_numberOf(asset) != 0, UnsupportedAsset(asset));
        Account storage account = _accounts[msg.sender][asset];
        require(amount <= account.collateral, InsufficientAvailable());
        // forge-lint: disable-next-line(unsafe-typecast)
        (account.requested, account.requestedAt) = (uint104(amount), uint48(block.timestamp));
        emit WithdrawalRequested(msg.sender, asset, block.timestamp, amount);
    }

    /// @inheritdoc ICreditCore
    function cancelWithdrawal() external {
        cancelWithdrawal(ETH);
    }

    /// @inheritdoc ICreditCore
    function cancelWithdrawal(address asset) public nonReentrant {
        Account storage account = _accounts[msg.sender][asset];
        require(account.requested != 0, NoWithdrawalRequested());
        (account.requested, account.requestedAt) = (0, 0);
        emit WithdrawalCanceled(msg.sender, asset);
    }

    /// @inheritdoc ICreditCore
    function finalizeWithdrawal() external {
        finalizeWithdrawal(ETH);
    }

    /// @inheritdoc ICreditCore
    function finalizeWithdrawal(address asset) public nonReentrant {
        Account memory account = _accounts[msg.sender][asset];
        require(account.requested != 0, NoWithdrawalRequested());
        _requireElapsed(account.requestedAt);
        _accounts[msg.sender][asset] =
            Account({collateral: account.collateral - account.requested, requested: 0, requestedAt: 0});
        emit CollateralWithdrawn(msg.sender, asset, account.requested);
        _push(asset, msg.sender, account.requested);
    }

    /// @inheritdoc ICreditCore
    function payTabInERC20Token(uint256 tabId, address asset, uint256 amount, address recipient)
        external
        whenNotPaused
        nonReentrant
    {
        require(amount != 0, AmountZero());
        require(recipient != address(0) && recipient != address(this), InvalidRecipient());
        _requireToken(asset);
        uint256 arrived = _pull(asset, recipient, amount);
        emit TabPaid(tabId, asset, msg.sender, recipient, arrived);
    }

    // ---- recipients ------------------------------------------------------------------------------------------------------

    /// @inheritdoc ICreditCore
    function remunerate(bytes calldata guarantee, BLS.G2Point calldata signature) external nonReentrant {
        Guarantee memory claim = _verifyAndDecode(guarantee, signature);
        require(claim.amount != 0 && claim.totalAmount != 0, AmountZero());
        require(claim.recipient != address(0) && claim.recipient != address(this), InvalidRecipient());
        _requireDue(claim.timestamp);
        uint256 worth = _worth(claim.tabId, claim.asset, claim.totalAmount);
        uint256 amount = _take(claim, worth);
        _notePayout(claim.tabId, claim.asset, amount);
        emit RecipientRemunerated(claim.tabId, claim.asset, amount);
        _push(claim.asset, claim.recipient, amount);
    }

    // ---- guardian and governance -----------------------------------------------------------------------------------------

    /// @inheritdoc ICreditCore
    function pause() external restricted {
        _pause();
    }

    /// @inheritdoc ICreditCore
    function unpause() external restricted {
        _unpause();
    }

    // ---- questions -------------------------------------------------------------------------------------------------------

    /// @inheritdoc ICreditCore
    function collateral(address user) external view returns (uint256) {
        return _accounts[user][ETH].collateral;
    }

    /// @inheritdoc ICreditCore
    function collateral(address user, address asset) external view returns (uint256) {
        return _accounts[user][asset].collateral;
    }

    /// @inheritdoc ICreditCore
    function withdrawableBalance(address user, address asset) external view returns (uint256) {
        return _accounts[user][asset].collateral;
    }

    /// @inheritdoc ICreditCore
    function withdrawalRequests(address user, address asset) external view returns (uint256 timestamp, uint256 amount) {
        Account memory account = _accounts[user][asset];
        return (account.requestedAt, account.requested);
    }

    /// @inheritdoc ICreditCore
    function getUser(address user) external view returns (uint256, uint256, uint256) {
        return getUser(user, ETH);
    }

    /// @inheritdoc ICreditCore
    function getUser(address user, address asset) public view returns (uint256, uint256, uint256) {
        Account memory account = _accounts[user][asset];
        return (account.collateral, account.requestedAt, account.requested);
    }

    /// @inheritdoc ICreditCore
    function getUserAllAssets(address user) external view returns (UserAsset[] memory assets) {
        assets = new UserAsset[](_assetCount());
        for (uint256 i = 0; i < assets.length; ++i) {
            UserAsset memory row = assets[i];
            row.asset = _assetOf(i + ETH_NUMBER);
            (row.collateral, row.withdrawalRequestTimestamp, row.withdrawalRequestAmount) = getUser(user, row.asset);
        }
    }

    // ---- inside ----------------------------------------------------------------------------------------------------------

    function _add(address asset, uint256 amount) private {
        Account storage account = _accounts[msg.sender][asset];
        uint256 sum = amount + account.collateral;
        require(sum <= type(uint104).max, IllegalValue());
        // forge-lint: disable-next-line(unsafe-typecast)
        account.collateral = uint104(sum);
        emit CollateralDeposited(msg.sender, asset, amount);
    }

    /// @dev Debits the payer with what the certificate is worth, or with all there is when that is less: the recipient gets
    /// the rest with the same certificate should collateral come. What is left caps the payer's withdrawal request.
    function _take(Guarantee memory claim, uint256 worth) private returns (uint256 amount) {
        Account memory account = _accounts[claim.client][claim.asset];
        amount = worth < account.collateral ? worth : account.collateral;
        require(amount != 0, DoubleSpendingDetected());
        // forge-lint: disable-next-line(unsafe-typecast)
        account.collateral -= uint104(amount);
        bool reduced = account.requested > account.collateral;
        if (reduced) {
            account.requested = account.collateral;
            if (account.requested == 0) account.requestedAt = 0;
        }
        _accounts[claim.client][claim.asset] = account;
        emit CollateralDebited(claim.client, claim.asset, claim.tabId, claim.recipient, amount, worth - amount);
        if (reduced) emit WithdrawalReduced(claim.client, claim.asset, account.requested);
    }
}
