//! Books that the chain left behind.

use super::*;

/// Takes the newest blocks off the chain: what was in the last of them is gone, what was in those before comes again, in one block.
async fn mined_again(world: &World, kept: u64, gone: u64) {
    world.rpc::<Value>("evm_setAutomine", json!([false])).await;
    world
        .rpc::<Value>("faregate_reorg", json!([gone, false]))
        .await;
    world
        .rpc::<Value>("faregate_reorg", json!([kept + gone, true]))
        .await;
    world.rpc::<Value>("evm_mine", json!([])).await;
    world.rpc::<Value>("evm_setAutomine", json!([true])).await;
}

/// Other blocks with nothing in them, and more than there were.
async fn turn_off(world: &World, depth: u64, more: u64) {
    world
        .rpc::<Value>("faregate_reorg", json!([depth, false]))
        .await;
    world.mine(more).await;
}

/// While the books are not on the chain and nobody has decided, nothing is entered, and the contract is told nothing.
async fn nothing_is_told(town: &Town, follower: CreditFollower, number: u64, tab: TabId) {
    let mut state = follower.state();
    let forked = state.wait_for(|state| state.fork.is_some()).await.unwrap();
    assert_eq!(forked.fork.unwrap().number, number);
    drop(forked);
    assert!(!follower.is_ready());
    let _operator = town
        .operate_on(follower.bell(), follower.state(), Arc::new(Alone))
        .await;
    tokio::time::sleep(POLL * 10).await;
    let told = town.ask(town.core.payment_status(tab.0)).await;
    assert_eq!(told.paid, U256::ZERO);
}

/// What was mined again elsewhere counts once, what is new counts, and on what is gone nothing is promised any more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn books_that_the_chain_left_behind_are_set_back_and_read_on() {
    let town = Town::new().await;
    if !town.world.is_own() {
        return;
    }
    let (payer, core) = (town.payer, town.core);
    let other = faregate_devnet::Devchain::accounts()[3].address;
    let ether = |units: u64| core.deposit(ETH, U256::from(units));
    let pay = |tab: TabId, units: u64| {
        core.pay_tab_in_eth(tab.0, U256::ZERO, U256::from(units), town.recipient)
    };
    let follower = town.follow().await;
    town.send(payer, &ether(100)).await;
    town.caught_up(&follower).await;
    let paid = town.open(0x71, ETH, follower.terms()).await;
    town.issue(paid, ETH, 30, follower.terms()).await;
    let block = town.number().await;
    // Three that are mined again, all in one block, and two that are gone.
    for call in [ether(7), ether(8), pay(paid, 20)] {
        town.send(payer, &call).await;
    }
    town.send(other, &ether(1_000)).await;
    town.send(payer, &pay(paid, 5)).await;
    town.caught_up(&follower).await;
    assert_eq!(town.collateral(ETH).await.total, U256::from(115));
    let world = &town.world;
    mined_again(world, 3, 2).await;

    nothing_is_told(&town, follower, block + 5, paid).await;
    let early = town.rewind(block + 5).await;
    assert!(
        matches!(early, Err(RewindError::NotAfter { .. })),
        "{early:?}"
    );
    let done = town.rewind(block).await.unwrap();
    assert_eq!((done.from.number, done.refused), (block + 5, 1));
    assert!(done.to.number > block && done.lost.is_empty());
    assert_eq!(done.suspended, [other].into());
    assert_eq!((done.report.compared, done.report.different), (2, 1));
    assert_eq!(town.collateral(ETH).await.total, U256::from(115));
    for (who, suspended) in [(other, true), (payer, false)] {
        let account = town.store.account(who).await.unwrap().unwrap();
        assert_eq!(account.suspended, suspended);
    }

    // Everything goes on: one payment is recorded, the other one never.
    let follower = town.follow().await;
    town.send(payer, &ether(1)).await;
    town.caught_up(&follower).await;
    assert_eq!(town.collateral(ETH).await.total, U256::from(116));
    let _operator = town
        .operate_on(follower.bell(), follower.state(), Arc::new(Alone))
        .await;
    let payments = town.settled(2).await;
    let recorded = payments
        .iter()
        .filter(|payment| matches!(payment.stage, PaymentStage::Recorded(_)));
    let recorded: Vec<_> = recorded.map(|payment| payment.amount).collect();
    assert_eq!(recorded, [U256::from(20)]);
    drop(follower);
    // What rests on the journal of a tab: its payment is gone, and so is the word of its payer.
    let place = payments
        .iter()
        .find(|payment| payment.amount == U256::from(20))
        .unwrap();
    let hash = place.place.transaction;
    turn_off(world, town.number().await - block, 64).await;
    let done = town.rewind(block).await.unwrap();
    assert_eq!(done.lost, [hash].into());
    assert_eq!(done.suspended, [payer, other].into());
}
