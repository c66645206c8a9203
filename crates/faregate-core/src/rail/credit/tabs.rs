//! The tabs of the gate's payers: which tab a payer is to use, and which number on it.
//!
//! A core that reserves numbers ([`ReqIds::Reserved`]) takes any number once. The first who asks for a tab gets the number that
//! the core gave out; whoever comes while that is fresh gets one of a block that belongs to that number, so that neither
//! payers in parallel nor several gates nor the core itself give out a number twice, and the core is asked once and not for
//! every request. A core that counts strictly is asked every time.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use alloy_primitives::{Address, U256};
use faregate_types::credit::GuaranteeVersion;
use faregate_types::credit::x402::TabTicket;
use faregate_types::{ChainId, Code, Timestamp};

use super::Issuers;
use crate::credit::ReqIds;
use crate::offer::CreditAsk;
use crate::port::{Away, Clock, IssueError, TabAsk};

/// How long a tab is believed to be the payer's without asking again, in seconds.
const FRESH_SECS: u64 = 30;

/// A tab is not given out any more so shortly before its end, in seconds: what is signed now is paid a little later.
const ENDING_SECS: u64 = 60;

/// How many tabs are remembered at once. Whoever is forgotten costs a question to the core.
const KNOWN_MAX: usize = 65_536;

/// Numbers of a block: more than anybody pays within [`FRESH_SECS`].
const BLOCK_BITS: usize = 64;

/// Gives out tabs. Copies are the same.
#[derive(Clone)]
pub struct Tabs(Arc<Inner>);

struct Inner {
    issuers: Issuers,
    clock: Arc<dyn Clock>,
    known: Mutex<BTreeMap<(ChainId, TabAsk), Known>>,
}

/// A tab that was asked for lately.
#[derive(Clone, Debug)]
struct Known {
    ticket: TabTicket,
    /// The number that comes next.
    next: U256,
    until: Timestamp,
}

impl std::fmt::Debug for Tabs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tabs").finish_non_exhaustive()
    }
}

impl Tabs {
    pub(super) fn new(issuers: Issuers, clock: Arc<dyn Clock>) -> Self {
        Self(Arc::new(Inner {
            issuers,
            clock,
            known: Mutex::default(),
        }))
    }

    /// The tab on which this payer is to owe for this ask, and a number on it.
    ///
    /// # Errors
    /// [`IssueError`] when the core refuses one, or is away.
    pub async fn ticket(
        &self,
        ask: &CreditAsk,
        version: GuaranteeVersion,
        payer: Address,
    ) -> Result<TabTicket, IssueError> {
        let chain = ask.asset.chain();
        let tab = TabAsk {
            payer,
            recipient: ask.recipient,
            asset: ask.asset.token(),
            version,
            ttl_secs: None,
        };
        if let Some(ticket) = self.next(chain, tab) {
            return Ok(ticket);
        }
        let issuer = self.0.issuers.get(&chain).ok_or(Away {
            code: Code::Internal,
        })?;
        let ticket = issuer.open(&tab).await?;
        if issuer.req_ids().await? == ReqIds::Reserved {
            self.know(chain, tab, &ticket);
        }
        Ok(ticket)
    }

    /// The next number of a tab that is known, if it is.
    fn next(&self, chain: ChainId, tab: TabAsk) -> Option<TabTicket> {
        let now = self.0.clock.now();
        let mut known = self.known();
        let Entry::Occupied(mut entry) = known.entry((chain, tab)) else {
            return None;
        };
        if entry.get().until <= now {
            entry.remove();
            return None;
        }
        let known = entry.get_mut();
        let number = known.next;
        known.next = number.checked_add(U256::ONE)?;
        Some(TabTicket {
            next_req_id: Some(number),
            ..known.ticket.clone()
        })
    }

    fn know(&self, chain: ChainId, tab: TabAsk, ticket: &TabTicket) {
        let now = self.0.clock.now();
        let Some(found) = Known::of(ticket, now) else {
            return;
        };
        let mut known = self.known();
        if known.len() >= KNOWN_MAX {
            known.retain(|_, known| known.until > now);
        }
        if known.len() < KNOWN_MAX {
            // Of two who asked at once, the later block is as good as the earlier.
            known.insert((chain, tab), found);
        }
    }

    /// Something was refused because of its tab: it is asked for again.
    pub(super) fn forget(&self, chain: ChainId, tab: TabAsk) {
        self.known().remove(&(chain, tab));
    }

    /// Never held while anything is waited for.
    fn known(&self) -> MutexGuard<'_, BTreeMap<(ChainId, TabAsk), Known>> {
        self.0.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// What is remembered of a tab; nothing when it ends soon, or its numbers leave no room for a block.
    fn of(ticket: &TabTicket, now: Timestamp) -> Option<Self> {
        let given = ticket.next_req_id.unwrap_or_default();
        let fresh = now.checked_add_secs(FRESH_SECS)?;
        let end = match (ticket.start, ticket.ttl_seconds) {
            (Some(start), Some(ttl)) => start.checked_add_secs(ttl.saturating_sub(ENDING_SECS))?,
            _ => fresh,
        };
        // A core that reserves gives each number out once, so the block is nobody else's.
        let block = given.checked_add(U256::ONE)?;
        let next = block.checked_shl(BLOCK_BITS)?;
        let until = fresh.min(end);
        (until > now).then(|| Self {
            ticket: ticket.clone(),
            next,
            until,
        })
    }
}

#[cfg(test)]
#[path = "tabs_tests.rs"]
mod tests;
