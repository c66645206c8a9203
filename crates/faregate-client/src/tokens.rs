//! Tokens that were paid for, to be shown again: many buy more than one request.
//!
//! A token belongs to the origin and method it was bought for, and to the path, or to the paths that it says it opens. It is
//! shown nowhere else. What may be shown again is also kept in the wallet's books, so that another process finds it. When a
//! server does not take a token any more it is forgotten, and the request is asked for anew.

mod words;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use faregate_ledger::{KeptToken, SpendEnd};
use faregate_types::{PaymentId, Timestamp};
use reqwest::Request;
use reqwest::header::{AUTHORIZATION, HeaderValue};

use crate::client::Inner;
use crate::limits::{TOKEN_SECS, TOKEN_SECS_MAX, TOKENS_MAX};
use crate::origin;
use words::{Words, covers};

/// Where a token may be shown.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    origin: Box<str>,
    method: Box<str>,
    path: Box<str>,
}

impl Place {
    /// Where a request goes. `None` for requests with a credential of their own: they get no token.
    pub(crate) fn of(request: &Request) -> Option<Self> {
        if request.headers().contains_key(AUTHORIZATION) {
            return None;
        }
        Self::whatever_it_shows(request)
    }

    /// Where a request goes, also one with a credential of its own.
    pub(crate) fn whatever_it_shows(request: &Request) -> Option<Self> {
        Some(Self {
            origin: origin::name(request.url()).ok()?,
            method: request.method().as_str().into(),
            path: request.url().path().into(),
        })
    }

    /// A token that may be shown here and nowhere else, as often as one likes while it lasts.
    pub(crate) fn with(
        self,
        payment: PaymentId,
        (at, until): (Timestamp, Timestamp),
        header: &HeaderValue,
    ) -> (Self, KeptToken) {
        let token = KeptToken {
            payment,
            origin: self.origin.clone(),
            method: self.method.clone(),
            path: self.path.clone(),
            at,
            until,
            uses_left: None,
            credential: header.as_bytes().to_vec(),
        };
        (self, token)
    }
}

/// A token that may be shown, and the payment that bought it.
pub(crate) struct Shown {
    pub(crate) payment: PaymentId,
    pub(crate) header: HeaderValue,
}

impl Shown {
    /// Whether a server may say 401 to it and mean that it does not take it. Servers of permits say 402 to every token that
    /// they do not take, so that a 401 is about something else, and buying another token would not help.
    pub(crate) fn is_of_l402(&self) -> bool {
        let scheme = self.header.as_bytes().split(|byte| *byte == b' ').next();
        scheme.is_some_and(|scheme| {
            scheme.eq_ignore_ascii_case(b"l402") || scheme.eq_ignore_ascii_case(b"lsat")
        })
    }
}

struct Held {
    token: KeptToken,
    header: HeaderValue,
    /// Whether the answer it was bought for is safe; until then the payment itself is resumed.
    is_settled: bool,
}

/// The tokens of one client.
#[derive(Default)]
pub(crate) struct Tokens(Mutex<State>);

#[derive(Default)]
struct State {
    held: BTreeMap<PaymentId, Held>,
    /// The token that is shown at a place.
    places: BTreeMap<Place, PaymentId>,
    /// Places that the books were asked about.
    asked: BTreeSet<Place>,
    /// Tokens of several paths that are not taken at one of them.
    barred: BTreeSet<(Place, PaymentId)>,
}

impl Tokens {
    /// The token for a place.
    pub(crate) fn find(&self, place: &Place, now: Timestamp) -> Option<Shown> {
        let mut state = self.lock();
        let payment = *state.places.get(place)?;
        let held = state.held.get(&payment)?;
        if held.token.until <= now {
            state.remove(payment);
            return None;
        }
        held.is_settled.then(|| Shown {
            payment,
            header: held.header.clone(),
        })
    }

    /// Whether the books were never asked about this place.
    pub(crate) fn is_new(&self, place: &Place) -> bool {
        !self.lock().asked.contains(place)
    }

    /// Takes the first token of the books that fits a place.
    pub(crate) fn learn(&self, place: &Place, told: Vec<KeptToken>) -> Option<Shown> {
        let mut state = self.lock();
        if state.asked.len() >= TOKENS_MAX {
            state.asked.clear();
        }
        state.asked.insert(place.clone());
        let fits = |token: &KeptToken| {
            covers(&token.path, &place.path)
                && !state.barred.contains(&(place.clone(), token.payment))
        };
        let token = told.into_iter().find(fits)?;
        let payment = token.payment;
        let header = header(&token.credential)?;
        let shown = header.clone();
        state.put(place, token, header, true);
        Some(Shown {
            payment,
            header: shown,
        })
    }

