//! What is owed on credit, listed and paid from the command line: once, in time, never more, never to anybody else.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use faregate_client::credit::{CreditClient, ETH};
use faregate_devnet::Devchain;
use faregate_devnet::chain::CREDIT_CORE;
use faregate_types::credit::{Claims, GuaranteeVersion, SigningScheme};
use faregate_types::{Address, Timestamp, U256};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

use crate::credit_process::{PAYER, RECIPIENT, chain, client, core, file};

const OTHER: usize = 8;
const ETHER: u64 = 2_000_000_000_000_000;
const USD: u64 = 1_500_000;
/// For what was signed without the wallet's books.
const MUCH: &str = "ETH=1,USDC=100";

/// A core, a payer with collateral in both assets, and somebody to owe.
struct Town {
    chain: Devchain,
    folder: TempDir,
    url: String,
    payer: CreditClient,
    recipient: CreditClient,
    _core: Child,
}

impl Town {
    async fn new() -> Self {
        let (chain, folder) = (chain().await, tempfile::tempdir().unwrap());
        let store = folder.path().join("credit.db");
        let file = file(
            folder.path(),
            &chain,
            &store.display().to_string(),
            "strict",
        );
        let (core, url) = core(&file).await;
        let payer = client(&url, CREDIT_CORE, PAYER).await;
        let recipient = client(&url, CREDIT_CORE, RECIPIENT).await;
        let (user, token) = (payer.user(), chain.usdc());
        user.approve(token, U256::from(10 * USD)).await.unwrap();
        user.deposit(token, U256::from(10 * USD)).await.unwrap();
        user.deposit(ETH, U256::from(10 * ETHER)).await.unwrap();
        let town = Self {
            chain,
            folder,
            url,
            payer,
            recipient,
            _core: core,
        };
        town.until(async || {
            let about = town.recipient.recipient();
            let balance = about.balance(town.payer.address(), ETH).await.unwrap();
            balance.is_some_and(|balance| !balance.total.is_zero())
        })
        .await;
        town
    }

