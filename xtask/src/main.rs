//! Checks that keep the workspace honest. `cargo xtask edges` is the one every change must pass.
//!
//! Usage: `cargo xtask edges` (crate rows), `cargo xtask sizes` (file lengths), `cargo xtask codes [--check]` (docs).

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a command line tool speaks on its standard streams"
)]

mod codes;
mod edges;
mod fuzz_seeds;
mod page;
mod permits;
mod problems;
mod promises;
mod sizes;

use std::process::ExitCode;

/// One after the other, and what both say.
fn both(
    first: impl FnOnce() -> Result<String, String>,
    second: impl FnOnce() -> Result<String, String>,
) -> Result<String, String> {
    let said = first()?;
    Ok(format!("{said}\n{}", second()?))
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["edges"] => edges::check(),
        ["sizes"] => sizes::check(),
        ["codes"] => codes::write(),
        ["codes", "--check"] => codes::check(),
        ["problems"] => both(problems::write, || {
            both(promises::write, permits::write)
        }),
        ["problems", "--check"] => both(problems::check, || {
            both(promises::check, permits::check)
        }),
        ["fuzz-seeds", folder] => fuzz_seeds::write(folder),
        _ => Err("usage: cargo xtask edges | sizes | codes [--check] | problems [--check] | fuzz-seeds FOLDER".into()),
    };
    match result {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(problem) => {
            eprintln!("{problem}");
            ExitCode::FAILURE
        }
    }
}
