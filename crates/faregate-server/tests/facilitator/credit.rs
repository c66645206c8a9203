//! Scheme `4mica-credit`: tabs, verdicts and certificates, for clients of the credit network and of x402.

use std::sync::{Arc, Mutex};

use faregate_core::port::{Away, IssueError, IssueOutcome, Issuer, TabAsk};
use faregate_server::config::{Config, Env};
use faregate_server::facilitator::{Access, CreditNetworks, Settings};
use faregate_store::memory::MemoryLedger;
use faregate_types::credit::x402::{CreditEnvelope, Demand, SCHEME, TabTicket};
use faregate_types::credit::{
    BlsSecretKey, Certificate, Guarantee, GuaranteeRequest, GuaranteeVersion, SigningScheme,
    parse_signature,
};
use faregate_types::x402::Version;
use faregate_types::{Address, B256, ChainId, Code, Refusal, Timestamp, U256};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};

use super::kit::{Desk, Fake};
use super::payment::Payer;

const PAYER: Address = Address::repeat_byte(0x11);
const SHOP: Address = Address::repeat_byte(0x22);
const TOKEN: Address = Address::repeat_byte(0x33);

/// A core that says what it is told to, and counts.
struct Core {
    chain: ChainId,
    says: Mutex<Says>,
    asked: Mutex<Vec<&'static str>>,
}

#[derive(Clone, Copy, Debug)]
enum Says {
    Yes,
    No(Code),
    Nothing,
}

impl Core {
    fn on(chain: ChainId) -> Arc<Self> {
        Arc::new(Self {
            chain,
            says: Mutex::new(Says::Yes),
            asked: Mutex::default(),
        })
    }

    fn will(&self, says: Says) {
        *self.says.lock().unwrap() = says;
    }

    fn asked(&self) -> Vec<&'static str> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }

    fn answer(&self, call: &'static str) -> Result<(), IssueError> {
        self.asked.lock().unwrap().push(call);
        match *self.says.lock().unwrap() {
            Says::Yes => Ok(()),
            Says::No(code) => Err(Refusal::new(code).into()),
            Says::Nothing => Err(AWAY.into()),
        }
    }
}

const AWAY: Away = Away {
    code: Code::CreditCoreUnavailable,
};

impl Issuer for Core {
    fn issued<'a>(
        &'a self,
        _request: &'a GuaranteeRequest,
    ) -> BoxFuture<'a, Result<Option<Certificate>, IssueError>> {
        Box::pin(std::future::ready(Ok(None)))
    }

    fn authenticate<'a>(
        &'a self,
        _request: &'a GuaranteeRequest,
    ) -> BoxFuture<'a, Result<(), IssueError>> {
        Box::pin(std::future::ready(Ok(())))
    }

    fn chain(&self) -> ChainId {
        self.chain
    }

    fn versions(&self) -> BoxFuture<'_, Result<Vec<GuaranteeVersion>, Away>> {
        let answer = self.answer("versions");
        Box::pin(async {
            answer
                .map(|()| GuaranteeVersion::ALL.to_vec())
                .map_err(|_| AWAY)
        })
    }

    fn open<'a>(&'a self, ask: &'a TabAsk) -> BoxFuture<'a, Result<TabTicket, IssueError>> {
        let answer = self.answer("open");
        Box::pin(async move {
            answer.map(|()| TabTicket {
                tab_id: U256::from(0xabc),
                payer: ask.payer,
                recipient: Some(ask.recipient),
                asset: Some(ask.asset),
                start: Some(Timestamp::from_secs(17)),
                ttl_seconds: Some(ask.ttl_secs.unwrap_or(86_400)),
                next_req_id: Some(U256::from(ask.version.number())),
            })
        })
    }

    fn check<'a>(
        &'a self,
        _request: &'a GuaranteeRequest,
    ) -> BoxFuture<'a, Result<(), IssueError>> {
        let answer = self.answer("check");
        Box::pin(async { answer })
    }

    fn issue<'a>(&'a self, request: &'a GuaranteeRequest) -> BoxFuture<'a, IssueOutcome> {
        let answer = self.answer("issue");
        Box::pin(async move {
            match answer {
                Ok(()) => IssueOutcome::Issued(certificate(request)),
                Err(IssueError::Refused(refusal)) => IssueOutcome::Refused(refusal),
                Err(IssueError::Away(Away { code })) => IssueOutcome::Unknown(code),
            }
        })
    }
}