    /// Keeps a token for this place.
    pub(crate) fn put(&self, place: &Place, token: KeptToken, is_settled: bool) {
        if let Some(header) = header(&token.credential) {
            self.lock().put(place, token, header, is_settled);
        }
    }

    /// The answer that this payment was for is safe: what is to be kept in the books.
    pub(crate) fn settled(&self, payment: PaymentId) -> Option<KeptToken> {
        let mut state = self.lock();
        let held = state.held.get_mut(&payment)?;
        held.is_settled = true;
        Some(held.token.clone())
    }

    /// One more request was made with it. Whether the books count how many are left.
    pub(crate) fn used(&self, payment: PaymentId) -> bool {
        let mut state = self.lock();
        let Some(held) = state.held.get_mut(&payment) else {
            return false;
        };
        let is_counted = held.token.uses_left.is_some();
        match held.token.clone().used() {
            Some(token) => held.token = token,
            None => state.remove(payment),
        }
        is_counted
    }

    /// The server does not take it here. Whether it is good for nothing any more.
    pub(crate) fn refused(&self, place: &Place, payment: PaymentId) -> bool {
        let mut state = self.lock();
        let held = state.held.get(&payment);
        let elsewhere = held.is_some_and(|held| held.token.path != place.path);
        if elsewhere {
            if state.barred.len() >= TOKENS_MAX {
                state.barred.clear();
            }
            state.barred.insert((place.clone(), payment));
            state.places.remove(place);
        } else {
            state.remove(payment);
        }
        !elsewhere
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// When there are too many, those that end first make room.
    fn put(&mut self, place: &Place, token: KeptToken, header: HeaderValue, is_settled: bool) {
        if self.held.len() >= TOKENS_MAX && !self.held.contains_key(&token.payment) {
            let first = self.held.values().min_by_key(|held| held.token.until);
            if let Some(first) = first.map(|held| held.token.payment) {
                self.remove(first);
            }
        }
        if self.places.len() >= TOKENS_MAX && !self.places.contains_key(place) {
            // The books know them.
            self.places.clear();
            self.asked.clear();
        }
        self.places.insert(place.clone(), token.payment);
        let held = Held {
            token,
            header,
            is_settled,
        };
        self.held.insert(held.token.payment, held);
    }

    fn remove(&mut self, payment: PaymentId) {
        self.held.remove(&payment);
        self.places.retain(|_, held| *held != payment);
    }
}

/// What is kept of a token that was bought for a request; `None` when it buys nothing more.
pub(crate) fn kept(
    request: &Request,
    (payment, token): (PaymentId, &str),
    header: &HeaderValue,
    now: Timestamp,
) -> Option<(Place, KeptToken)> {
    let place = Place::of(request)?;
    let words = Words::of(token);
    let uses_left = words.uses.map(|uses| uses.saturating_sub(1));
    if uses_left == Some(0) {
        return None;
    }
    let usual = now.checked_add_secs(TOKEN_SECS)?;
    let longest = now.checked_add_secs(TOKEN_SECS_MAX)?;
    let path = words.path.filter(|class| covers(class, &place.path));
    let token = KeptToken {
        payment,
        origin: place.origin.clone(),
        method: place.method.clone(),
        path: path.unwrap_or_else(|| place.path.clone()),
        at: now,
        until: words.until.map_or(usual, |until| until.min(longest)),
        uses_left,
        credential: header.as_bytes().to_vec(),
    };
    Some((place, token))
}

/// The value of `Authorization`, marked so that it is not printed.
pub(crate) fn header(credential: &[u8]) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_bytes(credential).ok()?;
    value.set_sensitive(true);
    Some(value)
}

impl Inner {
    /// A token for this place from the books.
    pub(crate) async fn kept_token(&self, place: &Place) -> Option<Shown> {
        let (origin, method) = (place.origin.clone(), place.method.clone());
        match self.books.store.tokens_at(origin, method, self.now()).await {
            Ok(told) => self.tokens.learn(place, told),
            Err(error) => {
                tracing::warn!(%error, "the wallet's books do not tell their tokens");
                None
            }
        }
    }

    /// Keeps a token in the books. If they fail this process still has it.
    pub(crate) async fn keep_token(&self, token: KeptToken) {
        let payment = token.payment;
        if let Err(error) = self.books.store.keep_token(token).await {
            tracing::warn!(%payment, %error, "a token is not in the wallet's books");
        }
    }

    /// Counts a request that was made with a token.
    pub(crate) async fn token_used(&self, payment: PaymentId) {
        let store = &self.books.store;
        if !self.tokens.used(payment) || store.use_token_later(payment) {
            return;
        }
        if let Err(error) = store.use_token(payment).await {
            tracing::warn!(%payment, %error, "the use of a token is not in the wallet's books");
        }
    }

