//! Keys and access tokens on the command line: made, saved, looked at, revoked.

use std::path::Path;
use std::process::{Output, Stdio};

use faregate_types::Timestamp;
use faregate_types::permit::{Claims, TokenKey, token};
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

use crate::support::{http, stack};

const KEY: &str = "kept-to-itself-5f1c";

async fn run(folder: &Path, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_faregate"))
        .args(arguments)
        .current_dir(folder)
        .env_clear()
        .env("TOKEN_KEY", KEY)
        .env("OTHER_KEY", "another")
        .kill_on_drop(true)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Whoever wants no input has closed it.
    drop(stdin.write_all(input).await);
    drop(stdin);
    tokio::time::timeout(std::time::Duration::from_secs(60), child.wait_with_output())
        .await
        .unwrap()
        .unwrap()
}

fn code(output: &Output) -> i32 {
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(!said.contains(KEY), "the key was printed");
    assert!(!said.contains("panicked"), "{said}");
    output.status.code().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn claims(exp: u64) -> Claims {
    Claims {
        exp: Timestamp::from_secs(exp),
        iat: Some(Timestamp::from_secs(1_800_000_000)),
        aud: Some("https://api.example/".to_owned()),
        route: Some("/joke".to_owned()),
        payer: Some("0x70997970C51812dc3A010C7d01b50e0d17dc79C8".to_owned()),
        amount: Some("1000".to_owned()),
        asset: Some("eip155:84532/erc20:0x036CbD53842c5426634e7929541eC2318f3dCF7e".to_owned()),
        jti: Some(format!("0x{}", "5a".repeat(32))),
        ..Claims::default()
    }
}

fn signed(claims: &Claims) -> String {
    token::mint(&TokenKey::new(KEY.to_owned()).unwrap(), claims)
}

#[tokio::test]
async fn a_key_is_made_and_saved_without_being_shown() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let plain = run(
        here,
        &["key", "new", "--prefix", "sk_", "--length", "40"],
        b"",
    )
    .await;
    let key = stdout(&plain).trim();
    assert_eq!((code(&plain), key.len(), &key[..3]), (0, 43, "sk_"));
    let other = run(here, &["--json", "key", "new", "--hex"], b"").await;
    let hex: Value = serde_json::from_slice(&other.stdout).unwrap();
    let hex = hex["key"].as_str().unwrap();
    assert!(
        hex.len() == 64 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{hex}"
    );

    let save = &["key", "new", "--special", "--save", "TOKEN_KEY"];
    let saved = run(here, save, b"").await;
    assert_eq!(code(&saved), 0);
    assert!(saved.stdout.is_empty(), "what is saved is not shown");
    let file = std::fs::read_to_string(here.join(".env")).unwrap();
    let value = file
        .strip_prefix("TOKEN_KEY=")
        .unwrap()
        .trim()
        .trim_matches('\'');
    assert_eq!(value.len(), 32);
    let said = String::from_utf8(saved.stderr.clone()).unwrap();
    assert!(!said.contains(value), "{said}");

    // What is there is not lost by accident, and the new one is not printed either.
    let again = run(here, save, b"").await;
    assert_eq!(code(&again), 2);
    assert_eq!(std::fs::read_to_string(here.join(".env")).unwrap(), file);
    let replaced = run(here, &[&save[..], &["--replace", "--show"]].concat(), b"").await;
    let shown = stdout(&replaced).trim();
    let now = std::fs::read_to_string(here.join(".env")).unwrap();
    assert!(
        code(&replaced) == 0 && now != file && now.contains(shown),
        "{now}"
    );

    let brought = run(
        here,
        &["key", "save", "API", "--env-file", "mine.env"],
        b" mine \n",
    )
    .await;
    assert_eq!(code(&brought), 0);
    assert_eq!(
        std::fs::read_to_string(here.join("mine.env")).unwrap(),
        "API=mine\n"
    );
    for wrong in [
        &["key", "new", "--length", "8"][..],
        &["key", "new", "--prefix", "two words"],
        &["key", "new", "--hex", "--special"],
        &["key", "new", "--save", "no name"],
        &["key", "new", "--show"],
    ] {
        assert_eq!(code(&run(here, wrong, b"").await), 2, "{wrong:?}");
    }
    assert_eq!(
        code(&run(here, &["key", "save", "BAD"], b"\xff\xfe").await),
        1
    );
    assert_eq!(code(&run(here, &["key", "save", "EMPTY"], b"").await), 2);
}

