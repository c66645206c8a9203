//! A token endpoint of ours, with a chain behind it.

use std::sync::Arc;
use std::time::SystemTime;

use axum::body::{Body, to_bytes};
use faregate_core::rail::permit::{Permits, Quotes};
use faregate_core::{Offer, PermitAsk, Rail, Resource, SettlePolicy, Till, TokenPolicy};
use faregate_devnet::{ChainConfig, Devchain};
use faregate_evm::{ExactFacilitator, LocalSigner, NetworkConfig, PermitCollector};
use faregate_store::memory::MemoryLedger;
use faregate_tower::{Cors, Purchases, TokenDesk};
use faregate_types::permit::{Endpoint, TokenKey};
use faregate_types::{Amount, AssetRegistry, ChainId, SecretKey, Timestamp, U256};
use http::{Method, Request, header};

/// Longest answer that is read.
const ANSWER_BYTES_MAX: usize = 100_000;

/// What came back.
pub(super) struct Answered {
    pub status: u16,
    pub content_type: String,
    pub body: String,
}

/// Sends one request to `/token`.
pub(super) fn ask(method: Method, body: &str) -> Result<Answered, String> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let chain = Devchain::start(ChainConfig::default()).await;
        let chain = chain.map_err(|error| error.to_string())?;
        let request = Request::builder()
            .method(method)
            .uri(Endpoint::PLAIN)
            .body(Body::from(body.to_owned()))
            .map_err(|error| error.to_string())?;
        let answer = desk(&chain).await?.answer(request).await;
        let status = answer.status().as_u16();
        let content_type = answer.headers().get(header::CONTENT_TYPE);
        let content_type = content_type.and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or_default().to_owned();
        let body = to_bytes(answer.into_body(), ANSWER_BYTES_MAX).await;
        let body = body.map_err(|error| error.to_string())?;
        chain.shutdown().await;
        Ok(Answered {
            status,
            content_type,
            body: String::from_utf8_lossy(&body).into_owned(),
        })
    })
}

/// The endpoint of a shop with one route.
async fn desk(chain: &Devchain) -> Result<TokenDesk, String> {
    let id = ChainId::new(chain.chain_id()).ok_or("0 is no chain")?;
    let registry = AssetRegistry::builtin();
    let asset = registry.default_for(id).cloned();
    let asset = asset.ok_or("no asset on this chain")?;
    let [operator, .., seller] = Devchain::accounts() else {
        return Err("no dev accounts".into());
    };
    let key = SecretKey::from_hex(operator.private_key).map_err(|error| error.to_string())?;
    let rpc_url = chain.rpc_url().parse().map_err(|_| "no URL")?;
    let facilitator = ExactFacilitator::builder()
        .network(NetworkConfig::new(id, rpc_url, vec![asset.clone()]))
        .signer(LocalSigner::new(key).map_err(|error| error.to_string())?)
        .connect()
        .await
        .map_err(|error| error.to_string())?;
    let collector = PermitCollector::builder(&facilitator)
        .treasury(id, seller.address)
        .connect()
        .await
        .map_err(|error| error.to_string())?;
    let clock = Arc::new(|| Timestamp::from(SystemTime::now()));
    let endpoint = Endpoint::parse(Endpoint::PLAIN).map_err(|error| error.to_string())?;
    let token_key =
        TokenKey::new("the key of the recordings".to_owned()).map_err(|error| error.to_string())?;
    let rail = Permits::new(
        Arc::new(collector),
        token_key,
        "shop",
        endpoint,
        clock.clone(),
    );
    let rail = Arc::new(rail);
    let price = U256::from(1_000);
    let ask = PermitAsk {
        amount: Amount::new(price, asset.id),
        currency: asset.symbol.as_ref().into(),
        asset,
        treasury: seller.address,
        token_secs: 60,
        policy: TokenPolicy::Optimistic,
        exposure_max: price,
    };
    let resource = Resource {
        url: "http://localhost/joke".into(),
        description: "".into(),
        mime_type: "".into(),
    };
    let offer = Offer::new(
        "joke",
        resource,
        vec![ask.into()],
        SettlePolicy::Background,
        60,
    );
    let offer = offer.map_err(|error| error.to_string())?;
    let quotes = Quotes::of([&offer]).map_err(|error| error.to_string())?;
    let rails = vec![Arc::clone(&rail) as Arc<dyn Rail>];
    let till = Till::new(Arc::new(MemoryLedger::new()), clock, rails);
    let (cors, purchases) = (Cors::default(), Purchases::default());
    Ok(TokenDesk::new(till, rail, quotes, cors, purchases))
}
