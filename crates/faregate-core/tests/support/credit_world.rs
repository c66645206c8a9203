//! A gate that sells on credit, over a core that counts and does as it is told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use faregate_core::credit::ReqIds;
use faregate_core::port::replay::{Noted, ReplayStore};
use faregate_core::port::{
    Away, CertificateStore, HeldCertificate, IssueError, IssueOutcome, Issuer, TabAsk,
};
use faregate_core::rail::credit::Credit;
use faregate_core::rail::x402::X402;
use faregate_core::{
    Clock, CreditAsk, Offer, Outcome, Payee, Rail, Reading, Resource, Served, SettlePolicy, Till,
    TokenAsk,
};
use faregate_ledger::{Answer, LedgerStore, Payment as Row, StoreError};
use faregate_types::credit::x402::{Condition, CreditEnvelope, Demand, SCHEME, TabTicket};
use faregate_types::credit::{
    BlsSecretKey, Certificate, Claims, Guarantee, GuaranteeRequest, GuaranteeVersion,
    SigningScheme, ValidationPolicy, binding, parse_signature,
};
use faregate_types::l402::replay::{Dialect, UseName};
use faregate_types::x402::{Version, header};
use faregate_types::{
    Address, Amount, AssetId, AssetRegistry, B256, ChainId, Code, Erc20, Fingerprint, PaymentId,
    RailName, Refusal, Timestamp, U256,
};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, ready};
use serde_json::{Value, json};

use crate::support::{Log, Memory, order};

pub const PAYER: Address = Address::repeat_byte(0xab);
pub const SHOP: Address = Address::repeat_byte(0x22);
pub const PRICE: u64 = 1_000;
pub const TAB_ENDPOINT: &str = "https://api.example.com/tabs";

/// Seconds that a test moves.
#[derive(Clone)]
pub struct Hands(Arc<AtomicU64>);

impl Hands {
    pub fn forward(&self, secs: u64) {
        self.0.fetch_add(secs, Ordering::SeqCst);
    }

    pub fn now_plus(&self, secs: u64) -> Timestamp {
        Timestamp::from_secs(self.0.load(Ordering::SeqCst) + secs)
    }

    pub fn clock(&self) -> Arc<dyn Clock> {
        let hands = self.clone();
        Arc::new(move || hands.now_plus(0))
    }
}

/// A core: counts tabs and numbers, issues each number once.
pub struct Core {
    log: Log,
    req_ids: ReqIds,
    tabs: Mutex<BTreeMap<TabAsk, u64>>,
    opened: AtomicU64,
    issued: Mutex<BTreeMap<(U256, U256), (Claims, Certificate)>>,
    /// What it says before it does anything.
    script: Mutex<VecDeque<IssueOutcome>>,
    silent: AtomicBool,
}

impl Core {
    pub fn issuer(self: &Arc<Self>) -> Arc<dyn Issuer> {
        Arc::clone(self) as _
    }

    pub fn refuse(&self, code: Code) {
        let refused = IssueOutcome::Refused(Refusal::new(code));
        self.script.lock().unwrap().push_back(refused);
    }

    /// It cannot be reached once, or nobody knows whether it was.
    pub fn away(&self, is_unknown: bool) {
        let code = Code::CreditCoreUnavailable;
        self.script.lock().unwrap().push_back(match is_unknown {
            true => IssueOutcome::Unknown(code),
            false => IssueOutcome::Refused(Refusal::new(code)),
        });
    }

    /// It does the next thing, and its answer does not arrive.
    pub fn lose_answer(&self) {
        self.silent.store(true, Ordering::SeqCst);
    }

