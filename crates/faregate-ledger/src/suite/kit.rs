//! What the cases have in common: a crowd, made-up payments and spends, and repeatable chance.

use std::sync::{Arc, Mutex, PoisonError};

use alloy_primitives::{Address, U256};
use faregate_types::{
    Amount, AssetId, ChainId, Fingerprint, IdempotencyKey, PaymentId, RailName, Timestamp,
};
use futures_util::future::{BoxFuture, join_all};

use crate::{AccountId, Caps, Claim, Idempotency, Spend, Transfer, Worth};

/// Starts a future on the caller's runtime, so that many run at the same time; the result is done when it is.
pub type Spawn = fn(BoxFuture<'static, ()>) -> BoxFuture<'static, ()>;

/// What an expression that makes an engine may give: an engine and what must live as long as it, or perhaps one.
pub trait Made {
    /// The engine.
    type Store;
    /// What must live as long.
    type Guard;

    /// Both, unless there is none on this machine.
    fn made(self) -> Option<(Self::Store, Self::Guard)>;
}

impl<S, G> Made for (S, G) {
    type Store = S;
    type Guard = G;

    fn made(self) -> Option<(S, G)> {
        Some(self)
    }
}

impl<S, G> Made for Option<(S, G)> {
    type Store = S;
    type Guard = G;

    fn made(self) -> Self {
        self
    }
}

/// An engine to be tested.
pub struct Bench<S> {
    /// The engine.
    pub store: Arc<S>,
    spawn: Spawn,
}

impl<S> std::fmt::Debug for Bench<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Bench")
    }
}

impl<S: Send + Sync + 'static> Bench<S> {
    /// An engine with nothing in it.
    #[must_use]
    pub fn new(store: S, spawn: Spawn) -> Self {
        Self {
            store: Arc::new(store),
            spawn,
        }
    }

    /// Runs `work` once per item, all at the same time; the results in any order.
    pub async fn crowd<I, T, W>(&self, items: impl IntoIterator<Item = I>, work: W) -> Vec<T>
    where
        I: Send + 'static,
        T: Send + 'static,
        W: for<'a> Fn(&'a S, I) -> BoxFuture<'a, T> + Send + Sync + Copy + 'static,
    {
        let results = Arc::new(Mutex::new(Vec::new()));
        join_all(items.into_iter().map(|item| {
            let (store, results) = (Arc::clone(&self.store), Arc::clone(&results));
            (self.spawn)(Box::pin(async move {
                let result = work(&store, item).await;
                results
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(result);
            }))
        }))
        .await;
        std::mem::take(&mut *results.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Repeatable chance (SplitMix64): the same seed gives the same case on every machine.
#[derive(Debug)]
pub struct Chance(u64);

impl Chance {
    /// The chance of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number in `0..below`.
    pub fn below(&mut self, below: u64) -> u64 {
        self.next() % below
    }
}

/// Tokens of the same chain.
pub(super) fn asset(number: u64) -> AssetId {
    AssetId::erc20(ChainId::evm(84_532), address(0xa55e_0000 + number))
}

fn address(number: u64) -> Address {
    Address::left_padding_from(&number.to_be_bytes())
}

/// A payment id.
pub(super) fn id(number: u64) -> PaymentId {
    PaymentId::from_bytes(U256::from(number).to_be_bytes())
}

/// Some moment.
pub(super) fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(1_740_000_000 + secs)
}

/// The account of one of the payers.
pub(super) fn payer(number: u64) -> AccountId {
    AccountId::payer(address(0xaaaa_0000 + number))
}

/// The account of one of the payees.
pub(super) fn payee(number: u64) -> AccountId {
    AccountId::payee(address(0xbbbb_0000 + number))
}

/// A claim of 1000 units by payer 1 for payee 1, with everything derived from the number.
pub(super) fn claim(number: u64) -> Claim {
    Claim {
        id: id(number),
        rail: RailName::X402,
        fingerprint: Fingerprint::of(&[b"first request"]),
        transfer: Transfer {
            debit: payer(1),
            credit: payee(1),
            amount: Amount::new(U256::from(1000), asset(1)),
        },
        route: "GET /joke".into(),
        evidence: number.to_le_bytes().to_vec(),
        at: at(0),
        exposure_max: None,
        funds: None,
        idempotency: None,
    }
}

/// The same claim, served before it is paid as long as no more than `max` of the payer is.
pub(super) fn on_credit(mut claim: Claim, max: u64) -> Claim {
    claim.exposure_max = Some(U256::from(max));
    claim
}

/// The same claim under a name of the payer's, for one of several requests.
pub(super) fn named(mut claim: Claim, key: &str, request: u64) -> Claim {
    claim.idempotency = Some(Idempotency {
        key: IdempotencyKey::from_header(key.as_bytes()).unwrap(),
        request: Fingerprint::of(&[b"bought", &request.to_be_bytes()]),
    });
    claim
}

/// The same claim with another amount.
pub(super) fn claim_of(number: u64, amount: U256) -> Claim {
    let mut claim = claim(number);
    claim.transfer.amount = Amount::new(amount, asset(1));
    claim
}

/// The same credential for another request.
pub(super) fn other_request(mut claim: Claim, request: u64) -> Claim {
    claim.fingerprint = Fingerprint::of(&[b"other request", &request.to_be_bytes()]);
    claim
}

/// Units of 10⁻¹⁸ dollars.
pub(super) fn worth(units: u64) -> Worth {
    Worth::new(U256::from(units))
}

/// A spend at `https://seller.example` for payee 1.
pub(super) fn spend(number: u64, units: u64, secs: u64) -> Spend {
    Spend {
        id: id(number),
        origin: "https://seller.example".into(),
        resource: "/joke".into(),
        path: "/joke".into(),
        payee: payee(1).as_str().into(),
        payer: payer(1).as_str().into(),
        amount: Amount::new(U256::from(units), asset(1)),
        worth: worth(units),
        at: at(secs),
        valid_until: at(secs + 60),
        credential: number.to_le_bytes().to_vec(),
        request: vec![],
    }
}

/// No cap that matters.
pub(super) fn no_caps() -> Caps {
    Caps {
        per_payment: Worth::new(U256::MAX),
        total: None,
        per_host: None,
        per_period: None,
    }
}
