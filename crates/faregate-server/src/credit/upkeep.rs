//! What is done without being asked: certificates that a crash left unsigned, and memories of callers that are over.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use super::{Parts, guarantees};
use crate::limits::{CREDIT_CERTIFY_AGE_SECS, CREDIT_CERTIFY_INTERVAL, CREDIT_UPKEEP_ROWS};

/// The task. Ends with [`stop`](Self::stop), or when it is dropped.
#[derive(Debug)]
pub(super) struct Worker {
    stopping: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Worker {
    pub(super) fn start(parts: Arc<Parts>) -> Self {
        let (stopping, mut stopped) = watch::channel(false);
        let task = tokio::spawn(async move {
            let mut ticks = interval(CREDIT_CERTIFY_INTERVAL);
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            // What is unsigned at the start was left by a process that is no more: its owner waits for it.
            let mut age_min = 0;
            loop {
                tokio::select! {
                    biased;
                    // An error means that the server was dropped.
                    _ = stopped.changed() => return,
                    _ = ticks.tick() => {}
                }
                once(&parts, age_min).await;
                age_min = CREDIT_CERTIFY_AGE_SECS;
            }
        });
        Self { stopping, task }
    }

    /// Waits for what is in progress.
    pub(super) async fn stop(self) {
        self.stopping.send_replace(true);
        drop(self.task.await);
    }
}

async fn once(parts: &Arc<Parts>, age_min: u64) {
    let now = parts.clock.now();
    if let Err(error) = parts.access.purge_access(now, CREDIT_UPKEEP_ROWS).await {
        tracing::warn!(%error, "what is over could not be forgotten");
    }
    let open = match parts.books.uncertified(CREDIT_UPKEEP_ROWS).await {
        Ok(open) => open,
        Err(error) => {
            tracing::warn!(%error, "guarantees without a certificate could not be looked for");
            return;
        }
    };
    for guarantee in open {
        if now.secs_since(guarantee.created_at) < age_min {
            continue;
        }
        let (tab, req) = (guarantee.tab, guarantee.req);
        match guarantees::certify(parts, guarantee).await {
            Ok(_) => tracing::info!(%tab, %req, "a guarantee was certified after all"),
            Err(_) => tracing::warn!(%tab, %req, "a guarantee could not be certified yet"),
        }
    }
}
