//! A ledger in memory and a rail that does what it is told, both writing down the order of effects.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, LazyLock, Mutex};

use faregate_core::port::{Away, Finality, SettleOutcome, Settlement, Trail, Unknown};
use faregate_core::rail::{
    Challenge, Credential, Evidence, Headers, Instrument, Presented, Rail, Reading, Uses, Verified,
    VerifyError,
};
use faregate_core::{Asked, Clock, Offer, Order, Payee, Resource, SettlePolicy, Till, TokenAsk};
use faregate_ledger::{
    AccountId, Balance, Claim, Claimed, Effect, LedgerStore, Payment, PaymentState, Step,
    StoreError, Totals, Transfer,
};
use faregate_types::{
    Address, Amount, AssetId, AssetRegistry, ChainId, Code, Fingerprint, IdempotencyKey, PaymentId,
    RailName, Refusal, Timestamp, U256,
};
use futures_util::future::{BoxFuture, ready};
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::sync::Semaphore;

/// What happened, in order.
pub type Log = Arc<Mutex<Vec<String>>>;

/// Keeps payments in memory; fails on demand.
#[derive(Default)]
pub struct Memory {
    pub log: Log,
    pub rows: Mutex<BTreeMap<PaymentId, Payment>>,
    pub away: Mutex<bool>,
    /// Steps that are taken once without the ledger saying so.
    pub unheard: Mutex<Vec<&'static str>>,
    /// What was asked to be pruned.
    pub pruned: Mutex<Vec<(Timestamp, u64)>>,
    /// What was read of a payment arrives when there is one of these.
    pub late: Mutex<Option<Arc<Semaphore>>>,
}

impl Memory {
    pub fn state(&self, id: PaymentId) -> Option<PaymentState> {
        self.rows.lock().unwrap().get(&id).map(|row| row.state)
    }

    fn up(&self) -> Result<(), StoreError> {
        if *self.away.lock().unwrap() {
            Err(StoreError::Unavailable)
        } else {
            Ok(())
        }
    }

    fn claim_now(&self, claim: Claim) -> Result<Claimed, StoreError> {
        self.up()?;
        self.log.lock().unwrap().push("claim".into());
        let mut rows = self.rows.lock().unwrap();
        if let Some(verdict) = rows
            .get(&claim.id)
            .cloned()
            .and_then(|row| row.verdict(&claim.fingerprint))
        {
            return Ok(verdict);
        }
        if let Some(own) = &claim.idempotency
            && let Some(first) = rows.values().find(|row| {
                let theirs = row.claim.idempotency.as_ref();
                row.claim.id != claim.id && theirs.is_some_and(|theirs| theirs.key == own.key)
            })
            && let Some(verdict) = first.clone().keyed(&own.request)
        {
            return Ok(verdict);
        }
        let (debit, asset) = (&claim.transfer.debit, claim.transfer.amount.asset());
        let open = rows.values().filter(|row| {
            let transfer = &row.claim.transfer;
            row.state.is_open() && transfer.debit == *debit && transfer.amount.asset() == asset
        });
        let reserved = open.fold(U256::ZERO, |sum, row| {
            sum + row.claim.transfer.amount.value()
        });
        if claim.is_uncovered(reserved) {
            self.log.lock().unwrap().push("overdrawn".into());
            return Ok(Claimed::Overdrawn { reserved });
        }
        let out = rows.values().filter(|row| row.is_exposed());
        let out = out.fold(claim.transfer.amount.value(), |sum, row| {
            sum + row.claim.transfer.amount.value()
        });
        if claim.exposure_max.is_some_and(|max| out > max) {
            self.log.lock().unwrap().push("exposed".into());
            return Ok(Claimed::Exposed);
        }
        rows.insert(claim.id, Payment::reserved(claim));
        Ok(Claimed::Won)
    }

    fn step_now(
        &self,
        id: PaymentId,
        step: Step,
        at: Timestamp,
    ) -> Result<(Payment, Effect), StoreError> {
        self.up()?;
        let mut rows = self.rows.lock().unwrap();
        let row = rows.get_mut(&id).ok_or(StoreError::NotFound)?;
        let name = match &step {
            Step::Broadcast { .. } => "broadcast",
            Step::Settle { .. } => "post",
            Step::Fail { .. } => "void",
            Step::Release => "release",
            Step::Keep { .. } => "keep",
            Step::Sell { .. } => "sell",
            Step::Serve { .. } => "lend",
            Step::Finalize => "final",
            Step::Reopen => "reopen",
        };
        let effect = row.apply(step, at)?;
        self.log.lock().unwrap().push(name.into());
        let mut unheard = self.unheard.lock().unwrap();
        if let Some(place) = unheard.iter().position(|step| *step == name) {
            unheard.remove(place);
            return Err(StoreError::Unavailable);
        }
        Ok((row.clone(), effect))
    }

