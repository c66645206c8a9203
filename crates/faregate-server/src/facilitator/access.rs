//! Who may call, how often, and for whom.

use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use faregate_core::rate::{Bucket, Rate};
use faregate_types::x402::FacilitatorRequest;
use faregate_types::{Address, Code, Problem, Timestamp};
use http::HeaderMap;
use subtle::Choice;

use super::answer::Endpoint;
use super::rate::Daily;
use crate::bearer::BearerKey;
use crate::config::{AccessConfig, CallerConfig, Duplicates, Env, SecretError};
use crate::limits::{
    FAILED_SETTLES_MAX, FAILED_SETTLES_PERIOD, OPEN_SETTLES_PER_SECOND, STRANGERS_MAX,
};
use crate::strangers::{Buckets, limited, stranger};

/// The name of callers without a key.
const OPEN: &str = "open";

const SECOND: Duration = Duration::from_secs(1);

/// Who may use the service. Cheap to clone; the clones share their counters.
#[derive(Clone)]
pub struct Access(Arc<Inner>);

struct Inner {
    callers: Vec<Caller>,
    open: Caller,
    /// Settlements by address, when the service is open.
    addresses: Buckets,
    /// Settlements that cost gas for nothing, by payer.
    failures: Buckets,
    epoch: Instant,
}

/// One caller, with what it may.
#[derive(Debug)]
pub(super) struct Caller {
    name: Arc<str>,
    keys: Vec<BearerKey>,
    verify: Option<Limit>,
    settle: Option<Limit>,
    settle_daily: Option<Daily>,
    payees: Vec<Address>,
    pub(super) duplicates: Duplicates,
}

#[derive(Debug)]
struct Limit {
    rate: Rate,
    bucket: Bucket,
}

impl fmt::Debug for Access {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Access")
            .field("callers", &self.0.callers.len())
            .finish_non_exhaustive()
    }
}

impl Default for Access {
    /// Open to everybody, with the default limits.
    fn default() -> Self {
        Self::build(
            Vec::new(),
            Caller::open(Duplicates::default()),
            Rate::new(OPEN_SETTLES_PER_SECOND, SECOND),
        )
    }
}

impl Access {
    /// Fetches the keys.
    ///
    /// # Errors
    /// [`SecretError`] for a key that is not there, too short, too long, or of two callers.
    pub fn new(config: &AccessConfig, env: &Env) -> Result<Self, SecretError> {
        let mut callers = Vec::with_capacity(config.callers.len());
        let mut known: Vec<BearerKey> = Vec::new();
        for caller in &config.callers {
            let caller = Caller::new(caller, env, &mut known)?;
            callers.push(caller);
        }
        let rate = Rate::new(config.open_settle_per_second, SECOND);
        Ok(Self::build(callers, Caller::open(config.duplicates), rate))
    }

    fn build(callers: Vec<Caller>, open: Caller, per_address: Rate) -> Self {
        let failures = Rate::new(FAILED_SETTLES_MAX, FAILED_SETTLES_PERIOD);
        Self(Arc::new(Inner {
            callers,
            open,
            addresses: Buckets::new(STRANGERS_MAX, per_address),
            failures: Buckets::new(STRANGERS_MAX, failures),
            epoch: Instant::now(),
        }))
    }

    /// The name in metrics of those without a key.
    pub(super) fn nobody(&self) -> Arc<str> {
        self.0.open.name()
    }

