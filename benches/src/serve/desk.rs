//! A shop that sells access tokens for permits, behind our layer, with its token endpoint beside it. Nothing is settled: the
//! money moves when somebody says so.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use alloy_primitives::{Address, B256, U256, keccak256};
use axum::extract::Request;
use faregate_core::port::{
    Away, Care, Collector, Finality, PermitOrder, PermitVerdict, SettleOutcome, Settlement, Trail,
};
use faregate_core::rail::permit::{Permits, Quotes};
use faregate_core::{Clock, Offer, PermitAsk, Rail, Resource, SettlePolicy, Till, TokenPolicy};
use faregate_evm::{ExactFacilitator, LocalSigner, NetworkConfig, PermitCollector};
use faregate_ledger::LedgerStore;
use faregate_store::memory::MemoryLedger;
use faregate_store::sqlite::SqliteLedger;
use faregate_tower::{Cors, PaywallLayer, Purchases, TokenDesk};
use faregate_types::permit::{Endpoint, Permit, Terms, TokenKey, request};
use faregate_types::{
    Amount, Authorization, ChainId, SecretKey, Signature65, Timestamp, domain_separator,
};
use futures_util::future::{BoxFuture, ready};
use serde_json::Value;

use super::{joke, listen};
use crate::{Failed, chain, http, payer};

/// What a token costs, in atomic units.
const PRICE: u64 = 1_000;

/// How long permits and tokens are good: longer than any run.
const VALID_SECS: u64 = 7_200;

/// How many payers sign in turn: those that the chain has funded.
const PAYERS: u64 = 64;

/// Serves the joke, and tokens for it. `books` is `memory` or a path; with the URL of a node permits are verified as usual.
///
/// # Errors
/// The port, the ledger, the node.
pub async fn serve_desk(books: &str, rpc: Option<&str>) -> Result<(), Failed> {
    let store: Arc<dyn LedgerStore> = match books {
        "memory" => Arc::new(MemoryLedger::new()),
        path => Arc::new(SqliteLedger::open(Path::new(path))?),
    };
    let real = match rpc {
        Some(rpc) => Some(collector(rpc).await?),
        None => None,
    };
    let permits = Arc::new(Permits::new(
        Arc::new(Agreeing(real)),
        TokenKey::new("the key of the load program".to_owned())?,
        "jokes",
        Endpoint::parse(Endpoint::PLAIN)?,
        clock(),
    ));
    let rail = Arc::clone(&permits) as Arc<dyn Rail>;
    let till = Till::new(store, clock(), vec![rail]);
    let offer = offer()?;
    let quotes = Quotes::of([&offer])?;
    let layer = PaywallLayer::new(till.clone(), offer)?;
    let desk = TokenDesk::new(till, permits, quotes, Cors::default(), Purchases::default());
    let sells = move |request: Request| {
        let desk = desk.clone();
        async move { desk.answer(request).await }
    };
    let listener = listen().await?;
    let app = joke()
        .layer(layer)
        .route("/token", axum::routing::any(sells));
    Ok(axum::serve(listener, app).await?)
}

/// `count` token requests, each with a permit of its own. They are really signed if somebody will look.
///
/// # Errors
/// The server does not say whom to pay.
pub async fn permits(
    addr: SocketAddr,
    count: usize,
    is_signed: bool,
) -> Result<Vec<Vec<u8>>, Failed> {
    let unpaid = http::once(addr, &http::get("/joke", "")).await?;
    let unpaid: Value = serde_json::from_slice(unpaid.body())?;
    let wallet = &unpaid["payment_scheme"]["payment_components"][0]["metadata"]["wallet_address"];
    let wallet: Address = wallet.as_str().ok_or("a 402 without a payee")?.parse()?;
    let asset = chain::asset()?;
    let separator = domain_separator(&asset.domain, chain::CHAIN, asset.id.token());
    let signers: Vec<LocalSigner> = (0..PAYERS)
        .map(|number| Ok(LocalSigner::new(payer::key(number)?)?))
        .collect::<Result<_, Failed>>()?;
    let until = Timestamp::from(SystemTime::now()).as_secs() + VALID_SECS;
    let mut requests = Vec::with_capacity(count);
    for (number, signer) in (0..count).zip(signers.iter().cycle()) {
        let authorization = Authorization {
            from: signer.address(),
            to: wallet,
            value: U256::from(PRICE),
            valid_after: U256::ZERO,
            valid_before: U256::from(until),
            nonce: keccak256(B256::from(U256::from(number))),
        };
        let signature = if is_signed {
            signer.sign_now(authorization.digest(separator))?
        } else {
            Signature65::parse(&[27; 65])?
        };
        let permit = Permit {
            chain: chain::CHAIN,
            terms: Terms::Erc3009 {
                token: asset.id.token(),
                authorization,
            },
            signature,
        };
        let text = request::write(&permit, Timestamp::from_secs(until));
        requests.push(http::post("/token", text.as_bytes()));
    }
    Ok(requests)
}

