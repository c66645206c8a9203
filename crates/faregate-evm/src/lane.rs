//! One task per signer and chain, which alone decides over the signer's transaction nonces.
//!
//! A settlement waits in the lane's queue. When its turn comes the lane picks the nonce, signs, and shows the hash; the
//! settlement records the hash durably and says so; the lane sends. Until then nothing is out, and a settlement that
//! goes away gives its nonce back by doing nothing. Transactions leave one after another, in nonce order and without gaps.
//!
//! Where there is a contract for it, everybody who waits and goes through the same contract leaves in one transaction. A
//! payment that goes away, or
//! whose hash cannot be recorded, is taken out, and the transaction is signed anew for the rest; what was signed before
//! never leaves.
//!
//! When the network's answer to a sent transaction is lost, or a transaction does not show up, the nonce may or may not
//! be used up. The lane then sends *the same bytes* again before it signs anything else: that cannot pay twice, and the
//! answer tells.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use alloy_primitives::{Address, Bytes, U256};
use futures_util::future::join_all;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::answer::{Said, said};
use crate::batch::{self, Batching};
use crate::config::NetworkConfig;
use crate::fees::{FeeError, Fees};
use crate::flight::{Air, Departure, Flight, Gear, News};
use crate::job::{Job, NotSent, Work, give_up, with_margin};
use crate::limits::{FLIGHTS_MAX, NONCE_FRESH, POOR_CHECK, SIGNINGS_MAX, SIMULATION_FRESH};
use crate::line::Line;
use crate::meter::Meter;
use crate::node::NodeError;
use crate::pending::Pending;
use crate::purse::Purse;
use crate::receipt::Sender;
use crate::rpc::{Called, Rpc, Simulation};
use crate::signer::Signer;
use crate::transaction::{Draft, Signed};

/// The way to a lane's task. The task ends when the last of these is dropped.
#[derive(Debug)]
pub(crate) struct Lane {
    jobs: mpsc::Sender<Box<Job>>,
    load: Arc<AtomicUsize>,
    poor: Arc<AtomicBool>,
    /// Raised when a transaction does not show up: the lane then asks the node for its nonce.
    doubt: Arc<AtomicBool>,
    meter: Meter,
}

impl Lane {
    pub(crate) fn start(
        config: &NetworkConfig,
        rpc: Arc<Rpc>,
        fees: Arc<Fees>,
        signer: Arc<dyn Signer>,
        balance: U256,
        pending: Pending,
    ) -> Self {
        let (jobs, queue) = mpsc::channel(config.queue_len_max.max(1));
        let meter = Meter::new(config.chain);
        let mut purse = Purse::new(
            config.chain,
            signer.address(),
            config.balance_floor,
            meter.clone(),
        );
        purse.learn(balance);
        let (poor, doubt) = (purse.poor(), Arc::<AtomicBool>::default());
        let gear = Gear {
            chain: config.chain,
            rpc,
            fees,
            signer,
            meter: meter.clone(),
            air: Air::default(),
            confirmations: config.confirmations,
            bump_after: config.bump_after,
            trail_timeout: config.trail_timeout,
            sign_timeout: config.rpc_timeout,
        };
        let worker = Worker {
            gear: Arc::new(gear),
            line: Line::new(queue),
            batching: Batching::of(config),
            batch_wait: config.batch_wait,
            gas_limit_max: config.gas_limit_max,
            pending,
            purse,
            next: None,
            last_use: Instant::now(),
            doubt: Arc::clone(&doubt),
            flights: JoinSet::new(),
        };
        tokio::spawn(worker.run());
        Self {
            jobs,
            load: Arc::default(),
            poor,
            doubt,
            meter,
        }
    }

