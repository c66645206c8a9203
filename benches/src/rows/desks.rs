//! Rows of a shop that sells access tokens for permits: tokens that are shown, and tokens that are sold. The money is not what
//! is measured: every settlement is agreed to at once, behind the token.

use super::shops::FLOOR;
use super::{Group, World, served, servers};
use crate::Failed;
use crate::http::{Expected, Queue, Requests};
use crate::report::Goal;
use crate::serve::desk;

const SHOWN: &str = "faregate layer: access token of the permit rail";
const MANY: &str = "faregate layer: 100,000 access tokens in turn";
const SOLD_IN_MEMORY: &str = "faregate token endpoint: a collector that agrees, ledger in memory";
const SOLD_ON_DISK: &str = "faregate token endpoint: a collector that agrees, ledger on disk";
const VERIFIED: &str =
    "faregate token endpoint: verified on the chain, ledger on disk, no settlement";

/// Connections of all rows.
const CONNECTIONS: usize = 64;

/// Tokens that are shown in turn, as by so many payers.
const TOKENS: usize = 1_000;

/// More tokens than are remembered by their text.
const MANY_TOKENS: usize = 100_000;

/// What a token costs to check, and what it takes to sell one.
pub(super) async fn tokens(world: &World) -> Result<Group, Failed> {
    let mut group = Group::new("Permits: access tokens");
    let rpc = world.chain.url();
    for name in [FLOOR, SHOWN, MANY, SOLD_IN_MEMORY, SOLD_ON_DISK, VERIFIED] {
        if !world.wants(name) {
            continue;
        }
        let disk = world.file(match name {
            VERIFIED => "verified-desk.db",
            _ => "desk.db",
        });
        let args: &[&str] = match name {
            FLOOR => &["serve", "floor"],
            SOLD_ON_DISK => &["serve", "desk", "--books", &disk],
            VERIFIED => &["serve", "desk", "--books", &disk, "--rpc", &rpc],
            _ => &["serve", "desk", "--books", "memory"],
        };
        let server = servers::own(args)?;
        let addr = server.addr;
        let requests = match name {
            FLOOR => Requests::Same(crate::http::get("/joke", "").into()),
            SHOWN => Requests::Around(Queue::new(desk::tokens(addr, TOKENS).await?)),
            MANY => {
                // Fewer where it is only looked whether everything runs: each is signed.
                let count = world.options.payments.saturating_mul(10).min(MANY_TOKENS);
                Requests::Around(Queue::new(desk::tokens(addr, count).await?))
            }
            _ => {
                let count = world.payments();
                let permits = desk::permits(addr, count, name == VERIFIED).await?;
                Requests::Once(Queue::new(permits))
            }
        };
        let body = match name {
            SOLD_IN_MEMORY | SOLD_ON_DISK | VERIFIED => "access_token",
            _ => "",
        };
        let expected = Expected { status: 200, body };
        let row = served(world, name, server, requests, expected);
        group.contestants.push(row.connections(CONNECTIONS));
    }
    group.goals = vec![Goal::at_least(
        "requests with an access token beside the same server's `200 ok`",
        SHOWN,
        FLOOR,
        65,
    )];
    Ok(group)
}
