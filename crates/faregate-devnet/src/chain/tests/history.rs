use alloy_primitives::{Address, U256, address};

use super::{GWEI, NOW, account, chain, send, sign, transfer};
use crate::chain::{
    CallError, ControlError,
    control::Dropped,
    engine::{BlockRef, Chain, Mining},
    limits,
};

const SOMEBODY: Address = address!("0x00000000000000000000000000000000000050de");

fn received(chain: &Chain, at: BlockRef) -> U256 {
    chain.view_at(at).unwrap().balance(account(1)) - crate::chain::DEV_BALANCE_WEI
}

#[test]
fn blocks_are_linked_and_hashed() {
    let (mut chain, _) = chain();
    for nonce in 0..3 {
        send(&mut chain, transfer(nonce, 10 * GWEI)).unwrap();
    }
    for number in 1..=3 {
        let parent = chain.blocks.by_number(number - 1).unwrap();
        let block = chain.blocks.by_number(number).unwrap();
        assert_eq!(block.header.parent_hash, parent.hash);
        assert_eq!(block.hash, block.header.hash_slow());
        assert_eq!(block.txs.len(), 1);
        assert_eq!(
            chain.blocks.by_hash(&block.hash).unwrap().header.number,
            number
        );
    }
}

#[test]
fn old_states_can_be_seen() {
    let (mut chain, _) = chain();
    for nonce in 0..4 {
        send(&mut chain, transfer(nonce, 10 * GWEI)).unwrap();
    }
    chain.set_storage(SOMEBODY, U256::from(1), U256::from(7));
    chain.mine_one();
    chain.set_storage(SOMEBODY, U256::from(1), U256::ZERO);
    for number in 0..=4 {
        assert_eq!(
            received(&chain, BlockRef::Number(number)),
            U256::from(number)
        );
    }
    let slot = |at| chain.view_at(at).unwrap().slot(SOMEBODY, U256::from(1));
    assert_eq!(slot(BlockRef::Number(3)), U256::ZERO);
    assert_eq!(
        slot(BlockRef::Number(4)),
        U256::from(7),
        "an edit belongs to the block it was made on"
    );
    assert_eq!(slot(BlockRef::Latest), U256::ZERO);
}

#[test]
fn a_snapshot_brings_everything_back() {
    let (mut chain, clock) = chain();
    send(&mut chain, transfer(0, 10 * GWEI)).unwrap();
    chain.set_mining(Mining::Manual);
    let waiting = send(&mut chain, transfer(1, 10 * GWEI)).unwrap();
    let head = chain.head().unwrap().hash;
    let id = chain.snapshot();

    chain.increase_time(1_000).unwrap();
    chain.set_balance(SOMEBODY, U256::from(5));
    chain.mine(3, None).unwrap();
    let inner = chain.snapshot();
    chain.mine(1, None).unwrap();
    assert_eq!(received(&chain, BlockRef::Latest), U256::from(2));
    assert_eq!(chain.now(), NOW + 1_000);

    assert!(chain.revert(id));
    assert_eq!(chain.head().unwrap().hash, head);
    assert_eq!(received(&chain, BlockRef::Latest), U256::from(1));
    assert_eq!(chain.latest().balance(SOMEBODY), U256::ZERO);
    assert!(chain.pool.get(&waiting).is_some());
    assert_eq!(chain.now(), NOW);
    assert!(!chain.revert(id), "a snapshot is used up");
    assert!(!chain.revert(inner), "later snapshots are gone too");
    clock.set(NOW + 5);
    chain.mine_one();
    assert_eq!(chain.head().unwrap().header.timestamp, NOW + 5);
}

#[test]
fn an_edit_after_a_snapshot_on_the_same_block_is_taken_back() {
    let (mut chain, _) = chain();
    chain.set_balance(SOMEBODY, U256::from(1));
    let id = chain.snapshot();
    chain.set_balance(SOMEBODY, U256::from(2));
    assert!(chain.revert(id));
    assert_eq!(chain.latest().balance(SOMEBODY), U256::from(1));
}

