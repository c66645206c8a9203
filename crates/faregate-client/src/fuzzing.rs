//! Doors for the fuzz targets; only in builds with `--cfg fuzzing`.

use alloy_primitives::{Address, U256};
use faregate_types::x402::{Version, header};
use faregate_types::{Amount, AssetId};
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use crate::receipt::{Expected, Receipt};
use crate::{limits, offer};

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
