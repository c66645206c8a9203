//! Believing the wallet besides the preimage. A preimage alone proves a payment as long as only its payer learns it; some
//! wallets show it to others too, even before anybody has paid.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use faregate_types::lightning::PaymentHash;
use faregate_types::{Code, Refusal};
use futures_util::future::BoxFuture;

use crate::port::Away;
use crate::port::lightning::{InvoiceState, Wanted};
use crate::rail::VerifyError;

/// Payments that are known to have arrived: 32 bytes each. What is forgotten is asked again.
const SETTLED_MAX: usize = 100_000;

/// Asks the wallet that made an invoice what has become of it.
pub trait Confirms: Send + Sync + 'static {
    /// The state of an invoice whose preimage was shown: a wallet may be a moment behind, so it is given one. Ends within
    /// seconds, with [`InvoiceState::Open`] when nothing has arrived until then.
    fn confirm<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Result<InvoiceState, Away>>;
}

/// The check, and what it found before.
pub(super) struct Strict {
    wallet: Arc<dyn Confirms>,
    settled: Mutex<BTreeSet<PaymentHash>>,
}

/// One payment that is asked about.
pub(super) struct Check {
    pub(super) strict: Arc<Strict>,
    pub(super) wanted: Wanted,
}

impl Check {
    pub(super) async fn run(&self) -> Result<(), VerifyError> {
        self.strict.check(&self.wanted).await
    }
}

impl fmt::Debug for Strict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Strict").finish_non_exhaustive()
    }
}

impl Strict {
    pub(super) fn new(wallet: Arc<dyn Confirms>) -> Self {
        Self {
            wallet,
            settled: Mutex::default(),
        }
    }

    /// Whether the invoice was paid. Who cannot be told now is told to come back, whatever the reason.
    async fn check(&self, wanted: &Wanted) -> Result<(), VerifyError> {
        let hash = wanted.payment_hash;
        if self.is_settled(hash) {
            return Ok(());
        }
        match self.wallet.confirm(wanted).await {
            Ok(InvoiceState::Paid { .. }) => {
                self.remember(hash);
                Ok(())
            }
            Ok(InvoiceState::Open) => Err(VerifyError::Away(UNKNOWN)),
            Ok(InvoiceState::Expired | InvoiceState::Cancelled | InvoiceState::Unknown) => {
                Err(VerifyError::Refused(Refusal::new(Code::L402InvoiceUnpaid)))
            }
            Err(away) => {
                tracing::warn!(code = %away.code, "the wallet does not say whether an invoice was paid");
                let known = away.code.http_status() == UNKNOWN.code.http_status();
                Err(VerifyError::Away(if known { away } else { UNKNOWN }))
            }
        }
    }

    fn is_settled(&self, hash: PaymentHash) -> bool {
        let settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        settled.contains(&hash)
    }

    fn remember(&self, hash: PaymentHash) {
        let mut settled = self.settled.lock().unwrap_or_else(PoisonError::into_inner);
        if settled.len() >= SETTLED_MAX {
            // Hashes are random, so the first one is any one.
            settled.pop_first();
        }
        settled.insert(hash);
    }
}

const UNKNOWN: Away = Away {
    code: Code::PaymentUnknown,
};
