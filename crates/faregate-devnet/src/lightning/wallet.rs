//! A wallet of the dev network, used in process.

use std::sync::Arc;

use faregate_core::port::Away;
use faregate_core::port::lightning::{
    ANSWER_INVALID, FeeCap, InvoiceAsk, InvoiceState, MadeInvoice, PayOrder, PayReport,
    ReceiveAbilities, ReceiveBackend, SendAbilities, SendBackend, Settled, SettledStream,
    UNAVAILABLE, Wanted,
};
use faregate_types::lightning::{Msat, PaymentHash, Preimage};
use faregate_types::{Code, Refusal};
use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, stream};
use tokio::sync::broadcast;
use tokio::time::{Instant, timeout_at};

use super::devlightning::{Core, NewInvoice};
use super::net::{Entry, EntryState, Failure, PayRefusal, Payment, PaymentState, WalletName};

/// One of the wallets. Makes invoices and pays those of the others.
#[derive(Clone, Debug)]
pub struct DevWallet {
    core: Arc<Core>,
    name: WalletName,
}

impl DevWallet {
    pub(super) const fn new(core: Arc<Core>, name: WalletName) -> Self {
        Self { core, name }
    }

    /// Which of them.
    #[must_use]
    pub const fn name(&self) -> WalletName {
        self.name
    }

    fn report(&self, hash: &PaymentHash) -> PayReport {
        let net = self.core.net();
        net.payment(self.name, hash)
            .map_or(PayReport::NotFound, report)
    }

    async fn paid(&self, order: &PayOrder) -> PayReport {
        let deadline = Instant::now().checked_add(order.time_limit);
        let mut ends = self.core.ends();
        match self.core.pay(self.name, &order.invoice, order.fee_max) {
            Ok(begun) if !begun.heard => return PayReport::Unclear(Code::LightningUnavailable),
            Ok(_) => {}
            Err(refusal) => return refused(refusal),
        }
        let hash = order.invoice.payment_hash();
        loop {
            let report = self.report(&hash);
            if report != PayReport::Pending {
                return report;
            }
            let changed = match deadline {
                Some(deadline) => timeout_at(deadline, ends.changed()).await,
                None => Ok(ends.changed().await),
            };
            if !matches!(changed, Ok(Ok(()))) {
                return PayReport::Pending;
            }
        }
    }
}

fn refused(refusal: PayRefusal) -> PayReport {
    let code = match refusal {
        PayRefusal::AlreadyPaid | PayRefusal::InTransition => return PayReport::Repeated,
        PayRefusal::Expired => Code::InvoiceExpired,
        PayRefusal::SelfPayment | PayRefusal::NoAmount | PayRefusal::OtherNetwork => {
            Code::InvoiceUnusable
        }
    };
    PayReport::Refused(Refusal::new(code).detail(refusal.to_string()))
}

fn report(payment: &Payment) -> PayReport {
    match payment.state {
        PaymentState::InFlight => PayReport::Pending,
        PaymentState::Succeeded { preimage } => PayReport::Paid {
            preimage: Some(Preimage::from_bytes(preimage)),
            fee: Some(payment.fee),
        },
        PaymentState::Failed(failure) => PayReport::Failed(Refusal::new(match failure {
            Failure::NoRoute => Code::LightningNoRoute,
            Failure::InsufficientBalance => Code::InsufficientFunds,
            Failure::IncorrectDetails => Code::LightningPaymentFailed,
        })),
    }
}

impl SendBackend for DevWallet {
    fn abilities(&self) -> SendAbilities {
        SendAbilities {
            track: true,
            preimage: true,
            pays_once: true,
            fee_cap: FeeCap::Enforced,
        }
    }

    fn pay<'a>(&'a self, order: &'a PayOrder) -> BoxFuture<'a, PayReport> {
        Box::pin(self.paid(order))
    }

    fn track<'a>(&'a self, payment_hash: &'a PaymentHash) -> BoxFuture<'a, PayReport> {
        Box::pin(std::future::ready(self.report(payment_hash)))
    }
}

impl ReceiveBackend for DevWallet {
    fn abilities(&self) -> ReceiveAbilities {
        ReceiveAbilities {
            look_up: true,
            subscribe: true,
            sets_expiry: true,
            unit: Msat::new(1),
        }
    }

    fn create<'a>(&'a self, ask: &'a InvoiceAsk) -> BoxFuture<'a, Result<MadeInvoice, Away>> {
        let made = self.core.make(
            self.name,
            NewInvoice {
                msat: ask.amount.get(),
                memo: ask.description.as_ref().to_owned(),
                expiry_secs: u64::from(ask.expiry_secs),
                ..NewInvoice::default()
            },
        );
        let made = made
            .map_err(|_| ANSWER_INVALID)
            .map(|(_, entry)| MadeInvoice {
                invoice: entry.text.into(),
                handle: None,
            });
        Box::pin(std::future::ready(made))
    }

    fn look_up<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Result<InvoiceState, Away>> {
        let net = self.core.net();
        let entry = net.invoice(self.name, &wanted.payment_hash);
        let state = entry.map_or(InvoiceState::Unknown, |entry| state(entry, self.core.now()));
        Box::pin(std::future::ready(Ok(state)))
    }

    fn settled(&self) -> BoxFuture<'_, Result<SettledStream, Away>> {
        let name = self.name;
        let heard = stream::unfold(self.core.listen(), move |mut events| async move {
            loop {
                match events.recv().await {
                    Ok(entry) if entry.owner == name && entry.state == EntryState::Settled => {
                        return Some((Ok(settled(&entry)), events));
                    }
                    Ok(_) => {}
                    Err(broadcast::error::RecvError::Lagged(_)) => {
                        return Some((Err(UNAVAILABLE), events));
                    }
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        });
        Box::pin(std::future::ready(Ok(heard.boxed())))
    }
}

fn settled(entry: &Entry) -> Settled {
    Settled {
        payment_hash: Preimage::from_bytes(entry.preimage).hash(),
        amount: Some(entry.amount),
    }
}

fn state(entry: &Entry, now: u64) -> InvoiceState {
    match entry.state {
        EntryState::Settled => InvoiceState::Paid {
            amount: Some(entry.amount),
        },
        EntryState::Cancelled => InvoiceState::Cancelled,
        EntryState::Accepted => InvoiceState::Open,
        EntryState::Open if entry.is_expired(now) => InvoiceState::Expired,
        EntryState::Open => InvoiceState::Open,
    }
}
