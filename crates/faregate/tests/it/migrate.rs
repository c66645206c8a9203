//! `faregate migrate`, on both engines, and a gate whose ledger is a database.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

fn command(arguments: &[&str], file: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faregate"));
    command
        .args(arguments)
        .arg("--config")
        .arg(file)
        .arg("--json")
        .env_clear()
        .env("BOOKS_PASSWORD", "hunter2")
        .env("KEY", "1".repeat(64))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// How it ended, what it said, and that no password is in it.
async fn run(arguments: &[&str], file: &Path) -> (i32, Value) {
    let run = command(arguments, file).output();
    let output = tokio::time::timeout(Duration::from_secs(90), run)
        .await
        .unwrap()
        .unwrap();
    let said = String::from_utf8([output.stdout.clone(), output.stderr].concat()).unwrap();
    assert!(!said.contains("hunter2"), "{said}");
    let json = serde_json::from_slice(&output.stdout);
    (
        output.status.code().unwrap(),
        json.unwrap_or_else(|_| panic!("{said}")),
    )
}

fn file(folder: &Path, store: &str) -> PathBuf {
    let path = folder.join("gate.toml");
    let text = format!(
        "[gate]\nbind = \"127.0.0.1:0\"\npublic_url = \"http://localhost\"\nupstream = \"http://127.0.0.1:1\"\n\
         store = '{store}'\n[[route]]\nmatch = \"GET /free\"\nprice = \"free\"\n"
    );
    std::fs::write(&path, text).unwrap();
    path
}

/// A file for a credit core with its books there.
fn credit_file(folder: &Path, store: &str) -> PathBuf {
    let path = folder.join("credit.toml");
    let text = format!(
        "[credit]\nnetwork = \"base-sepolia\"\nrpc_url = \"http://127.0.0.1:1\"\nstore = '{store}'\n\
         contract = \"0x5FbDB2315678afecb367f032d93F642f64180aa3\"\npublic_url = \"http://localhost:3000\"\n\
         signer_key = \"env:KEY\"\ncertificate_key = \"env:KEY\"\ntoken_key = \"env:KEY\"\n"
    );
    std::fs::write(&path, text).unwrap();
    path
}

/// From nothing to the newest version: what is looked at is not changed, and what is up to date stays.
async fn is_brought_up_to_date(file: &Path, of: &str) {
    for _ in 0..2 {
        let (code, said) = run(&["migrate", "--check"], file).await;
        assert_eq!((code, said["error"].is_object()), (1, true), "{said}");
    }
    for found in [0, 2] {
        let (code, said) = run(&["migrate"], file).await;
        let store = &said["stores"][0];
        assert_eq!((code, store["of"].as_str()), (0, Some(of)), "{said}");
        let newest = store["newest"].as_i64().unwrap();
        let expected = if found == 0 { 0 } else { newest };
        assert_eq!(store["found"].as_i64(), Some(expected), "{said}");
    }
    let (code, said) = run(&["migrate", "--check"], file).await;
    assert_eq!((code, said["current"].as_bool()), (0, Some(true)), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_brought_up_to_date_and_only_looked_at_with_check() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("books.db");
    let file = file(folder.path(), &store.display().to_string());
    let (code, _) = run(&["migrate", "--check"], &file).await;
    assert_eq!((code, store.exists()), (1, false));
    is_brought_up_to_date(&file, "gate").await;
    std::fs::write(&store, "something else").unwrap();
    for arguments in [&["migrate"][..], &["migrate", "--check"]] {
        let (code, said) = run(arguments, &file).await;
        assert_eq!(
            (code, &said["error"]["code"]),
            (1, &"store_unavailable".into())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_books_of_a_credit_core_are_brought_up_to_date_too() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().join("credit.db");
    let file = credit_file(folder.path(), &store.display().to_string());
    is_brought_up_to_date(&file, "credit").await;
    let away = credit_file(
        folder.path(),
        "postgres://core:${BOOKS_PASSWORD}@127.0.0.1:1/books",
    );
    let (code, said) = run(&["migrate", "--check"], &away).await;
    assert_eq!(
        (code, &said["error"]["code"]),
        (1, &"store_unavailable".into())
    );
    let none = credit_file(
        folder.path(),
        "postgres://core:${BOOKS_PASSWORD}@127.0.0.1:1",
    );
    let (code, _) = run(&["config", "check"], &none).await;
    assert_eq!(code, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_is_none_and_a_database_that_is_away_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let table = [
        ("postgres://gate:${BOOKS_PASSWORD}@127.0.0.1:1/books", 0, 1),
        (
            "postgres://gate:${BOOKS_PASSWORD}@127.0.0.1:1/books?sslmode=prefer",
            2,
            2,
        ),
        ("postgres://gate:${BOOKS_PASSWORD}@127.0.0.1:1", 2, 2),
        ("mysql://gate:hunter@127.0.0.1:1/books", 2, 2),
    ];
    for (store, check, migrate) in table {
        let file = file(folder.path(), store);
        let (code, said) = run(&["config", "check"], &file).await;
        assert_eq!(code, check, "{store}: {said}");
        let (code, said) = run(&["migrate"], &file).await;
        assert_eq!(code, migrate, "{store}: {said}");
    }
}

/// The address of a schema of its own, if there is a database.
#[allow(clippy::print_stderr, reason = "a skipped test says so")]
fn database(schema: &str) -> Option<String> {
    let Some(address) = std::env::var("FAREGATE_TEST_POSTGRES")
        .ok()
        .filter(|text| !text.is_empty())
    else {
        eprintln!("skipped: needs PostgreSQL (FAREGATE_TEST_POSTGRES names none)");
        return None;
    };
    let first = if address.contains('?') { '&' } else { '?' };
    Some(format!(
        "{address}{first}options=-c%20search_path%3D{schema}"
    ))
}

/// A gate that runs, once it says so.
async fn gate(file: &Path) -> Child {
    let mut child = command(&["gate"], file)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = tokio::time::timeout(Duration::from_secs(90), lines.next_line()).await;
    let said: Value = serde_json::from_str(&first.unwrap().unwrap().unwrap()).unwrap();
    assert!(said["gate"].is_string(), "{said}");
    child
}

/// The schema comes with `conformance/run postgres`, or is made by hand: `CREATE SCHEMA faregate_command`.
#[tokio::test(flavor = "multi_thread")]
async fn a_database_is_brought_up_to_date_and_has_one_gate() {
    let Some(store) = database("faregate_command") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path(), &store);
    is_brought_up_to_date(&file, "gate").await;
    let first = gate(&file).await;
    let (code, said) = run(&["gate"], &file).await;
    assert_eq!(code, 2, "{said}");
    let message = said["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("another process uses this ledger"),
        "{message}"
    );
    // Killed, it is not seen any more: the next one waits a little and takes over.
    drop(first);
    drop(gate(&file).await);
}
