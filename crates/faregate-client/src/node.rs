//! Nodes of chains, asked for what a permit needs: the payer's next nonce, and what Permit2 may take.

use std::fmt;

use alloy_primitives::{Address, U256};
use faregate_http::Http;
use faregate_types::{ChainId, Code, Erc20};
use reqwest::{Method, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

use crate::error::PayError;
use crate::limits::{NODE_ANSWER_BYTES_MAX, NODE_TIMEOUT};

/// `nonces(address)` of EIP-2612.
const NONCES: &str = "0x7ecebe00";
/// `allowance(address,address)` of ERC-20.
const ALLOWANCE: &str = "0xdd62ed3e";

/// A node of one chain.
pub(crate) struct Node {
    chain: ChainId,
    http: Http,
    /// May hold an API key.
    url: Url,
    /// It said once that it is of this chain.
    is_of_chain: OnceCell<()>,
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Node").field(&self.chain).finish()
    }
}

impl Node {
    pub(crate) const fn new(chain: ChainId, http: Http, url: Url) -> Self {
        Self {
            chain,
            http,
            url,
            is_of_chain: OnceCell::const_new(),
        }
    }

    /// The nonce of the owner's next EIP-2612 permit, at the newest block.
    pub(crate) async fn next_nonce(&self, asset: Erc20, owner: Address) -> Result<U256, PayError> {
        self.read(asset, format!("{NONCES}{:x}", owner.into_word()))
            .await
    }

    /// How much of an asset `spender` may take from its owner, at the newest block.
    pub(crate) async fn allowance(
        &self,
        asset: Erc20,
        owner: Address,
        spender: Address,
    ) -> Result<U256, PayError> {
        let (owner, spender) = (owner.into_word(), spender.into_word());
        self.read(asset, format!("{ALLOWANCE}{owner:x}{spender:x}"))
            .await
    }

    async fn read(&self, asset: Erc20, data: String) -> Result<U256, PayError> {
        let check = || async {
            let chain = self.call("eth_chainId", json!([])).await?;
            let chain = U256::from_str_radix(digits(&chain)?, 16).map_err(|_| away())?;
            if chain == U256::from(self.chain.get()) {
                Ok(())
            } else {
                Err(PayError::Chain(Code::NetworkMismatch))
            }
        };
        self.is_of_chain.get_or_try_init(check).await?;
        let question = json!({"to": asset.token().to_string(), "data": data});
        let word = self.call("eth_call", json!([question, "latest"])).await?;
        // Where there is no such function, or no contract, something else comes back than one word.
        let word = digits(&word)?;
        if word.len() != 64 {
            return Err(away());
        }
        U256::from_str_radix(word, 16).map_err(|_| away())
    }

    async fn call(&self, method: &str, params: Value) -> Result<String, PayError> {
        #[derive(Deserialize)]
        struct Answer {
            result: Option<String>,
        }
        let question = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let request = self.http.request(Method::POST, self.url.clone());
        let answer = self
            .http
            .send(request.json(&question), NODE_TIMEOUT, NODE_ANSWER_BYTES_MAX)
            .await
            .map_err(|_| away())?;
        let answer: Answer = serde_json::from_slice(&answer.body).map_err(|_| away())?;
        answer.result.ok_or_else(away)
    }
}

fn digits(text: &str) -> Result<&str, PayError> {
    let digits = text.strip_prefix("0x");
    let is_number = |digits: &&str| {
        (1..=64).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_hexdigit())
    };
    digits.filter(is_number).ok_or_else(away)
}

const fn away() -> PayError {
    PayError::Chain(Code::ChainUnavailable)
}
