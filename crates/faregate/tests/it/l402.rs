//! Tokens of L402 on the command line: made, narrowed, verified, explained.

use std::path::Path;
use std::process::{Output, Stdio};

use faregate_types::lightning::Preimage;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

const ROOT_KEY: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const ROUTE: [&str; 6] = [
    "--service",
    "weather",
    "--path",
    "/v1/*",
    "--price",
    "10 sat",
];

/// An invoice over 10 sat, and the preimage of its hash: really paid on a regtest network.
fn paid_invoice() -> (String, String) {
    let recorded = include_str!("../../../../conformance/vectors/l402.json");
    let recorded: Value = serde_json::from_str(recorded).unwrap();
    let invoices = recorded["bolt11"].as_array().unwrap();
    let text = |invoice: &Value, key| invoice[key].as_str().map(str::to_owned);
    invoices
        .iter()
        .find_map(|one| Some((text(one, "invoice")?, text(one, "preimage_hex")?)))
        .unwrap()
}

async fn run(arguments: &[&str], root_key: Option<&str>, input: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faregate"));
    command.args(arguments).env_clear().kill_on_drop(true);
    if let Some(key) = root_key {
        command.env("FAREGATE_L402_ROOT_KEY", key);
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // Whoever wants no input has closed it.
    drop(stdin.write_all(input.as_bytes()).await);
    drop(stdin);
    tokio::time::timeout(std::time::Duration::from_secs(60), child.wait_with_output())
        .await
        .unwrap()
        .unwrap()
}

fn said(output: &Output) -> String {
    let said = [output.stdout.as_slice(), &output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(!said.contains(ROOT_KEY), "the root key was printed");
    said
}

async fn ok(arguments: &[&str], root_key: Option<&str>, input: &str) -> String {
    let output = run(arguments, root_key, input).await;
    assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    said(&output).trim().to_owned()
}

async fn mint(invoice: &str, more: &[&str]) -> String {
    let arguments = [&["l402", "mint", "--invoice", invoice][..], &ROUTE, more].concat();
    ok(&arguments, Some(ROOT_KEY), "").await
}

/// Verifies, and gives the exit status with what was said.
async fn verify(token: &str, preimage: &str, more: &[&str]) -> (i32, String) {
    let arguments = [&["--json", "l402", "verify"][..], &ROUTE, more].concat();
    let input = format!("L402 {token}:{preimage}\n");
    let output = run(&arguments, Some(ROOT_KEY), &input).await;
    let said = said(&output);
    assert!(!said.contains(preimage), "the preimage was printed");
    (output.status.code().unwrap(), said)
}

#[tokio::test]
async fn a_token_made_for_an_invoice_opens_its_route_and_no_other() {
    let (invoice, preimage) = paid_invoice();
    let token = mint(&invoice, &["--max-uses", "3"]).await;
    let (exit, report) = verify(&token, &preimage, &[]).await;
    assert_eq!(exit, 0, "{report}");
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(
        (&report["opens"], &report["max_uses"]),
        (&true.into(), &3.into())
    );
    let hash = Preimage::parse(&preimage).unwrap().hash().to_string();
    assert_eq!(report["payment_hash"], hash);

    let other = "00".repeat(32);
    for (preimage, more, code) in [
        (&preimage, &["--method", "POST"][..], "l402_wrong_method"),
        (&preimage, &["--tier", "1"], "l402_wrong_service"),
        (&preimage, &["--client", "me"], "l402_caveat_refused"),
        (&preimage, &["--now", "99999999999"], "l402_token_expired"),
        (&other, &[], "l402_preimage_wrong"),
    ] {
        let (exit, said) = verify(&token, preimage, more).await;
        assert_eq!(exit, 5, "{said}");
        assert!(said.contains(code), "{code} is not in {said}");
    }
    let arguments = [&["l402", "verify"][..], &ROUTE].concat();
    let input = format!("{token}:{preimage}");
    let forged = run(&arguments, Some(&"11".repeat(32)), &input).await;
    assert_eq!(forged.status.code(), Some(5));
    assert!(said(&forged).contains("l402_token_forged"));
}

#[tokio::test]
async fn whoever_holds_a_token_can_narrow_it_and_not_widen_it() {
    let (invoice, preimage) = paid_invoice();
    let token = mint(&invoice, &[]).await;
    let narrow = async |condition: &str| {
        let arguments = ["l402", "attenuate", &token, "--caveat", condition];
        ok(&arguments, None, "").await
    };
    let once = narrow("max_uses=1").await;
    let (exit, report) = verify(&once, &preimage, &[]).await;
    assert_eq!(exit, 0, "{report}");
    assert!(report.contains("\"max_uses\":1"), "{report}");
    let wider = narrow("method=GET,POST").await;
    let (exit, report) = verify(&wider, &preimage, &[]).await;
    assert!(
        exit == 5 && report.contains("l402_caveat_refused"),
        "{report}"
    );
    let bad = run(
        &["l402", "attenuate", &token, "--caveat", "nonsense"],
        None,
        "",
    )
    .await;
    assert_eq!(bad.status.code(), Some(2));
}

#[tokio::test]
async fn keys_come_from_file_or_environment_and_prices_from_the_invoice() {
    let (invoice, _) = paid_invoice();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("root.key");
    std::fs::write(&file, format!("{ROOT_KEY}\n")).unwrap();
    let file = file.to_str().unwrap();
    let missing = Path::new(file).with_extension("gone");
    let mint = ["l402", "mint", "--invoice", &invoice];
    for (key, more, exit) in [
        (Some(ROOT_KEY), &[][..], 0),
        (None, &["--root-key-file", file], 0),
        (None, &[], 2),
        (Some("abc"), &[], 2),
        (None, &["--root-key-file", missing.to_str().unwrap()], 2),
        (Some(ROOT_KEY), &["--capability", "a,b"], 2),
        (Some(ROOT_KEY), &["--max-uses", "0"], 2),
    ] {
        let arguments = [&mint[..], &ROUTE, more].concat();
        let output = run(&arguments, key, "").await;
        assert_eq!(
            output.status.code(),
            Some(exit),
            "{more:?}: {}",
            said(&output)
        );
    }
    // A gate's master key and one token's root key are not the same thing.
    let both = [&mint[..], &ROUTE, &["--master-key-file", file]].concat();
    assert_eq!(run(&both, Some(ROOT_KEY), "").await.status.code(), Some(2));
    let master = ok(&both, None, "").await;
    assert_eq!(master, ok(&both, None, "").await, "a payment has one token");
    let root = ok(&[&mint[..], &ROUTE].concat(), Some(ROOT_KEY), "").await;
    assert_ne!(master, root);
    for (price, exit) in [
        ("10 sat", 0),
        ("9999 msat", 0),
        ("10001 msat", 2),
        ("10", 2),
    ] {
        let route = ["--service", "weather", "--path", "/v1/*", "--price", price];
        let output = run(&[&mint[..], &route].concat(), Some(ROOT_KEY), "").await;
        assert_eq!(
            output.status.code(),
            Some(exit),
            "{price}: {}",
            said(&output)
        );
    }
}

#[tokio::test]
async fn decode_explains_tokens_challenges_credentials_and_invoices() {
    let (invoice, preimage) = paid_invoice();
    let token = mint(&invoice, &[]).await;
    let challenge = format!("WWW-Authenticate: L402 macaroon=\"{token}\", invoice=\"{invoice}\"");
    let credential = format!("Authorization: LSAT {token}:{preimage}");
    let wrong = format!("L402 {token}:{}", "00".repeat(32));
    let body = format!(
        r#"{{"error":"Payment Required","price_sats":10,"invoice":"{invoice}","macaroon":"{token}"}}"#
    );
    // {"hash": "9…", "exp": 1800003600000} of l402kit.
    let unsigned = "eyJoYXNoIjogIjkwMWYzYjgxZTVkYjk0ZGM0NjJkZGE0OWEyNTUyYTE1OTYxNDk0NWEwYzJiYjliZWRkZDNjYThiYzRlMjZlYjYiLCAiZXhwIjogMTgwMDAwMzYwMDAwMH0=";
    for (text, parts) in [
        (
            &invoice,
            &[
                "BOLT 11 invoice",
                "Bitcoin regtest",
                "10 sat",
                "L402 API access",
            ][..],
        ),
        (
            &token,
            &[
                "macaroon, binary version 2",
                "services=weather:0",
                "price_msat=10000",
            ],
        ),
        (&challenge, &["L402 challenge", "10 sat", "path=/v1/*"]),
        (&credential, &["L402 credential", "belongs to the payment"]),
        (&wrong, &["L402 credential", "of another payment"]),
        (&body, &["L402 402 body", "10 sat", "method=GET"]),
        (
            &unsigned.to_owned(),
            &["unsigned token of l402kit", "signed by nobody"],
        ),
        (
            &format!(
                "L402 {unsigned}:2f466aea907bfa80883ece0c453f7ad6b358149e531dc7b7b2e30397e921fb50"
            ),
            &["unsigned credential of l402kit", "signed by nobody"],
        ),
    ] {
        for arguments in [&["decode", text][..], &["decode", "-"]] {
            let shown = ok(arguments, None, text).await;
            for part in parts {
                assert!(shown.contains(part), "{part} is not in {shown}");
            }
            assert!(!shown.contains(&preimage), "a preimage was shown");
        }
        let json = ok(&["--json", "decode", text], None, "").await;
        let report: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(report["kind"], parts[0]);
    }
    let other = "lnbc25m1pvjluezpp5qqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqqqsyqcyq5rqwzqfqypqdq5vdhkven9v5sxyetpdeessp5zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zyg3zygs9q5sqqqqqqqqqqqqqqqqsgq2a25dxl5hrntdtn6zvydt7d66hyzsyhqs4wdynavys42xgl6sgx9c4g7me86a27t07mdtfry458rtjr0v92cnmswpsjscgt2vcse3sgpz3uapa";
    let foreign = format!("L402 macaroon=\"{token}\", invoice=\"{other}\"");
    let shown = ok(&["decode", &foreign], None, "").await;
    assert!(shown.contains("opens nothing"), "{shown}");
    for bad in ["lnbc1", "L402 x:y", "L402", "WWW-Authenticate: Bearer x"] {
        let output = run(&["decode", bad], None, "").await;
        assert_eq!(output.status.code(), Some(2), "{bad}: {}", said(&output));
    }
}
