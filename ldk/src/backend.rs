//! The node as a wallet: what `faregate_core::port::lightning` asks of one.

use std::str::FromStr as _;
use std::sync::Arc;
use std::time::SystemTime;

use faregate_core::port::Away;
use faregate_core::port::lightning::{
    FeeCap, InvoiceAsk, InvoiceState, MadeInvoice, PayOrder, PayReport, ReceiveAbilities,
    ReceiveBackend, SendAbilities, SendBackend, SettledStream, UNAVAILABLE, UNSUPPORTED, Wanted,
};
use faregate_types::lightning::{Msat, PaymentHash, Preimage};
use faregate_types::{Code, Refusal, Timestamp};
use futures_util::future::BoxFuture;
use futures_util::stream;
use ldk_node::NodeError;
use ldk_node::lightning::ln::channelmanager::PaymentId;
use ldk_node::lightning::routing::router::RouteParametersConfig;
use ldk_node::lightning_invoice::{Bolt11Invoice, Bolt11InvoiceDescription, Description};
use ldk_node::payment::{PaymentDetails, PaymentDirection, PaymentKind, PaymentStatus};
use tokio::sync::broadcast::error::RecvError;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout_at};

use crate::journal::{Begun, Sent};
use crate::limits;
use crate::node::Running;

/// A wallet on a running node.
#[derive(Clone)]
pub(crate) struct Wallet {
    pub(crate) running: Arc<Running>,
}

/// The database did not do what it was asked to.
const BROKEN: PayReport = PayReport::Unclear(Code::LightningUnavailable);

impl Wallet {
    /// What the node's own list says of a payment in this direction.
    fn listed(&self, hash: &PaymentHash, direction: PaymentDirection) -> Option<PaymentDetails> {
        let payment = self.running.node.payment(&PaymentId(*hash.as_bytes()))?;
        (payment.direction == direction).then_some(payment)
    }

