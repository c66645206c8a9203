//! The program as it is typed: what it prints, and how it ends.

use std::path::Path;
use std::process::Output;

use crate::support::{offer, payer_key, stack};
use serde_json::Value;
use tokio::process::Command;

/// Runs the program with a clean environment, a key and books of its own.
async fn faregate(folder: &Path, arguments: &[&str]) -> Output {
    let run = Command::new(env!("CARGO_BIN_EXE_faregate"))
        .args(arguments)
        .env_clear()
        .env("FAREGATE_HOME", folder)
        .env("FAREGATE_PRIVATE_KEY", payer_key())
        .kill_on_drop(true)
        .output();
    tokio::time::timeout(std::time::Duration::from_secs(60), run)
        .await
        .unwrap()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn code(output: &Output) -> i32 {
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    assert!(!said.contains(&payer_key()[2..]), "a key was printed");
    output.status.code().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn demo_buys_and_shows_the_transaction() {
    let folder = tempfile::tempdir().unwrap();
    let output = faregate(folder.path(), &["demo"]).await;
    assert_eq!(code(&output), 0, "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(said.contains("4 of 4 rails paid and served"), "{said}");
    let errors = text(&output.stderr);
    assert!(!errors.contains("gas"), "{errors}");
    let json = faregate(folder.path(), &["demo", "--json"]).await;
    let report: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(
        report["receipts"][0]["transaction"]
            .as_str()
            .unwrap()
            .starts_with("0x")
    );
    let with_permit = &report["receipts"][1];
    assert_eq!(
        (&with_permit["rail"], &with_permit["price"]),
        (&"permit".into(), &"0.001 USDC".into())
    );
    assert!(
        with_permit["transaction"]
            .as_str()
            .unwrap()
            .starts_with("0x")
    );
    let over_lightning = &report["receipts"][2];
    assert_eq!(
        (&over_lightning["rail"], &over_lightning["price"]),
        (&"l402".into(), &"10 sat".into())
    );
    let on_credit = &report["receipts"][3];
    assert_eq!(
        (&on_credit["rail"], &on_credit["price"]),
        (&"credit".into(), &"0.001 USDC".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_pays_within_caps_and_says_how_it_ended() {
    let (stack, folder) = (stack().await, tempfile::tempdir().unwrap());
    let (joke, free) = (
        format!("{}/joke", stack.gate_url()),
        format!("{}/free", stack.gate_url()),
    );
    let table: &[(&[&str], i32)] = &[
        (&["curl", &free], 0),
        (&["curl", "--dry-run", &joke], 0),
        (&["curl", &joke, "--max-amount", "0.0009"], 3),
        (&["curl", &joke, "--max-amount", "nonsense"], 2),
        (&["curl", "http://127.0.0.1:1/"], 7),
        (&["curl", "not a url"], 2),
        (
            &["curl", "--fail", &format!("{}/nowhere", stack.gate_url())],
            7,
        ),
    ];
    for (arguments, exit) in table {
        let output = faregate(folder.path(), arguments).await;
        assert_eq!(
            code(&output),
            *exit,
            "{arguments:?}: {}",
            text(&output.stderr)
        );
    }
    assert_eq!(stack.jokes_told(), 0);

    let paid = faregate(
        folder.path(),
        &["curl", "--json", &joke, "--max-per-host", "0.0015"],
    )
    .await;
    assert_eq!(code(&paid), 0, "{}", text(&paid.stderr));
    let report: Value = serde_json::from_slice(&paid.stdout).unwrap();
    assert_eq!(
        (&report["status"], &report["payment"]["amount"]),
        (&200.into(), &"1000".into())
    );
    assert!(
        report["payment"]["transaction"]
            .as_str()
            .unwrap()
            .starts_with("0x")
    );

    // another process, the same books
    let over = faregate(folder.path(), &["curl", &joke, "--max-per-host", "0.0015"]).await;
    assert_eq!(code(&over), 3, "{}", text(&over.stderr));
    assert_eq!(stack.jokes_told(), 1);

    let shown = faregate(folder.path(), &["wallet", "show"]).await;
    assert!(
        text(&shown.stdout).contains("0.001 USDC"),
        "{}",
        text(&shown.stdout)
    );
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_free_needs_no_key() {
    let (stack, folder) = (stack().await, tempfile::tempdir().unwrap());
    for (arguments, path, exit) in [
        (&["curl"][..], "/free", 0),
        (&["curl", "--dry-run"], "/joke", 0),
        (&["curl"], "/joke", 2),
    ] {
        let url = format!("{}{path}", stack.gate_url());
        let output = Command::new(env!("CARGO_BIN_EXE_faregate"))
            .args(arguments)
            .arg(url)
            .env_clear()
            .env("FAREGATE_HOME", folder.path())
            .output()
            .await
            .unwrap();
        assert_eq!(
            output.status.code(),
            Some(exit),
            "{path}: {}",
            text(&output.stderr)
        );
    }
    assert_eq!(stack.jokes_told(), 0);
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn decode_explains_what_the_gate_says() {
    let (stack, folder) = (stack().await, tempfile::tempdir().unwrap());
    let header = faregate_types::x402::header::encode(&offer(&stack, "/joke").await);
    let output = faregate(folder.path(), &["decode", &header]).await;
    assert_eq!(code(&output), 0);
    let said = text(&output.stdout);
    for part in [
        "x402 v2 payment required",
        "0.001 USDC",
        "Base Sepolia",
        "0xa0Ee7A14",
    ] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    for bad in ["%%%", "e30=", "[1,2]", ""] {
        assert_eq!(
            code(&faregate(folder.path(), &["decode", bad]).await),
            2,
            "{bad}"
        );
    }
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn config_check_names_every_mistake() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("faregate.toml");
    std::fs::write(&path, "[gate]\npublic_url = \"nonsense\"\n\n[[route]]\nmatch = \"GET /joke\"\nprice = \"\"\nprise = \"$1\"\n").unwrap();
    let shown = path.to_str().unwrap();
    let output = faregate(folder.path(), &["config", "check", "-c", shown]).await;
    assert_eq!(code(&output), 2);
    let said = text(&output.stderr);
    for part in ["public_url", "prise", "price"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    for command in ["gate", "facilitator"] {
        assert_eq!(
            code(&faregate(folder.path(), &[command, "-c", shown]).await),
            2,
            "{command}"
        );
    }
    let missing = faregate(
        folder.path(),
        &["config", "check", "-c", "/nowhere/faregate.toml"],
    )
    .await;
    assert_eq!(code(&missing), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wallet_is_made_once_and_pays() {
    let (folder, file) = (tempfile::tempdir().unwrap(), "key.json");
    let path = folder.path().join(file);
    let run = |arguments: &'static [&'static str], password: &'static str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_faregate"));
        command
            .args(arguments)
            .env_clear()
            .env("FAREGATE_HOME", folder.path())
            .env("FAREGATE_KEYSTORE", &path);
        command.env("FAREGATE_KEYSTORE_PASSWORD", password);
        async move { command.output().await.unwrap() }
    };
    let made = run(&["--json", "wallet", "new"], "correct horse").await;
    assert_eq!(made.status.code(), Some(0), "{}", text(&made.stderr));
    let address = serde_json::from_slice::<Value>(&made.stdout).unwrap()["address"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        run(&["wallet", "new"], "correct horse").await.status.code(),
        Some(2),
        "never overwritten"
    );
    let shown = run(&["wallet", "show"], "correct horse").await;
    assert!(text(&shown.stdout).contains(&address));
    let wrong = run(&["wallet", "show"], "wrong horse").await;
    assert_eq!(wrong.status.code(), Some(2));
    assert!(!text(&wrong.stderr).contains("wrong horse"));
}
