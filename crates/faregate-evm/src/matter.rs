//! One payment, as those see it who send it, watch it and judge what became of it, whatever rail it came by.

use std::future::Future;

use alloy_primitives::{Address, B256, U256};
use faregate_types::x402::exact::ExactPayment;
use faregate_types::{Code, PaymentId, Refusal};

use crate::diagnose::diagnose;
use crate::network::Network;
use crate::node::NodeError;
use crate::receipt::{self, Finding, Sender, Spend};
use crate::rpc::{Receipt, Transaction};
use crate::trace::{self, Trace};

/// A payment that a chain lets happen once.
pub(crate) trait Matter: Sync {
    /// Its natural key.
    fn id(&self) -> PaymentId;

    /// Who pays.
    fn payer(&self) -> Address;

    /// What moves.
    fn share(&self) -> Share;

    /// The first second, since the epoch, in which no chain takes it any more.
    fn end(&self) -> U256;

    /// How a transaction carries it.
    fn carried(&self, network: &Network, transaction: &Transaction) -> Sender;

    /// What a receipt says about it.
    fn read(&self, receipt: &Receipt, sender: Sender) -> Finding;

    /// Asks the chain where it stands. The answer knows the outcome of block `since`.
    fn look(
        &self,
        network: &Network,
        since: Option<u64>,
    ) -> impl Future<Output = Result<Trace, NodeError>> + Send;

    /// The refusal of something that is known for sure.
    fn refusal(&self, why: Why) -> Refusal;

    /// Why it would be reverted, beginning with the contract's words.
    fn diagnose(
        &self,
        network: &Network,
        words: Option<&str>,
    ) -> impl Future<Output = Refusal> + Send;

    /// Why a transaction of ours that was mined did not move it.
    fn explain(
        &self,
        network: &Network,
        receipt: &Receipt,
        sender: Sender,
    ) -> impl Future<Output = Refusal> + Send;
}

/// Money on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Share {
    /// The token and the payer.
    pub(crate) account: (Address, Address),
    /// Tells it from other money of the same account.
    pub(crate) nonce: B256,
    /// Atomic units.
    pub(crate) value: U256,
}

/// What is known for sure about a payment that did not move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// It expired unused.
    Expired,
    /// What was signed is used up, by something else.
    Used,
    /// The transaction was reverted, or this payment's part of it.
    Reverted,
    /// The transaction ran, and this payment did not move as it should have.
    Mismatch,
}

impl Matter for ExactPayment {
    fn id(&self) -> PaymentId {
        Self::id(self)
    }

    fn payer(&self) -> Address {
        Self::payer(self)
    }

    fn share(&self) -> Share {
        let authorization = &self.payload.authorization;
        Share {
            account: (self.terms.asset.token(), authorization.from),
            nonce: authorization.nonce,
            value: authorization.value,
        }
    }

    fn end(&self) -> U256 {
        self.payload.authorization.valid_before
    }

    fn carried(&self, network: &Network, transaction: &Transaction) -> Sender {
        receipt::carries(transaction, self, network.config.batch_settler)
    }

    fn read(&self, receipt: &Receipt, sender: Sender) -> Finding {
        receipt::read(receipt, &Spend::from(self), sender)
    }

    async fn look(&self, network: &Network, since: Option<u64>) -> Result<Trace, NodeError> {
        trace::look(network, &Spend::from(self), since).await
    }

    fn refusal(&self, why: Why) -> Refusal {
        let refusal = |code| Refusal::new(code).payer(Self::payer(self));
        match why {
            Why::Expired => refusal(Code::InvalidExactEvmPayloadAuthorizationValidBefore)
                .detail("the authorization expired unused"),
            Why::Used => refusal(Code::InvalidExactEvmNonceAlreadyUsed),
            Why::Reverted => refusal(Code::TransactionFailed),
            Why::Mismatch => refusal(Code::InvalidExactEvmTransferEventMismatch),
        }
    }

    async fn diagnose(&self, network: &Network, words: Option<&str>) -> Refusal {
        diagnose(&network.rpc, self, words).await
    }

    async fn explain(&self, _network: &Network, _receipt: &Receipt, _sender: Sender) -> Refusal {
        self.refusal(Why::Reverted)
    }
}