#[test]
fn a_reorganisation_makes_transactions_vanish() {
    let (mut chain, _) = chain();
    let kept = send(&mut chain, transfer(0, 10 * GWEI)).unwrap();
    let lost = send(&mut chain, transfer(1, 10 * GWEI)).unwrap();
    let before = chain.head().unwrap().hash;
    chain.reorg(1, Vec::new(), Dropped::Forget).unwrap();
    assert_eq!(chain.head_number(), 2);
    assert_ne!(chain.head().unwrap().hash, before);
    assert!(chain.blocks.by_hash(&before).is_none());
    assert!(chain.blocks.tx(&kept).is_some());
    assert!(chain.blocks.tx(&lost).is_none());
    assert_eq!(received(&chain, BlockRef::Latest), U256::from(1));
    assert_eq!(chain.latest().nonce(account(0)), 1);
    // The very same transaction can be sent again.
    send(&mut chain, transfer(1, 10 * GWEI)).unwrap();
    assert_eq!(chain.blocks.tx(&lost).unwrap().0.header.number, 3);
}

#[test]
fn a_reorganisation_can_move_transactions_to_later_blocks() {
    let (mut chain, _) = chain();
    let hashes: Vec<_> = (0..3)
        .map(|nonce| send(&mut chain, transfer(nonce, 10 * GWEI)).unwrap())
        .collect();
    chain.reorg(2, Vec::new(), Dropped::ReturnToPool).unwrap();
    let numbers: Vec<_> = hashes
        .iter()
        .map(|hash| chain.blocks.tx(hash).unwrap().0.header.number)
        .collect();
    assert_eq!(
        numbers,
        [1, 4, 5],
        "two empty blocks, then the two transactions again"
    );
    assert_eq!(received(&chain, BlockRef::Latest), U256::from(3));
}

#[test]
fn a_reorganisation_can_put_other_transactions_in() {
    let (mut chain, _) = chain();
    let old = send(&mut chain, transfer(0, 10 * GWEI)).unwrap();
    chain.mine_one();
    let other = sign(transfer(0, 20 * GWEI), 0);
    let hash = other.hash;
    chain
        .reorg(2, vec![(1, other)], Dropped::ReturnToPool)
        .unwrap();
    assert_eq!(chain.blocks.tx(&hash).unwrap().0.header.number, 2);
    assert!(chain.blocks.tx(&old).is_none());
    assert!(chain.pool.get(&old).is_none(), "its nonce is used");
}

#[test]
fn reorganisations_are_bounded() {
    let (mut chain, _) = chain();
    chain.mine(3, None).unwrap();
    assert_eq!(
        chain.reorg(4, Vec::new(), Dropped::Forget),
        Err(ControlError::Depth { asked: 4, max: 3 })
    );
    let outside = vec![(2, sign(transfer(0, 10 * GWEI), 0))];
    assert_eq!(
        chain.reorg(2, outside, Dropped::Forget),
        Err(ControlError::BlockOutside { asked: 2, depth: 2 })
    );
    assert_eq!(chain.head_number(), 3, "a refused control changes nothing");
    chain.reorg(3, Vec::new(), Dropped::Forget).unwrap();
}

#[test]
fn a_snapshot_on_a_block_that_is_gone_cannot_be_reverted_to() {
    let (mut chain, _) = chain();
    let early = chain.snapshot();
    chain.mine(2, None).unwrap();
    let late = chain.snapshot();
    chain.reorg(1, Vec::new(), Dropped::Forget).unwrap();
    assert!(!chain.revert(late));
    assert!(chain.revert(early));
    assert_eq!(chain.head_number(), 0);
}

#[test]
fn blocks_made_again_differ() {
    let (mut chain, _) = chain();
    chain.mine(1, None).unwrap();
    let id = chain.snapshot();
    chain.mine(1, None).unwrap();
    let first = chain.head().unwrap().hash;
    assert!(chain.revert(id));
    chain.mine(1, None).unwrap();
    assert_ne!(chain.head().unwrap().hash, first);
}

