//! Putting the contracts of the credit network onto a chain.

use alloy_primitives::{Address, B256, Bytes, U256, address, hex};
use alloy_sol_types::{SolCall, SolValue, sol};
use faregate_types::ChainId;
use faregate_types::credit::GuaranteeVersion;
use faregate_types::credit::certificate::domain_separator;
use faregate_types::credit::words::KeyWords;

use super::abi::Core;
use super::call::{Call, CreditCore, Timing, g1_point};

/// Where the deterministic deployment proxy stands on every chain.
pub(super) const CREATE2_DEPLOYER: Address = address!("0x4e59b44847b379578588920cA78FbF26c0B4956C");

/// `bytecode` of the artifacts `CreditManager`, `CreditCore` and `ValidationGuaranteeDecoder` in `contracts/artifacts/`.
const MANAGER: &str = include_str!("creation/manager.hex");
const CORE: &str = include_str!("creation/core.hex");
const DECODER: &str = include_str!("creation/decoder.hex");

/// Who may change parameters, versions and tokens, and unpause.
const GOVERNANCE: u64 = 1;
/// Who may pause.
const GUARDIAN: u64 = 3;
/// Who records payments.
const OPERATOR: u64 = 4;

/// Gas of the largest deployment, and of a step of the set-up.
const DEPLOY_GAS: u64 = 8_000_000;
const STEP_GAS: u64 = 2_000_000;

sol! {
    function multicall(bytes[] data);
    function setTargetFunctionRole(address target, bytes4[] selectors, uint64 roleId);
    function grantRole(uint64 roleId, address account, uint32 executionDelay);
}

/// A credit network to be: what its contracts are made with. Their addresses follow from it, and from nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "callers say all of it; something new would change the addresses"
)]
pub struct Deployment {
    /// The chain; certificates of version 2 are signed for it.
    pub chain: ChainId,
    /// The key whose certificates count, in both versions.
    pub key: KeyWords,
    /// Tokens taken as collateral beside ETH: USDC first, then USDT, for clients that ask by these names.
    pub tokens: Vec<Address>,
    /// ERC-8004 validation registries that version 2 believes; empty leaves version 2 off.
    pub registries: Vec<Address>,
    /// The four durations.
    pub timing: Timing,
    /// Who sends the steps that set everything up, and grants roles afterwards.
    pub admin: Address,
    /// Who may change parameters, versions and tokens, and unpause; each call waits for `governance_delay`.
    pub governor: Address,
    /// How long, in seconds; 72 hours on public chains, so that everybody sees a change before it counts.
    pub governance_delay: u32,
    /// Who may pause.
    pub guardian: Address,
    /// Who records payments.
    pub operator: Address,
}

/// A contract to be, at the address that follows from its code.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Creation {
    /// Where it will be.
    pub address: Address,
    /// What puts it there, once. Anyone may send it.
    pub call: Call,
}

impl Creation {
    /// The contract with this creation code, arguments included.
    #[must_use]
    pub fn of(code: &[u8]) -> Self {
        Self {
            address: create2(code),
            call: Call {
                to: CREATE2_DEPLOYER,
                value: U256::ZERO,
                data: [B256::ZERO.as_slice(), code].concat().into(),
                gas: DEPLOY_GAS,
            },
        }
    }
}

impl Deployment {
    /// Where the AccessManager will be.
    #[must_use]
    pub fn manager(&self) -> Address {
        create2(&self.manager_code())
    }

    /// The contract itself.
    #[must_use]
    pub fn core(&self) -> CreditCore {
        CreditCore::at(create2(&self.core_code()))
    }

    /// Where the reader of version 2 will be; `None` without registries.
    #[must_use]
    pub fn decoder(&self) -> Option<Address> {
        Some(create2(&self.decoder_code()?))
    }

    /// The contracts to be put onto the chain, the core last.
    #[must_use]
    pub fn creations(&self) -> Vec<Creation> {
        let codes = [
            Some(self.manager_code()),
            self.decoder_code(),
            Some(self.core_code()),
        ];
        let codes = codes.iter().flatten();
        codes.map(|code| Creation::of(code)).collect()
    }

