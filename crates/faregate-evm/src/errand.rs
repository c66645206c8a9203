//! Transactions that are no payments: deployments, and money handed on. They go through the signers' lanes like any other,
//! but no books hear of their hashes.

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::flight::{Landing, News};
use crate::job::{Job, NotSent, Work, with_margin};
use crate::network::Network;
use crate::node::NodeError;
use crate::rpc::{Called, Simulation};

/// What became of one.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    Landed(Landing),
    NotSent(NotSent),
}

/// Sends a call and waits for its end; `None` when no lane has room, or the process stops.
///
/// # Errors
/// The node cannot say what the call needs.
pub(crate) async fn run(network: &Network, call: Simulation) -> Result<Option<Fate>, NodeError> {
    let gas_max = call.gas_max;
    let gas = match network.rpc.estimate_gas(&call).await? {
        Called::Returned(gas) => gas,
        Called::Reverted(words) => return Ok(Some(Fate::NotSent(NotSent::Reverted(words)))),
    };
    let work = Work::Alone {
        call,
        gas_limit: with_margin(gas).min(gas_max),
        simulated_at: Instant::now(),
    };
    let (job, hears) = Job::new(None, work);
    if network.offer(job).is_none() {
        return Ok(None);
    }
    Ok(escort(hears).await)
}

/// Goes with a transaction to its end; `None` when the process stops.
pub(crate) async fn escort(mut hears: mpsc::Receiver<News>) -> Option<Fate> {
    loop {
        match hears.recv().await? {
            // Nothing of a payment is in it, so there is nothing to record.
            News::Record(ask) => drop(ask.recorded.send(())),
            News::Left(departure) => {
                // Nobody has to be asked when it is replaced.
                drop(hears);
                let landing = departure.track.wait().await;
                return Some(Fate::Landed(landing.unwrap_or(Landing::Lost)));
            }
            News::NotSent(why) => return Some(Fate::NotSent(why)),
        }
    }
}
