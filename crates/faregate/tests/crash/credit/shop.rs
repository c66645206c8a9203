//! A shop that sells on credit beside a core that runs, and what its payers send.

use std::sync::atomic::{AtomicU32, Ordering};

use axum::Router;
use axum::routing::get;
use faregate_core::port::{CertificateStore as _, HeldCertificate};
use faregate_devnet::chain::VALIDATION_REGISTRY;
use faregate_ledger::{LedgerStore as _, PaymentState};
use faregate_types::PaymentId;
use faregate_types::credit::x402::{
    CreditEnvelope, Demand, SCHEME, TabRequest, TabTicket, is_credit,
};
use faregate_types::credit::{Certificate, read_answer};
use faregate_types::x402::{Version, header};
use serde_json::Value;
use tokio::net::TcpListener;

use crate::support::http;

use super::*;

/// What a joke costs.
pub(super) const PRICE: u64 = 1_000;

/// Both versions of the protocol, each with guarantees of its own.
pub(super) const BOTH: [Version; 2] = [Version::V1, Version::V2];

/// So long a payment has to be unchanged before a gate looks at it by itself, and a little more.
pub(super) const LEFT_ALONE: Duration = Duration::from_secs(11);

/// A town with collateral, and the file of a gate.
pub(super) struct Shop {
    pub(super) town: Town,
    pub(super) folder: TempDir,
    pub(super) url: String,
    /// How often the service was asked. Its answer is the number, so no two are the same.
    pub(super) runs: Arc<AtomicU32>,
}

/// A payment, as it is sent as often as somebody likes.
#[derive(Clone, Debug)]
pub(super) struct Promise {
    pub(super) version: Version,
    pub(super) claims: Claims,
    pub(super) envelope: CreditEnvelope,
    pub(super) offer: Value,
}

/// A service to sell that says how often it was asked.
async fn counter() -> (String, Arc<AtomicU32>) {
    let runs = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&runs);
    let joke = move || {
        let run = counted.fetch_add(1, Ordering::SeqCst);
        async move { format!("joke {run}") }
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().route("/joke", get(joke));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, runs)
}

/// A file of this process with `text`, which says `BIND` for where it listens.
pub(super) fn write_file(folder: &TempDir, kind: &str, text: &str) -> String {
    let bind = format!("127.0.0.1:{}", free_port());
    let path = folder.path().join(format!("{kind}.toml"));
    std::fs::write(path, text.replace("BIND", &bind)).unwrap();
    format!("http://{bind}")
}

impl Shop {
    /// With a core that reserves numbers, and so many payers: the dev accounts from the payer's on.
    pub(super) async fn open(payers: usize) -> (Self, Child) {
        let town = Town::new().await;
        let file = town.folder.path().join("credit.toml");
        let mut text = std::fs::read_to_string(&file).unwrap();
        text.push_str(&format!(
            "request_ids = \"reserved\"\nregistries = [\"{VALIDATION_REGISTRY}\"]\n"
        ));
        std::fs::write(&file, text).unwrap();
        let core = town.start(None).await;
        let token = town.chain.usdc();
        for account in PAYER..PAYER + payers {
            let payer = client(&town.url, account).await;
            let amount = U256::from(1_000 * PRICE);
            payer.user().approve(token, amount).await.unwrap();
            payer.user().deposit(token, amount).await.unwrap();
        }
        let (upstream, runs) = counter().await;
        let folder = tempfile::tempdir().unwrap();
        let text = format!(
            "[gate]\nbind = \"BIND\"\npublic_url = \"http://BIND\"\nupstream = \"{upstream}\"\nnetwork = \"base-sepolia\"\n\
             pay_to = \"{payee}\"\nmax_timeout_secs = 600\nstore = '{store}'\n\n\
             [gate.facilitator]\nrpc_url = \"{rpc}\"\nsigner_key = \"env:GAS_KEY\"\n\n\
             [gate.credit.condition]\nregistry = \"{VALIDATION_REGISTRY}\"\nvalidator = \"{payee}\"\nagent_id = 7\nmin_score = 80\n\
             tag = \"joke\"\njob_hash = \"0x{job}\"\n\n\
             [[gate.credit.core]]\nnetwork = \"base-sepolia\"\nurl = \"{core}\"\nrpc_url = \"{rpc}\"\ncontract = \"{CREDIT_CORE}\"\n\n\
             [[route]]\nmatch = \"GET /joke\"\nprice = \"$0.001\"\n",
            payee = town.recipient.address(),
            store = folder.path().join("gate.db").display(),
            rpc = town.chain.rpc_url(),
            core = town.url,
            job = "6a".repeat(32),
        );
        let url = write_file(&folder, "gate", &text);
        let shop = Self {
            town,
            folder,
            url,
            runs,
        };
        for account in PAYER..PAYER + payers {
            shop.locked(account, 0).await;
        }
        (shop, core)
    }

