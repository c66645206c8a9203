//! The verdict on a run: what must be true once the world has healed.

use faregate_ledger::{LedgerStore, Payment, PaymentState};
use faregate_types::PaymentId;

use crate::ledger::{MemoryLedger, short};
use crate::payer::{Market, Purchase};
use crate::plan::Backend;
use crate::run::{PRICE, Stage};
use crate::shop::{Followed, Reply};

/// What was bought and what it came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Payments that were signed.
    pub signed: u64,
    /// Payments whose money moved.
    pub moved: u64,
    /// Payments that were answered for money, when their payers asked again at the end.
    pub answered: u64,
    /// Payments whose money moved and that cannot be answered, because the facilitator forgot them.
    pub stuck: u64,
    /// How often the service ran.
    pub runs: u64,
    /// Payments that were served before their money moved.
    pub lent: u64,
    /// Payments that were served and whose money, in the end, has not moved.
    pub owed: u64,
    /// How often a settlement was taken back by the chain and reopened.
    pub reopened: u64,
    /// Transactions that moved the money of more than one payment.
    pub shared: u64,
}

impl Tally {
    /// The sum of two.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            signed: self.signed + other.signed,
            moved: self.moved + other.moved,
            answered: self.answered + other.answered,
            stuck: self.stuck + other.stuck,
            runs: self.runs + other.runs,
            lent: self.lent + other.lent,
            owed: self.owed + other.owed,
            reopened: self.reopened + other.reopened,
            shared: self.shared + other.shared,
        }
    }
}

/// Payments that have not ended although they should have: open ones, and settlements that are not final.
///
/// Behind HTTP only success is proof, so a payment of a gate with a remote facilitator may stay open for ever when its
/// money never moved.
pub(crate) fn open(stage: &Stage) -> Vec<PaymentId> {
    let backend = stage.world.plan().backend;
    let followed = stage.shop.payments();
    let moved = |id: &PaymentId| {
        followed
            .get(id)
            .is_some_and(|payment| stage.shop.has_moved(payment))
    };
    let gate = stage.gate_ledger.all().into_iter();
    let gate = gate.filter(|payment| match backend {
        _ if !payment.state.is_open() => true,
        Backend::Embedded => true,
        Backend::Remote => moved(&payment.claim.id),
        Backend::Forgetful => false,
    });
    let unfinal =
        |payment: &Payment| payment.state == PaymentState::Settled && payment.final_at.is_none();
    gate.chain(stage.desk_ledger.all())
        .filter(|payment| payment.state.is_open() || unfinal(payment))
        .map(|payment| payment.claim.id)
        .collect()
}

/// Looks at everything and reports each problem to the world.
pub(crate) async fn judge(stage: &Stage, market: &Market, purchases: &[Purchase]) -> Tally {
    for id in open(stage) {
        stage.world.problem(format_args!(
            "{}: still open or not final after the world healed",
            short(id)
        ));
    }
    let mut tally = Tally::default();
    for purchase in purchases {
        let own = market.last_word(&purchase.request).await;
        let other = market.last_word(&purchase.other).await;
        let replies = [own, other];
        let id = purchase.request.id;
        let Some(followed) = stage.shop.payments().remove(&id) else {
            continue;
        };
        payment(stage, id, &followed, &replies);
        let moved = stage.shop.has_moved(&followed);
        let answered = replies.iter().flatten().any(Reply::is_an_answer);
        tally.signed += 1;
        tally.moved += u64::from(moved);
        tally.answered += u64::from(answered);
        tally.stuck += u64::from(moved && !answered && is_stuck(stage, id));
        tally.runs += followed.runs;
        tally.lent += u64::from(followed.lent);
        tally.owed += u64::from(!followed.sold.is_empty() && !moved);
    }
    tally.reopened = stage.gate_ledger.reopened() + stage.desk_ledger.reopened();
    tally.shared = u64::try_from(stage.node.chain().shared.len()).unwrap_or(u64::MAX);
    books(stage, "gate", &stage.gate_ledger).await;
    books(stage, "desk", &stage.desk_ledger).await;
    tally
}

