use faregate_types::{AssetId, U256};
use serde_json::{Value, json};

use super::*;

const HASH: &str = "0x1111111111111111111111111111111111111111111111111111111111111111";
const PAYER: Address = Address::repeat_byte(0xaa);

fn expected(version: Version) -> Expected {
    let asset = AssetId::erc20(ChainId::BASE_SEPOLIA, Address::ZERO);
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

#[test]
fn receipts() {
    let failed = |code, reason: Option<&str>, transaction: Option<&str>| {
        Receipt::Failed(FailedReceipt {
            code,
            reason: reason.map(Into::into),
            transaction: transaction.map(Into::into),
        })
    };
    let other = || Receipt::NotCredible(ReceiptFault::OtherPayment);
    let table = [
        (
            json!({"success": true, "transaction": HASH, "network": "eip155:84532", "payer": PAYER}),
            settled(Some(PAYER)),
        ),
        (
            json!({"success": true, "transaction": HASH, "network": "base-sepolia"}),
            settled(None),
        ),
        (
            json!({"success": true, "transaction": HASH, "network": "", "payer": "", "amount": "1000"}),
            settled(None),
        ),
        (
            json!({"success": true, "transaction": HASH, "network": "eip155:8453"}),
            other(),
        ),
        (
            json!({"success": true, "transaction": HASH, "network": "base"}),
            other(),
        ),
        (
            json!({"success": true, "transaction": HASH, "payer": Address::ZERO}),
            other(),
        ),
        (
            json!({"success": true, "transaction": HASH, "payer": "me"}),
            other(),
        ),
        (
            json!({"success": true, "transaction": HASH, "amount": "1001"}),
            other(),
        ),
        (
            json!({"success": true, "transaction": "", "network": "eip155:84532"}),
            Receipt::NotCredible(ReceiptFault::NoTransaction),
        ),
        (
            json!({"success": false, "errorReason": "insufficient_funds", "transaction": ""}),
            failed(
                Some(Code::InsufficientFunds),
                Some("insufficient_funds"),
                None,
            ),
        ),
        (
            json!({"success": false, "errorReason": "settlement_pending", "transaction": HASH}),
            failed(
                Some(Code::SettlementPending),
                Some("settlement_pending"),
                Some(HASH),
            ),
        ),
        (
            json!({"success": false, "errorMessage": "a\u{1b}[2J\nb"}),
            failed(None, Some("a [2J b"), None),
        ),
        (json!({"success": false}), failed(None, None, None)),
        (
            json!({"success": "true"}),
            Receipt::NotCredible(ReceiptFault::Unreadable),
        ),
        (json!([]), Receipt::NotCredible(ReceiptFault::Unreadable)),
    ];
    for (value, expected) in table {
        assert_eq!(read(&value), expected, "{value}");
    }
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