    pub fn issued(&self) -> usize {
        self.issued.lock().unwrap().len()
    }

    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::SeqCst)
    }

    fn issue_now(&self, request: &GuaranteeRequest) -> IssueOutcome {
        self.log.lock().unwrap().push("issue".into());
        if let Some(said) = self.script.lock().unwrap().pop_front() {
            return said;
        }
        let claims = &request.claims;
        let mut issued = self.issued.lock().unwrap();
        let before: U256 = issued
            .values()
            .filter(|(other, _)| other.tab_id == claims.tab_id)
            .map(|(other, _)| other.amount)
            .sum();
        let (known, certificate) =
            issued
                .entry((claims.tab_id, claims.req_id))
                .or_insert_with(|| {
                    let guarantee =
                        Guarantee::of(claims, B256::repeat_byte(7), before + claims.amount)
                            .unwrap();
                    let key = BlsSecretKey::from_bytes(&[7; 32]).unwrap();
                    (claims.clone(), Certificate::issue(&guarantee, &key))
                });
        if known != claims {
            return IssueOutcome::Refused(Refusal::new(Code::CreditReqIdTaken));
        }
        if self.silent.swap(false, Ordering::SeqCst) {
            return IssueOutcome::Unknown(Code::CreditCoreUnavailable);
        }
        IssueOutcome::Issued(certificate.clone())
    }
}

impl Issuer for Core {
    fn chain(&self) -> ChainId {
        ChainId::BASE_SEPOLIA
    }

    fn versions(&self) -> BoxFuture<'_, Result<Vec<GuaranteeVersion>, Away>> {
        Box::pin(ready(Ok(GuaranteeVersion::ALL.to_vec())))
    }

    fn req_ids(&self) -> BoxFuture<'_, Result<ReqIds, Away>> {
        Box::pin(ready(Ok(self.req_ids)))
    }

    /// Good signatures begin with a one.
    fn authenticate<'a>(
        &'a self,
        request: &'a GuaranteeRequest,
    ) -> BoxFuture<'a, Result<(), IssueError>> {
        self.log.lock().unwrap().push("authenticate".into());
        let signed = request.signature == signature(1);
        Box::pin(ready(match signed {
            true => Ok(()),
            false => Err(Refusal::new(Code::CreditSignatureInvalid).into()),
        }))
    }

    fn open<'a>(&'a self, ask: &'a TabAsk) -> BoxFuture<'a, Result<TabTicket, IssueError>> {
        self.opened.fetch_add(1, Ordering::SeqCst);
        let mut tabs = self.tabs.lock().unwrap();
        let next = tabs.entry(*ask).or_default();
        let given = *next;
        if self.req_ids == ReqIds::Reserved {
            *next += 1;
        }
        Box::pin(ready(Ok(TabTicket {
            tab_id: U256::from(41 + ask.version.number()),
            payer: ask.payer,
            recipient: Some(ask.recipient),
            asset: Some(ask.asset),
            start: Some(START),
            ttl_seconds: Some(86_400),
            next_req_id: Some(U256::from(given)),
        })))
    }

    fn check<'a>(&'a self, _: &'a GuaranteeRequest) -> BoxFuture<'a, Result<(), IssueError>> {
        panic!("a gate does not ask twice")
    }

    fn issued<'a>(
        &'a self,
        request: &'a GuaranteeRequest,
    ) -> BoxFuture<'a, Result<Option<Certificate>, IssueError>> {
        let issued = self.issued.lock().unwrap();
        let found = issued.get(&(request.claims.tab_id, request.claims.req_id));
        Box::pin(ready(Ok(found.map(|(_, certificate)| certificate.clone()))))
    }

    fn issue<'a>(&'a self, request: &'a GuaranteeRequest) -> BoxFuture<'a, IssueOutcome> {
        Box::pin(ready(self.issue_now(request)))
    }
}

/// Certificates in memory; fails on demand.
#[derive(Default)]
pub struct Held {
    log: Log,
    rows: Mutex<BTreeMap<PaymentId, HeldCertificate>>,
    ended: Mutex<Vec<PaymentId>>,
    fails: AtomicBool,
}

impl Held {
    pub fn store(self: &Arc<Self>) -> Arc<dyn CertificateStore> {
        Arc::clone(self) as _
    }

    pub fn fail_once(&self) {
        self.fails.store(true, Ordering::SeqCst);
    }

    /// Everything held so far is paid.
    pub fn end_all(&self) {
        let all = self.rows.lock().unwrap().keys().copied().collect();
        *self.ended.lock().unwrap() = all;
    }
}

