//! What facilitators say about a payment, against ours on a dev chain: in process, and as a service over HTTP.
//!
//! The cases were recorded one after the other on one chain: what was settled earlier is settled in later ones. So they
//! are walked in their order, and every settlement is made, whichever kind is being judged.

use std::collections::BTreeMap;

use faregate_types::x402::{FacilitatorRequest, SettleResponse, VerifyResponse};
use faregate_types::{U256, hex_text};
use serde_json::{Value, json};

use super::desk::Answer;
pub use super::desk::Way;
use super::world::World;
use super::{equal, rule};
use crate::case::Case;
use crate::judge::{CRASHED, Heard, is_python};
use crate::kind::{self, Kind, Runner};

/// What was heard about each case of a kind.
pub type Heardings<'a> = Vec<(&'a Case, Result<Heard, String>)>;

/// Runs the cases of one kind, in their place among the others, against our facilitator asked in one way.
///
/// # Errors
/// When the chain of `facilitator.chain_state` cannot be had.
pub fn hear<'a>(cases: &'a [Case], wanted: &Kind, way: Way) -> Result<Heardings<'a>, String> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let state = cases
            .iter()
            .find(|case| case.name == "facilitator.chain_state")
            .ok_or("there is no facilitator.chain_state to begin with")?;
        let mut world = World::start(&state.expected, way).await?;
        let mut heard = Vec::new();
        for case in cases {
            let Some(kind) = kind::of(case) else { continue };
            let is_wanted = kind.prefix == wanted.prefix;
            if matches!(kind.runner, Runner::Facilitator) && (is_wanted || is_settlement(case)) {
                let answer = Box::pin(one(&mut world, case)).await;
                if is_wanted {
                    heard.push((case, answer));
                }
            }
        }
        world.stop().await;
        Ok(heard)
    })
}

fn is_settlement(case: &Case) -> bool {
    case.name.starts_with("facilitator.settle.")
}

async fn one(world: &mut World, case: &Case) -> Result<Heard, String> {
    if case.name == "facilitator.chain_state" {
        return chain_state(world, case).await;
    }
    let body = request(case)?;
    if !is_settlement(case) {
        let inputs = [
            "paymentPayload",
            "paymentRequirements",
            "chainState",
            "state",
        ];
        case.only(&inputs, &PEERS)?;
        let state: Option<String> = case
            .inputs
            .get("state")
            .map(|_| case.input("state"))
            .transpose()?;
        let ours = world.in_state(state.as_deref(), &body, verify).await?;
        let (peers, ruling) = (
            peers(case, verified)?,
            rule::verified(&case.inputs, world.chain_id()),
        );
        return Ok(Heard {
            peers,
            ours,
            ruling,
        });
    }
    let inputs = ["paymentPayload", "paymentRequirements", "chainState"];
    if case.expected.get("first").is_some() {
        case.only(&inputs, &["first", "second"])?;
        let ours = [settle(world, &body).await?, settle(world, &body).await?];
        let (_, peer) = case.name.rsplit_once("twice.").ok_or("names no peer")?;
        let answer = |key: &str| {
            let answer = case.expected.get(key).ok_or("answers only once")?;
            said(peer, answer, settled)
        };
        let (first, second) = (answer("first")?, answer("second")?);
        let ruling = rule::settled_again(&first).map(|again| twice(&first, &again));
        let peers = BTreeMap::from([(peer.to_owned(), twice(&first, &second))]);
        let [first, second] = ours;
        return Ok(Heard {
            peers,
            ours: twice(&first, &second),
            ruling,
        });
    }
    case.only(&inputs, &PEERS)?;
    let earlier = world.answered(&body);
    let ours = settle(world, &body).await?;
    let ruling = earlier.as_deref().and_then(rule::settled_again);
    Ok(Heard {
        peers: peers(case, settled)?,
        ours,
        ruling,
    })
}

fn twice(first: &str, second: &str) -> String {
    format!("{first}; then {second}")
}

const PEERS: [&str; 3] = [
    "python_2_25_0",
    "typescript_2_27_0",
    "typescript_x402_1_2_0",
];

/// The chain is the recorded one, as far as EIP-3009 goes. Permit2's part is for a later runner.
async fn chain_state(world: &World, case: &Case) -> Result<Heard, String> {
    let permit2 = ["permit2Allowance", "acc2PermitNonce", "codeAt"];
    let mut known = vec!["chainId", "token", "balances"];
    known.extend(permit2);
    case.only(&[], &known)?;
    equal(
        "chain id",
        &case.expected::<u64>("chainId")?,
        &world.chain_id(),
    )?;
    equal("token", case.expected("token")?, world.token())?;
    let balances: BTreeMap<String, String> = case.expected("balances")?;
    for (account, balance) in balances {
        let address = hex_text::parse_address(&account).map_err(|error| error.to_string())?;
        equal(&account, balance, world.balance(address).await?.to_string())?;
    }
    Ok(Heard::same(case))
}

