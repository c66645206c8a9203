//! The facilitator as a process of its own, with its own ledger, and the gate's way to it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use faregate_core::port::NoTrail;
use faregate_core::rail::x402::response_of;
use faregate_core::{Facilitator, SettleOutcome, Settler, Verdict};
use faregate_remote::{Carrier, RemoteConfig, RemoteFacilitator};
use faregate_types::x402::{FacilitatorRequest, VerifyResponse};
use faregate_types::{Code, Refusal};
use futures_util::future::BoxFuture;
use tokio::time::sleep;
use url::Url;

use crate::host::Host;
use crate::node::Node;
use crate::process::Process;

/// How long a copy waits for the first, as the server does it.
const COPY_WAIT: Duration = Duration::from_secs(10);

/// How long the gate waits for a verdict.
const VERIFY_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the gate waits for a settlement.
const SETTLE_TIMEOUT: Duration = Duration::from_secs(40);

/// What runs at the desk.
#[derive(Clone)]
pub struct Desk {
    /// Settles once each; a facilitator of somebody else may have no memory and settle whatever it is asked to.
    pub settler: Option<Settler>,
    /// Verifies.
    pub facilitator: Arc<dyn Facilitator>,
    /// The chain, for one that looks at balances first.
    pub node: Arc<Node>,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").finish_non_exhaustive()
    }
}

/// The gate's way to the desk.
#[derive(Debug)]
pub struct Way {
    process: Process,
    host: Arc<Host<Desk>>,
}

impl Way {
    /// The facilitator on `host`, as `process` sees it.
    #[must_use]
    pub fn facilitator(process: Process, host: Arc<Host<Desk>>) -> Arc<dyn Facilitator> {
        let url = "http://127.0.0.1:4022".parse().expect("a URL");
        let mut config = RemoteConfig::new(url);
        config.verify_timeout = VERIFY_TIMEOUT;
        config.settle_timeout = SETTLE_TIMEOUT;
        let way = Arc::new(Self { process, host });
        Arc::new(RemoteFacilitator::in_process(config, way).expect("a good configuration"))
    }
}

impl Carrier for Way {
    fn call(&self, url: &Url, body: Option<Vec<u8>>) -> BoxFuture<'_, Option<(u16, Vec<u8>)>> {
        let (host, path) = (Arc::clone(&self.host), url.path().to_owned());
        let what = format!("asks {path}");
        let there = move || -> BoxFuture<'static, Option<(u16, Vec<u8>)>> {
            let (host, path, body) = (Arc::clone(&host), path.clone(), body.clone());
            Box::pin(async move {
                let (process, desk) = host.running()?;
                // A task of its own: the answer is nobody's condition.
                process
                    .spawn(serve(desk, path, body.unwrap_or_default()))
                    .await
                    .ok()
            })
        };
        Box::pin(async move {
            self.process
                .world()
                .ask(&self.process, &what, there)
                .await
                .ok()
        })
    }
}

/// One call at the desk, as the server answers it.
async fn serve(desk: Arc<Desk>, path: String, body: Vec<u8>) -> (u16, Vec<u8>) {
    let Ok(request) = FacilitatorRequest::decode(&body) else {
        return (400, Vec::new());
    };
    if path.ends_with("verify") {
        match desk.facilitator.verify(&request).await {
            Ok(Verdict::Valid { payer }) => json(&VerifyResponse::valid(payer)),
            Ok(Verdict::Invalid(refusal)) => json(&VerifyResponse::invalid(&refusal)),
            Err(_) => (503, Vec::new()),
        }
    } else if let Some(settler) = &desk.settler {
        match settler.settle(&request, sleep(COPY_WAIT)).await {
            Ok(outcome) => json(&response_of(&request, &outcome)),
            Err(_) => (503, Vec::new()),
        }
    } else {
        forgetful(&desk, &request).await
    }
}

/// A settlement by a facilitator that verifies in the order of the specification, sends and forgets, as most do.
async fn forgetful(desk: &Desk, request: &FacilitatorRequest) -> (u16, Vec<u8>) {
    if let Ok(payment) = request.exact() {
        let has = desk.node.chain().state().balance(payment.payer());
        if has < payment.terms.amount {
            let refusal = Refusal::new(Code::InsufficientFunds);
            return json(&response_of(request, &SettleOutcome::Failed(refusal)));
        }
    }
    let outcome = match desk.facilitator.verify(request).await {
        Ok(Verdict::Valid { .. }) => desk.facilitator.settle(request, &NoTrail).await,
        Ok(Verdict::Invalid(refusal)) => SettleOutcome::Failed(refusal),
        Err(_) => return (503, Vec::new()),
    };
    json(&response_of(request, &outcome))
}

fn json(body: &impl serde::Serialize) -> (u16, Vec<u8>) {
    (200, serde_json::to_vec(body).unwrap_or_default())
}
