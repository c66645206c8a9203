//! Doors for the fuzz targets; only in builds with `--cfg fuzzing`.

use std::future::{Future, ready};
use std::pin::Pin;
use std::sync::Arc;

use alloy_primitives::{Address, U256};
use faregate_core::port::lightning::{
    FeeCap, PayOrder, PayReport, SendAbilities, SendBackend, Sender,
};
use faregate_types::credit::Claims;
use faregate_types::lightning::{BitcoinNetwork, Msat};
use faregate_types::x402::{Version, header};
use faregate_types::{Amount, AssetId, AssetRegistry, Code, Timestamp};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use url::Url;

use crate::on_credit::OnCredit;
use crate::origin::Origins;
use crate::rail::credit::Standpoint;
use crate::rail::credit::receipt::Details;
use crate::rail::permit::{Habits, Note, Said};
use crate::rail::{self, l402, permit};
use crate::receipt::{Expected, Receipt};
use crate::select::{Chains, Rules};
use crate::{LightningWallet, MsatCaps, Worth, limits, offer};

fn with(name: &'static str, value: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(value) = HeaderValue::from_bytes(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
    headers
}

/// Reads a 402 answer with these bytes as its header, and one with them as its body.
pub fn offers(bytes: &[u8]) {
    let headers = with(header::PAYMENT_REQUIRED, bytes);
    for status in [
        StatusCode::PAYMENT_REQUIRED,
        StatusCode::PRECONDITION_FAILED,
    ] {
        let _ = offer::asks_for_payment(status, &headers);
    }
    drop(offer::refusal_text(&headers, bytes));
    for offers in [offer::from_headers(&headers), offer::from_body(bytes)]
        .into_iter()
        .flatten()
    {
        assert!(offers.entries.len() <= limits::OFFERS_MAX);
    }
}

/// A wallet that nobody asks.
struct Nobody;

impl SendBackend for Nobody {
    fn abilities(&self) -> SendAbilities {
        SendAbilities {
            track: true,
            preimage: true,
            pays_once: true,
            fee_cap: FeeCap::Enforced,
        }
    }

    fn pay<'a>(
        &'a self,
        _order: &'a PayOrder,
    ) -> Pin<Box<dyn Future<Output = PayReport> + Send + 'a>> {
        Box::pin(ready(PayReport::Unclear(Code::LightningUnsupported)))
    }
}

/// Reads an L402 challenge with these bytes in its header, in its body, and in both; and judges what it asks for, which is
/// never above the cap.
pub fn challenges(bytes: &[u8]) {
    const CAP: Msat = Msat::new(1_000_000);
    let now = Timestamp::from_secs(1_700_000_000);
    let clock = Arc::new(move || now);
    let Ok(sender) = Sender::new(Arc::new(Nobody), BitcoinNetwork::Regtest, clock) else {
        return;
    };
    let caps = MsatCaps {
        per_payment: CAP,
        per_host: None,
        per_period: None,
        total: None,
    };
    let wallet = LightningWallet::new(sender, caps);
    let header = with(WWW_AUTHENTICATE.as_str(), bytes);
    for (headers, body) in [
        (&header, &b""[..]),
        (&HeaderMap::new(), bytes),
        (&header, bytes),
    ] {
        let Some(Ok(asked)) = l402::read(headers, body) else {
            continue;
        };
        match asked.judge(&wallet, now) {
            Ok((_, price)) => assert!(price.amount.checked_add(price.fee_max) <= Some(CAP)),
            Err(refusal) => drop(asked.refused(refusal)),
        }
    }
}

