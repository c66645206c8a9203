//! What is sold, and the record of who got what: the judge's eyes at the gate.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use alloy_primitives::{Address, B256};
use faregate_core::SettlePolicy;
use faregate_ledger::PaymentState;
use faregate_types::PaymentId;

use crate::ledger::{MemoryLedger, short};
use crate::node::Node;
use crate::world::{World, lock};

/// What the gate said to a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// 200 with what was sold, or the service's error that was paid for.
    Sold {
        /// The status.
        status: u16,
        /// The body.
        body: String,
    },
    /// The kept answer.
    Replay {
        /// The status.
        status: u16,
        /// The body.
        body: String,
    },
    /// 402: the credential does not pay.
    Unpaid(&'static str),
    /// 402: the payment failed.
    Refused(&'static str),
    /// The service's error; nothing was charged.
    NotSold,
    /// Nobody knows yet.
    Pending,
    /// Somebody is on it.
    InFlight,
    /// Used for another request.
    Conflict,
    /// 503.
    Away(&'static str),
}

impl Reply {
    /// The body of an answer that was sold well.
    #[must_use]
    pub fn goods(&self) -> Option<&str> {
        match self {
            Self::Sold { status: 200, body } | Self::Replay { status: 200, body } => Some(body),
            _ => None,
        }
    }

    /// True for whatever a payer gets for money: what was sold, or an error that is the service's last word.
    #[must_use]
    pub const fn is_an_answer(&self) -> bool {
        match self {
            Self::Sold { status, .. } => *status < 500,
            Self::Replay { .. } => true,
            _ => false,
        }
    }

    /// True when sending the same payment again may bring something else.
    #[must_use]
    pub const fn may_change(&self) -> bool {
        match self {
            Self::Sold { status, .. } => *status >= 500,
            Self::NotSold | Self::Pending | Self::InFlight | Self::Away(_) => true,
            Self::Replay { .. } | Self::Unpaid(_) | Self::Refused(_) | Self::Conflict => false,
        }
    }
}

/// One payment, as the judge follows it.
#[derive(Clone, Debug)]
pub struct Followed {
    /// Who pays.
    pub payer: Address,
    /// The authorization's nonce.
    pub nonce: B256,
    /// How often the service ran for it.
    pub runs: u64,
    /// The life of the gate that runs the service for it now.
    running: Option<String>,
    /// An answer worth paying for was kept.
    kept: Option<String>,
    /// The request that was sold for it, with the body.
    pub sold: BTreeMap<String, String>,
    /// It was sold before its money moved.
    pub lent: bool,
}

/// The service behind the gate, and its books.
pub struct Shop {
    world: World,
    node: Arc<Node>,
    ledger: Arc<MemoryLedger>,
    payments: Mutex<BTreeMap<PaymentId, Followed>>,
}

impl fmt::Debug for Shop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shop").finish_non_exhaustive()
    }
}

impl Shop {
    /// A shop whose gate writes into `ledger` and is paid on the chain of `node`.
    #[must_use]
    pub fn new(world: &World, node: Arc<Node>, ledger: Arc<MemoryLedger>) -> Arc<Self> {
        Arc::new(Self {
            world: world.clone(),
            node,
            ledger,
            payments: Mutex::default(),
        })
    }

    /// Follows a payment from now on.
    pub fn follow(&self, id: PaymentId, payer: Address, nonce: B256) {
        let followed = Followed {
            payer,
            nonce,
            runs: 0,
            running: None,
            kept: None,
            sold: BTreeMap::new(),
            lent: false,
        };
        lock(&self.payments).insert(id, followed);
    }

    /// Everything that was followed.
    #[must_use]
    pub fn payments(&self) -> BTreeMap<PaymentId, Followed> {
        lock(&self.payments).clone()
    }

    /// True when the money of a payment has moved on the chain as it is now.
    #[must_use]
    pub fn has_moved(&self, followed: &Followed) -> bool {
        self.node
            .chain()
            .used(followed.payer, followed.nonce)
            .is_some()
    }

    /// True when it ever moved, perhaps in a block that was taken back.
    #[must_use]
    pub fn ever_moved(&self, followed: &Followed) -> bool {
        self.node
            .chain()
            .ever_moved
            .contains_key(&(followed.payer, followed.nonce))
    }

