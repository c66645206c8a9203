//! The recorded calls, on a dev chain at the recorded time: what a payer signed and a peer would have sent moves the money.

use faregate_devnet::{ChainConfig, Devchain};
use faregate_types::{Address, ChainId, Timestamp, U256, permit2};
use serde_json::{Value, json};

use super::equal;
use crate::case::Case;
use crate::judge::Heard;

/// Where `TestUsdc` keeps the EIP-2612 nonces.
const NONCES_SLOT: u64 = 7;
const NONCES: &str = "7ecebe00";
const ALLOWANCE: &str = "dd62ed3e";
const BALANCE_OF: &str = "70a08231";
const MINT: &str = "40c10f19";
const APPROVE: &str = "095ea7b3";

/// What a case of signing is about: who pays whom how much of which token, and when.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deal {
    pub chain: ChainId,
    pub now: Timestamp,
    pub token: Address,
    pub payer: Address,
    pub payee: Address,
    pub value: U256,
}

/// A precompiled contract that anvil has from Prague on; the dev chain is Prague.
///
/// # Errors
/// When its answer is another, or there is none.
pub fn precompile(case: &Case) -> Result<Heard, String> {
    case.only(&["to", "data"], &["result", "active"])?;
    let active: Value = case.expected("active")?;
    equal("on Prague", &Some(&json!(true)), &active.get("prague"))?;
    let (to, data): (Address, String) = (case.input("to")?, case.input("data")?);
    let expected: Value = case.expected("result")?;
    on(ChainConfig::default(), async |town| {
        let call = json!([{ "to": to, "data": data }, "latest"]);
        equal("result", &expected, &town.rpc("eth_call", call).await?)
    })?;
    Ok(Heard::same(case))
}

/// `permit()` and then `transferFrom()`, both sent by the spender.
pub(super) fn permit_pays(case: &Case, deal: Deal, nonce: U256) -> Result<(), String> {
    let calls: [String; 2] = [
        case.expected("permit_calldata")?,
        case.expected("transfer_from_calldata")?,
    ];
    on_chain_of(deal, async |town| {
        town.set_nonce(deal, nonce).await?;
        let [permit, transfer_from] = &calls;
        town.send(deal.payee, deal.token, permit).await?;
        let next = nonce + U256::from(1);
        let read = town.read(deal.token, NONCES, &[deal.payer]).await?;
        equal("nonce after permit()", &next, &read)?;
        let pair = [deal.payer, deal.payee];
        let allowed = town.read(deal.token, ALLOWANCE, &pair).await?;
        equal("allowance after permit()", &deal.value, &allowed)?;
        town.pays(deal, deal.token, transfer_from).await
    })
}

/// `transferWithAuthorization()`.
pub(super) fn authorization_pays(case: &Case, deal: Deal) -> Result<(), String> {
    let call: String = case.expected("calldata")?;
    on_chain_of(deal, async |town| {
        town.pays(deal, deal.token, &call).await?;
        match town.pays(deal, deal.token, &call).await {
            Ok(()) => Err("an authorization pays twice".to_owned()),
            Err(_) => Ok(()),
        }
    })
}

/// `permitTransferFrom()` of Permit2, sent by the spender.
pub(super) fn order_pays(case: &Case, deal: Deal) -> Result<(), String> {
    let call: String = case.expected("calldata")?;
    on_chain_of(deal, async |town| {
        let approve = call_of(APPROVE, &[word(permit2::CONTRACT), deal.value]);
        town.send(deal.payer, deal.token, &approve).await?;
        town.pays(deal, permit2::CONTRACT, &call).await
    })
}