/// The body a facilitator gets.
fn request(case: &Case) -> Result<Vec<u8>, String> {
    let (payload, requirements): (Value, Value) = (
        case.input("paymentPayload")?,
        case.input("paymentRequirements")?,
    );
    let body = json!({
        "x402Version": payload.get("x402Version"),
        "paymentPayload": payload,
        "paymentRequirements": requirements,
    });
    Ok(body.to_string().into_bytes())
}

async fn verify(world: &World, body: &[u8]) -> Result<String, String> {
    match world.desk().verify(body).await? {
        Answer::Verdict(response) => verified("us", &response),
        Answer::NoRequest { status, code } => Ok(format!("http {status} {code}")),
    }
}

/// Settles, and insists that the money that moved is what the answer says.
async fn settle(world: &mut World, body: &[u8]) -> Result<String, String> {
    let request = FacilitatorRequest::decode(body).ok();
    let terms = request.and_then(|request| Some(request.exact().ok()?.terms));
    let payee = terms.as_ref().map(|terms| terms.pay_to).unwrap_or_default();
    let before = world.balance(payee).await?;
    let response = match world.desk().settle(body).await? {
        Answer::Verdict(response) => response,
        Answer::NoRequest { status, code } => return Ok(format!("http {status} {code}")),
    };
    let moved = world.balance(payee).await?.saturating_sub(before);
    let answer = settled("us", &response)?;
    let earlier = world.remember(body, &answer, &response.transaction);
    let price = terms.map(|terms| terms.amount).unwrap_or_default();
    let is_new = response.success && earlier.is_none();
    equal(
        "the money that moved",
        if is_new { price } else { U256::ZERO },
        moved,
    )?;
    if earlier.is_some_and(|earlier| earlier == response.transaction) {
        return Ok(format!("{answer}{}", rule::AGAIN));
    }
    Ok(answer)
}

/// What each peer answered.
fn peers<T: serde::de::DeserializeOwned>(
    case: &Case,
    wording: fn(&str, &T) -> Result<String, String>,
) -> Result<BTreeMap<String, String>, String> {
    let answers = case.expected.as_object().ok_or("has no answers")?;
    answers
        .iter()
        .map(|(peer, answer)| Ok((peer.clone(), said(peer, answer, wording)?)))
        .collect()
}

/// One recorded answer, read with our own wire types: `{http, body}`, or the body alone.
fn said<T: serde::de::DeserializeOwned>(
    peer: &str,
    answer: &Value,
    wording: fn(&str, &T) -> Result<String, String>,
) -> Result<String, String> {
    let body = match answer.get("http").map(Value::as_u64) {
        Some(Some(500)) => return Ok(CRASHED.to_owned()),
        Some(Some(200)) => answer.get("body").ok_or("has no body")?,
        None => answer,
        Some(_) => return Err(format!("{peer} answered with a status no runner knows")),
    };
    let text = body.to_string();
    if text.contains("web3.py only accepts checksum addresses") {
        // An exception of a library, turned into a verdict. Letter case is no part of an address (x402 §2.2 step 3).
        return Ok(CRASHED.to_owned());
    }
    let body = serde_json::from_str(&text);
    wording(peer, &body.map_err(|error| format!("{peer}: {error}"))?)
}

fn verified(who: &str, response: &VerifyResponse) -> Result<String, String> {
    let by = by(response.payer.as_deref())?;
    if response.is_valid {
        return Ok(format!("valid{by}"));
    }
    let reason = reason(who, response.invalid_reason.as_deref(), response.code())?;
    Ok(format!("refused: {reason}{by}"))
}

fn settled(who: &str, response: &SettleResponse) -> Result<String, String> {
    let by = by(response.payer.as_deref())?;
    let SettleResponse {
        network,
        transaction,
        ..
    } = response;
    let transaction = match (transaction.is_empty(), response.transaction_hash()) {
        (true, _) => "no transaction",
        (false, Some(_)) => "with a transaction",
        (false, None) => return Err(format!("{transaction:?} is no transaction hash")),
    };
    if response.success {
        return Ok(format!("settled{by}, on {network}, {transaction}"));
    }
    let reason = reason(who, response.error_reason.as_deref(), response.code())?;
    Ok(format!("failed: {reason}{by}, on {network}, {transaction}"))
}

/// A reason by our name for it; Python's names have to be ours to the letter.
fn reason(
    who: &str,
    text: Option<&str>,
    code: Option<faregate_types::Code>,
) -> Result<&'static str, String> {
    let text = text.ok_or_else(|| format!("{who} gives no reason"))?;
    let code = code.ok_or_else(|| format!("{who} gives a reason we do not understand: {text}"))?;
    if is_python(who) {
        equal("our name for a reason of Python's", text, code.as_str())?;
    }
    Ok(code.as_str())
}

pub(super) fn by(payer: Option<&str>) -> Result<String, String> {
    match payer {
        None | Some("") => Ok(String::new()),
        Some(payer) => {
            let address = hex_text::parse_address(payer)
                .map_err(|error| format!("payer {payer}: {error}"))?;
            Ok(format!(", payer {address}"))
        }
    }
}