    async fn until(&self, is_so: impl AsyncFn() -> bool) {
        for _ in 0..400 {
            if is_so().await {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it never was");
    }

    /// Owes so much more, as of so many seconds ago by the clock of the chain. Which tab.
    async fn owe(&self, to: &CreditClient, asset: Address, owed: (u64, u64), ago: u64) -> U256 {
        let (req, amount) = owed;
        let about = to.recipient();
        let tab = about.create_tab(self.payer.address(), asset, Some(900), GuaranteeVersion::V1);
        let tab = tab.await.unwrap().id;
        let claims = Claims {
            payer: self.payer.address(),
            recipient: to.address(),
            tab_id: tab,
            req_id: U256::from(req),
            amount: U256::from(amount),
            asset,
            timestamp: Timestamp::from_secs(self.chain.now().await.unwrap() - ago),
            validation: None,
        };
        let user = self.payer.user();
        let signed = user.sign_payment(claims, SigningScheme::Eip712).await;
        about
            .issue_payment_guarantee(&signed.unwrap())
            .await
            .unwrap();
        tab
    }

    async fn wallet(&self, arguments: &[&str]) -> Output {
        wallet(self.folder.path(), Some(&self.url), arguments).await
    }

    /// What it says with `--json`, which has to go well.
    async fn said(&self, arguments: &[&str]) -> Value {
        let output = self.wallet(&[arguments, &["--json"]].concat()).await;
        let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{arguments:?}: {said}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Tabs with their states, the most urgent first.
    async fn states(&self, arguments: &[&str]) -> Vec<(String, String)> {
        let said = self.said(&[&["tabs"], arguments].concat()).await;
        let rows = said["tabs"].as_array().unwrap().iter();
        rows.map(|row| {
            let text = |name: &str| row[name].as_str().unwrap().to_owned();
            (text("tab"), text("state"))
        })
        .collect()
    }

    /// ETH and tokens.
    async fn has(&self, who: Address) -> (U256, U256) {
        let ether = self.chain.eth_balance(who).await.unwrap();
        (ether, self.chain.usdc_balance(who).await.unwrap())
    }

    async fn sent(&self) -> u64 {
        let call = json!({"jsonrpc": "2.0", "id": 1, "method": "eth_getTransactionCount", "params": [self.payer.address(), "latest"]});
        let http = crate::support::http();
        let answer = http.post(self.chain.rpc_url()).json(&call).send().await;
        let answer: Value = answer.unwrap().json().await.unwrap();
        let text = answer["result"].as_str().unwrap();
        u64::from_str_radix(text.trim_start_matches("0x"), 16).unwrap()
    }

    /// What is not paid, with 3 USDC and 0.002 ETH due that are not in the wallet's books.
    async fn refuses(&self) {
        // Nobody said yes, and nobody can.
        let unasked = self.wallet(&["pay-tabs"]).await;
        assert_eq!(unasked.status.code(), Some(2), "{}", text(&unasked.stderr));
        for caps in ["USDC=2.999999,ETH=1", "USDC=5", "ETH=0.001,USDC=5"] {
            let capped = self.wallet(&["pay-tabs", "--yes", "--max", caps]).await;
            assert_eq!(
                capped.status.code(),
                Some(3),
                "{caps}: {}",
                text(&capped.stderr)
            );
        }
        // The core alone says that it is owed.
        let strange = self.wallet(&["pay-tabs", "--yes"]).await;
        let said = text(&strange.stderr);
        assert_eq!(strange.status.code(), Some(3), "{said}");
        assert!(
            said.contains("3 USDC on 0x") && said.contains("not signed"),
            "{said}"
        );
    }

    async fn pass(&self, secs: u64) {
        self.chain.increase_time(secs).await.unwrap();
        self.chain.mine(1).await.unwrap();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn hex(tab: U256) -> String {
    format!("{tab:#x}")
}

async fn wallet(folder: &Path, url: Option<&str>, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faregate"));
    command
        .arg("wallet")
        .args(arguments)
        .env_clear()
        .env("FAREGATE_HOME", folder)
        .env("FAREGATE_CREDIT_CONTRACT", CREDIT_CORE.to_string())
        .env(
            "FAREGATE_PRIVATE_KEY",
            Devchain::accounts()[PAYER].private_key,
        )
        .stdin(Stdio::null())
        .kill_on_drop(true);
    if let Some(url) = url {
        command.env("FAREGATE_CREDIT_URL", url);
    }
    let run = tokio::time::timeout(Duration::from_secs(120), command.output());
    let output = run.await.unwrap().unwrap();
    let said = format!("{}{}", text(&output.stdout), text(&output.stderr));
    let key = Devchain::accounts()[PAYER].private_key;
    assert!(!said.contains(&key[2..]), "a key was printed");
    output
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_due_is_paid_once_in_ether_and_in_tokens() {
    let town = Town::new().await;
    let token = town.chain.usdc();
    let ether = town.owe(&town.recipient, ETH, (0, ETHER), 0).await;
    let usd = town.owe(&town.recipient, token, (0, USD), 0).await;
    town.owe(&town.recipient, token, (1, USD), 0).await;
    let before = (town.has(town.recipient.address()).await, town.sent().await);

    let listed = town.said(&["tabs"]).await;
    let of_usd = |rows: &Value| {
        let mut rows = rows.as_array().unwrap().iter();
        rows.find(|row| row["tab"] == hex(usd)).unwrap().clone()
    };
    let row = of_usd(&listed["tabs"]);
    assert_eq!(
        (&row["money"], &row["state"]),
        (&json!("3 USDC"), &json!("due_soon"))
    );
    assert_eq!(
        (&row["owed"], &row["certified"]),
        (&json!("3000000"), &json!(true))
    );
    let dry = town.said(&["pay-tabs", "--dry-run"]).await;
    assert_eq!(dry["due"].as_array().unwrap().len(), 2);
    assert_eq!(dry["paid"], json!([]));
    town.refuses().await;
    let after = (town.has(town.recipient.address()).await, town.sent().await);
    assert_eq!(after, before, "nothing was sent so far");

    let caps = ["pay-tabs", "--yes", "--max", "USDC=3", "--max", "ETH=0.002"];
    let paid = town.said(&caps).await;
    assert_eq!(paid["paid"].as_array().unwrap().len(), 2, "{paid}");
    assert!(paid["gas"].as_u64().unwrap() > 21_000);
    let has = town.has(town.recipient.address()).await;
    assert_eq!(has.0 - before.0.0, U256::from(ETHER));
    assert_eq!(has.1 - before.0.1, U256::from(2 * USD));
    // Allowed was what was paid and no more.
    let inner = faregate_evm::credit::CreditCore::at(CREDIT_CORE);
    let allowance = inner.allowance(token, town.payer.address());
    assert_eq!(
        town.payer.account().ask(&allowance).await.unwrap(),
        U256::ZERO
    );

    // At once and later, whether or not the core has recorded it.
    for _ in 0..2 {
        let again = town
            .said(&["pay-tabs", "--yes", "--all", "--max", MUCH])
            .await;
        assert_eq!((&again["paid"], &again["due"]), (&json!([]), &json!([])));
    }
    town.until(async || town.states(&[]).await.is_empty()).await;
    let mut all = town.states(&["--all"]).await;
    all.sort();
    let mut expected = [ether, usd].map(|tab| (hex(tab), "settled".to_owned()));
    expected.sort();
    assert_eq!(all, expected);
    let sent = town.sent().await;
    town.said(&["pay-tabs", "--yes", "--all", "--max", MUCH])
        .await;
    assert_eq!(town.sent().await, sent);
    assert_eq!(town.has(town.recipient.address()).await, has);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_most_urgent_is_paid_first_and_what_can_wait_waits() {
    let town = Town::new().await;
    let other = client(&town.url, CREDIT_CORE, OTHER).await;
    let token = town.chain.usdc();
    // A hundred seconds each.
    let third = town.owe(&town.recipient, ETH, (0, ETHER), 0).await;
    let first = town.owe(&town.recipient, token, (0, USD), 110).await;
    let second = town.owe(&other, token, (0, USD), 50).await;
    let states = town.states(&["--within", "70s"]).await;
    let expected = [
        (hex(first), "overdue".to_owned()),
        (hex(second), "due_soon".to_owned()),
        (hex(third), "not_due".to_owned()),
    ];
    assert_eq!(states, expected);
    let shown = town.wallet(&["tabs", "--within", "70s"]).await;
    let shown = text(&shown.stdout);
    for words in [
        "RECIPIENT",
        "1.5 USDC",
        "0.002 ETH",
        "overdue",
        "due soon",
        "not due",
        "since ",
        "in ",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    let paid = |said: &Value| -> Vec<String> {
        let rows = said["paid"].as_array().unwrap().iter();
        rows.map(|row| row["tab"].as_str().unwrap().to_owned())
            .collect()
    };
    let said = town
        .said(&["pay-tabs", "--yes", "--within", "70s", "--max", MUCH])
        .await;
    assert_eq!(paid(&said), [hex(first), hex(second)]);
    // By name, whenever it is due, with as many digits as it takes.
    let name = hex(third);
    let said = town
        .said(&["pay-tabs", "--yes", "--max", MUCH, "--tab", &name[..16]])
        .await;
    assert_eq!(paid(&said), [hex(third)]);
    for (tab, code) in [(name.as_str(), 2), ("0x1234567", 2), ("nonsense", 2)] {
        let output = town.wallet(&["pay-tabs", "--yes", "--tab", tab]).await;
        assert_eq!(output.status.code(), Some(code), "{tab}");
    }
}

/// Time runs from the oldest guarantee that is not paid; what the collateral paid is not paid again.
#[tokio::test(flavor = "multi_thread")]
async fn a_tab_that_is_paid_in_part_waits_for_the_rest_only() {
    let town = Town::new().await;
    let token = town.chain.usdc();
    let tab = town.owe(&town.recipient, token, (0, USD), 60).await;
    town.owe(&town.recipient, token, (1, USD), 0).await;
    // Somebody pays the first without this wallet's books.
    let (user, recipient) = (town.payer.user(), town.recipient.address());
    let amount = U256::from(USD);
    user.approve(token, amount).await.unwrap();
    user.pay_tab(tab, U256::ZERO, amount, recipient, token)
        .await
        .unwrap();
    town.until(async || {
        let said = town.said(&["tabs"]).await;
        said["tabs"][0]["owed"] == "1500000"
    })
    .await;
    let soon = town.states(&["--within", "50s"]).await;
    assert_eq!(soon, [(hex(tab), "not_due".to_owned())]);
    town.pass(110).await;
    assert_eq!(town.states(&[]).await, [(hex(tab), "overdue".to_owned())]);
    // The collateral pays it first.
    let latest = town.recipient.recipient().latest_guarantee(tab).await;
    let certificate = latest.unwrap().unwrap().certificate.unwrap().0;
    let has = town.has(recipient).await.1;
    town.recipient
        .recipient()
        .remunerate(&certificate)
        .await
        .unwrap();
    let said = town
        .said(&["pay-tabs", "--yes", "--all", "--max", MUCH])
        .await;
    assert_eq!(said["paid"], json!([]));
    assert_eq!(town.has(recipient).await.1 - has, amount);
    town.until(async || town.states(&["--all"]).await == [(hex(tab), "remunerated".to_owned())])
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_core_it_says_what_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    for (url, code, words) in [
        (None, 2, "no credit core is configured"),
        (Some("http://127.0.0.1:1"), 7, "gave no answer"),
        (Some("http://credit.example"), 2, "https"),
    ] {
        for command in ["tabs", "pay-tabs"] {
            let output = wallet(folder.path(), url, &[command]).await;
            let said = text(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{command}: {said}");
            assert!(said.contains(words), "{command}: {said}");
        }
    }
}

/// Two timers that go off at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn two_who_pay_the_same_tab_at_once_pay_it_once() {
    let town = Town::new().await;
    let who = town.recipient.address();
    let before = town.has(who).await;
    town.owe(&town.recipient, ETH, (0, ETHER), 0).await;
    town.owe(&town.recipient, town.chain.usdc(), (0, USD), 0)
        .await;
    let pay = ["pay-tabs", "--yes", "--all", "--max", MUCH];
    let (one, other) = tokio::join!(town.wallet(&pay), town.wallet(&pay));
    let said = format!("{}{}", text(&one.stderr), text(&other.stderr));
    // Whoever came second may have been told to look again.
    town.said(&pay).await;
    let has = town.has(who).await;
    assert_eq!(has.0 - before.0, U256::from(ETHER), "{said}");
    assert_eq!(has.1 - before.1, U256::from(USD), "{said}");
}

/// What was signed with the wallet's books is paid without asking anybody.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_bought_on_credit_with_these_books_needs_no_cap() {
    let (stack, folder) = (crate::support::stack().await, tempfile::tempdir().unwrap());
    let credit = stack.credit().unwrap();
    let payer = client(&credit.url(), credit.contract(), PAYER).await;
    let (user, token, amount) = (payer.user(), stack.asset.id.token(), U256::from(USD));
    user.approve(token, amount).await.unwrap();
    user.deposit(token, amount).await.unwrap();
    let joke = format!("{}/joke", stack.gate_url());
    let run = async |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_faregate"));
        command
            .args(arguments)
            .env_clear()
            .env("FAREGATE_HOME", folder.path())
            .env("FAREGATE_CREDIT_URL", credit.url())
            .env("FAREGATE_PRIVATE_KEY", crate::support::payer_key())
            .stdin(Stdio::null())
            .kill_on_drop(true);
        tokio::time::timeout(Duration::from_secs(60), command.output())
            .await
            .unwrap()
            .unwrap()
    };
    for _ in 0..400 {
        let known = payer.recipient().balance(payer.address(), token).await;
        if known.unwrap().is_some_and(|known| known.total == amount) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for _ in 0..2 {
        let output = run(&["curl", "--prefer", "credit", &joke]).await;
        assert!(output.status.success(), "{}", text(&output.stderr));
    }
    let listed = run(&["wallet", "tabs", "--json"]).await;
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let owed: u64 = listed["tabs"][0]["owed"].as_str().unwrap().parse().unwrap();
    assert_eq!(owed, 2_000);
    let before = stack
        .devchain()
        .unwrap()
        .usdc_balance(crate::support::payee_address())
        .await;
    let output = run(&["wallet", "pay-tabs", "--yes", "--json"]).await;
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(!text(&output.stderr).contains("not signed"));
    let after = stack
        .devchain()
        .unwrap()
        .usdc_balance(crate::support::payee_address())
        .await;
    assert_eq!(after.unwrap() - before.unwrap(), U256::from(owed));
    stack.shutdown().await;
}
