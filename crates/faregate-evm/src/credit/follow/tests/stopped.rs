//! A follower that is stopped wherever it waits: the next one finds books that it can go on from, and nothing counts twice.

use std::future::{Future as _, poll_fn};
use std::task::Poll;

use super::*;

/// Polls it so often; whether it came to its end.
async fn polled(runner: &mut Runner, times: u32) -> bool {
    let mut look = Box::pin(runner.look());
    for _ in 0..times {
        let polled = poll_fn(|context| Poll::Ready(look.as_mut().poll(context)));
        if let Poll::Ready(looked) = polled.await {
            looked.unwrap();
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

#[tokio::test]
async fn the_next_one_goes_on_wherever_the_last_one_was_stopped() {
    let (mut times, mut between) = (0, 0);
    loop {
        let (mut world, _) = World::new(50).await;
        world.chain().grow(150);
        world.chain().waits = true;
        let (before, top) = (world.compare().await, world.chain().head().number - DEPTH);
        let mut runner = world.runner();
        let ended = polled(&mut runner, times).await;
        drop(runner);
        let cursor = world.compare().await;
        between += u32::from(cursor.number > before.number && cursor.number < top);
        world.runner().look().await.unwrap();
        assert_eq!(world.compare().await.number, top);
        for totals in world.store.totals().unwrap() {
            assert_eq!(totals.debits_posted, totals.credits_posted);
        }
        if ended {
            break;
        }
        times += 1;
    }
    // It waits more than once for each part, and there are several.
    assert!(times > 10 && between > 3, "{times} {between}");
}
