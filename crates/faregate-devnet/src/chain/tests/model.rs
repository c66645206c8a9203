//! The chain against a plain model: whatever is done and undone, every block's state stays what it was.

use alloy_primitives::{Address, U256};
use proptest::prelude::{
    Just, ProptestConfig, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest,
};

use super::{GWEI, account, chain, send, transfer};
use crate::chain::{
    control::Dropped,
    engine::{BlockRef, Chain, Mining},
};

#[derive(Clone, Debug)]
enum Step {
    Send,
    Mint(u8),
    Mine(u64),
    Edit(u8),
    Snapshot,
    Revert(usize),
    Reorg(u64, bool),
    Automine(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => Just(Step::Send),
        2 => (0..3_u8).prop_map(Step::Mint),
        2 => (1..3_u64).prop_map(Step::Mine),
        2 => (0..3_u8).prop_map(Step::Edit),
        2 => Just(Step::Snapshot),
        1 => (0..4_usize).prop_map(Step::Revert),
        2 => (0..5_u64, proptest::bool::ANY).prop_map(|(depth, keep)| Step::Reorg(depth, keep)),
        1 => proptest::bool::ANY.prop_map(Step::Automine),
    ]
}

/// What is compared of a state: a few accounts, and the storage of somebody who is edited.
fn look(chain: &Chain, at: BlockRef) -> Vec<U256> {
    let view = chain.view_at(at).unwrap();
    let accounts = [account(0), account(1), somebody(), Address::ZERO];
    let balances = accounts.map(|account| view.balance(account));
    let nonces = accounts.map(|account| U256::from(view.nonce(account)));
    let slots = (0..3).map(|slot| view.slot(somebody(), U256::from(slot)));
    let supply = view.slot(chain.usdc, U256::from(2));
    balances
        .into_iter()
        .chain(nonces)
        .chain(slots)
        .chain([supply])
        .collect()
}

const fn somebody() -> Address {
    Address::repeat_byte(0x5b)
}

/// Block hash and state of every block as they were last seen.
type Seen = Vec<(alloy_primitives::B256, Vec<U256>)>;

fn all(chain: &Chain) -> Seen {
    (0..=chain.head_number())
        .map(|number| {
            let hash = chain.blocks.by_number(number).unwrap().hash;
            (hash, look(chain, BlockRef::Number(number)))
        })
        .collect()
}

fn apply(
    chain: &mut Chain,
    step: &Step,
    snapshots: &mut Vec<(u64, Seen)>,
    seen: &Seen,
) -> Option<Seen> {
    match *step {
        Step::Send => {
            let nonce = chain.pending_nonce(account(0));
            send(chain, transfer(nonce, 100 * GWEI)).unwrap();
        }
        Step::Mint(to) => {
            chain.mint(Address::repeat_byte(to), U256::from(7)).unwrap();
        }
        Step::Mine(count) => chain.mine(count, None).unwrap(),
        Step::Edit(slot) => {
            let value = U256::from(chain.head_number() % 3);
            chain.set_storage(somebody(), U256::from(slot), value);
        }
        Step::Snapshot => snapshots.push((chain.snapshot(), seen.clone())),
        Step::Revert(index) => {
            if let Some((id, then)) = snapshots.get(index).cloned()
                && chain.revert(id)
            {
                snapshots.truncate(index);
                return Some(then);
            }
        }
        Step::Reorg(depth, keep) => {
            let dropped = if keep {
                Dropped::ReturnToPool
            } else {
                Dropped::Forget
            };
            let possible = depth <= chain.head_number();
            assert_eq!(chain.reorg(depth, Vec::new(), dropped).is_ok(), possible);
        }
        Step::Automine(on) => chain.set_mining(if on { Mining::Auto } else { Mining::Manual }),
    }
    None
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn states_of_blocks_never_change(steps in proptest::collection::vec(step(), 1..40)) {
        let (mut chain, _) = chain();
        let mut snapshots = Vec::new();
        let mut seen = all(&chain);
        for step in &steps {
            if let Some(then) = apply(&mut chain, step, &mut snapshots, &seen) {
                // Back at the snapshot: exactly the blocks and states of then.
                prop_assert_eq!(&all(&chain), &then);
                seen = then;
            }
            let head = chain.head_number();
            let now = all(&chain);
            let newest = seen.last().map(|block| block.0);
            // Blocks may be replaced, but only the state of the one that was newest may change, by direct edits.
            for (before, after) in seen.iter().zip(now.iter().rev().skip(1).rev()) {
                prop_assert!(before.0 != after.0 || Some(before.0) == newest || before.1 == after.1);
            }
            seen = now;
            for number in 1..=head {
                let block = chain.blocks.by_number(number).unwrap();
                prop_assert_eq!(block.header.parent_hash, chain.blocks.by_number(number - 1).unwrap().hash);
                for tx in &block.txs {
                    prop_assert!(chain.pool.get(&tx.signed.hash).is_none());
                    prop_assert_eq!(chain.blocks.tx(&tx.signed.hash).unwrap().0.hash, block.hash);
                }
            }
            prop_assert_eq!(look(&chain, BlockRef::Latest), look(&chain, BlockRef::Number(head)));
        }
    }
}
