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

    /// The service runs for a payment. Returns status and body.
    pub fn run(
        &self,
        gate: &str,
        id: PaymentId,
        path: &str,
        policy: SettlePolicy,
    ) -> (u16, String) {
        let payment = self.ledger.get(id);
        let mut payments = lock(&self.payments);
        let Some(followed) = payments.get_mut(&id) else {
            self.world
                .problem(format_args!("the service ran for a payment nobody made"));
            return (500, String::new());
        };
        followed.runs += 1;
        let run = followed.runs;
        self.world.note(format_args!(
            "{gate} service runs for {} {path}, run {run}",
            short(id)
        ));
        match payment.map(|payment| payment.state) {
            None | Some(PaymentState::Released | PaymentState::Failed) => {
                self.world.problem(format_args!(
                    "{}: the service ran without a durable claim",
                    short(id)
                ));
            }
            Some(PaymentState::Reserved | PaymentState::Broadcast | PaymentState::Settled) => {}
        }
        if policy == SettlePolicy::Before && !self.ever_moved(followed) {
            self.world
                .problem(format_args!("{}: served before the money moved", short(id)));
        }
        if let Some(body) = &followed.kept {
            self.world.problem(format_args!(
                "{}: the service ran again although {body:?} was kept",
                short(id)
            ));
        }
        if followed.running.as_deref() == Some(gate) {
            self.world.problem(format_args!(
                "{}: the service runs twice at the same time",
                short(id)
            ));
        }
        followed.running = Some(gate.to_owned());
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
        if !self.ever_moved(followed) {
            self.world.problem(format_args!(
                "{}: an answer left before the money moved",
                short(id)
            ));
        }
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
    }
}
