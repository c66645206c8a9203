// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.28;

import {BLS} from "solady/src/utils/ext/ithaca/BLS.sol";

/// @notice What a certificate says, of whatever version.
/// @param domain For which chain and contract it was signed.
/// @param tabId The tab it belongs to.
/// @param reqId Its number on the tab.
/// @param client The payer, whose collateral answers for it.
/// @param recipient Who is paid.
/// @param amount What this guarantee added to the tab.
/// @param totalAmount All guarantees of the tab up to this one.
/// @param asset In what; the zero address is ETH.
/// @param timestamp When it was given, in Unix seconds.
/// @param version How it was encoded.
struct Guarantee {
    bytes32 domain;
    uint256 tabId;
    uint256 reqId;
    address client;
    address recipient;
    uint256 amount;
    uint256 totalAmount;
    address asset;
    uint64 timestamp;
    uint64 version;
}

/// @title Collateral that answers for certified debts
/// @notice Payers leave collateral. An operator, off chain, grants them credit on tabs, each with one recipient, and gives the
/// recipient a certificate per request, signed with a BLS key. A payer pays a tab directly; the operator records it here.
/// What is not paid in time, a recipient takes from the collateral by showing the last certificate.
/// @dev Amounts are in atomic units of their asset, times in seconds. The zero address stands for ETH wherever an asset is
/// named. Roles are decided by an OpenZeppelin AccessManager.
interface ICreditCore {
    /// @notice One row of {getUserAllAssets}.
    struct UserAsset {
        address asset;
        uint256 collateral;
        uint256 withdrawalRequestTimestamp;
        uint256 withdrawalRequestAmount;
    }

    /// @notice How certificates of one version are checked.
    /// @param verificationKey Who signs them.
    /// @param domainSeparator What they have to be signed for.
    /// @param decoder Who reads them; zero for version 1, which needs nobody.
    /// @param enabled Whether any is taken.
    struct VersionConfig {
        BLS.G1Point verificationKey;
        bytes32 domainSeparator;
        address decoder;
        bool enabled;
    }

    /// @notice One payment that the operator saw.
    struct PaymentRecord {
        bytes32 id;
        uint256 tabId;
        address asset;
        uint256 amount;
    }

    /// @notice Collateral arrived: `amount` is what arrived, which some tokens make less than what was sent.
    event CollateralDeposited(address indexed user, address indexed asset, uint256 amount);

    /// @notice A withdrawal was paid out, and its request is gone.
    event CollateralWithdrawn(address indexed user, address indexed asset, uint256 amount);

    /// @notice Collateral was paid to a recipient.
    /// @param outstanding What the certificate asked for beyond `amount`, for want of collateral.
    event CollateralDebited(
        address indexed user,
        address indexed asset,
        uint256 indexed tabId,
        address recipient,
        uint256 amount,
        uint256 outstanding
    );

    /// @notice A withdrawal was requested, in place of any earlier request.
    event WithdrawalRequested(address indexed user, address indexed asset, uint256 when, uint256 amount);

    /// @notice A request was taken back.
    event WithdrawalCanceled(address indexed user, address indexed asset);

    /// @notice A payout left less collateral than was requested, so the request became smaller. Its time stays.
    /// @param amount What is still requested; 0 when the request is gone.
    event WithdrawalReduced(address indexed user, address indexed asset, uint256 amount);

    /// @notice A tab was paid in a token, directly to the recipient; `amount` is what arrived there.
    event TabPaid(
        uint256 indexed tabId, address indexed asset, address indexed user, address recipient, uint256 amount
    );

    /// @notice A payment without an id counts for a tab from now on.
    event PaymentRecorded(uint256 indexed tabId, address indexed asset, uint256 amount);

    /// @notice A payment with an id counts for a tab from now on.
    event PaymentRecordedById(bytes32 indexed id, uint256 indexed tabId, address indexed asset, uint256 amount);

    /// @notice The very payment was recorded before, so nothing changed.
    event PaymentRecordReplayed(bytes32 indexed id, uint256 indexed tabId, address indexed asset, uint256 amount);

    /// @notice A payment of a batch was not recorded; the others are not affected.
    /// @param reason The selector of the error that {recordPaymentById} would have reverted with.
    event PaymentRecordRefused(
        bytes32 indexed id, uint256 indexed tabId, address indexed asset, uint256 amount, bytes4 reason
    );

    /// @notice A recipient was paid out of collateral.
    event RecipientRemunerated(uint256 indexed tabId, address indexed asset, uint256 amount);

    /// @notice Certificates of a version are checked differently from now on.
    event GuaranteeVersionUpdated(
        uint64 indexed version, BLS.G1Point verificationKey, bytes32 domainSeparator, address decoder, bool enabled
    );

    /// @notice The key of version 1 changed.
    event VerificationKeyUpdated(BLS.G1Point newVerificationKey);

