//! A transaction that was handed to the network, until it is mined.
//!
//! One task per transaction asks for its receipt, however many payments it carries, and everybody who waits for one of
//! them reads the answer. A transaction that does not show up is sent again, the same bytes; when that does not help it is
//! replaced: the same nonce and the same call with a higher fee. Whoever still waits for one of its payments records the
//! new hash before it is sent; whoever has gone recorded an earlier one, and finds the payment by its authorization. Any of
//! the hashes may be mined, and at most one is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use alloy_primitives::{B256, Bytes};
use faregate_types::{ChainId, PaymentId};
use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep, timeout};

use crate::answer::{Said, said};
use crate::fees::Fees;
use crate::job::NotSent;
use crate::limits::{BUMPS_MAX, FLIGHT_MAX, REBROADCAST_EVERY, RECEIPT_POLL_FIRST};
use crate::meter::Meter;
use crate::node::NodeError;
use crate::receipt::{self, Look, Sender, longer};
use crate::rpc::{Receipt, Rpc};
use crate::signer::Signer;
use crate::told::{self, Teller, Told};
use crate::transaction::{Draft, Signed};

/// How a transaction ended.
#[derive(Clone, Debug)]
pub(crate) enum Landing {
    /// It was mined, or one that replaced it, deep enough.
    Mined(Arc<Receipt>),
    /// It was not, and its nonce belongs to another transaction; or nobody could say for very long.
    Lost,
}

/// Where a transaction's end will be told.
pub(crate) type Track = Told<Landing>;

/// What a settlement hears about its transaction.
#[derive(Debug)]
pub(crate) enum News {
    /// A signed transaction, not sent yet.
    Record(Ask),
    /// It was handed to the network, or may have been.
    Left(Departure),
    /// Nothing is out there.
    NotSent(NotSent),
}

/// Make this transaction's hash durable, then say so. Whoever drops this says no.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) signed: Signed,
    pub(crate) recorded: oneshot::Sender<()>,
}

/// A transaction on its way.
#[derive(Debug)]
pub(crate) struct Departure {
    pub(crate) track: Track,
    /// How it carries the payment.
    pub(crate) sender: Sender,
}

/// One of the payments of a transaction, or what a transaction is instead of a payment.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) id: Option<PaymentId>,
    pub(crate) news: mpsc::Sender<News>,
}

impl Member {
    /// True once the transaction is durable; false when the settlement refused, or has gone.
    pub(crate) async fn records(&self, signed: &Signed, patience: Duration) -> bool {
        let (recorded, answer) = oneshot::channel();
        let signed = signed.clone();
        let asked = self.news.try_send(News::Record(Ask { signed, recorded }));
        asked.is_ok() && matches!(timeout(patience, answer).await, Ok(Ok(())))
    }
}

/// The nonces of one signer that are taken by transactions in the air.
#[derive(Clone, Debug, Default)]
pub(crate) struct Air(Arc<Mutex<BTreeMap<u64, Claim>>>);

#[derive(Debug)]
struct Claim {
    /// The first transaction with this nonce, as a name for all that replace it.
    first: B256,
    raw: Bytes,
}

impl Air {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Claim>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The first nonce from here on that nothing in the air holds.
    pub(crate) fn free_from(&self, mut nonce: u64) -> u64 {
        let claims = self.lock();
        while claims.contains_key(&nonce) {
            nonce = nonce.saturating_add(1);
        }
        nonce
    }

    /// What holds the nonces from here on: the bytes to send again.
    pub(crate) fn from(&self, nonce: u64) -> Vec<(u64, B256, Bytes)> {
        let claims = self.lock();
        let from = claims.range(nonce..);
        from.map(|(nonce, claim)| (*nonce, claim.first, claim.raw.clone()))
            .collect()
    }

    pub(crate) fn take(&self, nonce: u64, first: B256, raw: Bytes) {
        self.lock().insert(nonce, Claim { first, raw });
    }