    pub(super) async fn gate(&self, point: Option<Point>) -> Child {
        start("gate", self.folder.path(), &self.url, point).await
    }

    /// What the gate asks for on credit.
    pub(super) async fn offer(&self, version: Version) -> Value {
        let url = format!("{}/joke", self.url);
        let answer = http().get(url).send().await.unwrap();
        assert_eq!(answer.status(), 402);
        let all: Value = match version {
            Version::V1 => answer.json().await.unwrap(),
            Version::V2 => {
                let said = &answer.headers()[header::PAYMENT_REQUIRED];
                header::decode_any(said.as_bytes()).unwrap()
            }
        };
        let mut offers = all["accepts"].as_array().unwrap().iter();
        let found = offers.find(|offer| is_credit(offer["scheme"].as_str().unwrap()));
        found.unwrap().clone()
    }

    /// A tab of this payer and a number on it, for what the gate asks for; `None` when there is none just now.
    pub(super) async fn ticket(
        &self,
        version: Version,
        payer: Address,
        offer: &Value,
    ) -> Option<TabTicket> {
        let demand = Demand::read(version, offer).unwrap();
        let body = TabRequest::for_offer(version, payer, offer, None);
        let request = http().post(demand.tab_endpoint().unwrap()).body(body);
        let request = request.header("content-type", "application/json");
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        let said = answer.bytes().await.ok()?;
        if status == 200 {
            return Some(read_answer(&said).unwrap());
        }
        assert_eq!(status, 503, "{}", String::from_utf8_lossy(&said));
        None
    }

    /// Something that this payer signs for the shop. The gate and the core have to be there.
    pub(super) async fn promised(&self, version: Version, payer: &CreditClient) -> Promise {
        let offer = self.offer(version).await;
        let ticket = self.ticket(version, payer.address(), &offer).await;
        self.signed(version, payer, offer, &ticket.unwrap()).await
    }

    pub(super) async fn signed(
        &self,
        version: Version,
        payer: &CreditClient,
        offer: Value,
        ticket: &TabTicket,
    ) -> Promise {
        let demand = Demand::read(version, &offer).unwrap();
        let now = Timestamp::from(SystemTime::now());
        let claims = demand.claims(payer.address(), ticket, now).unwrap();
        let signing = payer.user();
        let request = signing.sign_payment(claims.clone(), SigningScheme::Eip712);
        let envelope = CreditEnvelope {
            version,
            scheme: SCHEME.to_owned(),
            network: demand.network,
            request: request.await.unwrap(),
        };
        Promise {
            version,
            claims,
            envelope,
            offer,
        }
    }

    /// The answer to `GET /joke` with this payment; `None` when the gate went away instead.
    pub(super) async fn buy(&self, promise: &Promise) -> Option<(u16, String)> {
        let name = match promise.version {
            Version::V1 => header::X_PAYMENT,
            Version::V2 => header::PAYMENT_SIGNATURE,
        };
        let value = promise.envelope.to_header(&promise.offer, None);
        let request = http().get(format!("{}/joke", self.url)).header(name, value);
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        Some((status, answer.text().await.ok()?))
    }

