//! Payers: they sign once per purchase and send the same payment until they know what became of it. Some of their
//! messages are copied, some payments are tried on other requests, some copies are forged.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use alloy_primitives::U256;
use faregate_core::Offer;
use faregate_evm::{LocalSigner, sign_authorization};
use faregate_types::x402::exact::Payload;
use faregate_types::x402::header;
use faregate_types::{Asset, Authorization, PaymentId};
use futures_util::future::BoxFuture;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::gate::{Gate, Request};
use crate::host::Host;
use crate::process::Process;
use crate::sender::signer;
use crate::shop::{Reply, Shop};
use crate::world::World;

/// How long a payer waits for an answer.
const PATIENCE: Duration = Duration::from_secs(90);

/// The first key of a payer; the others follow.
const FIRST_KEY: u8 = 101;

/// How many payers there are.
pub const PAYERS: u8 = 3;

/// The key of one of the payers.
#[must_use]
pub fn payer_key(number: u64) -> LocalSigner {
    let number = u8::try_from(number % u64::from(PAYERS)).unwrap_or_default();
    signer(FIRST_KEY + number)
}

/// Where payers meet the gate.
pub struct Market {
    world: World,
    host: Arc<Host<Gate>>,
    shop: Arc<Shop>,
    offers: Arc<[Offer]>,
    /// The requirements of each offer as the payer sends them back.
    accepted: Vec<Value>,
    asset: Asset,
    crowd: Process,
}

impl fmt::Debug for Market {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Market").finish_non_exhaustive()
    }
}

/// A signed payment and what it is meant for.
#[derive(Clone, Debug)]
pub struct Purchase {
    /// The request it was made for.
    pub request: Request,
    /// Another request, for which it must not be used as well.
    pub other: Request,
    /// A copy with a wrong signature.
    pub forged: Request,
}

impl Market {
    /// A market before the gate on `host`.
    #[must_use]
    pub fn new(
        world: &World,
        host: Arc<Host<Gate>>,
        shop: Arc<Shop>,
        offers: Arc<[Offer]>,
        asset: Asset,
    ) -> Arc<Self> {
        let accepted = offers.iter().map(requirements).collect();
        Arc::new(Self {
            crowd: Process::immortal(world, "payer"),
            world: world.clone(),
            host,
            shop,
            offers,
            accepted,
            asset,
        })
    }

    /// Signs payment number `number`.
    fn sign(&self, number: u64) -> Purchase {
        let payer = payer_key(number);
        let (nonce, route, other_route) = {
            let mut chance = self.world.chance();
            let routes = u64::try_from(self.offers.len()).unwrap_or(1);
            (chance.word(), chance.below(routes), chance.below(routes))
        };
        let index = |route: u64| usize::try_from(route).unwrap_or_default();
        let offer = &self.offers[index(route)];
        let Some(ask) = offer.asks().first().and_then(faregate_core::Ask::as_token) else {
            unreachable!("the simulated shop is paid in tokens");
        };
        let faregate_core::Payee::Evm(payee) = ask.payee else {
            unreachable!("all payees are accounts here")
        };
        let good_until = self.world.now().as_secs() + self.world.plan().validity_secs;
        let authorization = Authorization {
            from: payer.address(),
            to: payee,
            value: ask.amount.value(),
            valid_after: U256::ZERO,
            valid_before: U256::from(good_until),
            nonce,
        };
        let id = PaymentId::eip3009(
            self.asset.id.chain(),
            self.asset.id.token(),
            payer.address(),
            nonce,
        );
        self.shop.follow(id, payer.address(), nonce);
        let request = |route: usize, path: String, signer: &LocalSigner| Request {
            payment: self.header(route, signer, authorization),
            route,
            path,
            id,
        };
        Purchase {
            request: request(index(route), format!("/{number}"), &payer),
            other: request(index(other_route), format!("/{number}/other"), &payer),
            forged: request(index(route), format!("/{number}"), &payer_key(number + 1)),
        }
    }