/// `count` requests for the joke, each with a token that was bought there.
///
/// # Errors
/// A permit bought none.
pub async fn tokens(addr: SocketAddr, count: usize) -> Result<Vec<Vec<u8>>, Failed> {
    let mut requests = Vec::with_capacity(count);
    let mut connection = http::Connection::open(addr).await?;
    for request in permits(addr, count, false).await? {
        let answer = connection.exchange(&request).await?;
        let sold: Value = serde_json::from_slice(answer.body())?;
        let token = sold["access_token"].as_str().ok_or("no token was sold")?;
        requests.push(http::get(
            "/joke",
            &format!("Authorization: Bearer {token}"),
        ));
    }
    Ok(requests)
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(|| Timestamp::from(SystemTime::now()))
}

fn offer() -> Result<Offer, Failed> {
    let asset = chain::asset()?;
    let ask = PermitAsk {
        amount: Amount::new(U256::from(PRICE), asset.id),
        asset,
        treasury: chain::account(9)?.address,
        currency: "USDC".into(),
        token_secs: VALID_SECS,
        policy: TokenPolicy::Optimistic,
        exposure_max: U256::MAX,
    };
    let resource = Resource {
        url: "http://127.0.0.1/joke".into(),
        description: "one joke".into(),
        mime_type: "text/plain".into(),
    };
    let asks = vec![ask.into()];
    Ok(Offer::new(
        "joke",
        resource,
        asks,
        SettlePolicy::Before,
        300,
    )?)
}

async fn collector(rpc: &str) -> Result<PermitCollector, Failed> {
    let network = NetworkConfig::new(chain::CHAIN, rpc.parse()?, vec![chain::asset()?]);
    let gas = SecretKey::from_hex(chain::account(8)?.private_key)?;
    let facilitator = ExactFacilitator::builder()
        .network(network)
        .signer(LocalSigner::new(gas)?)
        .connect()
        .await?;
    let treasury = chain::account(9)?.address;
    let collector = PermitCollector::builder(&facilitator).treasury(chain::CHAIN, treasury);
    Ok(collector.connect().await?)
}

/// Says that the money has moved, and without a collector behind it that it will.
struct Agreeing(Option<PermitCollector>);

impl Collector for Agreeing {
    fn payee(&self, chain: ChainId, treasury: Address) -> Option<Address> {
        match &self.0 {
            Some(real) => real.payee(chain, treasury),
            None => Some(treasury),
        }
    }

    fn verify<'a>(
        &'a self,
        order: &'a PermitOrder,
        care: Care,
    ) -> BoxFuture<'a, Result<PermitVerdict, Away>> {
        match &self.0 {
            Some(real) => real.verify(order, care),
            None => Box::pin(ready(Ok(PermitVerdict::Valid { funds: U256::MAX }))),
        }
    }

    fn settle<'a>(
        &'a self,
        order: &'a PermitOrder,
        trail: &'a dyn Trail,
    ) -> BoxFuture<'a, SettleOutcome> {
        let transaction = order.permit.payment_id().to_string();
        Box::pin(async move {
            match trail.broadcast(&transaction).await {
                Ok(()) => SettleOutcome::Settled(Settlement {
                    transaction: Some(transaction.into()),
                    payer: Some(order.permit.terms.payer()),
                }),
                Err(away) => SettleOutcome::Unknown(faregate_core::port::Unknown {
                    code: away.code,
                    transaction: None,
                }),
            }
        })
    }

    fn resolve<'a>(
        &'a self,
        order: &'a PermitOrder,
        _transaction: Option<&'a str>,
    ) -> BoxFuture<'a, SettleOutcome> {
        Box::pin(ready(SettleOutcome::Settled(Settlement {
            transaction: None,
            payer: Some(order.permit.terms.payer()),
        })))
    }

    fn confirm<'a>(
        &'a self,
        _order: &'a PermitOrder,
        _transaction: &'a str,
    ) -> BoxFuture<'a, Finality> {
        Box::pin(ready(Finality::Final))
    }
}