#[tokio::test]
async fn a_token_says_who_paid_for_what_and_whether_a_key_signed_it() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let text = signed(&claims(4_000_000_000));
    std::fs::write(here.join("token.txt"), format!("{text}\n")).unwrap();
    let answer =
        json!({"access_token": text, "token_type": "Bearer", "expires_in": 5, "metadata": {}})
            .to_string();
    let line = format!("Authorization: Bearer {text}");
    for (argument, input) in [
        (text.as_str(), ""),
        ("@token.txt", ""),
        ("-", text.as_str()),
        ("-", answer.as_str()),
        (line.as_str(), ""),
    ] {
        let output = run(
            here,
            &["token", "inspect", argument, "--key", "env:TOKEN_KEY"],
            input.as_bytes(),
        )
        .await;
        assert_eq!(code(&output), 0, "{argument} {input}");
        for part in [
            "2096-10-02 07:06:40 UTC",
            "days left",
            "0.001 USDC (1000 atomic units) on eip155:84532",
            "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
            "opens        /joke",
            "signed       by this key",
        ] {
            assert!(
                stdout(&output).contains(part),
                "{part} is not in {}",
                stdout(&output)
            );
        }
    }
}

#[tokio::test]
async fn a_token_is_told_to_programs_and_shown_when_it_is_late_forged_or_hostile() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let text = signed(&claims(4_000_000_000));
    let json = run(here, &["--json", "token", "inspect", &text], b"").await;
    let said: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(
        (&said["expired"], &said["signed"]),
        (&json!(false), &Value::Null)
    );
    assert_eq!(
        (&said["claims"]["route"], &said["claims"]["exp"]),
        (&json!("/joke"), &json!(4_000_000_000_u64))
    );

    let other = run(
        here,
        &[
            "--json",
            "token",
            "inspect",
            &text,
            "--key",
            "env:OTHER_KEY",
        ],
        b"",
    )
    .await;
    assert_eq!(code(&other), 5);
    assert!(
        String::from_utf8(other.stdout)
            .unwrap()
            .contains("access_token_forged")
    );
    // An expired one is shown, and its key is still the right one.
    let old = signed(&claims(1_700_000_000));
    let output = run(
        here,
        &["token", "inspect", &old, "--key", "env:TOKEN_KEY"],
        b"",
    )
    .await;
    assert_eq!(code(&output), 0);
    assert!(stdout(&output).contains("(expired "), "{}", stdout(&output));
    // Whoever shows the key itself is not told it back.
    let output = run(here, &["token", "inspect", &text, "--key", KEY], b"").await;
    assert_eq!(code(&output), 2);
    for (bad, exit) in [
        ("", 5),
        ("a.b", 5),
        ("%", 5),
        ("a b", 5),
        ("@no-such-file", 2),
    ] {
        assert_eq!(
            code(&run(here, &["token", "inspect", bad], b"").await),
            exit,
            "{bad:?}"
        );
    }
    assert_eq!(
        code(&run(here, &["token", "inspect"], b"\xff\x00\xfe").await),
        5
    );
    // A claim cannot write to the terminal.
    let hostile = signed(&Claims {
        route: Some("\u{1b}[2J".to_owned()),
        ..claims(4_000_000_000)
    });
    let output = run(here, &["token", "inspect", &hostile], b"").await;
    assert!(code(&output) == 0 && !output.stdout.contains(&0x1b));
}

#[tokio::test(flavor = "multi_thread")]
async fn decode_explains_what_the_permit_rail_says() {
    let (stack, folder) = (stack().await, tempfile::tempdir().unwrap());
    let here = folder.path();
    let answer = http()
        .get(format!("{}/joke", stack.gate_url()))
        .send()
        .await
        .unwrap();
    let body = answer.text().await.unwrap();
    let shown = run(here, &["decode", "-"], body.as_bytes()).await;
    assert_eq!(code(&shown), 0);
    for part in [
        "x402 v1 payment required",
        "402 body of the permit rail, beside it",
        "/token/q_",
        "ERC3009, EIP2612",
        "0.001 USDC",
    ] {
        assert!(
            stdout(&shown).contains(part),
            "{part} is not in {}",
            stdout(&shown)
        );
    }
    // The settler that dev names is the one that permits are signed for.
    let env: Vec<(&str, String)> = stack.env();
    let value = |name| &env.iter().find(|(own, _)| *own == name).unwrap().1;
    assert!(stdout(&shown).contains(value("FAREGATE_PERMIT_SETTLER").as_str()));
    assert_eq!(
        *value("FAREGATE_TOKEN_ENDPOINT"),
        format!("{}/token", stack.gate_url())
    );
    stack.shutdown().await;

    let shown = run(here, &["decode", &signed(&claims(4_000_000_000))], b"").await;
    assert!(
        stdout(&shown).starts_with("access token\n"),
        "{}",
        stdout(&shown)
    );
    let vectors: Value =
        serde_json::from_str(include_str!("../../../../conformance/vectors/permit.json")).unwrap();
    let cases = vectors.as_array().unwrap().iter();
    let sent = "token-request-schema/as sent by the client";
    let request =
        cases.clone().find(|case| case["name"] == sent).unwrap()["inputs"]["body"].to_string();
    let shown = run(here, &["decode", &request], b"").await;
    for part in [
        "token request",
        "EIP2612",
        "0.5 USDC",
        "2027-01-15 08:10:00 UTC",
    ] {
        assert!(
            stdout(&shown).contains(part),
            "{part} is not in {}",
            stdout(&shown)
        );
    }
    assert!(
        !stdout(&shown).contains("65f79ba058e98cb8"),
        "the signature is nobody's business"
    );
}