impl CertificateStore for Held {
    fn keep(&self, held: HeldCertificate) -> BoxFuture<'_, Result<(), StoreError>> {
        if self.fails.swap(false, Ordering::SeqCst) {
            return Box::pin(ready(Err(StoreError::Unavailable)));
        }
        self.log.lock().unwrap().push("keep".into());
        self.rows.lock().unwrap().insert(held.payment, held);
        Box::pin(ready(Ok(())))
    }

    fn certificate(
        &self,
        payment: PaymentId,
    ) -> BoxFuture<'_, Result<Option<HeldCertificate>, StoreError>> {
        Box::pin(ready(Ok(self.rows.lock().unwrap().get(&payment).cloned())))
    }

    fn owed<'a>(
        &'a self,
        payer: Address,
        route: &'a str,
        _: Erc20,
    ) -> BoxFuture<'a, Result<U256, StoreError>> {
        let (rows, ended) = (self.rows.lock().unwrap(), self.ended.lock().unwrap());
        let open = rows.values().filter(|held| {
            held.payer == payer && &*held.route == route && !ended.contains(&held.payment)
        });
        Box::pin(ready(Ok(open.map(|held| held.amount.value()).sum())))
    }
}

const START: Timestamp = Timestamp::from_secs(1_716_500_000);

fn signature(first: u8) -> faregate_types::Signature65 {
    let mut bytes = [1; 65];
    (bytes[0], bytes[64]) = (first, 27);
    parse_signature(&bytes).unwrap()
}

/// A payment that can still be changed.
#[derive(Clone)]
pub struct Payment(CreditEnvelope);

impl Payment {
    pub fn claims(&mut self) -> &mut Claims {
        &mut self.0.request.claims
    }

    pub fn network(&mut self, name: &str) {
        self.0.network = name.to_owned();
    }

    /// Another condition, whose hashes are right.
    pub fn bound(&mut self, change: impl FnOnce(&mut ValidationPolicy)) {
        let claims = self.claims();
        change(claims.validation.as_mut().unwrap());
        *claims = binding::bind(claims.clone());
    }

    pub fn forge(&mut self) {
        self.0.request.signature = signature(2);
    }

    pub fn value(&self) -> Value {
        let accepted = json!({ "scheme": SCHEME, "network": self.0.network });
        header::decode_any(self.0.to_header(&accepted, None).as_bytes()).unwrap()
    }

    fn id(&self) -> PaymentId {
        let claims = &self.0.request.claims;
        let chain = ChainId::BASE_SEPOLIA;
        PaymentId::credit(
            chain,
            claims.payer,
            claims.recipient,
            claims.tab_id,
            claims.req_id,
        )
    }
}

/// One gate's view of what all have used.
pub struct View(Arc<Mutex<BTreeMap<String, u32>>>, u32);

impl ReplayStore for View {
    fn take(&self, of: UseName, _secs: u64) -> BoxFuture<'_, Result<Noted, Away>> {
        let mut notes = self.0.lock().unwrap();
        let owner = *notes.entry(of.key(Dialect::Python)).or_insert(self.1);
        Box::pin(ready(Ok(match owner == self.1 {
            true => Noted::Before,
            false => Noted::Elsewhere,
        })))
    }

    fn give_back(&self, of: UseName) -> BoxFuture<'_, Result<(), Away>> {
        self.0.lock().unwrap().remove(&of.key(Dialect::Python));
        Box::pin(ready(Ok(())))
    }
}

pub struct World {
    pub till: Till,
    pub credit: Credit,
    pub core: Arc<Core>,
    pub certificates: Arc<Held>,
    pub clock: Hands,
    memory: Arc<Memory>,
    log: Log,
}

impl World {
    pub fn new() -> Self {
        Self::numbering(ReqIds::Reserved)
    }

    pub fn strict() -> Self {
        Self::numbering(ReqIds::Strict)
    }

    fn numbering(req_ids: ReqIds) -> Self {
        Self::made(req_ids, None)
    }

    /// Two gates of one shop with a ledger each, before one core, that share what was used.
    pub fn two_gates() -> (Self, Self) {
        let first = Self::made(ReqIds::Reserved, None);
        let notes = Arc::default();
        let gate = |owner| {
            Self::made(
                ReqIds::Reserved,
                Some((&first.core, View(Arc::clone(&notes), owner))),
            )
        };
        (gate(1), gate(2))
    }

