//! Tokens that were paid for, to be shown again: many buy more than one request.
//!
//! A token belongs to the origin, method and path it was bought for, and is shown nowhere else. When a server does not take
//! it any more it is forgotten, and the request is asked for anew.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use faregate_types::{PaymentId, Timestamp};
use reqwest::Request;
use reqwest::header::{AUTHORIZATION, HeaderValue};

use crate::limits::{TOKEN_SECS, TOKENS_MAX};
use crate::origin;

/// What a token was bought for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    origin: Box<str>,
    method: Box<str>,
    path: Box<str>,
}

struct Held {
    payment: PaymentId,
    header: HeaderValue,
    /// Whether the answer it was bought for is safe; until then the payment itself is resumed.
    is_settled: bool,
    until: Timestamp,
}

/// The tokens of one client.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<BTreeMap<Place, Held>>);

impl Tokens {
    /// The token for a request, and the payment that bought it. Requests with a credential of their own get none.
    pub(crate) fn find(
        &self,
        request: &Request,
        now: Timestamp,
    ) -> Option<(PaymentId, HeaderValue)> {
        if request.headers().contains_key(AUTHORIZATION) {
            return None;
        }
        let place = place(request)?;
        let mut tokens = self.lock();
        if tokens.get(&place)?.until <= now {
            tokens.remove(&place);
            return None;
        }
        let held = tokens.get(&place).filter(|held| held.is_settled)?;
        Some((held.payment, held.header.clone()))
    }

    /// Keeps a token for requests like this one. When there are too many, those that end first make room.
    pub(crate) fn put(
        &self,
        request: &Request,
        payment: PaymentId,
        header: HeaderValue,
        is_settled: bool,
        now: Timestamp,
    ) {
        let Some((place, until)) = place(request).zip(now.checked_add_secs(TOKEN_SECS)) else {
            return;
        };
        let mut tokens = self.lock();
        if tokens.len() >= TOKENS_MAX && !tokens.contains_key(&place) {
            let first = tokens.iter().min_by_key(|(_, held)| held.until);
            if let Some(first) = first.map(|(place, _)| place.clone()) {
                tokens.remove(&first);
            }
        }
        let held = Held {
            payment,
            header,
            is_settled,
            until,
        };
        tokens.insert(place, held);
    }

    /// The answer that this payment was for is safe.
    pub(crate) fn settled(&self, payment: PaymentId) {
        let mut tokens = self.lock();
        let held = tokens.values_mut().find(|held| held.payment == payment);
        if let Some(held) = held {
            held.is_settled = true;
        }
    }

    /// The server does not take it any more.
    pub(crate) fn forget(&self, payment: PaymentId) {
        self.lock().retain(|_, held| held.payment != payment);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Place, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn place(request: &Request) -> Option<Place> {
    Some(Place {
        origin: origin::name(request.url()).ok()?,
        method: request.method().as_str().into(),
        path: request.url().path().into(),
    })
}

#[cfg(test)]
mod tests {
    use reqwest::Method;

    use super::*;

    fn request(method: Method, url: &str) -> Request {
        Request::new(method, url.parse().unwrap())
    }

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn id(number: u8) -> PaymentId {
        PaymentId::from_bytes([number; 32])
    }

    #[test]
    fn a_token_is_shown_only_where_it_was_bought() {
        let tokens = Tokens::default();
        let bought = request(Method::GET, "https://a.example/v1/joke?q=1");
        let header = HeaderValue::from_static("L402 x:y");
        tokens.put(&bought, id(1), header, true, at(0));
        let table = [
            (Method::GET, "https://a.example/v1/joke", true),
            (Method::GET, "https://a.example:443/v1/joke?q=2", true),
            (Method::GET, "https://a.example:444/v1/joke", false),
            (Method::GET, "http://a.example/v1/joke", false),
            (Method::GET, "https://b.example/v1/joke", false),
            (Method::GET, "https://a.example/v1/joke/", false),
            (Method::GET, "https://a.example/v1", false),
            (Method::POST, "https://a.example/v1/joke", false),
            (Method::HEAD, "https://a.example/v1/joke", false),
        ];
        for (method, url, expected) in table {
            let found = tokens.find(&request(method.clone(), url), at(0));
            assert_eq!(found.is_some(), expected, "{method} {url}");
        }
        let mut own = bought.try_clone().unwrap();
        let value = HeaderValue::from_static("Bearer mine");
        own.headers_mut().insert(AUTHORIZATION, value);
        assert!(tokens.find(&own, at(0)).is_none());
        tokens.forget(id(2));
        assert!(tokens.find(&bought, at(0)).is_some());
        tokens.forget(id(1));
        assert!(tokens.find(&bought, at(0)).is_none());
    }

    #[test]
    fn tokens_end_and_make_room() {
        let tokens = Tokens::default();
        let header = || HeaderValue::from_static("L402 x:y");
        let one = request(Method::GET, "https://a.example/");
        tokens.put(&one, id(1), header(), true, at(10));
        assert!(tokens.find(&one, at(9 + TOKEN_SECS)).is_some());
        assert!(tokens.find(&one, at(10 + TOKEN_SECS)).is_none());
        assert!(tokens.find(&one, at(10)).is_none(), "it is forgotten");
        tokens.put(&one, id(1), header(), false, at(0));
        assert!(tokens.find(&one, at(0)).is_none(), "not settled");
        tokens.settled(id(1));
        assert!(tokens.find(&one, at(0)).is_some());
        for number in 0..TOKENS_MAX {
            let url = format!("https://a.example/{number}");
            tokens.put(&request(Method::GET, &url), id(2), header(), true, at(1));
            assert!(tokens.lock().len() <= TOKENS_MAX);
        }
        assert!(tokens.find(&one, at(1)).is_none(), "the oldest made room");
    }
}
