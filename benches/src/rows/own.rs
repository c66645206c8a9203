//! Rows that make their own work: the paying client, claims, and permits that are collected.

use alloy_primitives::U256;

use super::servers;
use super::{Contestant, Group, Work, World};
use crate::Failed;
use crate::chain::Chain;
use crate::drive::PERMIT_PAYERS;
use crate::payer;
use crate::report::Goal;

const OURS: &str = "faregate-client, books in memory";
const OURS_ON_DISK: &str = "faregate-client, books on disk";
const REQWEST: &str = "x402-reqwest 2.0.2, no books";

/// The whole cycle of a client, one at a time: ask, 402, choose, sign, ask again, read the receipt.
pub(super) fn client(world: &World) -> Result<Group, Failed> {
    let mut group = Group::new("Client: 402, sign, retry; one at a time");
    let key = payer::key(0)?;
    let payer = faregate_evm::LocalSigner::new(payer::key(0)?)?
        .address()
        .to_string();
    let program = std::env::current_exe()?;
    let disk = world.file("wallet.db");
    for name in [OURS, OURS_ON_DISK, REQWEST] {
        if !world.wants(name) {
            continue;
        }
        let seller = servers::own(&["serve", "seller", &payer])?;
        let url = format!("{}/joke", seller.url());
        let process = match (name, &world.options.peers) {
            (OURS, _) => servers::driver(&program, &["drive", "client", &url, "memory"])?,
            (OURS_ON_DISK, _) => servers::driver(&program, &["drive", "client", &url, &disk])?,
            (_, Some(peers)) => {
                let key = alloy_primitives::hex::encode_prefixed(key.expose());
                servers::driver(peers, &["client", &url, &key])?
            }
            (_, None) => continue,
        };
        group.contestants.push(Contestant {
            name: name.to_owned(),
            process,
            others: vec![seller.process],
            counts_others: false,
            work: Work::Drive { places: 1 },
        });
    }
    group.goals = vec![
        Goal::at_least(
            "the client's whole cycle beside x402-reqwest's",
            OURS,
            REQWEST,
            130,
        ),
        Goal::at_least(
            "the same with its books on disk",
            OURS_ON_DISK,
            REQWEST,
            130,
        ),
    ];
    Ok(group)
}

const CLAIM: &str = "faregate-store, SQLite on disk, 1,000 claims/s offered";

/// Claims at a fixed rate.
pub(super) fn claim(world: &World) -> Result<Group, Failed> {
    let mut group = Group::new("Claims");
    let program = std::env::current_exe()?;
    let file = world.file("claims.db");
    group.contestants.push(Contestant {
        name: CLAIM.to_owned(),
        process: servers::driver(&program, &["drive", "claims", &file, "1000"])?,
        others: Vec::new(),
        counts_others: false,
        work: Work::Drive { places: 1 },
    });
    group.goals = vec![Goal::p99_below("99 of 100 claims", CLAIM, 20_000)];
    Ok(group)
}

const ANVIL_SINGLE: &str = "faregate-evm on anvil, one transaction each";
const ANVIL_BATCHED: &str = "faregate-evm on anvil, batched";
const DEV_SINGLE: &str = "faregate-evm on the dev chain, one transaction each";
const DEV_BATCHED: &str = "faregate-evm on the dev chain, batched";

/// EIP-2612 permits of 128 payers through one signer, until the chain has them.
pub(super) async fn permits(world: &mut World) -> Result<Group, Failed> {
    let mut group = Group::new("Permits: collected on chain, one signer, 128 payers at a time");
    let program = std::env::current_exe()?;
    if world.options.anvil.is_some() {
        world.dev = Some(Chain::dev().await?);
    }
    let dev = world.dev.as_ref().unwrap_or(&world.chain);
    let anvil = world.options.anvil.is_some().then_some(&world.chain);
    // Rows share a chain, so each has payers and a signer of its own.
    let rows = [
        (ANVIL_SINGLE, anvil, Some("--single"), 1),
        (ANVIL_BATCHED, anvil, None, 2),
        (DEV_SINGLE, Some(dev), Some("--single"), 3),
        (DEV_BATCHED, Some(dev), None, 4),
    ];
    for (name, chain, single, place) in rows {
        let Some(chain) = chain.filter(|_| world.wants(name)) else {
            continue;
        };
        let first = place * 1_000_u64;
        for number in (first..).take(PERMIT_PAYERS) {
            let payer = faregate_evm::LocalSigner::new(payer::key(number)?)?;
            let enough = U256::from(1_000_000_000_u64);
            chain.fund(payer.address(), enough).await?;
        }
        let (url, first, signer) = (chain.url(), first.to_string(), place.to_string());
        let mut args = vec!["drive", "permits", &url, &first, &signer];
        args.extend(single);
        group.contestants.push(Contestant {
            name: name.to_owned(),
            process: servers::driver(&program, &args)?,
            others: Vec::new(),
            counts_others: false,
            work: Work::Drive {
                places: PERMIT_PAYERS,
            },
        });
    }
    group.goals = vec![
        Goal::at_least(
            "batched permits beside one transaction each, on anvil",
            ANVIL_BATCHED,
            ANVIL_SINGLE,
            800,
        ),
        Goal::at_least(
            "batched permits beside one transaction each, on the dev chain",
            DEV_BATCHED,
            DEV_SINGLE,
            800,
        ),
    ];
    Ok(group)
}
