//! Which payments somebody was told about: success is said once, unless the copy shows that it is the same call.
//!
//! A seller without books of its own verifies, serves and settles. If every copy of one payment heard success, copies sent
//! at the same time would each be served for one payment. So the first who hears success has it, and copies hear
//! `duplicate_settlement`, except
//!
//! - a copy with the `Idempotency-Key` of the one who heard it: it says itself that it is the same call;
//! - a copy whose key is the id of the payment: it comes from a gate that serves each payment once by its own books;
//! - callers who are configured to hear the recorded result.
//!
//! Nobody has heard it when the connection broke before the answer, when the answer was `settlement_pending`, or when the
//! process ended in between: then the next one who asks hears it. What was heard is kept in memory only, because a copy
//! that comes later than that fails at `/verify`: its authorization is spent.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use faregate_types::{Fingerprint, PaymentId};
use http::HeaderMap;

use crate::limits::{HEARD_FOR, HEARD_MAX};

/// The header that says which calls are the same.
const IDEMPOTENCY_KEY: &str = "idempotency-key";

/// What a call says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Call {
    /// Nothing.
    Unnamed,
    /// Calls with this key are one call.
    Named(Fingerprint),
}

impl Call {
    pub(super) fn of(headers: &HeaderMap) -> Self {
        headers.get(IDEMPOTENCY_KEY).map_or(Self::Unnamed, |key| {
            Self::Named(fingerprint(key.as_bytes()))
        })
    }

    /// True for the key that only the payment itself has.
    fn is_payment(self, id: PaymentId) -> bool {
        self == Self::Named(fingerprint(id.to_string().as_bytes()))
    }
}

/// A key may be in quotes: that is how structured headers write texts.
fn fingerprint(key: &[u8]) -> Fingerprint {
    let key = key.trim_ascii();
    let inner = key
        .strip_prefix(b"\"")
        .and_then(|key| key.strip_suffix(b"\""));
    Fingerprint::of(&[inner.unwrap_or(key)])
}

/// Who heard of which payment. Two generations: the older one goes when the younger one is full or old.
#[derive(Debug)]
pub(super) struct Heard(Mutex<Generations>);

#[derive(Debug)]
struct Generations {
    young: HashMap<PaymentId, Call>,
    old: HashMap<PaymentId, Call>,
    turned: Instant,
    max: usize,
    kept: Duration,
}

impl Default for Heard {
    fn default() -> Self {
        Self::new(HEARD_MAX, HEARD_FOR, Instant::now())
    }
}

impl Heard {
    fn new(max: usize, kept: Duration, now: Instant) -> Self {
        Self(Mutex::new(Generations {
            young: HashMap::new(),
            old: HashMap::new(),
            turned: now,
            max,
            kept,
        }))
    }

    /// True when `call` is the first to hear of the end of this payment. Now it has heard.
    pub(super) fn is_first(&self, id: PaymentId, call: Call, now: Instant) -> bool {
        self.before(id, call, now).is_none()
    }

    /// True when `call` may hear success: nobody has, or it is the same call, or it keeps books by payment.
    pub(super) fn may_hear(&self, id: PaymentId, call: Call, now: Instant) -> bool {
        match self.before(id, call, now) {
            None => true,
            Some(Call::Unnamed) => call.is_payment(id),
            Some(named) => named == call || call.is_payment(id),
        }
    }

    /// Who heard before, or nobody; then `call` has heard.
    fn before(&self, id: PaymentId, call: Call, now: Instant) -> Option<Call> {
        let mut both = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = both.young.get(&id).or_else(|| both.old.get(&id)).copied();
        if found.is_none() {
            both.turn(now);
            both.young.insert(id, call);
        }
        found
    }
}

impl Generations {
    fn turn(&mut self, now: Instant) {
        let age = now.saturating_duration_since(self.turned);
        if self.young.len() < self.max && age < self.kept {
            return;
        }
        self.old = std::mem::take(&mut self.young);
        if age >= self.kept.saturating_mul(2) {
            self.old.clear();
        }
        self.turned = now;
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn id(byte: u8) -> PaymentId {
        PaymentId::from_bytes([byte; 32])
    }

    fn call(key: &str) -> Call {
        let mut headers = HeaderMap::new();
        headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_str(key).unwrap());
        Call::of(&headers)
    }

    #[test]
    fn success_is_said_once_unless_it_is_the_same_call() {
        let (heard, now) = (Heard::default(), Instant::now());
        let own = call(&id(1).to_string());
        // (who asks, whether it may hear), in this order
        let table = [
            (1, Call::Unnamed, true),
            (1, Call::Unnamed, false),
            (1, call("a"), false),
            (1, own, true),
            (2, call("a"), true),
            (2, call("\"a\""), true),
            (2, call("b"), false),
            (2, Call::Unnamed, false),
            // The id of another payment is a key like any other.
            (2, own, false),
            (2, call(&id(2).to_string()), true),
        ];
        for (index, (payment, who, expected)) in table.into_iter().enumerate() {
            assert_eq!(heard.may_hear(id(payment), who, now), expected, "{index}");
        }
    }

    #[test]
    fn what_was_heard_is_bounded_in_number_and_time() {
        let now = Instant::now();
        let heard = Heard::new(2, Duration::from_secs(60), now);
        for byte in 1..=4 {
            assert!(heard.is_first(id(byte), Call::Unnamed, now));
        }
        // Two are young, two are old, all four are known.
        for byte in 1..=4 {
            assert!(!heard.is_first(id(byte), Call::Unnamed, now), "{byte}");
        }
        assert!(heard.is_first(id(5), Call::Unnamed, now));
        assert!(!heard.is_first(id(3), Call::Unnamed, now));
        assert!(heard.is_first(id(1), Call::Unnamed, now));
        let late = now + Duration::from_secs(121);
        assert!(heard.is_first(id(9), Call::Unnamed, late));
        assert!(heard.is_first(id(3), Call::Unnamed, late));
    }
}
