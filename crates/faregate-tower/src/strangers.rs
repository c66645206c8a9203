//! Clients nobody knows: what stands for one, and how often it may come.

use std::hash::{BuildHasher, Hash, RandomState};
use std::net::IpAddr;
use std::time::Duration;

use faregate_core::rate::{Bucket, Rate};
use faregate_types::{Code, Problem};

/// Buckets for names nobody knows in advance: addresses, payers. Their number is fixed, so that strangers cannot fill the
/// memory and cannot push each other out; two names share a bucket by chance only, because the hash is keyed.
#[derive(Debug)]
pub struct Buckets {
    slots: Box<[Bucket]>,
    rate: Rate,
    hash: RandomState,
}

impl Buckets {
    /// So many buckets of this rate.
    #[must_use]
    pub fn new(slots: usize, rate: Rate) -> Self {
        Self {
            slots: (0..slots.max(1)).map(|_| Bucket::default()).collect(),
            rate,
            hash: RandomState::new(),
        }
    }

    /// Takes one for `name`. `now` is in nanoseconds since any fixed moment.
    ///
    /// # Errors
    /// How long to wait for it.
    pub fn take(&self, name: impl Hash, now: u64) -> Result<(), Duration> {
        self.slot(name)
            .map_or(Ok(()), |bucket| bucket.take(self.rate, now))
    }

    /// How long `name` has to wait for one, if there is none now.
    #[must_use]
    pub fn wait(&self, name: impl Hash, now: u64) -> Option<Duration> {
        self.slot(name)?.wait(self.rate, now)
    }

    fn slot(&self, name: impl Hash) -> Option<&Bucket> {
        let count = u64::try_from(self.slots.len()).unwrap_or(u64::MAX);
        let index = self.hash.hash_one(name).checked_rem(count)?;
        self.slots.get(usize::try_from(index).ok()?)
    }
}

/// The answer to somebody who has to wait so long.
#[must_use]
pub fn limited(wait: Duration) -> Problem {
    let whole = wait
        .as_secs()
        .saturating_add(u64::from(wait.subsec_nanos() > 0));
    Problem::new(Code::RateLimited).retry_after_secs(u32::try_from(whole).unwrap_or(u32::MAX))
}

/// What stands for a stranger: an IPv4 address, or the network that one customer of a provider has with IPv6. This machine
/// is no stranger: services of the operator, or a proxy, which has to have limits of its own.
#[must_use]
pub fn stranger(address: IpAddr) -> Option<u64> {
    match address.to_canonical() {
        address if address.is_loopback() => None,
        IpAddr::V4(address) => Some(u64::from(address.to_bits())),
        // The 64 bits of the network; no IPv4 address has as many.
        IpAddr::V6(address) => u64::try_from(address.to_bits() >> 64).ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU32;

    use super::*;

    fn rate(count: u32) -> Rate {
        Rate::new(NonZeroU32::new(count).unwrap(), Duration::from_secs(1))
    }

    #[test]
    fn names_have_their_own_bucket_and_their_number_does_not_matter() {
        let buckets = Buckets::new(1_024, rate(1));
        assert_eq!(buckets.take("a", 5), Ok(()));
        assert!(buckets.take("a", 5).is_err());
        assert!(buckets.wait("a", 5).is_some());
        let free = (0..100_u32).filter(|name| buckets.take(name, 5).is_ok());
        assert!(free.count() > 80);
        for name in 0..1_000_000_u32 {
            buckets.take(name, 5).ok();
        }
        assert_eq!(buckets.slots.len(), 1_024);
        assert!(buckets.take("a", 5).is_err());
    }

    #[test]
    fn strangers_are_addresses_or_networks() {
        let of = |text: &str| stranger(text.parse().unwrap());
        assert_eq!(of("127.0.0.1"), None);
        assert_eq!(of("::1"), None);
        assert_eq!(of("::ffff:127.0.0.1"), None);
        assert_eq!(of("::ffff:10.0.0.1"), of("10.0.0.1"));
        assert_ne!(of("10.0.0.1"), of("10.0.0.2"));
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
    }
}
