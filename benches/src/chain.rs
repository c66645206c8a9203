//! The chain everything settles on: npm's anvil, or our dev chain where that is not at hand (smoke test).

use std::net::SocketAddr;
use std::path::Path;

use alloy_primitives::{Address, U256};
use faregate_devnet::chain::BATCH_SETTLER;
use faregate_devnet::{ChainConfig, DevAccount, Devchain};
use faregate_types::{Asset, AssetRegistry, ChainId};
use serde_json::{Value, json};

use crate::Failed;
use crate::http;
use crate::process::{Process, free_addr};

/// The chain's id, and so the place of its USDC.
pub const CHAIN: ChainId = ChainId::BASE_SEPOLIA;

/// What x402-rs wants to find on a chain before it starts. For payers with a key it calls none of them.
const CODE_X402_RS_ASKS_FOR: [&str; 3] = [
    "0xdAcD51A54883eb67D95FAEb2BBfdC4a9a6BD2a3B",
    "0x000000000022D473030F116dDEE9F6B43aC78BA3",
    "0x402085c248EeA27D92E8b30b2C58ed07f9E20001",
];

/// A running chain with the test USDC on it.
#[derive(Debug)]
pub struct Chain {
    rpc: SocketAddr,
    running: Running,
}

#[derive(Debug)]
enum Running {
    Anvil { _process: Process },
    Dev(Devchain),
}

/// The well-known development accounts.
///
/// # Errors
/// There are ten; asking for another.
pub fn account(place: usize) -> Result<&'static DevAccount, Failed> {
    Devchain::accounts()
        .get(place)
        .ok_or_else(|| "no such dev account".into())
}

/// The token that is paid with.
///
/// # Errors
/// None is known on [`CHAIN`].
pub fn asset() -> Result<Asset, Failed> {
    let registry = AssetRegistry::builtin();
    let asset = registry.default_for(CHAIN).ok_or("no asset")?;
    Ok(asset.clone())
}

impl Chain {
    /// Starts anvil and puts the token on it. `artifacts` is the folder of the contracts' artifacts.
    ///
    /// # Errors
    /// Anvil does not start or does not do as it is told.
    pub async fn anvil(anvil: &Path, artifacts: &Path) -> Result<Self, Failed> {
        let rpc = free_addr()?;
        let (port, id) = (rpc.port().to_string(), CHAIN.get().to_string());
        let args = [
            "--host",
            "127.0.0.1",
            "--port",
            &port,
            "--chain-id",
            &id,
            "--silent",
            // It is killed, and would leave gigabytes of old states below `~/.foundry`.
            "--max-persisted-states",
            "0",
        ];
        let mut process = Process::start(anvil, &args, &[])?;
        process.listening(rpc)?;
        let chain = Self {
            rpc,
            running: Running::Anvil { _process: process },
        };
        let usdc = asset()?.id.token();
        let code = chain
            .deploy(artifacts, "TestUsdc", &token_arguments())
            .await?;
        let code = chain.code(code).await?;
        chain.call("anvil_setCode", json!([usdc, code])).await?;
        for place in CODE_X402_RS_ASKS_FOR {
            chain.call("anvil_setCode", json!([place, "0x00"])).await?;
        }
        Ok(chain)
    }

    /// Starts the dev chain in this process.
    ///
    /// # Errors
    /// It does not start.
    pub async fn dev() -> Result<Self, Failed> {
        let devchain = Devchain::start(ChainConfig {
            chain_id: CHAIN.get(),
            ..ChainConfig::default()
        })
        .await?;
        Ok(Self {
            rpc: devchain.addr(),
            running: Running::Dev(devchain),
        })
    }

    /// Its JSON-RPC, e.g. `http://127.0.0.1:8545`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.rpc)
    }

    /// Gives an account money.
    ///
    /// # Errors
    /// The chain refuses.
    pub async fn fund(&self, account: Address, amount: U256) -> Result<(), Failed> {
        if let Running::Dev(devchain) = &self.running {
            devchain.mint_usdc(account, amount).await?;
            return Ok(());
        }
        let data = format!(
            "0x40c10f19{}{}",
            word(account.into_word().as_slice()),
            word(&amount.to_be_bytes::<32>())
        );
        self.send(json!({"to": asset()?.id.token(), "data": data}))
            .await?;
        Ok(())
    }

    /// Puts a contract of ours on the chain; where it is.
    ///
    /// # Errors
    /// There is no such artifact, or the chain refuses.
    pub async fn deploy(
        &self,
        artifacts: &Path,
        name: &str,
        arguments: &str,
    ) -> Result<Address, Failed> {
        let text = std::fs::read(artifacts.join(format!("{name}.json")))?;
        let artifact: Value = serde_json::from_slice(&text)?;
        let bytecode = artifact["bytecode"].as_str().ok_or("no bytecode")?;
        let receipt = self
            .send(json!({"data": format!("{bytecode}{arguments}"), "gas": "0x500000"}))
            .await?;
        let address = receipt["contractAddress"].as_str().ok_or("not deployed")?;
        Ok(address.parse()?)
    }

    /// Where the contract is that settles many payments at once; the dev chain has it from the start.
    ///
    /// # Errors
    /// The chain refuses.
    pub async fn batch_settler(&self, artifacts: &Path) -> Result<Address, Failed> {
        match &self.running {
            Running::Anvil { .. } => self.deploy(artifacts, "BatchSettler", "").await,
            Running::Dev(_) => Ok(BATCH_SETTLER),
        }
    }

    async fn code(&self, at: Address) -> Result<Value, Failed> {
        self.call("eth_getCode", json!([at, "latest"])).await
    }

    /// Sends from the node's own first account and waits until it is mined.
    async fn send(&self, mut transaction: Value) -> Result<Value, Failed> {
        transaction["from"] = json!(account(0)?.address);
        let hash = self
            .call("eth_sendTransaction", json!([transaction]))
            .await?;
        for _ in 0..200_u8 {
            let receipt = self
                .call("eth_getTransactionReceipt", json!([hash]))
                .await?;
            if receipt["status"] == "0x1" {
                return Ok(receipt);
            }
            if !receipt.is_null() {
                return Err(format!("reverted: {receipt}").into());
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        Err("a transaction was not mined".into())
    }

    async fn call(&self, method: &str, params: Value) -> Result<Value, Failed> {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
        let request = http::post("/", body.to_string().as_bytes());
        let answer = http::once(self.rpc, &request).await?;
        let mut answer: Value = serde_json::from_slice(answer.body())?;
        match answer["result"].take() {
            Value::Null if answer.get("error").is_some() => {
                Err(format!("{method}: {}", answer["error"]).into())
            }
            result => Ok(result),
        }
    }
}

/// The constructor's arguments: name, version, symbol, decimals.
fn token_arguments() -> String {
    let texts = ["USDC", "2", "USDC"];
    let mut arguments = String::new();
    for place in 0..3_u64 {
        // Four words of head, then two words for each text: its length and itself.
        let at = U256::from(place.saturating_mul(64).saturating_add(128));
        arguments.push_str(&word(&at.to_be_bytes::<32>()));
    }
    arguments.push_str(&word(&U256::from(6).to_be_bytes::<32>()));
    for text in texts {
        arguments.push_str(&word(&U256::from(text.len()).to_be_bytes::<32>()));
        let mut padded = text.as_bytes().to_vec();
        padded.resize(32, 0);
        arguments.push_str(&word(&padded));
    }
    arguments
}

fn word(bytes: &[u8]) -> String {
    alloy_primitives::hex::encode(bytes)
}
