//! Tokens that were checked lately: whoever has one for any number of requests sends the same line again and again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use faregate_types::Timestamp;
use faregate_types::l402::Identifier;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};

use crate::offer::{LightningAsk, Scope};
use crate::rail::Presented;

/// Lines that are remembered: about a kilobyte each.
const LINES_MAX: usize = 10_000;

/// Lines longer than this are checked each time.
const LINE_BYTES_MAX: usize = 1_024;

/// Lines by their bytes, and what each was good for.
#[derive(Debug, Default)]
pub(super) struct Seen(Mutex<BTreeMap<Box<[u8]>, Checked>>);

#[derive(Debug)]
struct Checked {
    ask: LightningAsk,
    method: Method,
    token: Identifier,
    presented: Arc<Presented>,
}

/// The one line that a request's credential is in.
pub(super) fn line(headers: &HeaderMap) -> Option<&[u8]> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let (first, second) = (lines.next()?, lines.next());
    let line = first.as_bytes();
    (second.is_none() && line.len() <= LINE_BYTES_MAX).then_some(line)
}

impl Seen {
    /// What was checked of this line, and of which token, if it was for the same ask and method and has not expired. Whether it
    /// was revoked since is for the caller to ask.
    pub(super) fn find(
        &self,
        line: &[u8],
        ask: &LightningAsk,
        method: &Method,
        now: Timestamp,
    ) -> Option<(Arc<Presented>, Identifier)> {
        let all = self.all();
        let checked = all.get(line)?;
        let good = checked.ask == *ask
            && checked.method == *method
            && checked.presented.good_until.is_some_and(|end| now < end);
        good.then(|| (Arc::clone(&checked.presented), checked.token))
    }

    /// Keeps what does not depend on more than ask, method and time.
    pub(super) fn keep(
        &self,
        line: &[u8],
        ask: &LightningAsk,
        method: &Method,
        token: Identifier,
        presented: Presented,
    ) {
        if ask.scope != Scope::Route || ask.is_bound_to_client {
            return;
        }
        let mut all = self.all();
        if all.len() >= LINES_MAX {
            // Tokens begin with their payment's hash, so the first one is any one.
            all.pop_first();
        }
        let checked = Checked {
            ask: ask.clone(),
            method: method.clone(),
            token,
            presented: Arc::new(presented),
        };
        all.insert(line.into(), checked);
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<Box<[u8]>, Checked>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
