//! What the books say, as it stands on the wire.

use faregate_core::credit as books;
use faregate_core::credit::{PaymentStage, TabId};
use faregate_types::Address;
use faregate_types::credit::api::{
    AssetBalance, CertificateText, CollateralEvent, GuaranteeInfo, RecipientPayment, TabInfo,
};
use faregate_types::credit::to_uuid;

/// A tab.
pub(super) fn tab(tab: &books::Tab) -> TabInfo {
    TabInfo {
        tab_id: tab.id.0,
        payer: tab.identity.payer,
        recipient: tab.identity.recipient,
        asset: tab.identity.asset,
        version: tab.identity.version,
        start: tab.start,
        ttl_seconds: tab.ttl_secs,
        status: tab.status(),
        settlement: tab.settlement(),
        created_at: tab.created_at,
        updated_at: tab.updated_at,
        total_amount: Some(tab.total),
        paid_amount: Some(tab.paid),
    }
}

/// A guarantee.
pub(super) fn guarantee(guarantee: &books::Guarantee) -> GuaranteeInfo {
    let identity = &guarantee.identity;
    GuaranteeInfo {
        tab_id: guarantee.tab.0,
        req_id: guarantee.req,
        version: identity.version,
        payer: identity.payer,
        recipient: identity.recipient,
        asset: identity.asset,
        amount: guarantee.amount,
        timestamp: guarantee.timestamp,
        certificate: guarantee.certificate.clone().map(CertificateText),
    }
}

/// A payment.
pub(super) fn payment(payment: &books::TabPayment) -> RecipientPayment {
    let recorded = matches!(payment.stage, PaymentStage::Recorded(_));
    RecipientPayment {
        payer: payment.payer,
        recipient: payment.recipient,
        tx_hash: payment.place.transaction,
        amount: payment.amount,
        verified: recorded,
        finalized: recorded,
        failed: payment.stage == PaymentStage::Refused,
        created_at_ms: payment.at.as_secs().saturating_mul(1_000),
    }
}

/// A line of a tab's journal.
pub(super) fn event(entry: &books::Entry) -> CollateralEvent {
    CollateralEvent {
        id: to_uuid(entry.id().0),
        payer: entry.payer,
        asset: entry.asset,
        amount: entry.amount,
        kind: entry.kind,
        tab_id: entry.tab.map(|(TabId(id), _)| id),
        req_id: entry.req,
        tx_id: entry.place.map(|place| place.transaction.to_string()),
        created_at: entry.at,
    }
}

/// What a payer has.
pub(super) fn balance(
    payer: Address,
    asset: Address,
    collateral: &books::Collateral,
) -> AssetBalance {
    AssetBalance {
        payer,
        asset,
        total: collateral.total,
        locked: collateral.locked,
        version: collateral.version,
        updated_at: collateral.updated_at,
    }
}
