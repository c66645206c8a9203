//! Tokens: made from what the ledger keeps of a payment, and read when they are shown.

use std::fmt;
use std::num::NonZeroU64;
use std::sync::Arc;

use alloy_primitives::{Address, U256};
use faregate_ledger::{AccountId, Payment, Transfer};
use faregate_types::permit::{Bound, Claims, TokenError, authorization, token};
use faregate_types::{Amount, AssetId, Code, PaymentId, RailName, Refusal, Timestamp};
use http::HeaderValue;

use super::instrument::Issued;
use super::kept::Kept;
use super::{ANY_ROUTE, Permits, asks};
use crate::offer::Offer;
use crate::rail::{Evidence, Presented, Uses};

/// A token for a payment.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Token {
    /// What stands behind `Bearer`.
    pub text: String,
    /// The last second in which it works.
    pub until: Timestamp,
}

/// Without the token.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token")
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

impl Permits {
    /// The token of a payment: the same one whenever it is asked for. `None` when the payment is not of this rail.
    #[must_use]
    pub fn token(&self, payment: &Payment) -> Option<Token> {
        let claim = &payment.claim;
        if claim.rail != RailName::PERMIT {
            return None;
        }
        let kept = Kept::read(&claim.evidence)?;
        let until = claim.at.checked_add_secs(kept.token_secs)?;
        let claims = Claims {
            exp: until,
            iat: Some(claim.at),
            nonce: Some(token::nonce(&self.key, &claim.id)),
            aud: Some(self.audience.to_string()),
            route: Some(kept.route.to_string()),
            method: None,
            quote: None,
            payer: Some(claim.transfer.debit.name().to_owned()),
            amount: Some(claim.transfer.amount.value().to_string()),
            asset: Some(claim.transfer.amount.asset().to_string()),
            jti: Some(claim.id.to_string()),
        };
        Some(Token {
            text: token::mint(&self.key, &claims),
            until,
        })
    }

    /// A token that a request came with.
    pub(super) fn shown(&self, lines: &[HeaderValue], offer: &Offer) -> Result<Presented, Refusal> {
        // Whoever wants no tokens of ours has other uses for the header.
        if asks(offer).next().is_none() {
            return Err(Refusal::new(Code::PaymentRequired));
        }
        let lines = lines.iter().map(HeaderValue::as_bytes);
        let token = authorization::check(lines, &self.key, self.clock.now()).map_err(refusal)?;
        self.opened(&token.claims, offer).map_err(refusal)
    }

    /// What a token opens, by its own words.
    fn opened(&self, claims: &Claims, offer: &Offer) -> Result<Presented, TokenError> {
        const ELSEWHERE: TokenError = TokenError::Elsewhere;
        let is_any = claims.route.as_deref() == Some(ANY_ROUTE);
        claims.check(&Bound {
            aud: &self.audience,
            route: if is_any { ANY_ROUTE } else { offer.route() },
            method: "",
        })?;
        let asset = claims.asset.as_deref().and_then(|text| text.parse().ok());
        let amount = claims.amount.as_deref().and_then(|text| text.parse().ok());
        let (asset, amount): (AssetId, U256) = asset.zip(amount).ok_or(ELSEWHERE)?;
        let ask = asks(offer)
            .find(|ask| ask.amount.asset() == asset && ask.amount.value() <= amount)
            .ok_or(ELSEWHERE)?;
        let id = claims.jti.as_deref().and_then(|text| text.parse().ok());
        let payer = claims.payer.as_deref().and_then(|text| text.parse().ok());
        let (id, payer): (PaymentId, Address) = id.zip(payer).ok_or(ELSEWHERE)?;
        if self.is_on_the_list(id) {
            return Err(TokenError::Revoked);
        }
        Ok(Presented {
            id,
            rail: RailName::PERMIT,
            transfer: Transfer {
                debit: AccountId::payer(payer),
                credit: AccountId::payee(ask.treasury),
                amount: Amount::new(amount, asset),
            },
            evidence: Evidence(Vec::new()),
            uses: Uses::Issued,
            fingerprint: None,
            // It works in its last second too.
            good_until: claims.exp.checked_add_secs(NonZeroU64::MIN.get()),
            instrument: Arc::new(Issued),
        })
    }
}

fn refusal(error: TokenError) -> Refusal {
    let words = error.to_string();
    Refusal::new(error.code()).words(words)
}