    /// Buys with the same bytes, as often as it takes while nobody can say what became of them.
    pub(super) async fn bought(&self, promise: &Promise, case: &str) -> String {
        let bought = async {
            loop {
                let answer = self.buy(promise).await;
                if let Some((200, joke)) = answer {
                    return joke;
                }
                if let Some((status, said)) = answer {
                    assert!(is_passing(status, &said), "{case}: {status} {said}");
                }
                sleep(Duration::from_millis(50)).await;
            }
        };
        timeout(SOON, bought).await.expect(case)
    }

    pub(super) fn runs(&self) -> u32 {
        self.runs.load(Ordering::SeqCst)
    }

    /// The gate's books. They have to add up.
    pub(super) async fn books(&self) -> SqliteLedger {
        let ledger = SqliteLedger::open(self.folder.path().join("gate.db")).unwrap();
        let audit = ledger.audit().await.unwrap();
        assert!(audit.is_clean(), "{audit:?}");
        ledger
    }

    /// The one certificate that the core has of this promise, if it has issued it.
    pub(super) async fn issued(&self, promise: &Promise) -> Option<Certificate> {
        let claims = &promise.claims;
        let all = self.town.recipient.recipient();
        let all = all.guarantees(claims.tab_id).await.unwrap();
        let mut found = all.iter().filter(|found| found.req_id == claims.req_id);
        let certificate = found.next()?.certificate.clone();
        assert!(found.next().is_none(), "{all:?}");
        Some(certificate.unwrap().0)
    }

    /// Returns when the core says that this payer has so many jokes' worth locked.
    pub(super) async fn locked(&self, account: usize, jokes: u64) {
        let about = self.town.recipient.recipient();
        let (payer, token) = (
            Devchain::accounts()[account].address,
            self.town.chain.usdc(),
        );
        let is_so = async {
            loop {
                let found = about.balance(payer, token).await.unwrap();
                if found.is_some_and(|found| {
                    !found.total.is_zero() && found.locked == U256::from(jokes * PRICE)
                }) {
                    return;
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(SOON, is_so).await.unwrap();
    }

    /// Nobody is charged for this promise, or once, and then the gate has the core's certificate, which is good.
    pub(super) async fn agrees(&self, promise: &Promise, is_issued: bool, case: &str) {
        let issued = self.issued(promise).await;
        assert_eq!(issued.is_some(), is_issued, "{case}");
        let (state, held) = held(&self.books().await, promise).await;
        let certificate = held.map(|held| held.certificate);
        assert_eq!(certificate, issued, "{case}");
        let expected = match is_issued {
            true => PaymentState::Settled,
            false => PaymentState::Reserved,
        };
        assert_eq!(state, Some(expected), "{case}");
        if let Some(certificate) = certificate {
            let about = self.town.recipient.recipient();
            let said = about.verify_payment_guarantee(&certificate).unwrap();
            let (claims, said) = (&promise.claims, (said.tab_id, said.req_id, said.amount));
            assert_eq!(
                said,
                (claims.tab_id, claims.req_id, claims.amount),
                "{case}"
            );
        }
    }
}

/// Nothing is refused, and nobody knows yet: the payer is to send the same bytes again.
pub(super) fn is_passing(status: u16, said: &str) -> bool {
    let codes = [
        "settlement_pending",
        "credit_core_unavailable",
        "payment_in_flight",
    ];
    codes
        .iter()
        .any(|code| said.contains(&format!("\"{code}\"")))
        || matches!(status, 502..=504)
}

/// What a gate's books say of a promise.
pub(super) async fn held(
    books: &SqliteLedger,
    promise: &Promise,
) -> (Option<PaymentState>, Option<HeldCertificate>) {
    let id = id(promise);
    let payment = books.payment(id).await.unwrap();
    let certificate = books.certificate(id).await.unwrap();
    (payment.map(|payment| payment.state), certificate)
}

fn id(promise: &Promise) -> PaymentId {
    let (chain, claims) = (ChainId::BASE_SEPOLIA, &promise.claims);
    PaymentId::credit(
        chain,
        claims.payer,
        claims.recipient,
        claims.tab_id,
        claims.req_id,
    )
}
