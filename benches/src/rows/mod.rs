//! The rows: who is measured at what, in which groups, and what has to come out.
//!
//! A group's contestants are all started first, warmed up, and then measured in turn, round after round, so that a machine
//! that becomes slower is slower for everybody. The median of the rounds counts.

mod credit;
mod desks;
mod facilitators;
mod on_credit;
mod own;
mod servers;
mod shops;
mod tolls;

use std::path::PathBuf;
use std::time::Duration;

use alloy_primitives::Address;
use faregate_devnet::Devchain;

use crate::Failed;
use crate::chain::Chain;
use crate::credit::story::Story;
use crate::drive;
use crate::http::{self, Expected, Load, Measured, Requests};
use crate::payer::Payers;
use crate::process::Process;
use crate::report::{Goal, GroupReport, Line};

/// Every group, in the order they are measured.
pub const GROUPS: [&str; 15] = [
    "unpaid",
    "paid",
    "l402",
    "tokens",
    "verify",
    "settle",
    "permits",
    "client",
    "claim",
    "policies",
    "background",
    "credit",
    "credit-paid",
    "certificates",
    "follower",
];

/// What to measure, and how long.
#[derive(Clone, Debug)]
pub struct Options {
    /// Rounds for each contestant.
    pub rounds: usize,
    /// Length of a round.
    pub round: Duration,
    /// The groups, by name; empty for all.
    pub groups: Vec<String>,
    /// The only contestants, by a part of their name; empty for all.
    pub only: Vec<String>,
    /// The peers' program; without it only we are measured.
    pub peers: Option<PathBuf>,
    /// A Python with the peers' packages, and the seller to run in it.
    pub python: Option<(PathBuf, PathBuf)>,
    /// Anvil; without it the dev chain.
    pub anvil: Option<PathBuf>,
    /// A PostgreSQL database with an empty schema for each crowd, `load_spread` and so on; without it none is measured.
    pub postgres: Option<String>,
    /// The artifacts of the contracts.
    pub artifacts: PathBuf,
    /// How many payments a round of a row may use up.
    pub payments: usize,
}

/// What the rows stand on.
pub(crate) struct World {
    options: Options,
    chain: Chain,
    /// Beside anvil, for rows that are measured on both.
    dev: Option<Chain>,
    /// A chain with a contract of the credit network.
    story: Option<Story>,
    /// Another with nothing on it but that contract.
    ground: Option<Devchain>,
    payers: Payers,
    /// The contract that settles many payments at once.
    batch_settler: Address,
    /// Files of the measured processes.
    folder: tempfile::TempDir,
}

/// One row.
pub(crate) struct Contestant {
    /// Who, and how it is set up.
    name: String,
    /// Whose processor time and memory is counted.
    process: Process,
    /// What it needs beside it.
    others: Vec<Process>,
    /// Whether the processor time of those is counted too.
    counts_others: bool,
    work: Work,
}

pub(crate) enum Work {
    /// We make requests.
    Serve(Load),
    /// It makes its own work.
    Drive { places: usize },
}

/// A group before it is measured.
pub(crate) struct Group {
    title: &'static str,
    contestants: Vec<Contestant>,
    goals: Vec<Goal>,
}

/// Measures everything that `options` ask for.
///
/// # Errors
/// There is no chain to measure on. Rows that fail stand in their group's report.
pub async fn run(
    options: Options,
    mut done: impl FnMut(&GroupReport),
) -> Result<Vec<GroupReport>, Failed> {
    let mut reports = Vec::new();
    for name in GROUPS {
        if !options.asked_for(name) {
            continue;
        }
        // A chain of its own: anvil slows down with what it has to remember.
        let mut world = World::start(&options).await?;
        let report = match start(name, &mut world).await {
            Ok(group) => measure(name, group, &world.options).await,
            Err(error) => GroupReport::new(name, name, Vec::new(), &[], vec![error.to_string()]),
        };
        done(&report);
        reports.push(report);
    }
    Ok(reports)
}

async fn start(name: &str, world: &mut World) -> Result<Group, Failed> {
    match name {
        "unpaid" => shops::unpaid(world).await,
        "paid" => shops::paid(world).await,
        "l402" => tolls::l402(world).await,
        "tokens" => desks::tokens(world).await,
        "policies" => shops::policies(world).await,
        "background" => shops::background(world).await,
        "verify" => facilitators::verify(world).await,
        "settle" => facilitators::settle(world).await,
        "permits" => own::permits(world).await,
        "client" => own::client(world),
        "credit" => credit::guarantees(world).await,
        "credit-paid" => on_credit::paid(world).await,
        "certificates" => credit::certificates(world),
        "follower" => credit::follower(world).await,
        _ => own::claim(world),
    }
}

impl Options {
    fn asked_for(&self, group: &str) -> bool {
        self.groups.is_empty() || self.groups.iter().any(|name| name == group)
    }
}

impl World {
    async fn start(options: &Options) -> Result<Self, Failed> {
        let chain = match &options.anvil {
            Some(anvil) => Chain::anvil(anvil, &options.artifacts).await?,
            None => Chain::dev().await?,
        };
        let payers = Payers::fund(&chain, 64).await?;
        let batch_settler = chain.batch_settler(&options.artifacts).await?;
        Ok(Self {
            options: options.clone(),
            chain,
            dev: None,
            story: None,
            ground: None,
            payers,
            batch_settler,
            folder: tempfile::tempdir()?,
        })
    }

