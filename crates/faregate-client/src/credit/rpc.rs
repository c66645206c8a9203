//! Every endpoint of the service, one function each. What comes back has the right shape; whether it is true is for the
//! other two faces of the client to see.

use std::sync::Arc;

use faregate_types::credit::api::{
    AdminKeyInfo, AssetBalance, CheckedGuarantee, CollateralEvent, CreateAdminKey, CreateTab,
    CreatedAdminKey, CreatedTab, GuaranteeInfo, Health, Hidden, PendingRemuneration, PublicParams,
    RecipientPayment, SetSuspension, SettlementStatus, SupportedTokens, Suspension, TabInfo,
};
use faregate_types::credit::{Certificate, GuaranteeRequest, Message, parse_uuid, to_uuid, write};
use faregate_types::{Address, U256};

use super::error::{ConfigFault, CreditError};
use super::http::{Again, Call, Caller, Service};
use super::session::Session;

/// The service's HTTP API. Copies share the session.
#[derive(Clone, Debug)]
pub struct CreditRpc {
    service: Service,
    auth: Auth,
    api_key: Option<Hidden>,
}

/// How calls say who makes them.
#[derive(Clone, Debug)]
pub(super) enum Auth {
    /// Not at all.
    Open,
    Bearer(Hidden),
    Session(Arc<Session>),
}

impl CreditRpc {
    pub(super) const fn new(service: Service, auth: Auth, api_key: Option<Hidden>) -> Self {
        Self {
            service,
            auth,
            api_key,
        }
    }

    /// The same with an administrator's key, for [`create_admin_key`](Self::create_admin_key) and its neighbours.
    #[must_use]
    pub fn with_admin_api_key(mut self, key: Hidden) -> Self {
        self.api_key = Some(key);
        self
    }

    /// The same with a token of one's own in place of a session. It may have `Bearer` before it.
    #[must_use]
    pub fn with_bearer_token(mut self, token: Hidden) -> Self {
        self.auth = Auth::Bearer(token);
        self
    }

