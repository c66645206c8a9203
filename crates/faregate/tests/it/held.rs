//! Certificates that a gate holds, made up with a core's own key, and the gate's file.

use std::path::{Path, PathBuf};

use faregate_core::port::{CertificateStore as _, HeldCertificate};
use faregate_devnet::chain::{CREDIT_CORE, CreditConfig, CreditTiming};
use faregate_devnet::{ChainConfig, Devchain};
use faregate_evm::credit::{Call, CreditCore};
use faregate_store::sqlite::SqliteLedger;
use faregate_types::credit::certificate::domain_separator;
use faregate_types::credit::{BlsSecretKey, Certificate, Guarantee, GuaranteeVersion};
use faregate_types::{Address, Amount, B256, ChainId, Erc20, PaymentId, Timestamp, U256};
use serde_json::{Value, json};

use crate::support::http;

const PAYER: usize = 1;
const OPERATOR: usize = 5;
const CHAIN: ChainId = ChainId::BASE_SEPOLIA;

/// The contract pays so long after a promise, and until so long after it.
pub(crate) const GRACE: u64 = 100;
pub(crate) const EXPIRATION: u64 = 10_000;

/// Whom the gate sells for.
pub(crate) const SELLER: Address = Address::repeat_byte(0x5e);

fn key() -> BlsSecretKey {
    BlsSecretKey::from_bytes(&[7; 32]).unwrap()
}

/// A chain with the contract, and a payer with collateral there.
pub(crate) async fn chain(collateral: u64) -> Devchain {
    let accounts = Devchain::accounts();
    let credit = CreditConfig {
        verification_key: key().public_key().words(),
        operator: accounts[OPERATOR].address,
        admin: accounts[OPERATOR].address,
        timing: CreditTiming {
            remuneration_grace: GRACE,
            tab_expiration: EXPIRATION,
            synchronization_delay: 1,
            withdrawal_grace: EXPIRATION + 10,
        },
    };
    let chain = Devchain::start(ChainConfig {
        credit: Some(credit),
        ..ChainConfig::default()
    });
    let chain = chain.await.unwrap();
    let core = CreditCore::at(CREDIT_CORE);
    let token = chain.usdc();
    send(&chain, PAYER, &core.approve(token, U256::MAX)).await;
    let deposit = core.deposit(token, U256::from(collateral));
    send(&chain, PAYER, &deposit).await;
    chain
}

/// The operator records what the payer paid.
pub(crate) async fn pay(chain: &Devchain, tab: u64, amount: u64) {
    let payment = faregate_evm::credit::Payment {
        id: B256::with_last_byte(u8::try_from(tab).unwrap()),
        tab: U256::from(tab),
        asset: chain.usdc(),
        amount: U256::from(amount),
    };
    let record = CreditCore::at(CREDIT_CORE).record_payment(&payment);
    send(chain, OPERATOR, &record).await;
}

async fn send(chain: &Devchain, account: usize, call: &Call) {
    let from = Devchain::accounts()[account].address;
    let sent = json!({ "from": from, "to": call.to, "data": call.data, "gas": "0x7a120" });
    let hash = rpc(chain, "eth_sendTransaction", json!([sent])).await;
    let receipt = rpc(chain, "eth_getTransactionReceipt", json!([hash])).await;
    assert_eq!(receipt["status"], "0x1", "{receipt}");
}

pub(crate) async fn rpc(chain: &Devchain, method: &str, params: Value) -> Value {
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params });
    let answer = http().post(chain.rpc_url()).json(&call).send().await;
    let answer: Value = answer.unwrap().json().await.unwrap();
    assert!(answer["error"].is_null(), "{method}: {answer}");
    answer["result"].clone()
}

/// How many transactions an account has sent.
pub(crate) async fn sent_by(chain: &Devchain, account: usize) -> u64 {
    let address = Devchain::accounts()[account].address;
    let count = rpc(chain, "eth_getTransactionCount", json!([address, "latest"])).await;
    u64::from_str_radix(count.as_str().unwrap().trim_start_matches("0x"), 16).unwrap()
}

/// Lets time pass.
pub(crate) async fn pass(chain: &Devchain, secs: u64) {
    chain.increase_time(secs).await.unwrap();
    chain.mine(1).await.unwrap();
}

/// What the seller has.
pub(crate) async fn till(chain: &Devchain) -> u64 {
    chain.usdc_balance(SELLER).await.unwrap().to()
}

/// The ledger of the gate in this folder.
pub(crate) fn books(folder: &Path) -> SqliteLedger {
    SqliteLedger::open(folder.join("gate.db")).unwrap()
}

/// The gate has a certificate over so much, promised now, on a tab of its own.
pub(crate) async fn hold(folder: &Path, chain: &Devchain, tab: u64, amount: u64) {
    let at = Timestamp::from_secs(chain.now().await.unwrap());
    let amount = U256::from(amount);
    let guarantee = Guarantee {
        domain: domain_separator(GuaranteeVersion::V1, CHAIN, CREDIT_CORE),
        tab_id: U256::from(tab),
        req_id: U256::ZERO,
        payer: Devchain::accounts()[PAYER].address,
        recipient: SELLER,
        amount,
        total_amount: amount,
        asset: chain.usdc(),
        timestamp: at,
        validation: None,
    };
    let held = HeldCertificate {
        payment: PaymentId::from_bytes(U256::from(tab).to_be_bytes()),
        route: "GET /joke".into(),
        chain: CHAIN,
        tab: guarantee.tab_id,
        req: U256::ZERO,
        version: GuaranteeVersion::V1,
        payer: guarantee.payer,
        recipient: SELLER,
        amount: Amount::new(amount, Erc20::new(CHAIN, chain.usdc())),
        total: amount,
        promised_at: at,
        certificate: Certificate::issue(&guarantee, &key()),
        at,
    };
    books(folder).keep(held).await.unwrap();
}

/// The file of a gate over that ledger, whose core is away for good: nobody needs it to redeem. Who pays for gas is `GAS_KEY`,
/// who settles tokens `OTHER_KEY`.
pub(crate) fn file(folder: &Path, chain: &Devchain, name: &str) -> PathBuf {
    let path = folder.join(name);
    let text = format!(
        "[gate]\nbind = \"127.0.0.1:0\"\npublic_url = \"http://127.0.0.1:4021\"\nupstream = \"http://127.0.0.1:9\"\n\
         network = \"base-sepolia\"\npay_to = \"{SELLER}\"\nstore = '{store}'\n\
         [gate.facilitator]\nrpc_url = \"{rpc}\"\nsigner_key = \"env:OTHER_KEY\"\n\
         [gate.credit]\n[[gate.credit.core]]\nnetwork = \"base-sepolia\"\nurl = \"http://127.0.0.1:9\"\nrpc_url = \"{rpc}\"\n\
         contract = \"{CREDIT_CORE}\"\n\
         [gate.credit.remunerate]\nsigner_key = \"env:GAS_KEY\"\nevery_secs = 5\nconfirmations = 0\ngive_up_after_secs = 1\n\
         [[route]]\nmatch = \"GET /joke\"\nprice = \"$0.001\"\n",
        store = folder.join("gate.db").display(),
        rpc = chain.rpc_url(),
    );
    std::fs::write(&path, text).unwrap();
    path
}
