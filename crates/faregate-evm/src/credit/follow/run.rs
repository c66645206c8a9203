//! The loop of the follower: look, enter, and now and then read the rules and compare the books.

use std::sync::Arc;
use std::time::Duration;

use faregate_core::crash::{self, Point};
use faregate_core::credit::{Cursor, TabEvent};
use faregate_core::port::credit::{Batch, CreditStore};
use faregate_ledger::StoreError;
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, timeout};

use super::meter::Meter;
use super::reconcile::Pass;
use super::scan::{Scanned, Scanner, Setback};
use super::{ContractFacts, CreditFollowConfig, FollowState, Fork, Reconciliation};
use crate::credit::CreditCore;
use crate::limits::{CREDIT_BOOKS_TIMEOUT, CREDIT_FAILURES_TOLD, CREDIT_PAUSE_MAX};

/// Who tells what is known.
type Tellers = (
    watch::Sender<Arc<ContractFacts>>,
    watch::Sender<FollowState>,
);

/// Someone who waits for a comparison.
type Asker = oneshot::Sender<Reconciliation>;

/// The follower's task.
pub(super) struct Runner {
    config: CreditFollowConfig,
    scanner: Scanner,
    core: CreditCore,
    store: Arc<dyn CreditStore>,
    facts: watch::Sender<Arc<ContractFacts>>,
    facts_at: Instant,
    state: watch::Sender<FollowState>,
    bell: Arc<Notify>,
    asks: mpsc::Receiver<Asker>,
    meter: Meter,
    /// Where the books stand; unknown whenever they may have moved without us.
    cursor: Option<Option<Cursor>>,
    pass: Option<Pass>,
    reconciled_at: Instant,
    failures: u32,
}

impl Runner {
    pub(super) fn new(
        config: CreditFollowConfig,
        scanner: Scanner,
        store: Arc<dyn CreditStore>,
        (facts, state): Tellers,
        bell: Arc<Notify>,
        asks: mpsc::Receiver<Asker>,
    ) -> Self {
        let now = Instant::now();
        Self {
            core: CreditCore::at(config.contract),
            meter: Meter::new(config.chain),
            config,
            scanner,
            store,
            facts,
            facts_at: now,
            state,
            bell,
            asks,
            cursor: None,
            pass: None,
            reconciled_at: now,
            failures: 0,
        }
    }

    /// Never ends.
    pub(super) async fn run(mut self) {
        loop {
            let began = Instant::now();
            let looked = Box::pin(self.look()).await;
            self.note(began, looked);
            if self.failures == 0 {
                self.compare().await;
            }
            self.pause().await;
        }
    }

    /// Brings the books to the newest block that stays.
    pub(super) async fn look(&mut self) -> Result<(), Setback> {
        let mut from = match self.cursor {
            Some(cursor) => cursor,
            None => self.stand().await?,
        };
        if self.facts_at.elapsed() >= self.config.facts_every {
            self.learn().await?;
        }
        let Some(head) = self.scanner.confirmed(self.config.confirmation).await? else {
            return Ok(());
        };
        let top: u64 = head.number.to();
        self.state.send_modify(|state| state.head = Some(top));
        let mut part = self.scanner.scan(from, &head).await?;
        while let Some(scanned) = part {
            // What expires in this part expires by the contract's rules, not by the ones before.
            if scanned.rules {
                self.learn().await?;
            }
            let to = scanned.to;
            let ahead = async {
                match to.number < top {
                    true => self.scanner.scan(Some(to), &head).await,
                    false => Ok(None),
                }
            };
            let (entered, next) = tokio::join!(self.enter(from, scanned), ahead);
            match entered {
                Ok(()) => {}
                // Another process that follows was first.
                Err(Setback::Overtaken) => {
                    from = self.stand().await?;
                    // What it entered further on may have been other rules.
                    if from.is_some_and(|at| at.number > to.number) {
                        self.learn().await?;
                    }
                    part = self.scanner.scan(from, &head).await?;
                    continue;
                }
                Err(setback) => {
                    self.cursor = None;
                    return Err(setback);
                }
            }
            self.cursor = Some(Some(to));
            from = Some(to);
            self.state.send_modify(|state| {
                state.cursor = from;
                state.fork = None;
            });
            part = next?;
        }
        Ok(())
    }

    /// Where the books stand, as they say.
    async fn stand(&mut self) -> Result<Option<Cursor>, Setback> {
        let asked = timeout(CREDIT_BOOKS_TIMEOUT, self.store.cursor()).await;
        let cursor = asked.map_err(|_| Setback::Books)?.map_err(|error| {
            tracing::warn!(%error, "the books do not say where they stand");
            Setback::Books
        })?;
        self.cursor = Some(cursor);
        self.state.send_modify(|state| state.cursor = cursor);
        Ok(cursor)
    }