/// What must be true for one payment.
fn payment(stage: &Stage, id: PaymentId, followed: &Followed, replies: &[Option<Reply>]) {
    let (world, moved) = (&stage.world, stage.shop.has_moved(followed));
    let name = short(id);
    for (who, ledger) in [("gate", &stage.gate_ledger), ("desk", &stage.desk_ledger)] {
        if let Some(found) = ledger.get(id) {
            agrees(stage, who, &found, followed);
        }
    }
    if moved && stage.gate_ledger.get(id).is_none() {
        world.problem(format_args!("{name}: charged without a claim"));
    }
    let answered = replies.iter().flatten().any(Reply::is_an_answer);
    if moved && !answered && !is_stuck(stage, id) {
        world.problem(format_args!(
            "{name}: charged and never answered: {replies:?}"
        ));
    }
    if !moved && !followed.sold.is_empty() {
        unpaid(stage, id, followed);
    }
    let sold = replies
        .iter()
        .flatten()
        .filter(|reply| reply.goods().is_some())
        .count();
    if sold > 1 {
        world.problem(format_args!(
            "{name}: one payment bought two requests: {replies:?}"
        ));
    }
}

/// What was served and has not moved is on record as owed, or the chain took it back.
fn unpaid(stage: &Stage, id: PaymentId, followed: &Followed) {
    let name = short(id);
    let taken_back = stage.shop.ever_moved(followed);
    let owed = stage
        .gate_ledger
        .get(id)
        .is_some_and(|found| found.is_exposed());
    if !owed && !taken_back {
        stage.world.problem(format_args!(
            "{name}: served {:?} and not charged",
            followed.sold
        ));
    }
}

/// A facilitator that forgets cannot tell what became of a payment when it is asked again. Then the gate cannot know, and
/// has to say so: its ledger has the payment open.
fn is_stuck(stage: &Stage, id: PaymentId) -> bool {
    let open = |payment: Payment| payment.state.is_open();
    stage.world.plan().backend == Backend::Forgetful && stage.gate_ledger.get(id).is_some_and(open)
}

/// The ledger says what the chain says.
///
/// A gate with a facilitator behind HTTP hears once that a payment settled, and not when the chain takes that back: the
/// protocol has no word for it. Whoever sends has to notice.
fn agrees(stage: &Stage, who: &str, found: &Payment, followed: &Followed) {
    let moved = stage.shop.has_moved(followed);
    let sends = who == "desk" || stage.world.plan().backend == Backend::Embedded;
    let says_moved = match found.state {
        PaymentState::Settled if !sends && stage.shop.ever_moved(followed) => return,
        PaymentState::Settled => true,
        PaymentState::Failed | PaymentState::Released => false,
        PaymentState::Reserved | PaymentState::Broadcast => return,
    };
    if says_moved != moved {
        stage.world.problem(format_args!(
            "{}: {} at the {who}, but the money {}",
            short(found.claim.id),
            found.state.as_str(),
            if moved { "moved" } else { "did not move" }
        ));
    }
}

/// The books balance and say what their payments say.
async fn books(stage: &Stage, who: &str, ledger: &MemoryLedger) {
    let settled = ledger
        .all()
        .iter()
        .filter(|payment| payment.state == PaymentState::Settled)
        .count();
    let totals = ledger.totals().await.unwrap_or_default();
    for total in totals {
        let expected = u128::try_from(settled).unwrap_or_default() * u128::from(PRICE);
        if !total.is_balanced() || u128::try_from(total.credits_posted) != Ok(expected) {
            stage.world.problem(format_args!(
                "the books of the {who} do not balance: {total:?}"
            ));
        }
    }
}
