//! The client that all faces share.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use alloy_primitives::B256;
use faregate_core::credit::ReqIds;
use faregate_core::port::Trail;
use faregate_evm::credit::{Call, TabStatus};
use faregate_evm::{Account, Mined, SendError, Signer};
use faregate_types::credit::GuaranteeVersion;
use faregate_types::{Address, ChainId, U256};

use super::builder::CreditClientBuilder;
use super::checker::Checker;
use super::error::CreditError;
use super::recipient::CreditRecipient;
use super::rpc::CreditRpc;
use super::terms::Terms;
use super::user::CreditUser;

/// A client of one credit service with one key. Copies are the same client; transactions of one key have to go through one
/// client, because it counts them.
#[derive(Clone)]
pub struct CreditClient {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) rpc: CreditRpc,
    pub(super) terms: Terms,
    pub(super) checker: Checker,
    pub(super) signer: Arc<dyn Signer>,
    pub(super) account: Account,
    pub(super) trail: Arc<dyn Trail>,
}

impl fmt::Debug for CreditClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreditClient")
            .field("address", &self.address())
            .field("contract", &self.contract())
            .field("chain", &self.chain())
            .finish_non_exhaustive()
    }
}

impl CreditClient {
    /// A client in the making.
    pub fn builder() -> CreditClientBuilder {
        CreditClientBuilder::new()
    }

    /// A client in the making, from `FAREGATE_CREDIT_*` and, for what is not there, `4MICA_*`: `NETWORK`, `RPC_URL` (it wins
    /// over the network), `WALLET_PRIVATE_KEY`, `ETHEREUM_HTTP_RPC_URL`, `CONTRACT_ADDRESS`, `BEARER_TOKEN`, `AUTH_URL` and
    /// `AUTH_REFRESH_MARGIN_SECS` (both switch signing in on). Also `FAREGATE_CREDIT_URL`, `FAREGATE_CREDIT_CONTRACT`,
    /// `FAREGATE_CREDIT_CHAIN_ID`, `FAREGATE_ADMIN_API_KEY`, and the names of [`Wallet::from_env`](crate::Wallet::from_env).
    ///
    /// # Errors
    /// [`ConfigFault`](super::ConfigFault) for a value that cannot be read.
    pub fn from_env(env: &BTreeMap<String, String>) -> Result<CreditClientBuilder, CreditError> {
        Ok(super::env::read(env)?)
    }

    pub(super) fn from_inner(inner: Inner) -> Self {
        Self {
            inner: Arc::new(inner),
        }
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// What payers do.
    #[must_use]
    pub const fn user(&self) -> CreditUser<'_> {
        CreditUser::new(self)
    }

    /// What recipients do.
    #[must_use]
    pub const fn recipient(&self) -> CreditRecipient<'_> {
        CreditRecipient::new(self)
    }

    /// The service's API as it is.
    #[must_use]
    pub fn rpc(&self) -> &CreditRpc {
        &self.inner.rpc
    }

    /// The account: it sends transactions, and can be asked about earlier ones.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.inner.account
    }

    /// Who acts.
    #[must_use]
    pub fn address(&self) -> Address {
        self.inner.signer.address()
    }

    /// The contract that holds the collateral.
    #[must_use]
    pub fn contract(&self) -> Address {
        self.inner.terms.core.address()
    }

    /// Its chain.
    #[must_use]
    pub fn chain(&self) -> ChainId {
        self.inner.terms.chain
    }

    /// The guarantee versions that service and contract both take, with the contract's domains.
    #[must_use]
    pub fn guarantee_domains(&self) -> &BTreeMap<GuaranteeVersion, B256> {
        self.inner.terms.domains()
    }

    /// How the service numbers the guarantees of a tab.
    #[must_use]
    pub fn req_ids(&self) -> ReqIds {
        self.inner.terms.req_ids
    }

    pub(super) async fn tab_payment_status(&self, tab: U256) -> Result<TabStatus, CreditError> {
        let question = self.inner.terms.core.payment_status(tab);
        Ok(self.inner.account.ask(&question).await?)
    }

    /// Sends one call, recorded first.
    pub(super) async fn send(&self, call: &Call) -> Result<Mined, SendError> {
        self.inner
            .account
            .send(call, self.inner.trail.as_ref())
            .await
    }
}