    async fn learn(&mut self) -> Result<(), Setback> {
        let versions = &self.config.policy.versions;
        let facts = ContractFacts::read(&self.scanner.rpc, &self.core, versions).await?;
        self.facts_at = Instant::now();
        self.facts.send_if_modified(|known| {
            let changed = **known != facts;
            if changed {
                tracing::info!(contract = %facts.contract, ?facts, "the rules of the credit contract changed");
                *known = Arc::new(facts);
            }
            changed
        });
        Ok(())
    }

    async fn enter(&self, from: Option<Cursor>, scanned: Scanned) -> Result<(), Setback> {
        let Scanned {
            to,
            happenings,
            refused,
            ..
        } = scanned;
        let rings = refused > 0
            || happenings.iter().any(|happening| {
                matches!(
                    happening.event,
                    TabEvent::Paid { .. } | TabEvent::Recorded { .. }
                )
            });
        let batch = Batch {
            from,
            to,
            happenings: happenings.clone(),
        };
        let terms = self.facts.borrow().terms(&self.config.policy);
        crash::point(Point::PartRead);
        let entering = self.store.enter(batch, terms, self.config.release_max);
        // A timeout is no answer: it may be in the books. They are asked where they stand before anything else.
        let entered = timeout(CREDIT_BOOKS_TIMEOUT, entering).await;
        let entered = match entered.map_err(|_| Setback::Books)? {
            Ok(entered) => entered,
            Err(StoreError::Conflict) => return Err(Setback::Overtaken),
            Err(error) => {
                tracing::warn!(%error, block = to.number, "the books did not take what happened on the chain");
                return Err(Setback::Books);
            }
        };
        crash::point(Point::PartEntered);
        for (place, odd) in &entered.odd {
            tracing::warn!(block = place.block, transaction = %place.transaction, log = ?place.log, why = odd.name(), "something on the chain does not fit the books and was put aside");
        }
        self.meter.entered(to.number, &happenings, &entered);
        if rings {
            self.bell.notify_one();
        }
        Ok(())
    }

    /// Says how a look went.
    pub(super) fn note(&mut self, began: Instant, looked: Result<(), Setback>) {
        let fork = match looked {
            Ok(()) => {
                self.failures = 0;
                self.state.send_modify(|state| {
                    state.current = Some(began);
                    state.fork = None;
                });
                None
            }
            Err(setback) => {
                self.failures = self.failures.saturating_add(1);
                self.meter.setback(setback.label());
                match self.failures {
                    // A moment without an answer is nothing; a minute of it is something.
                    failures if failures % CREDIT_FAILURES_TOLD == 0 => {
                        tracing::warn!(
                            ?setback,
                            failures,
                            "the credit contract cannot be followed"
                        );
                    }
                    _ => tracing::debug!(?setback, "the credit contract could not be followed"),
                }
                match setback {
                    Setback::Forked(number, found) => Some((number, found)),
                    _ => None,
                }
            }
        };
        if let Some((number, found)) = fork {
            let entered = self.cursor.flatten().map(|cursor| cursor.hash);
            let fork = Fork {
                number,
                entered: entered.unwrap_or_default(),
                found,
            };
            self.state.send_if_modified(|state| {
                let new = state.fork != Some(fork);
                if new {
                    tracing::error!(block = number, %found, entered = %fork.entered, "the chain was reorganised below the configured depth: nothing is entered, issued or recorded until the block of the books is back on it, or they are set back with --rewind-to");
                    state.fork = Some(fork);
                }
                new
            });
        }
        let state = self.state.borrow();
        self.meter.state(state.current, state.fork.is_some());
    }

    /// A page of a comparison, if one is due, asked for, or on its way.
    async fn compare(&mut self) {
        let due = self.config.reconcile_every;
        if self.pass.is_none() && due.is_some_and(|due| self.reconciled_at.elapsed() >= due) {
            self.pass = Some(Pass::default());
        }
        let Some(pass) = &mut self.pass else { return };
        let store = self.store.as_ref();
        let Some(report) = pass.step(&self.scanner.rpc, &self.core, store).await else {
            return;
        };
        self.reconciled_at = Instant::now();
        let equal = report.compared.saturating_sub(report.different);
        self.meter.compared("equal", equal);
        self.meter.compared("different", report.different);
        self.meter.compared("unknown", report.unknown);
        self.meter.reconciled(&report);
        let listeners = self.pass.take().map(|pass| pass.listeners);
        for listener in listeners.into_iter().flatten() {
            // Who has gone need not hear it.
            drop(listener.send(report.clone()));
        }
    }

    /// Until the next look: longer after each that failed, not at all while a comparison is on its way.
    async fn pause(&mut self) {
        let pause = match (self.failures, &self.pass) {
            (0, Some(_)) => Duration::ZERO,
            (failures, _) => {
                let doubled = 1_u32.checked_shl(failures.min(6)).unwrap_or(1);
                let longest = CREDIT_PAUSE_MAX.max(self.config.poll);
                self.config
                    .poll
                    .saturating_mul(doubled.div_ceil(2))
                    .min(longest)
            }
        };
        tokio::select! {
            () = sleep(pause) => {}
            Some(asker) = self.asks.recv() => {
                self.pass.get_or_insert_default().listeners.push(asker);
            }
        }
    }
}
