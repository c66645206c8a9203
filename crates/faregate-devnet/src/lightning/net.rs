//! The network as a state machine: three wallets, their invoices, payments between them. Time is an argument, and nothing waits.

use std::collections::{BTreeMap, VecDeque};

use faregate_types::lightning::{Bolt11, Msat, PaymentHash};

use super::limits;

/// The wallets there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WalletName {
    /// Who pays.
    Payer,
    /// Who is paid.
    Seller,
    /// For whom somebody else receives; has a Lightning address, `owner@` and the network's host.
    Owner,
}

impl WalletName {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Payer, Self::Seller, Self::Owner];

    /// The lower-case word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Payer => "payer",
            Self::Seller => "seller",
            Self::Owner => "owner",
        }
    }
}

/// What happens to a payment that could be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is made at once.
    Settle,
    /// It stays on its way until [`DevLightning::settle_held`](super::DevLightning::settle_held) or
    /// [`fail_held`](super::DevLightning::fail_held).
    Hold,
    /// It fails: there is no route.
    Fail,
    /// It is made, and whoever asked for it hears nothing.
    LoseAnswer,
}

/// An invoice of one of the wallets.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) owner: WalletName,
    pub(super) text: String,
    pub(super) memo: String,
    pub(super) amount: Msat,
    pub(super) preimage: [u8; 32],
    pub(super) payment_secret: [u8; 32],
    pub(super) created_secs: u64,
    pub(super) expiry_secs: u64,
    pub(super) private: bool,
    pub(super) add_index: u64,
    pub(super) settle_index: u64,
    pub(super) settled_secs: u64,
    pub(super) state: EntryState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EntryState {
    Open,
    /// A payment is on its way.
    Accepted,
    Settled,
    Cancelled,
}

impl Entry {
    pub(super) const fn is_expired(&self, now: u64) -> bool {
        now >= self.created_secs.saturating_add(self.expiry_secs)
    }
}

/// A payment of one of the wallets.
#[derive(Clone, Debug)]
pub(super) struct Payment {
    pub(super) invoice: String,
    pub(super) payment_hash: PaymentHash,
    pub(super) amount: Msat,
    pub(super) fee: Msat,
    pub(super) created_secs: u64,
    pub(super) index: u64,
    pub(super) state: PaymentState,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PaymentState {
    InFlight,
    Succeeded { preimage: [u8; 32] },
    Failed(Failure),
}

/// Why a payment failed, in the words of LND.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    NoRoute,
    InsufficientBalance,
    /// The payee knows no such open invoice.
    IncorrectDetails,
}

/// Why a payment is not even begun. The texts are LND's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum PayRefusal {
    #[error("invoice is already paid")]
    AlreadyPaid,
    #[error("payment is in transition")]
    InTransition,
    #[error("invoice expired")]
    Expired,
    #[error("self-payments not allowed")]
    SelfPayment,
    #[error("amount must be specified when paying a zero amount invoice")]
    NoAmount,
    #[error("invoice not for current active network 'regtest'")]
    OtherNetwork,
}

/// What a wallet has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Funds {
    pub(super) balance: Msat,
    /// Of a payment on its way: no longer in the balance, not yet anywhere else.
    pub(super) in_flight: Msat,
}

/// The fees payments cost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fees {
    pub(super) base: Msat,
    pub(super) ppm: u64,
}

#[derive(Debug)]
pub(super) struct Net {
    funds: [Funds; 3],
    fees: Fees,
    /// What the network between the wallets earned.
    earned: Msat,
    invoices: BTreeMap<PaymentHash, Entry>,
    invoice_order: VecDeque<PaymentHash>,
    payments: BTreeMap<(WalletName, PaymentHash), Payment>,
    payment_order: VecDeque<(WalletName, PaymentHash)>,
    fates: VecDeque<Fate>,
    indices: u64,
    settlements: u64,
}

/// What came of beginning a payment.
#[derive(Debug)]
pub(super) struct Begun {
    /// The invoice that is settled by it, if one is.
    pub(super) settled: Option<Entry>,
    /// Whether the one who asked hears of it.
    pub(super) heard: bool,
}

impl Net {
    pub(super) fn new(balance: Msat, fees: Fees) -> Self {
        let funds = Funds {
            balance,
            in_flight: Msat::ZERO,
        };
        Self {
            funds: [funds; 3],
            fees,
            earned: Msat::ZERO,
            invoices: BTreeMap::new(),
            invoice_order: VecDeque::new(),
            payments: BTreeMap::new(),
            payment_order: VecDeque::new(),
            fates: VecDeque::new(),
            indices: 0,
            settlements: 0,
        }
    }

    pub(super) const fn funds(&self, wallet: WalletName) -> Funds {
        let [payer, seller, owner] = self.funds;
        match wallet {
            WalletName::Payer => payer,
            WalletName::Seller => seller,
            WalletName::Owner => owner,
        }
    }

    const fn funds_mut(&mut self, wallet: WalletName) -> &mut Funds {
        let [payer, seller, owner] = &mut self.funds;
        match wallet {
            WalletName::Payer => payer,
            WalletName::Seller => seller,
            WalletName::Owner => owner,
        }
    }

