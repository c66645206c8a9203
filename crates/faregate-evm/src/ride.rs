//! One payment's way through a lane: its turn, its hash made durable, its transaction's end.

use alloy_primitives::B256;
use faregate_core::crash::{self, Point};
use faregate_core::port::{Away, SettleOutcome, Trail};
use faregate_types::Code;
use tokio::sync::mpsc;
use tokio::time::{sleep, timeout};

use crate::flight::{Ask, Departure, Landing, News};
use crate::job::{Job, NotSent, Work};
use crate::matter::Matter;
use crate::receipt::Sender;
use crate::settle::{Settling, nothing_sent, unknown};

impl<M: Matter> Settling<'_, M> {
    /// One way through a lane, to the end; `None` when the payment has to leave alone.
    pub(crate) async fn ride(&self, work: Work, trail: &dyn Trail) -> Option<SettleOutcome> {
        let (job, mut hears) = Job::new(Some(self.payment.id()), work);
        let Some(lane) = self.network.offer(job) else {
            return Some(nothing_sent(Code::Overloaded));
        };
        let wait = self.network.config.queue_wait;
        // Once a hash is recorded the lane decides, in bounded time, and may send at any moment.
        let Ok(mut news) = timeout(wait, hears.recv()).await else {
            return Some(nothing_sent(Code::Overloaded));
        };
        let mut recorded = None;
        loop {
            match news {
                Some(News::Record(ask)) => {
                    let hash = ask.signed.hash;
                    if let Err(away) = self.record(ask, trail).await {
                        return Some(nothing_sent(away.code));
                    }
                    recorded = Some(hash);
                }
                Some(News::Left(departure)) => {
                    crash::point(Point::Broadcast);
                    let outcome = self.follow(departure, recorded, hears, trail).await;
                    if matches!(outcome, SettleOutcome::Unknown(_)) {
                        lane.doubt();
                    }
                    return Some(outcome);
                }
                Some(News::NotSent(NotSent::Unshared)) => return None,
                Some(News::NotSent(why)) => return Some(self.not_sent(why).await),
                // The lane is gone, which happens only when the process stops.
                None if recorded.is_none() => {
                    return Some(nothing_sent(Code::SignerUnavailable));
                }
                None => return Some(unknown(Code::SettlementPending, recorded)),
            }
            news = hears.recv().await;
        }
    }

    /// Makes a hash durable and says so. On an error it was not said, and nothing with this hash is sent.
    async fn record(&self, ask: Ask, trail: &dyn Trail) -> Result<(), Away> {
        let Ask { signed, recorded } = ask;
        let hash = signed.hash;
        let text = hash.to_string();
        let away = Away {
            code: Code::StoreUnavailable,
        };
        let patience = self.network.config.trail_timeout;
        timeout(patience, trail.broadcast(&text))
            .await
            .unwrap_or(Err(away))?;
        // Remembered first: if this call is dropped from here on, the next one must not sign another transaction.
        let id = self.payment.id();
        self.pending.sending(id, hash, self.payment.end());
        recorded.send(()).map_err(|()| {
            self.pending.unsent(id, hash);
            Away {
                code: Code::SignerUnavailable,
            }
        })
    }

    /// Waits for the end of a transaction that this process watches. Replacements are recorded.
    async fn follow(
        &self,
        departure: Departure,
        mut hash: Option<B256>,
        mut hears: mpsc::Receiver<News>,
        trail: &dyn Trail,
    ) -> SettleOutcome {
        let Departure { track, sender } = departure;
        let patience = sleep(self.network.config.receipt_wait);
        tokio::pin!(patience);
        loop {
            let ask = tokio::select! {
                biased;
                landing = track.wait() => return self.landed(landing, hash, sender).await,
                Some(News::Record(ask)) = hears.recv() => ask,
                () = &mut patience => return unknown(Code::SettlementPending, hash),
            };
            let new = ask.signed.hash;
            // Who cannot record it does not stop waiting for the one before.
            if self.record(ask, trail).await.is_ok() {
                hash = Some(new);
            }
        }
    }

    async fn landed(
        &self,
        landing: Option<Landing>,
        hash: Option<B256>,
        sender: Sender,
    ) -> SettleOutcome {
        match landing {
            Some(Landing::Mined(receipt)) => self.judge(&receipt, sender).await,
            Some(Landing::Lost) | None => self.traced(hash).await,
        }
    }
}
