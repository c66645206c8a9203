//! Rows of sales on credit: a promise comes with the request, and a core turns it into a certificate before anything is served.
//! Everything is as it would be at a seller's: the real gate and facilitator, the core over HTTP, books on disk with a full sync
//! on both sides. What is paid was signed beforehand.

use faregate_types::credit::x402::{CreditEnvelope, SCHEME};
use faregate_types::x402::Version;
use serde_json::{Value, json};

use super::credit::{over_http, signatures};
use super::servers::{self, Server, joke};
use super::{Contestant, Group, World, served, shops};
use crate::Failed;
use crate::chain::{self, CHAIN};
use crate::credit::{self, Crowd, LANES_MAX, story};
use crate::drive::credit::Work;
use crate::http::{self, Expected, Queue, Requests};
use crate::report::Goal;

const FLOOR: &str =
    "signatures alone on all cores: one recovery, one BLS signature made and checked";
const CORE: &str = "credit core over HTTP: one payer, 128 in flight";
const ONE_1: &str = "gate and core: one payer on one tab, 1 in flight";
const ONE_32: &str = "gate and core: one payer on one tab, 32 in flight";
const ONE_128: &str = "gate and core: one payer on one tab, 128 in flight";
const MANY_1: &str = "gate and core: 1,000 payers, 1 in flight";
const MANY_32: &str = "gate and core: 1,000 payers, 32 in flight";
const MANY_128: &str = "gate and core: 1,000 payers, 128 in flight";
const SETTLE: &str = "facilitator's /settle and core: 1,000 payers, 32 in flight";

/// The most sales of a row in one round: more than there are.
const ROUND_MAX: usize = 6_000;

const SOLD: Expected = Expected {
    status: 200,
    body: "ok",
};
const SETTLED: Expected = Expected {
    status: 200,
    body: "\"success\":true",
};

/// Requests that are paid on credit.
pub(super) async fn paid(world: &mut World) -> Result<Group, Failed> {
    let mut group =
        Group::new("Paid on credit: each with its certificate; processor time of all processes");
    if world.wants(FLOOR) {
        group.contestants.push(signatures(FLOOR, Work::Sale)?);
    }
    let exact = shops::GATE_STUB;
    if world.wants(exact) {
        let server = shops::remote_gate(world, "credit-exact")?;
        let row = shops::paying(world, exact, server, world.payments()).await?;
        group.contestants.push(row.connections(32).counting_all());
    }
    let count = world.options.payments.min(ROUND_MAX);
    let count = count.saturating_mul(world.options.rounds.saturating_add(1));
    let file = world.file("credit-core-alone.db");
    let row = over_http(world, (CORE, Crowd::One, LANES_MAX), &file, count).await?;
    group.contestants.extend(row);
    world.ground = Some(story::chain().await?);
    for (name, crowd, lanes) in [
        (ONE_1, Crowd::Regular, 1),
        (ONE_32, Crowd::Regular, 32),
        (ONE_128, Crowd::Regular, LANES_MAX),
        (MANY_1, many(world), 1),
        (MANY_32, many(world), 32),
        (MANY_128, many(world), LANES_MAX),
    ] {
        if world.wants(name) {
            let shop = format!("credit-{}-{lanes}", crowd.as_str());
            let row = gate(world, (name, &shop), crowd, count)?;
            group
                .contestants
                .push(row.connections(lanes).counting_all());
        }
    }
    if world.wants(SETTLE) {
        let row = facilitator(world, many(world), count)?;
        group.contestants.push(row.connections(32).counting_all());
    }
    group.goals = vec![
        Goal::p50_below("half of the requests of one payer", ONE_1, 10_000),
        Goal::p50_below("half of the requests of many payers", MANY_1, 10_000),
        Goal::at_least(
            "one payer on one tab beside many payers",
            ONE_128,
            MANY_128,
            80,
        ),
    ];
    Ok(group)
}

/// Many payers, or some, where it is only looked whether everything runs.
const fn many(world: &World) -> Crowd {
    if world.options.payments < 1_000 {
        Crowd::FewRegulars
    } else {
        Crowd::Regulars
    }
}

/// The real gate, which sells for `exact` and on credit, and a core of its own.
fn gate(
    world: &World,
    (name, shop): (&str, &str),
    crowd: Crowd,
    count: usize,
) -> Result<Contestant, Failed> {
    let (stub, core) = (servers::own(&["serve", "stub"])?, core(world, shop, crowd)?);
    let payee = credit::recipient_of(0)?.address();
    let rails = format!(
        "url = \"{}\"\n\n[gate.credit]\nrecipient = \"{payee}\"\n\n[[gate.credit.core]]\n{}",
        stub.url(),
        place(world, &core)?
    );
    let server = servers::gate(world, shop, &rails, &joke("after"))?;
    let pay = |envelope: &CreditEnvelope| {
        let header = envelope.to_header(&Value::Null, None);
        http::get("/joke", &format!("X-PAYMENT: {header}"))
    };
    let requests = envelopes(crowd, count)?.iter().map(pay).collect();
    let requests = Requests::Once(Queue::new(requests));
    Ok(served(
        world,
        name,
        server.with(stub).with(core),
        requests,
        SOLD,
    ))
}

/// The real facilitator, for sellers who ask it to settle, and a core of its own.
fn facilitator(world: &World, crowd: Crowd, count: usize) -> Result<Contestant, Failed> {
    let shop = "credit-facilitator";
    let core = core(world, shop, crowd)?;
    let more = format!("\n[[facilitator.credit]]\n{}", place(world, &core)?);
    let server = servers::facilitator(world, shop, &more)?;
    let demand = json!({
        "scheme": SCHEME,
        "network": CHAIN.to_string(),
        "maxAmountRequired": "1000",
        "payTo": credit::recipient_of(0)?.address().to_string(),
        "asset": chain::asset()?.id.token().to_string(),
        "resource": "http://127.0.0.1/joke",
        "description": "one joke",
        "mimeType": "text/plain",
        "maxTimeoutSeconds": 300,
        "extra": { "tabEndpoint": "http://127.0.0.1/tabs" },
    });
    let settle = |envelope: &CreditEnvelope| {
        let header = envelope.to_header(&Value::Null, None);
        let body =
            json!({ "x402Version": 1, "paymentHeader": header, "paymentRequirements": demand });
        http::post("/settle", body.to_string().as_bytes())
    };
    let requests = envelopes(crowd, count)?.iter().map(settle).collect();
    let requests = Requests::Once(Queue::new(requests));
    Ok(served(world, SETTLE, server.with(core), requests, SETTLED))
}

fn core(world: &World, shop: &str, crowd: Crowd) -> Result<Server, Failed> {
    let books = world.file(&format!("{shop}-core.db"));
    servers::own(&["serve", "credit", crowd.as_str(), &books])
}

/// What the configuration of those who need a core says of it.
fn place(world: &World, core: &Server) -> Result<String, Failed> {
    let node = world.ground.as_ref().ok_or("no chain")?.rpc_url();
    Ok(format!(
        "network = \"{CHAIN}\"\nurl = \"{}\"\nrpc_url = \"{node}\"\nkey = \"env:{}\"",
        core.url(),
        servers::CREDIT_KEY
    ))
}

/// What the payers show.
fn envelopes(crowd: Crowd, count: usize) -> Result<Vec<CreditEnvelope>, Failed> {
    let promises = credit::promises(crowd, count)?.into_iter();
    let envelope = |request| CreditEnvelope {
        version: Version::V1,
        scheme: SCHEME.to_owned(),
        network: CHAIN.to_string(),
        request,
    };
    Ok(promises.map(envelope).collect())
}
