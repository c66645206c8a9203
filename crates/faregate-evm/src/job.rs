//! A settlement in a lane's queue: what it wants sent, and how it hears what became of that.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use faregate_types::PaymentId;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::batch::Item;
use crate::flight::{Member, News};
use crate::meter::Meter;
use crate::node::NodeError;
use crate::rpc::Simulation;

/// A settlement waiting for its turn.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) member: Member,
    pub(crate) work: Work,
    ticket: Option<Ticket>,
}

/// What a settlement wants sent.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// A call that ran well at this time, and its gas limit.
    Alone {
        call: Simulation,
        gas_limit: u64,
        simulated_at: Instant,
    },
    /// May leave with others; `call` is the same without them. Not simulated yet.
    Shared { item: Box<Item>, call: Simulation },
}

/// Counts a job as long as it waits.
#[derive(Debug)]
pub(crate) struct Ticket {
    load: Arc<AtomicUsize>,
    meter: Meter,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.load.fetch_sub(1, Ordering::Relaxed);
        self.meter.queue.decrement(1.0);
    }
}

/// Why there is no transaction. Nothing was sent.
#[derive(Clone, Debug)]
pub(crate) enum NotSent {
    Node(NodeError),
    /// The transfer would be reverted by now.
    Reverted(Option<Box<str>>),
    /// It would not settle as part of a batch. Alone it says why, or does.
    Unshared,
    FeesAboveCap,
    NoGasMoney,
    /// The signer did not answer, or what it signed was not taken, several times.
    SignerAway,
}

impl Job {
    /// A job, and what the lane will say about it. Without a payment it is a transaction that no books hear of.
    pub(crate) fn new(id: Option<PaymentId>, work: Work) -> (Box<Self>, mpsc::Receiver<News>) {
        // One question or one answer at a time; a replacement may come right after the departure.
        let (news, hears) = mpsc::channel(4);
        let job = Self {
            member: Member { id, news },
            work,
            ticket: None,
        };
        (Box::new(job), hears)
    }

    /// Nobody waits for it any more.
    pub(crate) fn is_over(&self) -> bool {
        self.member.news.is_closed()
    }

    pub(crate) const fn item(&self) -> Option<&Item> {
        match &self.work {
            Work::Shared { item, .. } => Some(item),
            Work::Alone { .. } => None,
        }
    }

    /// Counts in a queue from now on, until it is dropped.
    pub(crate) fn wait_in(&mut self, load: &Arc<AtomicUsize>, meter: &Meter) {
        load.fetch_add(1, Ordering::Relaxed);
        meter.queue.increment(1.0);
        self.ticket = Some(Ticket {
            load: Arc::clone(load),
            meter: meter.clone(),
        });
    }

    pub(crate) fn tell(&self, news: News) {
        // An answer nobody waits for needs no ear.
        drop(self.member.news.try_send(news));
    }
}

/// A quarter more than was needed, because other transactions may come between.
pub(crate) fn with_margin(gas: u64) -> u64 {
    gas.saturating_add(gas.div_ceil(4))
}

/// Tells everybody that nothing was sent.
pub(crate) fn give_up(jobs: &[Job], why: &NotSent) {
    for job in jobs {
        job.tell(News::NotSent(why.clone()));
    }
}
