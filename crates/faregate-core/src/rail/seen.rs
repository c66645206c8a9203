//! Tokens that were checked lately: whoever has one for any number of requests sends the same line again and again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use faregate_types::Timestamp;
use http::HeaderMap;
use http::header::AUTHORIZATION;

use crate::rail::Presented;

/// Lines that are remembered: about a kilobyte each.
const LINES_MAX: usize = 10_000;

/// Lines longer than this are checked each time.
const LINE_BYTES_MAX: usize = 1_024;

/// Lines by their bytes, and what each was good for. `T` is everything but the time that a check depended on.
#[derive(Debug)]
pub(super) struct Seen<T>(Mutex<BTreeMap<Box<[u8]>, Checked<T>>>);

#[derive(Debug)]
struct Checked<T> {
    on: T,
    presented: Arc<Presented>,
}

impl<T> Default for Seen<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

/// The one line that a request's credential is in.
pub(super) fn line(headers: &HeaderMap) -> Option<&[u8]> {
    let mut lines = headers.get_all(AUTHORIZATION).iter();
    let (first, second) = (lines.next()?, lines.next());
    let line = first.as_bytes();
    (second.is_none() && line.len() <= LINE_BYTES_MAX).then_some(line)
}

impl<T> Seen<T> {
    /// What was checked of this line, if it was for the same and has not expired. Whether it was revoked since is for `is_same`
    /// to ask.
    pub(super) fn find(
        &self,
        line: &[u8],
        now: Timestamp,
        is_same: impl FnOnce(&T) -> bool,
    ) -> Option<Arc<Presented>> {
        let all = self.all();
        let checked = all.get(line)?;
        let good = checked.presented.good_until.is_some_and(|end| now < end);
        (good && is_same(&checked.on)).then(|| Arc::clone(&checked.presented))
    }

    /// Keeps what was presented with a line.
    pub(super) fn keep(&self, line: &[u8], on: T, presented: Presented) {
        let mut all = self.all();
        if all.len() >= LINES_MAX {
            // Tokens begin with something random, or nearly so: the first one is any one.
            all.pop_first();
        }
        let presented = Arc::new(presented);
        all.insert(line.into(), Checked { on, presented });
    }

    fn all(&self) -> MutexGuard<'_, BTreeMap<Box<[u8]>, Checked<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
