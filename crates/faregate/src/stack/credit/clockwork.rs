//! Time on a chain that makes blocks of transactions only, like the dev chain and anvil: when nothing happens there,
//! certificates would never expire.

use std::sync::Arc;
use std::time::Duration;

use faregate_core::port::credit::CreditStore;
use faregate_http::{Http, Trust};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};
use url::Url;

use crate::exit::{Exit, Failed};

/// So long nothing happens on the chain before a block is mined all the same.
const QUIET: Duration = Duration::from_secs(5);

const NODE_TIMEOUT: Duration = Duration::from_secs(10);
const NODE_ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Payers that are looked at for something locked.
const PAYERS_MAX: u32 = 1_000;

/// The node of the chain.
#[derive(Debug)]
pub(super) struct Node {
    http: Http,
    url: Url,
}

impl Node {
    pub(super) fn new(url: &Url) -> Result<Self, Failed> {
        let http = Http::new(&Trust::Platform, HeaderMap::new(), NODE_TIMEOUT);
        Ok(Self {
            http: http.map_err(|error| Failed::new(Exit::Failure, error.to_string()))?,
            url: url.clone(),
        })
    }

    /// The number of the newest block; `None` when the node does not say.
    pub(super) async fn newest(&self) -> Option<u64> {
        let answer = self.call("eth_blockNumber").await?;
        let digits = answer.get("result")?.as_str()?.strip_prefix("0x")?;
        u64::from_str_radix(digits, 16).ok()
    }

    /// Has a block mined. `false`: this node does not take orders.
    async fn mine(&self) -> bool {
        let answer = self.call("evm_mine").await;
        answer.is_none_or(|answer| answer.get("error").is_none())
    }

    /// Its whole answer; `None` without one.
    async fn call(&self, method: &'static str) -> Option<Value> {
        let question = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": [] });
        let request = self.http.request(Method::POST, self.url.clone());
        let request = request.json(&question);
        let answer = self.http.send(request, NODE_TIMEOUT, NODE_ANSWER_BYTES_MAX);
        serde_json::from_slice(&answer.await.ok()?.body).ok()
    }
}

/// Has a block mined now and then while something is locked and no block comes. Ends where the node mines as it likes.
pub(super) async fn keep_time(node: Node, books: Arc<dyn CreditStore>) {
    let mut newest = None;
    loop {
        tokio::time::sleep(QUIET).await;
        let before = newest;
        newest = node.newest().await;
        let is_quiet = newest.is_some() && newest == before;
        if is_quiet && is_waiting(books.as_ref()).await && !node.mine().await {
            return;
        }
    }
}

/// Whether there is anything that may expire.
async fn is_waiting(books: &dyn CreditStore) -> bool {
    let some = books.collaterals(None, PAYERS_MAX).await;
    some.is_ok_and(|all| all.iter().any(|(_, _, sums)| !sums.locked.is_zero()))
}