    /// Calls what blocks.
    async fn blocking<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Self) -> T + Send + 'static,
    ) -> Option<T> {
        let wallet = self.clone();
        spawn_blocking(move || act(&wallet)).await.ok()
    }

    fn make(&self, ask: &InvoiceAsk) -> Result<MadeInvoice, Away> {
        let description = Description::new(ask.description.to_string()).map_err(|_| UNSUPPORTED)?;
        let description = Bolt11InvoiceDescription::Direct(description);
        let made = self.running.node.bolt11_payment();
        let made = made.receive(ask.amount.get(), &description, ask.expiry_secs);
        let invoice = made.map_err(|error| {
            tracing::warn!(%error, "the Lightning node makes no invoice");
            UNAVAILABLE
        })?;
        Ok(MadeInvoice {
            invoice: invoice.to_string().into(),
            handle: None,
        })
    }

    fn state(&self, hash: &PaymentHash) -> InvoiceState {
        let Some(payment) = self.listed(hash, PaymentDirection::Inbound) else {
            return InvoiceState::Unknown;
        };
        match payment.status {
            PaymentStatus::Succeeded => InvoiceState::Paid {
                amount: payment.amount_msat.map(Msat::new),
            },
            PaymentStatus::Pending => InvoiceState::Open,
            PaymentStatus::Failed => InvoiceState::Cancelled,
        }
    }

    async fn send(&self, order: &PayOrder) -> PayReport {
        let until = Instant::now().checked_add(order.time_limit.saturating_add(limits::PAY_GRACE));
        let mut ended = self.running.ended.subscribe();
        self.running.peers().await;
        let copy = order.clone();
        let begun = self.blocking(move |wallet| wallet.hand_over(&copy)).await;
        match begun {
            Some(Ok(())) => {}
            Some(Err(report)) => return report,
            None => return BROKEN,
        }
        let Some(until) = until else { return BROKEN };
        let hash = order.invoice.payment_hash();
        loop {
            match self.ask(&hash).await {
                PayReport::Pending => {}
                report => return report,
            }
            if !matches!(timeout_at(until, ended.changed()).await, Ok(Ok(()))) {
                return PayReport::Pending;
            }
        }
    }

    /// Hands a payment to LDK, unless it may have it.
    fn hand_over(&self, order: &PayOrder) -> Result<(), PayReport> {
        let refused = |code| PayReport::Refused(Refusal::new(code));
        let invoice = Bolt11Invoice::from_str(order.invoice.as_str())
            .map_err(|_| refused(Code::InvoiceUnusable))?;
        let hash = order.invoice.payment_hash();
        let journal = &self.running.journal;
        let begun = journal.begin(&hash, order.invoice.expires_at());
        let begun = begun.map_err(|error| {
            tracing::error!(%error, "a Lightning payment could not be written down");
            // Nothing was sent by this call.
            refused(Code::LightningUnavailable)
        })?;
        let is_new = match begun {
            Begun::New => true,
            // Whether LDK has it, LDK knows: it refuses to pay what it still has.
            Begun::Known(Sent::Begun { .. }) => false,
            Begun::Known(Sent::Paid { .. } | Sent::Failed { .. }) => {
                return Err(PayReport::Repeated);
            }
        };
        if self.listed(&hash, PaymentDirection::Outbound).is_some() {
            return Err(PayReport::Repeated);
        }
        let route =
            RouteParametersConfig::default().with_max_total_routing_fee_msat(order.fee_max.get());
        let sent = self
            .running
            .node
            .bolt11_payment()
            .send(&invoice, Some(route));
        let unheard = |code| {
            // Only what this call wrote down may be taken back by it.
            if is_new && let Err(error) = journal.forget(&hash) {
                tracing::error!(%error, "a payment that was not made is still written down");
            }
            refused(code)
        };
        sent.map(|_| ()).map_err(|error| match error {
            NodeError::DuplicatePayment => PayReport::Repeated,
            NodeError::InvalidInvoice | NodeError::InvalidAmount => unheard(Code::InvoiceUnusable),
            NodeError::NotRunning => unheard(Code::LightningUnavailable),
            // LDK found no way before it sent anything, and has no such payment.
            NodeError::PaymentSendingFailed => self.no_way(order, &hash),
            _ => {
                tracing::error!(%error, "the Lightning node may have sent a payment");
                BROKEN
            }
        })
    }

    fn no_way(&self, order: &PayOrder, hash: &PaymentHash) -> PayReport {
        let channels = self.running.node.list_channels();
        let can_send = channels
            .iter()
            .filter(|channel| channel.is_usable)
            .fold(0_u64, |sum, channel| {
                sum.saturating_add(channel.outbound_capacity_msat)
            });
        let amount = order.invoice.amount().map_or(0, Msat::get);
        let code = if can_send < amount {
            Code::InsufficientFunds
        } else {
            Code::LightningNoRoute
        };
        if let Err(error) = self.running.journal.failed(hash, code.as_str()) {
            tracing::error!(%error, "the end of a Lightning payment could not be written down");
            return BROKEN;
        }
        PayReport::Failed(Refusal::new(code))
    }

    async fn ask(&self, hash: &PaymentHash) -> PayReport {
        let hash = *hash;
        let told = self.blocking(move |wallet| wallet.told(&hash, SystemTime::now()));
        told.await.unwrap_or(BROKEN)
    }

    /// What is known of a payment.
    fn told(&self, hash: &PaymentHash, now: SystemTime) -> PayReport {
        let written = match self.running.journal.look_up(hash) {
            Ok(written) => written,
            Err(error) => {
                tracing::error!(%error, "what became of a Lightning payment cannot be read");
                return BROKEN;
            }
        };
        let expires_at = match written {
            Some(Sent::Paid { preimage, fee }) => {
                return PayReport::Paid {
                    preimage: Some(Preimage::from_bytes(preimage)),
                    fee: fee.map(Msat::new),
                };
            }
            Some(Sent::Failed { why }) => return PayReport::Failed(failure(&why)),
            Some(Sent::Begun { expires_at }) => Some(expires_at),
            None => None,
        };
        let Some(payment) = self.listed(hash, PaymentDirection::Outbound) else {
            return expires_at.map_or(PayReport::NotFound, |at| unlisted(at, Timestamp::from(now)));
        };
        match (payment.status, payment.kind) {
            (PaymentStatus::Pending, _) => PayReport::Pending,
            (PaymentStatus::Failed, _) => PayReport::Failed(failure("")),
            (PaymentStatus::Succeeded, PaymentKind::Bolt11 { preimage, .. }) => PayReport::Paid {
                preimage: preimage.map(|preimage| Preimage::from_bytes(preimage.0)),
                fee: payment.fee_paid_msat.map(Msat::new),
            },
            (PaymentStatus::Succeeded, _) => PayReport::Unclear(Code::LightningPreimageMissing),
        }
    }
}

