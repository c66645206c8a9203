//! The parts of a request alone: what is computed for each payment, without sockets.

#![allow(missing_docs, reason = "the macros make public functions without")]
#![allow(clippy::unwrap_used, reason = "a bench that does not work has to stop")]

use std::cell::RefCell;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use alloy_primitives::{B256, U256};
use axum::body::Body;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use criterion::{BatchSize, Criterion, criterion_group, criterion_main};
use faregate_benches::payer::Sample;
use faregate_benches::serve::books::Forgetful;
use faregate_benches::serve::{joke, shop};
use faregate_benches::{Failed, chain, drive};
use faregate_core::rail::x402::X402;
use faregate_core::route::{RoutePattern, RouteTable, normalise_path};
use faregate_core::{Asked, Rail, Till};
use faregate_evm::{recover, sign_authorization};
use faregate_ledger::{Answer, Claimed, LedgerStore, Step};
use faregate_store::memory::MemoryLedger;
use faregate_store::sqlite::SqliteLedger;
use faregate_tower::PaywallLayer;
use faregate_types::x402::FacilitatorRequest;
use faregate_types::x402::header::{decode_payment_v1, decode_payment_v2};
use faregate_types::{Code, Refusal, Signature65, Timestamp, domain_separator};
use http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use serde_json::Value;
use tower::ServiceExt as _;

fn signatures(criterion: &mut Criterion) {
    let (asset, sample) = (chain::asset().unwrap(), Sample::make().unwrap());
    let (domain, token) = (&asset.domain, asset.id.token());
    let authorization = sample.payload.authorization;
    let separator = domain_separator(domain, chain::CHAIN, token);
    let digest = authorization.digest(separator);
    let signature = Signature65::parse(&sample.payload.signature).unwrap();
    assert_eq!(recover(digest, &signature), Some(authorization.from));
    criterion.bench_function("EIP-712 domain separator", |bench| {
        bench.iter(|| domain_separator(black_box(domain), chain::CHAIN, token));
    });
    criterion.bench_function("EIP-712 digest, separator known", |bench| {
        bench.iter(|| black_box(&authorization).digest(separator));
    });
    criterion.bench_function("recover the payer", |bench| {
        bench.iter(|| recover(black_box(digest), &signature));
    });
    criterion.bench_function("sign a payment, separator included", |bench| {
        bench.iter(|| {
            sign_authorization(
                &sample.signer,
                domain,
                chain::CHAIN,
                token,
                black_box(&authorization),
            )
        });
    });
}

fn messages(criterion: &mut Criterion) {
    let sample = Sample::make().unwrap();
    let (v2, v1) = (sample.header_v2.as_bytes(), sample.header_v1.as_bytes());
    assert!(decode_payment_v2(v2).is_ok() && decode_payment_v1(v1).is_ok());
    criterion.bench_function("decode a v2 payment header", |bench| {
        bench.iter(|| decode_payment_v2(black_box(v2)));
    });
    criterion.bench_function("decode a v1 payment header", |bench| {
        bench.iter(|| decode_payment_v1(black_box(v1)));
    });
    let request = FacilitatorRequest::decode(&sample.request).unwrap();
    assert!(request.exact().is_ok());
    criterion.bench_function("decode a facilitator request", |bench| {
        bench.iter(|| FacilitatorRequest::decode(black_box(&sample.request)));
    });
    criterion.bench_function("type a facilitator request", |bench| {
        bench.iter(|| black_box(&request).exact());
    });
    criterion.bench_function("encode a facilitator request", |bench| {
        bench.iter(|| black_box(&request).encode());
    });
}

fn gate(criterion: &mut Criterion) {
    let (sample, runtime) = (Sample::make().unwrap(), runtime());
    let rail = X402::new(Arc::new(shop::Unsettling::default()));
    let till = till(Arc::new(Forgetful::default()));
    let offer = shop::offer().unwrap();
    let (asked, why) = (Asked::default(), Refusal::new(Code::InvalidPayload));
    criterion.bench_function("make a 402 challenge", |bench| {
        bench.iter(|| runtime.block_on(till.challenge(black_box(&offer), &asked, &why)));
    });
    let mut headers = HeaderMap::new();
    let value = HeaderValue::from_str(&sample.header_v2).unwrap();
    headers.insert("payment-signature", value);
    criterion.bench_function("read a credential", |bench| {
        bench.iter(|| rail.read(black_box(&headers)));
    });
    let pattern = |text: &str| RoutePattern::parse(text).unwrap();
    let literals = (0..100).map(|number| (pattern(&format!("GET /reports/{number}")), number));
    let wild = (100..110).map(|number| (pattern(&format!("/images/{number}/*")), number));
    let table = RouteTable::new(literals.chain(wild).collect::<Vec<_>>());
    criterion.bench_function("match one of 110 routes", |bench| {
        bench.iter(|| {
            let path = normalise_path(black_box("/images/109/large.png")).unwrap();
            matches!(
                table.find(&Method::GET, None, &path),
                faregate_core::route::Lookup::Route(109)
            )
        });
    });
}

