//! The rows of ARCHITECTURE.md as a test: a crate depends on lower rows only, and row mates do not know each other.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// Every crate of ours and its row, in tenths: there is a half row. Tests (`dev-dependencies`) may look anywhere.
const ROWS: &[(&str, u8)] = &[
    ("faregate-types", 0),
    ("faregate-ledger", 10),
    ("faregate-core", 20),
    ("faregate-http", 25),
    ("faregate-devnet", 30),
    ("faregate-evm", 30),
    ("faregate-lightning", 30),
    ("faregate-redis", 30),
    ("faregate-remote", 30),
    ("faregate-store", 30),
    ("faregate-tower", 30),
    ("faregate-client", 40),
    ("faregate-server", 40),
    ("faregate", 50),
    ("faregate-benches", 60),
    ("faregate-conformance", 60),
    ("faregate-sim", 60),
    ("xtask", 60),
];

/// The last of the pure rows, which do no IO.
const PURE: u8 = 20;

/// Crates that do IO, which the pure rows may not use.
const IO_CRATES: &[&str] = &[
    "alloy-provider",
    "axum",
    "getrandom",
    "hyper",
    "hyper-util",
    "reqwest",
    "rusqlite",
    "tokio",
];

/// Checks every edge.
///
/// # Errors
/// One line per forbidden edge, or why the check could not run.
pub(crate) fn check() -> Result<String, String> {
    let rows: BTreeMap<&str, u8> = ROWS.iter().copied().collect();
    let metadata = metadata()?;
    let packages = metadata["packages"]
        .as_array()
        .ok_or("no packages in cargo metadata")?;
    let mut problems = Vec::new();
    let mut edges = 0_usize;
    for package in packages {
        let name = package["name"].as_str().unwrap_or_default();
        let Some(row) = rows.get(name) else {
            problems.push(format!(
                "{name} has no row: add it to xtask/src/edges.rs and ARCHITECTURE.md"
            ));
            continue;
        };
        for dependency in normal_dependencies(package) {
            edges += 1;
            match rows.get(dependency) {
                Some(lower) if lower >= row => {
                    problems.push(format!(
                        "{name} (row {}) may not depend on {dependency} (row {})",
                        number(*row),
                        number(*lower)
                    ));
                }
                Some(_) => {}
                None if *row <= PURE && IO_CRATES.contains(&dependency) => {
                    problems.push(format!(
                        "{name} is pure (row {}) and may not depend on {dependency}",
                        number(*row)
                    ));
                }
                None => {}
            }
        }
    }
    if problems.is_empty() {
        Ok(format!(
            "edges ok: {} crates, {edges} edges",
            packages.len()
        ))
    } else {
        Err(problems.join("\n"))
    }
}

/// A row as people read it.
fn number(tenths: u8) -> String {
    let (row, half) = (tenths.div_euclid(10), tenths.rem_euclid(10));
    if half == 0 {
        row.to_string()
    } else {
        format!("{row}.{half}")
    }
}

fn normal_dependencies(package: &Value) -> impl Iterator<Item = &str> {
    package["dependencies"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|dependency| dependency["kind"].is_null())
        .filter_map(|dependency| dependency["name"].as_str())
}

fn metadata() -> Result<Value, String> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--locked"])
        .output()
        .map_err(|error| format!("cargo metadata did not start: {error}"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| format!("cargo metadata is not JSON: {error}"))
}
