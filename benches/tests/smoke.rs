//! The load program runs: every row of ours, on the dev chain, for a moment.

use std::process::Command;

use serde_json::Value;

#[test]
fn every_row_of_ours_is_measured() {
    let output = Command::new(env!("CARGO_BIN_EXE_load"))
        .args(["--smoke", "--json"])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    let groups: Value = serde_json::from_str(&text).unwrap();
    let groups = groups.as_array().unwrap();
    assert_eq!(groups.len(), faregate_benches::rows::GROUPS.len());
    for group in groups {
        let lines = group["lines"].as_array().unwrap();
        assert!(!lines.is_empty(), "{group}");
        for line in lines {
            assert!(line["per_ten_seconds"].as_u64().unwrap() > 0, "{line}");
            assert!(line["p99_us"].as_u64() >= line["p50_us"].as_u64(), "{line}");
            assert!(line["peak_kilobytes"].as_u64().unwrap() > 0, "{line}");
        }
    }
}

#[test]
fn an_unknown_group_is_an_error() {
    let output = Command::new(env!("CARGO_BIN_EXE_load"))
        .arg("nothing")
        .output()
        .unwrap();
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("unpaid, paid"));
}
