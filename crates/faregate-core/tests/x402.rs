//! The x402 rail by itself: what it makes of a credential, and of what the ledger kept of one.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    unreachable_pub,
    reason = "tests may"
)]

#[allow(dead_code, reason = "every test file uses its own part")]
mod support;

use std::sync::Arc;

use faregate_core::port::{Away, Facilitator, SettleOutcome, Settlement, Trail, Verdict};
use faregate_core::rail::x402::X402;
use faregate_core::{
    Asked, Credential, Evidence, Identifier, Offer, Presented, Rail, Reading, SettlePolicy,
};
use faregate_ledger::AccountId;
use faregate_types::x402::exact::Payload;
use faregate_types::x402::{FacilitatorRequest, SupportedResponse, header, v1, v2};
use faregate_types::{Address, Authorization, B256, ChainId, Code, PaymentId, Refusal, U256};
use futures_util::future::{BoxFuture, ready};
use http::{HeaderMap, HeaderValue};
use serde_json::json;
use support::offer;

const PAYER: Address = Address::repeat_byte(0xab);

/// Nobody asks it.
struct Nobody;

impl Facilitator for Nobody {
    fn supported(&self) -> BoxFuture<'_, Result<SupportedResponse, Away>> {
        panic!("asked")
    }

    fn verify<'a>(&'a self, _: &'a FacilitatorRequest) -> BoxFuture<'a, Result<Verdict, Away>> {
        panic!("asked")
    }

    fn settle<'a>(
        &'a self,
        _: &'a FacilitatorRequest,
        _: &'a dyn Trail,
    ) -> BoxFuture<'a, SettleOutcome> {
        panic!("asked")
    }

    fn resolve<'a>(
        &'a self,
        _: &'a FacilitatorRequest,
        _: Option<&'a str>,
    ) -> BoxFuture<'a, SettleOutcome> {
        Box::pin(ready(settled(PAYER)))
    }
}

fn rail() -> X402 {
    X402::new(Arc::new(Nobody))
}

fn settled(payer: Address) -> SettleOutcome {
    SettleOutcome::Settled(Settlement {
        transaction: Some("0xaa".into()),
        payer: Some(payer),
    })
}

fn payload(value: u64) -> serde_json::Value {
    let authorization = Authorization {
        from: PAYER,
        to: Address::repeat_byte(2),
        value: U256::from(value),
        valid_after: U256::ZERO,
        valid_before: U256::from(9),
        nonce: B256::repeat_byte(7),
    };
    let signature = vec![1; 65].into();
    Payload {
        authorization,
        signature,
    }
    .to_value()
}

/// How an offer may be paid, as its own 402 says.
fn required(offer: &Offer) -> v2::PaymentRequired {
    let (asked, why) = (Asked::default(), Refusal::new(Code::PaymentRequired));
    let challenge = futures_util::FutureExt::now_or_never(rail().challenge(offer, &asked, &why));
    let headers = challenge.unwrap().unwrap().headers;
    header::decode_payment_required(headers[0].1.as_bytes()).unwrap()
}

fn v2_credential(offer: &Offer, value: u64) -> Credential {
    let payment = json!({
        "x402Version": 2, "accepted": required(offer).accepts[0], "payload": payload(value),
        "extensions": required(offer).extensions.unwrap_or_default(),
    });
    read(header::PAYMENT_SIGNATURE, &payment)
}

fn v1_credential(value: u64) -> Credential {
    let payment = json!({
        "x402Version": 1, "scheme": "exact", "network": "base-sepolia", "payload": payload(value),
    });
    read(header::X_PAYMENT, &payment)
}

fn read(name: &'static str, payment: &serde_json::Value) -> Credential {
    let mut headers = HeaderMap::new();
    headers.insert(
        name,
        HeaderValue::from_str(&header::encode(payment)).unwrap(),
    );
    match rail().read(&headers) {
        Reading::Found(credential) => credential,
        other => panic!("{other:?}"),
    }
}

fn requirements(presented: &Presented) -> FacilitatorRequest {
    FacilitatorRequest::decode(&presented.evidence.0).unwrap()
}

