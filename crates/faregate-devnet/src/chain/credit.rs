//! The contracts of the credit network, when the chain is asked to have them: there from the first block on, at addresses
//! that are always the same.

use alloy_primitives::{Address, Bytes, U256, address};
use alloy_sol_types::{SolCall, SolValue, sol};
use faregate_types::{
    Asset, ChainId,
    credit::{GuaranteeVersion, certificate::domain_separator, words::KeyWords},
};

use super::{
    error::DevchainError,
    evm::BlockContext,
    genesis::{Artifact, call_from, construct, read},
    state::View,
};

/// Address of `CreditCore`.
pub const CREDIT_CORE: Address = address!("0xC4ED170000000000000000000000000000000001");
/// Address of the AccessManager that opens its functions to the operator and the administrator.
pub const CREDIT_MANAGER: Address = address!("0xC4ED170000000000000000000000000000000002");
/// Address of the contract that reads certificates of version 2. It believes [`VALIDATION_REGISTRY`].
pub const VALIDATION_DECODER: Address = address!("0xC4ED170000000000000000000000000000000003");
/// Address of the ERC-8004 validation registry: where the SDKs' tests expect it.
pub const VALIDATION_REGISTRY: Address = address!("0x8004Cb1BF31DAf7788923b405b754f57acEB4272");

/// The credit network on a dev chain.
#[derive(Clone, Debug)]
pub struct CreditConfig {
    /// The key whose certificates count, in both versions: a G1 point other than infinity.
    pub verification_key: KeyWords,
    /// Who records payments.
    pub operator: Address,
    /// Who may do everything else that is not for everybody: parameters, versions, tokens, pausing, roles.
    pub admin: Address,
    /// The contract's four durations.
    pub timing: CreditTiming,
}

/// The durations of `CreditCore`, in seconds, none of them 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreditTiming {
    /// How long after its guarantee a payer may pay before collateral is taken; less than the next one.
    pub remuneration_grace: u64,
    /// How old a guarantee may be when it is redeemed.
    pub tab_expiration: u64,
    /// How long the operator may take to notice a withdrawal request.
    pub synchronization_delay: u64,
    /// How long a withdrawal takes; more than the last two together.
    pub withdrawal_grace: u64,
}

impl Default for CreditTiming {
    /// What the contract has of its own: 14 days, 21 days, 6 hours, 22 days.
    fn default() -> Self {
        const DAY: u64 = 24 * 3600;
        Self {
            remuneration_grace: 14 * DAY,
            tab_expiration: 21 * DAY,
            synchronization_delay: DAY >> 2,
            withdrawal_grace: 22 * DAY,
        }
    }
}

sol! {
    struct G1Point {
        bytes32 x_a;
        bytes32 x_b;
        bytes32 y_a;
        bytes32 y_b;
    }

    function setTimingParameters(uint256 grace, uint256 expiration, uint256 delay, uint256 withdrawal);
    function configureGuaranteeVersion(uint64 version, G1Point key, bytes32 domain, address decoder, bool enabled);
    function setTargetFunctionRole(address target, bytes4[] selectors, uint64 roleId);
    function grantRole(uint64 roleId, address account, uint32 executionDelay);

    function recordPayment(uint256 tabId, address asset, uint256 amount);
    function recordPaymentById(bytes32 id, uint256 tabId, address asset, uint256 amount);
    struct PaymentRecord {
        bytes32 id;
        uint256 tabId;
        address asset;
        uint256 amount;
    }
    function recordPaymentsById(PaymentRecord[] records);
}

/// The role of operators, as public deployments number it. Everything else stays with the administrator, whose role is 0.
const OPERATOR_ROLE: u64 = 4;