/// Reads these bytes as a 402 answer that asks for a permit, as the answer of a token endpoint and as a permit of the books;
/// what an offer costs is never above the cap.
pub fn permits(bytes: &[u8]) {
    let (assets, chains) = (AssetRegistry::builtin(), Chains::default());
    let rules = Rules {
        assets: &assets,
        chains: &chains,
        per_payment: limits::PER_PAYMENT_DEFAULT,
        validity_secs_max: limits::VALIDITY_SECS_MAX,
    };
    let habits = Habits {
        pinned: None,
        validity_secs: limits::PERMIT_SECS,
    };
    if let Some(Ok(demand)) = crate::permit::demand(bytes) {
        for offer in permit::consider(&demand, &rules, &habits, |_| true) {
            if let Ok(price) = offer.considered.verdict {
                let decimals = price.asset.decimals;
                let worth = Worth::of_dollar_coin(price.amount.value(), decimals);
                assert!(worth.is_some_and(|worth| worth <= limits::PER_PAYMENT_DEFAULT));
            }
        }
    }
    for status in [StatusCode::OK, StatusCode::BAD_REQUEST] {
        if let Said::Refused(_, Some(reason)) = permit::hear(status, Some(bytes)) {
            assert!(reason.len() <= limits::TEXT_BYTES_MAX && !reason.contains('\n'));
        }
    }
    drop(Note::from_bytes(bytes));
}

/// Reads these bytes as a 402 answer with offers on credit, as the answer of a tab endpoint, as claims of the books and as a
/// receipt; what is owed is never above the cap, and tabs are only asked for where the offer came from.
pub fn credit(bytes: &[u8]) {
    let (assets, chains, origins) = (
        AssetRegistry::builtin(),
        Chains::default(),
        Origins::default(),
    );
    let rules = Rules {
        assets: &assets,
        chains: &chains,
        per_payment: limits::PER_PAYMENT_DEFAULT,
        validity_secs_max: limits::VALIDITY_SECS_MAX,
    };
    let (Ok(url), habits) = (Url::parse("http://127.0.0.1:4021/joke"), OnCredit::new()) else {
        return;
    };
    let standpoint = Standpoint {
        habits: Some(&habits),
        origins: &origins,
        url: &url,
    };
    let headers = with(header::PAYMENT_REQUIRED, bytes);
    for offers in [offer::from_headers(&headers), offer::from_body(bytes)]
        .into_iter()
        .flatten()
    {
        for offer in rail::credit::consider(&offers, false, &rules, &standpoint) {
            if let Ok(price) = offer.considered.verdict {
                assert!(price.worth <= limits::PER_PAYMENT_DEFAULT);
                assert!(offer.endpoint.is_some_and(|at| at.origin() == url.origin()));
            }
        }
    }
    for status in [StatusCode::OK, StatusCode::BAD_REQUEST] {
        drop(crate::tab::read(status, bytes));
    }
    let note = rail::credit::Note::from_bytes(bytes);
    let claims = note.map(|note| note.claims).unwrap_or_else(|| Claims {
        payer: Address::ZERO,
        recipient: Address::ZERO,
        tab_id: U256::ZERO,
        req_id: U256::ZERO,
        amount: U256::from(1),
        asset: Address::ZERO,
        timestamp: Timestamp::from_secs(0),
        validation: None,
    });
    let details = Details::read(&with(header::PAYMENT_RESPONSE, bytes), Version::V2, &claims);
    assert!(details.total.is_none_or(|total| total >= claims.amount));
}

/// Reads a receipt for a payment of 1 by the zero address.
pub fn receipt(bytes: &[u8]) {
    let Ok(asset) =
        "eip155:84532/erc20:0x036CbD53842c5426634e7929541eC2318f3dCF7e".parse::<AssetId>()
    else {
        unreachable!("the asset is an asset");
    };
    for version in [Version::V1, Version::V2] {
        let expected = Expected {
            version,
            payer: Address::ZERO,
            amount: Amount::new(U256::from(1), asset),
        };
        for name in [header::PAYMENT_RESPONSE, header::X_PAYMENT_RESPONSE] {
            let receipt = Receipt::read(&with(name, bytes), &expected);
            if let Receipt::Settled(settled) = &receipt {
                assert!(!settled.transaction.is_empty());
                assert!(settled.payer.is_none_or(|payer| payer == expected.payer));
            }
            drop(receipt.outcome(StatusCode::OK));
        }
    }
}
