//! Paying over L402: what is bought, what it costs, and what is shown again.

mod common;

use axum::http::StatusCode;
use common::lightning::{Net, SAT, honest_l402, shown};
use common::memory;
use faregate_client::SpendState;

/// Ten satoshis and what the way costs in this network: one satoshi and a ten-thousandth.
const TEN_SAT_AND_FEE: u64 = 10 * SAT + SAT + 1;

#[tokio::test]
async fn an_invoice_is_paid_and_its_token_shown() {
    let net = Net::start().await;
    let seller = honest_l402(&net, 1).await;
    let store = memory();
    let client = net.client(&store).build().unwrap();
    let paid = client.get(seller.url("/joke")).send().await.unwrap();
    assert_eq!(paid.answer.status(), StatusCode::OK);
    let payment = paid.payment.unwrap();
    let l402 = payment.l402().unwrap();
    assert_eq!(l402.amount.get(), 10 * SAT);
    assert_eq!(l402.fee.map(|fee| fee.get()), Some(SAT + 1));
    assert_eq!(l402.fee_max.get(), 5 * SAT);
    assert_eq!(net.spent(), TEN_SAT_AND_FEE);
    assert_eq!((payment.state, payment.resumed), (SpendState::Paid, false));
    let record = store.spend(payment.id).await.unwrap().unwrap();
    assert_eq!(record.state, SpendState::Paid);
    assert_eq!(
        record.transaction,
        Some(l402.payment_hash.to_string().into())
    );
    assert_eq!(
        shown(&seller.seen()[1]),
        Some(*l402.payment_hash.as_bytes())
    );
}
