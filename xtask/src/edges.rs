//! The rows of ARCHITECTURE.md as a test: a crate depends on lower rows only, and row mates do not know each other.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

/// Every crate of ours and its row. Tests (`dev-dependencies`) may look anywhere.
const ROWS: &[(&str, u8)] = &[
    ("faregate-types", 0),
    ("faregate-ledger", 1),
    ("faregate-core", 2),
    ("faregate-devnet", 3),
    ("faregate-evm", 3),
    ("faregate-remote", 3),
    ("faregate-store", 3),
    ("faregate-tower", 3),
    ("faregate-client", 4),
    ("faregate-server", 4),
    ("faregate", 5),
    ("faregate-benches", 6),
    ("faregate-conformance", 6),
    ("faregate-sim", 6),
    ("xtask", 6),
];

/// Crates that do IO, which the pure rows (0 to 2) may not use.
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
                        "{name} (row {row}) may not depend on {dependency} (row {lower})"
                    ));
                }
                Some(_) => {}
                None if *row <= 2 && IO_CRATES.contains(&dependency) => {
                    problems.push(format!(
                        "{name} is pure (row {row}) and may not depend on {dependency}"
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
