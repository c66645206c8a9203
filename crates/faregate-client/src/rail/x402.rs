//! x402 `exact` with EIP-3009: the payment header of both versions (x402 wire facts §1.1, §1.2, §2.1).

use alloy_primitives::{Address, B256, U256};
use faregate_evm::{LocalSigner, sign_authorization};
use faregate_types::limits::HEADER_BYTES_MAX;
use faregate_types::x402::exact::Payload;
use faregate_types::x402::{SCHEME_EXACT, Version, VersionTag, header, v1};
use faregate_types::{Authorization, Code, PaymentId, Refusal, Timestamp};
use reqwest::header::{HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::error::PayError;
use crate::limits::V1_BACKDATE_SECS;
use crate::offer::{Entry, Offers};
use crate::select::Price;

/// A signed payment, ready to be sent. It is as good as money: no `Debug`, never logged.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Credential {
    name: &'static str,
    value: Box<str>,
}

/// A signed payment and what the books have to know about it.
pub(crate) struct Signed {
    pub(crate) id: PaymentId,
    pub(crate) credential: Credential,
    pub(crate) valid_until: Timestamp,
}

/// Signs a payment for `price`, which was made of `entry`. The signature must not leave this process before the books
/// have it.
pub(crate) fn sign(
    offers: &Offers,
    entry: &Entry,
    price: &Price,
    signer: &LocalSigner,
    nonce: B256,
    now: Timestamp,
) -> Result<Signed, PayError> {
    let valid_until = price.valid_until(now)?;
    let authorization = authorization(
        offers.version,
        price,
        signer.address(),
        nonce,
        now,
        valid_until,
    );
    let asset = &price.asset;
    let (chain, token) = (asset.id.chain(), asset.id.token());
    let signature = sign_authorization(signer, &asset.domain, chain, token, &authorization)?;
    let payload = Payload {
        authorization,
        signature,
    };
    let credential = match offers.version {
        Version::V1 => v1_credential(entry, &payload),
        Version::V2 => v2_credential(offers, entry, &payload),
    };
    Ok(Signed {
        id: PaymentId::eip3009(chain, token, authorization.from, nonce),
        credential: credential.map_err(PayError::Offer)?,
        valid_until,
    })
}

fn authorization(
    version: Version,
    price: &Price,
    from: Address,
    nonce: B256,
    now: Timestamp,
    valid_until: Timestamp,
) -> Authorization {
    let valid_after = match version {
        Version::V1 => now.as_secs().saturating_sub(V1_BACKDATE_SECS),
        Version::V2 => 0,
    };
    Authorization {
        from,
        to: price.payee,
        value: price.amount.value(),
        valid_after: U256::from(valid_after),
        valid_before: U256::from(valid_until.as_secs()),
        nonce,
    }
}

/// The members of a version 2 payment. What the server sent is repeated word for word, members we do not know included.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct PaymentV2<'a> {
    x402_version: VersionTag<2>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'a RawValue>,
    accepted: &'a RawValue,
    payload: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    extensions: Option<&'a RawValue>,
}

fn v2_credential(offers: &Offers, entry: &Entry, payload: &Payload) -> Result<Credential, Refusal> {
    let payment = |extensions| PaymentV2 {
        x402_version: VersionTag,
        resource: offers.resource.as_deref(),
        accepted: &entry.raw,
        payload: payload.to_value(),
        extensions,
    };
    let full = header::encode(&payment(offers.extensions.as_deref()));
    if full.len() <= HEADER_BYTES_MAX {
        return Credential::new(header::PAYMENT_SIGNATURE, full);
    }
    // Servers may not insist on the echo of extensions.
    Credential::new(header::PAYMENT_SIGNATURE, header::encode(&payment(None)))
}

fn v1_credential(entry: &Entry, payload: &Payload) -> Result<Credential, Refusal> {
    let network = match &entry.asked {
        Ok(asked) => asked.network.clone(),
        Err(refusal) => return Err(refusal.clone()),
    };
    let payment = v1::PaymentPayload {
        x402_version: VersionTag,
        scheme: SCHEME_EXACT.to_owned(),
        network,
        payload: payload.to_value(),
    };
    Credential::new(header::X_PAYMENT, header::encode(&payment))
}

impl Credential {
    pub(crate) fn new(name: &'static str, value: String) -> Result<Self, Refusal> {
        if value.len() > HEADER_BYTES_MAX {
            return Err(Refusal::new(Code::CredentialTooLarge));
        }
        Ok(Self {
            name,
            value: value.into(),
        })
    }

    /// The header, marked so that it is not printed.
    pub(crate) fn header(&self) -> Option<(HeaderName, HeaderValue)> {
        let mut value = HeaderValue::from_str(&self.value).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::from_static(self.name), value))
    }

    /// What the header says.
    pub(crate) fn value(&self) -> &str {
        &self.value
    }

    /// The form in the books: a header line.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        format!("{}: {}", self.name, self.value).into_bytes()
    }

    /// Reads the form in the books.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (name, value) = std::str::from_utf8(bytes).ok()?.split_once(": ")?;
        let name = [header::PAYMENT_SIGNATURE, header::X_PAYMENT]
            .into_iter()
            .find(|known| *known == name)?;
        Self::new(name, value.to_owned()).ok()
    }

    /// What was signed.
    pub(crate) fn authorization(&self) -> Option<Authorization> {
        let value = self.value.as_bytes();
        let payload = match self.version() {
            Version::V1 => header::decode_payment_v1(value).ok()?.payload,
            Version::V2 => header::decode_payment_v2(value).ok()?.payload,
        };
        Some(Payload::from_value(&payload).ok()?.authorization)
    }

    /// The version it is of.
    pub(crate) fn version(&self) -> Version {
        if self.name == header::X_PAYMENT {
            Version::V1
        } else {
            Version::V2
        }
    }
}

#[cfg(test)]
mod tests;
