//! What payers do: leave collateral, sign claims, pay tabs, take collateral back.

use faregate_evm::credit::{AssetBalance, ETH, TabStatus};
use faregate_evm::{Mined, recover};
use faregate_types::credit::{Claims, Encoding, GuaranteeRequest, SigningScheme};
use faregate_types::{Address, B256, U256};

use super::client::CreditClient;
use super::error::{ClaimsFault, CreditError};

/// The payer's face of a [`CreditClient`]. Amounts are in atomic units; [`ETH`] names the chain's coin.
///
/// What is sent happens once or not at all. After [`SendError::Unknown`](super::SendError::Unknown) nobody knows yet: wait
/// for it with [`InFlight::wait`](super::InFlight::wait) instead of doing it again.
#[derive(Clone, Copy, Debug)]
pub struct CreditUser<'a> {
    client: &'a CreditClient,
}

impl<'a> CreditUser<'a> {
    pub(super) const fn new(client: &'a CreditClient) -> Self {
        Self { client }
    }

    /// Lets the contract take so much of a token, before [`deposit`](Self::deposit) or [`pay_tab`](Self::pay_tab).
    ///
    /// # Errors
    /// [`CreditError::Transaction`], as everywhere here.
    pub async fn approve(&self, token: Address, amount: U256) -> Result<Mined, CreditError> {
        let call = self.client.inner().terms.core.approve(token, amount);
        Ok(self.client.send(&call).await?)
    }

    /// Leaves collateral.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn deposit(&self, asset: Address, amount: U256) -> Result<Mined, CreditError> {
        something(amount)?;
        let call = self.client.inner().terms.core.deposit(asset, amount);
        Ok(self.client.send(&call).await?)
    }

    /// All collateral of this payer as the contract has it: ETH first, then each token that it takes.
    ///
    /// # Errors
    /// [`CreditError::Chain`].
    pub async fn collateral(&self) -> Result<Vec<AssetBalance>, CreditError> {
        self.collateral_of(self.client.address()).await
    }

    /// The same of anybody.
    ///
    /// # Errors
    /// [`CreditError::Chain`].
    pub async fn collateral_of(&self, payer: Address) -> Result<Vec<AssetBalance>, CreditError> {
        let inner = self.client.inner();
        Ok(inner
            .account
            .ask(&inner.terms.core.user_assets(payer))
            .await?)
    }

    /// What the contract knows of a tab's payments.
    ///
    /// # Errors
    /// [`CreditError::Chain`].
    pub async fn tab_payment_status(&self, tab: U256) -> Result<TabStatus, CreditError> {
        self.client.tab_payment_status(tab).await
    }

    /// Signs claims. Whoever holds them can have a guarantee issued for them, once.
    ///
    /// Prefer [`SigningScheme::Eip712`]: the other one is bound to no chain. Claims of version 2 need both hashes of their
    /// condition, see [`bind`](faregate_types::credit::binding::bind).
    ///
    /// # Errors
    /// [`CreditError::Claims`], [`CreditError::Sign`].
    pub async fn sign_payment(
        &self,
        claims: Claims,
        scheme: SigningScheme,
    ) -> Result<GuaranteeRequest, CreditError> {
        let inner = self.client.inner();
        if claims.payer != self.client.address() {
            return Err(ClaimsFault::Payer.into());
        }
        inner.terms.check_claims(&claims)?;
        let domain = inner.terms.claims_domain;
        let digest = claims_digest(&claims, scheme, domain);
        // There is an encoding for each version and scheme.
        let digest = digest.ok_or(ClaimsFault::Version(claims.version()))?;
        let request = GuaranteeRequest {
            signature: inner.signer.sign_digest(digest).await?,
            claims,
            scheme,
        };
        match request.signed_as(domain, recover) {
            Some(_) => Ok(request),
            None => Err(ClaimsFault::Signature.into()),
        }
    }

    /// Pays a tab to its recipient: ETH as a transfer that names tab and guarantee, a token through the contract, which has
    /// to be [`approve`](Self::approve)d before.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn pay_tab(
        &self,
        tab: U256,
        req: U256,
        amount: U256,
        recipient: Address,
        asset: Address,
    ) -> Result<Mined, CreditError> {
        something(amount)?;
        if recipient.is_zero() {
            return Err(ClaimsFault::Recipient.into());
        }
        let core = self.client.inner().terms.core;
        let call = if asset == ETH {
            core.pay_tab_in_eth(tab, req, amount, recipient)
        } else {
            core.pay_tab(tab, asset, amount, recipient)
        };
        Ok(self.client.send(&call).await?)
    }

    /// Asks for collateral back, in place of what was asked for before.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn request_withdrawal(
        &self,
        asset: Address,
        amount: U256,
    ) -> Result<Mined, CreditError> {
        something(amount)?;
        let call = self
            .client
            .inner()
            .terms
            .core
            .request_withdrawal(asset, amount);
        Ok(self.client.send(&call).await?)
    }

    /// Takes the request back.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn cancel_withdrawal(&self, asset: Address) -> Result<Mined, CreditError> {
        let call = self.client.inner().terms.core.cancel_withdrawal(asset);
        Ok(self.client.send(&call).await?)
    }

    /// Takes what was asked for, after the contract's grace period.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn finalize_withdrawal(&self, asset: Address) -> Result<Mined, CreditError> {
        let call = self.client.inner().terms.core.finalize_withdrawal(asset);
        Ok(self.client.send(&call).await?)
    }
}

/// What is signed for claims: of all encodings the one that the network's clients sign.
pub(crate) fn claims_digest(
    claims: &Claims,
    scheme: SigningScheme,
    separator: B256,
) -> Option<B256> {
    let encoding = Encoding::candidates(claims.version(), scheme).first();
    encoding.and_then(|encoding| claims.digest(*encoding, separator))
}

fn something(amount: U256) -> Result<(), ClaimsFault> {
    if amount.is_zero() {
        Err(ClaimsFault::Amount)
    } else {
        Ok(())
    }
}
