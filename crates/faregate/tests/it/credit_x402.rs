//! Scheme `4mica-credit` at the facilitator of the whole stack: every payment that is not what was asked for is refused for a
//! reason of its own, at `/verify` and `/settle`, and locks nothing.

use std::time::{Duration, SystemTime};

use crate::credit_process::{PAYER, RECIPIENT, client, signer};
use crate::support::{http, stack};
use faregate::stack::Stack;
use faregate_client::credit::{CreditClient, Signer as _};
use faregate_devnet::Devchain;
use faregate_types::credit::binding::{self, TAG_POINTER};
use faregate_types::credit::x402::SCHEME;
use faregate_types::credit::{
    Claims, Encoding, GuaranteeRequest, GuaranteeVersion, SigningScheme, ValidationPolicy, digest,
};
use faregate_types::x402::{Version, header};
use faregate_types::{Address, B256, Timestamp, U256};
use serde_json::{Value, json};

const PRICE: u64 = 1_000;
const DEPOSIT: u64 = 100_000;
/// A second payer, a second recipient, and somebody who never deposited anything.
const RIVAL: usize = 2;
const OTHER: usize = 3;
const STRANGER: usize = 4;
const NETWORK: &str = "eip155:84532";

fn address(account: usize) -> Address {
    Devchain::accounts()[account].address
}

fn now() -> u64 {
    Timestamp::from(SystemTime::now()).as_secs()
}

/// A payment, what it is shown for, and what is said of it.
struct Case {
    name: String,
    reason: &'static str,
    payment: Value,
    offer: Value,
}

/// The stack with two payers who have collateral, in one version of the protocol.
struct Market<'a> {
    stack: &'a Stack,
    version: Version,
    payer: CreditClient,
    recipient: CreditClient,
    registry: Address,
    validator: Address,
    /// Tabs of the payer with the recipient: one that takes guarantees, and one that is paid.
    tab: U256,
    closed: U256,
    /// A tab of the other payer, and one of the payer with the other recipient.
    rivals: U256,
    others: U256,
}

impl<'a> Market<'a> {
    async fn open(stack: &'a Stack, version: Version) -> Self {
        let credit = stack.credit().unwrap();
        let (url, contract) = (credit.url(), credit.contract());
        let env: std::collections::BTreeMap<_, _> = stack.env().into_iter().collect();
        let read = |name: &str| env[name].parse().unwrap();
        let mut market = Self {
            stack,
            version,
            payer: client(&url, contract, PAYER).await,
            recipient: client(&url, contract, RECIPIENT).await,
            registry: read("FAREGATE_VALIDATION_REGISTRY"),
            validator: read("FAREGATE_VALIDATOR_ADDRESS"),
            tab: U256::ZERO,
            closed: U256::ZERO,
            rivals: U256::ZERO,
            others: U256::ZERO,
        };
        for (account, client) in [
            (PAYER, &market.payer),
            (RIVAL, &client(&url, contract, RIVAL).await),
        ] {
            market.deposits(account, client).await;
        }
        let other = client(&url, contract, OTHER).await;
        market.closed = market.tab_of(&market.recipient, PAYER).await;
        market.settles(market.closed, 0).await;
        market.pays(market.closed).await;
        market.tab = market.tab_of(&market.recipient, PAYER).await;
        market.rivals = market.tab_of(&market.recipient, RIVAL).await;
        market.others = market.tab_of(&other, PAYER).await;
        market.settles(market.tab, 0).await;
        market
    }

    async fn deposits(&self, account: usize, client: &CreditClient) {
        let (chain, amount) = (self.stack.devchain().unwrap(), U256::from(DEPOSIT));
        let minted = chain.mint_usdc(address(account), amount).await;
        minted.unwrap();
        client.user().approve(self.token(), amount).await.unwrap();
        let deposited = client.user().deposit(self.token(), amount).await;
        deposited.unwrap();
    }