    /// Whether a contestant is asked for.
    fn wants(&self, name: &str) -> bool {
        let only = &self.options.only;
        only.is_empty() || only.iter().any(|part| name.contains(part.as_str()))
    }

    /// How many payments one row needs for all its rounds and the warm-up.
    fn payments(&self) -> usize {
        let rounds = self.options.rounds.saturating_add(1);
        self.options.payments.saturating_mul(rounds)
    }

    /// A new file for a measured process.
    fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }
}

/// A row that fails is left out from then on, so that a peer's bad day does not cost the whole run.
async fn measure(name: &str, group: Group, options: &Options) -> GroupReport {
    let warm_up = options.round.min(WARM_UP);
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    for mut contestant in group.contestants {
        match contestant.measure(warm_up).await {
            Ok(_) => rows.push((contestant, Vec::new())),
            Err(error) => failures.push(error.to_string()),
        }
    }
    for _ in 0..options.rounds {
        let mut left = Vec::new();
        for (mut contestant, mut rounds) in rows {
            let before = contestant.cpu_micros();
            match contestant.measure(options.round).await {
                Ok(measured) => {
                    let cpu = contestant.cpu_micros().saturating_sub(before);
                    rounds.push(Round { measured, cpu });
                    left.push((contestant, rounds));
                }
                Err(error) => failures.push(error.to_string()),
            }
        }
        rows = left;
    }
    let lines = rows
        .iter()
        .map(|(contestant, rounds)| contestant.line(rounds))
        .collect();
    GroupReport::new(name, group.title, lines, &group.goals, failures)
}

/// How long every row runs before it is measured.
const WARM_UP: Duration = Duration::from_millis(700);

struct Round {
    measured: Measured,
    /// Microseconds.
    cpu: u64,
}

impl Contestant {
    fn cpu_micros(&self) -> u64 {
        let others = self.others.iter().filter(|_| self.counts_others);
        let others = others.map(Process::cpu_micros).sum::<u64>();
        self.process.cpu_micros().saturating_add(others)
    }

    async fn measure(&mut self, duration: Duration) -> Result<Measured, Failed> {
        let measured = match &mut self.work {
            Work::Serve(load) => {
                load.duration = duration;
                http::run(load).await
            }
            Work::Drive { places } => drive::measure(&mut self.process, duration, *places),
        };
        let measured = measured.map_err(|error| format!("{}: {error}", self.name))?;
        if measured.answers == 0 {
            return Err(format!("{}: no answers; are its payments used up?", self.name).into());
        }
        Ok(measured)
    }

    fn line(&self, rounds: &[Round]) -> Line {
        let median = |value: &dyn Fn(&Round) -> u64| {
            let mut values: Vec<u64> = rounds.iter().map(value).collect();
            values.sort_unstable();
            let middle = values.len() >> 1;
            values.get(middle).copied().unwrap_or(0)
        };
        Line {
            name: self.name.clone(),
            per_ten_seconds: median(&|round| round.measured.per_ten_seconds()),
            p50_us: median(&|round| round.measured.percentile_us(50)),
            p99_us: median(&|round| round.measured.percentile_us(99)),
            cpu_ns: median(&|round| {
                let nanos = round.cpu.saturating_mul(1_000);
                nanos.checked_div(round.measured.answers).unwrap_or(0)
            }),
            peak_kilobytes: self.process.peak_kilobytes(),
            rounds: rounds.len(),
        }
    }
}

impl Group {
    fn new(title: &'static str) -> Self {
        Self {
            title,
            contestants: Vec::new(),
            goals: Vec::new(),
        }
    }
}

/// A row whose server we send requests to.
fn served(
    world: &World,
    name: &str,
    server: servers::Server,
    requests: Requests,
    expected: Expected,
) -> Contestant {
    let requests_max = match &requests {
        Requests::Same(_) | Requests::Around(_) => usize::MAX,
        Requests::Once(queue) => {
            let runs = world.options.rounds.saturating_add(1);
            queue.len().checked_div(runs).unwrap_or(0)
        }
        Requests::Lanes(queues) => {
            // One more, because some lanes are faster than others.
            let runs = world.options.rounds.saturating_add(2);
            let count = queues.iter().map(|queue| queue.len()).sum::<usize>();
            count.checked_div(runs).unwrap_or(0)
        }
    };
    Contestant {
        name: name.to_owned(),
        process: server.process,
        others: server.others,
        counts_others: false,
        work: Work::Serve(Load {
            addr: server.addr,
            requests,
            expected,
            connections: 32,
            duration: Duration::ZERO,
            requests_max,
        }),
    }
}

impl Contestant {
    fn connections(mut self, connections: usize) -> Self {
        if let Work::Serve(load) = &mut self.work {
            load.connections = connections;
        }
        self
    }

    /// Counts the processor time of everything it needs.
    fn counting_all(mut self) -> Self {
        self.counts_others = true;
        self
    }
}
