//! What a seed decides before anything happens: which faults there are, how often, who sells what to whom.

use faregate_core::SettlePolicy;

use crate::chance::Chance;

/// How often each fault happens, in thousandths unless another unit is named.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// A message does not arrive.
    pub lose_request: u64,
    /// An answer does not arrive.
    pub lose_answer: u64,
    /// A message arrives twice.
    pub twice: u64,
    /// A process breaks down before or after one effect.
    pub crash: u64,
    /// The ledger does not answer, before or after it wrote.
    pub store_away: u64,
    /// Something takes up to [`slow_ms`](Self::slow_ms).
    pub slow: u64,
    /// How long slow things take, in milliseconds.
    pub slow_ms: u64,
    /// How long a message usually takes at most, in milliseconds.
    pub latency_ms: u64,
    /// A node answers from an older block.
    pub stale: u64,
    /// The pool forgets a transaction, per block.
    pub vanish: u64,
    /// The service answers with an error.
    pub service_error: u64,
    /// The chain is reorganised, per block.
    pub reorg: u64,
    /// A reorganisation loses a transaction that was mined, instead of putting it back into the pool.
    pub orphan: u64,
    /// Somebody else submits an authorization that was seen in the pool.
    pub front_run: u64,
    /// Somebody else uses the sender's account, per block.
    pub foreign_nonce: u64,
    /// A payer puts all its money aside for a while, per block.
    pub poor: u64,
}

/// Who settles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// The sender runs in the gate's process.
    Embedded,
    /// A facilitator with a ledger of its own, over the network.
    Remote,
    /// The same, of somebody else: it has no memory.
    Forgetful,
}

/// Everything that is decided at the beginning.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The faults.
    pub faults: Faults,
    /// Who settles.
    pub backend: Backend,
    /// How many accounts send.
    pub signers: u8,
    /// How long the sender waits for a receipt, in seconds.
    pub receipt_secs: u64,
    /// The policy of each route.
    pub policies: Vec<SettlePolicy>,
    /// How many payments of one payer may be served and not paid, on routes that settle in the background.
    pub credit: u64,
    /// Seconds that a payment waits for others to leave with; `None` when each leaves alone.
    pub batch_secs: Option<u64>,
    /// Seconds after which a transaction that is not mined is replaced by a dearer one.
    pub bump_secs: u64,
    /// How many payments are made.
    pub purchases: u64,
    /// Seconds during which faults happen.
    pub storm_secs: u64,
    /// Milliseconds between blocks.
    pub block_ms: u64,
    /// Blocks that must follow before a transaction counts.
    pub confirmations: u64,
    /// Most blocks that a reorganisation takes back. More than [`confirmations`](Self::confirmations) in some seeds: then it
    /// also takes back what counted as settled.
    pub reorg_depth: u64,
    /// Blocks that must follow before a settlement is final. Never fewer than a reorganisation takes back.
    pub finality: u64,
    /// Seconds within which all payments begin.
    pub rush_secs: u64,
    /// How long a payment is good for, in seconds.
    pub validity_secs: u64,
}

impl Plan {
    /// The plan of one seed. Some seeds have many faults of few kinds, some a few of all.
    #[must_use]
    pub fn draw(chance: &mut Chance) -> Self {
        let mut faults = Faults::draw(chance);
        let policy = |chance: &mut Chance| match chance.below(3) {
            0 => SettlePolicy::Before,
            1 => SettlePolicy::After,
            _ => SettlePolicy::Background,
        };
        let policies = vec![policy(chance), policy(chance)];
        let confirmations = if chance.roll(500) {
            0
        } else {
            chance.between(1, 4)
        };
        // With the slowest blocks this is shorter than the time that an expired authorization rests before it counts as
        // failed.
        let reorg_depth = if chance.roll(400) {
            faults.reorg = chance.between(50, 250);
            faults.orphan = chance.between(100, 600);
            confirmations + chance.between(1, 6)
        } else {
            confirmations
        };
        let storm_secs = chance.between(60, 300);
        Self {
            backend: match chance.below(5) {
                0 | 1 => Backend::Embedded,
                2 | 3 => Backend::Remote,
                _ => Backend::Forgetful,
            },
            signers: if chance.roll(700) { 1 } else { 2 },
            receipt_secs: chance.between(5, 60),
            policies,
            credit: chance.between(1, 3),
            batch_secs: chance.roll(500).then(|| chance.below(8)),
            bump_secs: chance.between(5, 60),
            purchases: chance.between(3, 12),
            rush_secs: if chance.roll(400) {
                chance.between(1, 20)
            } else {
                storm_secs * 3 / 4
            },
            storm_secs,
            block_ms: chance.between(500, 5_000),
            confirmations,
            reorg_depth,
            finality: reorg_depth + chance.below(6),
            validity_secs: chance.between(60, 240),
            faults,
        }
    }
}

impl Faults {
    fn draw(chance: &mut Chance) -> Self {
        // Half of the kinds are absent in each seed, so that each also meets a quiet world.
        let mut some = |most: u64| {
            if chance.roll(500) {
                chance.between(1, most)
            } else {
                0
            }
        };
        Self {
            lose_request: some(80),
            lose_answer: some(80),
            twice: some(60),
            crash: some(25),
            store_away: some(60),
            slow: some(100),
            slow_ms: some(30_000),
            latency_ms: 1 + some(400),
            stale: some(300),
            vanish: some(100),
            service_error: some(200),
            reorg: some(200),
            orphan: some(300),
            front_run: some(300),
            foreign_nonce: some(60),
            poor: some(100),
        }
    }
}