    /// Everything there is, which never changes.
    #[cfg(test)]
    pub(super) fn total(&self) -> Msat {
        let parts = WalletName::ALL.map(|wallet| self.funds(wallet));
        parts.iter().fold(self.earned, |sum, funds| {
            let sum = sum.checked_add(funds.balance).unwrap();
            sum.checked_add(funds.in_flight).unwrap()
        })
    }

    /// Puts money into a wallet, as far as it fits.
    pub(super) fn set_balance(&mut self, wallet: WalletName, balance: Msat) {
        self.funds_mut(wallet).balance = balance;
    }

    pub(super) fn line_up(&mut self, fates: impl IntoIterator<Item = Fate>) {
        self.fates.extend(fates);
        self.fates.truncate(limits::FATES_MAX);
    }

    /// Takes an invoice in and answers its number; `None` when there is one with this hash.
    pub(super) fn add_invoice(&mut self, hash: PaymentHash, mut entry: Entry) -> Option<u64> {
        if self.invoices.contains_key(&hash) {
            return None;
        }
        self.forget_invoices();
        self.indices = self.indices.saturating_add(1);
        entry.add_index = self.indices;
        self.invoices.insert(hash, entry);
        self.invoice_order.push_back(hash);
        Some(self.indices)
    }

    fn forget_invoices(&mut self) {
        let mut looks = self.invoice_order.len();
        while self.invoices.len() >= limits::INVOICES_KEPT_MAX && looks > 0 {
            looks = looks.saturating_sub(1);
            let Some(oldest) = self.invoice_order.pop_front() else {
                return;
            };
            match self.invoices.get(&oldest).map(|entry| entry.state) {
                Some(EntryState::Accepted) => self.invoice_order.push_back(oldest),
                _ => drop(self.invoices.remove(&oldest)),
            }
        }
    }

    /// An invoice of a wallet. Those of the other one are not its business.
    pub(super) fn invoice(&self, owner: WalletName, hash: &PaymentHash) -> Option<&Entry> {
        self.invoices.get(hash).filter(|entry| entry.owner == owner)
    }

    /// Calls an invoice off. `false` when it is paid or being paid, or there is none.
    pub(super) fn cancel(&mut self, owner: WalletName, hash: &PaymentHash) -> bool {
        match self.invoices.get_mut(hash) {
            Some(entry) if entry.owner == owner && entry.state == EntryState::Open => {
                entry.state = EntryState::Cancelled;
                true
            }
            _ => false,
        }
    }

    pub(super) fn payment(&self, payer: WalletName, hash: &PaymentHash) -> Option<&Payment> {
        self.payments.get(&(payer, *hash))
    }

    /// Begins to pay an invoice; unless it is held, it is over when this returns.
    pub(super) fn pay(
        &mut self,
        payer: WalletName,
        invoice: &Bolt11,
        fee_max: Msat,
        now: u64,
    ) -> Result<Begun, PayRefusal> {
        let hash = invoice.payment_hash();
        let amount = self.check(payer, invoice, now)?;
        let mut payment = Payment {
            invoice: invoice.as_str().to_owned(),
            payment_hash: hash,
            amount,
            fee: self.fee(amount).unwrap_or_default(),
            created_secs: now,
            index: 0,
            state: PaymentState::InFlight,
        };
        let fate = match self.way(payer, &payment, fee_max) {
            Ok(()) => self.fates.pop_front().unwrap_or(Fate::Settle),
            Err(failure) => {
                payment.state = PaymentState::Failed(failure);
                Fate::Fail
            }
        };
        if fate == Fate::Fail {
            if payment.state == PaymentState::InFlight {
                payment.state = PaymentState::Failed(Failure::NoRoute);
            }
            self.keep_payment(payer, payment);
            return Ok(Begun {
                settled: None,
                heard: true,
            });
        }
        self.take(payer, &payment);
        self.keep_payment(payer, payment);
        if let Some(entry) = self.invoices.get_mut(&hash) {
            entry.state = EntryState::Accepted;
        }
        let settled = match fate {
            Fate::Hold => None,
            _ => self.end(payer, hash, Ok(()), now),
        };
        Ok(Begun {
            settled,
            heard: fate != Fate::LoseAnswer,
        })
    }

    /// What is refused before anything is begun.
    fn check(&self, payer: WalletName, invoice: &Bolt11, now: u64) -> Result<Msat, PayRefusal> {
        if invoice.network() != faregate_types::lightning::BitcoinNetwork::Regtest {
            return Err(PayRefusal::OtherNetwork);
        }
        let hash = invoice.payment_hash();
        match self.payment(payer, &hash).map(|payment| payment.state) {
            Some(PaymentState::InFlight) => return Err(PayRefusal::InTransition),
            Some(PaymentState::Succeeded { .. }) => return Err(PayRefusal::AlreadyPaid),
            Some(PaymentState::Failed(_)) | None => {}
        }
        let amount = invoice.amount().filter(|amount| !amount.is_zero());
        let amount = amount.ok_or(PayRefusal::NoAmount)?;
        if now >= invoice.expires_at().as_secs() {
            return Err(PayRefusal::Expired);
        }
        if self.invoice(payer, &hash).is_some() {
            return Err(PayRefusal::SelfPayment);
        }
        Ok(amount)
    }

