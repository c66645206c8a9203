//! Rows of facilitators.

use super::servers::{self, Server};
use super::{Group, World, served};
use crate::Failed;
use crate::http::{Expected, Queue, Requests};
use crate::payer::Terms;
use crate::report::Goal;

const VALID: Expected = Expected {
    status: 200,
    body: "\"isValid\":true",
};
const SETTLED: Expected = Expected {
    status: 200,
    body: "\"success\":true",
};

const OURS: &str = "faregate facilitator";
const X402_RS: &str = "x402-rs 2.0.2 facilitator";

/// `/verify` of payments of ordinary accounts.
pub(super) async fn verify(world: &mut World) -> Result<Group, Failed> {
    let mut group = Group::new("Facilitator: /verify of an ordinary account's payment");
    let terms = Terms::of_facilitator()?;
    // Verifying uses nothing up, so a few thousand go around.
    let queue = Queue::new(world.payers.requests(&terms, "/verify", 4_096)?);
    for name in [OURS, X402_RS] {
        let server = match name {
            _ if !world.wants(name) => None,
            OURS => Some(servers::facilitator(world, "verify", "")?),
            _ => x402_rs(world)?,
        };
        if let Some(server) = server {
            let requests = Requests::Around(queue.clone());
            group
                .contestants
                .push(served(world, name, server, requests, VALID));
        }
    }
    group.goals = vec![Goal::at_least(
        "/verify beside x402-rs's",
        OURS,
        X402_RS,
        800,
    )];
    Ok(group)
}

const SINGLE: &str = "faregate facilitator, one transaction each";
const BATCHED: &str = "faregate facilitator, batched";

/// `/settle` with one signer, until the chain has it.
pub(super) async fn settle(world: &mut World) -> Result<Group, Failed> {
    let mut group = Group::new("Facilitator: /settle on chain, one signer, 128 at a time");
    let terms = Terms::of_facilitator()?;
    let batching = servers::batching(world);
    for name in [SINGLE, BATCHED, X402_RS] {
        let server = match name {
            _ if !world.wants(name) => None,
            SINGLE => Some(servers::facilitator(world, "single", "")?),
            BATCHED => Some(servers::facilitator(world, "batched", &batching)?),
            _ => x402_rs(world)?,
        };
        let Some(server) = server else { continue };
        let count = world.payments().div_ceil(4);
        let queue = Queue::new(world.payers.requests(&terms, "/settle", count)?);
        let row = served(world, name, server, Requests::Once(queue), SETTLED);
        group.contestants.push(row.connections(128));
    }
    group.goals = vec![Goal::at_least(
        "batched settlement beside one transaction each",
        BATCHED,
        SINGLE,
        1_000,
    )];
    Ok(group)
}

fn x402_rs(world: &World) -> Result<Option<Server>, Failed> {
    let key = crate::chain::account(2)?.private_key;
    servers::peer(world, &["facilitator", &world.chain.url(), key])
}
