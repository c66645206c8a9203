//! Measured processes that make their own work: the paying client, claims at a fixed rate, permits that are collected. They are told `go <millis>
//! <places>` on their input and answer with one line of JSON; the peers' client speaks the same.

#![allow(clippy::print_stdout, reason = "a driver answers on its output")]

use std::io::BufRead as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use alloy_primitives::keccak256;
use faregate_client::{Caps, Client, Wallet, WalletStore, Worth};
use faregate_core::port::{Collector as _, NoTrail, PermitOrder, SettleOutcome};
use faregate_evm::{ExactFacilitator, LocalSigner, NetworkConfig, PermitCollector};
use faregate_ledger::{AccountId, Claim, Claimed, LedgerStore, Transfer};
use faregate_store::memory::MemoryWallet;
use faregate_store::sqlite::{SqliteLedger, SqliteWallet};
use faregate_types::permit::{Permit, Price, Terms};
use faregate_types::{
    Address, Amount, Fingerprint, PaymentId, RailName, SecretKey, Timestamp, U256,
    domain_separator, eip2612,
};
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::http::Measured;
use crate::process::Process;
use crate::{Failed, chain, payer};

pub mod credit;
pub mod follow;

/// What a driver answers: its latencies in microseconds and how long it took.
#[derive(Debug, Serialize, Deserialize)]
struct Report {
    micros: u64,
    latencies_us: Vec<u64>,
}

/// What a driver is told.
#[derive(Clone, Copy, Debug)]
struct Go {
    duration: Duration,
    places: usize,
}

/// Lets a driver work for `duration` and says what it measured.
///
/// # Errors
/// It ended, or did not speak the language above.
pub fn measure(
    driver: &mut Process,
    duration: Duration,
    places: usize,
) -> Result<Measured, Failed> {
    driver.tell(&format!("go {} {places}", duration.as_millis()))?;
    let line = driver.line()?;
    let report: Report = serde_json::from_str(&line).map_err(|_| line)?;
    let elapsed = Duration::from_micros(report.micros);
    Ok(Measured::new(report.latencies_us, elapsed))
}

/// Our client, paying `url` over and over. `books` is `memory` or a path.
///
/// # Errors
/// A payment that did not work.
pub async fn client(url: &str, books: &str) -> Result<(), Failed> {
    let store: Arc<dyn WalletStore> = match books {
        "memory" => Arc::new(MemoryWallet::new()),
        path => Arc::new(SqliteWallet::open(Path::new(path))?),
    };
    let caps = Caps {
        per_payment: Worth::new(U256::MAX),
        total: None,
        per_host: None,
        per_period: None,
    };
    let client = Client::builder()
        .wallet(Wallet::new(LocalSigner::new(payer::key(0)?)?))
        .caps(caps)
        .store(store)
        .build()?;
    let one = async |_| {
        let paid = client.get(url).send().await?;
        paid.payment.ok_or("nothing was paid")?;
        let text = paid.answer.text().await?;
        if text == "ok" {
            Ok(())
        } else {
            Err(format!("expected the joke, got {text:?}").into())
        }
    };
    every_go(async |go| closed(go, &one).await).await
}

/// Claims on a ledger file, offered at a fixed rate whether or not the earlier ones are done.
///
/// # Errors
/// A claim that did not work.
pub async fn claims(path: &Path, per_second: u64) -> Result<(), Failed> {
    let store = Arc::new(SqliteLedger::open(path)?);
    let mut made = 0_u64;
    every_go(async |go| {
        let (started, mut running) = (Instant::now(), JoinSet::new());
        let mut latencies_us = Vec::new();
        let mut offered = 0_u64;
        let mut tick = tokio::time::interval(Duration::from_millis(1));
        while started.elapsed() < go.duration {
            tick.tick().await;
            let due = u64::try_from(started.elapsed().as_micros())?
                .saturating_mul(per_second)
                .checked_div(1_000_000)
                .unwrap_or(0);
            while offered < due {
                let claim = claim(made)?;
                (offered, made) = (offered.saturating_add(1), made.saturating_add(1));
                let store = Arc::clone(&store);
                let asked = Instant::now();
                running.spawn(async move {
                    match store.claim(claim).await {
                        Ok(Claimed::Won) => Ok(asked.elapsed()),
                        other => Err(format!("a claim answered {other:?}")),
                    }
                });
            }
        }
        while let Some(done) = running.join_next().await {
            latencies_us.push(u64::try_from(done??.as_micros())?);
        }
        Ok((latencies_us, started.elapsed()))
    })
    .await
}

