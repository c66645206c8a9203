//! How fast is "no"? The unpaid 402 beside the same axum server answering `200 ok`.
//!
//! `cargo run --release -p faregate-benches --bin unpaid [seconds] [rounds]`. Servers are processes of their own; rounds
//! alternate, and the median ratio counts.

#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use std::error::Error;
use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use faregate_benches::load;
use faregate_benches::silent::Silent;
use faregate_core::rail::x402::X402;
use faregate_core::{Ask, Offer, Payee, Resource, SettlePolicy, Till};
use faregate_store::sqlite::SqliteLedger;
use faregate_tower::PaywallLayer;
use faregate_types::{Address, Amount, AssetRegistry, ChainId, RailName, Timestamp, U256};

type Failed = Box<dyn Error + Send + Sync>;

const CONNECTIONS: usize = 32;

fn main() -> Result<(), Failed> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    match arguments
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["serve", what] => runtime.block_on(serve(what)),
        [seconds, rounds] => runtime.block_on(measure(seconds.parse()?, rounds.parse()?)),
        _ => runtime.block_on(measure(5, 5)),
    }
}

/// A server process; says where it listens on its first line.
async fn serve(what: &str) -> Result<(), Failed> {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
    println!("{}", listener.local_addr()?);
    let joke = get(|| async { "ok" });
    let app = match what {
        "ok" => Router::new().route("/joke", joke),
        "paywall" => {
            Router::new().route("/joke", joke.layer(PaywallLayer::new(till()?, offer()?)?))
        }
        _ => return Err("serve ok | paywall".into()),
    };
    axum::serve(listener, app).await?;
    Ok(())
}

fn till() -> Result<Till, Failed> {
    let store = Arc::new(SqliteLedger::in_memory()?);
    Ok(Till::new(
        store,
        Arc::new(|| Timestamp::from_secs(0)),
        vec![Arc::new(X402::new(Arc::new(Silent)))],
    ))
}

fn offer() -> Result<Offer, Failed> {
    let registry = AssetRegistry::builtin();
    let asset = registry
        .default_for(ChainId::BASE_SEPOLIA)
        .ok_or("no asset")?
        .clone();
    let ask = Ask {
        rail: RailName::X402,
        amount: Amount::new(U256::from(1000), asset.id),
        asset,
        payee: Payee::Evm(Address::repeat_byte(2)),
    };
    let resource = Resource {
        url: "https://api.example.com/joke".into(),
        description: "one joke".into(),
        mime_type: "text/plain".into(),
    };
    Ok(Offer::new(
        "joke",
        resource,
        vec![ask],
        SettlePolicy::After,
        60,
    )?)
}

/// Kills its process when dropped.
struct Server {
    child: Child,
    addr: SocketAddr,
}

impl Server {
    fn start(what: &str) -> Result<Self, Failed> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["serve", what])
            .stdout(Stdio::piped())
            .spawn()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().ok_or("no output")?).read_line(&mut line)?;
        Ok(Self {
            addr: line.trim().parse()?,
            child,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

async fn measure(seconds: u64, rounds: usize) -> Result<(), Failed> {
    let (ok, paywall) = (Server::start("ok")?, Server::start("paywall")?);
    let request =
        b"GET /joke HTTP/1.1\r\nhost: api.example.com\r\nuser-agent: bench\r\naccept: */*\r\n\r\n";
    let run = |addr, status| {
        load::run(
            addr,
            request,
            status,
            CONNECTIONS,
            Duration::from_secs(seconds),
        )
    };
    // A first round warms everything up and does not count.
    load::run(ok.addr, request, 200, CONNECTIONS, Duration::from_secs(1)).await?;
    load::run(
        paywall.addr,
        request,
        402,
        CONNECTIONS,
        Duration::from_secs(1),
    )
    .await?;
    println!("round   200 ok/s   402/s      ratio   402 p50 us   402 p99 us");
    let mut ratios = Vec::new();
    for round in 1..=rounds {
        let floor = run(ok.addr, 200).await?;
        let ours = run(paywall.addr, 402).await?;
        let percent = ours
            .per_second()
            .saturating_mul(100)
            .checked_div(floor.per_second())
            .unwrap_or(0);
        println!(
            "{round:<7} {:<10} {:<10} {percent} %    {:<12} {}",
            floor.per_second(),
            ours.per_second(),
            ours.percentile_us(50),
            ours.percentile_us(99)
        );
        ratios.push(percent);
    }
    ratios.sort_unstable();
    let median = ratios
        .get(ratios.len().checked_div(2).unwrap_or(0))
        .copied()
        .unwrap_or(0);
    println!("median  {median} % of the floor (goal: 70 %)");
    Ok(())
}