#[test]
fn what_is_remembered_is_bounded() {
    let (mut chain, _) = chain();
    send(&mut chain, transfer(0, 10 * GWEI)).unwrap();
    let id = chain.snapshot();
    let states = u64::try_from(limits::UNDO_KEPT_MAX).unwrap();
    for _ in 0..4 {
        chain.mine(states.div_ceil(4) + 1, None).unwrap();
    }
    assert_eq!(chain.undo.len(), limits::UNDO_KEPT_MAX);
    assert!(!chain.revert(id), "the snapshot is older than what is kept");
    let oldest = chain.oldest_state();
    assert_eq!(received(&chain, BlockRef::Number(oldest)), U256::from(1));
    assert_eq!(
        chain.view_at(BlockRef::Number(oldest - 1)).err(),
        Some(CallError::StatePruned {
            block: oldest - 1,
            oldest
        })
    );
    let max = chain.head_number() - oldest;
    assert_eq!(
        chain.reorg(max + 1, Vec::new(), Dropped::Forget),
        Err(ControlError::Depth {
            asked: max + 1,
            max
        })
    );
    let blocks = u64::try_from(limits::BLOCKS_KEPT_MAX).unwrap();
    while chain.head_number() <= blocks {
        chain.mine(limits::MINE_BLOCKS_MAX, None).unwrap();
    }
    assert!(chain.blocks.by_number(0).is_none());
    assert!(chain.blocks.by_number(chain.blocks.oldest()).is_some());
    assert_eq!(chain.head_number() - chain.blocks.oldest() + 1, blocks);
}

#[test]
fn finalized_lags_behind() {
    let clock = std::sync::Arc::new(crate::chain::FixedClock::at(NOW));
    let config = crate::chain::ChainConfig {
        finality_depth: 2,
        clock,
        ..crate::chain::ChainConfig::default()
    };
    let mut chain = Chain::new(&config).unwrap();
    assert_eq!(chain.block(BlockRef::Finalized).unwrap().header.number, 0);
    chain.mine(5, None).unwrap();
    assert_eq!(chain.block(BlockRef::Finalized).unwrap().header.number, 3);
}

#[test]
fn time_goes_with_the_clock_and_never_back() {
    let (mut chain, clock) = chain();
    let mine = |chain: &mut Chain| {
        chain.mine_one();
        chain.head().unwrap().header.timestamp
    };
    assert_eq!(mine(&mut chain), NOW, "blocks may share a second");
    clock.set(NOW + 10);
    assert_eq!(mine(&mut chain), NOW + 10);
    clock.set(NOW - 100);
    assert_eq!(mine(&mut chain), NOW + 10);
    clock.set(NOW + 10);
    assert_eq!(chain.increase_time(50).unwrap(), 50);
    assert_eq!(mine(&mut chain), NOW + 60);
    chain.set_next_timestamp(NOW + 1_000).unwrap();
    assert_eq!(chain.next_context().timestamp, NOW + 1_000);
    assert_eq!(mine(&mut chain), NOW + 1_000);
    clock.set(NOW + 11);
    assert_eq!(
        mine(&mut chain),
        NOW + 1_001,
        "time goes on from what was set"
    );
    assert_eq!(
        chain.set_next_timestamp(NOW + 1_000),
        Err(ControlError::TimeBackwards {
            asked: NOW + 1_000,
            parent: NOW + 1_001
        })
    );
    assert!(matches!(
        chain.increase_time(u64::MAX),
        Err(ControlError::TimeRange(_))
    ));
    assert!(matches!(
        chain.set_time(u64::MAX),
        Err(ControlError::TimeRange(_))
    ));
}

#[test]
fn mined_blocks_can_be_spaced() {
    let (mut chain, _) = chain();
    chain.mine(3, Some(12)).unwrap();
    let times: Vec<_> = (1..=3)
        .map(|number| chain.blocks.by_number(number).unwrap().header.timestamp)
        .collect();
    assert_eq!(times, [NOW, NOW + 12, NOW + 24]);
    assert_eq!(
        chain.mine(limits::MINE_BLOCKS_MAX + 1, None),
        Err(ControlError::TooManyBlocks {
            asked: limits::MINE_BLOCKS_MAX + 1,
            max: limits::MINE_BLOCKS_MAX
        })
    );
}
