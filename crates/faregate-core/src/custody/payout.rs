//! Paying owners: recorded, then sent, once; what is unknown is asked about.

use alloy_primitives::U256;
use faregate_ledger::{Balance, Claimed, Payment, PaymentState, Step};
use faregate_types::lightning::{Bolt11, LightningAddress, Msat};
use faregate_types::{Code, Fingerprint, PaymentId, Refusal};

use super::entry::{self, Kind};
use super::{Custody, CustodyRules, Paid};
use crate::crash::{self, Point};
use crate::port::lightning::{InvoiceAsk, PayOrder, PayOutcome, Receiver, UNSUPPORTED};
use crate::port::{Away, SettleOutcome, Settlement, Trail as _};

/// How long the owner's invoice should be good for, where the wallet lets that be chosen.
const EXPIRY_SECS: u32 = 600;

const MSAT_PER_SAT: u64 = 1_000;

/// What is paid out of an owner's account now: whole satoshis, and nothing while another payout has not ended.
pub(super) fn amount(balance: &Balance, rules: &CustodyRules) -> Option<Msat> {
    if balance.debits_pending != U256::ZERO {
        return None;
    }
    let owed = balance.credits_posted.checked_sub(balance.debits_posted)?;
    let owed = u64::try_from(owed).unwrap_or(u64::MAX);
    let amount = whole_sats(Msat::new(owed).min(rules.payout_max));
    (!amount.is_zero() && amount >= rules.payout_min).then_some(amount)
}

const fn whole_sats(amount: Msat) -> Msat {
    let rest = amount.get() % MSAT_PER_SAT;
    Msat::new(amount.get().saturating_sub(rest))
}

/// Who is paid at most once at the same time.
fn seat(owner: &LightningAddress) -> PaymentId {
    let parts: [&[u8]; 2] = [b"faregate/custody/owner/1", owner.as_str().as_bytes()];
    PaymentId::from_bytes(*Fingerprint::of(&parts).as_bytes())
}

impl Custody {
    /// Pays an owner, unless it is not the time or it is being done. A payout that failed rests, longer each time.
    pub(super) async fn pay_out(&self, owner: LightningAddress, amount: Msat) -> Option<Paid> {
        let seat = seat(&owner);
        if !self.patience.is_due(seat, self.now()) {
            return None;
        }
        let _guard = self.live.enter(seat).ok()?;
        let paid = match self.begin(&owner, amount).await {
            Ok(invoice) => self.send(&invoice).await,
            Err(away) => {
                tracing::warn!(%away, "a payout could not be begun; it is tried again later");
                Paid::Refused
            }
        };
        match paid {
            Paid::Out => self.patience.forget(seat),
            Paid::Failed | Paid::Refused | Paid::Unknown => self.patience.rest(seat, self.now()),
        }
        Some(paid)
    }

    /// An invoice of the owner's wallet, with the payout recorded under it.
    async fn begin(&self, owner: &LightningAddress, amount: Msat) -> Result<Bolt11, Away> {
        // Between the list and the guard another payout may have been made.
        let account = entry::owner(owner)?;
        let balance = self.accounts.balance(account, self.asset()).await;
        let balance = balance.map_err(|_| Away {
            code: Code::StoreUnavailable,
        })?;
        if self::amount(&balance, &self.rules).is_none_or(|now| now < amount) {
            return Err(UNSUPPORTED);
        }
        let invoice = match self.ask(owner, amount).await {
            // Perhaps more than the wallet takes at once: then it gets the least that is paid out.
            Err(away) if away == UNSUPPORTED => self.ask(owner, self.least()).await?,
            asked => asked?,
        };
        let paid = invoice.amount().ok_or(UNSUPPORTED)?;
        let claim = entry::payout(&invoice, paid, owner, self.now())?;
        match self.books.claim(claim).await? {
            Claimed::Won => Ok(invoice),
            _ => {
                tracing::error!("an owner's wallet gave an invoice that it gave before");
                Err(crate::port::lightning::ANSWER_INVALID)
            }
        }
    }

    fn least(&self) -> Msat {
        whole_sats(self.rules.payout_min.max(Msat::new(MSAT_PER_SAT)))
    }

    /// The receiver checks network, amount and expiry; the backend, that the invoice is for this address.
    async fn ask(&self, owner: &LightningAddress, amount: Msat) -> Result<Bolt11, Away> {
        let wallet = self.wallets.addresses.wallet(owner)?;
        let network = self.wallets.sender.network();
        let wallet = Receiver::new(wallet, network, self.books.clock());
        let ask = InvoiceAsk {
            amount,
            description: self.rules.description.clone(),
            expiry_secs: EXPIRY_SECS,
        };
        Ok(wallet.create(&ask).await?.bolt11().clone())
    }

