//! What a Lightning backend can say, and what is believed of it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests may")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bitcoin::hashes::{Hash as _, sha256};
use bitcoin::secp256k1::{Secp256k1, SecretKey};
use faregate_core::Away;
use faregate_core::port::lightning::{
    FeeCap, InvoiceAsk, InvoiceState, MadeInvoice, PayOrder, PayOutcome, PayReport,
    ReceiveAbilities, ReceiveBackend, Receiver, SendAbilities, SendBackend, Sender, Wanted,
};
use faregate_types::lightning::{BitcoinNetwork, Bolt11, Msat, PaymentHash, Preimage};
use faregate_types::{Code, Refusal, Timestamp};
use futures_util::future::BoxFuture;
use lightning_invoice::{Currency, InvoiceBuilder, PaymentSecret};

const NOW: u64 = 1_800_000_000;
const PREIMAGE: [u8; 32] = [5; 32];

fn invoice(currency: Currency, msat: Option<u64>, created: u64, expiry: u64) -> String {
    let hash = Preimage::from_bytes(PREIMAGE).hash();
    let key = SecretKey::from_slice(&[0x11; 32]).unwrap();
    let mut draft = InvoiceBuilder::new(currency)
        .description("x".to_owned())
        .payment_hash(sha256::Hash::from_byte_array(*hash.as_bytes()))
        .payment_secret(PaymentSecret([9; 32]))
        .duration_since_epoch(Duration::from_secs(created))
        .min_final_cltv_expiry_delta(80)
        .expiry_time(Duration::from_secs(expiry));
    if let Some(msat) = msat {
        draft = draft.amount_milli_satoshis(msat);
    }
    let sign = |hash: &_| Secp256k1::new().sign_ecdsa_recoverable(hash, &key);
    draft.build_signed(sign).unwrap().to_string()
}

fn good() -> String {
    invoice(Currency::Regtest, Some(10_000), NOW, 600)
}

/// Says what it is told to say, and counts.
struct Scripted {
    invoice: String,
    state: InvoiceState,
    sets_expiry: bool,
    preimage: bool,
    pay: Mutex<Option<PayReport>>,
    track: Mutex<Option<PayReport>>,
    asked: AtomicUsize,
}

impl Default for Scripted {
    fn default() -> Self {
        Self {
            invoice: good(),
            state: InvoiceState::Open,
            sets_expiry: true,
            preimage: true,
            pay: Mutex::default(),
            track: Mutex::default(),
            asked: AtomicUsize::new(0),
        }
    }
}

impl ReceiveBackend for Scripted {
    fn abilities(&self) -> ReceiveAbilities {
        ReceiveAbilities {
            look_up: true,
            subscribe: false,
            sets_expiry: self.sets_expiry,
            unit: Msat::new(1_000),
        }
    }

    fn create<'a>(&'a self, _ask: &'a InvoiceAsk) -> BoxFuture<'a, Result<MadeInvoice, Away>> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let made = MadeInvoice {
            invoice: self.invoice.as_str().into(),
            handle: Some("id-of-theirs".into()),
        };
        Box::pin(std::future::ready(Ok(made)))
    }

    fn look_up<'a>(&'a self, _wanted: &'a Wanted) -> BoxFuture<'a, Result<InvoiceState, Away>> {
        Box::pin(std::future::ready(Ok(self.state)))
    }
}

impl SendBackend for Scripted {
    fn abilities(&self) -> SendAbilities {
        SendAbilities {
            track: true,
            preimage: self.preimage,
            pays_once: true,
            fee_cap: FeeCap::Enforced,
        }
    }

    fn pay<'a>(&'a self, _order: &'a PayOrder) -> BoxFuture<'a, PayReport> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let report = self.pay.lock().unwrap().take().unwrap();
        Box::pin(std::future::ready(report))
    }

    fn track<'a>(&'a self, _payment_hash: &'a PaymentHash) -> BoxFuture<'a, PayReport> {
        let report = self.track.lock().unwrap().take().unwrap();
        Box::pin(std::future::ready(report))
    }
}

