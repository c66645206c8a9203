//! Credit at the gate of the whole stack: claims signed by hand, through the gate's tab endpoint, over the core's real books.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use axum::body::{Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use faregate::stack::Stack;
use faregate_client::credit::{CoreIssuer, CreditClient, Signer as _};
use faregate_core::port::{CertificateStore, Issuer};
use faregate_core::rail::credit::Credit;
use faregate_devnet::Devchain;
use faregate_remote::{RemoteConfig, RemoteFacilitator};
use faregate_server::config::{Config, Env};
use faregate_server::gateway::{Deps, Gateway};
use faregate_server::http::Running;
use faregate_store::memory::MemoryLedger;
use faregate_types::credit::x402::{CreditEnvelope, Demand, TabRequest, TabTicket, is_credit};
use faregate_types::credit::{Encoding, GuaranteeRequest, SigningScheme, digest, read_answer};
use faregate_types::x402::{Version, header};
use faregate_types::{Address, ChainId, Code, PaymentId, Timestamp, U256};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::credit_process::{PAYER, RECIPIENT, client, signer};
use crate::support::{http, stack};

const PRICE: u64 = 1_000;
const DEPOSIT: u64 = 1_000_000;
/// The account that the stack's core knows as one that acts for others.
const FACILITATOR: usize = 0;
/// Somebody without collateral.
const STRANGER: usize = 4;
const TABS: &str = "/.well-known/faregate/tabs";

fn address(account: usize) -> Address {
    Devchain::accounts()[account].address
}

fn now() -> Timestamp {
    Timestamp::from(SystemTime::now())
}

/// A payer with collateral, at a gate.
#[derive(Clone)]
struct Payer {
    gate: String,
    http: reqwest::Client,
    account: usize,
}

/// What somebody is told.
#[derive(Debug)]
struct Heard {
    status: u16,
    headers: HeaderMap,
    body: Value,
}

impl Heard {
    async fn of(answer: reqwest::Response) -> Self {
        Self {
            status: answer.status().as_u16(),
            headers: answer.headers().clone(),
            body: answer.json().await.unwrap_or_default(),
        }
    }

    /// The receipt, of whichever version.
    fn receipt(&self) -> Value {
        let names = [header::PAYMENT_RESPONSE, header::X_PAYMENT_RESPONSE];
        let value = names.iter().find_map(|name| self.headers.get(*name));
        header::decode_any(value.unwrap().as_bytes()).unwrap()
    }
}

impl Payer {
    fn at(gate: String) -> Self {
        Self {
            gate,
            http: http(),
            account: PAYER,
        }
    }

    async fn unpaid(&self) -> Heard {
        let answer = self.http.get(format!("{}/joke", self.gate)).send();
        let heard = Heard::of(answer.await.unwrap()).await;
        assert_eq!(heard.status, 402);
        heard
    }

    /// The offer on credit, and what is bought.
    async fn offer(&self, version: Version) -> (Value, Option<Value>) {
        let unpaid = self.unpaid().await;
        let said = match version {
            Version::V1 => unpaid.body,
            Version::V2 => {
                let value = &unpaid.headers[header::PAYMENT_REQUIRED];
                header::decode_any(value.as_bytes()).unwrap()
            }
        };
        let accepts = said["accepts"].as_array().unwrap();
        let on_credit = |offer: &&Value| is_credit(offer["scheme"].as_str().unwrap());
        // Others do not know it: those who take the first offer find another one there.
        assert!(!on_credit(&&accepts[0]), "{accepts:?}");
        let offer = accepts.iter().find(on_credit).unwrap().clone();
        (offer, said.get("resource").cloned())
    }

    async fn post_tab(&self, body: String) -> Heard {
        let url = format!("{}{TABS}", self.gate);
        Heard::of(self.http.post(url).body(body).send().await.unwrap()).await
    }

    async fn tab(&self, version: Version, offer: &Value, resource: Option<&Value>) -> TabTicket {
        let endpoint = offer["extra"]["tabEndpoint"].as_str().unwrap();
        assert_eq!(endpoint, format!("{}{TABS}", self.gate));
        let body = TabRequest::for_offer(version, address(self.account), offer, resource);
        let heard = self.post_tab(body).await;
        assert_eq!(heard.status, 200, "{heard:?}");
        let ticket: TabTicket = read_answer(heard.body.to_string().as_bytes()).unwrap();
        assert!(ticket.ttl_seconds.unwrap() > 0 && ticket.start.unwrap() > Timestamp::from_secs(1));
        ticket
    }