/// A payment that was begun and that the node does not list: the process died in between. While the invoice can be paid,
/// paying it again is the question that LDK answers; afterwards only an event can, as long as the payment could be on its way.
fn unlisted(expires_at: Timestamp, now: Timestamp) -> PayReport {
    let flies_until = expires_at.checked_add_secs(limits::FLIGHT_SECS_MAX);
    let has_landed = flies_until.is_some_and(|until| until < now);
    if now < expires_at || has_landed {
        PayReport::NotFound
    } else {
        PayReport::Pending
    }
}

/// Why a payment failed, in our words.
fn failure(why: &str) -> Refusal {
    let known = [Code::InsufficientFunds, Code::LightningNoRoute];
    let code = known.into_iter().find(|code| code.as_str() == why);
    match (code, why) {
        (Some(code), _) => Refusal::new(code),
        (None, "RouteNotFound") => Refusal::new(Code::LightningNoRoute),
        (None, "") => Refusal::new(Code::LightningPaymentFailed),
        (None, why) => Refusal::new(Code::LightningPaymentFailed).detail(why),
    }
}

impl ReceiveBackend for Wallet {
    fn abilities(&self) -> ReceiveAbilities {
        ReceiveAbilities {
            look_up: true,
            subscribe: true,
            sets_expiry: true,
            unit: Msat::new(1),
        }
    }

    fn create<'a>(&'a self, ask: &'a InvoiceAsk) -> BoxFuture<'a, Result<MadeInvoice, Away>> {
        let ask = ask.clone();
        Box::pin(async move {
            let made = self.blocking(move |wallet| wallet.make(&ask)).await;
            made.unwrap_or(Err(UNAVAILABLE))
        })
    }

    fn look_up<'a>(&'a self, wanted: &'a Wanted) -> BoxFuture<'a, Result<InvoiceState, Away>> {
        let hash = wanted.payment_hash;
        Box::pin(async move {
            let state = self.blocking(move |wallet| wallet.state(&hash)).await;
            state.ok_or(UNAVAILABLE)
        })
    }

    fn settled(&self) -> BoxFuture<'_, Result<SettledStream, Away>> {
        let listening = Some(self.running.settled.subscribe());
        let told = stream::unfold(listening, |listening| async {
            let mut listening = listening?;
            match listening.recv().await {
                Ok(settled) => Some((Ok(settled), Some(listening))),
                Err(RecvError::Lagged(_)) => Some((Err(UNAVAILABLE), None)),
                Err(RecvError::Closed) => None,
            }
        });
        Box::pin(std::future::ready(Ok(Box::pin(told) as SettledStream)))
    }
}

impl SendBackend for Wallet {
    fn abilities(&self) -> SendAbilities {
        SendAbilities {
            track: true,
            preimage: true,
            pays_once: true,
            fee_cap: FeeCap::Enforced,
        }
    }

    fn pay<'a>(&'a self, order: &'a PayOrder) -> BoxFuture<'a, PayReport> {
        Box::pin(self.send(order))
    }

    fn track<'a>(&'a self, payment_hash: &'a PaymentHash) -> BoxFuture<'a, PayReport> {
        Box::pin(self.ask(payment_hash))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payment_that_may_be_on_its_way_is_pending_until_it_must_have_landed() {
        let at = Timestamp::from_secs;
        let expires_at = at(1_000_000);
        let landed = 1_000_000 + limits::FLIGHT_SECS_MAX;
        for (now, report) in [
            (999_999, PayReport::NotFound),
            (1_000_000, PayReport::Pending),
            (landed, PayReport::Pending),
            (landed + 1, PayReport::NotFound),
        ] {
            assert_eq!(unlisted(expires_at, at(now)), report, "{now}");
        }
    }

    #[test]
    fn what_a_failure_is_called() {
        for (why, code) in [
            ("insufficient_funds", Code::InsufficientFunds),
            ("lightning_no_route", Code::LightningNoRoute),
            ("RouteNotFound", Code::LightningNoRoute),
            ("RetriesExhausted", Code::LightningPaymentFailed),
            ("", Code::LightningPaymentFailed),
        ] {
            assert_eq!(failure(why).code, code, "{why}");
        }
    }
}