    /// A gate sends a request to the service. What is wrong with that is wrong now: the request may arrive when the gate has
    /// long broken down, and another life of it has served the payment.
    pub fn asked(&self, gate: &str, id: PaymentId, policy: SettlePolicy) {
        let payment = self.ledger.get(id);
        let mut payments = lock(&self.payments);
        let Some(followed) = payments.get_mut(&id) else {
            return self.world.problem(format_args!(
                "the service is asked for a payment nobody made"
            ));
        };
        let problem = |what: &str| self.world.problem(format_args!("{}: {what}", short(id)));
        let credit = payment
            .as_ref()
            .is_some_and(|payment| payment.claim.exposure_max.is_some());
        match payment.map(|payment| payment.state) {
            None | Some(PaymentState::Released | PaymentState::Failed) => {
                problem("the service is asked without a durable claim");
            }
            Some(PaymentState::Reserved | PaymentState::Broadcast | PaymentState::Settled) => {}
        }
        let first = match policy {
            SettlePolicy::Before => true,
            // Who has no credit pays first.
            SettlePolicy::Background => !credit,
            SettlePolicy::After => false,
        };
        if first && !self.ever_moved(followed) {
            problem("served before the money moved");
        }
        if let Some(body) = &followed.kept {
            problem(&format!(
                "the service is asked again although {body:?} was kept"
            ));
        }
        if followed.running.as_deref() == Some(gate) {
            problem("the service is asked twice at the same time");
        }
        followed.running = Some(gate.to_owned());
    }

    /// The service runs for a payment. Returns status and body.
    pub fn run(&self, gate: &str, id: PaymentId, path: &str) -> (u16, String) {
        let mut payments = lock(&self.payments);
        let Some(followed) = payments.get_mut(&id) else {
            return (500, String::new());
        };
        followed.runs += 1;
        let run = followed.runs;
        self.world.note(format_args!(
            "{gate} service runs for {} {path}, run {run}",
            short(id)
        ));
        if self.world.fault(|faults| faults.service_error) {
            return (self.error(), String::new());
        }
        (200, format!("{path} run {run}"))
    }

    fn error(&self) -> u16 {
        if self.world.chance().roll(500) {
            500
        } else {
            404
        }
    }

    /// An answer is kept.
    pub fn kept(&self, id: PaymentId, body: &str) {
        if let Some(followed) = lock(&self.payments).get_mut(&id) {
            followed.kept.get_or_insert_with(|| body.to_owned());
        }
    }

    /// An answer leaves the gate.
    pub fn leaves(&self, gate: &str, id: PaymentId, path: &str, reply: &Reply) {
        self.world.note(format_args!(
            "{gate} answers {} {path}: {reply:?}",
            short(id)
        ));
        let mut payments = lock(&self.payments);
        let Some(followed) = payments.get_mut(&id) else {
            return;
        };
        // These two are said to copies while another one is on it.
        if !matches!(reply, Reply::InFlight | Reply::Conflict) {
            followed.running = None;
        }
        let (Reply::Sold { body, .. } | Reply::Replay { body, .. }) = reply else {
            return;
        };
        let unpaid = !self.ever_moved(followed);
        if unpaid && !self.is_owed(id, body) {
            self.world.problem(format_args!(
                "{}: an answer left before the money moved",
                short(id)
            ));
        }
        followed.lent |= unpaid;
        let payer = followed.payer;
        if let Some(kept) = &followed.kept
            && kept != body
        {
            self.world.problem(format_args!(
                "{}: kept {kept:?}, but {body:?} left",
                short(id)
            ));
        }
        if reply.goods().is_some() {
            followed.sold.insert(path.to_owned(), body.clone());
            if followed.sold.len() > 1 {
                self.world.problem(format_args!(
                    "{}: one payment bought {:?}",
                    short(id),
                    followed.sold
                ));
            }
        }
        if unpaid {
            self.count_credit(payer, &payments);
        }
    }

    /// True when the ledger says that this answer leaves, or left, before it is paid.
    fn is_owed(&self, id: PaymentId, body: &str) -> bool {
        self.ledger.get(id).is_some_and(|payment| {
            let recorded = payment
                .answer
                .as_ref()
                .and_then(|answer| answer.body.as_deref());
            payment.is_exposed() && recorded == Some(body.as_bytes())
        })
    }

    /// Nobody gets more on credit than the offers allow, whatever the ledger thinks. A payment whose money moved once was
    /// paid, also when its block was taken back.
    fn count_credit(&self, payer: Address, payments: &BTreeMap<PaymentId, Followed>) {
        let out = payments
            .values()
            .filter(|other| other.payer == payer && other.lent && !self.ever_moved(other))
            .count();
        let most = self.world.plan().credit;
        if u64::try_from(out).unwrap_or(u64::MAX) > most {
            self.world.problem(format_args!(
                "{out} payments of {payer} are served and not paid, where {most} may be"
            ));
        }
    }
}