async fn create(backend: Scripted, msat: u64) -> (Result<Wanted, Code>, usize) {
    let backend = Arc::new(backend);
    let clock = Arc::new(|| Timestamp::from_secs(NOW));
    let receiver = Receiver::new(backend.clone(), BitcoinNetwork::Regtest, clock);
    let ask = InvoiceAsk {
        amount: Msat::new(msat),
        description: "x".into(),
        expiry_secs: 600,
    };
    let made = receiver.create(&ask).await;
    let made = made.map(|made| made.wanted()).map_err(|away| away.code);
    (made, backend.asked.load(Ordering::Relaxed))
}

#[tokio::test]
async fn the_hash_comes_from_the_invoice_and_not_from_the_backend() {
    let (made, _) = create(Scripted::default(), 10_000).await;
    let wanted = made.unwrap();
    assert_eq!(wanted.payment_hash, Preimage::from_bytes(PREIMAGE).hash());
    assert_eq!(wanted.handle.as_deref(), Some("id-of-theirs"));
}

#[tokio::test]
async fn an_invoice_that_says_something_else_is_not_handed_out() {
    let lies = [
        invoice(Currency::Bitcoin, Some(10_000), NOW, 600),
        invoice(Currency::Regtest, Some(9_999), NOW, 600),
        invoice(Currency::Regtest, Some(10_001), NOW, 600),
        invoice(Currency::Regtest, None, NOW, 600),
        invoice(Currency::Regtest, Some(10_000), NOW - 600, 600),
        invoice(Currency::Regtest, Some(10_000), NOW, 661),
        "lnbcrt1garbage".to_owned(),
        String::new(),
        good().replace("lnbcrt100n", "lnbcrt200n"),
    ];
    for invoice in lies {
        let lie = Scripted {
            invoice: invoice.clone(),
            ..Scripted::default()
        };
        let (made, _) = create(lie, 10_000).await;
        assert_eq!(made, Err(Code::LightningAnswerInvalid), "{invoice}");
    }
    // A backend that cannot set the expiry may take a longer one.
    let longer = Scripted {
        invoice: invoice(Currency::Regtest, Some(10_000), NOW, 86_400),
        sets_expiry: false,
        ..Scripted::default()
    };
    assert!(create(longer, 10_000).await.0.is_ok());
}

#[tokio::test]
async fn an_amount_the_backend_cannot_ask_for_is_refused_before_it_is_asked() {
    for msat in [0, 1, 10_001] {
        let (made, asked) = create(Scripted::default(), msat).await;
        assert_eq!((made, asked), (Err(Code::LightningUnsupported), 0));
    }
}

#[tokio::test]
async fn less_than_was_asked_for_is_not_paid() {
    for (told, believed) in [(9_999, false), (10_000, true), (10_001, true)] {
        let state = InvoiceState::Paid {
            amount: Some(Msat::new(told)),
        };
        let backend = Scripted {
            state,
            ..Scripted::default()
        };
        let clock = Arc::new(|| Timestamp::from_secs(NOW));
        let receiver = Receiver::new(Arc::new(backend), BitcoinNetwork::Regtest, clock);
        let wanted = Wanted {
            payment_hash: Preimage::from_bytes(PREIMAGE).hash(),
            amount: Msat::new(10_000),
            handle: None,
        };
        let state_told = receiver.look_up(&wanted).await;
        assert_eq!(state_told == Ok(state), believed, "{told}");
    }
}

