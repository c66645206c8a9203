//! How many invoices are made for whom. An invoice costs the wallet's node memory until it expires, and asking is free.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use faregate_types::{Code, Timestamp};

use super::customer;
use crate::port::Away;
use crate::rate::{Bucket, Rate};

/// Clients that are remembered: about 60 bytes each.
const CLIENTS_MAX: usize = 10_000;

const MINUTE: Duration = Duration::from_secs(60);

/// Nanoseconds of a second.
const NANOS: u64 = 1_000_000_000;

/// How many invoices are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that configuration code builds by literal"
)]
pub struct InvoiceRate {
    /// For one client in a minute, all at once if they were saved up. An IPv6 network of 64 bits is one client, and so are all
    /// whose address is not known.
    pub per_minute: NonZeroU32,
    /// At the same time, for everybody. One more is told to come back.
    pub at_once: NonZeroU32,
}

impl Default for InvoiceRate {
    fn default() -> Self {
        Self {
            per_minute: NonZeroU32::new(60).unwrap_or(NonZeroU32::MIN),
            at_once: NonZeroU32::new(256).unwrap_or(NonZeroU32::MIN),
        }
    }
}

/// The limits, and what was made lately.
#[derive(Debug)]
pub(super) struct Limit {
    at_once: usize,
    per_client: Rate,
    clients: Mutex<BTreeMap<Option<IpAddr>, Bucket>>,
    making: AtomicUsize,
}

/// An invoice that is being made.
#[derive(Debug)]
pub(super) struct Making<'l>(&'l Limit);

impl Drop for Making<'_> {
    fn drop(&mut self) {
        self.0.making.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Limit {
    pub(super) fn new(rate: InvoiceRate) -> Self {
        Self {
            at_once: usize::try_from(rate.at_once.get()).unwrap_or(usize::MAX),
            per_client: Rate::new(rate.per_minute, MINUTE),
            clients: Mutex::new(BTreeMap::new()),
            making: AtomicUsize::new(0),
        }
    }

    /// One invoice for this client, or "not now".
    pub(super) fn enter(&self, client: Option<IpAddr>, now: Timestamp) -> Result<Making<'_>, Away> {
        let before = self.making.fetch_add(1, Ordering::Relaxed);
        let making = Making(self);
        if before >= self.at_once {
            return Err(Away {
                code: Code::Overloaded,
            });
        }
        if !self.take(client.map(customer), now.as_secs().saturating_mul(NANOS)) {
            return Err(Away {
                code: Code::RateLimited,
            });
        }
        Ok(making)
    }

    fn take(&self, client: Option<IpAddr>, now: u64) -> bool {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if clients.len() >= CLIENTS_MAX && !clients.contains_key(&client) {
            clients.retain(|_, bucket| !bucket.is_full(now));
            if clients.len() >= CLIENTS_MAX {
                clients.pop_first();
            }
        }
        clients
            .entry(client)
            .or_default()
            .take(self.per_client, now)
            .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limit(per_minute: u32, at_once: u32) -> Limit {
        Limit::new(InvoiceRate {
            per_minute: NonZeroU32::new(per_minute).unwrap(),
            at_once: NonZeroU32::new(at_once).unwrap(),
        })
    }

    fn code(limit: &Limit, client: &str, secs: u64) -> Option<Code> {
        let client = client.parse().ok();
        let entered = limit.enter(client, Timestamp::from_secs(secs));
        entered.err().map(|away| away.code)
    }

    #[test]
    fn a_client_gets_so_many_a_minute_and_another_one_as_many() {
        let limit = limit(3, 9);
        for client in ["192.0.2.1", "192.0.2.2", "nobody"] {
            for _ in 0..3 {
                assert_eq!(code(&limit, client, 100), None);
            }
            assert_eq!(code(&limit, client, 100), Some(Code::RateLimited));
            assert_eq!(code(&limit, client, 120), None);
            assert_eq!(code(&limit, client, 120), Some(Code::RateLimited));
            assert_eq!(code(&limit, client, 200), None);
        }
    }

    #[test]
    fn addresses_of_one_customer_are_one_client() {
        let limit = limit(1, 9);
        assert_eq!(code(&limit, "2001:db8::1", 0), None);
        assert_eq!(code(&limit, "2001:db8::2", 0), Some(Code::RateLimited));
        assert_eq!(code(&limit, "2001:db8:0:1::1", 0), None);
        assert_eq!(code(&limit, "192.0.2.1", 0), None);
        assert_eq!(code(&limit, "::ffff:192.0.2.1", 0), Some(Code::RateLimited));
    }

    #[test]
    fn only_so_many_are_made_at_once() {
        let limit = limit(60, 2);
        let now = Timestamp::from_secs(5);
        let (first, second) = (limit.enter(None, now), limit.enter(None, now));
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(code(&limit, "", 5), Some(Code::Overloaded));
        drop(first);
        assert_eq!(code(&limit, "", 5), None);
    }

    #[test]
    fn l402_hole_12_strangers_do_not_fill_the_memory() {
        let limit = limit(1, 9);
        for n in 0..25_000_u32 {
            let client = IpAddr::from(n.to_be_bytes());
            assert!(limit.enter(Some(client), Timestamp::from_secs(0)).is_ok());
        }
        assert!(limit.clients.lock().unwrap().len() <= CLIENTS_MAX);
    }
}
