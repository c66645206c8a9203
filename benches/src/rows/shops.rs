//! Rows of sellers: "no", and a paid "yes".

use super::servers::{self, Server, joke};
use super::{Contestant, Group, World, served};
use crate::Failed;
use crate::http::{self, Expected, Queue, Requests};
use crate::payer::Terms;
use crate::report::Goal;

const OK: Expected = Expected {
    status: 200,
    body: "",
};
const UNPAID: Expected = Expected {
    status: 402,
    body: "",
};

/// Connections of rows with payments: as many copies of the signature check as a busy shop has.
const PAYING: usize = 64;

pub(super) const FLOOR: &str = "axum `200 ok`, the floor";
const LAYER_402: &str = "faregate, layer in axum";
const GATE_402: &str = "faregate, gate";
const AXUM_402: &str = "x402-axum 2.0.2";
const FASTAPI: &str = "x402[fastapi] 2.25.0";

/// Requests without a payment.
pub(super) async fn unpaid(world: &World) -> Result<Group, Failed> {
    let mut group = Group::new("Unpaid: 402 and how to pay");
    let request = Requests::Same(http::get("/joke", "").into());
    let mut row = |name: &str, server: Option<Server>, expected| {
        if let Some(server) = server {
            group
                .contestants
                .push(served(world, name, server, request.clone(), expected));
        }
    };
    let stub = || servers::own(&["serve", "stub"]);
    if world.wants(FLOOR) {
        row(FLOOR, Some(servers::own(&["serve", "floor"])?), OK);
    }
    if world.wants(LAYER_402) {
        let shop = servers::own(&["serve", "shop", "--books", "memory"])?;
        row(LAYER_402, Some(shop), UNPAID);
    }
    if world.wants(GATE_402) {
        row(GATE_402, Some(remote_gate(world, "unpaid-gate")?), UNPAID);
    }
    if world.wants(AXUM_402) {
        row(AXUM_402, axum(world, stub()?)?, UNPAID);
    }
    if world.wants(FASTAPI) {
        row(FASTAPI, fastapi(world, stub()?)?, UNPAID);
    }
    group.goals = vec![
        Goal::at_least(
            "the layer's 402 beside the same server's `200 ok`",
            LAYER_402,
            FLOOR,
            80,
        ),
        Goal::at_least(
            "the gate's 402 beside the same server's `200 ok`",
            GATE_402,
            FLOOR,
            80,
        ),
        Goal::at_least("the gate's 402 beside x402-axum's", GATE_402, AXUM_402, 100),
    ];
    Ok(group)
}

const NOTHING: &str = "faregate layer: no signature check, no ledger, no settlement";
const CHECKED: &str = "faregate layer: verified from local state, no ledger, no settlement";
const IN_MEMORY: &str =
    "faregate layer: verified from local state, ledger in memory, no settlement";
const ON_DISK: &str = "faregate layer: verified from local state, ledger on disk, no settlement";
pub(super) const GATE_STUB: &str = "faregate gate: stub facilitator over HTTP, ledger on disk";
const AXUM_HTTP: &str = "x402-axum 2.0.2: stub facilitator over HTTP, no ledger";
const AXUM_IN: &str = "x402-axum 2.0.2: stub facilitator in process, no ledger";
const FASTAPI_STUB: &str = "x402[fastapi] 2.25.0: stub facilitator over HTTP, no ledger";

