//! A paid invoice in the hands of the till, and in the ledger's bytes.

use std::sync::Arc;

use faregate_types::Timestamp;
use faregate_types::lightning::PaymentHash;
use futures_util::future::{BoxFuture, ready};

use super::strict::Check;
use crate::port::replay::ReplayStore;
use crate::port::{SettleOutcome, Settlement, Trail};
use crate::rail::{Evidence, Headers, Instrument, Verified, VerifyError};
use crate::shared::SharedUses;

/// What the ledger keeps of a payment: its hash, and where uses are shared, under which name and until when.
#[derive(Clone, Copy)]
pub(super) struct Kept {
    pub(super) hash: PaymentHash,
    pub(super) shared: Option<SharedKey>,
}

/// How the uses of a payment are found in the store that several gates share.
#[derive(Clone, Copy)]
pub(super) struct SharedKey {
    pub(super) digest: [u8; 32],
    pub(super) until: Timestamp,
}

impl Kept {
    /// Its bytes: 32, or 72.
    pub(super) fn evidence(&self) -> Evidence {
        let mut bytes = self.hash.as_bytes().to_vec();
        if let Some(SharedKey { digest, until }) = &self.shared {
            bytes.extend_from_slice(digest);
            bytes.extend_from_slice(&until.as_secs().to_be_bytes());
        }
        Evidence(bytes)
    }

    /// Reads its bytes; `None` for those that this rail never wrote.
    pub(super) fn read(evidence: &[u8]) -> Option<Self> {
        let (hash, rest) = evidence.split_first_chunk::<32>()?;
        let hash = PaymentHash::from_bytes(*hash);
        if rest.is_empty() {
            return Some(Self { hash, shared: None });
        }
        let (digest, secs) = rest.split_first_chunk::<32>()?;
        let shared = SharedKey {
            digest: *digest,
            until: Timestamp::from_secs(u64::from_be_bytes(secs.try_into().ok()?)),
        };
        Some(Self {
            hash,
            shared: Some(shared),
        })
    }

    /// The payment for the till. Without the store its uses are counted in the ledger alone; without a check its preimage is
    /// believed.
    pub(super) fn instrument(
        self,
        store: Option<&Arc<dyn ReplayStore>>,
        check: Option<Check>,
    ) -> Arc<dyn Instrument> {
        let shared = self.shared.zip(store).map(|(key, store)| SharedUses {
            store: Arc::clone(store),
            payment: self.hash.payment_id(),
            digest: key.digest,
            until: key.until,
        });
        Arc::new(PaidInvoice {
            hash: self.hash,
            shared,
            check,
        })
    }
}

/// An invoice whose preimage was shown.
struct PaidInvoice {
    hash: PaymentHash,
    shared: Option<SharedUses>,
    check: Option<Check>,
}

impl Instrument for PaidInvoice {
    /// The preimage and the signature were checked when it was presented.
    fn verify(&self) -> BoxFuture<'_, Result<Verified, VerifyError>> {
        match &self.check {
            None => Box::pin(ready(Ok(Verified::default()))),
            Some(check) => Box::pin(async { check.run().await.map(|()| Verified::default()) }),
        }
    }

    fn prepaid(&self) -> Option<Settlement> {
        Some(settlement(self.hash))
    }

    fn shared(&self) -> Option<&SharedUses> {
        self.shared.as_ref()
    }

    /// The money is here already.
    fn settle<'a>(&'a self, _trail: &'a dyn Trail) -> BoxFuture<'a, SettleOutcome> {
        Box::pin(ready(settled(self.hash)))
    }

    /// L402 has no receipts: the preimage is one.
    fn receipt(&self, _outcome: &SettleOutcome) -> Headers {
        Headers::new()
    }
}

pub(super) fn settled(hash: PaymentHash) -> SettleOutcome {
    SettleOutcome::Settled(settlement(hash))
}

fn settlement(hash: PaymentHash) -> Settlement {
    Settlement {
        transaction: Some(hash.to_string().into()),
        payer: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_ledger_keeps_is_read_back() {
        let hash = PaymentHash::from_bytes([7; 32]);
        let shared = Some(SharedKey {
            digest: [9; 32],
            until: Timestamp::from_secs(1_800_000_000),
        });
        for kept in [Kept { hash, shared: None }, Kept { hash, shared }] {
            let Evidence(bytes) = kept.evidence();
            let read = Kept::read(&bytes).unwrap();
            assert_eq!(read.hash, hash);
            let parts = |kept: Kept| kept.shared.map(|key| (key.digest, key.until));
            assert_eq!(parts(read), parts(kept));
            for shorter in 0..bytes.len() {
                let is_hash = shorter == 32;
                let cut = Kept::read(bytes.get(..shorter).unwrap());
                assert_eq!(cut.is_some(), is_hash, "{shorter} bytes");
            }
        }
        assert!(Kept::read(&[0; 73]).is_none());
    }
}
