//! Filters that a client sets up once and asks for news.

use std::collections::BTreeMap;

use alloy_primitives::B256;
use alloy_rpc_types_eth::{Filter, FilterBlockOption, Log};

use super::{engine::Chain, error::LogError, limits};

/// All filters.
#[derive(Debug, Default)]
pub(crate) struct Filters {
    by_id: BTreeMap<u64, Installed>,
    last_id: u64,
    polls: u64,
}

#[derive(Debug)]
struct Installed {
    kind: Kind,
    /// Counts up with every poll of any filter: the smallest was asked for longest ago.
    last_poll: u64,
}

#[derive(Clone, Debug)]
enum Kind {
    /// New logs, from this block on.
    Logs {
        filter: Box<Filter>,
        next_block: u64,
    },
    /// New blocks, from this one on.
    Blocks { next_block: u64 },
    /// New transactions in the pool, after this arrival.
    Transactions { last_arrival: u64 },
}

/// What is new.
#[derive(Debug)]
pub(crate) enum News {
    Logs(Vec<Log>),
    Hashes(Vec<B256>),
}

impl Filters {
    fn install(&mut self, kind: Kind) -> u64 {
        if self.by_id.len() >= limits::FILTERS_MAX {
            let oldest = self
                .by_id
                .iter()
                .min_by_key(|(_, installed)| installed.last_poll);
            if let Some(id) = oldest.map(|(id, _)| *id) {
                self.by_id.remove(&id);
            }
        }
        self.last_id = self.last_id.saturating_add(1);
        self.polls = self.polls.saturating_add(1);
        let installed = Installed {
            kind,
            last_poll: self.polls,
        };
        self.by_id.insert(self.last_id, installed);
        self.last_id
    }

    /// Removes a filter; `false` if there is none.
    pub(crate) fn uninstall(&mut self, id: u64) -> bool {
        self.by_id.remove(&id).is_some()
    }

    /// After blocks were taken away: what comes after `head` is new again. Logs that are gone are not reported as removed.
    pub(crate) fn rewind(&mut self, head: u64) {
        let next = head.saturating_add(1);
        for installed in self.by_id.values_mut() {
            match &mut installed.kind {
                Kind::Logs { next_block, .. } | Kind::Blocks { next_block } => {
                    *next_block = next.min(*next_block)
                }
                Kind::Transactions { .. } => {}
            }
        }
    }
}

impl Chain {
    /// A filter for logs of blocks after now.
    pub(crate) fn new_log_filter(&mut self, filter: Filter) -> u64 {
        let next_block = self.head_number().saturating_add(1);
        self.filters.install(Kind::Logs {
            filter: Box::new(filter),
            next_block,
        })
    }

    /// A filter for hashes of blocks after now.
    pub(crate) fn new_block_filter(&mut self) -> u64 {
        let next_block = self.head_number().saturating_add(1);
        self.filters.install(Kind::Blocks { next_block })
    }

    /// A filter for hashes of transactions that arrive after now.
    pub(crate) fn new_transaction_filter(&mut self) -> u64 {
        let last_arrival = self.pool.last_arrival();
        self.filters.install(Kind::Transactions { last_arrival })
    }

    /// What is new since the last time.
    pub(crate) fn filter_changes(&mut self, id: u64) -> Result<News, LogError> {
        let kind = self
            .filters
            .by_id
            .get(&id)
            .ok_or(LogError::NoFilter)?
            .kind
            .clone();
        let head = self.head_number();
        let (news, kind) = match kind {
            Kind::Logs { filter, next_block } => {
                let (first, last) = range(&filter);
                let found = self.logs_between(&filter, first.max(next_block), last.min(head))?;
                let next_block = head.saturating_add(1);
                (News::Logs(found), Kind::Logs { filter, next_block })
            }
            Kind::Blocks { next_block } => {
                let hashes = (next_block..=head)
                    .filter_map(|number| self.blocks.by_number(number))
                    .map(|block| block.hash)
                    .collect();
                let next_block = head.saturating_add(1);
                (News::Hashes(hashes), Kind::Blocks { next_block })
            }
            Kind::Transactions { last_arrival } => {
                let hashes = self.pool.arrived_after(last_arrival);
                let last_arrival = self.pool.last_arrival();
                (News::Hashes(hashes), Kind::Transactions { last_arrival })
            }
        };
        self.filters.polls = self.filters.polls.saturating_add(1);
        let last_poll = self.filters.polls;
        self.filters.by_id.insert(id, Installed { kind, last_poll });
        Ok(news)
    }

    /// All logs a log filter describes, new or not.
    pub(crate) fn filter_logs(&self, id: u64) -> Result<Vec<Log>, LogError> {
        match self.filters.by_id.get(&id).map(|installed| &installed.kind) {
            Some(Kind::Logs { filter, .. }) => self.logs(filter),
            Some(Kind::Blocks { .. } | Kind::Transactions { .. }) | None => Err(LogError::NoFilter),
        }
    }
}

/// The blocks a filter is limited to. A tag limits nothing here: a filter only ever tells what came after it was made.
fn range(filter: &Filter) -> (u64, u64) {
    match filter.block_option {
        FilterBlockOption::AtBlockHash(_) => (0, 0),
        FilterBlockOption::Range {
            from_block,
            to_block,
        } => (
            from_block.and_then(|block| block.as_number()).unwrap_or(0),
            to_block
                .and_then(|block| block.as_number())
                .unwrap_or(u64::MAX),
        ),
    }
}