    /// Puts a job into the queue; gives it back when there is no room.
    pub(crate) fn offer(&self, mut job: Box<Job>) -> Result<(), Box<Job>> {
        job.wait_in(&self.load, &self.meter);
        self.jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(job) | mpsc::error::TrySendError::Closed(job) => job,
        })
    }

    /// The smaller, the better: money for gas first, then the length of the queue.
    pub(crate) fn burden(&self) -> (bool, usize) {
        (
            self.poor.load(Ordering::Relaxed),
            self.load.load(Ordering::Relaxed),
        )
    }

    pub(crate) fn doubt(&self) {
        self.doubt.store(true, Ordering::Relaxed);
    }
}

struct Worker {
    gear: Arc<Gear>,
    line: Line,
    batching: Batching,
    batch_wait: Duration,
    gas_limit_max: u64,
    pending: Pending,
    purse: Purse,
    /// The next nonce as far as the node and we know; unknown at the start and whenever somebody else may have used it.
    next: Option<u64>,
    last_use: Instant,
    doubt: Arc<AtomicBool>,
    flights: JoinSet<()>,
}

/// What became of sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sent {
    /// The network has it, or may have it.
    Left,
    /// It was refused because of its nonce or fee and is not out there; another one may be signed.
    Again,
    /// It was refused because the signer cannot pay for gas, and is not out there.
    NoGasMoney,
}

impl Worker {
    async fn run(mut self) {
        while let Some(job) = self.next_job().await {
            // Whoever gave up waiting is not served.
            if job.is_over() {
                continue;
            }
            while self.flights.try_join_next().is_some() {}
            if self.flights.len() >= FLIGHTS_MAX {
                self.flights.join_next().await;
            }
            let gathered = self.line.gather(job, &self.batching, self.batch_wait);
            let jobs = gathered.await;
            self.serve(jobs).await;
        }
    }

    async fn next_job(&mut self) -> Option<Job> {
        loop {
            // Nobody gives it work while others can do it, so it has to look by itself.
            let patience = self.purse.is_poor().then_some(POOR_CHECK);
            if let Ok(job) = self.line.next(patience).await {
                return job;
            }
            drop(self.purse.look(&self.gear.rpc).await);
        }
    }

    async fn serve(&mut self, mut jobs: Vec<Job>) {
        if let Err(not_sent) = self.simulate(&mut jobs).await {
            return give_up(&jobs, &not_sent);
        }
        for _ in 0..SIGNINGS_MAX {
            jobs.retain(|job| !job.is_over());
            if jobs.is_empty() {
                return;
            }
            let (draft, signed) = match self.prepare(&mut jobs).await {
                Ok(prepared) => prepared,
                Err(not_sent) => return give_up(&jobs, &not_sent),
            };
            let asked = jobs.len();
            jobs = self.show(jobs, &signed).await;
            // The old bytes never leave; those who recorded them record the new ones.
            if jobs.len() < asked {
                continue;
            }
            match self.send(&draft, &signed).await {
                Sent::Left => return self.depart(jobs, draft, &signed),
                Sent::Again => self.unsent(&jobs, &signed),
                Sent::NoGasMoney => {
                    self.unsent(&jobs, &signed);
                    return give_up(&jobs, &NotSent::NoGasMoney);
                }
            }
        }
        give_up(&jobs, &NotSent::SignerAway);
    }