/// Paid requests that nobody settles, so that the chain is not what is measured.
pub(super) async fn paid(world: &mut World) -> Result<Group, Failed> {
    let mut group = Group::new("Paid, without settlement");
    let rpc = world.chain.url();
    let disk = world.file("shop.db");
    let shop = |more: &[&str]| servers::own(&[&["serve", "shop"], more].concat()).map(Some);
    let stub = || servers::own(&["serve", "stub"]);
    let names = [
        FLOOR,
        NOTHING,
        CHECKED,
        IN_MEMORY,
        ON_DISK,
        GATE_STUB,
        AXUM_HTTP,
        AXUM_IN,
        FASTAPI_STUB,
    ];
    for name in names {
        if !world.wants(name) {
            continue;
        }
        let server = match name {
            FLOOR => Some(servers::own(&["serve", "floor"])?),
            NOTHING => shop(&["--books", "none"])?,
            CHECKED => shop(&["--books", "none", "--rpc", &rpc])?,
            IN_MEMORY => shop(&["--books", "memory", "--rpc", &rpc])?,
            ON_DISK => shop(&["--books", &disk, "--rpc", &rpc])?,
            GATE_STUB => Some(remote_gate(world, "paid-gate")?),
            AXUM_HTTP => axum(world, stub()?)?,
            AXUM_IN => servers::peer(world, &["shop-in-process"])?,
            _ => fastapi(world, stub()?)?,
        };
        let Some(server) = server else { continue };
        let row = if name == FLOOR {
            let request = Requests::Same(http::get("/joke", "").into());
            served(world, name, server, request, OK)
        } else {
            paying(world, name, server, world.payments()).await?
        };
        group.contestants.push(row.connections(PAYING));
    }
    group.goals = vec![
        Goal::at_least(
            "verified from local state, without settlement, beside x402-axum with a stub",
            CHECKED,
            AXUM_HTTP,
            200,
        ),
        Goal::at_least(
            "the same with the claim in a ledger in memory",
            IN_MEMORY,
            AXUM_HTTP,
            200,
        ),
        Goal::at_least(
            "the same with the claim durable on disk",
            ON_DISK,
            AXUM_HTTP,
            200,
        ),
        Goal::cpu_beside(
            "processor time a paid request costs beside signature and claim",
            NOTHING,
            FLOOR,
            25_000,
        ),
    ];
    Ok(group)
}

const BEFORE: &str = "faregate gate, settle = \"before\"";
const AFTER: &str = "faregate gate, settle = \"after\"";
const BACKGROUND: &str = "faregate gate, settle = \"background\"";

/// Paid requests through the whole gate, settled on the chain before the answer leaves.
pub(super) async fn policies(world: &mut World) -> Result<Group, Failed> {
    let mut group =
        Group::new("Paid through the gate, settled on chain (embedded facilitator, one signer)");
    for (name, settle) in [(BEFORE, "before"), (AFTER, "after")] {
        if world.wants(name) {
            group.contestants.push(settling(world, name, settle).await?);
        }
    }
    Ok(group)
}

/// The same, settled after the answer left. The last of all groups: the chain works on what it left for longer than it is
/// measured.
pub(super) async fn background(world: &mut World) -> Result<Group, Failed> {
    let mut group = Group::new("Paid through the gate, settled after the answer left");
    if world.wants(BACKGROUND) {
        let row = settling(world, BACKGROUND, "background").await?;
        group.contestants.push(row);
    }
    Ok(group)
}

async fn settling(world: &mut World, name: &str, settle: &str) -> Result<Contestant, Failed> {
    let facilitator = format!(
        "rpc_url = \"{}\"\nsigner_key = \"env:{}\"\n{}",
        world.chain.url(),
        servers::GAS_KEY,
        servers::batching(world)
    );
    let file = format!("gate-{settle}");
    let server = servers::gate(world, &file, &facilitator, &joke(settle))?;
    let row = paying(world, name, server, world.payments().div_ceil(4)).await?;
    Ok(row.connections(PAYING))
}

/// A row that pays its server each time.
pub(super) async fn paying(
    world: &mut World,
    name: &str,
    server: Server,
    count: usize,
) -> Result<Contestant, Failed> {
    let terms = Terms::of_shop(server.addr)
        .await
        .map_err(|error| format!("{name}: {error}"))?;
    // The slow peer needs few.
    let count = if name == FASTAPI_STUB {
        count.div_ceil(20)
    } else {
        count
    };
    let queue = Queue::new(world.payers.purchases(&terms, count)?);
    Ok(served(world, name, server, Requests::Once(queue), OK))
}

/// Our gate in front of a stub facilitator.
pub(super) fn remote_gate(world: &World, name: &str) -> Result<Server, Failed> {
    let stub = servers::own(&["serve", "stub"])?;
    let facilitator = format!("url = \"{}\"", stub.url());
    Ok(servers::gate(world, name, &facilitator, &joke("after"))?.with(stub))
}

fn axum(world: &World, stub: Server) -> Result<Option<Server>, Failed> {
    let server = servers::peer(world, &["shop", &stub.url()])?;
    Ok(server.map(|server| server.with(stub)))
}

fn fastapi(world: &World, stub: Server) -> Result<Option<Server>, Failed> {
    let server = servers::fastapi(world, &stub.url())?;
    Ok(server.map(|server| server.with(stub)))
}