    fn listed(&self, limit: u32, which: fn(&Payment) -> bool) -> Result<Vec<Payment>, StoreError> {
        self.up()?;
        let rows = self.rows.lock().unwrap();
        let mut listed: Vec<Payment> = rows.values().filter(|row| which(row)).cloned().collect();
        listed.sort_by_key(|row| row.changed_at);
        listed.truncate(limit.try_into().unwrap());
        Ok(listed)
    }
}

impl LedgerStore for Memory {
    fn claim(&self, claim: Claim) -> BoxFuture<'_, Result<Claimed, StoreError>> {
        Box::pin(ready(self.claim_now(claim)))
    }

    fn take_step(
        &self,
        id: PaymentId,
        step: Step,
        at: Timestamp,
    ) -> BoxFuture<'_, Result<(Payment, Effect), StoreError>> {
        Box::pin(ready(self.step_now(id, step, at)))
    }

    fn payment(&self, id: PaymentId) -> BoxFuture<'_, Result<Option<Payment>, StoreError>> {
        let read = self
            .up()
            .map(|()| self.rows.lock().unwrap().get(&id).cloned());
        let late = self.late.lock().unwrap().clone();
        Box::pin(async move {
            if let Some(late) = late {
                late.acquire().await.unwrap().forget();
            }
            read
        })
    }

    fn named_payment(
        &self,
        payer: AccountId,
        key: IdempotencyKey,
    ) -> BoxFuture<'_, Result<Option<Payment>, StoreError>> {
        let find = |()| {
            let rows = self.rows.lock().unwrap();
            let mut named = rows.values().filter(|row| {
                let own = row.claim.idempotency.as_ref();
                row.claim.transfer.debit == payer && own.is_some_and(|own| own.key == key)
            });
            named.next().cloned()
        };
        Box::pin(ready(self.up().map(find)))
    }

    fn open_payments(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>> {
        Box::pin(ready(self.listed(limit, |row| row.state.is_open())))
    }

    fn unfinal_payments(&self, limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>> {
        Box::pin(ready(self.listed(limit, |row| {
            row.state == PaymentState::Settled && row.final_at.is_none()
        })))
    }

    fn prune(
        &self,
        before: Timestamp,
        bytes_max: u64,
        _limit: u32,
    ) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.pruned.lock().unwrap().push((before, bytes_max));
        Box::pin(ready(self.up().map(|()| 7)))
    }

    fn exposure(
        &self,
        _payer: AccountId,
        _asset: AssetId,
    ) -> BoxFuture<'_, Result<U256, StoreError>> {
        Box::pin(ready(Ok(U256::ZERO)))
    }

    fn recent_payments(&self, _limit: u32) -> BoxFuture<'_, Result<Vec<Payment>, StoreError>> {
        Box::pin(ready(Ok(Vec::new())))
    }

    fn balance(
        &self,
        _account: AccountId,
        asset: AssetId,
    ) -> BoxFuture<'_, Result<Balance, StoreError>> {
        Box::pin(ready(Ok(Balance::zero(asset))))
    }

    fn totals(&self) -> BoxFuture<'_, Result<Totals, StoreError>> {
        Box::pin(ready(Ok(Vec::new())))
    }
}

/// A rail whose answers are scripted. The credential is the payment's number and its signature.
#[derive(Default)]
pub struct Scripted {
    pub log: Log,
    pub verify: Arc<Mutex<VecDeque<Result<(), VerifyError>>>>,
    pub settle: Arc<Mutex<VecDeque<SettleOutcome>>>,
    pub resolve: Mutex<VecDeque<SettleOutcome>>,
    pub confirm: Mutex<VecDeque<Finality>>,
    pub expires: Mutex<Option<Timestamp>>,
    /// It settles somewhere else, and its trail hears nothing.
    pub elsewhere: bool,
    /// How often a payment may be used; once unless this says otherwise.
    pub uses: Option<Uses>,
    /// The money has moved before the credential is shown.
    pub prepaid: bool,
    /// Another rail than x402.
    pub name: Option<RailName>,
    /// A resolution waits for a permit when there is one of these.
    pub hold: Option<Semaphore>,
}

