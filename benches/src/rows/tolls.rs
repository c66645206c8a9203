//! Rows of a shop that is paid over Lightning. Payments are not what is measured: every token's invoice counts as paid.

use super::servers;
use super::shops::FLOOR;
use super::{Group, World, served};
use crate::Failed;
use crate::http::{self, Expected, Queue, Requests};
use crate::report::Goal;
use crate::serve::toll::{self, Buys};

const ANY: &str = "faregate layer: L402 token for any number of uses";
const ONE_IN_MEMORY: &str = "faregate layer: L402 tokens for one use, ledger in memory";
const ONE_ON_DISK: &str = "faregate layer: L402 tokens for one use, ledger on disk";
const MANY_IN_MEMORY: &str =
    "faregate layer: 100,000 L402 tokens in turn, any number of uses, ledger in memory";
const MANY_ON_DISK: &str =
    "faregate layer: 100,000 L402 tokens in turn, any number of uses, ledger on disk";
const CHALLENGES: &str = "faregate layer: 402 with a new invoice and its token";

/// Connections of all rows.
const CONNECTIONS: usize = 64;

/// Tokens that are used in turn, as by so many payers.
const PASSES: usize = 1_000;

/// Tokens that are good at the same time, each of which was paid and used.
const LIVE: usize = 100_000;

/// What a token buys, and what it takes to issue one.
pub(super) async fn l402(world: &World) -> Result<Group, Failed> {
    let mut group = Group::new("L402");
    for name in [
        FLOOR,
        ANY,
        ONE_IN_MEMORY,
        ONE_ON_DISK,
        MANY_IN_MEMORY,
        MANY_ON_DISK,
        CHALLENGES,
    ] {
        if !world.wants(name) {
            continue;
        }
        let disk = world.file(if name == MANY_ON_DISK {
            "many.db"
        } else {
            "toll.db"
        });
        let args: &[&str] = match name {
            FLOOR => &["serve", "floor"],
            ANY | MANY_IN_MEMORY => &["serve", "toll", "--any", "--books", "memory"],
            MANY_ON_DISK => &["serve", "toll", "--any", "--books", &disk],
            ONE_ON_DISK => &["serve", "toll", "--books", &disk],
            _ => &["serve", "toll", "--books", "memory"],
        };
        let requests = match name {
            ANY => Requests::Around(Queue::new(toll::requests(Buys::Any, PASSES).await?)),
            MANY_IN_MEMORY | MANY_ON_DISK => {
                Requests::Around(Queue::new(toll::requests(Buys::Any, LIVE).await?))
            }
            ONE_IN_MEMORY | ONE_ON_DISK => {
                let tokens = toll::requests(Buys::One, world.payments()).await?;
                Requests::Once(Queue::new(tokens))
            }
            _ => Requests::Same(http::get("/joke", "").into()),
        };
        let status = if name == CHALLENGES { 402 } else { 200 };
        let expected = Expected { status, body: "" };
        let row = served(world, name, servers::own(args)?, requests, expected);
        group.contestants.push(row.connections(CONNECTIONS));
    }
    group.goals = vec![
        Goal::at_least(
            "requests with a token for any number of uses beside the same server's `200 ok`",
            ANY,
            FLOOR,
            65,
        ),
        Goal::memory_below(
            "100,000 tokens that are good, with the ledger on disk, as it is by default",
            MANY_ON_DISK,
            100,
        ),
    ];
    Ok(group)
}