    /// Signs in now instead of with the first call that needs it. Nothing happens without a session.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn sign_in(&self) -> Result<(), CreditError> {
        if let Auth::Session(session) = &self.auth {
            session.token().await?;
        }
        Ok(())
    }

    /// Ends the session at the service; whether it knew one. The next call signs in again.
    ///
    /// # Errors
    /// [`ConfigFault::NoSession`], [`CreditError`].
    pub async fn sign_out(&self) -> Result<bool, CreditError> {
        match &self.auth {
            Auth::Session(session) => session.sign_out().await,
            Auth::Open | Auth::Bearer(_) => Err(ConfigFault::NoSession.into()),
        }
    }

    /// What the service says about itself.
    ///
    /// # Errors
    /// [`CreditError`], as everywhere here.
    pub async fn public_params(&self) -> Result<PublicParams, CreditError> {
        self.public("core/public-params").await
    }

    /// How it is. A service that is not well says so with status 503.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn health(&self) -> Result<Health, CreditError> {
        self.public("core/health").await
    }

    /// The tokens that can be collateral.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn supported_tokens(&self) -> Result<SupportedTokens, CreditError> {
        self.public("core/tokens").await
    }

    /// Opens a tab, or finds the one that is open.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn create_tab(&self, request: &CreateTab) -> Result<CreatedTab, CreditError> {
        // The second time finds the tab of the first.
        let body = write(request);
        self.call(&Call::post(
            "core/payment-tabs".to_owned(),
            body,
            Again::Always,
        ))
        .await
    }

    /// Has claims turned into a certificate. Sent once: [`CreditRecipient`](super::CreditRecipient) knows what to do when
    /// there is no answer. All calls with one `key` are one, if the service knows such keys.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn issue_guarantee(
        &self,
        request: &GuaranteeRequest,
        key: &str,
    ) -> Result<Certificate, CreditError> {
        let call = Call::post("core/guarantees".to_owned(), write(request), Again::Never);
        self.call(&call.with_key(key.to_owned())).await
    }

    /// Whether claims would be turned into a certificate now. Only services of this kind know the question.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn check_guarantee(
        &self,
        request: &GuaranteeRequest,
    ) -> Result<CheckedGuarantee, CreditError> {
        let path = "core/guarantees/check".to_owned();
        self.call(&Call::post(path, write(request), Again::Always))
            .await
    }

    /// A tab.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn tab(&self, tab: U256) -> Result<Option<TabInfo>, CreditError> {
        self.get(format!("core/tabs/{tab:#x}")).await
    }

    /// Its guarantees, the oldest first.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn guarantees(&self, tab: U256) -> Result<Vec<GuaranteeInfo>, CreditError> {
        self.get(format!("core/tabs/{tab:#x}/guarantees")).await
    }

    /// A part of them: those after the first `skip`, at most `limit`. Services that know no parts answer with all.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn guarantees_from(
        &self,
        tab: U256,
        skip: u32,
        limit: u32,
    ) -> Result<Vec<GuaranteeInfo>, CreditError> {
        let call = Call::get(format!("core/tabs/{tab:#x}/guarantees"));
        self.call(&call.with_page(skip, limit)).await
    }

    /// The newest of them.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn latest_guarantee(&self, tab: U256) -> Result<Option<GuaranteeInfo>, CreditError> {
        self.get(format!("core/tabs/{tab:#x}/guarantees/latest"))
            .await
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
        self.get(format!("core/tabs/{tab:#x}/guarantees/{req}"))
            .await
    }

    /// What happened to the payer's collateral because of a tab.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn collateral_events(&self, tab: U256) -> Result<Vec<CollateralEvent>, CreditError> {
        self.get(format!("core/tabs/{tab:#x}/collateral-events"))
            .await
    }

    /// A recipient's tabs, those with one of these ends or all, the last changed first.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn recipient_tabs(
        &self,
        recipient: Address,
        settled: &[SettlementStatus],
    ) -> Result<Vec<TabInfo>, CreditError> {
        let mut call = Call::get(format!("core/recipients/{recipient}/tabs"));
        for status in settled {
            call = call.with_query("settlement_status", status.as_str());
        }
        self.call(&call).await
    }

    /// A recipient's tabs that are paid or remunerated.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn settled_tabs(&self, recipient: Address) -> Result<Vec<TabInfo>, CreditError> {
        self.get(format!("core/recipients/{recipient}/settled-tabs"))
            .await
    }

    /// A recipient's tabs that are not, with what can be claimed for them.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn pending_remunerations(
        &self,
        recipient: Address,
    ) -> Result<Vec<PendingRemuneration>, CreditError> {
        self.get(format!("core/recipients/{recipient}/pending-remunerations"))
            .await
    }

    /// What a recipient was paid on the chain, the newest first.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn recipient_payments(
        &self,
        recipient: Address,
    ) -> Result<Vec<RecipientPayment>, CreditError> {
        self.get(format!("core/recipients/{recipient}/payments"))
            .await
    }

    /// A payer's tabs, those with one of these ends or all, the last changed first: those after the first `skip`, at most `limit`.
    /// Services from before SDK 1.2 do not have this list (404), and others know no parts of it.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn user_tabs(
        &self,
        payer: Address,
        settled: &[SettlementStatus],
        skip: u32,
        limit: u32,
    ) -> Result<Vec<TabInfo>, CreditError> {
        let mut call = Call::get(format!("core/users/{payer}/tabs"));
        for status in settled {
            call = call.with_query("settlement_status", status.as_str());
        }
        self.call(&call.with_page(skip, limit)).await
    }

    /// A payer's collateral in the service's books; `None` if it never had any.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn balance(
        &self,
        payer: Address,
        asset: Address,
    ) -> Result<Option<AssetBalance>, CreditError> {
        self.get(format!("core/users/{payer}/assets/{asset}")).await
    }

    /// Suspends somebody, or ends that. For administrators.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn set_suspension(
        &self,
        of: Address,
        suspended: bool,
    ) -> Result<Suspension, CreditError> {
        let path = format!("core/users/{of}/suspension");
        let body = write(&SetSuspension { suspended });
        self.call(&Call::post(path, body, Again::Always)).await
    }

    /// Makes a key for an administrator, and shows it this once. Sent once: after [`CreditError::is_unknown`] look at
    /// [`admin_keys`](Self::admin_keys), and revoke what nobody has.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn create_admin_key(
        &self,
        request: &CreateAdminKey,
    ) -> Result<CreatedAdminKey, CreditError> {
        let path = "core/admin/api-keys".to_owned();
        self.call(&Call::post(path, write(request), Again::Never))
            .await
    }

    /// All keys of administrators, the newest first.
    ///
    /// # Errors
    /// [`CreditError`].
    pub async fn admin_keys(&self) -> Result<Vec<AdminKeyInfo>, CreditError> {
        self.get("core/admin/api-keys".to_owned()).await
    }

    /// Makes a key useless.
    ///
    /// # Errors
    /// [`ConfigFault::KeyId`] for what is no id, [`CreditError`].
    pub async fn revoke_admin_key(&self, id: &str) -> Result<AdminKeyInfo, CreditError> {
        let id = to_uuid(parse_uuid(id).ok_or(ConfigFault::KeyId)?);
        let path = format!("core/admin/api-keys/{id}/revoke");
        self.call(&Call::post(path, "{}".to_owned(), Again::Always))
            .await
    }

    async fn public<M: Message>(&self, path: &str) -> Result<M, CreditError> {
        let call = Call::get(path.to_owned());
        self.service.call(&call, &Caller::default()).await
    }

    async fn get<M: Message>(&self, path: String) -> Result<M, CreditError> {
        self.call(&Call::get(path)).await
    }

    /// Calls as whoever we are. A session that is not taken is made anew once; what was refused like that did nothing.
    async fn call<M: Message>(&self, call: &Call) -> Result<M, CreditError> {
        let session = match &self.auth {
            Auth::Session(session) => session,
            Auth::Open => return self.call_as(call, None).await,
            Auth::Bearer(token) => return self.call_as(call, Some(token.clone())).await,
        };
        let token = session.token().await?;
        match self.call_as(call, Some(token.clone())).await {
            Err(CreditError::Service(refusal)) if refusal.status == 401 => {
                session.not_taken(&token);
                let token = session.token().await?;
                self.call_as(call, Some(token)).await
            }
            answer => answer,
        }
    }

    async fn call_as<M: Message>(
        &self,
        call: &Call,
        bearer: Option<Hidden>,
    ) -> Result<M, CreditError> {
        let caller = Caller {
            bearer,
            api_key: self.api_key.clone(),
        };
        self.service.call(call, &caller).await
    }
}
