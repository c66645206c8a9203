//! Scheme `4mica-credit` at the facilitator of the whole stack: every payment that is not what was asked for is refused for a
//! reason of its own, at `/verify` and `/settle`, and locks nothing.

use crate::credit_market::{Case, DEPOSIT, Market, OTHER, PRICE, RIVAL, STRANGER, address, now};
use crate::credit_process::PAYER;
use crate::support::stack;
use faregate_types::credit::binding::{self, TAG_POINTER};
use faregate_types::credit::{Claims, GuaranteeRequest, ValidationPolicy};
use faregate_types::x402::Version;
use faregate_types::{Address, B256, Timestamp, U256};
use serde_json::{Value, json};

impl Market<'_> {
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
pub(crate) async fn other_tabs(market: &Market<'_>) -> Vec<Case> {
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
pub(crate) async fn other_numbers(market: &Market<'_>) -> Vec<Case> {
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
        ("taken, earlier", taken, dated(0, market.opened - 5)),
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
pub(crate) async fn tampered(market: &Market<'_>) -> Vec<Case> {
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
pub(crate) async fn untrue_conditions(market: &Market<'_>) -> Vec<Case> {
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
