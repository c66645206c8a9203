//! How often an address and a wallet may call.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use faregate_core::rate::Rate;
use faregate_types::Address;

use super::refusal::Refusal;
use crate::limits;
use crate::strangers::{Buckets, stranger};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

/// What may be different from one service to the next. This machine is never limited by its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that configuration code builds by literal"
)]
pub struct RateSettings {
    /// Calls from one address in a second.
    pub calls_per_second: NonZeroU32,
    /// Calls by one wallet in a second; facilitators and administrators are not counted.
    pub wallet_calls_per_second: NonZeroU32,
    /// Calls of `/auth/…` from one address in a minute.
    pub sign_ins_per_minute: NonZeroU32,
}

impl Default for RateSettings {
    fn default() -> Self {
        Self {
            calls_per_second: limits::CREDIT_CALLS_PER_SECOND,
            wallet_calls_per_second: limits::CREDIT_WALLET_CALLS_PER_SECOND,
            sign_ins_per_minute: limits::CREDIT_SIGN_INS_PER_MINUTE,
        }
    }
}

/// The counters.
#[derive(Debug)]
pub(super) struct Rates {
    calls: Buckets,
    sign_ins: Buckets,
    failures: Buckets,
    wallet_calls: Buckets,
    wallet_sign_ins: Buckets,
    epoch: Instant,
}

impl Rates {
    pub(super) fn new(settings: RateSettings) -> Self {
        let buckets =
            |count, period| Buckets::new(limits::CREDIT_COUNTERS_MAX, Rate::new(count, period));
        Self {
            calls: buckets(settings.calls_per_second, SECOND),
            sign_ins: buckets(settings.sign_ins_per_minute, MINUTE),
            failures: buckets(limits::CREDIT_FAILURES_PER_MINUTE, MINUTE),
            wallet_calls: buckets(settings.wallet_calls_per_second, SECOND),
            wallet_sign_ins: buckets(limits::CREDIT_WALLET_SIGN_INS_PER_MINUTE, MINUTE),
            epoch: Instant::now(),
        }
    }

    /// Counts a call from an address; `auth` for signing in.
    pub(super) fn call(&self, peer: Option<IpAddr>, auth: bool) -> Result<(), Refusal> {
        let Some(stranger) = peer.and_then(stranger) else {
            return Ok(());
        };
        let now = self.nanos();
        if let Some(wait) = self.failures.wait(stranger, now) {
            return Err(Refusal::limited(wait));
        }
        let buckets = if auth { &self.sign_ins } else { &self.calls };
        buckets.take(stranger, now).map_err(Refusal::limited)
    }

    /// Whoever is there showed something that is no token and no key.
    pub(super) fn failed(&self, peer: Option<IpAddr>) {
        if let Some(stranger) = peer.and_then(stranger) {
            // At the limit already: there is nothing more to take.
            self.failures.take(stranger, self.nanos()).ok();
        }
    }

    /// Counts a call of a wallet that has signed in.
    pub(super) fn wallet(&self, wallet: Address) -> Result<(), Refusal> {
        let taken = self.wallet_calls.take(wallet, self.nanos());
        taken.map_err(Refusal::limited)
    }

    /// Counts a wallet that signs in. Only once it has shown that it is this wallet, so that nobody uses up another's.
    pub(super) fn sign_in(&self, wallet: Address) -> Result<(), Refusal> {
        let taken = self.wallet_sign_ins.take(wallet, self.nanos());
        taken.map_err(Refusal::limited)
    }

    fn nanos(&self) -> u64 {
        u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}