    fn made(req_ids: ReqIds, shared: Option<(&Arc<Core>, View)>) -> Self {
        let log = Log::default();
        let clock = Hands(Arc::new(AtomicU64::new(START.as_secs())));
        let own = Arc::new(Core {
            log: Arc::clone(&log),
            req_ids,
            tabs: Mutex::default(),
            opened: AtomicU64::new(0),
            issued: Mutex::default(),
            script: Mutex::default(),
            silent: AtomicBool::new(false),
        });
        let certificates = Arc::new(Held {
            log: Arc::clone(&log),
            ..Held::default()
        });
        let memory = Arc::new(Memory {
            log: Arc::clone(&log),
            ..Memory::default()
        });
        let (core, view) = match shared {
            Some((core, view)) => (Arc::clone(core), Some(view)),
            None => (own, None),
        };
        let credit = Credit::new([core.issuer()], certificates.store(), clock.clock());
        let credit = match view {
            Some(view) => credit.replay(Arc::new(view)),
            None => credit,
        };
        let hands = clock.clone();
        let rails: Vec<Arc<dyn Rail>> = vec![
            Arc::new(credit.clone()),
            Arc::new(X402::new(Arc::new(Nobody))),
        ];
        let till = Till::new(
            Arc::clone(&memory) as Arc<dyn LedgerStore>,
            Arc::new(move || hands.now_plus(0)),
            rails,
        );
        Self {
            till,
            credit,
            core,
            certificates,
            clock,
            memory,
            log,
        }
    }

    /// The number that a payer gets.
    pub async fn number(&self, ask: &CreditAsk, version: GuaranteeVersion, payer: Address) -> U256 {
        let ticket = self
            .credit
            .tabs()
            .ticket(ask, version, payer)
            .await
            .unwrap();
        ticket.next_req_id.unwrap()
    }

    /// What a payer makes of the offer.
    pub async fn payment(&self, offer: &Offer, version: Version) -> Payment {
        let ask = offer.asks().iter().find_map(|ask| ask.as_credit()).unwrap();
        let kind = GuaranteeVersion::from_number(version.number().into()).unwrap();
        let ticket = self.credit.tabs().ticket(ask, kind, PAYER).await.unwrap();
        let demand = Demand {
            version,
            network: ask.asset.chain().to_string(),
            amount: ask.amount.value(),
            asset: ask.asset.token(),
            recipient: ask.recipient,
            tab_endpoint: None,
            condition: ask.condition.clone().filter(|_| version == Version::V2),
        };
        let claims = demand
            .claims(PAYER, &ticket, self.clock.now_plus(0))
            .unwrap();
        Payment(CreditEnvelope {
            version,
            scheme: SCHEME.to_owned(),
            network: demand.network,
            request: GuaranteeRequest {
                claims,
                signature: signature(1),
                scheme: SigningScheme::Eip712,
            },
        })
    }

    pub async fn pay(&self, offer: &Offer, payment: &Payment) -> Outcome<u8> {
        let name = match payment.0.version {
            Version::V1 => header::X_PAYMENT,
            Version::V2 => header::PAYMENT_SIGNATURE,
        };
        let mut headers = http::HeaderMap::new();
        headers.insert(name, header::encode(&payment.value()).parse().unwrap());
        let Reading::Found(credential) = self.till.read(&headers, offer) else {
            panic!("the header is not read");
        };
        let log = Arc::clone(&self.log);
        let serve = move |_| {
            async move {
                log.lock().unwrap().push("serve".into());
                Served::Well(200)
            }
            .boxed()
        };
        let order = order(offer, Fingerprint::of(&[b"GET /joke"]), None);
        self.till.run(order, credential, ready(()), serve).await
    }

    /// Pays, and keeps the answer for copies.
    pub async fn buy(&self, offer: &Offer, payment: &Payment) {
        let outcome = self.pay(offer, payment).await;
        let Outcome::Sold { sale, .. } = outcome else {
            panic!("{outcome:?}");
        };
        let answer = Answer {
            status: 200,
            headers: Vec::new(),
            body: Some(b"ha".to_vec()),
        };
        sale.keep(answer).await.unwrap();
    }

