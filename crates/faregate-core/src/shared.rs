//! A payment whose uses are counted by several gates: each keeps its own ledger, and all share one store of what was used.
//!
//! The ledger comes first. Whoever holds the claim on a use is the only one behind that ledger who notes it, serves it, or takes
//! the note back; the note is taken back before the claim is. So the store never says that a use is free while somebody
//! serves it.

use std::fmt;
use std::sync::Arc;

use faregate_types::l402::replay::UseName;
use faregate_types::{PaymentId, Timestamp};

use crate::port::Away;
use crate::port::replay::{Noted, ReplayStore};

/// How much longer than its token a use is noted, in seconds: clocks of gates differ.
const SLACK_SECS: u64 = 600;

/// The uses of one payment in the store.
#[derive(Clone)]
pub struct SharedUses {
    pub(crate) store: Arc<dyn ReplayStore>,
    /// The payment: its first use has its id.
    pub(crate) payment: PaymentId,
    pub(crate) digest: [u8; 32],
    /// When no token of the payment works any more.
    pub(crate) until: Timestamp,
}

impl fmt::Debug for SharedUses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedUses")
            .field("payment", &self.payment)
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

impl SharedUses {
    /// Notes a use that this gate has claimed.
    pub(crate) async fn take(&self, id: PaymentId, now: Timestamp) -> Result<Noted, Away> {
        let left = self.until.as_secs().saturating_sub(now.as_secs());
        let noted = self
            .store
            .take(self.name(id), left.saturating_add(SLACK_SECS));
        noted.await
    }

    /// Takes the note back. If that fails, the use is left to this gate: others believe that it was taken.
    pub(crate) async fn give_back(&self, id: PaymentId) {
        if let Err(away) = self.store.give_back(self.name(id)).await {
            tracing::warn!(payment = %id, %away, "an unserved use is left to this gate");
        }
    }

    fn name(&self, id: PaymentId) -> UseName {
        UseName {
            digest: self.digest,
            part: (id != self.payment).then_some(id),
        }
    }
}
