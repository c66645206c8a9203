//! Tokens of a payer, in maps.

use std::collections::{BTreeMap, BTreeSet};

use faregate_ledger::KeptToken;
use faregate_ledger::token::{TOKENS_KEPT_MAX, TOKENS_TOLD_MAX};
use faregate_types::{PaymentId, Timestamp};

use super::limits::PAGE_ROWS;

/// Tokens, at most [`TOKENS_KEPT_MAX`].
#[derive(Debug, Default)]
pub(super) struct Tokens {
    all: BTreeMap<PaymentId, KeptToken>,
    /// By their end.
    ends: BTreeSet<(Timestamp, PaymentId)>,
}

impl Tokens {
    /// Keeps a token.
    pub(super) fn keep(&mut self, token: KeptToken) {
        while let Some((_, payment)) = self.ends.first().filter(|(end, _)| *end <= token.at) {
            self.forget(*payment);
        }
        self.put(token);
        let most = usize::try_from(TOKENS_KEPT_MAX).unwrap_or(usize::MAX);
        while self.all.len() > most {
            let Some((_, payment)) = self.ends.first() else {
                return;
            };
            self.forget(*payment);
        }
    }

    fn put(&mut self, token: KeptToken) {
        self.forget(token.payment);
        if token.uses_left != Some(0) {
            self.ends.insert((token.until, token.payment));
            self.all.insert(token.payment, token);
        }
    }

    /// Tokens for a method at an origin, newest first.
    pub(super) fn at(&self, origin: &str, method: &str, now: Timestamp) -> Vec<KeptToken> {
        let mut found = self.newest();
        found.retain(|token| {
            *token.origin == *origin && *token.method == *method && token.until > now
        });
        take(found, TOKENS_TOLD_MAX).cloned().collect()
    }

    /// All tokens, newest first, without their credentials.
    pub(super) fn all(&self, limit: u32) -> Vec<KeptToken> {
        take(self.newest(), limit.min(PAGE_ROWS))
            .map(KeptToken::listed)
            .collect()
    }

    /// One more request was made with it.
    pub(super) fn used(&mut self, payment: PaymentId) {
        match self.all.get(&payment).cloned().map(KeptToken::used) {
            Some(Some(left)) => self.put(left),
            Some(None) => self.forget(payment),
            None => {}
        }
    }

    /// Drops a token.
    pub(super) fn forget(&mut self, payment: PaymentId) {
        if let Some(known) = self.all.remove(&payment) {
            self.ends.remove(&(known.until, payment));
        }
    }

    fn newest(&self) -> Vec<&KeptToken> {
        let mut tokens: Vec<&KeptToken> = self.all.values().collect();
        tokens.sort_by_key(|token| std::cmp::Reverse((token.at, token.payment)));
        tokens
    }
}

fn take(tokens: Vec<&KeptToken>, limit: u32) -> impl Iterator<Item = &KeptToken> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    tokens.into_iter().take(limit)
}