    /// Gives the nonce up, if it is still this transaction's.
    pub(crate) fn release(&self, nonce: u64, first: B256) {
        let mut claims = self.lock();
        if claims.get(&nonce).is_some_and(|claim| claim.first == first) {
            claims.remove(&nonce);
        }
    }

    fn holds(&self, nonce: u64, first: B256) -> bool {
        self.lock()
            .get(&nonce)
            .is_some_and(|claim| claim.first == first)
    }
}

/// What the transactions of one signer share.
#[derive(Debug)]
pub(crate) struct Gear {
    pub(crate) chain: ChainId,
    pub(crate) rpc: Arc<Rpc>,
    pub(crate) fees: Arc<Fees>,
    pub(crate) signer: Arc<dyn Signer>,
    pub(crate) meter: Meter,
    pub(crate) air: Air,
    pub(crate) confirmations: u64,
    pub(crate) bump_after: Duration,
    pub(crate) trail_timeout: Duration,
    pub(crate) sign_timeout: Duration,
}

/// One transaction and those that replaced it.
#[derive(Debug)]
pub(crate) struct Flight {
    gear: Arc<Gear>,
    draft: Draft,
    members: Vec<Member>,
    first: B256,
    /// All with this nonce, the newest last.
    hashes: Vec<B256>,
    raw: Bytes,
    end: Teller<Landing>,
    /// How often in a row the chain had gone past the nonce without a receipt.
    passed: u32,
}

impl Flight {
    /// Takes the nonce; [`run`](Self::run) does the rest.
    pub(crate) fn new(
        gear: Arc<Gear>,
        draft: Draft,
        signed: &Signed,
        members: Vec<Member>,
    ) -> (Self, Track) {
        gear.air.take(draft.nonce, signed.hash, signed.raw.clone());
        let (end, track) = told::channel();
        let flight = Self {
            gear,
            draft,
            members,
            first: signed.hash,
            hashes: vec![signed.hash],
            raw: signed.raw.clone(),
            end,
            passed: 0,
        };
        (flight, track)
    }

    /// Until it is mined, or nobody waits for an answer any more.
    pub(crate) async fn run(mut self) {
        let landing = self.land().await;
        if let Landing::Mined(receipt) = &landing {
            self.gear.meter.mined(receipt);
        }
        self.gear.air.release(self.draft.nonce, self.first);
        self.end.tell(landing);
    }

    async fn land(&mut self) -> Landing {
        let start = Instant::now();
        let (mut sent_at, mut priced_at, mut bumps) = (start, start, 0_u32);
        let mut pause = RECEIPT_POLL_FIRST;
        loop {
            match self.look().await {
                Ok(Look::Deep(receipt)) => return Landing::Mined(Arc::new(receipt)),
                Ok(Look::Absent) => {
                    if sent_at.elapsed() >= REBROADCAST_EVERY {
                        sent_at = Instant::now();
                        if self.send_again().await == Still::Overtaken {
                            return Landing::Lost;
                        }
                    }
                    if priced_at.elapsed() >= self.gear.bump_after && bumps < BUMPS_MAX {
                        priced_at = Instant::now();
                        bumps = bumps.saturating_add(1);
                        self.bump().await;
                    }
                }
                Ok(Look::Shallow) | Err(_) => {}
            }
            if start.elapsed() >= FLIGHT_MAX {
                tracing::warn!(chain = %self.gear.chain, transaction = %self.first, "a transaction was not mined and is watched no longer");
                return Landing::Lost;
            }
            sleep(pause).await;
            pause = longer(pause);
        }
    }

    /// Asks for each of the receipts, the newest transaction first.
    async fn look(&self) -> Result<Look, NodeError> {
        let gear = &self.gear;
        let mut found = Ok(Look::Absent);
        for hash in self.hashes.iter().rev() {
            match receipt::look(&gear.rpc, *hash, gear.confirmations).await {
                Ok(Look::Absent) => {}
                Ok(seen) => return Ok(seen),
                Err(error) => found = Err(error),
            }
        }
        found
    }