/// A chain with the deal's id and clock, the token at its address, and the money in the payer's hands.
fn on_chain_of(
    deal: Deal,
    check: impl AsyncFnOnce(&Town) -> Result<(), String>,
) -> Result<(), String> {
    let chain_id = deal.chain.get();
    let config = ChainConfig {
        chain_id,
        ..ChainConfig::default()
    };
    on(config, async |town| {
        town.chain
            .set_next_timestamp(deal.now.as_secs())
            .await
            .map_err(|error| error.to_string())?;
        if town.chain.usdc() != deal.token {
            // The test token works wherever its code is.
            let code = json!([town.chain.usdc(), "latest"]);
            let code = town.rpc("eth_getCode", code).await?;
            town.rpc("anvil_setCode", json!([deal.token, code])).await?;
        }
        for account in [deal.payer, deal.payee] {
            town.rpc("anvil_impersonateAccount", json!([account]))
                .await?;
            let funded = json!([account, "0xde0b6b3a7640000"]);
            town.rpc("anvil_setBalance", funded).await?;
        }
        let mint = call_of(MINT, &[word(deal.payer), deal.value]);
        town.send(deal.payee, deal.token, &mint).await?;
        check(town).await
    })
}

fn on(
    config: ChainConfig,
    check: impl AsyncFnOnce(&Town) -> Result<(), String>,
) -> Result<(), String> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let chain = Devchain::start(config).await;
        let http = reqwest::Client::builder().no_proxy().build();
        let town = Town {
            chain: chain.map_err(|error| error.to_string())?,
            http: http.map_err(|error| error.to_string())?,
        };
        let checked = check(&town).await;
        town.chain.shutdown().await;
        checked
    })
}

/// A dev chain, asked over its RPC.
struct Town {
    chain: Devchain,
    http: reqwest::Client,
}

impl Town {
    async fn rpc(&self, method: &str, params: Value) -> Result<Value, String> {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let request = self.http.post(self.chain.rpc_url()).json(&call);
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let answer: Value = answer.json().await.map_err(|error| error.to_string())?;
        let result = answer.get("result").cloned();
        result.ok_or_else(|| format!("{method}: {answer}"))
    }

    /// Fails unless the transaction succeeds.
    async fn send(&self, from: Address, to: Address, data: &str) -> Result<(), String> {
        let transaction = json!([{ "from": from, "to": to, "data": data, "gas": "0x100000" }]);
        let hash = self.rpc("eth_sendTransaction", transaction).await?;
        let receipt = self.rpc("eth_getTransactionReceipt", json!([hash])).await?;
        let status = receipt.get("status").and_then(Value::as_str);
        equal("status", &Some("0x1"), &status)
    }

    /// The payee sends it, and what the payee signed for arrives, all of it.
    async fn pays(&self, deal: Deal, to: Address, data: &str) -> Result<(), String> {
        let payee = [deal.payee];
        let before = self.read(deal.token, BALANCE_OF, &payee).await?;
        self.send(deal.payee, to, data).await?;
        let after = self.read(deal.token, BALANCE_OF, &payee).await?;
        // One recorded payer pays itself.
        let kept = (deal.payer == deal.payee).then_some(U256::ZERO);
        let came = kept.unwrap_or(deal.value);
        equal("balance of the payee", &(before + came), &after)
    }

    async fn read(&self, to: Address, function: &str, of: &[Address]) -> Result<U256, String> {
        let words: Vec<U256> = of.iter().copied().map(word).collect();
        let call = json!([{ "to": to, "data": call_of(function, &words) }, "latest"]);
        let answer = self.rpc("eth_call", call).await?;
        let text = answer.as_str().ok_or("no word")?;
        U256::from_str_radix(text.trim_start_matches("0x"), 16).map_err(|error| error.to_string())
    }

    async fn set_nonce(&self, deal: Deal, nonce: U256) -> Result<(), String> {
        let key = [
            word(deal.payer).to_be_bytes::<32>(),
            U256::from(NONCES_SLOT).to_be_bytes(),
        ];
        let slot = alloy_primitives::keccak256(key.concat());
        let value = format!("0x{nonce:064x}");
        let stored = json!([deal.token, slot, value]);
        self.rpc("anvil_setStorageAt", stored).await?;
        let read = self.read(deal.token, NONCES, &[deal.payer]).await?;
        equal("the nonce to begin with", &nonce, &read)
    }
}

fn word(account: Address) -> U256 {
    U256::from_be_bytes(account.into_word().0)
}

fn call_of(function: &str, words: &[U256]) -> String {
    let words: String = words.iter().map(|word| format!("{word:064x}")).collect();
    format!("0x{function}{words}")
}
