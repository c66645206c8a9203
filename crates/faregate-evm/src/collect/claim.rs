//! A permit and the contract that it is for: what transactions, receipts and logs say about it.
//!
//! The contract logs an EIP-2612 permit and a Permit2 payment of one payer with the same nonce alike. So a log alone proves
//! nothing: either the transaction is a call of the contract with this very permit at a known place, or the chain's state says
//! that the other one was never collected (`stand`).

use alloy_primitives::{Address, LogData, U256};
use alloy_sol_types::{SolCall, SolEvent};
use faregate_core::port::PermitOrder;
use faregate_types::permit::{Permit, Price, Terms};
use faregate_types::{Code, Fingerprint, PaymentId, Refusal, Timestamp, domain_separator};

use crate::bindings::{PermitSettler as Abi, Token};
use crate::facilitator::ExactFacilitator;
use crate::matter::{Matter, Share, Why};
use crate::network::Network;
use crate::node::NodeError;
use crate::permit_settler::{Event, Item, PermitSettler, Reason};
use crate::receipt::{self, Finding, Sender, Spend};
use crate::rpc::{Log, Receipt, Transaction};
use crate::trace::Trace;

/// One permit that is to be collected.
#[derive(Clone, Debug)]
pub(super) struct Claim<'a> {
    pub(super) permit: &'a Permit,
    /// What is asked for it, with the contract as the only payee there is.
    pub(super) price: Price,
    pub(super) settler: PermitSettler,
    clock: &'a ExactFacilitator,
}

impl<'a> Claim<'a> {
    pub(super) fn new(
        order: &'a PermitOrder,
        settler: PermitSettler,
        clock: &'a ExactFacilitator,
    ) -> Self {
        let (asset, amount) = (order.price.asset().clone(), order.price.amount());
        Self {
            permit: &order.permit,
            price: Price::new(asset, amount, settler.address(), settler.address()),
            settler,
            clock,
        }
    }

    /// A claim may wait for long, so it is asked anew each time.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The permit as the contract takes it; `None` when it is for somebody else.
    pub(super) fn item(&self) -> Option<Item> {
        self.settler.item(self.permit).ok()
    }

    /// Everything that makes two orders the same one.
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let domain = &self.price.asset().domain;
        let separator = domain_separator(domain, self.permit.chain, self.permit.terms.token());
        Fingerprint::of(&[
            self.permit.digest(separator).as_slice(),
            &self.permit.signature.to_bytes(),
            self.settler.address().as_slice(),
            &self.price.amount().to_be_bytes::<32>(),
        ])
    }

    /// An EIP-3009 authorization, of which the token itself knows what became.
    pub(super) const fn spend(&self) -> Option<Spend> {
        match self.permit.terms {
            Terms::Erc3009 {
                token,
                authorization,
            } => Some(Spend {
                token,
                authorization,
            }),
            Terms::Eip2612 { .. } | Terms::Permit2 { .. } => None,
        }
    }

    /// The nonce, as the contract has it.
    pub(super) fn nonce(&self) -> U256 {
        match &self.permit.terms {
            Terms::Eip2612 { permit, .. } => permit.nonce,
            Terms::Erc3009 { authorization, .. } => authorization.nonce.into(),
            Terms::Permit2 { transfer, .. } => transfer.nonce,
        }
    }

    /// Whether the contract's log of this nonce, with the whole value moved before it, is among these. Of an EIP-2612 permit
    /// or a Permit2 payment, and only when the log cannot be about the other kind.
    pub(super) fn logged(&self, receipt: &Receipt) -> Finding {
        let (terms, nonce) = (&self.permit.terms, self.nonce());
        let (token, payer) = (terms.token(), terms.payer());
        let (mut moved, mut other) = (false, false);
        for log in &receipt.logs {
            if log.address == token {
                moved |= self.is_transfer(log);
            } else if log.address == self.settler.address() {
                if let Some(Event::Collected {
                    token: of,
                    payer: by,
                    nonce: its,
                    value,
                }) = decode(log)
                    && (of, by, its) == (token, payer, nonce)
                {
                    // A token that lies moves nothing.
                    if moved && value == terms.value() {
                        return Finding::Moved;
                    }
                    other = true;
                }
                moved = false;
            }
        }
        if other {
            Finding::Other
        } else {
            Finding::Absent
        }
    }

    fn is_transfer(&self, log: &Log) -> bool {
        let topics = log.topics.iter().copied();
        let terms = &self.permit.terms;
        Token::Transfer::decode_raw_log(topics, &log.data).is_ok_and(|transfer| {
            transfer.from == terms.payer()
                && transfer.to == self.settler.treasury()
                && transfer.value == terms.value()
        })
    }

    /// The payer has paid, and the token did not let the money go on from the contract: an operator has to know.
    fn tell_of_waiting(&self, receipt: &Receipt) {
        let (settler, token) = (self.settler.address(), self.permit.terms.token());
        let mut logs = receipt.logs.iter().filter(|log| log.address == settler);
        let waits = logs.any(|log| {
            matches!(decode(log), Some(Event::ForwardFailed { token: of, .. }) if of == token)
        });
        if waits {
            tracing::error!(chain = %self.permit.chain, %settler, %token, transaction = %receipt.transaction_hash, "money that was collected waits at the contract, because its token did not let it go to the treasury");
        }
    }

    /// Why the contract did not take this item of a batch.
    fn refused(&self, receipt: &Receipt, sender: Sender) -> Option<Reason> {
        let Sender::Batch { contract, index } = sender else {
            return None;
        };
        let mut logs = receipt.logs.iter().filter(|log| log.address == contract);
        logs.find_map(|log| match decode(log)? {
            Event::ItemFailed {
                index: its, reason, ..
            } if its == U256::from(index) => Some(reason),
            _ => None,
        })
    }
}

