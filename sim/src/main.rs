//! Runs seeds: `faregate-sim --seeds 10000 [--from N]`, or one of them, `--seed N --trace`.

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for a terminal"
)]

use std::process::ExitCode;

use faregate_sim::Bug;

const USAGE: &str =
    "usage: faregate-sim [--seeds COUNT] [--from FIRST] | --seed N [--trace]; [--bug NAME]";

/// What was asked for.
struct Asked {
    from: u64,
    seeds: u64,
    trace: bool,
    bug: Option<Bug>,
}

fn asked(mut words: impl Iterator<Item = String>) -> Option<Asked> {
    let mut asked = Asked {
        from: 0,
        seeds: 200,
        trace: false,
        bug: None,
    };
    while let Some(word) = words.next() {
        let mut number = || words.next()?.parse().ok();
        match word.as_str() {
            "--seeds" => asked.seeds = number()?,
            "--from" => asked.from = number()?,
            "--seed" => (asked.from, asked.seeds) = (number()?, 1),
            "--trace" => asked.trace = true,
            "--bug" => asked.bug = Some(Bug::named(&words.next()?)?),
            _ => return None,
        }
    }
    Some(asked)
}

fn main() -> ExitCode {
    let Some(asked) = asked(std::env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    let (mut failed, mut events) = (0_u64, 0_u64);
    let mut sum = faregate_sim::Tally::default();
    for seed in asked.from..asked.from.saturating_add(asked.seeds) {
        let report = faregate_sim::run_with(seed, asked.trace, asked.bug);
        for line in &report.lines {
            println!("{line}");
        }
        events += report.events;
        sum = sum.plus(report.tally);
        if !report.problems.is_empty() {
            failed += 1;
            println!("seed {seed} fails; again: faregate-sim --seed {seed} --trace");
            for problem in &report.problems {
                println!("    {problem}");
            }
        }
        if asked.seeds == 1 {
            println!(
                "seed {seed}: {} events, history {:016x}",
                report.events, report.hash
            );
        }
    }
    println!(
        "{} seeds, {failed} failed; {events} events, {sum:?}",
        asked.seeds
    );
    if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