/// A till over a ledger in memory and this rail, and the log that both write into.
pub fn till(rail: Scripted, clock: impl Clock) -> (Till, Arc<Memory>, Arc<Scripted>, Log) {
    let log = Log::default();
    let memory = Arc::new(Memory {
        log: Arc::clone(&log),
        ..Memory::default()
    });
    let rail = Arc::new(Scripted {
        log: Arc::clone(&log),
        ..rail
    });
    let till = Till::new(
        Arc::clone(&memory) as Arc<dyn LedgerStore>,
        Arc::new(clock),
        vec![Arc::clone(&rail) as Arc<dyn Rail>],
    );
    (till, memory, rail, log)
}

pub type Sent = (u8, &'static str);

pub fn credential(number: u8, signature: &'static str) -> Credential {
    Credential::new(RailName::X402, (number, signature))
}

pub fn settled() -> SettleOutcome {
    SettleOutcome::Settled(Settlement {
        transaction: Some("0xaa".into()),
        payer: Some(Address::repeat_byte(1)),
    })
}

pub fn failed() -> SettleOutcome {
    SettleOutcome::Failed(Refusal::new(Code::TransactionFailed))
}

pub fn unknown() -> SettleOutcome {
    SettleOutcome::Unknown(Unknown {
        code: Code::SettlementPending,
        transaction: Some("0xaa".into()),
    })
}

pub fn payment_id(number: u8) -> PaymentId {
    PaymentId::from_bytes([number; 32])
}

impl Rail for Scripted {
    fn name(&self) -> RailName {
        self.name.unwrap_or(RailName::X402)
    }

    fn serves(&self, _offer: &Offer) -> bool {
        true
    }

    fn read(&self, _headers: &HeaderMap) -> Reading {
        Reading::Nothing
    }

    fn challenge<'a>(
        &'a self,
        _offer: &'a Offer,
        _asked: &'a Asked,
        why: &'a Refusal,
    ) -> BoxFuture<'a, Result<Challenge, Away>> {
        self.log.lock().unwrap().push("challenge".into());
        let mut challenge = Challenge {
            reusable: true,
            ..Challenge::default()
        };
        challenge
            .body
            .insert("error".into(), why.code.as_str().into());
        Box::pin(ready(Ok(challenge)))
    }

    fn present(
        &self,
        credential: Credential,
        offer: &Offer,
        _asked: &Asked,
    ) -> Result<Presented, Refusal> {
        let (number, signature) = credential
            .into_content::<Sent>()
            .ok_or(Refusal::new(Code::Internal))?;
        let ask = offer.asks()[0].as_token().unwrap();
        Ok(Presented {
            id: payment_id(number),
            rail: self.name(),
            transfer: Transfer {
                debit: AccountId::payer(Address::repeat_byte(1)),
                credit: AccountId::payee(Address::repeat_byte(2)),
                amount: ask.amount,
            },
            evidence: Evidence(signature.as_bytes().to_vec()),
            uses: self.uses.unwrap_or(Uses::One),
            fingerprint: None,
            good_until: None,
            instrument: self.instrument(),
        })
    }

    fn recall(&self, evidence: &Evidence) -> Result<Arc<dyn Instrument>, Refusal> {
        if evidence.0 == DAMAGED {
            return Err(Refusal::new(Code::MalformedJson));
        }
        Ok(self.instrument())
    }

    fn uses_trail(&self) -> bool {
        !self.elsewhere
    }

    fn is_prepaid(&self) -> bool {
        self.prepaid
    }

    fn resolve<'a>(&'a self, _payment: &'a Payment) -> BoxFuture<'a, SettleOutcome> {
        self.log.lock().unwrap().push("resolve".into());
        Box::pin(async {
            if let Some(hold) = &self.hold {
                hold.acquire().await.unwrap().forget();
            }
            let told = self.resolve.lock().unwrap().pop_front();
            told.unwrap_or_else(unknown)
        })
    }

    fn confirm<'a>(&'a self, _payment: &'a Payment) -> BoxFuture<'a, Finality> {
        self.log.lock().unwrap().push("confirm".into());
        let told = self.confirm.lock().unwrap().pop_front();
        Box::pin(ready(told.unwrap_or(Finality::Unknown)))
    }

    fn expires(&self, _payment: &Payment) -> Option<Timestamp> {
        *self.expires.lock().unwrap()
    }

    fn recorded(&self, payment: &Payment) -> SettleOutcome {
        match payment.failure {
            Some(code) => SettleOutcome::Failed(Refusal::new(code)),
            None => settled(),
        }
    }
}