    /// Runs what is not known to work, and takes out what would not.
    async fn simulate(&mut self, jobs: &mut Vec<Job>) -> Result<(), NotSent> {
        let rpc = &self.gear.rpc;
        if jobs.len() > 1 {
            let (to, data, gas_max) = self.batch(jobs).ok_or(NotSent::Unshared)?;
            let call = Simulation {
                from: self.gear.signer.address(),
                to,
                value: U256::ZERO,
                data,
                gas_max,
            };
            let answer = match rpc.run(&call).await.map_err(NotSent::Node)? {
                Called::Returned(answer) => batch::verdicts(&answer, jobs.len()),
                Called::Reverted(_) => None,
            };
            let mut verdicts = answer.ok_or(NotSent::Unshared)?.into_iter();
            jobs.retain(|job| {
                let settles = verdicts.next().unwrap_or(false);
                if !settles {
                    job.tell(News::NotSent(NotSent::Unshared));
                }
                settles
            });
        }
        let [job] = jobs.as_mut_slice() else {
            return Ok(());
        };
        match &job.work {
            Work::Alone {
                call, simulated_at, ..
            } if simulated_at.elapsed() > SIMULATION_FRESH => {
                match rpc.simulate(call).await.map_err(NotSent::Node)? {
                    Called::Returned(()) => {}
                    Called::Reverted(reason) => return Err(NotSent::Reverted(reason)),
                }
            }
            Work::Alone { .. } => {}
            // One alone is cheaper without the contract.
            Work::Shared { call, .. } => {
                match rpc.estimate_gas(call).await.map_err(NotSent::Node)? {
                    Called::Returned(gas) if gas <= self.gas_limit_max => {
                        job.work = Work::Alone {
                            call: call.clone(),
                            gas_limit: with_margin(gas).min(self.gas_limit_max),
                            simulated_at: Instant::now(),
                        };
                    }
                    Called::Returned(_) => return Err(NotSent::Unshared),
                    Called::Reverted(reason) => return Err(NotSent::Reverted(reason)),
                }
            }
        }
        Ok(())
    }

    /// Everything up to the signature. Puts off what there is no gas money for.
    async fn prepare(&mut self, jobs: &mut Vec<Job>) -> Result<(Draft, Signed), NotSent> {
        let nonce = self.nonce().await.map_err(NotSent::Node)?;
        let quote = self.gear.fees.quote(&self.gear.rpc).await;
        let quote = quote.map_err(|error| match error {
            FeeError::Node(error) => NotSent::Node(error),
            FeeError::AboveCap => NotSent::FeesAboveCap,
        })?;
        loop {
            let (to, value, data, gas_limit) = self.cargo(jobs).ok_or(NotSent::Unshared)?;
            let draft = Draft {
                chain: self.gear.chain,
                nonce,
                quote,
                gas_limit,
                to,
                value,
                data,
            };
            let cost = draft.cost_max();
            let paid = self.purse.can_pay(&self.gear.rpc, cost).await;
            if !paid.map_err(NotSent::Node)? {
                // Half a batch may be affordable.
                let half = jobs.len().div_euclid(2);
                if half == 0 {
                    return Err(NotSent::NoGasMoney);
                }
                self.line.put_back(jobs.drain(half..));
                continue;
            }
            let signing = draft.clone().sign(self.gear.signer.as_ref());
            let signed = timeout(self.gear.sign_timeout, signing).await;
            let signed = signed.ok().and_then(Result::ok);
            return Ok((draft, signed.ok_or(NotSent::SignerAway)?));
        }
    }

    /// The call that settles these jobs: its contract, the wei sent along, its data, its gas limit.
    fn cargo(&self, jobs: &[Job]) -> Option<(Address, U256, Bytes, u64)> {
        if let [job] = jobs
            && let Work::Alone {
                call, gas_limit, ..
            } = &job.work
        {
            return Some((call.to, call.value, call.data.clone(), *gas_limit));
        }
        let (to, data, gas_limit) = self.batch(jobs)?;
        Some((to, U256::ZERO, data, gas_limit))
    }

    fn batch(&self, jobs: &[Job]) -> Option<(Address, Bytes, u64)> {
        self.batching.call(jobs.iter().filter_map(Job::item))
    }

