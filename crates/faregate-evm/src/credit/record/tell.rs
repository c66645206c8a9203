//! One transaction that tells the contract of payments, from its gas limit to what became of each of them.

use std::sync::Arc;

use alloy_primitives::{Address, B256, LogData};
use faregate_core::crash::{self, Point};
use faregate_core::credit::Place;
use faregate_core::port::credit::CreditStore;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use crate::credit::{CreditCore, Event, Payment, Revert};
use crate::flight::{Landing, News, Track};
use crate::job::{Job, NotSent, Work, with_margin};
use crate::lane::Lane;
use crate::limits::CREDIT_BOOKS_TIMEOUT;
use crate::rpc::{Called, Receipt, Rpc, Simulation};

/// What telling takes.
pub(super) struct Desk {
    pub(super) rpc: Arc<Rpc>,
    pub(super) lane: Lane,
    pub(super) core: CreditCore,
    pub(super) operator: Address,
    pub(super) store: Arc<dyn CreditStore>,
}

/// What became of telling of one payment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The transaction was mined and did not refuse it.
    Mined,
    /// The contract will never take it, and the books know.
    Refused,
    /// The contract did not take it now.
    PutOff,
    /// The whole transaction was reverted, or would be.
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
            Self::Mined => "mined",
            Self::Refused => "refused",
            Self::PutOff => "put_off",
            Self::Reverted => "reverted",
            Self::NotSent => "not_sent",
            Self::Lost => "lost",
        }
    }
}

impl Desk {
    /// Sends, and waits for the end.
    pub(super) async fn tell(&self, some: Vec<(Place, Payment)>) -> Vec<(Place, End)> {
        let landed = Box::pin(self.send(&some)).await;
        let mut told = Vec::with_capacity(some.len());
        let receipt = match landed {
            Ok(receipt) => receipt,
            Err(end) => return some.into_iter().map(|(place, _)| (place, end)).collect(),
        };
        crash::point(Point::RecordMined);
        let refusals = self.refusals(&receipt);
        for (place, payment) in some {
            let why = refusals.iter().find(|(id, _)| *id == payment.id);
            let end = match why {
                None => End::Mined,
                Some((_, reason)) if is_final(reason) => {
                    let name = reason.name().unwrap_or_default();
                    match self.refuse(place, name).await {
                        true => End::Refused,
                        false => End::PutOff,
                    }
                }
                Some(_) => End::PutOff,
            };
            told.push((place, end));
        }
        told
    }

    /// Never to be told again. False when the books did not take it.
    pub(super) async fn refuse(&self, place: Place, why: &str) -> bool {
        tracing::error!(block = place.block, transaction = %place.transaction, log = ?place.log, why, "the contract will never record a payment: its tab stays owed until a person looks at it");
        let refusing = self.store.refuse_payment(place);
        matches!(timeout(CREDIT_BOOKS_TIMEOUT, refusing).await, Ok(Ok(())))
    }

    async fn send(&self, some: &[(Place, Payment)]) -> Result<Arc<Receipt>, End> {
        let payments: Vec<Payment> = some.iter().map(|(_, payment)| *payment).collect();
        let call = self.core.record_payments(&payments).ok_or(End::NotSent)?;
        let simulation = Simulation {
            from: self.operator,
            to: call.to,
            value: call.value,
            data: call.data,
            gas_max: call.gas,
        };
        let gas = match self.rpc.estimate_gas(&simulation).await {
            Ok(Called::Returned(gas)) => gas,
            Ok(Called::Reverted(words)) => {
                tracing::error!(operator = %self.operator, ?words, "the contract would not let the operator record payments: has it the role?");
                return Err(End::Reverted);
            }
            Err(_) => return Err(End::NotSent),
        };
        let work = Work::Alone {
            gas_limit: with_margin(gas).min(call.gas),
            call: simulation,
            simulated_at: Instant::now(),
        };
        let (job, hears) = Job::new(None, work);
        self.lane.offer(job).map_err(|_| End::NotSent)?;
        let places = some.iter().map(|(place, _)| *place).collect();
        self.escort(places, hears).await
    }

    /// Goes with the transaction to its end. Each hash is in the books before its bytes leave, also that of a replacement.
    async fn escort(
        &self,
        places: Vec<Place>,
        mut hears: mpsc::Receiver<News>,
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
                None => return Err(End::NotSent),
                Some(News::Record(ask)) => {
                    crash::point(Point::RecordSigned);
                    let telling = self.store.telling(places.clone(), ask.signed.hash);
                    match timeout(CREDIT_BOOKS_TIMEOUT, telling).await {
                        Ok(Ok(())) => {
                            crash::point(Point::RecordNoted);
                            ask.recorded.send(()).ok();
                        }
                        Ok(Err(error)) => {
                            tracing::warn!(%error, "the books did not note a transaction that records payments: it is not sent");
                        }
                        Err(_) => {}
                    }
                }
                Some(News::Left(departure)) => {
                    crash::point(Point::RecordSent);
                    track = Some(departure.track);
                }
                Some(News::NotSent(why)) => {
                    tracing::warn!(operator = %self.operator, ?why, "payments could not be recorded");
                    return Err(match why {
                        NotSent::Reverted(_) => End::Reverted,
                        _ => End::NotSent,
                    });
                }
            }
        }
    }

    /// The ids the contract did not take, and why.
    fn refusals(&self, receipt: &Receipt) -> Vec<(B256, Revert)> {
        let logs = receipt.logs.iter();
        let ours = logs.filter(|log| log.address == self.core.address());
        let events = ours
            .filter_map(|log| Event::decode(&LogData::new(log.topics.clone(), log.data.clone())?));
        events
            .filter_map(|event| match event {
                Event::PaymentRefused { id, reason, .. } => Some((id, reason)),
                _ => None,
            })
            .collect()
    }
}

fn landed(landing: Option<Landing>) -> Result<Arc<Receipt>, End> {
    match landing {
        Some(Landing::Mined(receipt)) if receipt.status.is_some_and(|status| status.is_zero()) => {
            tracing::error!(transaction = %receipt.transaction_hash, "a transaction that records payments was reverted");
            Err(End::Reverted)
        }
        Some(Landing::Mined(receipt)) => Ok(receipt),
        Some(Landing::Lost) | None => Err(End::Lost),
    }
}

/// Whether nothing that may still happen makes the contract take it.
fn is_final(reason: &Revert) -> bool {
    let names = [
        "PaymentRecordConflict",
        "InvalidAsset",
        "AmountZero",
        "IllegalValue",
    ];
    reason.name().is_some_and(|name| names.contains(&name))
}
