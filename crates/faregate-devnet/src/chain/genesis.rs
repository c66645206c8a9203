//! What stands on the chain before its first block: money, test USDC and helper contracts.

use alloy_primitives::{Address, Bytes, TxKind, U256, address};
use alloy_sol_types::{SolCall, SolValue, sol};
use faregate_types::{Asset, AssetRegistry, ChainId};
use revm::{bytecode::Bytecode, context::TxEnv, context_interface::result::ExecutionResult};
use serde::Deserialize;

use super::{
    accounts::ACCOUNTS,
    credit::{self, CreditConfig},
    error::DevchainError,
    evm::{BlockContext, Runner},
    limits,
    state::View,
};

/// Address of Multicall3 on every chain.
pub const MULTICALL3: Address = address!("0xcA11bde05977b3631167028862bE2a173976CA11");
/// Address of the deterministic deployment proxy on every chain.
pub const CREATE2_DEPLOYER: Address = address!("0x4e59b44847b379578588920cA78FbF26c0B4956C");
/// Address of our `BatchSettler` on every chain where it was deployed through the proxy above (`contracts/README.md`).
pub const BATCH_SETTLER: Address = address!("0xC544eF3F48DFF0Fa2A948e5F4811BAe36C653EF7");
/// Address of Uniswap's Permit2 on every chain.
pub const PERMIT2: Address = address!("0x000000000022D473030F116dDEE9F6B43aC78BA3");
/// Who pays the gas of `faregate_mint`. Nobody has its key; only the chain itself sends from it.
pub(crate) const FAUCET: Address = address!("0xfa0ce70000000000000000000000000000000402");

/// Ether of each dev account at the start, in wei: 10,000 ETH.
pub const DEV_BALANCE_WEI: U256 = U256::from_limbs([0x19e0_c9ba_b240_0000, 0x21e, 0, 0]);
/// Whole test USDC of each dev account at the start.
pub const DEV_USDC: u64 = 1_000_000;

sol! {
    function mint(address to, uint256 value);
    function balanceOf(address account) returns (uint256);
}

/// Puts everything in place. `block` is block 0 as contracts see it.
pub(crate) fn fill(
    view: &mut View<'_>,
    block: &BlockContext,
    assets: &[Asset],
    credit: Option<&CreditConfig>,
) -> Result<(), DevchainError> {
    for account in &ACCOUNTS {
        view.edit(account.address, |info| info.balance = DEV_BALANCE_WEI);
    }
    view.edit(FAUCET, |info| info.balance = U256::from(u128::MAX));
    let multicall: Artifact = read("Multicall3", MULTICALL3_JSON)?;
    place(view, MULTICALL3, multicall.deployed_bytecode);
    let deployer: Artifact = read("Create2Deployer", CREATE2_DEPLOYER_JSON)?;
    place(view, CREATE2_DEPLOYER, deployer.deployed_bytecode);
    let settler: Artifact = read("BatchSettler", BATCH_SETTLER_JSON)?;
    place(view, BATCH_SETTLER, settler.deployed_bytecode);
    let permit2: Artifact = read("Permit2", PERMIT2_JSON)?;
    construct(view, block, "Permit2", PERMIT2, permit2.bytecode)?;
    for asset in assets {
        place_token(view, block, asset)?;
        fund(view, block, asset)?;
    }
    match credit {
        Some(config) => credit::fill(view, block, assets, config),
        None => Ok(()),
    }
}

/// Gives every dev account its test tokens.
fn fund(view: &mut View<'_>, block: &BlockContext, asset: &Asset) -> Result<(), DevchainError> {
    let unit = U256::from(10).saturating_pow(U256::from(asset.decimals));
    for account in &ACCOUNTS {
        let value = U256::from(DEV_USDC).saturating_mul(unit);
        let mint = mint_input(account.address, value);
        call(view, block, asset.id.token(), mint).ok_or(DevchainError::Contract {
            name: "TestUsdc",
            reason: "minting failed",
        })?;
    }
    Ok(())
}

/// Calldata that mints test USDC.
pub(crate) fn mint_input(to: Address, value: U256) -> Bytes {
    mintCall { to, value }.abi_encode().into()
}

/// Calldata that asks for a balance.
pub(crate) fn balance_input(account: Address) -> Bytes {
    balanceOfCall { account }.abi_encode().into()
}

