//! `faregate credit`, killed in the middle: collateral, tabs, certificates and payments are there after the next start.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use faregate_client::credit::{CreditClient, LocalSigner, SignError, Signer};
use faregate_devnet::chain::{CREDIT_CORE, CreditConfig, CreditTiming};
use faregate_devnet::{ChainConfig, Devchain};
use faregate_types::credit::api::SettlementStatus;
use faregate_types::credit::{
    BlsSecretKey, Claims, Encoding, GuaranteeRequest, GuaranteeVersion, SigningScheme,
};
use faregate_types::{Address, B256, ChainId, SecretKey, Signature65, Timestamp, U256};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::support;

/// Places of the dev accounts.
pub(crate) const PAYER: usize = 1;
pub(crate) const RECIPIENT: usize = 9;
pub(crate) const ADMIN: usize = 6;
pub(crate) const OPERATOR: usize = 7;

const BLS_KEY: &str = "00000000000000000000000000000000000000000000000000000000000000a7";

pub(crate) fn bls() -> BlsSecretKey {
    BlsSecretKey::from_hex(BLS_KEY).unwrap()
}

pub(crate) async fn chain() -> Devchain {
    let credit = CreditConfig {
        verification_key: bls().public_key().words(),
        operator: Devchain::accounts()[OPERATOR].address,
        admin: Devchain::accounts()[ADMIN].address,
        timing: CreditTiming {
            remuneration_grace: 100,
            tab_expiration: 1_000,
            synchronization_delay: 100,
            withdrawal_grace: 2_000,
        },
    };
    let chain = Devchain::start(ChainConfig {
        credit: Some(credit),
        ..ChainConfig::default()
    });
    chain.await.unwrap()
}

fn file_of_books(folder: &Path, chain: &Devchain) -> PathBuf {
    let store = folder.join("credit.db");
    file(folder, chain, &store.display().to_string(), "strict")
}

/// A file for a core on this chain, with its books there.
pub(crate) fn file(folder: &Path, chain: &Devchain, store: &str, request_ids: &str) -> PathBuf {
    let path = folder.join("credit.toml");
    let text = format!(
        "[credit]\nbind = \"127.0.0.1:0\"\nnetwork = \"base-sepolia\"\nrpc_url = \"{rpc}\"\npublic_rpc_url = \"{rpc}\"\n\
         contract = \"{CREDIT_CORE}\"\ndeployed_at = 0\nconfirmations = 0\npoll_ms = 50\nstore = '{store}'\nrequest_ids = \"{request_ids}\"\n\
         public_url = \"http://127.0.0.1:3000\"\nauth = \"optional\"\nsigner_key = \"env:OPERATOR\"\n\
         certificate_key = \"env:BLS\"\ntoken_key = \"env:TOKENS\"\n",
        rpc = chain.rpc_url(),
    );
    std::fs::write(&path, text).unwrap();
    path
}