/// A whole paid request without its sockets, its signature check and its ledger, and the same request for nothing.
fn layer(criterion: &mut Criterion) {
    let runtime = runtime();
    let till = till(Arc::new(Forgetful::default()));
    let paid = joke().layer(PaywallLayer::new(till, shop::offer().unwrap()).unwrap());
    let mut buyer = Buyer::new().unwrap();
    let answer = runtime.block_on(paid.clone().oneshot(buyer.purchase()));
    assert_eq!(answer.unwrap().status(), StatusCode::OK);
    for (name, shop) in [
        ("a request through axum alone", joke()),
        ("a paid request through the layer in axum", paid),
    ] {
        criterion.bench_function(name, |bench| {
            bench.iter_batched(
                || (shop.clone(), buyer.purchase()),
                |(shop, request)| runtime.block_on(shop.oneshot(request)),
                BatchSize::SmallInput,
            );
        });
    }
}

/// Makes requests that nobody checks the signature of, each with a payment of its own.
struct Buyer {
    payment: Value,
    made: u64,
}

impl Buyer {
    fn new() -> Result<Self, Failed> {
        let json = STANDARD.decode(Sample::make()?.header_v2)?;
        let mut payment: Value = serde_json::from_slice(&json)?;
        payment["accepted"]["maxTimeoutSeconds"] = shop::offer()?.max_timeout_secs().into();
        Ok(Self { payment, made: 0 })
    }

    fn purchase(&mut self) -> Request<Body> {
        self.made += 1;
        let nonce = B256::from(U256::from(self.made)).to_string();
        self.payment["payload"]["authorization"]["nonce"] = nonce.into();
        let header = STANDARD.encode(self.payment.to_string());
        Request::get("/joke")
            .header("payment-signature", header)
            .body(Body::empty())
            .unwrap()
    }
}

/// Payments after which a ledger is begun anew, so that one in memory does not grow with the time that is measured.
const LEDGER_PAYMENTS: u64 = 50_000;

fn ledger(criterion: &mut Criterion) {
    type Make<'a> = &'a dyn Fn() -> Arc<dyn LedgerStore>;
    let (runtime, folder) = (runtime(), tempfile::tempdir().unwrap());
    let file = folder.path().join("parts.db");
    let makes: [(&str, Make<'_>); 3] = [
        ("claim, settle and keep, ledger in memory", &|| {
            Arc::new(MemoryLedger::new())
        }),
        ("claim, settle and keep, SQLite in memory", &|| {
            Arc::new(SqliteLedger::in_memory().unwrap())
        }),
        ("claim, settle and keep, durable", &|| {
            Arc::new(SqliteLedger::open(Path::new(&file)).unwrap())
        }),
    ];
    let answer = Answer {
        status: 200,
        headers: vec![("content-type".into(), b"text/plain".to_vec())],
        body: Some(b"ok".to_vec()),
    };
    for (name, make) in makes {
        let (store, mut number) = (RefCell::new(make()), 0_u64);
        criterion.bench_function(name, |bench| {
            bench.iter_batched(
                || {
                    number += 1;
                    if number.is_multiple_of(LEDGER_PAYMENTS) {
                        store.replace(make());
                    }
                    let keep = Step::Keep {
                        answer: answer.clone(),
                    };
                    (drive::claim(number).unwrap(), keep)
                },
                |(claim, keep)| {
                    let (id, at, store) = (claim.id, claim.at, store.borrow());
                    runtime.block_on(async {
                        assert_eq!(store.claim(claim).await, Ok(Claimed::Won));
                        let settle = Step::Settle { transaction: None };
                        store.advance(id, settle, at).await.unwrap();
                        store.advance(id, keep, at).await.unwrap()
                    })
                },
                BatchSize::SmallInput,
            );
        });
    }
}

fn till(store: Arc<dyn LedgerStore>) -> Till {
    let rail = X402::new(Arc::new(shop::Unsettling::default()));
    let clock = Arc::new(|| Timestamp::from(SystemTime::now()));
    Till::new(store, clock, vec![Arc::new(rail)])
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

criterion_group! {
    name = parts;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = signatures, messages, gate, layer, ledger
}
criterion_main!(parts);
