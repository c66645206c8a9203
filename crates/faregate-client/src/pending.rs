//! Payments whose end is unknown, for people and programs: listed, sent again, or proven unused.

use alloy_primitives::Address;
use faregate_evm::{AuthorizationReader, AuthorizationState};
use faregate_ledger::{Spend, SpendEnd, SpendRecord, SpendState, StoreError, Worth};
use faregate_types::permit::Terms;
use faregate_types::{Amount, Asset, Authorization, Erc20, PaymentId, Timestamp};
use reqwest::Response;

use crate::client::{Client, Inner, internal};
use crate::error::{PayError, RequestFault};
use crate::events::Event;
use crate::kept;
use crate::limits::{PENDING_MAX, PROOF_MARGIN_SECS};
use crate::payment::Paid;
use crate::prepare::Prepared;
use crate::rail::credit;
use crate::rail::permit::Note;
use crate::rail::x402::Credential;

/// A payment whose end is unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pending {
    /// Its natural key.
    pub id: PaymentId,
    /// Scheme, host and port of the server.
    pub origin: Box<str>,
    /// Method and path; the query may hold secrets and is not shown.
    pub resource: Box<str>,
    /// The path alone.
    pub path: Box<str>,
    /// Who would be paid.
    pub payee: Box<str>,
    /// How much.
    pub amount: Amount,
    /// The asset, if it is in this client's table.
    pub asset: Option<Asset>,
    /// The same in dollars.
    pub worth: Worth,
    /// When it was signed.
    pub since: Timestamp,
    /// Until when it can be used.
    pub valid_until: Timestamp,
    /// Whether it can still be used.
    pub standing: Standing,
}

/// Whether a pending payment can still be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// It can.
    Valid,
    /// It cannot, by this machine's clock; but it may have been used before. Only the chain can tell.
    Expired,
}

/// What the chain says about a pending payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proof {
    /// It expired long ago and was never used. It is closed in the books as [`SpendState::Unused`].
    Unused,
    /// Its authorization was used: the money has moved. It stays pending until the server's answer is there.
    Used,
    /// Not used yet, and it can still be used, or could until a short while ago.
    Undecided,
}

impl Standing {
    /// A word for machines.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "valid",
            Self::Expired => "expired",
        }
    }
}

impl Client {
    /// Payments whose end is unknown, oldest first, at most [`limits::PENDING_MAX`](crate::limits::PENDING_MAX).
    ///
    /// # Errors
    /// [`PayError::Store`].
    pub async fn pending(&self) -> Result<Vec<Pending>, PayError> {
        let inner = self.inner();
        let now = inner.now();
        let records = inner.books.store.open_spends(PENDING_MAX).await?;
        Ok(records
            .into_iter()
            .map(|record| inner.pending_of(record.spend, now))
            .collect())
    }

    /// Sends the same payment with the same request to the same URL again, and writes down what came of it.
    ///
    /// # Errors
    /// [`PayError`]; [`RequestFault::NotPending`] for an id without an open payment, [`RequestFault::NotKept`] when the
    /// books do not have the whole request.
    pub async fn resume(&self, id: PaymentId) -> Result<Paid<Response>, PayError> {
        let inner = self.inner();
        let spend = inner.open_spend(id).await?;
        let request = kept::from_bytes(&spend.request).ok_or(RequestFault::NotKept)?;
        let origin = inner.origins.payable(request.url())?;
        if origin != spend.origin {
            return Err(PayError::Request(RequestFault::NotKept));
        }
        inner.load_open().await?;
        let flight = inner
            .open
            .take_by_id(id)
            .unwrap_or_else(|| inner.open.flight(spend));
        match inner.again(flight)? {
            Prepared::X402(ready) => inner.pay(request, *ready).await,
            Prepared::L402(bill) => inner.pay_invoice(request, *bill).await,
            Prepared::Permit(slip) => inner.pay_permit(request, *slip).await,
            Prepared::Credit(tabbed) => inner.pay_on_credit(request, *tabbed).await,
            // Something is open, so nothing was looked for.
            Prepared::Answered(_) => Err(internal()),
        }
    }