    /// Sends what was recorded. It is on record as sent before it is.
    async fn send(&self, invoice: &Bolt11) -> Paid {
        let hash = invoice.payment_hash();
        let trail = self.books.trail(Kind::Payout.id(&hash));
        if let Err(away) = trail.broadcast(&hash.to_string()).await {
            tracing::error!(%away, "a payout could not be recorded as sent; it is not sent");
            return Paid::Unknown;
        }
        let amount = invoice.amount().unwrap_or_default();
        let order = PayOrder {
            invoice: invoice.clone(),
            fee_max: self.rules.routing_max.fee(amount).unwrap_or_default(),
            time_limit: self.rules.payout_time,
        };
        let outcome = self.wallets.sender.pay(&order).await;
        self.record(invoice, outcome).await
    }

    /// Asks what became of a payout that nobody here is working on.
    pub(super) async fn follow(&self, listed: &Payment) -> Option<Paid> {
        let owner = entry::address(&listed.claim.transfer.debit)?;
        let _guard = self.live.enter(seat(&owner)).ok()?;
        // It may have ended between the list and the guard.
        let payout = self.books.payment(listed.claim.id).await.ok()??;
        let invoice = entry::invoice(&payout)?;
        match payout.state {
            // Whoever recorded it is gone, and would have recorded that it was sent before sending it.
            PaymentState::Reserved => {
                let never_sent = Refusal::new(Code::LightningPaymentFailed);
                Some(self.record(&invoice, PayOutcome::Failed(never_sent)).await)
            }
            PaymentState::Broadcast => {
                let outcome = self.wallets.sender.track(&invoice).await;
                Some(self.record(&invoice, outcome).await)
            }
            PaymentState::Settled | PaymentState::Failed | PaymentState::Released => None,
        }
    }

    /// Writes down how it ended, if that is known.
    async fn record(&self, invoice: &Bolt11, outcome: PayOutcome) -> Paid {
        let hash = invoice.payment_hash();
        let (paid, end) = match outcome {
            PayOutcome::Paid(paid) => {
                crash::point(Point::InvoicePaid);
                // What the way cost comes first: nobody asks about a payout that has ended.
                if let Err(away) = self.record_way(invoice, paid.fee.unwrap_or_default()).await {
                    tracing::error!(%away, "what the way of a payout cost could not be recorded");
                    return Paid::Unknown;
                }
                let settlement = Settlement {
                    transaction: Some(hash.to_string().into()),
                    payer: None,
                };
                (Paid::Out, SettleOutcome::Settled(settlement))
            }
            // An invoice is given to the wallet once, so what it does not take was never sent.
            PayOutcome::Failed(refusal) | PayOutcome::Refused(refusal) => {
                let code = refusal.code.as_str();
                tracing::warn!(code, "a payout failed; what it was for is owed as before");
                (Paid::Failed, SettleOutcome::Failed(refusal))
            }
            PayOutcome::Unknown(code) => {
                let code = code.as_str();
                tracing::warn!(code, "what became of a payout is not known yet");
                return Paid::Unknown;
            }
        };
        crash::point(Point::ReceiptSeen);
        if let Err(away) = self.books.record(Kind::Payout.id(&hash), &end).await {
            tracing::error!(%away, "how a payout ended could not be recorded; it is asked about again");
            return Paid::Unknown;
        }
        crash::point(Point::OutcomeRecorded);
        paid
    }

    async fn record_way(&self, invoice: &Bolt11, cost: Msat) -> Result<(), Away> {
        if cost.is_zero() {
            return Ok(());
        }
        let claim = entry::routing(invoice, cost, self.now())?;
        let id = claim.id;
        // Recorded before, perhaps, by whoever did not come so far as to record the payout.
        self.books.claim(claim).await?;
        let transaction = Some(invoice.payment_hash().to_string().into());
        self.books.advance(id, Step::Settle { transaction }).await
    }
}

#[cfg(test)]
mod tests {
    use faregate_types::AssetId;
    use faregate_types::lightning::BitcoinNetwork;

    use super::*;

    #[test]
    fn what_is_paid_out() {
        let rules = CustodyRules {
            payout_min: Msat::new(10_000),
            payout_max: Msat::new(50_500),
            ..CustodyRules::default()
        };
        // credits, debits, debits on their way, paid out
        for (credits, debits, pending, expected) in [
            (0_u64, 0_u64, 0_u64, None),
            (9_999, 0, 0, None),
            (10_999, 0, 0, Some(10_000)),
            (30_999, 20_000, 0, Some(10_000)),
            (30_999, 20_999, 1, None),
            (1_000_000, 0, 0, Some(50_000)),
            (5, 6, 0, None),
        ] {
            let balance = Balance {
                credits_posted: U256::from(credits),
                debits_posted: U256::from(debits),
                debits_pending: U256::from(pending),
                ..Balance::zero(AssetId::Msat(BitcoinNetwork::Regtest))
            };
            let paid = amount(&balance, &rules).map(Msat::get);
            assert_eq!(paid, expected, "{credits} {debits} {pending}");
        }
    }
}
