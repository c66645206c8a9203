//! What recipients do: open tabs, have claims turned into certificates, and claim what was not paid.

use faregate_core::port::TabAsk;
use faregate_evm::credit::TabStatus;
use faregate_evm::{AskError, Mined, SendError};
use faregate_types::credit::api::{
    AssetBalance, CollateralEvent, CreatedTab, GuaranteeInfo, PendingRemuneration,
    RecipientPayment, SettlementStatus, TabInfo,
};
use faregate_types::credit::{
    Certificate, CertificateError, Guarantee, GuaranteeRequest, GuaranteeVersion,
};
use faregate_types::{Address, U256};

use super::client::CreditClient;
use super::error::{CertificateFault, ClaimsFault, CreditError};
use super::issue::{Issued, answered};

/// The recipient's face of a [`CreditClient`]. It acts for the client's own address.
#[derive(Clone, Copy, Debug)]
pub struct CreditRecipient<'a> {
    client: &'a CreditClient,
}

impl<'a> CreditRecipient<'a> {
    pub(super) const fn new(client: &'a CreditClient) -> Self {
        Self { client }
    }

    /// Opens a tab for a payer, or finds the one that is open. `ttl` is in seconds.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn create_tab(
        &self,
        payer: Address,
        asset: Address,
        ttl: Option<u64>,
        version: GuaranteeVersion,
    ) -> Result<CreatedTab, CreditError> {
        let ask = TabAsk {
            payer,
            recipient: self.client.address(),
            asset,
            version,
            ttl_secs: ttl,
        };
        self.client.open_tab(&ask).await
    }

    /// Has a payer's signed claims turned into a certificate, and verifies it. Served is what there is a certificate for.
    ///
    /// Safe to repeat: there is one guarantee of each number on a tab. When the answer is lost, or the service says that
    /// there is this guarantee already, it is asked for the certificate, which counts if it says what was signed.
    ///
    /// # Errors
    /// [`CreditError::Claims`] before anything is sent; [`CreditError::Certificate`] when the service answers with something
    /// that the contract would not pay on.
    pub async fn issue_payment_guarantee(
        &self,
        request: &GuaranteeRequest,
    ) -> Result<Issued, CreditError> {
        if request.claims.recipient != self.client.address() {
            return Err(ClaimsFault::Recipient.into());
        }
        self.client.issue(request).await
    }

    /// What a certificate says, if the contract would accept its signature, domain and version. Takes a millisecond or two
    /// of the processor.
    ///
    /// # Errors
    /// [`CertificateFault`].
    pub fn verify_payment_guarantee(
        &self,
        certificate: &Certificate,
    ) -> Result<Guarantee, CertificateFault> {
        self.client.inner().terms.verify(certificate)
    }

    /// Takes what was not paid on a tab from the payer's collateral, after the contract's grace period. Anyone may send it;
    /// the money goes to the certificate's recipient. The newest certificate of a tab is over the largest sum.
    ///
    /// # Errors
    /// [`CreditError::Certificate`]; [`CreditError::Transaction`], with the contract's own reason when it would refuse.
    pub async fn remunerate(&self, certificate: &Certificate) -> Result<Mined, CreditError> {
        let certificate = certificate.clone();
        let call = self.client.off_thread(move |client| {
            let terms = &client.inner().terms;
            terms.verify(&certificate)?;
            let words = certificate.signature.words();
            let words = words.map_err(CertificateError::Signature)?;
            let call = terms.core.remunerate(&certificate.claims, &words);
            call.ok_or(CertificateFault::Certificate(CertificateError::TooLong))
        });
        let call = call.await?;
        match self.client.account().try_out(&call).await {
            Ok(()) => Ok(self.client.send(&call).await?),
            Err(AskError::Reverted(why)) => Err(SendError::Reverted(why).into()),
            Err(error) => Err(error.into()),
        }
    }

    /// What the contract knows of a tab's payments.
    ///
    /// # Errors
    /// [`CreditError::Chain`].
    pub async fn tab_payment_status(&self, tab: U256) -> Result<TabStatus, CreditError> {
        self.client.tab_payment_status(tab).await
    }

    /// This recipient's tabs that are paid or remunerated.
    ///
    /// # Errors
    /// [`CreditError`], as everywhere here.
    pub async fn settled_tabs(&self) -> Result<Vec<TabInfo>, CreditError> {
        self.client.rpc().settled_tabs(self.client.address()).await
    }

    /// This recipient's tabs that are not, with what can be claimed for them.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn pending_remunerations(&self) -> Result<Vec<PendingRemuneration>, CreditError> {
        self.client
            .rpc()
            .pending_remunerations(self.client.address())
            .await
    }

    /// This recipient's tabs, those with one of these ends or all.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn tabs(&self, settled: &[SettlementStatus]) -> Result<Vec<TabInfo>, CreditError> {
        self.client
            .rpc()
            .recipient_tabs(self.client.address(), settled)
            .await
    }

    /// What this recipient was paid on the chain.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn payments(&self) -> Result<Vec<RecipientPayment>, CreditError> {
        self.client
            .rpc()
            .recipient_payments(self.client.address())
            .await
    }

    /// A tab.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn tab(&self, tab: U256) -> Result<Option<TabInfo>, CreditError> {
        let found = self.client.rpc().tab(tab).await?;
        answered(found.iter().all(|found| found.tab_id == tab), found)
    }

    /// Its guarantees, the oldest first.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn guarantees(&self, tab: U256) -> Result<Vec<GuaranteeInfo>, CreditError> {
        let found = self.client.rpc().guarantees(tab).await?;
        answered(found.iter().all(|found| found.tab_id == tab), found)
    }

    /// The newest of them.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn latest_guarantee(&self, tab: U256) -> Result<Option<GuaranteeInfo>, CreditError> {
        let found = self.client.rpc().latest_guarantee(tab).await?;
        answered(found.iter().all(|found| found.tab_id == tab), found)
    }

    /// One of them.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn guarantee(
        &self,
        tab: U256,
        req: U256,
    ) -> Result<Option<GuaranteeInfo>, CreditError> {
        let found = self.client.rpc().guarantee(tab, req).await?;
        let is_it = |found: &GuaranteeInfo| found.tab_id == tab && found.req_id == req;
        answered(found.iter().all(is_it), found)
    }

    /// What happened to the payer's collateral because of a tab.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn collateral_events(&self, tab: U256) -> Result<Vec<CollateralEvent>, CreditError> {
        self.client.rpc().collateral_events(tab).await
    }

    /// A payer's collateral in the service's books: what the contract has is asked for with
    /// [`CreditUser::collateral_of`](super::CreditUser::collateral_of), what of it is locked only the service knows.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn balance(
        &self,
        payer: Address,
        asset: Address,
    ) -> Result<Option<AssetBalance>, CreditError> {
        let found = self.client.rpc().balance(payer, asset).await?;
        let is_it = |found: &AssetBalance| found.payer == payer && found.asset == asset;
        answered(found.iter().all(is_it), found)
    }
}
