//! Payments whose end is not known, so that the same request sends the same payment again and never signs a second one
//! (x402 wire facts §8 item 5).
//!
//! They are found in the books once, when the client pays for the first time; afterwards the client remembers its own. What
//! is being sent at the moment is not among them, so concurrent identical requests of one client are separate purchases.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use faregate_ledger::{Spend, StoreError, WalletStore};
use faregate_types::{AssetId, Fingerprint, PaymentId, Timestamp};
use reqwest::Request;
use tokio::sync::OnceCell;

use crate::limits::{OPEN_LOOKBACK, STALE_SECS};

/// Whether payments that are open in the books are sent again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resume {
    /// Yes, while they are valid; and once more afterwards, before anything else is signed. Two processes that share the books and send the same request at the same time may then
    /// share a payment.
    #[default]
    Open,
    /// Only those that this client itself left open.
    Own,
}

type Key = (Box<str>, Box<str>);

/// Payments whose end is not known, by origin and resource.
#[derive(Default)]
pub(crate) struct OpenSpends {
    loaded: OnceCell<()>,
    spends: Mutex<BTreeMap<Key, Vec<Spend>>>,
}

impl OpenSpends {
    /// Reads the books, the first time.
    pub(crate) async fn load(
        &self,
        store: &dyn WalletStore,
        resume: Resume,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let load = || async {
            if resume == Resume::Own {
                return Ok(());
            }
            for record in store.open_spends(OPEN_LOOKBACK).await? {
                if is_remembered(&record.spend, now) {
                    self.put(record.spend);
                }
            }
            Ok(())
        };
        self.loaded.get_or_try_init(load).await.copied()
    }

    /// Takes out a payment for this request: one that is still valid, else one that has expired lately. It is out until the
    /// [`Flight`] ends.
    pub(crate) fn take(&self, origin: &str, resource: &str, now: Timestamp) -> Option<Flight<'_>> {
        let mut spends = self.lock();
        let key: Key = (origin.into(), resource.into());
        let list = spends.get_mut(&key)?;
        list.retain(|spend| is_remembered(spend, now));
        let valid = list.iter().position(|spend| spend.valid_until > now);
        let place = valid.or_else(|| list.len().checked_sub(1));
        let spend = place.map(|place| list.swap_remove(place));
        if list.is_empty() {
            spends.remove(&key);
        }
        drop(spends);
        Some(self.flight(spend?))
    }

    /// Takes out one payment, whatever it is for.
    pub(crate) fn take_by_id(&self, id: PaymentId) -> Option<Flight<'_>> {
        let mut spends = self.lock();
        let found = spends.values_mut().find_map(|list| {
            let place = list.iter().position(|spend| spend.id == id)?;
            Some(list.swap_remove(place))
        });
        drop(spends);
        Some(self.flight(found?))
    }

    /// Watches a payment that is about to be sent.
    pub(crate) const fn flight(&self, spend: Spend) -> Flight<'_> {
        Flight {
            open: self,
            spend: Some(spend),
        }
    }

    fn put(&self, spend: Spend) {
        let key: Key = (spend.origin.clone(), spend.resource.clone());
        let mut spends = self.lock();
        let list = spends.entry(key).or_default();
        if list.iter().all(|known| known.id != spend.id) {
            list.push(spend);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Vec<Spend>>> {
        self.spends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A payment on its way. Unless it is decided it goes back to the open ones, also when the caller stops waiting.
pub(crate) struct Flight<'a> {
    open: &'a OpenSpends,
    spend: Option<Spend>,
}

impl Flight<'_> {
    /// What is on its way. `None` never happens: only [`decided`](Self::decided) takes it, and ends the flight.
    pub(crate) const fn spend(&self) -> Option<&Spend> {
        self.spend.as_ref()
    }

    /// Whether it can no longer be used, by this clock.
    pub(crate) fn is_expired(&self, now: Timestamp) -> bool {
        self.spend
            .as_ref()
            .is_some_and(|spend| spend.valid_until <= now)
    }

    /// The end is known.
    pub(crate) fn decided(mut self) {
        self.spend = None;
    }
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        if let Some(spend) = self.spend.take() {
            self.open.put(spend);
        }
    }
}

/// Whether a payment is still asked about: it may have been used before it expired, and the server may still have the answer.
/// What became of a Lightning payment the wallet will know one day, and until then no other is made in its place.
const fn is_remembered(spend: &Spend, now: Timestamp) -> bool {
    if matches!(spend.amount.asset(), AssetId::Msat(_)) {
        return true;
    }
    spend.valid_until.as_secs().saturating_add(STALE_SECS) > now.as_secs()
}

/// What a request buys: method and path for people, and a fingerprint of method, URL and body. Queries may hold secrets, so
/// they are in the fingerprint only.
pub(crate) fn resource(request: &Request) -> Box<str> {
    let (method, url) = (request.method(), request.url());
    let body = request.body().and_then(reqwest::Body::as_bytes);
    let print = Fingerprint::of(&[
        method.as_str().as_bytes(),
        url.as_str().as_bytes(),
        body.unwrap_or_default(),
    ]);
    let print = print.to_string();
    let print = print.get(2..18).unwrap_or_default();
    format!("{method} {} #{print}", url.path()).into()
}

#[cfg(test)]
mod tests {
    use reqwest::Method;

    use super::*;

    fn request(method: Method, url: &str, body: &str) -> Request {
        let mut request = Request::new(method, url.parse().unwrap());
        if !body.is_empty() {
            *request.body_mut() = Some(body.to_owned().into());
        }
        request
    }

    #[test]
    fn different_requests_are_different_resources() {
        let base = resource(&request(
            Method::GET,
            "https://a.example/joke?key=s3cret",
            "",
        ));
        assert!(base.starts_with("GET /joke #"), "{base}");
        assert!(!base.contains("s3cret"));
        for (method, url, body) in [
            (Method::POST, "https://a.example/joke?key=s3cret", ""),
            (Method::GET, "https://a.example/joke?key=other", ""),
            (Method::GET, "https://a.example/joke?key=s3cret", "x"),
        ] {
            assert_ne!(base, resource(&request(method, url, body)));
        }
    }
}