    /// @notice A token is taken as collateral from now on.
    event StablecoinAssetUpdated(address indexed asset, bool supported);

    /// @notice A timing parameter changed.
    event RemunerationGracePeriodUpdated(uint256 newGracePeriod);

    /// @notice A timing parameter changed.
    event TabExpirationTimeUpdated(uint256 newExpirationTime);

    /// @notice A timing parameter changed.
    event SynchronizationDelayUpdated(uint256 newSynchronizationDelay);

    /// @notice A timing parameter changed.
    event WithdrawalGracePeriodUpdated(uint256 newGracePeriod);

    /// @notice An amount or a duration is 0.
    error AmountZero();

    /// @notice ETH comes by {deposit} only.
    error DirectTransferNotAllowed();

    /// @notice The payer has no collateral left in this asset.
    error DoubleSpendingDetected();

    /// @notice The withdrawal cannot be paid out yet.
    error GracePeriodNotElapsed();

    /// @notice A value is out of its bounds.
    error IllegalValue();

    /// @notice More was requested than there is.
    error InsufficientAvailable();

    /// @notice The tab is kept in another asset, or a token cannot be added.
    error InvalidAsset(address asset);

    /// @notice The certificate is for another chain, contract or version.
    error InvalidGuaranteeDomain();

    /// @notice Nobody, or this contract, would be paid.
    error InvalidRecipient();

    /// @notice The certificate is not signed by the version's key.
    error InvalidSignature();

    /// @notice The certificate's bytes are not what they have to be.
    error MalformedGuarantee();

    /// @notice The version has nobody who reads it.
    error MissingGuaranteeDecoder(uint64 version);

    /// @notice There is no request.
    error NoWithdrawalRequested();

    /// @notice Another payment was recorded under this id.
    error PaymentRecordConflict(bytes32 id);

    /// @notice All of the certificate's total was paid by the payer.
    error TabAlreadyPaid();

    /// @notice The guarantee is too old.
    error TabExpired();

    /// @notice The payer still has time to pay.
    error TabNotYetOverdue();

    /// @notice All of the certificate's total was paid, some of it out of collateral.
    error TabPreviouslyRemunerated();

    /// @notice ETH or a token did not arrive.
    error TransferFailed();

    /// @notice The asset is not taken here.
    error UnsupportedAsset(address asset);

    /// @notice Certificates of this version are not taken.
    error UnsupportedGuaranteeVersion(uint64 version);

    // ---- payers ----------------------------------------------------------------------------------------------------------

    /// @notice Leaves the ETH sent along as collateral.
    function deposit() external payable;

    /// @notice Leaves tokens, which the caller has approved, as collateral.
    function depositStablecoin(address asset, uint256 amount) external;

    /// @notice Asks ETH back, in place of an earlier request; the waiting begins anew.
    function requestWithdrawal(uint256 amount) external;

    /// @notice Asks `asset` back, in place of an earlier request; the waiting begins anew.
    function requestWithdrawal(address asset, uint256 amount) external;

    /// @notice Takes the request for ETH back. Works while paused.
    function cancelWithdrawal() external;

    /// @notice Takes the request for `asset` back. Works while paused.
    function cancelWithdrawal(address asset) external;

    /// @notice Pays out the ETH asked back `withdrawalGracePeriod` ago or earlier. Works while paused.
    function finalizeWithdrawal() external;

    /// @notice Pays out the `asset` asked back `withdrawalGracePeriod` ago or earlier. Works while paused.
    function finalizeWithdrawal(address asset) external;

    /// @notice Pays a tab in a token, which the caller has approved here, to its recipient, and logs it for the operator. (A
    /// tab in ETH is paid by a plain transfer to the recipient with the calldata `tab_id:0x…;req_id:0x…`.)
    function payTabInERC20Token(uint256 tabId, address asset, uint256 amount, address recipient) external;

    // ---- recipients ------------------------------------------------------------------------------------------------------

    /// @notice Pays the recipient of a certificate what its total exceeds payments and earlier payouts of the tab by, as far
    /// as there is collateral. Anyone may call it, also while paused; a call without a sender tells whether it would work.
    /// @param guarantee The certificate's bytes, as they were signed.
    /// @param signature Its signature.
    function remunerate(bytes calldata guarantee, BLS.G2Point calldata signature) external;

    // ---- operators -------------------------------------------------------------------------------------------------------

    /// @notice Counts a payment for a tab; a second call counts it again, which {recordPaymentById} does not.
    function recordPayment(uint256 tabId, address asset, uint256 amount) external;

    /// @notice Counts a payment for a tab, once per `id`.
    function recordPaymentById(bytes32 id, uint256 tabId, address asset, uint256 amount) external;

