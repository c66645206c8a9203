//! A dev chain in the recorded state, with our facilitator on it.

use std::collections::BTreeMap;
use std::time::Duration;

use faregate_devnet::{ChainConfig, Devchain};
use faregate_evm::{ExactFacilitator, FollowConfig, LocalSigner, NetworkConfig};
use faregate_types::x402::FacilitatorRequest;
use faregate_types::{
    Address, Asset, AssetRegistry, ChainId, SecretKey, U256, hex_text, parse_atomic,
};
use serde_json::{Value, json};

use super::desk::{Desk, Way};

/// The chain, the facilitator, and what was settled so far.
pub(super) struct World {
    chain: Devchain,
    asset: Asset,
    desk: Desk,
    http: reqwest::Client,
    /// Requests that were settled, with the answer in words and the transaction.
    settled: BTreeMap<Vec<u8>, (String, String)>,
}

impl World {
    /// Starts a chain with the chain id and the balances of `facilitator.chain_state`.
    pub(super) async fn start(state: &Value, way: Way) -> Result<Self, String> {
        let number = state.get("chainId").and_then(Value::as_u64);
        let chain_id = number
            .and_then(ChainId::new)
            .ok_or("the state has no chain id")?;
        let config = ChainConfig {
            chain_id: chain_id.get(),
            ..ChainConfig::default()
        };
        let chain = Devchain::start(config)
            .await
            .map_err(|error| error.to_string())?;
        let registry = AssetRegistry::builtin();
        let asset = registry
            .default_for(chain_id)
            .cloned()
            .ok_or("no asset on this chain")?;
        let rpc_url = chain.rpc_url().parse().map_err(|_| "no URL")?;
        let operator = Devchain::accounts().first().ok_or("no dev account")?;
        let key = SecretKey::from_hex(operator.private_key).map_err(|error| error.to_string())?;
        let signer = LocalSigner::new(key).map_err(|error| error.to_string())?;
        let mut network = NetworkConfig::new(chain_id, rpc_url, vec![asset.clone()]);
        // The recordings put code at a payer's address between two questions, so whether it is there is asked each time.
        let mut follow = FollowConfig::DEFAULT;
        follow.code_fresh = Duration::ZERO;
        network.follow = Some(follow);
        let facilitator = ExactFacilitator::builder()
            .network(network)
            .signer(signer)
            .connect()
            .await
            .map_err(|error| error.to_string())?;
        let http = reqwest::Client::builder()
            .no_proxy()
            .build()
            .map_err(|error| error.to_string())?;
        let world = Self {
            chain,
            asset,
            desk: Desk::open(way, facilitator, &http).await?,
            http,
            settled: BTreeMap::new(),
        };
        let balances = state.get("balances").and_then(Value::as_object);
        for (account, balance) in balances.ok_or("the state has no balances")? {
            world
                .set_balance(account, balance.as_str().unwrap_or_default())
                .await?;
        }
        Ok(world)
    }

    pub(super) async fn stop(self) {
        self.desk.close().await;
        self.chain.shutdown().await;
    }

    pub(super) const fn chain_id(&self) -> u64 {
        self.chain.chain_id()
    }

    /// The token in the words of the recording.
    pub(super) fn token(&self) -> String {
        let Asset {
            decimals, domain, ..
        } = &self.asset;
        let (name, version, address) = (&domain.name, &domain.version, self.chain.usdc());
        format!(
            "EIP-3009+EIP-2612 test token, name {name}, version {version}, {decimals} decimals at {address}"
        )
    }

    /// The facilitator.
    pub(super) const fn desk(&self) -> &Desk {
        &self.desk
    }

    pub(super) async fn balance(&self, account: Address) -> Result<U256, String> {
        let balance = self.chain.usdc_balance(account).await;
        balance.map_err(|error| error.to_string())
    }

    /// Notes the first answer to a request that named a transaction, and gives back the transaction noted before.
    pub(super) fn remember(
        &mut self,
        body: &[u8],
        words: &str,
        transaction: &str,
    ) -> Option<String> {
        if let Some((_, earlier)) = self.settled.get(body) {
            return Some(earlier.clone());
        }
        if !transaction.is_empty() {
            self.settled
                .insert(body.to_vec(), (words.to_owned(), transaction.to_owned()));
        }
        None
    }

    /// What was answered to the same request before.
    pub(super) fn answered(&self, body: &[u8]) -> Option<String> {
        self.settled.get(body).map(|(words, _)| words.clone())
    }

    /// Does something while the chain is in a state that a recording describes in words, and puts it back.
    pub(super) async fn in_state(
        &self,
        state: Option<&str>,
        body: &[u8],
        ask: impl AsyncFnOnce(&Self, &[u8]) -> Result<String, String>,
    ) -> Result<String, String> {
        let snapshot = self
            .chain
            .snapshot()
            .await
            .map_err(|error| error.to_string())?;
        if let Some(words) = state {
            self.bring_about(words, body).await?;
        }
        let answer = ask(self, body).await;
        self.chain
            .revert(snapshot)
            .await
            .map_err(|error| error.to_string())?;
        answer
    }