/// Puts the contracts in place, with the tokens of the chain as collateral.
pub(super) fn fill(
    view: &mut View<'_>,
    block: &BlockContext,
    assets: &[Asset],
    config: &CreditConfig,
) -> Result<(), DevchainError> {
    let manager = creation(
        "CreditManager",
        MANAGER_JSON,
        &(config.admin,).abi_encode_params(),
    )?;
    construct(view, block, "CreditManager", CREDIT_MANAGER, manager)?;
    let chain = ChainId::new(block.chain_id).ok_or(DevchainError::ZeroChain)?;
    let [x_a, x_b, y_a, y_b] = config.verification_key;
    let key = || G1Point { x_a, x_b, y_a, y_b };
    let tokens: Vec<Address> = assets.iter().map(|asset| asset.id.token()).collect();
    let arguments = (CREDIT_MANAGER, key(), tokens).abi_encode_params();
    let core = creation("CreditCore", CORE_JSON, &arguments)?;
    construct(view, block, "CreditCore", CREDIT_CORE, core)?;
    let registry = creation("TestValidationRegistry", REGISTRY_JSON, &[])?;
    construct(
        view,
        block,
        "TestValidationRegistry",
        VALIDATION_REGISTRY,
        registry,
    )?;
    let decoder = "ValidationGuaranteeDecoder";
    let arguments = (vec![VALIDATION_REGISTRY],).abi_encode_params();
    let code = creation(decoder, DECODER_JSON, &arguments)?;
    construct(view, block, decoder, VALIDATION_DECODER, code)?;
    for (to, input, reason) in steps(config, chain, key()) {
        call_from(view, block, config.admin, to, input.into()).ok_or(DevchainError::Contract {
            name: "CreditCore",
            reason,
        })?;
    }
    Ok(())
}

/// What the administrator does once the contracts are there, and what is wrong when it cannot be done.
fn steps(
    config: &CreditConfig,
    chain: ChainId,
    key: G1Point,
) -> [(Address, Vec<u8>, &'static str); 4] {
    let timing = config.timing;
    let timing = setTimingParametersCall {
        grace: U256::from(timing.remuneration_grace),
        expiration: U256::from(timing.tab_expiration),
        delay: U256::from(timing.synchronization_delay),
        withdrawal: U256::from(timing.withdrawal_grace),
    };
    let version = configureGuaranteeVersionCall {
        version: 2,
        key,
        domain: domain_separator(GuaranteeVersion::V2, chain, CREDIT_CORE),
        decoder: VALIDATION_DECODER,
        enabled: true,
    };
    let records = setTargetFunctionRoleCall {
        target: CREDIT_CORE,
        selectors: [
            recordPaymentCall::SELECTOR,
            recordPaymentByIdCall::SELECTOR,
            recordPaymentsByIdCall::SELECTOR,
        ]
        .map(Into::into)
        .to_vec(),
        roleId: OPERATOR_ROLE,
    };
    let operator = grantRoleCall {
        roleId: OPERATOR_ROLE,
        account: config.operator,
        executionDelay: 0,
    };
    [
        (
            CREDIT_CORE,
            timing.abi_encode(),
            "the timing parameters do not fit together",
        ),
        (
            CREDIT_CORE,
            version.abi_encode(),
            "version 2 could not be switched on",
        ),
        (
            CREDIT_MANAGER,
            records.abi_encode(),
            "the operator's role could not be set up",
        ),
        (
            CREDIT_MANAGER,
            operator.abi_encode(),
            "the operator could not be appointed",
        ),
    ]
}

/// The creation code of the registry at [`VALIDATION_REGISTRY`], for chains that have none.
///
/// # Errors
/// [`DevchainError::Contract`]: never, as long as the artifact is one.
pub fn validation_registry() -> Result<Bytes, DevchainError> {
    let code = creation("TestValidationRegistry", REGISTRY_JSON, &[])?;
    Ok(code.unwrap_or_default())
}

fn creation(
    name: &'static str,
    json: &str,
    arguments: &[u8],
) -> Result<Option<Bytes>, DevchainError> {
    let artifact: Artifact = read(name, json)?;
    let mut code = artifact.bytecode.unwrap_or_default().to_vec();
    code.extend_from_slice(arguments);
    Ok(Some(code.into()))
}

const CORE_JSON: &str = include_str!("../../../../contracts/artifacts/CreditCore.json");
const MANAGER_JSON: &str = include_str!("../../../../contracts/artifacts/CreditManager.json");
const DECODER_JSON: &str =
    include_str!("../../../../contracts/artifacts/ValidationGuaranteeDecoder.json");
const REGISTRY_JSON: &str =
    include_str!("../../../../contracts/artifacts/TestValidationRegistry.json");
