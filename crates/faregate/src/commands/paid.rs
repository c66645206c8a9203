//! What is asked for and what was paid, in words and for programs.

use faregate_client::{
    Considered, CreditPayment, Payment, Priced, Rail, Receipt, ShownCertificate,
};
use faregate_types::lightning::Msat;
use faregate_types::{Asset, U256, network, to_decimal_text};
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

/// What a server asks for, a line each.
pub(crate) fn asked(priced: &Priced) -> Vec<String> {
    let x402 = priced.version;
    let rails: Vec<String> = [
        x402.map(|version| format!("x402 v{}", version.number())),
        priced.invoice.as_ref().map(|_| "L402".to_owned()),
        (!priced.permits.is_empty()).then(|| "permit".to_owned()),
        (!priced.credits.is_empty()).then(|| "credit".to_owned()),
    ]
    .into_iter()
    .flatten()
    .collect();
    let mut lines = vec![format!(
        "{} asks for payment ({})",
        priced.url,
        rails.join(", ")
    )];
    let options = priced.options.iter().map(|option| (option, String::new()));
    let permits = priced.permits.iter();
    let permits = permits.map(|option| (option, format!(" with a permit ({})", option.scheme)));
    let credits = priced.credits.iter();
    let credits = credits.map(|option| (option, " on credit".to_owned()));
    lines.extend(options.chain(permits).chain(credits).map(
        |(option, how)| match &option.verdict {
            Ok(price) => format!(
                "  {} to {} on {}{how}",
                money(price.amount.value(), &price.asset),
                price.payee,
                option.network
            ),
            Err(refusal) => format!(
                "  {} on {}: not payable, {refusal}",
                option.scheme, option.network
            ),
        },
    ));
    lines.extend(priced.invoice.as_ref().map(|invoice| match invoice {
        Ok(price) => format!(
            "  {} to {} over Lightning, and at most {} for the way",
            sats(price.amount),
            price.payee,
            sats(price.fee_max)
        ),
        Err(refusal) => format!("  L402: not payable, {refusal}"),
    }));
    lines
}

/// The same for programs.
pub(crate) fn asked_report(priced: &Priced) -> Value {
    let invoice = priced.invoice.as_ref().map(|invoice| match invoice {
        Ok(price) => json!({
            "amountMsat": price.amount.get(), "feeMaxMsat": price.fee_max.get(), "payee": price.payee.to_string(),
            "price": sats(price.amount), "refusal": null,
        }),
        Err(refusal) => json!({"refusal": refusal.code.as_str()}),
    });
    let rows = |options: &[Considered]| -> Vec<Value> {
        let row = |option: &Considered| {
            json!({
                "scheme": &*option.scheme, "network": &*option.network, "amount": &*option.amount,
                "asset": &*option.asset, "payTo": &*option.pay_to,
                "price": option.verdict.as_ref().ok().map(|price| money(price.amount.value(), &price.asset)),
                "refusal": option.verdict.as_ref().err().map(|refusal| refusal.code.as_str()),
            })
        };
        options.iter().map(row).collect()
    };
    let (options, permits) = (rows(&priced.options), rows(&priced.permits));
    let credits = rows(&priced.credits);
    json!({
        "url": priced.url.as_str(), "version": priced.version.map(|version| version.number()), "options": options,
        "permits": permits, "credits": credits, "invoice": invoice, "dryRun": true,
    })
}

/// One line about what was paid.
pub(crate) fn spent(payment: &Payment) -> String {
    let again = if payment.resumed {
        " (signed earlier)"
    } else {
        ""
    };
    let (price, place, receipt) = match &payment.rail {
        Rail::X402(paid) => {
            let chain = network(paid.asset.id.chain());
            let receipt = match paid.receipt.transaction() {
                Some(transaction) => format!("transaction {transaction}"),
                None => "the server gave no receipt".to_owned(),
            };
            (
                money(payment.amount.value(), &paid.asset),
                chain.map_or("an unnamed network", |known| known.title),
                receipt,
            )
        }
        Rail::L402(paid) => {
            let fee = paid.fee.map_or_else(
                || "at an unknown fee".to_owned(),
                |fee| format!("for a fee of {}", sats(fee)),
            );
            let receipt = format!("{fee}, payment hash {}", paid.payment_hash);
            (sats(paid.amount), "Lightning", receipt)
        }
        Rail::Permit(paid) => {
            let asset = payment.amount.asset();
            let chain = asset.as_erc20().and_then(|asset| network(asset.chain()));
            let price = paid.asset.as_ref().map_or_else(
                || payment.amount.to_string(),
                |asset| money(payment.amount.value(), asset),
            );
            let receipt = format!(
                "with a permit ({}) for a token until @{}",
                paid.kind,
                paid.token_until.as_secs()
            );
            let place = chain.map_or("an unnamed network", |known| known.title);
            (price, place, receipt)
        }
        Rail::Credit(paid) => return owed(payment, paid, again),
        _ => (payment.amount.to_string(), "another rail", String::new()),
    };
    format!(
        "paid {price} to {} on {place}{again}, {receipt}",
        payment.payee
    )
}