    /// The calls that the administrator sends afterwards, in this order: durations, version 2, and last the roles, with which
    /// all but granting roles leaves the administrator's hands.
    #[must_use]
    pub fn steps(&self) -> Vec<Call> {
        let core = self.core().address();
        let timing = Core::setTimingParametersCall {
            remunerationGracePeriod: U256::from(self.timing.remuneration_grace),
            tabExpirationTime: U256::from(self.timing.tab_expiration),
            synchronizationDelay: U256::from(self.timing.synchronization_delay),
            withdrawalGracePeriod: U256::from(self.timing.withdrawal_grace),
        };
        let two = self
            .decoder()
            .map(|decoder| Core::configureGuaranteeVersionCall {
                version: 2,
                verificationKey: g1_point(&self.key),
                domainSeparator: domain_separator(GuaranteeVersion::V2, self.chain, core),
                decoder,
                enabled: true,
            });
        let step = |to: Address, data: Vec<u8>| Call {
            to,
            value: U256::ZERO,
            data: data.into(),
            gas: STEP_GAS,
        };
        let mut steps = vec![step(core, timing.abi_encode())];
        steps.extend(two.map(|two| step(core, two.abi_encode())));
        steps.push(step(self.manager(), self.roles(core)));
        steps
    }

    fn roles(&self, core: Address) -> Vec<u8> {
        let opened = |role: u64, selectors: &[[u8; 4]]| {
            let call = setTargetFunctionRoleCall {
                target: core,
                selectors: selectors.iter().map(Into::into).collect(),
                roleId: role,
            };
            Bytes::from(call.abi_encode())
        };
        let granted = |role: u64, account: Address, delay: u32| {
            let call = grantRoleCall {
                roleId: role,
                account,
                executionDelay: delay,
            };
            Bytes::from(call.abi_encode())
        };
        let data = vec![
            opened(OPERATOR, &OPERATORS),
            opened(GUARDIAN, &[Core::pauseCall::SELECTOR]),
            opened(GOVERNANCE, &GOVERNORS),
            granted(OPERATOR, self.operator, 0),
            granted(GUARDIAN, self.guardian, 0),
            granted(GOVERNANCE, self.governor, self.governance_delay),
        ];
        multicallCall { data }.abi_encode()
    }

    fn manager_code(&self) -> Vec<u8> {
        code(MANAGER, &self.admin.abi_encode())
    }

    fn core_code(&self) -> Vec<u8> {
        let arguments = (self.manager(), g1_point(&self.key), self.tokens.clone());
        code(CORE, &arguments.abi_encode_params())
    }

    fn decoder_code(&self) -> Option<Vec<u8>> {
        if self.registries.is_empty() {
            return None;
        }
        let arguments = (self.registries.clone(),);
        Some(code(DECODER, &arguments.abi_encode_params()))
    }
}

const OPERATORS: [[u8; 4]; 3] = [
    Core::recordPaymentCall::SELECTOR,
    Core::recordPaymentByIdCall::SELECTOR,
    Core::recordPaymentsByIdCall::SELECTOR,
];

const GOVERNORS: [[u8; 4]; 9] = [
    Core::addAssetCall::SELECTOR,
    Core::configureGuaranteeVersionCall::SELECTOR,
    Core::setGuaranteeVerificationKeyCall::SELECTOR,
    Core::setRemunerationGracePeriodCall::SELECTOR,
    Core::setTabExpirationTimeCall::SELECTOR,
    Core::setSynchronizationDelayCall::SELECTOR,
    Core::setWithdrawalGracePeriodCall::SELECTOR,
    Core::setTimingParametersCall::SELECTOR,
    Core::unpauseCall::SELECTOR,
];

/// The creation code with its arguments.
fn code(digits: &str, arguments: &[u8]) -> Vec<u8> {
    // A test compares the digits with the artifact, so there is nothing to go wrong.
    let mut code = hex::decode(digits.trim_end()).unwrap_or_default();
    code.extend_from_slice(arguments);
    code
}

fn create2(code: &[u8]) -> Address {
    CREATE2_DEPLOYER.create2_from_code(B256::ZERO, code)
}
