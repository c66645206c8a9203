//! A follower that catches up with a chain, again and again, each time into new books.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use faregate_core::port::credit::{CreditStore as _, Page};
use faregate_devnet::chain::CREDIT_CORE;
use faregate_evm::Endpoint;
use faregate_evm::credit::{Confirmation, CreditFollowConfig, CreditFollower};

use super::{Go, every_go};
use crate::Failed;
use crate::chain::CHAIN;
use crate::credit::story;

/// Follows what happened after the block `before`, `events` in all, up to the block `last`. Each event took as long as it
/// was on the disk after the follower was started.
///
/// # Errors
/// Something is not entered, or put aside.
pub async fn follow(
    rpc: &str,
    folder: &Path,
    (before, last): (u64, u64),
    events: usize,
) -> Result<(), Failed> {
    let mut made = 0_u32;
    every_go(async |go: Go| {
        let (mut latencies_us, mut took) = (Vec::new(), Duration::ZERO);
        while took < go.duration {
            made = made.saturating_add(1);
            let file = folder.join(format!("follow-{made}.db"));
            let books = Arc::new(story::books(&file, rpc, before).await?);
            let mut config =
                CreditFollowConfig::new(CHAIN, Endpoint::Http(rpc.parse()?), CREDIT_CORE);
            config.confirmation = Confirmation::Depth(0);
            config.reconcile_every = None;
            let started = Instant::now();
            let follower = CreditFollower::connect(config, Arc::clone(&books) as _).await?;
            let mut state = follower.state();
            loop {
                let at = state.borrow_and_update().cursor.map_or(0, |at| at.number);
                let share = |part: u64, of: u64| {
                    let part = usize::try_from(part).unwrap_or(usize::MAX);
                    let of = usize::try_from(of).unwrap_or(usize::MAX);
                    events.saturating_mul(part).checked_div(of).unwrap_or(0)
                };
                let entered = share(at.saturating_sub(before), last.saturating_sub(before));
                let passed = latencies_us.len().checked_rem(events).unwrap_or(0);
                let micros = u64::try_from(started.elapsed().as_micros())?;
                latencies_us.extend(std::iter::repeat_n(micros, entered.saturating_sub(passed)));
                if at >= last {
                    break;
                }
                state.changed().await?;
            }
            took = took.saturating_add(started.elapsed());
            let aside = books.put_aside(Page { skip: 0, limit: 1 }).await?;
            if let Some(aside) = aside.first() {
                return Err(format!("something was put aside: {aside:?}").into());
            }
            drop((follower, books));
            std::fs::remove_file(&file)?;
        }
        Ok((latencies_us, took))
    })
    .await
}