/// One line about what is owed now.
fn owed(payment: &Payment, paid: &CreditPayment, again: &str) -> String {
    let amount = |value: U256| {
        paid.asset.as_ref().map_or_else(
            || payment.amount.asset().to_string(),
            |asset| money(value, asset),
        )
    };
    let total = paid.total.map_or_else(String::new, |total| {
        format!(", {} on the tab in all", amount(total))
    });
    let certificate = match &paid.certificate {
        ShownCertificate::Missing => ", the server showed no certificate",
        ShownCertificate::NotCredible => ", and the server's certificate is for something else",
        _ => "",
    };
    format!(
        "owe {} to {} on credit{again}: tab {:#x}, number {}{total}{certificate}",
        amount(payment.amount.value()),
        payment.payee,
        paid.tab,
        paid.number,
    )
}

/// Millisatoshis as people count them.
pub(crate) fn sats(amount: Msat) -> String {
    format!("{} sat", to_decimal_text(U256::from(amount.get()), 3))
}

/// What a program hears about a payment.
fn payment_report(payment: &Payment) -> Value {
    let mut report = json!({
        "id": payment.id.to_string(),
        "payee": &*payment.payee,
        "asset": payment.amount.asset().to_string(),
        "amount": payment.amount.value().to_string(),
        "validUntil": payment.valid_until.as_secs(),
        "resumed": payment.resumed,
        "state": payment.state.as_str(),
    });
    let more = match &payment.rail {
        Rail::X402(paid) => json!({
            "rail": "x402",
            "version": paid.version.number(),
            "payer": paid.payer.to_string(),
            "price": money(payment.amount.value(), &paid.asset),
            "receipt": matches!(paid.receipt, Receipt::Settled(_)),
            "transaction": paid.receipt.transaction(),
        }),
        Rail::Permit(paid) => json!({
            "rail": "permit",
            "kind": paid.kind.as_str(),
            "payer": paid.payer.to_string(),
            "price": paid.asset.as_ref().map(|asset| money(payment.amount.value(), asset)),
            "tokenUntil": paid.token_until.as_secs(),
        }),
        Rail::Credit(paid) => json!({
            "rail": "credit",
            "version": paid.version.number(),
            "payer": paid.payer.to_string(),
            "price": paid.asset.as_ref().map(|asset| money(payment.amount.value(), asset)),
            "receipt": matches!(paid.receipt, Receipt::Settled(_)),
            "tabId": format!("{:#x}", paid.tab),
            "reqId": paid.number.to_string(),
            "total": paid.total.map(|total| total.to_string()),
            "certificate": certificate(&paid.certificate),
        }),
        Rail::L402(paid) => json!({
            "rail": "l402",
            "price": sats(paid.amount),
            "paymentHash": paid.payment_hash.to_string(),
            "amountMsat": paid.amount.get(),
            "feeMsat": paid.fee.map(Msat::get),
            "feeMaxMsat": paid.fee_max.get(),
        }),
        _ => json!({}),
    };
    if let (Value::Object(report), Value::Object(more)) = (&mut report, more) {
        report.extend(more);
    }
    report
}

/// A certificate as a server showed it, and what is thought of it.
fn certificate(shown: &ShownCertificate) -> Value {
    let (certificate, is_verified) = match shown {
        ShownCertificate::Given(certificate) => (certificate, false),
        ShownCertificate::Verified(certificate) => (certificate, true),
        _ => return Value::Null,
    };
    let mut certificate = json!(certificate);
    certificate["verified"] = is_verified.into();
    certificate
}

pub(crate) fn report(
    status: u16,
    headers: &HeaderMap,
    body: &[u8],
    payment: Option<&Payment>,
) -> Value {
    let headers: serde_json::Map<String, Value> = headers
        .iter()
        .map(|(name, value)| {
            (
                name.as_str().to_owned(),
                String::from_utf8_lossy(value.as_bytes()).into(),
            )
        })
        .collect();
    let body = std::str::from_utf8(body).map_or_else(
        |_| json!({"hex": hex::encode(body)}),
        |text| serde_json::from_str(text).unwrap_or_else(|_| text.into()),
    );
    json!({
        "status": status,
        "headers": headers,
        "body": body,
        "payment": payment.map(payment_report),
    })
}

/// An amount by our own decimals.
pub(crate) fn money(value: U256, asset: &Asset) -> String {
    format!(
        "{} {}",
        to_decimal_text(value, asset.decimals),
        asset.symbol
    )
}