fn decode(log: &Log) -> Option<Event> {
    let data = LogData::new(log.topics.clone(), log.data.clone())?;
    Event::decode(&data)
}

impl Matter for Claim<'_> {
    fn id(&self) -> PaymentId {
        self.permit.payment_id()
    }

    fn payer(&self) -> Address {
        self.permit.terms.payer()
    }

    fn share(&self) -> Share {
        let terms = &self.permit.terms;
        Share {
            account: (terms.token(), terms.payer()),
            nonce: match terms {
                Terms::Erc3009 { authorization, .. } => authorization.nonce,
                // Their nonces are small numbers; the payment's id tells them apart.
                Terms::Eip2612 { .. } | Terms::Permit2 { .. } => (*self.id().as_bytes()).into(),
            },
            value: terms.value(),
        }
    }

    fn end(&self) -> U256 {
        let last = match &self.permit.terms {
            Terms::Erc3009 { authorization, .. } => return authorization.valid_before,
            Terms::Eip2612 { permit, .. } => permit.deadline,
            Terms::Permit2 { transfer, .. } => transfer.deadline,
        };
        last.saturating_add(U256::from(1))
    }

    fn carried(&self, _network: &Network, transaction: &Transaction) -> Sender {
        let (contract, input) = (self.settler.address(), &transaction.input);
        let Some(item) = self.item().filter(|_| transaction.to == Some(contract)) else {
            return Sender::Anybody;
        };
        if let Ok(call) = Abi::settleOneCall::abi_decode(input) {
            return match item.is(&call.item) {
                true => Sender::Us,
                false => Sender::Anybody,
            };
        }
        let Ok(call) = Abi::settleCall::abi_decode(input) else {
            return Sender::Anybody;
        };
        let place = call.items.iter().position(|other| item.is(other));
        place.map_or(Sender::Anybody, |index| Sender::Batch { contract, index })
    }

    fn read(&self, receipt: &Receipt, sender: Sender) -> Finding {
        match receipt.status.map(|status| status.to::<u64>()) {
            Some(1) => {}
            Some(0) => return Finding::Reverted,
            Some(_) | None => return Finding::Unclear,
        }
        let refused = self.refused(receipt, sender).is_some();
        match self.spend() {
            // The token's events know each authorization, whoever executed it.
            Some(spend) => match receipt::read(receipt, &spend, Sender::Anybody) {
                Finding::Absent if refused => Finding::Reverted,
                Finding::Moved => {
                    self.tell_of_waiting(receipt);
                    Finding::Moved
                }
                found => found,
            },
            None if refused => Finding::Reverted,
            None if sender == Sender::Anybody => Finding::Absent,
            None => self.logged(receipt),
        }
    }

    async fn look(&self, network: &Network, since: Option<u64>) -> Result<Trace, NodeError> {
        self.stand(network, since).await
    }

    fn refusal(&self, why: Why) -> Refusal {
        let refusal = |code| Refusal::new(code).payer(self.payer());
        match why {
            Why::Expired => refusal(Code::PermitExpired).detail("the permit expired unused"),
            Why::Used => refusal(Code::PermitNonceUsed)
                .detail("the nonce is used up, and nothing was collected with it"),
            Why::Reverted => refusal(Code::TransactionFailed),
            Why::Mismatch => refusal(Code::TransactionFailed)
                .detail("the transaction ran without moving what was signed"),
        }
    }

    async fn diagnose(&self, network: &Network, words: Option<&str>) -> Refusal {
        self.why_not(network, words).await
    }

    async fn explain(&self, network: &Network, receipt: &Receipt, sender: Sender) -> Refusal {
        let reason = self.refused(receipt, sender);
        let code = match reason.as_ref() {
            Some(Reason::Expired) => Code::PermitExpired,
            Some(Reason::NotSigned) => Code::PermitSignatureInvalid,
            Some(Reason::AlreadyCollected | Reason::AlreadyUsed | Reason::NonceMismatch(_)) => {
                Code::PermitNonceUsed
            }
            Some(reason)
                if reason
                    .words()
                    .is_some_and(|it| it.contains("exceeds balance")) =>
            {
                Code::PermitBalanceTooLow
            }
            Some(_) | None => {
                let refusal = self.why_not(network, None).await;
                // Now it would work: it is the transaction that failed.
                return match refusal.code {
                    Code::PermitSimulationFailed => self.refusal(Why::Reverted),
                    _ => refusal,
                };
            }
        };
        Refusal::new(code)
            .payer(self.payer())
            .detail("the contract refused it when it was mined")
    }
}