#[test]
fn what_is_presented_names_the_payment_of_its_own_evidence() {
    let offer = offer(SettlePolicy::After);
    for credential in [v2_credential(&offer, 1_000), v1_credential(1_000)] {
        let presented = rail()
            .present(credential, &offer, &Asked::default())
            .unwrap();
        let exact = requirements(&presented).exact().unwrap();
        let ask = offer.asks()[0].as_token().unwrap();
        let expected = PaymentId::eip3009(
            ChainId::BASE_SEPOLIA,
            ask.asset.id.token(),
            PAYER,
            B256::repeat_byte(7),
        );
        assert_eq!((presented.id, exact.id()), (expected, expected));
        assert_eq!(presented.transfer.debit, AccountId::payer(exact.payer()));
        assert_eq!(
            presented.transfer.credit,
            AccountId::payee(exact.terms.pay_to)
        );
        assert_eq!(presented.transfer.amount, ask.amount);
        assert_eq!(
            (exact.terms.amount, exact.terms.asset),
            (ask.amount.value(), ask.asset.id)
        );
    }
}

#[test]
fn what_the_ledger_kept_gives_the_same_receipts() {
    let offer = offer(SettlePolicy::After);
    for credential in [v2_credential(&offer, 1_000), v1_credential(1_000)] {
        let presented = rail()
            .present(credential, &offer, &Asked::default())
            .unwrap();
        let recalled = rail().recall(&presented.evidence).unwrap();
        for outcome in [
            settled(PAYER),
            settled(Address::repeat_byte(0xcd)),
            SettleOutcome::Failed(Refusal::new(Code::TransactionFailed).payer(PAYER)),
            support::unknown(),
        ] {
            let receipt = presented.instrument.receipt(&outcome);
            assert_eq!(receipt, recalled.receipt(&outcome));
            let told = header::decode_settle_response(receipt[0].1.as_bytes()).unwrap();
            if let SettleOutcome::Settled(settlement) = outcome {
                assert_eq!(told.payer, settlement.payer.map(|payer| payer.to_string()));
            }
        }
    }
    let damaged = Evidence(b"{}".to_vec());
    assert!(rail().recall(&damaged).is_err());
}

#[test]
fn a_copied_credential_is_read_like_the_first() {
    let offer = offer(SettlePolicy::After);
    let credential = v2_credential(&offer, 1_000);
    let copy = credential.clone();
    let first = rail()
        .present(credential, &offer, &Asked::default())
        .unwrap();
    let second = rail().present(copy, &offer, &Asked::default()).unwrap();
    assert_eq!(first.evidence, second.evidence);
}

#[test]
fn the_terms_are_those_of_the_offer_that_is_asked() {
    let plain = offer(SettlePolicy::After);
    assert_eq!(required(&plain).extensions, None);
    let elsewhere = plain.at("https://api.example.com/another");
    assert_eq!(required(&elsewhere).accepts, required(&plain).accepts);
    assert_eq!(
        required(&elsewhere).resource.url,
        "https://api.example.com/another"
    );
    let presented = rail()
        .present(v1_credential(1_000), &elsewhere, &Asked::default())
        .unwrap();
    match requirements(&presented) {
        FacilitatorRequest::V1 {
            requirements: v1::PaymentRequirements { resource, .. },
            ..
        } => assert_eq!(resource, "https://api.example.com/another"),
        other @ FacilitatorRequest::V2 { .. } => panic!("{other:?}"),
    }
    // What was made for the offer without names is not used for the one with.
    let named = plain.with_identifier(Identifier::Required);
    assert!(required(&named).extensions.is_some());
    let mut changed = required(&named).extensions.unwrap();
    changed["payment-identifier"]["info"]["required"] = false.into();
    let payment = json!({
        "x402Version": 2, "accepted": required(&named).accepts[0], "payload": payload(1_000),
        "extensions": changed,
    });
    let refused = rail().present(
        read(header::PAYMENT_SIGNATURE, &payment),
        &named,
        &Asked::default(),
    );
    assert_eq!(refused.unwrap_err().code, Code::ExtensionEchoMismatch);
    assert!(
        rail()
            .present(v2_credential(&named, 1_000), &named, &Asked::default())
            .is_ok()
    );
}

#[test]
fn another_price_than_ours_is_refused() {
    let ours = offer(SettlePolicy::After);
    let mut payment = json!({
        "x402Version": 2, "accepted": required(&ours).accepts[0], "payload": payload(1),
    });
    payment["accepted"]["amount"] = "1".into();
    let refused = rail().present(
        read(header::PAYMENT_SIGNATURE, &payment),
        &ours,
        &Asked::default(),
    );
    assert_eq!(refused.unwrap_err().code, Code::NoMatchingRequirements);
}