/// Puts the test token where the network's official one is.
fn place_token(
    view: &mut View<'_>,
    block: &BlockContext,
    asset: &Asset,
) -> Result<(), DevchainError> {
    let artifact: Artifact = read("TestUsdc", TEST_USDC_JSON)?;
    let name: &str = &asset.domain.name;
    let arguments = (
        name,
        &*asset.domain.version,
        &*asset.symbol,
        U256::from(asset.decimals),
    )
        .abi_encode_params();
    let mut creation = artifact.bytecode.unwrap_or_default().to_vec();
    creation.extend_from_slice(&arguments);
    let creation = Some(creation.into());
    construct(view, block, "TestUsdc", asset.id.token(), creation)
}

/// Runs a constructor at the contract's own address: the creation code stands there as if it were the contract, and what
/// a call to it returns is the runtime code with its immutable values filled in.
pub(super) fn construct(
    view: &mut View<'_>,
    block: &BlockContext,
    name: &'static str,
    at: Address,
    creation: Option<Bytes>,
) -> Result<(), DevchainError> {
    place(view, at, creation.unwrap_or_default());
    let runtime = call(view, block, at, Bytes::new())
        .filter(|runtime| !runtime.is_empty())
        .ok_or(DevchainError::Contract {
            name,
            reason: "the constructor failed",
        })?;
    place(view, at, runtime);
    Ok(())
}

fn place(view: &mut View<'_>, at: Address, code: Bytes) {
    view.edit(at, |info| {
        info.set_code(Bytecode::new_legacy(code));
        // Contracts begin with nonce 1 (EIP-161).
        info.nonce = 1;
    });
}

/// Calls a contract from the zero address and keeps the changes; `None` if it failed.
fn call(view: &mut View<'_>, block: &BlockContext, to: Address, input: Bytes) -> Option<Bytes> {
    call_from(view, block, Address::ZERO, to, input)
}

/// The same from any address.
pub(super) fn call_from(
    view: &mut View<'_>,
    block: &BlockContext,
    from: Address,
    to: Address,
    input: Bytes,
) -> Option<Bytes> {
    let tx = TxEnv {
        caller: from,
        gas_limit: limits::BLOCK_GAS_MAX,
        gas_price: 0,
        kind: TxKind::Call(to),
        data: input,
        chain_id: None,
        ..TxEnv::default()
    };
    let result = Runner::calling(view, block).commit(tx).ok()?;
    // Nobody must look as if they had sent something.
    view.edit(from, |info| info.nonce = 0);
    match result {
        ExecutionResult::Success { output, .. } => Some(output.into_data()),
        ExecutionResult::Revert { .. } | ExecutionResult::Halt { .. } => None,
    }
}

/// A committed contract, as far as it is needed here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Artifact {
    pub(super) bytecode: Option<Bytes>,
    #[serde(default)]
    deployed_bytecode: Bytes,
}

pub(super) fn read(name: &'static str, json: &str) -> Result<Artifact, DevchainError> {
    serde_json::from_str(json).map_err(|_| DevchainError::Contract {
        name,
        reason: "the artifact is not readable",
    })
}

const TEST_USDC_JSON: &str = include_str!("../../../../contracts/artifacts/TestUsdc.json");
const MULTICALL3_JSON: &str = include_str!("../../../../contracts/artifacts/Multicall3.json");
const BATCH_SETTLER_JSON: &str = include_str!("../../../../contracts/artifacts/BatchSettler.json");
const PERMIT2_JSON: &str = include_str!("../../../../contracts/artifacts/Permit2.json");
const CREATE2_DEPLOYER_JSON: &str =
    include_str!("../../../../contracts/artifacts/Create2Deployer.json");

/// The tokens that belong on a chain: the one prices are meant in first, then what else is known there.
pub(crate) fn assets(chain: ChainId, asset: Option<&Asset>) -> Result<Vec<Asset>, DevchainError> {
    let mut registry = AssetRegistry::builtin();
    if let Some(asset) = asset {
        if asset.id.chain() != chain {
            return Err(DevchainError::OtherChain {
                asset: asset.id,
                chain: chain.get(),
            });
        }
        registry = registry.with_default(asset.clone());
    }
    let first = registry
        .default_for(chain)
        .ok_or(DevchainError::UnknownChain(chain.get()))?;
    let others = registry
        .iter()
        .filter(|other| other.id.chain() == chain && other.id != first.id);
    Ok(std::iter::once(first).chain(others).cloned().collect())
}
