//! L402 tokens alone: what is computed for each request that shows one, without sockets and without the ledger.

#![allow(missing_docs, reason = "the macros make public functions without")]
#![allow(clippy::unwrap_used, reason = "a bench that does not work has to stop")]

use std::hint::black_box;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use faregate_types::Timestamp;
use faregate_types::l402::{
    Binding, Credential, Identifier, LOCATION, Macaroon, Presented, Request, RootKey, Rules,
    Target, credential, verify,
};
use faregate_types::lightning::{Bolt11, Msat, Preimage};

const NOW: u64 = 1_800_000_000;
const PRICE: Msat = Msat::new(10_000);

/// An invoice that was paid on a regtest network, from the recordings.
const INVOICES: &str = include_str!("../../conformance/vectors/l402.json");

fn read(value: &[u8]) -> Credential {
    match Presented::read(value) {
        Ok(Some(Presented::Signed(credential))) => credential,
        other => unreachable!("{other:?}"),
    }
}

fn tokens(criterion: &mut Criterion) {
    let (preimage, key) = (Preimage::from_bytes([7; 32]), RootKey::from_bytes([1; 32]));
    let identifier = Identifier {
        payment_hash: preimage.hash(),
        token_id: [2; 32],
    };
    let binding = Binding {
        service: "weather",
        tier: 0,
        capabilities: &[],
        valid_until: Timestamp::from_secs(NOW + 60),
        path: "/v1/*",
        method: "GET",
        price: PRICE,
        max_uses: Some(100),
        client: None,
    };
    let ours = binding.mint(&key, &identifier).unwrap();
    let three = [
        "services=weather:0",
        "weather_capabilities=forecast,history",
        "weather_valid_until=1800000060",
    ];
    let published = Macaroon::mint(&key, LOCATION, &identifier.encode(), &three).unwrap();
    let mut target = Target {
        service: "weather",
        tier: 0,
        capability: None,
        now: Timestamp::from_secs(NOW),
        rules: Rules::Published,
    };
    for (token, name, rules) in [
        (&published, "three caveats", Rules::Published),
        (
            &ours,
            "our six caveats",
            Rules::Ours(Request {
                route: "/v1/*",
                path: "/v1/now",
                method: "GET",
                price: PRICE,
                client: None,
            }),
        ),
    ] {
        target.rules = rules;
        let header = credential::write(&token.to_base64(), &preimage);
        let header = header.as_bytes();
        let shown = read(header);
        assert!(verify(&shown.tokens[0], &shown.preimage, &key, &target).is_ok());
        criterion.bench_function(&format!("decode a credential, {name}"), |bench| {
            bench.iter(|| read(black_box(header)));
        });
        criterion.bench_function(
            &format!("decode and verify a credential, {name}"),
            |bench| {
                bench.iter(|| {
                    let shown = read(black_box(header));
                    verify(&shown.tokens[0], &shown.preimage, &key, &target)
                });
            },
        );
    }
    criterion.bench_function("mint a token", |bench| {
        bench.iter(|| black_box(&binding).mint(&key, &identifier));
    });
}

fn invoices(criterion: &mut Criterion) {
    let start = INVOICES.find("lnbcrt").unwrap();
    let invoice = INVOICES[start..].split('"').next().unwrap();
    assert!(Bolt11::parse(invoice).is_ok());
    criterion.bench_function("decode an invoice and check its signature", |bench| {
        bench.iter(|| Bolt11::parse(black_box(invoice)));
    });
}

criterion_group! {
    name = parts;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = tokens, invoices
}
criterion_main!(parts);
