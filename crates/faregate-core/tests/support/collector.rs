//! A collector of permits that does as it is told, and permits. Used by the tests of the desk too.

#![allow(clippy::unwrap_used, reason = "tests may")]

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use faregate_core::PermitAsk;
use faregate_core::TokenPolicy;
use faregate_core::port::{
    Away, Care, Collector, Finality, PermitOrder, PermitVerdict, SettleOutcome, Settlement, Trail,
    Unknown,
};
use faregate_types::permit::verify::{Expected, check};
use faregate_types::permit::{ChainState, Permit, Terms};
use faregate_types::{
    Address, Amount, AssetRegistry, Authorization, B256, ChainId, Code, PaymentId, Refusal,
    Signature65, Timestamp, U256, eip2612,
};
use futures_util::future::BoxFuture;
use tokio::sync::Semaphore;

pub const NOW: u64 = 1_800_000_000;
pub const OWNER: Address = Address::repeat_byte(0x11);
pub const TREASURY: Address = Address::repeat_byte(0x22);
pub const WALLET: Address = Address::repeat_byte(0x33);
pub const TRANSACTION: &str = "0x4444444444444444444444444444444444444444444444444444444444444444";
pub const PRICE: u64 = 1_000;
/// How long tokens work.
pub const TOKEN_SECS: u64 = 3_600;

/// A time that tests move.
pub type Time = Arc<AtomicU64>;

/// What the payer wrote, as far as the collector can tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signed {
    /// By the payer.
    Well,
    /// By the payer, another time.
    Again,
    /// By somebody else.
    Forged,
}

/// How a settlement ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Settled,
    Failed(Code),
    /// Sent, and nobody knows.
    Sent,
    /// Sent, and reverted so far.
    Reverted,
    /// Not sent, and nobody answers.
    Away,
    Panic,
}

/// The script and what was asked of it.
pub struct Script {
    /// What the payers hold.
    pub balance: Mutex<U256>,
    /// Nobody can be asked.
    pub is_away: AtomicBool,
    /// Verification breaks down.
    pub panics: AtomicBool,
    /// How the next settlements end; settled when there is nothing.
    pub settle: Mutex<VecDeque<End>>,
    pub resolve: Mutex<VecDeque<End>>,
    pub confirm: Mutex<VecDeque<Finality>>,
    /// Settlements wait for one of these.
    pub gate: Semaphore,
    pub cares: Mutex<Vec<Care>>,
    pub settled: Mutex<Vec<PermitOrder>>,
    pub resolved: AtomicU64,
    spent: Mutex<BTreeSet<PaymentId>>,
    time: Time,
}

impl Script {
    pub fn new(time: &Time) -> Arc<Self> {
        Arc::new(Self {
            balance: Mutex::new(U256::from(1_000_000)),
            is_away: AtomicBool::new(false),
            panics: AtomicBool::new(false),
            settle: Mutex::default(),
            resolve: Mutex::default(),
            confirm: Mutex::default(),
            gate: Semaphore::new(Semaphore::MAX_PERMITS),
            cares: Mutex::default(),
            settled: Mutex::default(),
            resolved: AtomicU64::new(0),
            spent: Mutex::default(),
            time: Arc::clone(time),
        })
    }

    pub fn then(&self, end: End) {
        self.settle.lock().unwrap().push_back(end);
    }

    pub fn holds(&self, balance: u64) {
        *self.balance.lock().unwrap() = U256::from(balance);
    }

    /// How often something was to be settled.
    pub fn settles(&self) -> usize {
        self.settled.lock().unwrap().len()
    }

    pub fn verifies(&self) -> usize {
        self.cares.lock().unwrap().len()
    }

    /// Settlements wait from now on, until there is something in `gate`.
    pub fn hold(&self) {
        self.gate.forget_permits(Semaphore::MAX_PERMITS);
    }

    /// They wait no more.
    pub fn go(&self) {
        self.gate.add_permits(10_000);
    }

    fn end(&self, order: &PermitOrder, end: End) -> SettleOutcome {
        match end {
            End::Settled => {
                let mut spent = self.spent.lock().unwrap();
                spent.insert(order.permit.payment_id());
                SettleOutcome::Settled(Settlement {
                    transaction: Some(TRANSACTION.into()),
                    payer: Some(order.permit.terms.payer()),
                })
            }
            End::Failed(code) => SettleOutcome::Failed(Refusal::new(code)),
            End::Sent => SettleOutcome::Unknown(Unknown {
                code: Code::SettlementPending,
                transaction: Some(TRANSACTION.into()),
            }),
            End::Reverted => SettleOutcome::Unknown(Unknown {
                code: Code::SettlementReverted,
                transaction: Some(TRANSACTION.into()),
            }),
            End::Away => SettleOutcome::Unknown(Unknown {
                code: Code::ChainUnavailable,
                transaction: None,
            }),
            #[allow(clippy::panic, reason = "that is what it is for")]
            End::Panic => panic!("the script says so"),
        }
    }