    fn header(&self, route: usize, signer: &LocalSigner, authorization: Authorization) -> String {
        let id = self.asset.id;
        let signature = sign_authorization(
            signer,
            &self.asset.domain,
            id.chain(),
            id.token(),
            &authorization,
        )
        .expect("a signature");
        let payload = Payload {
            authorization,
            signature,
        };
        header::encode(&json!({
            "x402Version": 2, "accepted": self.accepted[route], "payload": payload.to_value(),
        }))
    }

    /// Sends a request; `None` when no answer came.
    pub async fn send(&self, request: &Request) -> Option<Reply> {
        let (host, sent) = (Arc::clone(&self.host), request.clone());
        let there = move || -> BoxFuture<'static, Option<Reply>> {
            let (host, request) = (Arc::clone(&host), sent.clone());
            Box::pin(async move {
                let (process, gate) = host.running()?;
                // A task of its own, as in the paywall: who hangs up stops nothing.
                process
                    .spawn(async move { gate.handle(request).await })
                    .await
                    .ok()
            })
        };
        let what = format!("asks for {}", request.path);
        timeout(PATIENCE, self.world.ask(&self.crowd, &what, there))
            .await
            .ok()?
            .ok()
    }

    /// Makes a payment at some moment of the storm and sends it until there is an answer or the storm is over.
    pub async fn buy(self: Arc<Self>, number: u64) -> Purchase {
        let rush_ms = self.world.plan().rush_secs * 1_000;
        let start = self.world.chance().below(rush_ms);
        sleep(Duration::from_millis(start)).await;
        let purchase = self.sign(number);
        loop {
            self.mischief(&purchase);
            let reply = self.send(&purchase.request).await;
            let done = reply.is_some_and(|reply| !reply.may_change());
            if done && !self.world.chance().roll(200) || self.world.is_calm() {
                return purchase;
            }
            let pause = self.world.chance().between(100, 20_000);
            sleep(Duration::from_millis(pause)).await;
        }
    }

    /// Copies, other requests and forgeries beside the real one.
    fn mischief(self: &Arc<Self>, purchase: &Purchase) {
        for (request, per_mille) in [
            (&purchase.request, 300),
            (&purchase.other, 100),
            (&purchase.forged, 100),
        ] {
            let (comes, after) = {
                let mut chance = self.world.chance();
                (chance.roll(per_mille), chance.below(8_000))
            };
            if comes {
                let (market, request) = (Arc::clone(self), request.clone());
                let forged = request.payment == purchase.forged.payment;
                tokio::spawn(async move {
                    sleep(Duration::from_millis(after)).await;
                    let reply = market.send(&request).await;
                    if forged && reply.as_ref().is_some_and(|reply| reply.goods().is_some()) {
                        market
                            .world
                            .problem(format_args!("{} was sold to a forger", request.path));
                    }
                });
            }
        }
    }

    /// Asks again, in calm times, until nothing changes any more.
    pub async fn last_word(&self, request: &Request) -> Option<Reply> {
        let mut last = None;
        for _ in 0..8 {
            last = self.send(request).await;
            if last.as_ref().is_some_and(|reply| !reply.may_change()) {
                break;
            }
            sleep(Duration::from_secs(20)).await;
        }
        last
    }
}

fn requirements(offer: &Offer) -> Value {
    let Some(ask) = offer.asks().first().and_then(faregate_core::Ask::as_token) else {
        unreachable!("the simulated shop is paid in tokens");
    };
    let faregate_core::Payee::Evm(payee) = ask.payee else {
        unreachable!("all payees are accounts here")
    };
    json!({
        "scheme": "exact", "network": ask.asset.id.chain().to_string(),
        "amount": ask.amount.value().to_string(), "asset": ask.asset.id.token().to_string(),
        "payTo": payee.to_string(), "maxTimeoutSeconds": offer.max_timeout_secs(),
        "extra": ask.asset.domain.to_extra(),
    })
}