    async fn tab_of(&self, recipient: &CreditClient, payer: usize) -> U256 {
        let about = recipient.recipient();
        // Deposits are in the books a moment after their block.
        for _ in 0..200 {
            let (token, version) = (self.token(), self.guarantees());
            let tab = about.create_tab(address(payer), token, Some(200), version);
            if let Ok(tab) = tab.await {
                return tab.id;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("no tab for {payer}");
    }

    fn token(&self) -> Address {
        self.stack.asset.id.token()
    }

    fn guarantees(&self) -> GuaranteeVersion {
        match self.version {
            Version::V1 => GuaranteeVersion::V1,
            Version::V2 => GuaranteeVersion::V2,
        }
    }

    fn offer(&self) -> Value {
        let mut offer = json!({
            "scheme": SCHEME, "network": NETWORK, "payTo": address(RECIPIENT), "asset": self.token(),
            "maxTimeoutSeconds": 300, "extra": { "tabEndpoint": "https://api.example.com/tab" },
        });
        offer[self.amount()] = PRICE.to_string().into();
        if let Some(policy) = self.policy() {
            offer["extra"] = json!({
                "tabEndpoint": "https://api.example.com/tab", "validationRegistryAddress": policy.registry,
                "validatorAddress": policy.validator, "validatorAgentId": "7", "minValidationScore": policy.min_score,
                "requiredValidationTag": policy.tag, "jobHash": policy.job_hash,
            });
        }
        offer
    }

    const fn amount(&self) -> &'static str {
        match self.version {
            Version::V1 => "maxAmountRequired",
            Version::V2 => "amount",
        }
    }

    fn policy(&self) -> Option<ValidationPolicy> {
        (self.version == Version::V2).then(|| self.condition())
    }

    fn condition(&self) -> ValidationPolicy {
        ValidationPolicy {
            registry: self.registry,
            request_hash: B256::ZERO,
            chain_id: self.stack.chain.get(),
            validator: self.validator,
            agent_id: U256::from(7),
            min_score: 80,
            subject_hash: B256::ZERO,
            tag: "hard-finality".to_owned(),
            job_hash: B256::repeat_byte(0x11),
        }
    }

    fn claims(&self, tab: U256, req: u64) -> Claims {
        Claims {
            payer: address(PAYER),
            recipient: address(RECIPIENT),
            tab_id: tab,
            req_id: U256::from(req),
            amount: U256::from(PRICE),
            asset: self.token(),
            timestamp: Timestamp::from_secs(now()),
            validation: self.policy(),
        }
    }

    /// Signed by that account as they are, whatever they say; the hashes of a condition are filled in.
    async fn signed(&self, claims: Claims, account: usize) -> GuaranteeRequest {
        self.sealed(binding::bind(claims), account).await
    }

    /// The same without touching the hashes.
    async fn sealed(&self, claims: Claims, account: usize) -> GuaranteeRequest {
        let candidates = Encoding::candidates(claims.version(), SigningScheme::Eip712);
        let domain = digest::domain_separator("4mica", "1", self.stack.chain);
        let digest = claims.digest(candidates[0], domain).unwrap();
        GuaranteeRequest {
            signature: signer(account).sign_digest(digest).await.unwrap(),
            claims,
            scheme: SigningScheme::Eip712,
        }
    }

    fn payment(&self, request: &GuaranteeRequest) -> Value {
        match self.version {
            Version::V1 => {
                json!({ "x402Version": 1, "scheme": SCHEME, "network": NETWORK, "payload": request })
            }
            Version::V2 => {
                json!({ "x402Version": 2, "accepted": self.offer(), "payload": request })
            }
        }
    }

    /// What is asked for, but for the amount, asset and recipient of these claims.
    fn fitting(&self, claims: &Claims) -> Value {
        let mut offer = self.offer();
        offer[self.amount()] = claims.amount.to_string().into();
        offer["payTo"] = json!(claims.recipient);
        offer["asset"] = json!(claims.asset);
        offer
    }

    /// A payment with these claims, signed by that account, for an offer that they fit.
    async fn case(&self, name: &str, reason: &'static str, who: usize, claims: Claims) -> Case {
        let offer = self.fitting(&claims);
        let request = self.signed(claims, who).await;
        self.shown(name, reason, &request, offer)
    }

    fn shown(
        &self,
        name: &str,
        reason: &'static str,
        request: &GuaranteeRequest,
        offer: Value,
    ) -> Case {
        Case {
            name: name.to_owned(),
            reason,
            payment: self.payment(request),
            offer,
        }
    }

    async fn ask(&self, call: &str, payment: &Value, offer: &Value) -> (u16, Value) {
        // As an object and as a header: both are read.
        let mut body =
            json!({ "x402Version": self.version.number(), "paymentRequirements": offer });
        match call {
            "verify" => body["paymentPayload"] = payment.clone(),
            _ => body["paymentHeader"] = header::encode(payment).into(),
        }
        let url = format!("{}/{call}", self.stack.facilitator_url());
        let answer = http().post(url).json(&body).send().await.unwrap();
        (answer.status().as_u16(), answer.json().await.unwrap())
    }

    /// A guarantee like the one that was asked for.
    async fn settles(&self, tab: U256, req: u64) {
        let request = self.signed(self.claims(tab, req), PAYER).await;
        let payment = self.payment(&request);
        let verdict = self.ask("verify", &payment, &self.offer()).await;
        assert_eq!(verdict.1["isValid"], true, "{verdict:?}");
        let settled = self.ask("settle", &payment, &self.offer()).await;
        assert_eq!(settled.1["success"], true, "{settled:?}");
        let again = self.ask("settle", &payment, &self.offer()).await;
        assert_eq!(again, settled);
    }

    /// Pays what is owed on a tab, and waits until it is settled.
    async fn pays(&self, tab: U256) {
        let (user, token, amount) = (self.payer.user(), self.token(), U256::from(PRICE));
        user.approve(token, amount).await.unwrap();
        let paid = user.pay_tab(tab, U256::ZERO, amount, address(RECIPIENT), token);
        paid.await.unwrap();
        let about = self.recipient.recipient();
        for _ in 0..200 {
            let settled = about.settled_tabs().await.unwrap();
            if settled.iter().any(|settled| settled.tab_id == tab) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the tab is not settled");
    }

    /// What both payers have locked, and how many guarantees each tab has.
    async fn books(&self) -> (Vec<U256>, Vec<usize>) {
        let about = self.recipient.recipient();
        let (mut locked, mut issued) = (Vec::new(), Vec::new());
        for account in [PAYER, RIVAL] {
            let balance = about.balance(address(account), self.token()).await;
            locked.push(balance.unwrap().unwrap().locked);
        }
        for tab in [self.tab, self.closed, self.rivals, self.others] {
            issued.push(about.guarantees(tab).await.unwrap().len());
        }
        (locked, issued)
    }

    /// Each is refused for its reason by both calls, and nothing is in the books that was not there before.
    async fn refuses(&self, cases: Vec<Case>) {
        let (before, mut wrong) = (self.books().await, Vec::new());
        for case in cases {
            let verified = self.ask("verify", &case.payment, &case.offer).await;
            let settled = self.ask("settle", &case.payment, &case.offer).await;
            let refused = [
                (&verified, ["isValid", "invalidReason", "invalidMessage"]),
                (&settled, ["success", "errorReason", "error"]),
            ]
            .iter()
            .all(|((status, said), [verdict, reason, text])| {
                *status == 200
                    && said[verdict] == false
                    && said[reason] == case.reason
                    && said[text].as_str().is_some_and(|text| !text.is_empty())
                    && said.get("certificate").is_none()
            });
            if !refused {
                wrong.push(format!(
                    "{}: {} and not {verified:?} {settled:?}",
                    case.name, case.reason
                ));
            }
            assert_eq!(self.books().await, before, "{}", case.name);
        }
        assert!(
            wrong.is_empty(),
            "version {}:\n{}",
            self.version.number(),
            wrong.join("\n")
        );
    }
}

/// Good payments, for something else than what is asked.
async fn other_offers(market: &Market<'_>) -> Vec<Case> {
    let request = market.signed(market.claims(market.tab, 1), PAYER).await;
    let amount = market.amount();
    // A condition is bound to its chain: version 2 names it in full.
    let short = match market.version {
        Version::V1 => "network_mismatch",
        Version::V2 => "invalid_network",
    };
    let of_one = [
        (amount, json!("1001"), "credit_amount_mismatch"),
        (amount, json!("999"), "credit_amount_mismatch"),
        (amount, json!("0"), "invalid_payment_requirements"),
        ("payTo", json!(address(OTHER)), "credit_recipient_mismatch"),
        ("asset", json!(Address::ZERO), "credit_asset_mismatch"),
        ("network", json!("eip155:8453"), "network_mismatch"),
        ("network", json!("base"), short),
    ];
    let mut cases = Vec::new();
    for (member, value, reason) in of_one {
        let mut offer = market.offer();
        offer[member] = value.clone();
        cases.push(market.shown(&format!("{member} {value}"), reason, &request, offer));
    }
    // Another scheme or network than the recipient's, and one that nobody here has.
    for (member, value, both, reason) in [
        ("scheme", "exact", false, "unsupported_scheme"),
        ("network", "eip155:8453", false, "network_mismatch"),
        ("network", "eip155:8453", true, "invalid_network"),
        ("network", "nowhere", true, "invalid_network"),
    ] {
        let name = format!("paid as {member} {value}");
        let mut case = market.shown(&name, reason, &request, market.offer());
        match market.version {
            Version::V1 => case.payment[member] = value.into(),
            Version::V2 => case.payment["accepted"][member] = value.into(),
        }
        if both {
            case.offer[member] = value.into();
            if market.version == Version::V2 && value != "nowhere" {
                // The condition is bound to the chain.
                case.reason = "credit_condition_mismatch";
            }
        }
        cases.push(case);
    }
    cases
}

/// Payments that fit the offer, on tabs that do not take them.
async fn other_tabs(market: &Market<'_>) -> Vec<Case> {
    let of = |tab, req| market.claims(tab, req);
    let by = |account| Claims {
        payer: address(account),
        ..market.claims(market.tab, 1)
    };
    // The first guarantee opens the tab when it was signed: that was longer ago than the tab lives.
    let expired = Claims {
        recipient: address(OTHER),
        timestamp: Timestamp::from_secs(now() - 201),
        ..of(market.others, 0)
    };
    let (mismatch, closed) = ("credit_tab_mismatch", "credit_tab_closed");
    let mut cases = Vec::new();
    for (name, reason, who, claims) in [
        (
            "a tab of another payer",
            mismatch,
            PAYER,
            of(market.rivals, 1),
        ),
        ("another payer", mismatch, RIVAL, by(RIVAL)),
        (
            "a tab with another recipient",
            mismatch,
            PAYER,
            of(market.others, 1),
        ),
        (
            "nobody with collateral",
            "credit_payer_unknown",
            STRANGER,
            by(STRANGER),
        ),
        ("no tab", "credit_tab_unknown", PAYER, of(U256::from(17), 1)),
        ("a tab that is paid", closed, PAYER, of(market.closed, 1)),
        ("a tab that has expired", closed, PAYER, expired),
    ] {
        cases.push(market.case(name, reason, who, claims).await);
    }
    cases
}

/// The same with a number that is taken, at a time that cannot be, and for more than there is.
async fn other_numbers(market: &Market<'_>) -> Vec<Case> {
    let worth = |req, amount| Claims {
        amount: U256::from(amount),
        ..market.claims(market.tab, req)
    };
    let dated = |req, secs| Claims {
        timestamp: Timestamp::from_secs(secs),
        ..market.claims(market.tab, req)
    };
    let (taken, when) = ("credit_req_id_taken", "credit_timestamp_invalid");
    let mut cases = Vec::new();
    for (name, reason, claims) in [
        ("taken, for more", taken, worth(0, PRICE + 1)),
        ("taken, earlier", taken, dated(0, now() - 100)),
        ("signed tomorrow", when, dated(1, now() + 1_000)),
        ("signed before the tab", when, dated(1, now() - 10_000)),
        (
            "more than there is",
            "credit_collateral_too_low",
            worth(1, 10 * DEPOSIT),
        ),
    ] {
        cases.push(market.case(name, reason, PAYER, claims).await);
    }
    cases
}

/// Claims that were changed after they were signed, with an offer that they fit, and signatures that are none.
async fn tampered(market: &Market<'_>) -> Vec<Case> {
    let good = market.signed(market.claims(market.tab, 1), PAYER).await;
    let mut cases = Vec::new();
    let mut changed = |name: &str, change: &dyn Fn(&mut Claims)| {
        let mut request = good.clone();
        change(&mut request.claims);
        request.claims = binding::bind(request.claims);
        let offer = market.fitting(&request.claims);
        cases.push(market.shown(name, "credit_signature_invalid", &request, offer));
    };
    changed("more", &|claims| claims.amount += U256::ONE);
    changed("less", &|claims| claims.amount -= U256::ONE);
    changed("to another", &|claims| claims.recipient = address(OTHER));
    changed("in ETH", &|claims| claims.asset = Address::ZERO);
    changed("by another", &|claims| claims.payer = address(RIVAL));
    changed("another tab", &|claims| claims.tab_id = market.others);
    changed("another number", &|claims| claims.req_id += U256::ONE);
    changed("another time", &|claims| {
        claims.timestamp = Timestamp::from_secs(claims.timestamp.as_secs() - 1);
    });
    let forged = market.signed(market.claims(market.tab, 1), RIVAL).await;
    cases.push(market.shown(
        "signed by another",
        "credit_signature_invalid",
        &forged,
        market.offer(),
    ));
    for (name, signature, reason) in [
        ("no signature", json!(""), "invalid_payload"),
        ("a short signature", json!("0x1234"), "invalid_payload"),
        (
            "zeroes",
            json!(format!("0x{}", "00".repeat(65))),
            "invalid_payload",
        ),
        ("another digit", turned(&good), "credit_signature_invalid"),
    ] {
        let mut case = market.shown(name, reason, &good, market.offer());
        case.payment["payload"]["signature"] = signature;
        cases.push(case);
    }
    let mut other_version = market.claims(market.tab, 1);
    other_version.validation = match market.version {
        Version::V1 => Some(market.condition()),
        Version::V2 => None,
    };
    let other = "credit_version_mismatch";
    cases.push(
        market
            .case("claims of the other version", other, PAYER, other_version)
            .await,
    );
    cases
}

/// The signature with another first digit.
fn turned(request: &GuaranteeRequest) -> Value {
    let text = serde_json::to_value(request).unwrap()["signature"].clone();
    let text = text.as_str().unwrap();
    let digit = if &text[2..3] == "1" { "2" } else { "1" };
    json!(format!("0x{digit}{}", &text[3..]))
}

/// Conditions that nobody can be asked for, and others than those that were signed.
async fn other_conditions(market: &Market<'_>) -> Vec<Case> {
    let mut cases = Vec::new();
    let good = market.signed(market.claims(market.tab, 1), PAYER).await;
    let requirements = "invalid_payment_requirements";
    let mismatch = "credit_condition_mismatch";
    for (member, value, reason) in [
        ("minValidationScore", json!(0), requirements),
        ("minValidationScore", json!(101), requirements),
        ("minValidationScore", json!("101"), requirements),
        ("minValidationScore", json!(256 + 80), requirements),
        ("minValidationScore", json!(-1), requirements),
        ("minValidationScore", json!(81), mismatch),
        ("jobHash", json!(B256::ZERO), requirements),
        ("jobHash", json!(TAG_POINTER), requirements),
        ("jobHash", json!("0x1111"), requirements),
        ("jobHash", json!("no hash"), requirements),
        ("jobHash", json!(B256::repeat_byte(0x12)), mismatch),
        ("validationRegistryAddress", json!(address(OTHER)), mismatch),
        ("validatorAddress", json!(address(OTHER)), mismatch),
        ("validatorAgentId", json!(8), mismatch),
        ("requiredValidationTag", json!(""), mismatch),
        ("validationChainId", json!(1), requirements),
    ] {
        let mut offer = market.offer();
        offer["extra"][member] = value.clone();
        cases.push(market.shown(&format!("{member} {value}"), reason, &good, offer));
    }
    for member in [
        "validationRegistryAddress",
        "validatorAddress",
        "validatorAgentId",
        "minValidationScore",
        "jobHash",
    ] {
        let mut offer = market.offer();
        offer["extra"].as_object_mut().unwrap().remove(member);
        cases.push(market.shown(&format!("no {member}"), requirements, &good, offer));
    }
    cases
}

/// What the payer signed is no condition, though the payment says that it is what was asked for; or one in a registry that
/// nobody trusts.
async fn untrue_conditions(market: &Market<'_>) -> Vec<Case> {
    let (bad, invalid) = ("invalid_payload", "credit_condition_invalid");
    let claims = |change: &dyn Fn(&mut ValidationPolicy)| {
        let mut claims = market.claims(market.tab, 1);
        change(claims.validation.as_mut().unwrap());
        claims
    };
    let mut cases = Vec::new();
    for (name, reason, claims) in [
        ("a score of 0", bad, claims(&|policy| policy.min_score = 0)),
        (
            "a score of 101",
            bad,
            claims(&|policy| policy.min_score = 101),
        ),
        (
            "no job",
            invalid,
            claims(&|policy| policy.job_hash = B256::ZERO),
        ),
        (
            "an ambiguous job",
            invalid,
            claims(&|policy| policy.job_hash = TAG_POINTER),
        ),
        (
            "another chain",
            "credit_condition_mismatch",
            claims(&|policy| policy.chain_id = 1),
        ),
    ] {
        cases.push(market.case(name, reason, PAYER, claims).await);
    }
    for subject in [true, false] {
        let mut claims = binding::bind(market.claims(market.tab, 1));
        let policy = claims.validation.as_mut().unwrap();
        let hash = if subject {
            &mut policy.subject_hash
        } else {
            &mut policy.request_hash
        };
        *hash = B256::ZERO;
        let request = market.sealed(claims, PAYER).await;
        cases.push(market.shown(
            "a hash of something else",
            invalid,
            &request,
            market.offer(),
        ));
    }
    let own = claims(&|policy| policy.registry = address(OTHER));
    let mut own = market
        .case(
            "a registry of one's own",
            "credit_registry_not_trusted",
            PAYER,
            own,
        )
        .await;
    own.offer["extra"]["validationRegistryAddress"] = json!(address(OTHER));
    cases.push(own);
    cases
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_what_was_asked_for_is_refused_by_name_and_locks_nothing() {
    let stack = stack().await;
    for version in [Version::V1, Version::V2] {
        let market = Market::open(&stack, version).await;
        market.refuses(other_offers(&market).await).await;
        market.refuses(other_tabs(&market).await).await;
        market.refuses(other_numbers(&market).await).await;
        market.refuses(tampered(&market).await).await;
        if version == Version::V2 {
            market.refuses(other_conditions(&market).await).await;
            market.refuses(untrue_conditions(&market).await).await;
        }
        // Nothing of it was in the way of a good payment.
        market.settles(market.tab, 1).await;
    }
    stack.shutdown().await;
}