    /// A payment with the next number, changed before it is signed.
    async fn payment(&self, version: Version, change: impl FnOnce(&mut Demand)) -> (String, U256) {
        let (offer, resource) = self.offer(version).await;
        let ticket = self.tab(version, &offer, resource.as_ref()).await;
        let mut demand = Demand::read(version, &offer).unwrap();
        change(&mut demand);
        let claims = demand.claims(address(self.account), &ticket, now());
        let claims = claims.unwrap();
        let candidates = Encoding::candidates(claims.version(), SigningScheme::Eip712);
        let domain = digest::domain_separator("4mica", "1", ChainId::BASE_SEPOLIA);
        let digest = claims.digest(candidates[0], domain).unwrap();
        let envelope = CreditEnvelope {
            version,
            scheme: offer["scheme"].as_str().unwrap().to_owned(),
            network: offer["network"].as_str().unwrap().to_owned(),
            request: GuaranteeRequest {
                signature: signer(self.account).sign_digest(digest).await.unwrap(),
                claims,
                scheme: SigningScheme::Eip712,
            },
        };
        let number = ticket.next_req_id.unwrap();
        (envelope.to_header(&offer, resource.as_ref()), number)
    }

    async fn pay(&self, version: Version, payment: &str) -> Heard {
        let name = match version {
            Version::V1 => header::X_PAYMENT,
            Version::V2 => header::PAYMENT_SIGNATURE,
        };
        let url = format!("{}/joke", self.gate);
        let asked = self.http.get(url).header(name, payment).send();
        Heard::of(asked.await.unwrap()).await
    }

    async fn buys(&self, version: Version) -> Heard {
        let (payment, _) = self.payment(version, |_| ()).await;
        let heard = self.pay(version, &payment).await;
        assert_eq!(heard.status, 200, "{heard:?}");
        heard
    }
}

/// Collateral for the payer, and what the core says of it.
struct Books(CreditClient, Address);

