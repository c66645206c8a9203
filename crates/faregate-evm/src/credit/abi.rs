//! The contracts of the credit network as Solidity text. [`CreditCore`](super::CreditCore) makes the calls and
//! [`Event`](super::Event) reads the logs; this is for those who need something else of the interface.

#![allow(missing_docs, reason = "described in contracts/src/interfaces/")]

use alloy_sol_types::sol;

sol! {
    /// `contracts/src/interfaces/ICreditCore.sol`.
    #[derive(Debug, PartialEq, Eq)]
    interface Core {
        /// A point of G1: x and y, each as its 16 high bytes (padded) and its 32 low bytes.
        struct G1Point {
            bytes32 x_a;
            bytes32 x_b;
            bytes32 y_a;
            bytes32 y_b;
        }

        /// A point of G2, x.c0, x.c1, y.c0, y.c1, in the same halves.
        struct G2Point {
            bytes32 x_c0_a;
            bytes32 x_c0_b;
            bytes32 x_c1_a;
            bytes32 x_c1_b;
            bytes32 y_c0_a;
            bytes32 y_c0_b;
            bytes32 y_c1_a;
            bytes32 y_c1_b;
        }

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

        struct UserAsset {
            address asset;
            uint256 collateral;
            uint256 withdrawalRequestTimestamp;
            uint256 withdrawalRequestAmount;
        }

        struct VersionConfig {
            G1Point verificationKey;
            bytes32 domainSeparator;
            address decoder;
            bool enabled;
        }

        struct PaymentRecord {
            bytes32 id;
            uint256 tabId;
            address asset;
            uint256 amount;
        }

        event CollateralDeposited(address indexed user, address indexed asset, uint256 amount);
        event CollateralWithdrawn(address indexed user, address indexed asset, uint256 amount);
        event CollateralDebited(
            address indexed user,
            address indexed asset,
            uint256 indexed tabId,
            address recipient,
            uint256 amount,
            uint256 outstanding
        );
        event WithdrawalRequested(address indexed user, address indexed asset, uint256 when, uint256 amount);
        event WithdrawalCanceled(address indexed user, address indexed asset);
        event WithdrawalReduced(address indexed user, address indexed asset, uint256 amount);
        event TabPaid(
            uint256 indexed tabId,
            address indexed asset,
            address indexed user,
            address recipient,
            uint256 amount
        );
        event PaymentRecorded(uint256 indexed tabId, address indexed asset, uint256 amount);
        event PaymentRecordedById(
            bytes32 indexed id,
            uint256 indexed tabId,
            address indexed asset,
            uint256 amount
        );
        event PaymentRecordReplayed(
            bytes32 indexed id,
            uint256 indexed tabId,
            address indexed asset,
            uint256 amount
        );
        event PaymentRecordRefused(
            bytes32 indexed id,
            uint256 indexed tabId,
            address indexed asset,
            uint256 amount,
            bytes4 reason
        );
        event RecipientRemunerated(uint256 indexed tabId, address indexed asset, uint256 amount);
        event GuaranteeVersionUpdated(
            uint64 indexed version,
            G1Point verificationKey,
            bytes32 domainSeparator,
            address decoder,
            bool enabled
        );
        event VerificationKeyUpdated(G1Point newVerificationKey);
        event StablecoinAssetUpdated(address indexed asset, bool supported);
        event RemunerationGracePeriodUpdated(uint256 newGracePeriod);
        event TabExpirationTimeUpdated(uint256 newExpirationTime);
        event SynchronizationDelayUpdated(uint256 newSynchronizationDelay);
        event WithdrawalGracePeriodUpdated(uint256 newGracePeriod);
        event Paused(address account);
        event Unpaused(address account);
        event AuthorityUpdated(address authority);

        error AccessManagedInvalidAuthority(address authority);
        error AccessManagedRequiredDelay(address caller, uint32 delay);
        error AccessManagedUnauthorized(address caller);
        error AmountZero();
        error DirectTransferNotAllowed();
        error DoubleSpendingDetected();
        error EnforcedPause();
        error ExpectedPause();
        error GracePeriodNotElapsed();
        error IllegalValue();
        error InsufficientAvailable();
        error InvalidAsset(address asset);
        error InvalidGuaranteeDomain();
        error InvalidRecipient();
        error InvalidSignature();
        error MalformedGuarantee();
        error MissingGuaranteeDecoder(uint64 version);
        error NoWithdrawalRequested();
        error PaymentRecordConflict(bytes32 id);
        error ReentrancyGuardReentrantCall();
        error SafeERC20FailedOperation(address token);
        error TabAlreadyPaid();
        error TabExpired();
        error TabNotYetOverdue();
        error TabPreviouslyRemunerated();
        error TransferFailed();
        error UnsupportedAsset(address asset);
        error UnsupportedGuaranteeVersion(uint64 version);

        constructor(address manager, G1Point verificationKey, address[] stablecoins);

        function deposit() external payable;
        function depositStablecoin(address asset, uint256 amount) external;
        function requestWithdrawal(uint256 amount) external;
        function requestWithdrawal(address asset, uint256 amount) external;
        function cancelWithdrawal() external;
        function cancelWithdrawal(address asset) external;
        function finalizeWithdrawal() external;
        function finalizeWithdrawal(address asset) external;
        function payTabInERC20Token(uint256 tabId, address asset, uint256 amount, address recipient) external;
        function remunerate(bytes guarantee, G2Point signature) external;

        function recordPayment(uint256 tabId, address asset, uint256 amount) external;
        function recordPaymentById(bytes32 id, uint256 tabId, address asset, uint256 amount) external;
        function recordPaymentsById(PaymentRecord[] records) external;

        function addAsset(address asset) external;
        function configureGuaranteeVersion(
            uint64 version,
            G1Point verificationKey,
            bytes32 domainSeparator,
            address decoder,
            bool enabled
        ) external;
        function setGuaranteeVerificationKey(G1Point verificationKey) external;
        function setRemunerationGracePeriod(uint256 gracePeriod) external;
        function setTabExpirationTime(uint256 expirationTime) external;
        function setSynchronizationDelay(uint256 delay) external;
        function setWithdrawalGracePeriod(uint256 gracePeriod) external;
        function setTimingParameters(
            uint256 remunerationGracePeriod,
            uint256 tabExpirationTime,
            uint256 synchronizationDelay,
            uint256 withdrawalGracePeriod
        ) external;
        function pause() external;
        function unpause() external;
        function setAuthority(address authority) external;

        function authority() external view returns (address);
        function isConsumingScheduledOp() external view returns (bytes4);
        function paused() external view returns (bool);
        function GUARANTEE_VERIFICATION_KEY() external view returns (bytes32, bytes32, bytes32, bytes32);
        function INITIAL_GUARANTEE_VERSION() external view returns (uint64);
        function USDC() external view returns (address);
        function USDT() external view returns (address);
        function getERC20Tokens() external view returns (address[] memory);
        function collateral(address user) external view returns (uint256);
        function collateral(address user, address asset) external view returns (uint256);
        function getUser(address user) external view returns (uint256, uint256, uint256);
        function getUser(address user, address asset) external view returns (uint256, uint256, uint256);
        function getUserAllAssets(address user) external view returns (UserAsset[] memory);
        function withdrawalRequests(address user, address asset) external view returns (uint256 timestamp, uint256 amount);
        function withdrawableBalance(address user, address asset) external view returns (uint256);
        function getPaymentStatus(uint256 tabId) external view returns (uint256 paid, bool remunerated, address asset);
        function payments(uint256 tabId) external view returns (uint256 paid, bool remunerated, address asset);
        function remuneratedAmount(uint256 tabId) external view returns (uint256);
        function paymentRecordDigest(bytes32 id) external view returns (bytes32);
        function guaranteeDomainSeparator() external view returns (bytes32);
        function getGuaranteeVersionConfig(uint64 version) external view returns (VersionConfig memory);
        function verifyAndDecodeGuarantee(bytes guarantee, G2Point signature) external view returns (Guarantee memory);
        function remunerationGracePeriod() external view returns (uint256);
        function tabExpirationTime() external view returns (uint256);
        function synchronizationDelay() external view returns (uint256);
        function withdrawalGracePeriod() external view returns (uint256);
    }

    /// The ERC-20 calls payers need beside.
    #[derive(Debug, PartialEq, Eq)]
    interface Erc20 {
        function approve(address spender, uint256 amount) external returns (bool);
        function balanceOf(address account) external view returns (uint256);
        function allowance(address owner, address spender) external view returns (uint256);
    }

    /// `contracts/src/ValidationGuaranteeDecoder.sol`: the contract that reads certificates of version 2.
    #[derive(Debug, PartialEq, Eq)]
    interface ValidationDecoder {
        error InvalidMinValidationScore(uint8 score);
        error MalformedGuarantee();
        error UnsupportedGuaranteeVersion(uint64 version);
        error UntrustedValidationRegistry(address registry);
        error ValidationAgentIdMismatch(uint256 expected, uint256 actual);
        error ValidationChainIdMismatch(uint256 expected, uint256 actual);
        error ValidationLookupFailed(address registry, bytes32 requestHash);
        error ValidationPending(bytes32 requestHash);
        error ValidationRegistryHasNoCode(address registry);
        error ValidationRequestHashMismatch(bytes32 expected, bytes32 actual);
        error ValidationScoreTooLow(uint8 expected, uint8 actual);
        error ValidationSubjectHashMismatch(bytes32 expected, bytes32 actual);
        error ValidationTagMismatch(string expected, string actual);
        error ValidationValidatorMismatch(address expected, address actual);

        function decode(bytes guarantee) external view returns (Core.Guarantee memory);
        function isTrustedValidationRegistry(address registry) external view returns (bool);
    }

    /// The validation registry of ERC-8004.
    #[derive(Debug, PartialEq, Eq)]
    interface ValidationRegistry {
        event ValidationRequest(
            address indexed validatorAddress,
            uint256 indexed agentId,
            string requestURI,
            bytes32 indexed requestHash
        );
        event ValidationResponse(
            address indexed validatorAddress,
            uint256 indexed agentId,
            bytes32 indexed requestHash,
            uint8 response,
            string responseURI,
            bytes32 responseHash,
            string tag
        );

        function validationRequest(
            address validatorAddress,
            uint256 agentId,
            string requestURI,
            bytes32 requestHash
        ) external;
        function validationResponse(
            bytes32 requestHash,
            uint8 response,
            string responseURI,
            bytes32 responseHash,
            string tag
        ) external;
        function getValidationStatus(bytes32 requestHash)
            external
            view
            returns (
                address validatorAddress,
                uint256 agentId,
                uint8 response,
                bytes32 responseHash,
                string tag,
                uint256 lastUpdate
            );
    }
}