    async fn bring_about(&self, words: &str, body: &[u8]) -> Result<(), String> {
        let request = FacilitatorRequest::decode(body).map_err(|error| error.to_string())?;
        let payer = request
            .exact()
            .map_err(|refusal| refusal.to_string())?
            .payer();
        let delegate = Address::repeat_byte(0xde);
        match words {
            "plain EOA" => Ok(()),
            "payer has code: EIP-1271 wallet whose owner is the signing key"
            | "same wallet, signed by another key" => {
                self.set_code(payer, &wallet(&owned_by(TEST_KEY))).await?;
                let amount = U256::from(1_000_000);
                let minted = self.chain.mint_usdc(payer, amount).await;
                minted.map(drop).map_err(|error| error.to_string())
            }
            "same EOA now has code 0xef0100||<contract without isValidSignature>" => {
                self.set_code(delegate, REVERTS).await?;
                self.set_code(payer, &delegated_to(delegate)).await
            }
            "same EOA delegated to a 1271 implementation that recovers to the EOA itself" => {
                self.set_code(delegate, &wallet(OWNED_BY_ITSELF)).await?;
                self.set_code(payer, &delegated_to(delegate)).await
            }
            other => Err(format!(
                "nobody knows how to bring about this state: {other}"
            )),
        }
    }

    async fn set_code(&self, account: Address, code: &str) -> Result<(), String> {
        let code = format!("0x{code}");
        self.rpc("anvil_setCode", json!([account, code]))
            .await
            .map(drop)
    }

    /// Mints what is missing, or sends away what is too much; the account has to be a dev account then.
    async fn set_balance(&self, account: &str, balance: &str) -> Result<(), String> {
        let wanted = parse_atomic(balance).map_err(|error| error.to_string())?;
        let account = address(account)?;
        let has = self.balance(account).await?;
        if let Some(missing) = wanted.checked_sub(has) {
            let minted = self.chain.mint_usdc(account, missing).await;
            return minted.map(drop).map_err(|error| error.to_string());
        }
        // transfer(address,uint256)
        let elsewhere = Address::repeat_byte(0xee).into_word();
        let data = format!("0xa9059cbb{elsewhere:x}{:064x}", has.saturating_sub(wanted));
        let transfer = json!([{ "from": account, "to": self.chain.usdc(), "data": data }]);
        self.rpc("eth_sendTransaction", transfer).await.map(drop)
    }

    async fn rpc(&self, method: &str, params: Value) -> Result<Value, String> {
        let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
        let request = self.http.post(self.chain.rpc_url()).json(&call);
        let answer = request.send().await.map_err(|error| error.to_string())?;
        let answer: Value = answer.json().await.map_err(|error| error.to_string())?;
        match answer.get("result") {
            Some(result) => Ok(result.clone()),
            None => Err(format!("{method}: {answer}")),
        }
    }
}

/// Whose key signs in the recordings.
const TEST_KEY: Address = alloy_primitives::address!("0x70997970C51812dc3A010C7d01b50e0d17dc79C8");

/// EVM code (hexadecimal) that reverts whatever it is asked.
const REVERTS: &str = "60006000fd";

/// EVM code that pushes the account's own address.
const OWNED_BY_ITSELF: &str = "30";

/// EVM code that pushes this address.
fn owned_by(owner: Address) -> String {
    format!("73{owner:x}").replace("0x", "")
}

/// EVM code that stands at an account delegated by EIP-7702.
fn delegated_to(implementation: Address) -> String {
    format!("ef0100{implementation:x}").replace("0x", "")
}

/// EVM code of a small EIP-1271 wallet: whatever is called, it recovers the signer of the call's first word from the
/// 65-byte signature that follows, and answers the magic value if that is the owner, else zero.
fn wallet(push_owner: &str) -> String {
    [
        "600435600052",         // memory 0x00: the hash
        "60a43560001a602052",   // memory 0x20: v, the first byte after r and s
        "606435604052",         // memory 0x40: r
        "608435606052",         // memory 0x60: s
        "60206080608060006001", // ecrecover(memory 0x00..0x80) into memory 0x80..0xa0
        "5afa50",
        "608051",
        push_owner,
        "14",
        "631626ba7e60e01b02", // equal ? magic value : 0
        "60005260206000f3",
    ]
    .concat()
}

fn address(text: &str) -> Result<Address, String> {
    hex_text::parse_address(text).map_err(|error| format!("{text}: {error}"))
}

#[cfg(test)]
mod tests {
    use faregate_types::B256;

    use super::*;

    /// The wallet's code is ours, so it has to show that it is one before anything is concluded from it.
    #[test]
    fn the_wallet_knows_its_owner() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let world = World::start(&json!({ "chainId": 84532, "balances": {} }), Way::Embedded)
                .await
                .unwrap();
            let account = |index: usize| Devchain::accounts()[index];
            let wallet_at = Address::repeat_byte(0x1b);
            world
                .set_code(wallet_at, &wallet(&owned_by(TEST_KEY)))
                .await
                .unwrap();
            world
                .set_code(account(2).address, &wallet(OWNED_BY_ITSELF))
                .await
                .unwrap();
            for (wallet, signer, expected) in [
                (wallet_at, 1, true),
                (wallet_at, 2, false),
                (account(2).address, 2, true),
                (account(2).address, 1, false),
            ] {
                let key = SecretKey::from_hex(account(signer).private_key).unwrap();
                let digest = B256::repeat_byte(7);
                let signature = LocalSigner::new(key).unwrap().sign_now(digest).unwrap();
                // isValidSignature(bytes32,bytes)
                let data = format!(
                    "0x1626ba7e{digest:x}{:064x}{:064x}{:0<192}",
                    0x40,
                    65,
                    alloy_primitives::hex::encode(signature.to_bytes())
                );
                let call = json!([{ "to": wallet, "data": data }, "latest"]);
                let answer = world.rpc("eth_call", call).await.unwrap();
                let magic = format!("0x{:0<64}", if expected { "1626ba7e" } else { "" });
                assert_eq!(answer, magic, "{wallet} {signer}");
            }
            world.stop().await;
        });
    }
}