/// Evidence that the rail cannot read back.
pub const DAMAGED: &[u8] = b"damaged";

impl Scripted {
    fn instrument(&self) -> Arc<dyn Instrument> {
        Arc::new(Script {
            log: Arc::clone(&self.log),
            verify: Arc::clone(&self.verify),
            settle: Arc::clone(&self.settle),
            elsewhere: self.elsewhere || self.prepaid,
        })
    }
}

struct Script {
    log: Log,
    verify: Arc<Mutex<VecDeque<Result<(), VerifyError>>>>,
    settle: Arc<Mutex<VecDeque<SettleOutcome>>>,
    elsewhere: bool,
}

impl Instrument for Script {
    fn verify(&self) -> BoxFuture<'_, Result<Verified, VerifyError>> {
        self.log.lock().unwrap().push("verify".into());
        let told = self.verify.lock().unwrap().pop_front();
        Box::pin(ready(told.unwrap_or(Ok(())).map(|()| Verified::default())))
    }

    fn settle<'a>(&'a self, trail: &'a dyn Trail) -> BoxFuture<'a, SettleOutcome> {
        Box::pin(async move {
            if !self.elsewhere
                && let Err(away) = trail.broadcast("0xaa").await
            {
                return SettleOutcome::Unknown(Unknown {
                    code: away.code,
                    transaction: None,
                });
            }
            self.log.lock().unwrap().push("send".into());
            let told = self.settle.lock().unwrap().pop_front();
            told.unwrap_or_else(settled)
        })
    }

    fn receipt(&self, outcome: &SettleOutcome) -> Headers {
        let told = match outcome {
            SettleOutcome::Settled(_) => "settled",
            SettleOutcome::Failed(_) => "failed",
            SettleOutcome::Unknown(_) => "pending",
        };
        vec![(receipt_name(), HeaderValue::from_static(told))]
    }
}

/// A tenth of a cent on Base Sepolia.
pub fn offer(policy: SettlePolicy) -> Offer {
    let asset = AssetRegistry::builtin()
        .default_for(ChainId::BASE_SEPOLIA)
        .unwrap()
        .clone();
    let resource = Resource {
        url: "https://api.example.com/joke".into(),
        description: "".into(),
        mime_type: "".into(),
    };
    let ask = TokenAsk {
        rail: RailName::X402,
        amount: Amount::new(U256::from(1000), asset.id),
        asset,
        payee: Payee::Evm(Address::repeat_byte(2)),
    };
    Offer::new("joke", resource, vec![ask.into()], policy, 60).unwrap()
}

/// The same, served before it is paid, as long as no more than this many of one payer are unpaid.
pub fn lending(most: u64) -> Offer {
    let offer = offer(SettlePolicy::Background);
    let asset = offer.asks()[0].as_token().unwrap().asset.id;
    offer.with_exposure_max(Amount::new(U256::from(most * 1_000), asset))
}

pub fn receipt_name() -> HeaderName {
    HeaderName::from_static("receipt")
}

/// A GET of somebody, with this fingerprint.
pub fn order(
    offer: &Offer,
    fingerprint: Fingerprint,
    idempotency: Option<IdempotencyKey>,
) -> Order<'_> {
    static ASKED: LazyLock<Asked> = LazyLock::new(Asked::default);
    Order {
        offer,
        asked: &ASKED,
        fingerprint,
        idempotency,
    }
}

/// Standard base64 with padding.
pub fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let mut group = [0; 3];
        group[..chunk.len()].copy_from_slice(chunk);
        let number = u32::from_be_bytes([0, group[0], group[1], group[2]]);
        for place in 0..4 {
            let sextet = (number >> (18 - 6 * place)) & 63;
            let letter = ALPHABET[usize::try_from(sextet).unwrap()];
            text.push(if place <= chunk.len() {
                char::from(letter)
            } else {
                '='
            });
        }
    }
    text
}
