//! Two hundred seeds, and the proofs that a seed decides everything.

#![allow(clippy::unwrap_used, missing_docs, reason = "these are tests")]

use faregate_sim::{Bug, Tally, run, run_with};

/// How many seeds run here; any number by hand: see `docs/src/simulator.md`.
const SEEDS: u64 = 200;

#[test]
fn no_seed_finds_anything_wrong() {
    let mut sum = Tally::default();
    let mut failed = Vec::new();
    for seed in 0..SEEDS {
        let report = run(seed, false);
        sum = sum.plus(report.tally);
        if !report.problems.is_empty() {
            failed.push(format!("seed {seed}: {:#?}", report.problems));
        }
    }
    assert!(
        failed.is_empty(),
        "{}\nagain: cargo run -p faregate-sim -- --seed N --trace",
        failed.join("\n")
    );
    // A world in which nothing happens would be quiet, too.
    assert!(sum.signed > 5 * SEEDS && sum.moved > 4 * SEEDS, "{sum:?}");
    assert!(sum.runs > sum.moved, "{sum:?}");
    // Every charged payment was asked about again and answered, but for those that a facilitator forgot.
    assert!(sum.answered + sum.stuck >= sum.moved, "{sum:?}");
    assert!(10 * sum.stuck < sum.moved, "{sum:?}");
    // Credit was given, and most of it was paid; chains took settlements back; payments left together.
    assert!(sum.lent > SEEDS && 4 * sum.owed < sum.lent, "{sum:?}");
    assert!(
        40 * sum.reopened > SEEDS && 4 * sum.shared > SEEDS,
        "{sum:?}"
    );
}

#[test]
fn a_seed_gives_the_same_history_every_time() {
    for seed in 0..20 {
        let (first, second) = (run(seed, false), run(seed, true));
        assert_eq!(
            (first.hash, first.events),
            (second.hash, second.events),
            "seed {seed}"
        );
        assert_eq!(first.tally, second.tally);
    }
    assert_ne!(run(0, false).hash, run(1, false).hash);
}

mod the_ledger_of_the_simulator_is_a_ledger {
    faregate_ledger::ledger_store_suite!((faregate_sim::ledger::MemoryLedger::default(), ()));
}

/// How many seeds a planted bug may survive.
const SEEDS_PER_BUG: u64 = 100;

#[test]
fn every_planted_bug_is_found() {
    let mut found = Vec::new();
    for bug in Bug::ALL {
        let caught = (0..SEEDS_PER_BUG)
            .map(|seed| run_with(seed, false, Some(bug)))
            .find(|report| !report.problems.is_empty());
        match caught {
            Some(report) => println!("{bug:?}: seed {}: {}", report.seed, report.problems[0]),
            None => found.push(bug),
        }
    }
    assert!(
        found.is_empty(),
        "not found in {SEEDS_PER_BUG} seeds: {found:?}"
    );
}
