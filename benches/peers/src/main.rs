//! The peers that the load program measures beside us, each as its own crates are meant to be used. A server says where it
//! listens on its first line; the client is told what to do on its input (`benches/src/drive.rs` has the language).

use std::collections::HashMap;
use std::error::Error;
use std::io::BufRead as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alloy_signer_local::PrivateKeySigner;
use axum::Router;
use axum::routing::get;
use serde_json::json;
use tokio::net::TcpListener;
use x402_axum::X402Middleware;
use x402_chain_eip155::chain::config::Eip155ChainConfig;
use x402_chain_eip155::chain::{Eip155ChainProvider, Eip155ChainReference};
use x402_chain_eip155::{KnownNetworkEip155, V1Eip155Exact, V2Eip155Exact, V2Eip155ExactClient};
use x402_facilitator_local::{FacilitatorLocal, handlers};
use x402_reqwest::{ReqwestWithPayments, ReqwestWithPaymentsBuild, X402Client};
use x402_types::chain::{ChainId, ChainProviderOps, ChainRegistry, FromConfig};
use x402_types::facilitator::Facilitator;
use x402_types::networks::USDC;
use x402_types::proto;
use x402_types::scheme::{
    SchemeBlueprints, SchemeConfig, SchemeRegistry, X402SchemeFacilitator, X402SchemeFacilitatorBuilder,
};

type Failed = Box<dyn Error>;

const PAYEE: &str = "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720";
const CHAIN: u64 = 84532;

#[tokio::main]
async fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["facilitator", rpc, key] => facilitator(rpc, key).await,
        ["shop", url] => shop(X402Middleware::new(url)).await,
        ["shop-in-process"] => shop(X402Middleware::from_facilitator(Arc::new(Agreeing))).await,
        ["client", url, key] => client(url, key).await,
        _ => Err("facilitator RPC KEY | shop FACILITATOR | shop-in-process | client URL KEY".into()),
    }
}

/// x402-rs's facilitator, put together as its binary does it.
async fn facilitator(rpc: &str, key: &str) -> Result<(), Failed> {
    let chain = Eip155ChainConfig {
        chain_reference: Eip155ChainReference::new(CHAIN),
        inner: serde_json::from_value(json!({"signers": [key], "rpc": [{"http": rpc}]}))?,
    };
    let id: ChainId = chain.chain_id();
    let provider = Eip155ChainProvider::from_config(&chain).await.map_err(text)?;
    let chains = ChainRegistry::new(HashMap::from([(id, Chain(Arc::new(provider)))]));
    let schemes: Vec<SchemeConfig> = serde_json::from_value(json!([
        {"id": "v1-eip155-exact", "chains": "eip155:*"},
        {"id": "v2-eip155-exact", "chains": "eip155:*"},
    ]))?;
    let blueprints = SchemeBlueprints::new()
        .and_register(V1Eip155Exact)
        .and_register(V2Eip155Exact);
    let registry = SchemeRegistry::build(chains, blueprints, &schemes);
    let state = Arc::new(FacilitatorLocal::new(registry));
    let app = Router::new().merge(handlers::routes().with_state(state));
    Ok(axum::serve(listen().await?, app).await?)
}

/// A chain of the facilitator. Its crates leave this type to the program.
struct Chain(Arc<Eip155ChainProvider>);

impl ChainProviderOps for Chain {
    fn signer_addresses(&self) -> Vec<String> {
        self.0.signer_addresses()
    }

    fn chain_id(&self) -> ChainId {
        self.0.chain_id()
    }
}

impl X402SchemeFacilitatorBuilder<&Chain> for V1Eip155Exact {
    fn build(
        &self,
        chain: &Chain,
        config: Option<serde_json::Value>,
    ) -> Result<Box<dyn X402SchemeFacilitator>, Failed> {
        self.build(Arc::clone(&chain.0), config)
    }
}

impl X402SchemeFacilitatorBuilder<&Chain> for V2Eip155Exact {
    fn build(
        &self,
        chain: &Chain,
        config: Option<serde_json::Value>,
    ) -> Result<Box<dyn X402SchemeFacilitator>, Failed> {
        self.build(Arc::clone(&chain.0), config)
    }
}

/// x402-axum in front of the joke.
async fn shop<F>(x402: X402Middleware<F>) -> Result<(), Failed>
where
    F: Facilitator + Clone + Send + Sync + 'static,
{
    let price = V2Eip155Exact::price_tag(
        PAYEE.parse::<alloy_primitives::Address>()?,
        USDC::base_sepolia().amount(1000_u64),
    );
    let paywall = x402
        .with_price_tag(price)
        .with_description("one joke".to_owned())
        .with_mime_type("text/plain".to_owned());
    let app = Router::new().route("/joke", get(async || "ok").layer(paywall));
    Ok(axum::serve(listen().await?, app).await?)
}

/// A facilitator in the seller's process that agrees with everything.
struct Agreeing;

impl Facilitator for Agreeing {
    type Error = std::convert::Infallible;

    async fn verify(&self, _: &proto::VerifyRequest) -> Result<proto::VerifyResponse, Self::Error> {
        Ok(proto::VerifyResponse(json!({"isValid": true, "payer": PAYEE})))
    }

    async fn settle(&self, _: &proto::SettleRequest) -> Result<proto::SettleResponse, Self::Error> {
        let network = format!("eip155:{CHAIN}");
        let transaction = format!("0x{}", "11".repeat(32));
        Ok(proto::SettleResponse(
            json!({"success": true, "transaction": transaction, "network": network, "payer": PAYEE}),
        ))
    }

    async fn supported(&self) -> Result<proto::SupportedResponse, Self::Error> {
        Ok(proto::SupportedResponse::default())
    }
}

/// x402-reqwest, paying `url` over and over.
async fn client(url: &str, key: &str) -> Result<(), Failed> {
    let signer: PrivateKeySigner = key.parse()?;
    let x402 = X402Client::new().register(V2Eip155ExactClient::new(Arc::new(signer)));
    let client = reqwest::Client::new().with_payments(x402).build();
    println!("ready");
    loop {
        let mut line = String::new();
        std::io::stdin().lock().read_line(&mut line)?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["go", millis, _one_place] = words.as_slice() else {
            return Ok(());
        };
        let duration = Duration::from_millis(millis.parse()?);
        let (started, mut latencies) = (Instant::now(), Vec::new());
        while started.elapsed() < duration {
            let asked = Instant::now();
            let answer = client.get(url).send().await?;
            let status = answer.status();
            let body = answer.text().await?;
            if status != 200 || body != "ok" {
                return Err(format!("expected the joke, got {status} {body:?}").into());
            }
            latencies.push(asked.elapsed().as_micros() as u64);
        }
        let micros = started.elapsed().as_micros() as u64;
        println!("{}", json!({"micros": micros, "latencies_us": latencies}));
    }
}

async fn listen() -> Result<TcpListener, Failed> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    Ok(listener)
}

fn text(error: impl std::fmt::Display) -> Failed {
    error.to_string().into()
}