    pub fn row(&self, payment: &Payment) -> Option<Row> {
        self.memory.rows.lock().unwrap().get(&payment.id()).cloned()
    }

    /// The only certificate there is.
    pub async fn held(&self) -> HeldCertificate {
        let id = {
            let rows = self.certificates.rows.lock().unwrap();
            assert_eq!(rows.len(), 1);
            *rows.keys().next().unwrap()
        };
        let held = self.certificates.certificate(id).await.unwrap();
        held.unwrap()
    }

    pub fn log(&self) -> Vec<&'static str> {
        let known = [
            "authenticate",
            "claim",
            "issue",
            "keep",
            "post",
            "serve",
            "void",
            "release",
            "challenge",
        ];
        let log = self.log.lock().unwrap();
        let named = |line: &String| *known.iter().find(|known| *known == line).unwrap();
        log.iter().map(named).collect()
    }
}

pub fn refused<R: std::fmt::Debug>(outcome: &Outcome<R>) -> Code {
    match outcome {
        Outcome::Unpaid { refusal, .. } | Outcome::Refused { refusal, .. } => refusal.code,
        other => panic!("{other:?}"),
    }
}

pub fn resource() -> Resource {
    Resource {
        url: "https://api.example.com/joke".into(),
        description: "".into(),
        mime_type: "".into(),
    }
}

fn ask() -> CreditAsk {
    let asset = AssetRegistry::builtin()
        .default_for(ChainId::BASE_SEPOLIA)
        .unwrap()
        .id;
    CreditAsk {
        asset,
        amount: Amount::new(U256::from(PRICE), AssetId::Erc20(asset)),
        recipient: SHOP,
        tab_endpoint: TAB_ENDPOINT.into(),
        is_plain: true,
        condition: Some(Condition {
            registry: Address::repeat_byte(0x55),
            chain_id: None,
            validator: Address::repeat_byte(0x66),
            agent_id: U256::from(7),
            min_score: 80,
            tag: "hard".to_owned(),
            job_hash: B256::repeat_byte(0x44),
        }),
        owed_max: None,
    }
}

pub fn offer() -> Offer {
    offer_with(SettlePolicy::Before, |_| ())
}

pub fn offer_with(policy: SettlePolicy, change: impl FnOnce(&mut CreditAsk)) -> Offer {
    let mut ask = ask();
    change(&mut ask);
    Offer::new("joke", resource(), vec![ask.into()], policy, 60).unwrap()
}

/// The same, and scheme `exact` beside it.
pub fn offer_and_exact() -> Offer {
    let asset = AssetRegistry::builtin()
        .default_for(ChainId::BASE_SEPOLIA)
        .unwrap()
        .clone();
    let exact = TokenAsk {
        rail: RailName::X402,
        amount: Amount::new(U256::from(PRICE), asset.id),
        asset,
        payee: Payee::Evm(SHOP),
    };
    let asks = vec![ask().into(), exact.into()];
    Offer::new("joke", resource(), asks, SettlePolicy::After, 60).unwrap()
}

/// A facilitator that nobody asks.
struct Nobody;

impl faregate_core::port::Facilitator for Nobody {
    fn supported(&self) -> BoxFuture<'_, Result<faregate_types::x402::SupportedResponse, Away>> {
        panic!("asked")
    }

    fn verify<'a>(
        &'a self,
        _: &'a faregate_types::x402::FacilitatorRequest,
    ) -> BoxFuture<'a, Result<faregate_core::port::Verdict, Away>> {
        panic!("asked")
    }

    fn settle<'a>(
        &'a self,
        _: &'a faregate_types::x402::FacilitatorRequest,
        _: &'a dyn faregate_core::port::Trail,
    ) -> BoxFuture<'a, faregate_core::port::SettleOutcome> {
        panic!("asked")
    }

    fn resolve<'a>(
        &'a self,
        _: &'a faregate_types::x402::FacilitatorRequest,
        _: Option<&'a str>,
    ) -> BoxFuture<'a, faregate_core::port::SettleOutcome> {
        panic!("asked")
    }
}