    /// Asks the chain about a payment, and closes it when it expired long ago and was never used. Nothing else closes a
    /// payment without the server's word. The chain says nothing about what is owed: [`ask_core`](Self::ask_core) does.
    ///
    /// # Errors
    /// [`PayError`]; [`RequestFault::NotPending`] for an id without an open payment, [`PayError::Chain`] when the node does not
    /// answer or is on another chain.
    pub async fn prove(
        &self,
        id: PaymentId,
        reader: &AuthorizationReader,
    ) -> Result<Proof, PayError> {
        let inner = self.inner();
        let spend = inner.open_spend(id).await?;
        let Some((asset, authorization)) = authorization(&spend)? else {
            return Ok(Proof::Undecided);
        };
        let state = reader
            .state(asset, &authorization, PROOF_MARGIN_SECS)
            .await
            .map_err(|away| PayError::Chain(away.code))?;
        match state {
            AuthorizationState::Used => Ok(Proof::Used),
            AuthorizationState::Expired => {
                let finish = inner
                    .books
                    .store
                    .finish_spend(id, SpendEnd::Unused, inner.now());
                finish.await?;
                let state = SpendState::Unused;
                inner.books.events.tell(Event::Ended { id, state });
                if let Some(flight) = inner.open.take_by_id(id) {
                    flight.decided();
                }
                Ok(Proof::Unused)
            }
            _ => Ok(Proof::Undecided),
        }
    }
}

impl Inner {
    fn pending_of(&self, spend: Spend, now: Timestamp) -> Pending {
        let standing = if spend.valid_until > now {
            Standing::Valid
        } else {
            Standing::Expired
        };
        let resource = spend.resource.split(" #").next().unwrap_or_default().into();
        Pending {
            id: spend.id,
            origin: spend.origin,
            resource,
            path: spend.path,
            payee: spend.payee,
            asset: self.assets.find(spend.amount.asset()).cloned(),
            amount: spend.amount,
            worth: spend.worth,
            since: spend.at,
            valid_until: spend.valid_until,
            standing,
        }
    }

    pub(crate) async fn open_spend(&self, id: PaymentId) -> Result<Spend, PayError> {
        match self.books.store.spend(id).await? {
            Some(SpendRecord {
                spend,
                state: SpendState::Open,
                ..
            }) => Ok(spend),
            Some(_) | None => Err(PayError::Request(RequestFault::NotPending)),
        }
    }
}

/// The EIP-3009 authorization that was signed, read back from the books; `None` for permits of the other kinds, about which
/// one look at the chain says too little.
fn authorization(spend: &Spend) -> Result<Option<(Erc20, Authorization)>, PayError> {
    if credit::Note::is_one(&spend.credential) {
        return Ok(None);
    }
    let authorization = if Note::is_one(&spend.credential) {
        match Note::from_bytes(&spend.credential).map(|note| note.permit.terms) {
            Some(Terms::Erc3009 { authorization, .. }) => Some(authorization),
            Some(Terms::Eip2612 { .. } | Terms::Permit2 { .. }) => return Ok(None),
            None => None,
        }
    } else {
        let credential = Credential::from_bytes(&spend.credential);
        credential.and_then(|credential| credential.authorization())
    };
    let damaged = || PayError::Store(StoreError::Damaged);
    let authorization = authorization.ok_or_else(damaged)?;
    let asset = spend.amount.asset().as_erc20().ok_or_else(damaged)?;
    let id = PaymentId::eip3009(
        asset.chain(),
        asset.token(),
        authorization.from,
        authorization.nonce,
    );
    // Another authorization would prove nothing about this payment.
    if id == spend.id && authorization.from != Address::ZERO {
        Ok(Some((asset, authorization)))
    } else {
        Err(damaged())
    }
}