    /// The next nonce. When in doubt the node is asked, and gets what it may have lost.
    async fn nonce(&mut self) -> Result<u64, NodeError> {
        let doubted = self.doubt.swap(false, Ordering::Relaxed);
        let stale = self.last_use.elapsed() > NONCE_FRESH;
        self.last_use = Instant::now();
        let air = &self.gear.air;
        match self.next {
            Some(nonce) if !doubted && !stale => Ok(air.free_from(nonce)),
            Some(_) | None => {
                self.next = None;
                let nonce = self
                    .gear
                    .rpc
                    .pending_nonce(self.gear.signer.address())
                    .await?;
                for (nonce, first, raw) in air.from(nonce) {
                    let answer = self.gear.rpc.send(&raw).await;
                    match said(answer.clone()) {
                        Said::Accepted => {}
                        Said::Nothing => {
                            answer?;
                        }
                        // Refused for good, or mined already. Another transaction may have the nonce: one of the two is
                        // mined at most.
                        Said::Nonce | Said::Fee | Said::NoGasMoney | Said::Other => {
                            air.release(nonce, first);
                        }
                    }
                }
                self.next = Some(nonce);
                Ok(air.free_from(nonce))
            }
        }
    }

    /// Shows everybody the hash, and keeps those who recorded it.
    async fn show(&self, jobs: Vec<Job>, signed: &Signed) -> Vec<Job> {
        let patience = self.gear.trail_timeout;
        let asked = jobs.iter().map(|job| job.member.records(signed, patience));
        let answers = join_all(asked).await;
        let count = jobs.len();
        let kept: Vec<_> = jobs
            .into_iter()
            .zip(answers)
            .filter_map(|(job, recorded)| recorded.then_some(job))
            .collect();
        if kept.len() < count {
            self.unsent(&kept, signed);
        }
        kept
    }

    /// These recorded a transaction that does not leave.
    fn unsent(&self, jobs: &[Job], signed: &Signed) {
        for id in jobs.iter().filter_map(|job| job.member.id) {
            self.pending.unsent(id, signed.hash);
        }
    }

    async fn send(&mut self, draft: &Draft, signed: &Signed) -> Sent {
        self.purse.spend(draft.cost_max());
        let after = draft.nonce.checked_add(1);
        let rpc = &self.gear.rpc;
        match said(rpc.send(&signed.raw).await) {
            Said::Accepted => {
                self.next = after;
                Sent::Left
            }
            // Refused because of the nonce: taken by somebody else, unless these very bytes got there twice.
            Said::Nonce => match rpc.transaction(signed.hash).await {
                Ok(Some(_)) => {
                    self.next = after;
                    Sent::Left
                }
                Ok(None) => {
                    self.next = None;
                    Sent::Again
                }
                Err(_) => self.unclear(signed),
            },
            Said::Fee => {
                self.gear.fees.refresh();
                Sent::Again
            }
            Said::NoGasMoney => {
                self.purse.forget();
                Sent::NoGasMoney
            }
            Said::Other | Said::Nothing => self.unclear(signed),
        }
    }

    fn unclear(&mut self, signed: &Signed) -> Sent {
        tracing::warn!(chain = %self.gear.chain, transaction = %signed.hash, "nobody can say whether a transaction was taken");
        self.next = None;
        Sent::Left
    }

    /// Somebody watches it from now on, and everybody may follow.
    fn depart(&mut self, jobs: Vec<Job>, draft: Draft, signed: &Signed) {
        let contract = draft.to;
        self.gear.meter.sent.increment(1);
        let payments = jobs.iter().filter(|job| job.member.id.is_some()).count();
        if payments > 0 {
            let items = u32::try_from(payments).map_or(f64::MAX, f64::from);
            self.gear.meter.items.record(items);
        }
        let members = jobs.iter().map(|job| job.member.clone()).collect();
        let (flight, track) = Flight::new(Arc::clone(&self.gear), draft, signed, members);
        self.flights.spawn(flight.run());
        for (index, job) in jobs.into_iter().enumerate() {
            if let Some(id) = job.member.id {
                self.pending.left(id, &track);
            }
            let sender = match job.work {
                Work::Alone { .. } => Sender::Us,
                Work::Shared { .. } => Sender::Batch { contract, index },
            };
            let track = track.clone();
            job.tell(News::Left(Departure { track, sender }));
        }
    }
}
