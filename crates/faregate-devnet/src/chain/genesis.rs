//! What stands on the chain before its first block: money, test USDC and two helper contracts.

use std::borrow::Cow;

use alloy_primitives::{Address, Bytes, TxKind, U256, address};
use alloy_sol_types::{SolCall, SolValue, sol};
use revm::{bytecode::Bytecode, context::TxEnv, context_interface::result::ExecutionResult};
use serde::Deserialize;

use super::{
    accounts::ACCOUNTS,
    error::DevchainError,
    evm::{BlockContext, Runner},
    limits,
    state::View,
};

/// A test token: where it stands and what its EIP-712 domain says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestAsset {
    /// Address of the token.
    pub token: Address,
    /// ERC-20 name and EIP-712 domain name; at most 31 bytes.
    pub name: Cow<'static, str>,
    /// EIP-712 domain version; at most 31 bytes.
    pub version: Cow<'static, str>,
    /// ERC-20 symbol; at most 31 bytes.
    pub symbol: Cow<'static, str>,
    /// ERC-20 decimals.
    pub decimals: u8,
}

/// Address of Multicall3 on every chain.
pub const MULTICALL3: Address = address!("0xcA11bde05977b3631167028862bE2a173976CA11");
/// Address of the deterministic deployment proxy on every chain.
pub const CREATE2_DEPLOYER: Address = address!("0x4e59b44847b379578588920cA78FbF26c0B4956C");
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
    asset: &TestAsset,
) -> Result<(), DevchainError> {
    for account in &ACCOUNTS {
        view.edit(account.address, |info| info.balance = DEV_BALANCE_WEI);
    }
    view.edit(FAUCET, |info| info.balance = U256::from(u128::MAX));
    let multicall: Artifact = read("Multicall3", MULTICALL3_JSON)?;
    place(view, MULTICALL3, multicall.deployed_bytecode);
    let deployer: Artifact = read("Create2Deployer", CREATE2_DEPLOYER_JSON)?;
    place(view, CREATE2_DEPLOYER, deployer.deployed_bytecode);
    place_token(view, block, asset)?;
    let unit = U256::from(10).saturating_pow(U256::from(asset.decimals));
    for account in &ACCOUNTS {
        let value = U256::from(DEV_USDC).saturating_mul(unit);
        let mint = mint_input(account.address, value);
        call(view, block, asset.token, mint).ok_or(DevchainError::Contract {
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

/// Runs the constructor at the token's own address: the creation code stands there as if it were the contract, and what
/// a call to it returns is the runtime code with its immutable values filled in.
fn place_token(
    view: &mut View<'_>,
    block: &BlockContext,
    asset: &TestAsset,
) -> Result<(), DevchainError> {
    let artifact: Artifact = read("TestUsdc", TEST_USDC_JSON)?;
    let name: &str = &asset.name;
    let arguments = (
        name,
        &*asset.version,
        &*asset.symbol,
        U256::from(asset.decimals),
    )
        .abi_encode_params();
    let mut creation = artifact.bytecode.unwrap_or_default().to_vec();
    creation.extend_from_slice(&arguments);
    place(view, asset.token, creation.into());
    let runtime = call(view, block, asset.token, Bytes::new())
        .filter(|runtime| !runtime.is_empty())
        .ok_or(DevchainError::Contract {
            name: "TestUsdc",
            reason: "the constructor failed",
        })?;
    place(view, asset.token, runtime);
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
    let tx = TxEnv {
        gas_limit: limits::BLOCK_GAS_MAX,
        gas_price: 0,
        kind: TxKind::Call(to),
        data: input,
        chain_id: None,
        ..TxEnv::default()
    };
    let result = Runner::calling(view, block).commit(tx).ok()?;
    // The zero address must not look as if it had sent something.
    view.edit(Address::ZERO, |info| info.nonce = 0);
    match result {
        ExecutionResult::Success { output, .. } => Some(output.into_data()),
        ExecutionResult::Revert { .. } | ExecutionResult::Halt { .. } => None,
    }
}

/// A committed contract, as far as it is needed here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Artifact {
    bytecode: Option<Bytes>,
    deployed_bytecode: Bytes,
}

fn read(name: &'static str, json: &str) -> Result<Artifact, DevchainError> {
    serde_json::from_str(json).map_err(|_| DevchainError::Contract {
        name,
        reason: "the artifact is not readable",
    })
}

const TEST_USDC_JSON: &str = include_str!("../../../../contracts/artifacts/TestUsdc.json");
const MULTICALL3_JSON: &str = include_str!("../../../../contracts/artifacts/Multicall3.json");
const CREATE2_DEPLOYER_JSON: &str =
    include_str!("../../../../contracts/artifacts/Create2Deployer.json");

/// The USDC of a chain, or the token that takes its place there; `None` for a chain we do not know.
pub(crate) fn known_asset(chain_id: u64) -> Option<TestAsset> {
    let (_, token, name, version, symbol, decimals) =
        *ASSETS.iter().find(|asset| asset.0 == chain_id)?;
    Some(TestAsset {
        token,
        name: Cow::Borrowed(name),
        version: Cow::Borrowed(version),
        symbol: Cow::Borrowed(symbol),
        decimals,
    })
}

/// Chain id, address, EIP-712 name, version, symbol, decimals. Chain 31337 (anvil, hardhat) has no official USDC and gets
/// Base Sepolia's.
#[rustfmt::skip]
static ASSETS: &[(u64, Address, &str, &str, &str, u8)] = &[
    (84532, address!("0x036CbD53842c5426634e7929541eC2318f3dCF7e"), "USDC", "2", "USDC", 6),
    (31337, address!("0x036CbD53842c5426634e7929541eC2318f3dCF7e"), "USDC", "2", "USDC", 6),
    (8453, address!("0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"), "USD Coin", "2", "USDC", 6),
    (1, address!("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"), "USD Coin", "2", "USDC", 6),
    (11155111, address!("0x1c7D4B196Cb0C7B01d743Fbc6116a902379C7238"), "USDC", "2", "USDC", 6),
    (137, address!("0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359"), "USD Coin", "2", "USDC", 6),
];