    fn verdict(&self, order: &PermitOrder) -> PermitVerdict {
        let expected = Expected {
            prices: std::slice::from_ref(&order.price),
            now: Timestamp::from_secs(self.time.load(Ordering::SeqCst)),
            margin_secs: 0,
        };
        let payer = order.permit.terms.payer();
        let recover = |_, signature: &Signature65| {
            (*signature != signature_of(Signed::Forged)).then_some(payer)
        };
        let funds = *self.balance.lock().unwrap();
        let nonce = match order.permit.terms {
            Terms::Eip2612 { permit, .. } => permit.nonce,
            _ => U256::ZERO,
        };
        let id = order.permit.payment_id();
        let state = ChainState {
            balance: funds,
            allowance: U256::MAX,
            next_nonce: nonce,
            is_nonce_taken: self.spent.lock().unwrap().contains(&id),
            ..ChainState::default()
        };
        match check(&order.permit, &expected, recover).and_then(|checked| checked.cover(&state)) {
            Ok(_) => PermitVerdict::Valid { funds },
            Err(refused) => PermitVerdict::Refused(refused),
        }
    }
}

impl Collector for Script {
    fn payee(&self, chain: ChainId, _treasury: Address) -> Option<Address> {
        (chain == ChainId::BASE_SEPOLIA).then_some(WALLET)
    }

    fn verify<'a>(
        &'a self,
        order: &'a PermitOrder,
        care: Care,
    ) -> BoxFuture<'a, Result<PermitVerdict, Away>> {
        Box::pin(async move {
            self.cares.lock().unwrap().push(care);
            assert!(!self.panics.load(Ordering::SeqCst), "the script says so");
            tokio::task::yield_now().await;
            if self.is_away.load(Ordering::SeqCst) {
                let code = Code::ChainUnavailable;
                return Err(Away { code });
            }
            Ok(self.verdict(order))
        })
    }

    fn settle<'a>(
        &'a self,
        order: &'a PermitOrder,
        trail: &'a dyn Trail,
    ) -> BoxFuture<'a, SettleOutcome> {
        Box::pin(async move {
            self.settled.lock().unwrap().push(order.clone());
            self.gate.acquire().await.unwrap().forget();
            let end = self.settle.lock().unwrap().pop_front();
            let end = end.unwrap_or(End::Settled);
            if end != End::Away && trail.broadcast(TRANSACTION).await.is_err() {
                return self.end(order, End::Away);
            }
            self.end(order, end)
        })
    }

    fn resolve<'a>(
        &'a self,
        order: &'a PermitOrder,
        _transaction: Option<&'a str>,
    ) -> BoxFuture<'a, SettleOutcome> {
        Box::pin(async move {
            self.resolved.fetch_add(1, Ordering::SeqCst);
            let end = self.resolve.lock().unwrap().pop_front();
            self.end(order, end.unwrap_or(End::Sent))
        })
    }

    fn confirm<'a>(
        &'a self,
        _order: &'a PermitOrder,
        _transaction: &'a str,
    ) -> BoxFuture<'a, Finality> {
        let told = self.confirm.lock().unwrap().pop_front();
        Box::pin(std::future::ready(told.unwrap_or(Finality::Waiting)))
    }
}

pub fn signature_of(signed: Signed) -> Signature65 {
    let mut bytes = [match signed {
        Signed::Well => 1,
        Signed::Again => 2,
        Signed::Forged => 3,
    }; 65];
    bytes[64] = 27;
    Signature65::parse(&bytes).unwrap()
}

/// A permit of the owner with this nonce (EIP-2612), over the price.
pub fn permit(nonce: u64) -> Permit {
    worth(nonce, PRICE)
}

/// The same over another value.
pub fn worth(nonce: u64, value: u64) -> Permit {
    let token = usdc().id.token();
    Permit {
        chain: ChainId::BASE_SEPOLIA,
        terms: Terms::Eip2612 {
            token,
            permit: eip2612::Permit {
                owner: OWNER,
                spender: WALLET,
                value: U256::from(value),
                nonce: U256::from(nonce),
                deadline: U256::from(NOW + 600),
            },
        },
        signature: signature_of(Signed::Well),
    }
}

/// An authorization of the owner (ERC-3009).
pub fn authorization(nonce: u8) -> Permit {
    let token = usdc().id.token();
    Permit {
        terms: Terms::Erc3009 {
            token,
            authorization: Authorization {
                from: OWNER,
                to: WALLET,
                value: U256::from(PRICE),
                valid_after: U256::ZERO,
                valid_before: U256::from(NOW + 600),
                nonce: B256::repeat_byte(nonce),
            },
        },
        ..permit(0)
    }
}

pub fn signed(permit: Permit, signed: Signed) -> Permit {
    Permit {
        signature: signature_of(signed),
        ..permit
    }
}

/// The same nonce and another digest: it ends so much later.
pub fn until(mut signed: Permit, later: u64) -> Permit {
    if let Terms::Eip2612 { permit, .. } = &mut signed.terms {
        permit.deadline += U256::from(later);
    }
    signed
}

pub fn usdc() -> faregate_types::Asset {
    AssetRegistry::builtin()
        .default_for(ChainId::BASE_SEPOLIA)
        .unwrap()
        .clone()
}

/// So many units of USDC, under this policy; ten prices of one payer may be out.
pub fn ask(amount: u64, policy: TokenPolicy) -> PermitAsk {
    let asset = usdc();
    PermitAsk {
        amount: Amount::new(U256::from(amount), asset.id),
        asset,
        treasury: TREASURY,
        currency: "USDC".into(),
        token_secs: TOKEN_SECS,
        policy,
        exposure_max: U256::from(10 * PRICE),
    }
}