fn command(file: &Path, key: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_faregate"));
    command
        .args(["credit", "--json", "--config"])
        .arg(file)
        .env_clear()
        .env("OPERATOR", Devchain::accounts()[OPERATOR].private_key)
        .env("BLS", key)
        .env("TOKENS", "a secret of more than thirty-two bytes")
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// A core that runs, and where it is.
pub(crate) async fn core(file: &Path) -> (Child, String) {
    let mut child = command(file, BLS_KEY)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = tokio::time::timeout(Duration::from_secs(60), said.next_line());
    let line = line.await.unwrap().unwrap().unwrap();
    let said: Value = serde_json::from_str(&line).unwrap();
    (child, said["credit"].as_str().unwrap().to_owned())
}

pub(crate) fn signer(account: usize) -> LocalSigner {
    let key = SecretKey::from_hex(Devchain::accounts()[account].private_key).unwrap();
    LocalSigner::new(key).unwrap()
}

pub(crate) async fn client(url: &str, contract: Address, account: usize) -> CreditClient {
    CreditClient::builder()
        .service(url.parse().unwrap())
        .signer(signer(account))
        .contract(contract)
        .connect()
        .await
        .unwrap()
}

/// Total and locked, once they are these.
pub(crate) async fn balance(recipient: &CreditClient, chain: &Devchain, expected: (u64, u64)) {
    let payer = Devchain::accounts()[PAYER].address;
    let mut found = None;
    for _ in 0..200 {
        let balance = recipient.recipient().balance(payer, chain.usdc()).await;
        found = balance
            .unwrap()
            .map(|balance| (balance.total.to::<u64>(), balance.locked.to::<u64>()));
        if found == Some(expected) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{found:?} and not {expected:?}");
}

pub(crate) async fn claims(chain: &Devchain, tab: U256, req: u64, amount: u64) -> Claims {
    Claims {
        payer: Devchain::accounts()[PAYER].address,
        recipient: Devchain::accounts()[RECIPIENT].address,
        tab_id: tab,
        req_id: U256::from(req),
        amount: U256::from(amount),
        asset: chain.usdc(),
        timestamp: Timestamp::from_secs(chain.now().await.unwrap()),
        validation: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_promised_is_kept_by_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let chain = chain().await;
    let file = file_of_books(folder.path(), &chain);
    let (mut first, url) = core(&file).await;
    let (payer, recipient) = (
        client(&url, CREDIT_CORE, PAYER).await,
        client(&url, CREDIT_CORE, RECIPIENT).await,
    );
    let token = chain.usdc();
    payer.user().approve(token, U256::MAX).await.unwrap();
    payer
        .user()
        .deposit(token, U256::from(1_000))
        .await
        .unwrap();
    balance(&recipient, &chain, (1_000, 0)).await;
    let (user, about) = (payer.user(), recipient.recipient());
    let tab = about.create_tab(payer.address(), token, Some(900), GuaranteeVersion::V1);
    let tab = tab.await.unwrap().id;
    let signed = claims(&chain, tab, 0, 300).await;
    let signed = user.sign_payment(signed, SigningScheme::Eip712);
    let issued = about.issue_payment_guarantee(&signed.await.unwrap()).await;
    let issued = issued.unwrap();
    first.kill().await.unwrap();

    // What happens on the chain meanwhile is found afterwards.
    let recipient_address = recipient.address();
    let paid = user.pay_tab(tab, U256::ZERO, U256::from(100), recipient_address, token);
    paid.await.unwrap();
    let (_second, url) = core(&file).await;
    let recipient = client(&url, CREDIT_CORE, RECIPIENT).await;
    let about = recipient.recipient();
    let kept = about.latest_guarantee(tab).await.unwrap().unwrap();
    assert_eq!(kept.certificate.unwrap().0, issued.certificate);
    balance(&recipient, &chain, (1_000, 200)).await;
    let open = about.tab(tab).await.unwrap().unwrap();
    assert_eq!(open.settlement, SettlementStatus::Pending);
    // The rest is not paid: the contract pays it.
    chain.increase_time(101).await.unwrap();
    chain.mine(1).await.unwrap();
    about.remunerate(&issued.certificate).await.unwrap();
    balance(&recipient, &chain, (800, 0)).await;
    let over = about.tab(tab).await.unwrap().unwrap();
    assert_eq!(over.settlement, SettlementStatus::Remunerated);
}

/// Certificates that the contract would not redeem are worth nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_the_contract_does_not_believe_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let chain = chain().await;
    let file = file_of_books(folder.path(), &chain);
    let other = BLS_KEY.replace("a7", "a8");
    let run = command(&file, &other).output();
    let output = tokio::time::timeout(Duration::from_secs(60), run).await;
    let output = output.unwrap().unwrap();
    let said = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("believes another key"), "{said}");
    assert!(!said.contains(&other), "{said}");
}

/// A contract, and the key it believes.
#[derive(Debug)]
struct ContractWallet {
    at: Address,
    owner: LocalSigner,
}

impl Signer for ContractWallet {
    fn address(&self) -> Address {
        self.at
    }

    fn sign_digest(&self, digest: B256) -> BoxFuture<'_, Result<Signature65, SignError>> {
        self.owner.sign_digest(digest)
    }
}

/// Puts a wallet there that says yes to what its owner signed (ERC-1271):
///
/// ```text
/// mem[0x00..0x80] = hash, v, r, s from the call; ecrecover to mem[0x80]
/// return (mem[0x80] == owner) * (0x1626ba7e << 224)
/// ```
async fn contract_wallet(chain: &Devchain, at: Address, owner: Address) {
    let code = format!(
        "0x60043560005260a43560001a602052606435604052608435606052602060806080600060015afa5060805173{}14631626ba7e60e01b0260005260206000f3",
        hex::encode(owner),
    );
    let call =
        json!({ "jsonrpc": "2.0", "id": 1, "method": "anvil_setCode", "params": [at, code] });
    let sent = support::http().post(chain.rpc_url()).json(&call).send();
    let said: Value = sent.await.unwrap().json().await.unwrap();
    assert!(said.get("error").is_none(), "{said}");
}

