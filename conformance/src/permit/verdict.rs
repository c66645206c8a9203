//! Whether a permit pays, given what the chain said: the answers of 0.1.1 (`verify`) and 0.3.0 (`verify030`), word by word.

use alloy_primitives::address;
use faregate_evm::recover;
use faregate_types::permit::{
    ChainState, Expected, PermitKind, Price, Refused, Verified, refused, request, verify as rules,
};
use faregate_types::{
    Address, Asset, B256, ChainId, Erc20, Timestamp, TokenDomain, TransferMethod, U256,
};
use serde_json::{Value, json};

use super::{address as input_address, decimal, usdc};
use crate::case::Case;
use crate::judge::Heard;

/// How the answer begins where the chain could not be asked; what follows is of the peer's libraries.
const UNAVAILABLE: &str = "400 Verification failed: Blockchain interaction error: ";

/// 0.1.1, with what is registered there.
///
/// # Errors
/// When the case has another form.
pub fn first(case: &Case) -> Result<Heard, String> {
    case.only(
        &[
            "permit",
            "chain_state",
            "now",
            "server_wallet",
            "registered",
        ],
        &["http", "status", "message", "body"],
    )?;
    let wallet = input_address(case, "server_wallet")?;
    let registered: Vec<Value> = case.input("registered")?;
    let prices: Result<Vec<Price>, String> = registered
        .iter()
        .map(|one| {
            let chain = one.get("chain").and_then(Value::as_str).unwrap_or_default();
            let asset = usdc(chain).ok_or_else(|| format!("no asset on {chain:?}"))?;
            let amount = decimal(one.get("amount").unwrap_or(&Value::Null))?;
            let amount = amount.to_units(asset.decimals);
            Ok(price(
                asset,
                amount.map_err(|error| error.to_string())?,
                wallet,
            ))
        })
        .collect();
    hear(case, &prices?)
}

/// 0.3.0, whose recording does not say what was registered: 0.5 USDC and 0.5 USDT, as in its 402 answer.
///
/// # Errors
/// When the case has another form.
pub fn later(case: &Case) -> Result<Heard, String> {
    case.only(
        &["permit", "chain_state", "now", "server_wallet"],
        &["http", "status", "message", "body"],
    )?;
    let wallet = input_address(case, "server_wallet")?;
    let sepolia = ChainId::evm(11_155_111);
    let usdt = Asset {
        id: Erc20::new(sepolia, USDT),
        symbol: "USDT".into(),
        decimals: 6,
        domain: TokenDomain::new("USDT", "1"),
        transfer: TransferMethod::Permit2,
    };
    let half = U256::from(500_000);
    let usdc = usdc("eip155:11155111").ok_or("no USDC")?;
    hear(
        case,
        &[price(usdc, half, wallet), price(usdt, half, wallet)],
    )
}

const USDT: Address = address!("0xbDeaD2A70Fe794D2f97b37EFDE497e68974a296d");

fn price(asset: Asset, amount: U256, wallet: Address) -> Price {
    Price::new(asset, amount, wallet, wallet)
}

fn hear(case: &Case, prices: &[Price]) -> Result<Heard, String> {
    let now: u64 = case.input("now")?;
    let peer = match case.expected::<u16>("http")? {
        200 => format!("200 {}", case.expected::<String>("message")?),
        status => {
            let body: Value = case.expected("body")?;
            let error = body.get("error").and_then(Value::as_str);
            let error = error
                .ok_or("has no error")?
                .replace("<now>", &now.to_string());
            format!("{status} {error}")
        }
    };
    let ours = match answer(case, prices, now)? {
        Ok(verified) => format!("200 {}", verified.message),
        Err(refused) => format!("{} {}", refused::STATUS, refused.text()),
    };
    if peer.starts_with(UNAVAILABLE) && ours.starts_with(UNAVAILABLE) {
        return Ok(Heard::same(case));
    }
    Ok(Heard::one(case, peer, ours))
}

/// Everything from the bytes of the request on.
fn answer(case: &Case, prices: &[Price], now: u64) -> Result<Result<Verified, Refused>, String> {
    let body = json!({ "version": request::VERSION, "permit": case.input::<Value>("permit")? });
    let permit = match request::read(body.to_string().as_bytes()) {
        Ok(permit) => permit,
        Err(refused) => return Ok(Err(refused)),
    };
    let expected = Expected {
        prices,
        now: Timestamp::from_secs(now),
        margin_secs: 0,
    };
    let checked = match rules::check(&permit, &expected, |digest, signature| {
        recover(digest, signature)
    }) {
        Ok(checked) => checked,
        Err(refused) => return Ok(Err(refused)),
    };
    Ok(match state(case, permit.terms.kind())? {
        Some(state) => checked.cover(&state),
        None => Err(Refused::chain_unavailable()),
    })
}

/// What the recording says of the chain; `None` where it did not answer. Two facts stand in names only.
fn state(case: &Case, kind: PermitKind) -> Result<Option<ChainState>, String> {
    let chain: Value = case.input("chain_state")?;
    if chain.get("nonce").and_then(Value::as_i64) == Some(-1) {
        return Ok(None);
    }
    let number = |key: &str| {
        let number = chain.get(key).and_then(Value::as_u64);
        number
            .map(U256::from)
            .ok_or_else(|| format!("no {key:?} in chain_state"))
    };
    let is_first = kind == PermitKind::Eip2612;
    let foreign = case.name.contains("domain separator mismatch on chain");
    Ok(Some(ChainState {
        balance: number("balance")?,
        reserved: U256::ZERO,
        allowance: number(if is_first {
            "allowance"
        } else {
            "allowance_permit2"
        })?,
        next_nonce: if is_first {
            number("nonce")?
        } else {
            U256::ZERO
        },
        is_nonce_taken: case.name.contains("replay of a used nonce"),
        domain_separator: foreign.then(|| B256::repeat_byte(0x11)),
    }))
}
