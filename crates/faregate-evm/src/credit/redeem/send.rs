//! One transaction that redeems a certificate, from its gas limit to its end.

use std::sync::Arc;
use std::time::SystemTime;

use alloy_primitives::{Address, B256};
use faregate_core::crash::{self, Point};
use faregate_core::port::{HeldTabKey, HeldTabStore, Redemption, RedemptionEnd};
use faregate_types::Timestamp;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::credit::Revert;
use crate::flight::{Landing, News, Track};
use crate::job::{Job, NotSent, Work, with_margin};
use crate::lane::Lane;
use crate::limits::CREDIT_BOOKS_TIMEOUT;
use crate::rpc::{Receipt, Rpc, Simulation};

/// What sending takes.
pub(super) struct Cashier {
    pub(super) rpc: Arc<Rpc>,
    pub(super) lane: Lane,
    pub(super) sender: Address,
    pub(super) store: Arc<dyn HeldTabStore>,
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The contract paid.
    Mined(B256),
    /// It was mined and the contract refused, or it would be.
    Reverted,
    /// Nothing is out there.
    NotSent,
    /// Nobody knows.
    Lost,
}

impl End {
    /// For metrics.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Mined(_) => "mined",
            Self::Reverted => "reverted",
            Self::NotSent => "not_sent",
            Self::Lost => "lost",
        }
    }
}

impl Cashier {
    /// Sends, waits for the end and notes it. Each hash is in the books before its bytes leave, also that of a replacement.
    pub(super) async fn redeem(&self, key: HeldTabKey, call: Simulation) -> End {
        let mut hashes = Vec::new();
        let landed = Box::pin(self.send(key, call, &mut hashes)).await;
        let (end, mined, how) = match landed {
            Err(end) => return end,
            Ok(receipt) => {
                crash::point(Point::RedeemMined);
                let hash = receipt.transaction_hash;
                if receipt.status.is_some_and(|status| status.is_zero()) {
                    tracing::warn!(transaction = %hash, "a transaction that redeems a certificate was reverted: something changed on the way");
                    (End::Reverted, hash, RedemptionEnd::Reverted)
                } else {
                    (End::Mined(hash), hash, RedemptionEnd::Mined)
                }
            }
        };
        for hash in hashes {
            let how = if hash == mined {
                how
            } else {
                RedemptionEnd::GivenUp
            };
            let noted = timeout(CREDIT_BOOKS_TIMEOUT, self.store.redeemed(key, hash, how)).await;
            if !matches!(noted, Ok(Ok(()))) {
                tracing::warn!(transaction = %hash, "the books did not note how a redemption ended: it is looked up again");
            }
        }
        crash::point(Point::RedeemEntered);
        end
    }

    async fn send(
        &self,
        key: HeldTabKey,
        call: Simulation,
        hashes: &mut Vec<B256>,
    ) -> Result<Arc<Receipt>, End> {
        let gas = match self.rpc.try_gas(&call).await {
            Ok(Ok(gas)) => gas,
            Ok(Err(data)) => {
                let why = Revert::decode(&data);
                tracing::debug!(%why, "a certificate that could be redeemed a moment ago cannot");
                return Err(End::Reverted);
            }
            Err(error) => {
                tracing::warn!(%error, sender = %self.sender, "a certificate could not be redeemed: has the account money for gas?");
                return Err(End::NotSent);
            }
        };
        let work = Work::Alone {
            gas_limit: with_margin(gas).min(call.gas_max),
            call,
            simulated_at: Instant::now(),
        };
        let (job, hears) = Job::new(None, work);
        self.lane.offer(job).map_err(|_| End::NotSent)?;
        self.escort(key, hears, hashes).await
    }

    /// Goes with the transaction to its end.
    async fn escort(
        &self,
        key: HeldTabKey,
        mut hears: mpsc::Receiver<News>,
        hashes: &mut Vec<B256>,
    ) -> Result<Arc<Receipt>, End> {
        let mut track: Option<Track> = None;
        loop {
            let news = match &track {
                None => hears.recv().await,
                Some(track) => tokio::select! {
                    Some(news) = hears.recv() => Some(news),
                    landing = track.wait() => return landed(landing),
                },
            };
            match news {
                None if hashes.is_empty() => return Err(End::NotSent),
                None => return Err(End::Lost),
                Some(News::Record(ask)) => {
                    crash::point(Point::RedeemSigned);
                    if self.note(key, ask.signed.hash).await {
                        hashes.push(ask.signed.hash);
                        crash::point(Point::RedeemNoted);
                        ask.recorded.send(()).ok();
                    }
                }
                Some(News::Left(departure)) => {
                    crash::point(Point::RedeemSent);
                    track = Some(departure.track);
                }
                // One that was to replace another; that is still out there.
                Some(News::NotSent(_)) if track.is_some() => {}
                Some(News::NotSent(why)) => {
                    tracing::warn!(sender = %self.sender, ?why, "a certificate could not be redeemed");
                    for hash in hashes.drain(..) {
                        let gone = self.store.redeemed(key, hash, RedemptionEnd::GivenUp);
                        drop(timeout(CREDIT_BOOKS_TIMEOUT, gone).await);
                    }
                    return Err(match why {
                        NotSent::Reverted(_) => End::Reverted,
                        _ => End::NotSent,
                    });
                }
            }
        }
    }

    /// Makes a hash durable.
    async fn note(&self, key: HeldTabKey, transaction: B256) -> bool {
        let redemption = Redemption {
            key,
            transaction,
            at: Timestamp::from(SystemTime::now()),
        };
        let noted = timeout(CREDIT_BOOKS_TIMEOUT, self.store.redeeming(redemption)).await;
        let noted = matches!(noted, Ok(Ok(())));
        if !noted {
            tracing::warn!(%transaction, "the books did not note a transaction that redeems a certificate: it is not sent");
        }
        noted
    }
}

fn landed(landing: Option<Landing>) -> Result<Arc<Receipt>, End> {
    match landing {
        Some(Landing::Mined(receipt)) => Ok(receipt),
        Some(Landing::Lost) | None => Err(End::Lost),
    }
}
