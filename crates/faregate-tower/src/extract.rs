//! What a handler gets to know about the payment.

use std::fmt;

use axum::extract::{FromRequestParts, OptionalFromRequestParts};
use axum::response::{IntoResponse, Response};
use faregate_core::port::Settlement;
use faregate_ledger::AccountId;
use faregate_types::{Amount, Code, PaymentId, Problem, RailName};
use http::request::Parts;

use crate::respond;

/// The payment behind the request, put into its extensions by [`Paywall`](crate::Paywall). Also an axum extractor;
/// `Option<Paid>` for handlers that are reachable without a price.
#[derive(Clone, PartialEq, Eq)]
pub struct Paid(faregate_core::Paid);

impl Paid {
    /// The payment's natural key: the same for every copy of it.
    #[must_use]
    pub const fn id(&self) -> PaymentId {
        self.0.id
    }

    /// Who pays.
    #[must_use]
    pub const fn payer(&self) -> &AccountId {
        &self.0.transfer.debit
    }

    /// How much, with its asset.
    #[must_use]
    pub const fn amount(&self) -> Amount {
        self.0.transfer.amount
    }

    /// The rail it came by.
    #[must_use]
    pub const fn rail(&self) -> RailName {
        self.0.rail
    }

    /// The settlement, on a route that settles before it serves. On one that serves first the payment is verified and
    /// claimed, and the answer leaves only if it settles.
    #[must_use]
    pub const fn settlement(&self) -> Option<&Settlement> {
        self.0.settlement.as_ref()
    }
}

impl fmt::Debug for Paid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Paid")
            .field("id", &self.0.id)
            .field("rail", &self.0.rail)
            .field("transfer", &self.0.transfer)
            .finish_non_exhaustive()
    }
}

impl From<faregate_core::Paid> for Paid {
    fn from(paid: faregate_core::Paid) -> Self {
        Self(paid)
    }
}

/// A handler that asks for [`Paid`] was reached without a paywall in front: a mistake of whoever wired it, so the answer
/// is 500 and not the thing that is sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this handler is not behind a paywall")]
#[non_exhaustive]
pub struct NotPaid;

impl IntoResponse for NotPaid {
    fn into_response(self) -> Response {
        tracing::error!("a handler that asks for a payment was reached without a paywall in front");
        respond::problem(&Problem::new(Code::Internal))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Paid {
    type Rejection = NotPaid;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Self::Rejection> {
        parts.extensions.get::<Self>().cloned().ok_or(NotPaid)
    }
}

impl<S: Send + Sync> OptionalFromRequestParts<S> for Paid {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        _state: &S,
    ) -> Result<Option<Self>, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned())
    }
}
