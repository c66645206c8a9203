//! A shop in axum behind our paywall layer, with parts left out on purpose to see what each costs.

use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use faregate_core::port::{Away, Facilitator, SettleOutcome, Settlement, Trail, Verdict};
use faregate_core::rail::x402::X402;
use faregate_core::{Offer, Payee, Resource, SettlePolicy, Till, TokenAsk};
use faregate_evm::{ExactFacilitator, LocalSigner, NetworkConfig};
use faregate_ledger::LedgerStore;
use faregate_store::memory::MemoryLedger;
use faregate_store::sqlite::SqliteLedger;
use faregate_tower::PaywallLayer;
use faregate_types::x402::{FacilitatorRequest, Kind, SupportedResponse, Version};
use faregate_types::{Amount, Code, RailName, Refusal, SecretKey, Timestamp, U256};
use futures_util::future::{BoxFuture, ready};

use super::books::Forgetful;
use super::stub::TRANSACTION;
use super::{joke, listen};
use crate::Failed;
use crate::chain::{self, CHAIN};

/// How a shop is built.
#[derive(Clone, Debug)]
pub struct Shop {
    /// The node that payments are verified with; without one every payment is valid.
    pub rpc: Option<String>,
    /// `none` forgets, `memory` and a path are SQLite.
    pub books: String,
}

/// Serves the joke. Nothing settles: whatever is verified counts as settled at once.
///
/// # Errors
/// The port, the node, the ledger.
pub async fn serve(shop: &Shop) -> Result<(), Failed> {
    let verifier = match &shop.rpc {
        Some(rpc) => Some(verifier(rpc).await?),
        None => None,
    };
    let store: Arc<dyn LedgerStore> = match shop.books.as_str() {
        "none" => Arc::new(Forgetful::default()),
        "memory" => Arc::new(MemoryLedger::new()),
        path => Arc::new(SqliteLedger::open(Path::new(path))?),
    };
    let rail = X402::new(Arc::new(Unsettling { verifier }));
    let clock = Arc::new(|| Timestamp::from(SystemTime::now()));
    let till = Till::new(store, clock, vec![Arc::new(rail)]);
    let listener = listen().await?;
    let app = joke().layer(PaywallLayer::new(till, offer()?)?);
    Ok(axum::serve(listener, app).await?)
}

async fn verifier(rpc: &str) -> Result<ExactFacilitator, Failed> {
    let key = SecretKey::from_hex(chain::account(0)?.private_key)?;
    let network = NetworkConfig::new(CHAIN, rpc.parse()?, vec![chain::asset()?]);
    let facilitator = ExactFacilitator::builder()
        .network(network)
        .signer(LocalSigner::new(key)?)
        .connect()
        .await?;
    Ok(facilitator)
}

/// What the shop sells.
///
/// # Errors
/// The asset is not known.
pub fn offer() -> Result<Offer, Failed> {
    let asset = chain::asset()?;
    let ask = TokenAsk {
        rail: RailName::X402,
        amount: Amount::new(U256::from(1000), asset.id),
        asset,
        payee: Payee::Evm(chain::account(9)?.address),
    };
    let resource = Resource {
        url: "http://127.0.0.1/joke".into(),
        description: "one joke".into(),
        mime_type: "text/plain".into(),
    };
    let offer = Offer::new("joke", resource, vec![ask.into()], SettlePolicy::After, 300)?;
    Ok(offer)
}

/// Verifies, if it has somebody who can, and settles nothing.
#[derive(Debug, Default)]
pub struct Unsettling {
    verifier: Option<ExactFacilitator>,
}

impl Unsettling {
    fn settled(request: &FacilitatorRequest) -> SettleOutcome {
        match request.exact() {
            Ok(payment) => SettleOutcome::Settled(Settlement {
                transaction: Some(TRANSACTION.into()),
                payer: Some(payment.payer()),
            }),
            Err(refusal) => SettleOutcome::Failed(refusal),
        }
    }
}

impl Facilitator for Unsettling {
    fn supported(&self) -> BoxFuture<'_, Result<SupportedResponse, Away>> {
        Box::pin(ready(Ok(SupportedResponse {
            kinds: vec![Kind::exact(Version::V2, CHAIN.to_string())],
            extensions: Vec::new(),
            signers: std::collections::BTreeMap::new(),
        })))
    }

    fn verify<'a>(
        &'a self,
        request: &'a FacilitatorRequest,
    ) -> BoxFuture<'a, Result<Verdict, Away>> {
        match &self.verifier {
            Some(verifier) => verifier.verify(request),
            None => Box::pin(ready(Ok(match request.exact() {
                Ok(payment) => Verdict::Valid {
                    payer: payment.payer(),
                },
                Err(refusal) => Verdict::Invalid(refusal),
            }))),
        }
    }

    fn settle<'a>(
        &'a self,
        request: &'a FacilitatorRequest,
        _trail: &'a dyn Trail,
    ) -> BoxFuture<'a, SettleOutcome> {
        Box::pin(ready(Self::settled(request)))
    }

    fn resolve<'a>(
        &'a self,
        _request: &'a FacilitatorRequest,
        _transaction: Option<&'a str>,
    ) -> BoxFuture<'a, SettleOutcome> {
        Box::pin(ready(SettleOutcome::Failed(Refusal::new(
            Code::FacilitatorUnavailable,
        ))))
    }
}