    /// The server takes a token whose payment was still open: then the payment is not.
    pub(crate) async fn close_shown(&self, payment: PaymentId) {
        if self.load_open().await.is_err() {
            return;
        }
        if let Some(flight) = self.open.take_by_id(payment) {
            flight.decided();
            let end = SpendEnd::Paid { transaction: None };
            self.books.finish_later(payment, end, self.now()).await;
        }
    }

    /// Forgets a token that the server does not take.
    pub(crate) async fn token_refused_at(&self, place: &Place, payment: PaymentId) {
        if !self.tokens.refused(place, payment) {
            return;
        }
        if let Err(error) = self.books.store.forget_token(payment).await {
            tracing::warn!(%payment, %error, "a token that is not taken stays in the wallet's books");
        }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::Method;

    use super::*;

    fn request(method: Method, url: &str) -> Request {
        Request::new(method, url.parse().unwrap())
    }

    fn place(url: &str) -> Place {
        Place::of(&request(Method::GET, url)).unwrap()
    }

    fn at(secs: u64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn id(number: u64) -> PaymentId {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        PaymentId::from_bytes(bytes)
    }

    fn token(number: u64, url: &str, now: u64) -> (Place, KeptToken) {
        let header = HeaderValue::from_static("L402 x:y");
        let bought = request(Method::GET, url);
        kept(&bought, (id(number), "x"), &header, at(now)).unwrap()
    }

    #[test]
    fn a_token_is_shown_only_where_it_was_bought() {
        let tokens = Tokens::default();
        let (bought, held) = token(1, "https://a.example/v1/joke?q=1", 0);
        tokens.put(&bought, held, true);
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
            let place = Place::of(&request(method.clone(), url)).unwrap();
            let found = tokens.find(&place, at(0));
            assert_eq!(found.is_some(), expected, "{method} {url}");
        }
        let mut own = request(Method::GET, "https://a.example/v1/joke");
        let value = HeaderValue::from_static("Bearer mine");
        own.headers_mut().insert(AUTHORIZATION, value);
        assert!(Place::of(&own).is_none());
        assert!(tokens.refused(&bought, id(2)), "nobody knows it");
        assert!(tokens.find(&bought, at(0)).is_some());
        assert!(tokens.refused(&bought, id(1)));
        assert!(tokens.find(&bought, at(0)).is_none());
    }

    #[test]
    fn tokens_end_and_make_room() {
        let tokens = Tokens::default();
        let (one, held) = token(1, "https://a.example/", 10);
        tokens.put(&one, held.clone(), true);
        assert!(tokens.find(&one, at(9 + TOKEN_SECS)).is_some());
        assert!(tokens.find(&one, at(10 + TOKEN_SECS)).is_none());
        assert!(tokens.find(&one, at(10)).is_none(), "it is forgotten");
        tokens.put(&one, held.clone(), false);
        assert!(tokens.find(&one, at(0)).is_none(), "not settled");
        assert_eq!(tokens.settled(id(1)), Some(held));
        assert!(tokens.find(&one, at(0)).is_some());
        for number in 0..u64::try_from(TOKENS_MAX).unwrap() {
            let (place, held) = token(2 + number, &format!("https://a.example/{number}"), 11);
            tokens.put(&place, held, true);
            let state = tokens.lock();
            assert!(state.held.len() <= TOKENS_MAX && state.places.len() <= TOKENS_MAX);
        }
        assert!(tokens.find(&one, at(1)).is_none(), "the oldest made room");
    }

    #[test]
    fn a_token_of_several_paths_is_tried_once_at_each() {
        let tokens = Tokens::default();
        let (first, held) = token(1, "https://a.example/a/1", 0);
        let class = KeptToken {
            path: "/a/*".into(),
            uses_left: Some(2),
            ..held
        };
        tokens.put(&first, class.clone(), true);
        let second = place("https://a.example/a/2");
        assert!(tokens.is_new(&second));
        assert!(tokens.learn(&second, vec![class.clone()]).is_some());
        assert!(!tokens.is_new(&second) && tokens.find(&second, at(0)).is_some());
        // Not here; elsewhere it is as good as before.
        assert!(!tokens.refused(&second, id(1)));
        assert!(tokens.find(&second, at(0)).is_none());
        assert!(tokens.learn(&second, vec![class.clone()]).is_none());
        assert!(tokens.find(&first, at(0)).is_some());
        let strange = place("https://a.example/b");
        assert!(tokens.learn(&strange, vec![class]).is_none());
        assert!(tokens.used(id(1)));
        assert!(tokens.find(&first, at(0)).is_some());
        assert!(tokens.used(id(1)));
        assert!(tokens.find(&first, at(0)).is_none(), "used up");
        assert!(!tokens.used(id(1)));
    }
}
