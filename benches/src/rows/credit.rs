//! Rows of a credit core: guarantees beside the signatures that each of them takes, and what checking them costs those who are
//! paid; and what happens on the chain, as it gets into the books.

use super::{Contestant, Group, Work as Working, World, served, servers};
use crate::Failed;
use crate::credit::story::Story;
use crate::credit::{Crowd, LANES_MAX};
use crate::drive::credit::Work;
use crate::http::{Expected, Requests};
use crate::report::Goal;
use crate::serve::credit as core;

const FLOOR: &str = "signatures alone on all cores: one recovery, one BLS signature";
const IN_PROCESS: &str = "in process: 10,000 payers, 128 in flight, SQLite on disk";
const FEW: &str = "over HTTP: 10,000 payers, 32 in flight, SQLite on disk";
const MANY: &str = "over HTTP: 10,000 payers, 128 in flight, SQLite on disk";
const HOT: &str = "over HTTP: one payer, 128 tabs, 128 in flight, SQLite on disk";
const ONE: &str = "over HTTP: one payer, one tab, reserved numbers, 128 in flight, SQLite on disk";

const MANY_SHARED: &str = "over HTTP: 10,000 payers, 128 in flight, PostgreSQL";
const HOT_SHARED: &str = "over HTTP: one payer, 128 tabs, 128 in flight, PostgreSQL";
const ONE_SHARED: &str =
    "over HTTP: one payer, one tab, reserved numbers, 128 in flight, PostgreSQL";

/// The most guarantees of a row in one round: more than are issued in it.
const ROUND_MAX: usize = 12_000;

const ISSUED: Expected = Expected {
    status: 200,
    body: "\"signature\":\"",
};

/// Guarantees, each durable with its certificate before its answer.
pub(super) async fn guarantees(world: &World) -> Result<Group, Failed> {
    let mut group = Group::new("Credit: guarantees, each with its certificate");
    if world.wants(FLOOR) {
        group.contestants.push(signatures(FLOOR, Work::Issue)?);
    }
    let count = world.options.payments.min(ROUND_MAX);
    let count = count.saturating_mul(world.options.rounds.saturating_add(2));
    if world.wants(IN_PROCESS) {
        group.contestants.push(in_process(world, count)?);
    }
    for (name, crowd, lanes) in [
        (FEW, many(world), 32),
        (MANY, many(world), LANES_MAX),
        (HOT, Crowd::Hot, LANES_MAX),
        (ONE, Crowd::One, LANES_MAX),
    ] {
        let file = world.file(&format!("credit-{}-{lanes}.db", crowd.as_str()));
        let row = over_http(world, (name, crowd, lanes), &file, count).await?;
        group.contestants.extend(row);
    }
    let shared = [
        (MANY_SHARED, Crowd::Spread),
        (HOT_SHARED, Crowd::Hot),
        (ONE_SHARED, Crowd::One),
    ];
    let database = world.options.postgres.as_ref();
    if let Some(database) = database {
        for (name, crowd) in shared {
            let schema = crowd.as_str();
            let books = format!("{database}?options=-c%20search_path%3Dload_{schema}");
            let row = over_http(world, (name, crowd, LANES_MAX), &books, count).await?;
            group.contestants.extend(row);
        }
    }
    let beside = |what, of, beside, percent| Goal::at_least(what, of, beside, percent);
    group.goals = vec![
        beside(
            "guarantees in process beside signatures alone",
            IN_PROCESS,
            FLOOR,
            75,
        ),
        beside(
            "guarantees over HTTP beside signatures alone",
            MANY,
            FLOOR,
            75,
        ),
        beside("one payer with many tabs beside many payers", HOT, MANY, 80),
        beside("one payer with one tab beside many payers", ONE, MANY, 80),
    ];
    if database.is_some() {
        let tabs = "one payer with many tabs beside many payers, PostgreSQL";
        let tab = "one payer with one tab beside many payers, PostgreSQL";
        group.goals.extend([
            beside(tabs, HOT_SHARED, MANY_SHARED, 80),
            beside(tab, ONE_SHARED, MANY_SHARED, 80),
        ]);
    }
    Ok(group)
}

/// Many payers, or some, where it is only looked whether everything runs: 10,000 keys and tabs take long.
const fn many(world: &World) -> Crowd {
    if world.options.payments < 1_000 {
        Crowd::Few
    } else {
        Crowd::Spread
    }
}

/// A core with these books, if its row is wanted.
pub(super) async fn over_http(
    world: &World,
    (name, crowd, lanes): (&str, Crowd, usize),
    books: &str,
    count: usize,
) -> Result<Option<Contestant>, Failed> {
    if !world.wants(name) {
        return Ok(None);
    }
    let server = servers::own(&["serve", "credit", crowd.as_str(), books])?;
    let lanes_of_requests = core::requests(server.addr, crowd, lanes, count).await?;
    let requests = Requests::Lanes(lanes_of_requests.into());
    let row = served(world, name, server, requests, ISSUED);
    Ok(Some(row.connections(lanes)))
}

fn in_process(world: &World, count: usize) -> Result<Contestant, Failed> {
    let program = std::env::current_exe()?;
    let (crowd, file) = (many(world).as_str(), world.file("credit-in-process.db"));
    let (lanes, count) = (LANES_MAX.to_string(), count.to_string());
    let args = ["drive", "guarantees", crowd, &file, &lanes, &count];
    Ok(Contestant {
        name: IN_PROCESS.to_owned(),
        process: servers::driver(&program, &args)?,
        others: Vec::new(),
        counts_others: false,
        work: Working::Drive { places: 1 },
    })
}

/// What a recipient checks, and a core before it issues anything; all of it on all cores.
pub(super) fn certificates(world: &World) -> Result<Group, Failed> {
    let mut group = Group::new("Credit: signatures that are checked, on all cores");
    for (name, work) in [
        ("requests: who signed the claims", Work::Request),
        ("certificates, one by one", Work::Certificate),
        ("certificates, 64 at once", Work::Certificates),
    ] {
        if world.wants(name) {
            group.contestants.push(signatures(name, work)?);
        }
    }
    Ok(group)
}

const FOLLOWER: &str = "follower: deposits, payments and their records, SQLite on disk";

/// What happens on the chain in one round.
const EVENTS: usize = 15_000;

/// A chain that is entered into books, from a block before everything happened to its end.
pub(super) async fn follower(world: &mut World) -> Result<Group, Failed> {
    let mut group = Group::new("Credit: what happened on the chain, entered into the books");
    let story = Story::tell(world.options.payments.min(EVENTS)).await?;
    let program = std::env::current_exe()?;
    let folder = world.file("");
    let (before, last) = (story.before.to_string(), story.last.to_string());
    let (url, events) = (story.url(), story.events.to_string());
    let args = ["drive", "follow", &url, &folder, &before, &last, &events];
    group.contestants.push(Contestant {
        name: FOLLOWER.to_owned(),
        process: servers::driver(&program, &args)?,
        others: Vec::new(),
        counts_others: false,
        work: Working::Drive { places: 1 },
    });
    world.story = Some(story);
    group.goals = vec![Goal::rate("events", FOLLOWER, 1_000)];
    Ok(group)
}

pub(super) fn signatures(name: &str, work: Work) -> Result<Contestant, Failed> {
    let program = std::env::current_exe()?;
    Ok(Contestant {
        name: name.to_owned(),
        process: servers::driver(&program, &["drive", "signatures", work.as_str()])?,
        others: Vec::new(),
        counts_others: false,
        work: Working::Drive { places: 1 },
    })
}
