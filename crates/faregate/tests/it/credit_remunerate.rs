//! `faregate credit-remunerate`, and the schedule of a gate: what is owed is redeemed in time, once, by one of them.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use faregate_devnet::Devchain;
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::held;

/// Pays for gas here.
const GAS: usize = 7;

fn command(words: &[&str], file: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faregate"));
    command
        .args(words)
        .args(["--json", "-c"])
        .arg(file)
        .env_clear()
        .env("GAS_KEY", Devchain::accounts()[GAS].private_key)
        .env("OTHER_KEY", Devchain::accounts()[8].private_key)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

async fn run(words: &[&str], file: &Path) -> Output {
    command(words, file).output().await.unwrap()
}

async fn said(words: &[&str], file: &Path) -> Value {
    let output = run(words, file).await;
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What is done about each tab, in the order of their numbers.
fn doing(said: &Value) -> Vec<(String, String)> {
    let tabs = said["networks"][0]["tabs"].as_array().unwrap();
    let text = |tab: &Value, key: &str| tab[key].as_str().unwrap().to_owned();
    let mut doing: Vec<_> = tabs
        .iter()
        .map(|tab| (text(tab, "tab"), text(tab, "doing")))
        .collect();
    doing.sort();
    doing
}

fn all(doings: [&str; 3]) -> Vec<(String, String)> {
    let tabs = ["0x1", "0x2", "0x3"].into_iter();
    tabs.zip(doings)
        .map(|(tab, doing)| (tab.to_owned(), doing.to_owned()))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_gate_is_owed_is_shown_and_redeemed_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let chain = held::chain(1_000).await;
    let file = held::file(folder.path(), &chain, "gate.toml");
    for (tab, amount) in [(1, 30), (2, 40), (3, 50)] {
        held::hold(folder.path(), &chain, tab, amount).await;
    }
    held::pay(&chain, 2, 40).await;
    held::pay(&chain, 3, 15).await;
    let look = said(&["credit-remunerate", "--dry-run"], &file).await;
    assert_eq!(doing(&look), all(["not_due", "covered", "not_due"]));
    assert_eq!(look["sums"][0]["owed"], "120", "nothing is noted: {look}");
    held::pass(&chain, held::GRACE).await;
    let look = said(&["credit-remunerate", "--dry-run"], &file).await;
    assert_eq!(doing(&look), all(["ready", "covered", "ready"]));
    assert_eq!(
        (held::sent_by(&chain, GAS).await, held::till(&chain).await),
        (0, 0)
    );
    let done = said(&["credit-remunerate"], &file).await;
    assert_eq!(doing(&done), all(["redeemed", "covered", "redeemed"]));
    assert_eq!(held::till(&chain).await, 65);
    let again = said(&["credit-remunerate"], &file).await;
    assert_eq!(doing(&again), vec![]);
    let sums = &again["sums"][0];
    let sum = |key: &str| sums[key].as_str().unwrap().to_owned();
    let parts = ["promised", "redeemed", "paid", "lost", "owed"].map(sum);
    assert_eq!(parts, ["120", "65", "55", "0", "0"]);
    assert_eq!(held::sent_by(&chain, GAS).await, 2);
    held::hold(folder.path(), &chain, 4, 70).await;
    held::pass(&chain, held::EXPIRATION + 1).await;
    let late = said(&["credit-remunerate"], &file).await;
    assert_eq!(doing(&late), [("0x4".to_owned(), "lost".to_owned())]);
    assert_eq!(
        (late["sums"][0]["lost"].as_str(), held::till(&chain).await),
        (Some("70"), 65)
    );
    assert_eq!(held::sent_by(&chain, GAS).await, 2, "never after");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gate_redeems_by_itself_and_nobody_beside_it() {
    let folder = tempfile::tempdir().unwrap();
    let chain = held::chain(1_000).await;
    let file = held::file(folder.path(), &chain, "gate.toml");
    held::hold(folder.path(), &chain, 1, 30).await;
    held::pass(&chain, held::GRACE).await;
    let mut gate = command(&["gate"], &file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(gate.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(Duration::from_secs(60), lines.next_line());
    line.await.unwrap().unwrap().unwrap();
    for _ in 0..600 {
        if held::till(&chain).await == 30 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(held::till(&chain).await, 30);
    let beside = run(&["credit-remunerate"], &file).await;
    assert_eq!(beside.status.code(), Some(1), "{beside:?}");
    let look = said(&["credit-remunerate", "--dry-run"], &file).await;
    assert_eq!(look["problems"].as_array().unwrap().len(), 0, "{look}");
    gate.kill().await.unwrap();
    let after = said(&["credit-remunerate"], &file).await;
    assert_eq!(after["sums"][0]["redeemed"], "30");
    assert_eq!(
        (held::sent_by(&chain, GAS).await, held::till(&chain).await),
        (1, 30)
    );
}