/// A wallet that is a contract signs in by what it says itself; guarantees are signed with keys, as on the network.
#[tokio::test(flavor = "multi_thread")]
async fn a_contract_wallet_signs_in_and_signs_no_guarantee() {
    let folder = tempfile::tempdir().unwrap();
    let chain = chain().await;
    let file = file_of_books(folder.path(), &chain);
    let text = std::fs::read_to_string(&file).unwrap();
    let text = text.replace("auth = \"optional\"", "auth = \"required\"");
    std::fs::write(&file, text).unwrap();
    let (_child, url) = core(&file).await;
    let owner = || {
        let key = SecretKey::from_hex(Devchain::accounts()[RECIPIENT].private_key);
        LocalSigner::new(key.unwrap()).unwrap()
    };
    let at = Address::repeat_byte(0x5a);
    let wallet = |owner| {
        let builder = CreditClient::builder().service(url.parse().unwrap());
        let builder = builder.sign_in_domain("127.0.0.1:3000");
        builder.signer(ContractWallet { at, owner }).sign_in()
    };
    let before = wallet(owner()).connect().await.unwrap();
    before.recipient().tabs(&[]).await.unwrap_err();
    contract_wallet(&chain, at, owner().address()).await;
    let client = wallet(owner()).connect().await.unwrap();
    assert_eq!(client.recipient().tabs(&[]).await.unwrap(), []);
    let other = SecretKey::from_hex(Devchain::accounts()[PAYER].private_key);
    let thief = wallet(LocalSigner::new(other.unwrap()).unwrap());
    let thief = thief.connect().await.unwrap();
    thief.recipient().tabs(&[]).await.unwrap_err();

    // Its payer is the contract, whose owner signed.
    let mut claims = claims(&chain, U256::ONE, 0, 1).await;
    (claims.payer, claims.recipient) = (at, at);
    let domain =
        faregate_types::credit::digest::domain_separator("4mica", "1", ChainId::BASE_SEPOLIA);
    let digest = claims.digest(Encoding::TypedV1, domain).unwrap();
    let request = GuaranteeRequest {
        claims,
        signature: owner().sign_digest(digest).await.unwrap(),
        scheme: SigningScheme::Eip712,
    };
    let refused = client.rpc().issue_guarantee(&request, "once").await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("Invalid signature"), "{refused}");
}

/// After a deep reorganisation nothing is promised until the operator has set the books back, and then not to whom the chain has
/// nothing of.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_deep_reorganisation_the_operator_decides() {
    let folder = tempfile::tempdir().unwrap();
    let chain = chain().await;
    let file = file_of_books(folder.path(), &chain);
    let (mut first, url) = core(&file).await;
    let (payer, recipient) = (
        client(&url, CREDIT_CORE, PAYER).await,
        client(&url, CREDIT_CORE, RECIPIENT).await,
    );
    let token = chain.usdc();
    payer.user().approve(token, U256::MAX).await.unwrap();
    let block = chain.block_number().await.unwrap();
    let deposited = payer.user().deposit(token, U256::from(1_000)).await;
    deposited.unwrap();
    balance(&recipient, &chain, (1_000, 0)).await;
    let open = async |recipient: &CreditClient| {
        let about = recipient.recipient();
        let tab = about.create_tab(payer.address(), token, None, GuaranteeVersion::V1);
        tab.await.map_err(|error| error.to_string())
    };
    open(&recipient).await.unwrap();
    chain.reorg(1).await.unwrap();
    let mut said = String::new();
    for _ in 0..200 {
        match open(&recipient).await {
            Ok(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(refused) => {
                said = refused;
                break;
            }
        }
    }
    assert!(said.contains("reorganised"), "{said:?}");
    first.kill().await.unwrap();

    let block = block.to_string();
    let run = command(&file, BLS_KEY)
        .args(["--rewind-to", &block])
        .output();
    let output = tokio::time::timeout(Duration::from_secs(60), run).await;
    let output = output.unwrap().unwrap();
    let shown = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{shown}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["suspended"], json!([payer.address().to_string()]));
    assert_eq!(
        (&report["different"], &report["refused"]),
        (&json!(1), &json!(0))
    );
    let (_second, url) = core(&file).await;
    let refused = open(&client(&url, CREDIT_CORE, RECIPIENT).await)
        .await
        .unwrap_err();
    assert!(refused.contains("suspended"), "{refused}");
}