#[tokio::test]
async fn any_bytes_are_inspected_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let good = signed(&claims(4_000_000_000));
    let mut cases: Vec<Vec<u8>> = vec![
        b".".to_vec(),
        b"..".to_vec(),
        vec![0; 9],
        vec![b'.'; 70_000],
    ];
    cases.extend([5, 17, 40, good.len() - 1].map(|end| good.as_bytes()[..end].to_vec()));
    cases.extend((0..12).map(|at| {
        let mut bytes = good.clone().into_bytes();
        let place = at * bytes.len().div_euclid(12);
        bytes[place] = bytes[place].wrapping_mul(31).wrapping_add(200);
        bytes
    }));
    for bytes in cases {
        let output = run(folder.path(), &["token", "inspect"], &bytes).await;
        assert!([0, 5].contains(&code(&output)), "{bytes:?}");
    }
}

#[tokio::test]
async fn a_token_is_revoked_by_itself_or_by_its_payment() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let text = signed(&claims(4_000_000_000));
    let id = "5a".repeat(32);
    let store = ["--store", "ledger.db"];
    for (which, said) in [
        (&["--token", text.as_str()][..], format!("{id}  revoked")),
        (&[&format!("0x{id}")], format!("{id}  was revoked before")),
        (&["--token", "-"], format!("{id}  was revoked before")),
    ] {
        let arguments = [&["token", "revoke"], which, &store].concat();
        let output = run(here, &arguments, text.as_bytes()).await;
        assert_eq!(
            (code(&output), stdout(&output).trim()),
            (0, said.as_str()),
            "{which:?}"
        );
    }
    // One that names no payment, two ways of saying which, none, and no id.
    let nameless = signed(&Claims {
        jti: None,
        ..claims(4_000_000_000)
    });
    for wrong in [
        &["--token", nameless.as_str()][..],
        &[id.as_str(), "--token", text.as_str()],
        &[],
        &["5a"],
    ] {
        let output = run(here, &[&["token", "revoke"], wrong, &store].concat(), b"").await;
        assert_eq!(code(&output), 2, "{wrong:?}");
    }
}

#[tokio::test]
async fn config_check_names_what_is_paid_with_permits() {
    let folder = tempfile::tempdir().unwrap();
    let file = r#"[gate]
public_url = "https://api.example"
upstream = "http://127.0.0.1:8000"
network = "sepolia"
pay_to = "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"
[gate.facilitator]
rpc_url = "http://127.0.0.1:8545"
signer_key = "file:/etc/faregate/signer"
[gate.permit]
token_key = "env:TOKEN_KEY"
[[route]]
match = "GET /joke"
price = "$0.5"
permit = { policy = "settled" }
"#;
    std::fs::write(folder.path().join("faregate.toml"), file).unwrap();
    let output = run(folder.path(), &["config", "check"], b"").await;
    assert_eq!(code(&output), 0, "{output:?}");
    for line in [
        "  POST /token                  access tokens for https://api.example/",
        "0.5 USDC on eip155:11155111 or 0.5 USDC on eip155:11155111 with a permit (settled)",
    ] {
        assert!(
            stdout(&output).contains(line),
            "{line} is not in {}",
            stdout(&output)
        );
    }
    let json = run(folder.path(), &["--json", "config", "check"], b"").await;
    let said: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(said["tokenEndpoint"], "/token");
}

#[tokio::test]
async fn config_check_names_what_is_paid_on_credit() {
    let folder = tempfile::tempdir().unwrap();
    let file = r#"[gate]
public_url = "https://api.example"
upstream = "http://127.0.0.1:8000"
network = "sepolia"
pay_to = "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720"
[gate.facilitator]
url = "https://facilitator.example"
[gate.credit]
owed_max = "$5"
[[gate.credit.core]]
network = "sepolia"
url = "https://user:secret-word@core.example"
rpc_url = "https://node.example/secret-word"
key = "file:/etc/faregate/core"
[[route]]
match = "GET /joke"
price = "$0.5"
credit = { price = ["$0.25", "0.001 ETH"], owed_max = "1" }
"#;
    std::fs::write(folder.path().join("faregate.toml"), file).unwrap();
    let output = run(folder.path(), &["config", "check"], b"").await;
    assert_eq!(code(&output), 0, "{output:?}");
    let said = stdout(&output);
    for line in [
        "  POST /.well-known/faregate/tabs tabs on eip155:11155111 from core.example",
        "0.25 USDC on eip155:11155111 on credit, at most 1 USDC of one payer",
        "0.001 ETH on eip155:11155111 on credit, at most 1 ETH of one payer",
    ] {
        assert!(said.contains(line), "{line} is not in {said}");
    }
    assert!(!said.contains("secret-word"), "{said}");
    let json = run(folder.path(), &["--json", "config", "check"], b"").await;
    let said: Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(said["tabEndpoint"], "/.well-known/faregate/tabs");
}