    /// True when nobody needs a key.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.callers.is_empty()
    }

    /// Who is calling.
    ///
    /// # Errors
    /// The answer to somebody without a key we know.
    pub(super) fn caller(&self, headers: &HeaderMap) -> Result<&Caller, Problem> {
        if self.is_open() {
            return Ok(&self.0.open);
        }
        let key = BearerKey::shown(headers)?;
        // Every key is compared, each in constant time: how long it takes says nothing.
        let found = self.0.callers.iter().fold(None, |found, caller| {
            let none = Choice::from(0);
            let same = caller
                .keys
                .iter()
                .fold(none, |same, own| same | own.is(&key));
            if bool::from(same) {
                Some(caller)
            } else {
                found
            }
        });
        found.ok_or_else(|| Problem::new(Code::Unauthorized).detail("nobody here has this key"))
    }

    /// Counts one call.
    ///
    /// # Errors
    /// The answer to somebody who called too often.
    pub(super) fn count(
        &self,
        caller: &Caller,
        endpoint: Endpoint,
        peer: Option<IpAddr>,
        now: Timestamp,
    ) -> Result<(), Problem> {
        let nanos = self.nanos();
        let limit = match endpoint {
            // Neither costs gas.
            Endpoint::Verify | Endpoint::Tabs => &caller.verify,
            Endpoint::Settle => &caller.settle,
        };
        if let Some(limit) = limit {
            limit.bucket.take(limit.rate, nanos).map_err(limited)?;
        }
        if endpoint == Endpoint::Verify {
            return Ok(());
        }
        if let Some(daily) = &caller.settle_daily {
            daily.take(now.as_secs()).map_err(limited)?;
        }
        match peer.filter(|_| self.is_open()).and_then(stranger) {
            Some(stranger) => self.0.addresses.take(stranger, nanos).map_err(limited),
            None => Ok(()),
        }
    }

    /// Whether this payer's settlements cost too much gas for nothing lately.
    ///
    /// # Errors
    /// The answer in that case.
    pub(super) fn check_payer(&self, payer: Address) -> Result<(), Problem> {
        match self.0.failures.wait(payer, self.nanos()) {
            Some(wait) => {
                Err(limited(wait).detail("too many settlements of this payer failed on the chain"))
            }
            None => Ok(()),
        }
    }

    /// A settlement of this payer was sent and moved nothing.
    pub(super) fn failed(&self, payer: Address) {
        // At the limit already: there is nothing more to take.
        self.0.failures.take(payer, self.nanos()).ok();
    }

    fn nanos(&self) -> u64 {
        u64::try_from(self.0.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Caller {
    fn new(
        config: &CallerConfig,
        env: &Env,
        known: &mut Vec<BearerKey>,
    ) -> Result<Self, SecretError> {
        let mut keys = Vec::with_capacity(config.keys.len());
        for source in &config.keys {
            let key = BearerKey::load(source, env)?;
            if known.contains(&key) {
                return Err(SecretError::Twice { at: source.clone() });
            }
            known.push(key.clone());
            keys.push(key);
        }
        let limit = |count| Limit {
            rate: Rate::new(count, SECOND),
            bucket: Bucket::default(),
        };
        Ok(Self {
            name: (&*config.name).into(),
            keys,
            verify: config.verify_per_second.map(limit),
            settle: config.settle_per_second.map(limit),
            settle_daily: config.settle_per_day.map(Daily::new),
            payees: config.payees.clone(),
            duplicates: config.duplicates,
        })
    }

    fn open(duplicates: Duplicates) -> Self {
        Self {
            name: OPEN.into(),
            keys: Vec::new(),
            verify: None,
            settle: None,
            settle_daily: None,
            payees: Vec::new(),
            duplicates,
        }
    }

    /// The name in logs and metrics.
    pub(super) fn name(&self) -> Arc<str> {
        Arc::clone(&self.name)
    }

    /// Whether this caller may have this settled.
    ///
    /// # Errors
    /// The answer when it may not.
    pub(super) fn check_payee(&self, request: &FacilitatorRequest) -> Result<(), Problem> {
        if self.payees.is_empty() {
            return Ok(());
        }
        match request.exact() {
            Ok(payment) => self.may_act_for(payment.terms.pay_to),
            // What cannot be read is refused by whoever reads it next, with a better reason.
            Err(_) => Ok(()),
        }
    }

    /// Whether this caller may do something for this payee.
    ///
    /// # Errors
    /// The answer when it may not.
    pub(super) fn may_act_for(&self, payee: Address) -> Result<(), Problem> {
        if self.payees.is_empty() || self.payees.contains(&payee) {
            Ok(())
        } else {
            Err(Problem::new(Code::PayeeNotAllowed).status(403))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_shows_a_key() {
        let env = Env::from([("K".to_owned(), "0123456789abcdef".to_owned())]);
        let caller = CallerConfig {
            name: "shop".into(),
            keys: vec![crate::config::SecretSource::Env("K".into())],
            verify_per_second: None,
            settle_per_second: None,
            settle_per_day: None,
            payees: Vec::new(),
            duplicates: Duplicates::Refuse,
        };
        let caller = Caller::new(&caller, &env, &mut Vec::new()).unwrap();
        let shown = format!("{caller:?}");
        assert!(!shown.contains("0123456789abcdef") && shown.contains("hashed"));
    }
}