/// A claim like no other number's.
///
/// # Errors
/// The asset is not known.
pub fn claim(number: u64) -> Result<Claim, Failed> {
    let asset = chain::asset()?;
    let payer = Address::from_word(keccak256((number % 64).to_be_bytes()));
    let payee = chain::account(9)?.address;
    let nonce = keccak256(number.to_be_bytes());
    Ok(Claim {
        id: PaymentId::eip3009(asset.id.chain(), asset.id.token(), payer, nonce),
        rail: RailName::X402,
        fingerprint: Fingerprint::of(&[nonce.as_slice()]),
        transfer: Transfer {
            debit: AccountId::payer(payer),
            credit: AccountId::payee(payee),
            amount: Amount::new(U256::from(1000), asset.id),
        },
        route: "GET /joke".into(),
        // As long as a payment with its signature.
        evidence: vec![b'x'; 900],
        exposure_max: None,
        funds: None,
        idempotency: None,
        at: Timestamp::from(SystemTime::now()),
    })
}

/// Permits, collected one transaction each or together. Each place is a payer of its own, whose next permit is signed when the
/// one before is settled. `first` is the number of the first payer, and `signer` of the account that pays the gas.
///
/// # Errors
/// A permit that was not collected.
pub async fn permits(rpc: &str, together: bool, first: u64, signer: usize) -> Result<(), Failed> {
    let asset = chain::asset()?;
    let mut network = NetworkConfig::new(chain::CHAIN, rpc.parse()?, vec![asset.clone()]);
    if !together {
        network.batch_items_max = 1;
    }
    let gas = SecretKey::from_hex(chain::account(signer)?.private_key)?;
    let facilitator = ExactFacilitator::builder()
        .network(network)
        .signer(LocalSigner::new(gas)?)
        .connect()
        .await?;
    let treasury = chain::account(9)?.address;
    let collector = PermitCollector::builder(&facilitator)
        .treasury(chain::CHAIN, treasury)
        .connect()
        .await?;
    let spender = collector
        .payee(chain::CHAIN, treasury)
        .ok_or("nothing is collected")?;
    let separator = domain_separator(&asset.domain, chain::CHAIN, asset.id.token());
    let value = U256::from(1000);
    let price = Price::new(asset.clone(), value, spender, spender);
    let payers = (first..).take(PERMIT_PAYERS).map(|number| {
        let signer = LocalSigner::new(payer::key(number)?)?;
        Ok((signer, AtomicU64::new(0)))
    });
    let payers: Vec<_> = payers.collect::<Result<_, Failed>>()?;
    let one = async |place: usize| {
        let (signer, next) = payers.get(place).ok_or("no payer")?;
        let permit = eip2612::Permit {
            owner: signer.address(),
            spender,
            value,
            nonce: U256::from(next.fetch_add(1, Ordering::Relaxed)),
            deadline: U256::MAX,
        };
        let order = PermitOrder {
            permit: Permit {
                chain: chain::CHAIN,
                terms: Terms::Eip2612 {
                    token: asset.id.token(),
                    permit,
                },
                signature: signer.sign_now(permit.digest(separator))?,
            },
            price: price.clone(),
            treasury,
        };
        match collector.settle(&order, &NoTrail).await {
            SettleOutcome::Settled(_) => Ok(()),
            other => Err(format!("a permit was not collected: {other:?}").into()),
        }
    };
    every_go(async |go| closed(go, &one).await).await
}

/// How many payers have permits collected at once.
pub const PERMIT_PAYERS: usize = 128;

/// `places` at a time, each starts the next when it is done.
async fn closed<W>(go: Go, one: &W) -> Result<(Vec<u64>, Duration), Failed>
where
    W: AsyncFn(usize) -> Result<(), Failed>,
{
    let started = Instant::now();
    let place = async |number| {
        let mut latencies_us = Vec::new();
        while started.elapsed() < go.duration {
            let asked = Instant::now();
            one(number).await?;
            latencies_us.push(u64::try_from(asked.elapsed().as_micros())?);
        }
        Ok::<_, Failed>(latencies_us)
    };
    let all = futures_util::future::try_join_all((0..go.places).map(place)).await?;
    Ok((all.concat(), started.elapsed()))
}

/// Does `work` for every line of input.
async fn every_go<W>(mut work: W) -> Result<(), Failed>
where
    W: AsyncFnMut(Go) -> Result<(Vec<u64>, Duration), Failed>,
{
    println!("ready");
    loop {
        let read = tokio::task::spawn_blocking(|| {
            let mut line = String::new();
            std::io::stdin().lock().read_line(&mut line).map(|_| line)
        });
        let line = read.await??;
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["go", millis, places] = words.as_slice() else {
            return Ok(());
        };
        let go = Go {
            duration: Duration::from_millis(millis.parse()?),
            places: places.parse()?,
        };
        let (latencies_us, elapsed) = work(go).await?;
        let micros = u64::try_from(elapsed.as_micros())?;
        println!(
            "{}",
            serde_json::to_string(&Report {
                micros,
                latencies_us,
            })?
        );
    }
}
