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
use faregate_server::config::{Config, Env};
use faregate_server::gateway::{Deps, Gateway};
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
    let addr = listener.local_addr()?;
    println!("{addr}");
    let joke = get(|| async { "ok" });
    let app = match what {
        "ok" => Router::new().route("/joke", joke),
        "paywall" => {
            Router::new().route("/joke", joke.layer(PaywallLayer::new(till()?, offer()?)?))
        }
        "gate" => return gate(listener, addr).await,
        _ => return Err("serve ok | paywall | gate".into()),
    };
    axum::serve(listener, app).await?;
    Ok(())
}

/// The whole gate, with its limits, its routes and its configuration.
async fn gate(listener: tokio::net::TcpListener, addr: SocketAddr) -> Result<(), Failed> {
    let text = format!(
        r#"
        [gate]
        public_url = "http://{addr}"
        upstream = "http://127.0.0.1:1"
        network = "base-sepolia"
        pay_to = "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"
        [gate.facilitator]
        url = "http://127.0.0.1:1"
        [[route]]
        match = "GET /joke"
        price = "$0.001"
        description = "one joke"
        mime_type = "text/plain"
        "#
    );
    let config = Config::parse(&text, &Env::new()).map_err(|errors| errors.to_string())?;
    let deps = Deps {
        facilitator: Arc::new(Silent),
        store: Arc::new(SqliteLedger::in_memory()?),
        clock: Arc::new(|| Timestamp::from_secs(0)),
    };
    let running = Gateway::start_on(listener, config.gate.ok_or("no gate")?, deps).await?;
    std::future::pending::<()>().await;
    drop(running);
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

impl Server {
    /// Processor time used so far, in microseconds; the load generator shares the cores, so this is the fairer number.
    fn cpu_micros(&self) -> u64 {
        const TICK_MICROS: u64 = 10_000;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let ticks: u64 = stat
            .unwrap_or_default()
            .rsplit_once(')')
            .map_or("", |(_, rest)| rest)
            .split_whitespace()
            .skip(11)
            .take(2)
            .filter_map(|field| field.parse::<u64>().ok())
            .sum();
        ticks.saturating_mul(TICK_MICROS)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

async fn measure(seconds: u64, rounds: usize) -> Result<(), Failed> {
    let servers = [
        ("200 ok", 200, Server::start("ok")?),
        ("402 paywall", 402, Server::start("paywall")?),
        ("402 gate", 402, Server::start("gate")?),
    ];
    let request =
        b"GET /joke HTTP/1.1\r\nhost: api.example.com\r\nuser-agent: bench\r\naccept: */*\r\n\r\n";
    // A first round warms everything up and does not count.
    for (_, status, server) in &servers {
        load::run(
            server.addr,
            request,
            *status,
            CONNECTIONS,
            Duration::from_secs(1),
        )
        .await?;
    }
    println!("round  what          per second  of the floor  p50 us   p99 us   server ns each");
    let mut ratios = [Vec::new(), Vec::new(), Vec::new()];
    for round in 1..=rounds {
        let mut floor = 0;
        for ((what, status, server), ratios) in servers.iter().zip(&mut ratios) {
            let (time, cpu) = (Duration::from_secs(seconds), server.cpu_micros());
            let seen = load::run(server.addr, request, *status, CONNECTIONS, time).await?;
            let cpu = server
                .cpu_micros()
                .saturating_sub(cpu)
                .saturating_mul(1_000);
            if *status == 200 {
                floor = seen.per_second();
            }
            let percent = seen
                .per_second()
                .saturating_mul(100)
                .checked_div(floor)
                .unwrap_or(0);
            println!(
                "{round:<6} {what:<13} {:<11} {:<13} {:<8} {:<8} {}",
                seen.per_second(),
                format!("{percent} %"),
                seen.percentile_us(50),
                seen.percentile_us(99),
                cpu.checked_div(seen.answers).unwrap_or(0)
            );
            ratios.push(percent);
        }
    }
    for ((what, ..), ratios) in servers.iter().zip(&mut ratios).skip(1) {
        ratios.sort_unstable();
        let middle = ratios.len().checked_div(2).unwrap_or(0);
        let median = ratios.get(middle).copied().unwrap_or(0);
        println!("median {what:<13} {median} % of the floor (goal: 70 %)");
    }
    Ok(())
}
