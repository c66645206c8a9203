//! What is answered to whoever has not paid: an invoice with its token, or for what nobody issued, neither.

use faregate_types::l402::{body, challenge};
use faregate_types::{Code, Refusal};
use http::HeaderValue;
use http::header::WWW_AUTHENTICATE;
use serde_json::Value;

use super::{BUG, L402};
use crate::offer::{LightningAsk, Offer};
use crate::order::Asked;
use crate::port::Away;
use crate::port::lightning::InvoiceAsk;
use crate::rail::{Challenge, Headers};

impl L402 {
    pub(super) async fn issue(
        &self,
        offer: &Offer,
        ask: &LightningAsk,
        asked: &Asked,
        why: &Refusal,
    ) -> Result<Challenge, Away> {
        let _making = self.limit.enter(asked.client, self.clock.now())?;
        let resource = offer.resource();
        let description = match &*resource.description {
            "" => resource.url.clone(),
            description => description.into(),
        };
        let invoice = self
            .receiver
            .create(&InvoiceAsk {
                amount: ask.price,
                description,
                expiry_secs: self.invoice_expiry_secs,
            })
            .await?;
        let invoice = invoice.bolt11();
        let token = self.mint(invoice.payment_hash(), ask, asked)?;
        let body = body::Body::new(said(why), ask.price, invoice.as_str(), &token);
        let Ok(Value::Object(body)) = serde_json::to_value(&body) else {
            return Err(BUG);
        };
        let lines = challenge::write(&token, invoice.as_str(), self.lines);
        Ok(Challenge {
            headers: authenticate(lines)?,
            body,
            ..Challenge::default()
        })
    }

    /// For a credential that nobody issued: no invoice, or everybody could have as many as they like.
    pub(super) fn reject(&self, why: &Refusal) -> Result<Challenge, Away> {
        let mut body = serde_json::Map::new();
        let error = match why.code {
            code if self.exact_texts && code != Code::L402TokenUsedUp => body::UNAUTHORIZED,
            _ => said(why),
        };
        body.insert("error".into(), error.into());
        if let Some(detail) = &why.detail
            && !self.exact_texts
        {
            body.insert("detail".into(), (&**detail).into());
        }
        Ok(Challenge {
            headers: authenticate(["L402".to_owned()])?,
            body,
            status: 401,
            ..Challenge::default()
        })
    }
}

/// `error` in a body: what l402kit's clients know, and our codes for the rest.
const fn said(why: &Refusal) -> &'static str {
    match why.code {
        Code::PaymentRequired => "Payment Required",
        Code::L402TokenUsedUp => body::ALREADY_USED,
        code => code.as_str(),
    }
}

fn authenticate(lines: impl IntoIterator<Item = String>) -> Result<Headers, Away> {
    lines
        .into_iter()
        .map(|line| {
            let value = HeaderValue::from_str(&line).map_err(|_| BUG)?;
            Ok((WWW_AUTHENTICATE, value))
        })
        .collect()
}