    /// The same bytes, in case the network lost them: a node that has them says so.
    async fn send_again(&mut self) -> Still {
        let (nonce, signer) = (self.draft.nonce, self.gear.signer.address());
        match self.gear.rpc.mined_nonce(signer).await {
            Ok(next) if next > nonce => {
                // One node may know the nonce before another knows the receipt, so this has to be seen twice.
                self.passed = self.passed.saturating_add(1);
                if self.passed > 1 && matches!(self.look().await, Ok(Look::Absent)) {
                    return Still::Overtaken;
                }
            }
            Ok(_) => {
                self.passed = 0;
                if self.gear.air.holds(nonce, self.first) {
                    // Whatever the node says now, the receipt decides.
                    drop(self.gear.rpc.send(&self.raw).await);
                }
            }
            Err(_) => {}
        }
        Still::Waiting
    }

    /// Replaces the transaction by a dearer one, once everybody who waits for it has recorded the new hash.
    async fn bump(&mut self) {
        let gear = Arc::clone(&self.gear);
        // Given up: the nonce is another transaction's.
        if !gear.air.holds(self.draft.nonce, self.first) {
            return;
        }
        let Ok(quote) = gear.fees.raised(&gear.rpc, self.draft.quote).await else {
            tracing::warn!(chain = %gear.chain, transaction = %self.first, "the fee of a transaction that is not mined cannot be raised");
            return;
        };
        let draft = Draft {
            quote,
            ..self.draft.clone()
        };
        let signing = draft.clone().sign(gear.signer.as_ref());
        let Ok(Ok(signed)) = timeout(gear.sign_timeout, signing).await else {
            return;
        };
        self.members.retain(|member| !member.news.is_closed());
        let asked = self
            .members
            .iter()
            .map(|member| member.records(&signed, gear.trail_timeout));
        let recorded = join_all(asked).await;
        // Whoever went away meanwhile recorded an earlier hash; whoever is there and cannot record is not passed over.
        let refused = self
            .members
            .iter()
            .zip(recorded)
            .any(|(member, recorded)| !recorded && !member.news.is_closed());
        if refused {
            return;
        }
        // Watched from here on, whatever becomes of the answer.
        self.hashes.push(signed.hash);
        match said(gear.rpc.send(&signed.raw).await) {
            Said::Accepted => {
                gear.meter.replaced.increment(1);
                tracing::info!(chain = %gear.chain, transaction = %self.first, by = %signed.hash, "a transaction was replaced by one with a higher fee");
                gear.air
                    .take(self.draft.nonce, self.first, signed.raw.clone());
                self.raw = signed.raw;
                self.draft = draft;
            }
            // The next one starts from this fee: the node wanted more.
            Said::Fee | Said::Nonce => self.draft = draft,
            Said::NoGasMoney | Said::Other | Said::Nothing => {}
        }
    }
}

/// Where a transaction without a receipt stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Still {
    Waiting,
    /// Its nonce was used by another transaction.
    Overtaken,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_belongs_to_one_transaction_and_those_that_replace_it() {
        let air = Air::default();
        let (a, b) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let raw = Bytes::from_static;
        assert_eq!(air.free_from(5), 5);
        air.take(5, a, raw(&[1]));
        air.take(7, b, raw(&[2]));
        assert_eq!((air.free_from(4), air.free_from(5)), (4, 6));
        assert_eq!(air.from(6), [(7, b, raw(&[2]))]);
        air.take(5, a, raw(&[3]));
        assert_eq!(air.from(0), [(5, a, raw(&[3])), (7, b, raw(&[2]))]);
        air.release(5, b);
        assert!(air.holds(5, a), "not its own");
        air.release(5, a);
        assert!(!air.holds(5, a));
        assert_eq!(air.free_from(5), 5);
    }
}
