//! The load program; `benches/load/run` builds everything it needs and starts it.

#![allow(clippy::print_stdout, reason = "a measurement is printed")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};
use faregate_benches::credit::Crowd;
use faregate_benches::drive::credit::{self, Work};
use faregate_benches::drive::follow::follow;
use faregate_benches::rows::{self, GROUPS, Options};
use faregate_benches::serve::credit::serve_credit;
use faregate_benches::serve::desk;
use faregate_benches::serve::shop::{self, Shop};
use faregate_benches::serve::toll::{self, Buys};
use faregate_benches::{Failed, drive, report, serve};

/// The allocator of the real command.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures Faregate, and real peers beside it.
#[derive(Debug, Parser)]
#[command(
    after_help = "Groups: unpaid, paid, l402, tokens, verify, settle, permits, client, claim, policies, background, credit, credit-paid, certificates, follower"
)]
struct Arguments {
    /// The groups to measure; all without any.
    groups: Vec<String>,
    /// Only rows whose name has this in it; may be repeated.
    #[arg(long)]
    only: Vec<String>,
    /// Length of a round, in milliseconds.
    #[arg(long, default_value_t = 2_500)]
    round_ms: u64,
    /// Rounds; their median counts.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// The most payments that one round of a row uses up; it ends when they are.
    #[arg(long, default_value_t = 24_000)]
    payments: usize,
    /// One short round of everything of ours, on the dev chain.
    #[arg(long)]
    smoke: bool,
    /// JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// Puts the tables between the markers of this page.
    #[arg(long)]
    write: Option<PathBuf>,
    /// What stands above the tables of the page: date, machine, command.
    #[arg(long, default_value = "")]
    about: String,
    /// The peers' program.
    #[arg(long)]
    peers: Option<PathBuf>,
    /// A Python with the peers' packages.
    #[arg(long, requires = "seller")]
    python: Option<PathBuf>,
    /// The Python seller.
    #[arg(long)]
    seller: Option<PathBuf>,
    /// Anvil; the dev chain without it.
    #[arg(long)]
    anvil: Option<PathBuf>,
    /// A PostgreSQL database with an empty schema for each crowd of payers: load_spread, load_hot, load_one.
    #[arg(long)]
    postgres: Option<String>,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What runs in measured processes.
#[derive(Debug, Subcommand)]
enum Part {
    /// A server.
    #[command(subcommand, hide = true)]
    Serve(Serve),
    /// A process that makes its own work.
    #[command(subcommand, hide = true)]
    Drive(Drive),
}

#[derive(Debug, Subcommand)]
enum Serve {
    /// `200 ok`.
    Floor,
    /// A facilitator that agrees.
    Stub,
    /// A seller that agrees with one payer.
    Seller { payer: String },
    /// A shop behind our layer.
    Shop {
        #[arg(long)]
        books: String,
        #[arg(long)]
        rpc: Option<String>,
    },
    /// A shop that sells access tokens for permits.
    Desk {
        #[arg(long)]
        books: String,
        #[arg(long)]
        rpc: Option<String>,
    },
    /// A credit core.
    Credit { crowd: Crowd, books: String },
    /// A shop that is paid over Lightning.
    Toll {
        /// Tokens buy any number of requests, not one.
        #[arg(long)]
        any: bool,
        #[arg(long)]
        books: String,
    },
}

#[derive(Debug, Subcommand)]
enum Drive {
    /// Our client.
    Client { url: String, books: String },
    /// Guarantees of a credit core in this process.
    Guarantees {
        crowd: Crowd,
        books: String,
        lanes: usize,
        count: usize,
    },
    /// A chain, into the books of a credit core.
    Follow {
        rpc: String,
        folder: PathBuf,
        before: u64,
        last: u64,
        events: usize,
    },
    /// Signatures alone.
    Signatures { work: Work },
    /// Claims.
    Claims { file: PathBuf, per_second: u64 },
    /// Collecting permits.
    Permits {
        rpc: String,
        /// One transaction each, not many in one.
        #[arg(long)]
        single: bool,
        /// The number of the first payer.
        first: u64,
        /// The number of the account that pays for gas.
        signer: usize,
    },
}

fn main() -> ExitCode {
    // The measured gate and facilitator are the real command, with its own arguments.
    let command = std::env::args().nth(1).unwrap_or_default();
    if command == "gate" || command == "facilitator" {
        return faregate::main();
    }
    match start(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn start(arguments: &Arguments) -> Result<(), Failed> {
    let mut runtime = match &arguments.part {
        // A client that does one thing at a time.
        Some(Part::Drive(Drive::Client { .. })) => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    runtime.enable_all().build()?.block_on(async {
        match &arguments.part {
            Some(Part::Serve(Serve::Floor)) => serve::floor().await,
            Some(Part::Serve(Serve::Stub)) => serve::stub::facilitator().await,
            Some(Part::Serve(Serve::Seller { payer })) => serve::stub::seller(payer).await,
            Some(Part::Serve(Serve::Shop { books, rpc })) => {
                let (rpc, books) = (rpc.clone(), books.clone());
                shop::serve(&Shop { rpc, books }).await
            }
            Some(Part::Serve(Serve::Desk { books, rpc })) => {
                desk::serve_desk(books, rpc.as_deref()).await
            }
            Some(Part::Serve(Serve::Toll { any, books })) => {
                let buys = if *any { Buys::Any } else { Buys::One };
                toll::serve_toll(buys, books).await
            }
            Some(Part::Drive(Drive::Client { url, books })) => drive::client(url, books).await,
            Some(Part::Serve(Serve::Credit { crowd, books })) => serve_credit(*crowd, books).await,
            Some(Part::Drive(Drive::Guarantees {
                crowd,
                books,
                lanes,
                count,
            })) => credit::guarantees(*crowd, books, *lanes, *count).await,
            Some(Part::Drive(Drive::Follow {
                rpc,
                folder,
                before,
                last,
                events,
            })) => follow(rpc, folder, (*before, *last), *events).await,
            Some(Part::Drive(Drive::Signatures { work })) => credit::signatures(*work).await,
            Some(Part::Drive(Drive::Claims { file, per_second })) => {
                drive::claims(file, *per_second).await
            }
            Some(Part::Drive(Drive::Permits {
                rpc,
                single,
                first,
                signer,
            })) => drive::permits(rpc, !single, *first, *signer).await,
            None => measure(arguments).await,
        }
    })
}

async fn measure(arguments: &Arguments) -> Result<(), Failed> {
    if let Some(unknown) = arguments
        .groups
        .iter()
        .find(|name| !GROUPS.contains(&name.as_str()))
    {
        return Err(format!("no group {unknown:?}; there are {}", GROUPS.join(", ")).into());
    }
    let round = Duration::from_millis(arguments.round_ms);
    let (rounds, round, payments) = if arguments.smoke {
        (1, Duration::from_millis(100), 400)
    } else {
        (arguments.rounds, round, arguments.payments)
    };
    let options = Options {
        rounds,
        round,
        payments,
        groups: arguments.groups.clone(),
        only: arguments.only.clone(),
        peers: arguments.peers.clone(),
        python: arguments.python.clone().zip(arguments.seller.clone()),
        anvil: arguments.anvil.clone(),
        postgres: arguments.postgres.clone(),
        artifacts: concat!(env!("CARGO_MANIFEST_DIR"), "/../contracts/artifacts").into(),
    };
    let reports = rows::run(options, |report| {
        if !arguments.json {
            println!("{}", report.text());
        }
    })
    .await?;
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&reports)?);
    }
    if let Some(page) = &arguments.write {
        report::write_page(page, arguments.about.trim(), &reports)?;
    }
    let failed = reports
        .iter()
        .map(|report| report.failures.len())
        .sum::<usize>();
    if failed > 0 {
        return Err(format!("{failed} rows failed").into());
    }
    Ok(())
}