    /// Whether there is a way to the payee.
    fn way(&self, payer: WalletName, payment: &Payment, fee_max: Msat) -> Result<(), Failure> {
        let amount = payment.amount;
        let fee = self.fee(amount).ok_or(Failure::NoRoute)?;
        let cost = amount.checked_add(fee).ok_or(Failure::NoRoute)?;
        if cost > self.funds(payer).balance {
            return Err(Failure::InsufficientBalance);
        }
        if fee > fee_max {
            return Err(Failure::NoRoute);
        }
        match self.invoices.get(&payment.payment_hash) {
            None => Err(Failure::NoRoute),
            Some(entry) if entry.state == EntryState::Open && entry.amount == amount => Ok(()),
            Some(_) => Err(Failure::IncorrectDetails),
        }
    }

    /// What a payment of this amount costs.
    pub(super) fn fee(&self, amount: Msat) -> Option<Msat> {
        let share = u128::from(amount.get()).checked_mul(u128::from(self.fees.ppm))?;
        let share = u64::try_from(share.checked_div(1_000_000)?).ok()?;
        self.fees.base.checked_add(Msat::new(share))
    }

    /// Takes the money of a payment out of the balance.
    fn take(&mut self, payer: WalletName, payment: &Payment) {
        let funds = self.funds_mut(payer);
        // Both fit: it was looked at before, and all money together is far below 2^64.
        if let Some(cost) = payment.amount.checked_add(payment.fee)
            && let Some(balance) = funds.balance.checked_sub(cost)
            && let Some(in_flight) = funds.in_flight.checked_add(cost)
        {
            *funds = Funds { balance, in_flight };
        }
    }

    fn keep_payment(&mut self, payer: WalletName, mut payment: Payment) {
        self.forget_payments();
        self.indices = self.indices.saturating_add(1);
        payment.index = self.indices;
        let key = (payer, payment.payment_hash);
        if self.payments.insert(key, payment).is_none() {
            self.payment_order.push_back(key);
        }
    }

    fn forget_payments(&mut self) {
        let mut looks = self.payment_order.len();
        while self.payments.len() >= limits::PAYMENTS_KEPT_MAX && looks > 0 {
            looks = looks.saturating_sub(1);
            let Some(oldest) = self.payment_order.pop_front() else {
                return;
            };
            match self.payments.get(&oldest).map(|payment| payment.state) {
                Some(PaymentState::InFlight) => self.payment_order.push_back(oldest),
                _ => drop(self.payments.remove(&oldest)),
            }
        }
    }

    /// Ends a payment on its way. Answers the invoice that is settled by it.
    fn end(
        &mut self,
        payer: WalletName,
        hash: PaymentHash,
        end: Result<(), Failure>,
        now: u64,
    ) -> Option<Entry> {
        let payment = self.payments.get(&(payer, hash))?.clone();
        let cost = payment.amount.checked_add(payment.fee)?;
        let funds = self.funds_mut(payer);
        funds.in_flight = funds.in_flight.checked_sub(cost)?;
        let (state, settled) = match end {
            Ok(()) => {
                let entry = self.settle(&hash, payment.fee, now)?;
                let state = PaymentState::Succeeded {
                    preimage: entry.preimage,
                };
                (state, Some(entry))
            }
            Err(failure) => {
                funds.balance = funds.balance.checked_add(cost)?;
                self.reopen(&hash);
                (PaymentState::Failed(failure), None)
            }
        };
        self.payments.get_mut(&(payer, hash))?.state = state;
        settled
    }

    fn settle(&mut self, hash: &PaymentHash, fee: Msat, now: u64) -> Option<Entry> {
        let entry = self.invoices.get_mut(hash)?;
        self.settlements = self.settlements.saturating_add(1);
        entry.state = EntryState::Settled;
        entry.settle_index = self.settlements;
        entry.settled_secs = now;
        let entry = entry.clone();
        let funds = self.funds_mut(entry.owner);
        funds.balance = funds.balance.checked_add(entry.amount)?;
        self.earned = self.earned.checked_add(fee)?;
        Some(entry)
    }

    fn reopen(&mut self, hash: &PaymentHash) {
        if let Some(entry) = self.invoices.get_mut(hash)
            && entry.state == EntryState::Accepted
        {
            entry.state = EntryState::Open;
        }
    }

    /// Ends everything that is held. Answers the invoices that are settled.
    pub(super) fn release(&mut self, settle: bool, now: u64) -> Vec<Entry> {
        let held: Vec<_> = self
            .payments
            .iter()
            .filter(|(_, payment)| payment.state == PaymentState::InFlight)
            .map(|(key, _)| *key)
            .collect();
        held.into_iter()
            .filter_map(|(payer, hash)| {
                let end = if settle {
                    Ok(())
                } else {
                    Err(Failure::NoRoute)
                };
                self.end(payer, hash, end, now)
            })
            .collect()
    }
}