/// What a payment comes to, and how often the backend was asked to pay.
async fn pay(invoice: &str, pay: PayReport, track: Option<PayReport>) -> (PayOutcome, usize) {
    let backend = Arc::new(Scripted {
        pay: Mutex::new(Some(pay)),
        track: Mutex::new(track),
        ..Scripted::default()
    });
    let clock = Arc::new(|| Timestamp::from_secs(NOW));
    let sender = Sender::new(backend.clone(), BitcoinNetwork::Regtest, clock).unwrap();
    let order = PayOrder {
        invoice: Bolt11::parse(invoice).unwrap(),
        fee_max: Msat::new(1_000),
        time_limit: Duration::from_secs(1),
    };
    let outcome = sender.pay(&order).await;
    (outcome, backend.asked.load(Ordering::Relaxed))
}

fn paid(bytes: [u8; 32]) -> PayReport {
    PayReport::Paid {
        preimage: Some(Preimage::from_bytes(bytes)),
        fee: None,
    }
}

#[tokio::test]
async fn only_the_right_preimage_is_a_payment() {
    let (outcome, _) = pay(&good(), paid(PREIMAGE), None).await;
    let PayOutcome::Paid(right) = outcome else {
        panic!("{outcome:?}");
    };
    assert_eq!(right.preimage.expose(), &PREIMAGE);

    let no_preimage = PayReport::Paid {
        preimage: None,
        fee: None,
    };
    for (report, code) in [
        (paid([6; 32]), Code::LightningAnswerInvalid),
        (no_preimage, Code::LightningPreimageMissing),
        (PayReport::Pending, Code::LightningPaymentPending),
        (PayReport::NotFound, Code::LightningPaymentNotFound),
        (
            PayReport::Unclear(Code::LightningUnavailable),
            Code::LightningUnavailable,
        ),
    ] {
        let (outcome, _) = pay(&good(), report, None).await;
        assert_eq!(outcome, PayOutcome::Unknown(code));
    }
}

#[tokio::test]
async fn a_repeated_payment_is_what_became_of_the_first() {
    let failed = || PayReport::Failed(Refusal::new(Code::LightningNoRoute));
    let repeated = || PayReport::Repeated;
    let (outcome, _) = pay(&good(), repeated(), Some(paid(PREIMAGE))).await;
    assert!(matches!(outcome, PayOutcome::Paid(_)));
    let (outcome, _) = pay(&good(), repeated(), Some(failed())).await;
    assert!(matches!(outcome, PayOutcome::Failed(_)));
    let (outcome, _) = pay(&good(), repeated(), Some(PayReport::NotFound)).await;
    assert!(matches!(outcome, PayOutcome::Unknown(_)));
    // That the question is refused says nothing about the payment.
    let refused = PayReport::Refused(Refusal::new(Code::LightningUnauthorized));
    let (outcome, _) = pay(&good(), repeated(), Some(refused)).await;
    assert_eq!(outcome, PayOutcome::Unknown(Code::LightningUnauthorized));
}

#[tokio::test]
async fn what_must_not_be_paid_is_not_sent() {
    for (invoice, code) in [
        (
            invoice(Currency::Bitcoin, Some(10_000), NOW, 600),
            Code::InvoiceUnusable,
        ),
        (
            invoice(Currency::Regtest, None, NOW, 600),
            Code::InvoiceUnusable,
        ),
        (
            invoice(Currency::Regtest, Some(10_000), NOW - 600, 600),
            Code::InvoiceExpired,
        ),
    ] {
        let (outcome, asked) = pay(&invoice, paid(PREIMAGE), None).await;
        let PayOutcome::Refused(refusal) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!((refusal.code, asked), (code, 0));
    }
}

#[test]
fn a_backend_without_preimages_is_no_wallet() {
    let backend = Scripted {
        preimage: false,
        ..Scripted::default()
    };
    let clock = Arc::new(|| Timestamp::from_secs(NOW));
    let sender = Sender::new(Arc::new(backend), BitcoinNetwork::Regtest, clock);
    assert_eq!(
        sender.map(drop).unwrap_err().code,
        Code::LightningUnsupported
    );
}
