//! The worker of managed mode: hears of paid invoices where the wallet tells, looks at everything that is open now and then,
//! and pays owners. It may be cut off anywhere: what was not recorded is asked again.

use std::panic::AssertUnwindSafe;

use faregate_core::custody::Custody;
use faregate_types::Code;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::meter;
use crate::limits;

/// A running worker. Dropping it stops it.
#[derive(Debug)]
pub(super) struct Worker(JoinHandle<()>);

impl Worker {
    pub(super) fn start(custody: Custody) -> Self {
        Self(tokio::spawn(async move {
            tokio::join!(sweep(&custody), listen(&custody));
        }))
    }

    /// Stops it and returns when it has stopped.
    pub(super) async fn stop(mut self) {
        self.0.abort();
        // An error says that it was stopped, which was asked for.
        drop((&mut self.0).await);
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn sweep(custody: &Custody) {
    let mut turns = interval(limits::MANAGED_INTERVAL);
    turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        turns.tick().await;
        match AssertUnwindSafe(custody.sweep()).catch_unwind().await {
            Ok(Ok(report)) => meter::swept(&report),
            Ok(Err(away)) => tracing::warn!(%away, "what is open could not be looked at"),
            Err(_) => tracing::error!("a sweep ended in a panic; the next one begins again"),
        }
    }
}

/// What is missed here is found by the next sweep.
async fn listen(custody: &Custody) {
    loop {
        match custody.settled().await {
            Ok(mut told) => {
                while let Some(Ok(settled)) = told.next().await {
                    if let Err(away) = custody.standing(settled.payment_hash).await {
                        tracing::warn!(%away, "a paid invoice could not be credited yet");
                    }
                }
            }
            Err(away) if away.code == Code::LightningUnsupported => return,
            Err(away) => tracing::warn!(%away, "paid invoices are not told now"),
        }
        sleep(limits::MANAGED_LISTEN_AGAIN).await;
    }
}
