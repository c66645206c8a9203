//! What the credit core of this client knows about claims whose end is unknown (specs/4mica.md §1.4).

use faregate_ledger::{Spend, SpendEnd, SpendState, StoreError};
use faregate_types::credit::api::{GuaranteeInfo, TabInfo, TabStatus};
use faregate_types::credit::{Certificate, Claims};
use faregate_types::{ChainId, Code, PaymentId, Timestamp};

use crate::client::{Client, Inner};
use crate::credit::CreditClient;
use crate::error::PayError;
use crate::events::Event;
use crate::limits::PROOF_MARGIN_SECS;
use crate::pending::Proof;
use crate::rail::credit::receipt::ShownCertificate;
use crate::rail::credit::{self, Note};

/// What became of claims.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CoreSays {
    /// A guarantee was issued for them.
    Issued,
    /// None, so far.
    NotIssued,
    /// None, and there never will be one: another has the number, or the tab takes no more.
    Never,
    /// There is nobody to ask, or no answer.
    Nothing,
}

impl Client {
    /// Asks the credit core of this client about claims, and closes them when no guarantee can be issued for them any more:
    /// another one has their number, or their tab takes no more. [`Proof::Used`] when one was issued: they stay pending until
    /// the seller's answer is there. Nothing else closes them without the seller's word.
    ///
    /// # Errors
    /// [`PayError`]; [`RequestFault::NotPending`](crate::RequestFault::NotPending) for an id without an open payment,
    /// [`PayError::Chain`] when there is no core for its chain or it does not answer. Payments on other rails are
    /// [`Proof::Undecided`].
    pub async fn ask_core(&self, id: PaymentId) -> Result<Proof, PayError> {
        let inner = self.inner();
        let spend = inner.open_spend(id).await?;
        if !Note::is_one(&spend.credential) {
            return Ok(Proof::Undecided);
        }
        let note = Note::from_bytes(&spend.credential).ok_or(StoreError::Damaged)?;
        match inner.core_says(&spend, &note.claims).await {
            CoreSays::Issued => Ok(Proof::Used),
            CoreSays::NotIssued => Ok(Proof::Undecided),
            CoreSays::Nothing => Err(PayError::Chain(Code::CreditCoreUnavailable)),
            CoreSays::Never => {
                let store = &inner.books.store;
                store
                    .finish_spend(id, SpendEnd::Unused, inner.now())
                    .await?;
                let state = SpendState::Unused;
                inner.books.events.tell(Event::Ended { id, state });
                if let Some(flight) = inner.open.take_by_id(id) {
                    flight.decided();
                }
                Ok(Proof::Unused)
            }
        }
    }
}

impl Inner {
    fn core_of(&self, spend: &Spend) -> Option<&CreditClient> {
        let chain = chain(spend)?;
        self.credit.as_ref()?.core_of(chain)
    }

    /// Asks about claims.
    pub(crate) async fn core_says(&self, spend: &Spend, claims: &Claims) -> CoreSays {
        let Some(core) = self.core_of(spend) else {
            return CoreSays::Nothing;
        };
        // Claims of another payment say nothing about this one.
        let natural = chain(spend).map(|chain| credit::id(chain, claims));
        let is_its_own = natural.is_some_and(|natural| {
            (0..crate::limits::NUMBER_REUSES_MAX)
                .any(|use_number| natural.nth(use_number) == spend.id)
        });
        if !is_its_own {
            return CoreSays::Nothing;
        }
        match core.rpc().guarantee(claims.tab_id, claims.req_id).await {
            Ok(Some(found)) if is_of(&found, claims) => CoreSays::Issued,
            Ok(Some(found)) if found.tab_id == claims.tab_id && found.req_id == claims.req_id => {
                CoreSays::Never
            }
            Ok(None) => match core.rpc().tab(claims.tab_id).await {
                Ok(Some(tab)) if is_over(&tab, claims, self.now()) => CoreSays::Never,
                _ => CoreSays::NotIssued,
            },
            Ok(Some(_)) => CoreSays::Nothing,
            Err(error) => {
                tracing::warn!(payment = %spend.id, %error, "the credit core says nothing about claims");
                CoreSays::Nothing
            }
        }
    }

    /// Verifies a certificate that a seller shows, if the credit core of this client could have issued it.
    pub(crate) async fn look_at(
        &self,
        spend: &Spend,
        note: &Note,
        certificate: Certificate,
    ) -> ShownCertificate {
        let Some(core) = self.core_of(spend) else {
            return ShownCertificate::Given(certificate);
        };
        match core.verify_for(&note.claims, certificate).await {
            Ok(issued) => ShownCertificate::Verified(issued.certificate),
            Err(error) => {
                tracing::warn!(payment = %spend.id, %error, "a seller shows a certificate that is none");
                ShownCertificate::NotCredible
            }
        }
    }
}

fn chain(spend: &Spend) -> Option<ChainId> {
    spend.amount.asset().as_erc20().map(|asset| asset.chain())
}

/// Whether a guarantee was issued for these claims.
fn is_of(found: &GuaranteeInfo, claims: &Claims) -> bool {
    (found.tab_id, found.req_id) == (claims.tab_id, claims.req_id)
        && (found.payer, found.recipient) == (claims.payer, claims.recipient)
        && (found.asset, found.amount) == (claims.asset, claims.amount)
        && found.timestamp == claims.timestamp
}

/// Whether a tab takes no guarantees any more, with room for clocks that differ.
fn is_over(tab: &TabInfo, claims: &Claims, now: Timestamp) -> bool {
    if tab.tab_id != claims.tab_id {
        return false;
    }
    let end = tab.start.checked_add_secs(tab.ttl_seconds);
    let end = end.and_then(|end| end.checked_add_secs(PROOF_MARGIN_SECS));
    let is_late = tab.start > Timestamp::from_secs(0) && end.is_some_and(|end| end < now);
    tab.status == TabStatus::Closed || is_late
}
