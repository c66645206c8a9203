use faregate_types::{Erc20, U256};
use serde_json::{Value, json};

use super::*;

const HASH: &str = "0x1111111111111111111111111111111111111111111111111111111111111111";
const PAYER: Address = Address::repeat_byte(0xaa);

fn expected(version: Version) -> Expected {
    let asset = Erc20::new(ChainId::BASE_SEPOLIA, Address::ZERO);
    Expected {
        version,
        payer: PAYER,
        amount: Amount::new(U256::from(1000), asset),
    }
}

fn headers(lines: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (
            name.parse::<reqwest::header::HeaderName>().unwrap(),
            value.parse().unwrap(),
        )
    };
    lines.iter().map(pair).collect()
}

fn read(value: &Value) -> Receipt {
    let text = header::encode(value);
    Receipt::read(
        &headers(&[("payment-response", &text)]),
        &expected(Version::V2),
    )
}

fn settled(payer: Option<Address>) -> Receipt {
    Receipt::Settled(TypedReceipt {
        transaction: HASH.into(),
        network: ChainId::BASE_SEPOLIA,
        payer,
    })
}

fn check(table: impl IntoIterator<Item = (Value, Receipt)>) {
    for (value, expected) in table {
        assert_eq!(read(&value), expected, "{value}");
    }
}

#[test]
fn problem_09_success_needs_a_transaction_and_no_contradiction() {
    let other = || Receipt::NotCredible(ReceiptFault::OtherPayment);
    let success = |members: Value| {
        let mut receipt = json!({"success": true, "transaction": HASH});
        let object = receipt.as_object_mut().unwrap();
        object.extend(members.as_object().unwrap().clone());
        receipt
    };
    check([
        (
            success(json!({"network": "eip155:84532", "payer": PAYER})),
            settled(Some(PAYER)),
        ),
        (success(json!({"network": "base-sepolia"})), settled(None)),
        (
            success(json!({"network": "", "payer": "", "amount": "1000"})),
            settled(None),
        ),
        (success(json!({"network": "eip155:8453"})), other()),
        (success(json!({"network": "base"})), other()),
        (success(json!({"payer": Address::ZERO})), other()),
        (success(json!({"payer": "me"})), other()),
        (success(json!({"amount": "1001"})), other()),
        (
            success(json!({"transaction": ""})),
            Receipt::NotCredible(ReceiptFault::NoTransaction),
        ),
    ]);
}

#[test]
fn failures_keep_their_reason() {
    let failed = |code, reason: Option<&str>, transaction: Option<&str>| {
        Receipt::Failed(FailedReceipt {
            code,
            reason: reason.map(Into::into),
            transaction: transaction.map(Into::into),
        })
    };
    let unreadable = || Receipt::NotCredible(ReceiptFault::Unreadable);
    let (funds, pending) = ("insufficient_funds", "settlement_pending");
    check([
        (
            json!({"success": false, "errorReason": funds, "transaction": ""}),
            failed(Some(Code::InsufficientFunds), Some(funds), None),
        ),
        (
            json!({"success": false, "errorReason": pending, "transaction": HASH}),
            failed(Some(Code::SettlementPending), Some(pending), Some(HASH)),
        ),
        (
            json!({"success": false, "errorMessage": "a\u{1b}[2J\nb"}),
            failed(None, Some("a [2J b"), None),
        ),
        (json!({"success": false}), failed(None, None, None)),
        (json!({"success": "true"}), unreadable()),
        (json!([]), unreadable()),
    ]);
}

#[test]
fn each_version_has_its_header_and_knows_the_other() {
    let text = header::encode(&json!({"success": true, "transaction": HASH}));
    for version in [Version::V1, Version::V2] {
        let expected = expected(version);
        let read = |lines: &[(&str, &str)]| Receipt::read(&headers(lines), &expected);
        assert_eq!(read(&[("X-PAYMENT-RESPONSE", &text)]), settled(None));
        assert_eq!(read(&[("PAYMENT-RESPONSE", &text)]), settled(None));
        assert_eq!(read(&[]), Receipt::Missing);
        assert_eq!(
            read(&[("PAYMENT-RESPONSE", "!"), ("X-PAYMENT-RESPONSE", "!")]),
            Receipt::NotCredible(ReceiptFault::Unreadable)
        );
    }
    let own_first = headers(&[("payment-response", &text), ("x-payment-response", "!")]);
    assert_eq!(
        Receipt::read(&own_first, &expected(Version::V2)),
        settled(None)
    );
}

#[test]
fn what_an_answer_means_for_the_books() {
    let paid = |transaction: Option<&str>| Outcome::Paid(transaction.map(Into::into));
    let failed = Receipt::Failed(FailedReceipt {
        code: None,
        reason: None,
        transaction: None,
    });
    let table = [
        (200, settled(None), paid(Some(HASH))),
        (200, Receipt::Missing, paid(None)),
        (204, Receipt::Missing, paid(None)),
        (200, failed.clone(), paid(None)),
        (500, settled(None), paid(Some(HASH))),
        (302, settled(None), paid(Some(HASH))),
        (302, Receipt::Missing, Outcome::Open),
        (404, Receipt::Missing, Outcome::Open),
        (409, Receipt::Missing, Outcome::Open),
        (503, failed.clone(), Outcome::Open),
        (402, Receipt::Missing, Outcome::Refused),
        (402, failed, Outcome::Refused),
        (402, settled(None), Outcome::Refused),
        (412, Receipt::Missing, Outcome::Refused),
    ];
    for (status, receipt, expected) in table {
        let status = StatusCode::from_u16(status).unwrap();
        assert_eq!(receipt.outcome(status), expected, "{status} {receipt:?}");
    }
}