impl Books {
    async fn open(stack: &Stack) -> Self {
        let credit = stack.credit().unwrap();
        let payer = client(&credit.url(), credit.contract(), PAYER).await;
        let token = stack.asset.id.token();
        let (chain, amount) = (stack.devchain().unwrap(), U256::from(DEPOSIT));
        chain.mint_usdc(address(PAYER), amount).await.unwrap();
        payer.user().approve(token, amount).await.unwrap();
        payer.user().deposit(token, amount).await.unwrap();
        let recipient = client(&credit.url(), credit.contract(), RECIPIENT).await;
        let books = Self(recipient, token);
        // Deposits are in the books a moment after their block.
        for _ in 0..200 {
            if books.locked().await == Some(0) {
                return books;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the deposit does not arrive");
    }

    async fn locked(&self) -> Option<u64> {
        let balance = self.0.recipient().balance(address(PAYER), self.1).await;
        balance.unwrap().map(|balance| balance.locked.to())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_guarantee_of_either_version_buys_a_joke_and_is_kept_for_the_seller() {
    let stack = stack().await;
    let books = Books::open(&stack).await;
    let payer = Payer::at(stack.gate_url());
    for (version, bought) in [(Version::V1, 1), (Version::V2, 2)] {
        let (payment, number) = payer.payment(version, |_| ()).await;
        let sold = payer.pay(version, &payment).await;
        assert_eq!(sold.status, 200, "{sold:?}");
        assert_eq!(
            (stack.jokes_told(), books.locked().await),
            (bought, Some(bought * PRICE))
        );
        let receipt = sold.receipt();
        assert_eq!(receipt["success"], true, "{receipt}");
        // A copy gets the same answer, and nothing more is owed.
        let copy = payer.pay(version, &payment).await;
        assert_eq!((copy.status, &copy.body), (200, &sold.body));
        assert_eq!(
            (stack.jokes_told(), books.locked().await),
            (bought, Some(bought * PRICE))
        );
        // The seller holds what the core issued.
        let (offer, resource) = payer.offer(version).await;
        let tab = payer.tab(version, &offer, resource.as_ref()).await.tab_id;
        let id = PaymentId::credit(stack.chain, address(PAYER), address(RECIPIENT), tab, number);
        let held = stack.ledger.certificate(id).await.unwrap().unwrap();
        let says = books
            .0
            .recipient()
            .verify_payment_guarantee(&held.certificate);
        assert_eq!(says.unwrap().total_amount, U256::from(PRICE));
    }
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_what_was_asked_for_is_a_coded_402_and_locks_nothing() {
    let stack = stack().await;
    let books = Books::open(&stack).await;
    let payer = Payer::at(stack.gate_url());
    type Change = fn(&mut Demand);
    let changes: [(Change, Code); 3] = [
        (
            |demand| demand.amount += U256::ONE,
            Code::CreditAmountMismatch,
        ),
        (
            |demand| demand.amount -= U256::ONE,
            Code::CreditAmountMismatch,
        ),
        (
            |demand| {
                if let Some(condition) = &mut demand.condition {
                    condition.min_score -= 1;
                } else {
                    demand.amount += U256::ONE;
                }
            },
            Code::CreditConditionMismatch,
        ),
    ];
    for version in [Version::V1, Version::V2] {
        for (change, code) in changes {
            let (payment, _) = payer.payment(version, change).await;
            let refused = payer.pay(version, &payment).await;
            assert_eq!(refused.status, 402, "{refused:?}");
            let code = match version {
                Version::V1 => Code::CreditAmountMismatch,
                Version::V2 => code,
            };
            let said = refused.headers.get(header::PAYMENT_REQUIRED).unwrap();
            let said: Value = header::decode_any(said.as_bytes()).unwrap();
            let texts = format!("{} {said}", refused.body);
            assert!(texts.contains(code.as_str()), "{code}: {texts}");
        }
    }
    // Somebody else's signature under the payer's name.
    let (payment, _) = payer.payment(Version::V1, |_| ()).await;
    let mut forged: Value = header::decode_any(payment.as_bytes()).unwrap();
    let text = forged["payload"]["signature"].as_str().unwrap();
    let digit = if &text[2..3] == "1" { "2" } else { "1" };
    forged["payload"]["signature"] = format!("0x{digit}{}", &text[3..]).into();
    let refused = payer.pay(Version::V1, &header::encode(&forged)).await;
    assert_eq!(refused.status, 402, "{refused:?}");
    assert_eq!((stack.jokes_told(), books.locked().await), (0, Some(0)));
    // Nothing of it was in the way of a good payment.
    payer.buys(Version::V1).await;
    payer.buys(Version::V2).await;
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_tab_endpoint_says_what_is_wrong() {
    let stack = stack().await;
    let _books = Books::open(&stack).await;
    let payer = Payer::at(stack.gate_url());
    let (offer, _) = payer.offer(Version::V1).await;
    // SDK 0.4.3 says no version, and shows the offer as it was.
    let old = json!({ "userAddress": address(PAYER), "paymentRequirements": offer });
    assert_eq!(payer.post_tab(old.to_string()).await.status, 200);
    let mut elsewhere = offer.clone();
    elsewhere["payTo"] = json!(address(STRANGER));
    let mut amount = offer.clone();
    amount["maxAmountRequired"] = "5".into();
    let body = |version: u64, payer: usize, offer: &Value| {
        json!({ "x402Version": version, "userAddress": address(payer), "paymentRequirements": offer }).to_string()
    };
    for (body, status, code) in [
        (body(1, PAYER, &amount), 200, None),
        (
            body(1, PAYER, &elsewhere),
            400,
            Some(Code::NoMatchingRequirements),
        ),
        (body(3, PAYER, &offer), 400, Some(Code::InvalidX402Version)),
        (
            body(1, STRANGER, &offer),
            400,
            Some(Code::CreditPayerUnknown),
        ),
        ("{".to_owned(), 400, Some(Code::InvalidPaymentRequirements)),
        ("x".repeat(20_000), 413, Some(Code::BodyTooLarge)),
    ] {
        let heard = payer.post_tab(body.clone()).await;
        assert_eq!(heard.status, status, "{body:.200}: {heard:?}");
        let said = code.map_or(Value::Null, |code: Code| code.as_str().into());
        assert_eq!(heard.body["code"], said, "{heard:?}");
        assert_eq!(heard.body["error"].is_string(), code.is_some());
        assert_eq!(heard.headers["access-control-allow-origin"], "*");
        assert_eq!(heard.headers["cache-control"], "no-store");
    }
    let url = format!("{}{TABS}", stack.gate_url());
    let got = http().get(&url).send().await.unwrap();
    assert_eq!(
        (got.status().as_u16(), &got.headers()["allow"]),
        (405, &"POST, OPTIONS".parse().unwrap())
    );
    let asked = http().request(Method::OPTIONS, &url).send().await.unwrap();
    assert_eq!(asked.status().as_u16(), 204);
    stack.shutdown().await;
}

/// Stands before a core: counts what it is asked, and can be away.
#[derive(Clone)]
struct Before {
    core: String,
    http: reqwest::Client,
    asked: Arc<Mutex<Vec<String>>>,
    away: Arc<AtomicBool>,
}

impl Before {
    async fn start(core: String) -> (String, Self) {
        let before = Self {
            core,
            http: http(),
            asked: Arc::default(),
            away: Arc::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let app = axum::Router::new()
            .fallback(pass)
            .with_state(before.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        (url, before)
    }

    fn asked(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for call in std::mem::take(&mut *self.asked.lock().unwrap()) {
            *counts.entry(call).or_default() += 1;
        }
        counts
    }
}

async fn pass(State(before): State<Before>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let call = format!("{} {}", head.method, head.uri.path());
    before.asked.lock().unwrap().push(call);
    if before.away.load(Ordering::SeqCst) {
        return StatusCode::BAD_GATEWAY.into_response();
    }
    let body = to_bytes(body, 1_000_000).await.unwrap();
    let target = format!("{}{}", before.core, head.uri);
    let mut headers = head.headers;
    headers.remove("host");
    let asked = before.http.request(head.method, target);
    let answer = asked.headers(headers).body(body).send().await.unwrap();
    let (status, kind) = (
        answer.status(),
        answer.headers().get("content-type").cloned(),
    );
    let body: Bytes = answer.bytes().await.unwrap();
    let mut response = (status, body).into_response();
    response
        .headers_mut()
        .extend(kind.map(|kind| (axum::http::header::CONTENT_TYPE, kind)));
    response
}

/// A gate before the stack's seller, whose core is behind this address.
async fn gate(stack: &Stack, core: &str) -> (Running, Arc<MemoryLedger>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let gate = listener.local_addr().unwrap();
    let text = format!(
        "[gate]\npublic_url = \"http://{gate}\"\nupstream = \"{}\"\nnetwork = \"base-sepolia\"\npay_to = \"{}\"\n\
         facilitator = {{ url = \"{}\" }}\n[gate.credit]\n[[gate.credit.core]]\nnetwork = \"base-sepolia\"\nurl = \"{core}\"\n\
         rpc_url = \"{}\"\n[[route]]\nmatch = \"GET /joke\"\nprice = \"$0.001\"\ndescription = \"a joke\"\n",
        upstream(stack).await,
        address(RECIPIENT),
        stack.facilitator_url(),
        stack.rpc_url(),
    );
    let config = Config::parse(&text, &Env::new()).unwrap().gate.unwrap();
    let issuer = CreditClient::builder()
        .service(core.parse().unwrap())
        .node(stack.rpc_url().parse().unwrap())
        .signer(signer(FACILITATOR))
        .sign_in();
    let issuer: Arc<dyn Issuer> = Arc::new(CoreIssuer::new(issuer, stack.chain));
    let ledger = Arc::new(MemoryLedger::new());
    let clock: Arc<dyn faregate_core::Clock> = Arc::new(now);
    let remote = RemoteConfig::new(stack.facilitator_url().parse().unwrap());
    let deps = Deps {
        facilitator: Some(Arc::new(RemoteFacilitator::new(remote).unwrap())),
        l402: None,
        permits: None,
        credit: Some(Credit::new(
            [issuer],
            Arc::clone(&ledger) as _,
            Arc::clone(&clock),
        )),
        store: Arc::clone(&ledger) as _,
        clock,
        events: None,
    };
    let running = Gateway::start_on(listener, config, deps).await.unwrap();
    (running, ledger)
}

/// The thing that is sold, counted by nobody.
async fn upstream(_: &Stack) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = axum::Router::new().fallback(|| async { axum::Json(json!({ "joke": "knock" })) });
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_at_once_of_one_payer_all_get_their_joke_for_one_round_trip_each() {
    const ALL: usize = 100;
    let stack = stack().await;
    let books = Books::open(&stack).await;
    let (core, before) = Before::start(stack.credit().unwrap().url()).await;
    let (gate, _ledger) = gate(&stack, &core).await;
    let payer = Payer::at(format!("http://{}", gate.addr()));
    // Whoever comes first finds nobody signed in.
    payer.buys(Version::V1).await;
    before.asked();
    let all = (0..ALL).map(|_| {
        let payer = payer.clone();
        tokio::spawn(async move {
            let (payment, number) = payer.payment(Version::V1, |_| ()).await;
            (payer.pay(Version::V1, &payment).await, number)
        })
    });
    let all: Vec<_> = all.collect();
    let mut numbers = BTreeSet::new();
    for one in all {
        let (heard, number) = one.await.unwrap();
        assert_eq!(heard.status, 200, "{heard:?}");
        numbers.insert(number);
    }
    assert_eq!(numbers.len(), ALL);
    assert_eq!(books.locked().await, Some((1 + ALL as u64) * PRICE));
    // One question for each payment, and none for the tab, which was there.
    let guarantees = BTreeMap::from([("POST /core/guarantees".to_owned(), ALL)]);
    assert_eq!(before.asked(), guarantees);
    gate.shutdown().await;
    stack.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_core_is_away_nothing_is_charged_and_other_rails_go_on() {
    let stack = stack().await;
    let books = Books::open(&stack).await;
    let (core, before) = Before::start(stack.credit().unwrap().url()).await;
    before.away.store(true, Ordering::SeqCst);
    let (gate, _ledger) = gate(&stack, &core).await;
    let url = format!("http://{}", gate.addr());
    let payer = Payer::at(url.clone());
    // The gate starts, is ready, and asks for money.
    let ready = http().get(format!("{url}/readyz")).send().await.unwrap();
    assert_eq!(ready.status().as_u16(), 200);
    let said: Value = ready.json().await.unwrap();
    assert_eq!(
        said,
        json!({ "status": "ok", "away": ["credit on eip155:84532"] })
    );
    let (offer, _) = payer.offer(Version::V1).await;
    let body = TabRequest::for_offer(Version::V1, address(PAYER), &offer, None);
    let heard = payer.post_tab(body).await;
    assert_eq!(
        (heard.status, &heard.body["code"]),
        (503, &json!("credit_core_unavailable"))
    );
    assert!(heard.headers.contains_key("retry-after"));
    // Who is signed for elsewhere is not turned away for good.
    let (payment, _) = Payer::at(stack.gate_url())
        .payment(Version::V1, |_| ())
        .await;
    let heard = payer.pay(Version::V1, &payment).await;
    assert_eq!(heard.status, 503, "{heard:?}");
    assert!(heard.headers.contains_key("retry-after"));
    // It comes, signatures can be checked, and it goes again: it may have issued the guarantee, so nobody signs another one.
    before.away.store(false, Ordering::SeqCst);
    tokio::time::sleep(Duration::from_millis(1_100)).await;
    payer.payment(Version::V1, |_| ()).await;
    before.away.store(true, Ordering::SeqCst);
    let heard = payer.pay(Version::V1, &payment).await;
    assert_eq!(
        (heard.status, &heard.body["code"]),
        (402, &json!("settlement_pending")),
        "{heard:?}"
    );
    assert!(heard.headers.contains_key("retry-after"));
    assert_eq!(books.locked().await, Some(0));
    // The same payment buys it later, once.
    before.away.store(false, Ordering::SeqCst);
    let heard = payer.pay(Version::V1, &payment).await;
    assert_eq!(heard.status, 200, "{heard:?}");
    assert_eq!(books.locked().await, Some(PRICE));
    gate.shutdown().await;
    stack.shutdown().await;
}
