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
    /// Payments that were answered for money.
    pub answered: u64,
    /// How often the service ran.
    pub runs: u64,
}

impl Tally {
    /// The sum of two.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self {
            signed: self.signed + other.signed,
            moved: self.moved + other.moved,
            answered: self.answered + other.answered,
            runs: self.runs + other.runs,
        }
    }
}

/// Payments that have not ended although they should have.
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
        Backend::Embedded => true,
        Backend::Remote => moved(&payment.claim.id),
        Backend::Forgetful => false,
    });
    gate.chain(stage.desk_ledger.all())
        .filter(|payment| payment.state.is_open())
        .map(|payment| payment.claim.id)
        .collect()
}

/// Looks at everything and reports each problem to the world.
pub(crate) async fn judge(stage: &Stage, market: &Market, purchases: &[Purchase]) -> Tally {
    for id in open(stage) {
        stage.world.problem(format_args!(
            "{}: still open after the world healed",
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
        tally.signed += 1;
        tally.moved += u64::from(stage.shop.has_moved(&followed));
        tally.answered += u64::from(replies.iter().flatten().any(Reply::is_an_answer));
        tally.runs += followed.runs;
    }
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
            agrees(stage, who, &found, moved);
        }
    }
    if moved && stage.gate_ledger.get(id).is_none() {
        world.problem(format_args!("{name}: charged without a claim"));
    }
    // One that forgets cannot tell what became of a payment when it is asked again.
    let forgetful = stage.world.plan().backend == Backend::Forgetful;
    if moved && !forgetful && !replies.iter().flatten().any(Reply::is_an_answer) {
        world.problem(format_args!(
            "{name}: charged and never answered: {replies:?}"
        ));
    }
    if !moved && !followed.sold.is_empty() {
        world.problem(format_args!(
            "{name}: served {:?} and not charged",
            followed.sold
        ));
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

/// The ledger says what the chain says.
fn agrees(stage: &Stage, who: &str, found: &Payment, moved: bool) {
    let says_moved = match found.state {
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