fn certificate(request: &GuaranteeRequest) -> Certificate {
    let claims = &request.claims;
    let guarantee = Guarantee::of(claims, B256::repeat_byte(7), claims.amount).unwrap();
    Certificate::issue(&guarantee, &BlsSecretKey::from_bytes(&[7; 32]).unwrap())
}

/// A desk before these cores, whose file has these lines below `[facilitator]`.
fn desk(cores: &[&Arc<Core>], lines: &str) -> Desk {
    let gas = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80";
    let env: Env = [("GAS", gas), ("A", "key-of-shop-a-0123456789")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into();
    let text = format!(
        "[facilitator]\nsigner_key = \"env:GAS\"\nnetwork = \"base-sepolia\"\nrpc_url = \"http://127.0.0.1:1\"\n{lines}"
    );
    let config = Config::parse(&text, &env).unwrap_or_else(|errors| panic!("{errors}"));
    let access = Access::new(&config.facilitator.unwrap().access, &env).unwrap();
    let cores = cores.iter().map(|core| Arc::clone(core) as _).collect();
    let settings = Settings::default()
        .access(access)
        .credit(CreditNetworks::new(cores));
    Desk::set(Fake::default(), Arc::new(MemoryLedger::new()), settings)
}

fn offer() -> Value {
    json!({
        "scheme": SCHEME, "network": "base-sepolia", "maxAmountRequired": "1000", "payTo": SHOP, "asset": TOKEN,
        "resource": "/premium", "extra": { "tabEndpoint": "https://api.example.com/tab" },
    })
}

fn ticket() -> TabTicket {
    TabTicket {
        tab_id: U256::from(0xabc),
        payer: PAYER,
        recipient: None,
        asset: None,
        start: None,
        ttl_seconds: None,
        next_req_id: None,
    }
}

/// A request about a payment for this offer, as a header.
fn body(offer: &Value) -> Value {
    let mut signature = [1; 65];
    *signature.last_mut().unwrap() = 27;
    let demand = Demand::read(Version::V1, offer).unwrap();
    let claims = demand.claims(PAYER, &ticket(), Timestamp::from_secs(1));
    let payment = CreditEnvelope {
        version: Version::V1,
        scheme: SCHEME.to_owned(),
        network: demand.network,
        request: GuaranteeRequest {
            claims: claims.unwrap(),
            signature: parse_signature(&signature).unwrap(),
            scheme: SigningScheme::Eip712,
        },
    };
    json!({
        "x402Version": 1, "paymentHeader": payment.to_header(offer, None), "paymentRequirements": offer,
    })
}

#[tokio::test]
async fn a_payment_becomes_a_certificate() {
    let core = Core::on(ChainId::BASE_SEPOLIA);
    let desk = desk(&[&core], "");
    let body = body(&offer()).to_string();
    let verdict = desk.post("/verify", body.clone()).await;
    assert_eq!(
        verdict.json(),
        json!({ "isValid": true, "invalidReason": null, "payer": PAYER.to_string() })
    );
    let settled = desk.post("/settle", body.clone()).await;
    let answer = settled.json();
    assert_eq!(
        (&answer["success"], &answer["networkId"], &answer["network"]),
        (&json!(true), &json!("base-sepolia"), &json!("base-sepolia"))
    );
    assert_eq!(
        (&answer["error"], &answer["txHash"], &answer["transaction"]),
        (&Value::Null, &Value::Null, &json!(""))
    );
    let claims = answer["certificate"]["claims"].as_str().unwrap();
    assert!(claims.starts_with("0x"), "{claims}");
    assert_eq!(desk.post("/settle", body).await, settled);
    assert_eq!(core.asked(), ["check", "issue", "issue"]);
    assert_eq!(desk.fake.settlements(), 0);
}

#[tokio::test]
async fn what_does_not_meet_the_offer_never_reaches_the_core() {
    let core = Core::on(ChainId::BASE_SEPOLIA);
    let desk = desk(&[&core], "");
    for (member, value, reason) in [
        ("maxAmountRequired", json!("1001"), "credit_amount_mismatch"),
        ("maxAmountRequired", json!("999"), "credit_amount_mismatch"),
        ("payTo", json!(PAYER), "credit_recipient_mismatch"),
        ("asset", json!(PAYER), "credit_asset_mismatch"),
        ("network", json!("eip155:8453"), "network_mismatch"),
        ("scheme", json!("4mica-debit"), ""),
    ] {
        let mut changed = body(&offer());
        changed["paymentRequirements"][member] = value;
        let verdict = desk.post("/verify", changed.to_string()).await;
        assert_eq!(verdict.status, 200);
        let settled = desk.post("/settle", changed.to_string()).await;
        assert_eq!(settled.status, 200);
        if reason.is_empty() {
            // Sellers may call the scheme otherwise.
            assert_eq!(settled.json()["success"], true);
            assert_eq!(core.asked(), ["check", "issue"]);
            continue;
        }
        assert_eq!(verdict.json()["invalidReason"], reason);
        assert_eq!(verdict.json()["isValid"], false);
        assert_eq!(settled.json()["errorReason"], reason);
        assert_eq!(settled.json()["payer"], PAYER.to_string());
        assert!(settled.json()["error"].is_string());
        assert_eq!(core.asked(), [] as [&str; 0], "{member}");
    }
    let mut elsewhere = offer();
    elsewhere["network"] = "base".into();
    let verdict = desk.post("/verify", body(&elsewhere).to_string()).await;
    assert_eq!(verdict.json()["invalidReason"], "invalid_network");
}

#[tokio::test]
async fn what_the_core_says_is_the_verdict() {
    let core = Core::on(ChainId::BASE_SEPOLIA);
    let desk = desk(&[&core], "");
    let body = body(&offer()).to_string();
    core.will(Says::No(Code::CreditCollateralTooLow));
    let verdict = desk.post("/verify", body.clone()).await.json();
    assert_eq!(verdict["invalidReason"], "credit_collateral_too_low");
    let settled = desk.post("/settle", body.clone()).await.json();
    assert_eq!(settled["errorReason"], "credit_collateral_too_low");
    core.will(Says::Nothing);
    let verdict = desk.post("/verify", body.clone()).await;
    assert_eq!(verdict.status, 503);
    assert!(verdict.header("retry-after").is_some());
    // It may have been issued: the same payment may be settled again.
    let settled = desk.post("/settle", body).await;
    assert_eq!(settled.status, 200);
    assert_eq!(settled.json()["errorReason"], "settlement_pending");
}

#[tokio::test]
async fn a_core_that_is_away_takes_only_its_network_with_it() {
    let (near, far) = (Core::on(ChainId::BASE_SEPOLIA), Core::on(ChainId::BASE));
    let desk = desk(&[&near, &far], "");
    let credit = async || {
        let supported = desk.get("/supported").await.json();
        let kinds = supported["kinds"].as_array().unwrap().clone();
        let kinds = kinds.into_iter().filter(|kind| kind["scheme"] == SCHEME);
        let kinds = kinds.map(|kind| {
            let network = kind["network"].as_str().unwrap().to_owned();
            (network, kind["x402Version"].as_u64().unwrap())
        });
        kinds.collect::<Vec<_>>()
    };
    let on = |network: &str, version| (network.to_owned(), version);
    let all = [
        on("eip155:84532", 1),
        on("eip155:84532", 2),
        on("eip155:8453", 1),
        on("eip155:8453", 2),
    ];
    assert_eq!(credit().await, all);
    far.will(Says::Nothing);
    assert_eq!(credit().await, all.get(..2).unwrap());
    let settled = desk.post("/settle", body(&offer()).to_string()).await;
    assert_eq!(settled.json()["success"], true);
}

#[tokio::test]
async fn tabs_are_opened_by_every_name_they_ever_had() {
    let core = Core::on(ChainId::BASE_SEPOLIA);
    let desk = desk(&[&core], "");
    let open = async |body: Value| desk.post("/tabs", body.to_string()).await;
    let opened = open(
        json!({ "userAddress": PAYER, "recipientAddress": SHOP, "network": "eip155:84532",
        "erc20Token": TOKEN, "ttlSeconds": 60, "guaranteeVersion": 2 }),
    )
    .await;
    assert_eq!(
        opened.json(),
        json!({ "tabId": "0xabc", "userAddress": PAYER.to_string(), "recipientAddress": SHOP.to_string(),
            "assetAddress": TOKEN.to_string(), "startTimestamp": 17, "ttlSeconds": 60, "nextReqId": "0x2" })
    );
    // ETH, version 1, the first network.
    let short = open(json!({ "user_address": PAYER, "recipient_address": SHOP })).await;
    assert_eq!(short.status, 200);
    assert_eq!(short.json()["assetAddress"], Address::ZERO.to_string());
    assert_eq!(short.json()["nextReqId"], "0x1");
    // A payer that was sent here shows its offer.
    let shown = open(json!({ "userAddress": PAYER, "paymentRequirements": offer() })).await;
    assert_eq!(shown.json()["recipientAddress"], SHOP.to_string());
    assert_eq!(core.asked(), ["open"; 3]);
    for (body, status) in [
        (json!({ "userAddress": PAYER }), 400),
        (
            json!({ "userAddress": PAYER, "recipientAddress": SHOP, "network": "nowhere" }),
            400,
        ),
        (
            json!({ "userAddress": PAYER, "recipientAddress": SHOP, "guaranteeVersion": 3 }),
            400,
        ),
        (
            json!({ "userAddress": "0x1", "recipientAddress": SHOP }),
            400,
        ),
    ] {
        let refused = open(body).await;
        assert_eq!(refused.status, status);
        assert!(refused.json()["error"].is_string(), "{refused:?}");
    }
    assert_eq!(core.asked(), [] as [&str; 0]);
    let ask = json!({ "userAddress": PAYER, "recipientAddress": SHOP });
    core.will(Says::No(Code::CreditSuspended));
    assert_eq!(open(ask.clone()).await.status, 403);
    core.will(Says::Nothing);
    assert_eq!(open(ask).await.status, 503);
}

#[tokio::test]
async fn a_caller_opens_tabs_for_its_own_payees_only() {
    let core = Core::on(ChainId::BASE_SEPOLIA);
    let lines = format!(
        "[[facilitator.caller]]\nname = \"shop\"\nkey = \"env:A\"\npayees = [\"{SHOP}\"]\n"
    );
    let desk = desk(&[&core], &lines);
    let ask = json!({ "userAddress": PAYER, "recipientAddress": SHOP });
    assert_eq!(desk.post("/tabs", ask.to_string()).await.status, 401);
    let send = async |path: &str, body: Value| {
        let request = http::Request::post(path)
            .header("content-type", "application/json")
            .header("authorization", "Bearer key-of-shop-a-0123456789")
            .body(body.to_string().into());
        desk.send(request.unwrap()).await.status
    };
    assert_eq!(send("/tabs", ask).await, 200);
    let other = json!({ "userAddress": SHOP, "recipientAddress": PAYER });
    assert_eq!(send("/tabs", other).await, 403);
    let mut theirs = offer();
    theirs["payTo"] = json!(TOKEN);
    assert_eq!(send("/settle", body(&theirs)).await, 403);
    assert_eq!(send("/settle", body(&offer())).await, 200);
    assert_eq!(core.asked(), ["open", "issue"]);
}

#[tokio::test]
async fn other_schemes_go_their_way_and_without_cores_there_is_no_credit() {
    let core = Core::on(ChainId::BASE_SEPOLIA);
    let exact = Payer::new(ChainId::BASE_SEPOLIA).body(Version::V2, 1);
    let both = desk(&[&core], "");
    let settled = both.post("/settle", exact.to_string()).await;
    assert_eq!(settled.json()["success"], true);
    assert_eq!(both.fake.settlements(), 1);
    let plain = desk(&[], "");
    assert_eq!(plain.post("/tabs", "{}").await.status, 404);
    let refused = plain.post("/verify", body(&offer()).to_string()).await;
    assert_eq!(refused.json()["isValid"], false);
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    let core = Core::on(ChainId::BASE_SEPOLIA);
    let desk = desk(&[&core], "");
    let mut odd = body(&offer());
    odd["paymentHeader"] = "4mica".into();
    for path in ["/verify", "/settle"] {
        let refused = desk.post(path, odd.to_string()).await;
        assert_eq!(refused.status, 200);
        let answer = refused.json();
        assert!(answer["isValid"] == false || answer["success"] == false);
        assert_eq!(desk.post(path, "{\"4mica\"").await.status, 400);
    }
    assert_eq!(core.asked(), [] as [&str; 0]);
}