    /// @notice {recordPaymentById} for many; those that are refused are logged and stop none of the others.
    function recordPaymentsById(PaymentRecord[] calldata records) external;

    // ---- governance and guardian -----------------------------------------------------------------------------------------

    /// @notice Takes another token as collateral, for good.
    function addAsset(address asset) external;

    /// @notice Says how certificates of a version are checked. Disabling with zeros keeps what was.
    function configureGuaranteeVersion(
        uint64 version,
        BLS.G1Point calldata verificationKey,
        bytes32 domainSeparator,
        address decoder,
        bool enabled
    ) external;

    /// @notice Replaces the key of version 1. Certificates of the old key are no longer taken.
    function setGuaranteeVerificationKey(BLS.G1Point calldata verificationKey) external;

    /// @notice Sets how long a payer may take before collateral is taken.
    function setRemunerationGracePeriod(uint256 gracePeriod) external;

    /// @notice Sets how old a guarantee may be when it is redeemed.
    function setTabExpirationTime(uint256 expirationTime) external;

    /// @notice Sets how long the operator may take to notice a withdrawal request.
    function setSynchronizationDelay(uint256 delay) external;

    /// @notice Sets how long a withdrawal takes.
    function setWithdrawalGracePeriod(uint256 gracePeriod) external;

    /// @notice Sets all four at once.
    function setTimingParameters(
        uint256 remunerationGracePeriod,
        uint256 tabExpirationTime,
        uint256 synchronizationDelay,
        uint256 withdrawalGracePeriod
    ) external;

    /// @notice Stops deposits, new withdrawal requests and {payTabInERC20Token}.
    function pause() external;

    /// @notice Lets them go on.
    function unpause() external;

    // ---- questions -------------------------------------------------------------------------------------------------------

    /// @notice The version that needs no decoder.
    function INITIAL_GUARANTEE_VERSION() external view returns (uint64);

    /// @notice The key of version 1, in four words.
    function GUARANTEE_VERIFICATION_KEY() external view returns (bytes32, bytes32, bytes32, bytes32);

    /// @notice The first registered token, or zero: what older clients take for USDC.
    function USDC() external view returns (address);

    /// @notice The second registered token, or zero: what older clients take for USDT.
    function USDT() external view returns (address);

    /// @notice All tokens that are taken, in the order of their registration.
    function getERC20Tokens() external view returns (address[] memory);

    /// @notice The ETH a payer left here, requested withdrawals included.
    function collateral(address user) external view returns (uint256);

    /// @notice The same in any asset.
    function collateral(address user, address asset) external view returns (uint256);

    /// @notice ETH: collateral, when a withdrawal was requested (0 for never), and how much.
    function getUser(address user) external view returns (uint256, uint256, uint256);

    /// @notice The same in any asset.
    function getUser(address user, address asset) external view returns (uint256, uint256, uint256);

    /// @notice The same in every asset: ETH first, then tokens in the order of their registration.
    function getUserAllAssets(address user) external view returns (UserAsset[] memory);

    /// @notice A payer's request: when, and how much; zeros without one.
    function withdrawalRequests(address user, address asset) external view returns (uint256 timestamp, uint256 amount);

    /// @notice What a request may ask for at most.
    function withdrawableBalance(address user, address asset) external view returns (uint256);

    /// @notice What was recorded as paid on a tab, whether collateral was ever paid out for it, and its asset.
    function getPaymentStatus(uint256 tabId) external view returns (uint256 paid, bool remunerated, address asset);

    /// @notice The same.
    function payments(uint256 tabId) external view returns (uint256 paid, bool remunerated, address asset);

    /// @notice How much collateral was paid out for a tab, over all its certificates.
    function remuneratedAmount(uint256 tabId) external view returns (uint256);

    /// @notice What was recorded under an id: the hash of tab, asset and amount; zero for nothing.
    function paymentRecordDigest(bytes32 id) external view returns (bytes32);

    /// @notice The domain of version 1.
    function guaranteeDomainSeparator() external view returns (bytes32);

    /// @notice How certificates of a version are checked; zeros for one that is unknown.
    function getGuaranteeVersionConfig(uint64 version) external view returns (VersionConfig memory);

    /// @notice What a certificate says; reverts as {remunerate} does when it is not one.
    function verifyAndDecodeGuarantee(bytes calldata guarantee, BLS.G2Point calldata signature)
        external
        view
        returns (Guarantee memory);

    /// @notice How long a payer may take before collateral is taken.
    function remunerationGracePeriod() external view returns (uint256);

    /// @notice How old a guarantee may be when it is redeemed.
    function tabExpirationTime() external view returns (uint256);

    /// @notice How long the operator may take to notice a withdrawal request.
    function synchronizationDelay() external view returns (uint256);

    /// @notice How long a withdrawal takes.
    function withdrawalGracePeriod() external view returns (uint256);
}
