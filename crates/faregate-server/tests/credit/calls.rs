//! Tabs, guarantees, lists: what the SDKs read of them (specs/4mica.md §1.4, §1.7).

use faregate_core::credit::TabEvent;
use faregate_types::credit::{
    Certificate, Encoding, ValidationPolicy, certificate, parse_quantity,
};
use faregate_types::{Address, B256, U256};
use http::Method;
use serde_json::{Value, json};

use crate::kit::{
    CHAIN, EXPIRATION, Told, World, bls_key, contract, facilitator, payer, recipient, registry,
    signed, stranger, terms, token,
};

async fn ready() -> (World, String) {
    let world = World::new().await;
    world.deposit(&payer(), Address::ZERO, 1_000).await;
    let token = world.token(&recipient()).await;
    (world, token)
}

fn tab_request() -> Value {
    json!({
        "user_address": payer().text(), "recipient_address": recipient().text(),
        "erc20_token": null, "ttl": null, "guarantee_version": 1,
    })
}

#[tokio::test]
async fn a_tab_is_opened_once_and_found_again() {
    let (world, token) = ready().await;
    let opened = world
        .post(Some(&token), "/core/payment-tabs", &tab_request())
        .await
        .ok();
    assert!(parse_quantity(opened["id"].as_str().unwrap()).is_some());
    assert_eq!(opened["next_req_id"], "0x0");
    assert_eq!(opened["asset_address"], Address::ZERO.to_string());
    let again = world
        .post(Some(&token), "/core/payment-tabs", &tab_request())
        .await
        .ok();
    assert_eq!(again, opened);
    let path = format!("/core/tabs/{}", opened["id"].as_str().unwrap());
    let tab = world.get(Some(&token), &path).await.ok();
    assert_eq!(tab["tab_id"], opened["id"]);
    assert_eq!(
        (&tab["status"], &tab["settlement_status"]),
        (&json!("PENDING"), &json!("PENDING"))
    );
    assert_eq!(tab["ttl_seconds"], 86_400);
    assert_eq!(
        world.get(Some(&token), "/core/tabs/0x1").await.ok(),
        Value::Null
    );
    let lists = [
        "guarantees",
        "guarantees/latest",
        "guarantees/1",
        "collateral-events",
    ];
    for list in lists {
        let told = world
            .get(Some(&token), &format!("/core/tabs/0x1/{list}"))
            .await;
        assert_eq!(told.error(), (404, "tab not found"));
    }
}

#[tokio::test]
async fn a_tab_that_cannot_be_is_refused_with_the_texts_of_the_network() {
    let (world, token) = ready().await;
    let long = EXPIRATION + 1;
    for (change, expected) in [
        (
            json!({ "guarantee_version": 3 }),
            (
                400,
                "guarantee version 3 is not accepted by core".to_owned(),
            ),
        ),
        (
            json!({ "ttl": long }),
            (
                400,
                format!("tab ttl exceeds tab expiration time (ttl={long}, max={EXPIRATION})"),
            ),
        ),
        (
            json!({ "ttl": 0 }),
            (400, "tab ttl must be greater than zero".to_owned()),
        ),
        (
            json!({ "user_address": stranger().text() }),
            (400, "user not registered".to_owned()),
        ),
        (
            json!({ "erc20_token": registry().to_string() }),
            (400, "asset is not supported".to_owned()),
        ),
    ] {
        let mut asked = tab_request();
        for (key, value) in change.as_object().unwrap() {
            asked[key] = value.clone();
        }
        let told = world.post(Some(&token), "/core/payment-tabs", &asked).await;
        assert_eq!(told.error(), (expected.0, expected.1.as_str()));
    }
}

#[tokio::test]
async fn a_guarantee_is_issued_and_its_certificate_holds() {
    let (world, token) = ready().await;
    let tab = world.tab(&token).await;
    for (req, encoding) in [(0, Encoding::TypedV1), (1, Encoding::MessageV1)] {
        let body = signed(&world.claims(&tab, req, 30), encoding);
        let issued = world
            .post(Some(&token), "/core/guarantees", &body)
            .await
            .ok();
        // As the network writes it: without 0x, 96 bytes of signature.
        assert_eq!(issued["signature"].as_str().unwrap().len(), 192);
        let read: Certificate = serde_json::from_value(issued.clone()).unwrap();
        let said = read.verify(&bls_key().public_key()).unwrap();
        let domain = certificate::domain_separator(
            faregate_types::credit::GuaranteeVersion::V1,
            CHAIN,
            contract(),
        );
        assert_eq!(said.domain, domain);
        assert_eq!(
            (said.amount, said.total_amount),
            (U256::from(30), U256::from(30 * (req + 1)))
        );
        let latest = format!("/core/tabs/{tab}/guarantees/latest");
        let latest = world.get(Some(&token), &latest).await.ok();
        assert_eq!(
            (&latest["req_id"], &latest["amount"]),
            (&json!(format!("{req:#x}")), &json!("0x1e"))
        );
        let kept: Value = serde_json::from_str(latest["certificate"].as_str().unwrap()).unwrap();
        assert_eq!(kept, issued);
    }
    let all = world
        .get(Some(&token), &format!("/core/tabs/{tab}/guarantees"))
        .await
        .ok();
    assert_eq!(all.as_array().unwrap().len(), 2);
    let second = world
        .get(Some(&token), &format!("/core/tabs/{tab}/guarantees/1"))
        .await
        .ok();
    assert_eq!(second, all[1]);
    let none = world
        .get(Some(&token), &format!("/core/tabs/{tab}/guarantees/17"))
        .await
        .ok();
    assert_eq!(none, Value::Null);
    let balance = format!("/core/users/{}/assets/{}", payer().text(), Address::ZERO);
    let balance = world.get(Some(&token), &balance).await.ok();
    assert_eq!(
        (&balance["total"], &balance["locked"]),
        (&json!("0x3e8"), &json!("0x3c"))
    );
    let events = world
        .get(Some(&token), &format!("/core/tabs/{tab}/collateral-events"))
        .await
        .ok();
    assert_eq!(events[0]["event_type"], "RESERVE");
    let info = world
        .get(Some(&token), &format!("/core/tabs/{tab}"))
        .await
        .ok();
    assert_eq!(
        (&info["status"], &info["total_amount"]),
        (&json!("OPEN"), &json!("0x3c"))
    );
}

/// Issues a guarantee. Whoever only asks beforehand hears the same, and nothing happens.
async fn issue_checked(world: &World, token: &str, body: &Value) -> Told {
    let checked = world
        .post(Some(token), "/core/guarantees/check", body)
        .await;
    let issued = world.post(Some(token), "/core/guarantees", body).await;
    match issued.status.is_success() {
        true => assert_eq!(checked.ok(), json!({ "valid": true })),
        false => assert_eq!(checked.error(), issued.error()),
    }
    issued
}

#[tokio::test]
async fn a_guarantee_that_cannot_be_is_refused_with_the_texts_of_the_network() {
    let (world, token) = ready().await;
    let tab = world.tab(&token).await;
    let issue = async |body: &Value| issue_checked(&world, &token, body).await;
    issue(&world.signed(&tab, 0, 10)).await.ok();
    let again = issue(&world.signed(&tab, 0, 10)).await;
    assert_eq!(
        again.error(),
        (400, "another guarantee with req_id 0 already exists")
    );
    assert_eq!(
        issue(&world.signed(&tab, 2, 10)).await.error(),
        (400, "req_id not valid")
    );
    assert_eq!(
        issue(&world.signed(&tab, 1, 0)).await.error(),
        (400, "amount must be greater than zero")
    );
    assert_eq!(
        issue(&world.signed(&tab, 1, 991)).await.error(),
        (400, "Not enough free collateral")
    );
    assert_eq!(
        issue(&world.signed("0x7", 1, 1)).await.error(),
        (404, "0x7")
    );
    let mut claims = world.claims(&tab, 1, 1);
    claims.timestamp = faregate_types::Timestamp::from_secs(world.time() + 1);
    assert_eq!(
        issue(&signed(&claims, Encoding::TypedV1)).await.error(),
        (400, "timestamp is in the future")
    );
    claims.timestamp = faregate_types::Timestamp::from_secs(world.time() - 1);
    assert_eq!(
        issue(&signed(&claims, Encoding::TypedV1)).await.error(),
        (400, "start timestamp modified")
    );
    let mut claims = world.claims(&tab, 1, 1);
    claims.asset = crate::kit::token();
    assert_eq!(
        issue(&signed(&claims, Encoding::TypedV1)).await.error(),
        (400, "Invalid asset address")
    );
    // Signed by somebody else, or changed afterwards.
    let mut changed = world.signed(&tab, 1, 10);
    changed["claims"]["amount"] = json!("0xb");
    assert_eq!(issue(&changed).await.error(), (400, "Invalid signature"));
    for (signature, expected) in [
        ("0x12", "invalid signature length"),
        ("zz", "invalid hex signature"),
    ] {
        changed["signature"] = json!(signature);
        let told = issue(&changed).await;
        assert!(
            told.error().0 == 400 && told.error().1.contains(expected),
            "{told:?}"
        );
    }
    world.later(86_401);
    let token = world.token(&recipient()).await;
    let late = world.signed(&tab, 1, 1);
    let late = world.post(Some(&token), "/core/guarantees", &late).await;
    assert_eq!(late.error(), (400, "start timestamp modified"));
    // Nothing of this locked anything.
    let balance = format!("/core/users/{}/assets/{}", payer().text(), Address::ZERO);
    assert_eq!(
        world.get(Some(&token), &balance).await.ok()["locked"],
        "0xa"
    );
}

#[tokio::test]
async fn a_suspended_user_is_refused_until_it_is_not() {
    let (world, token) = ready().await;
    let tab = world.tab(&token).await;
    let key = faregate_types::credit::AdminKey::bootstrap(crate::kit::SEED.as_bytes());
    let path = format!("/core/users/{}/suspension", payer().text());
    for suspended in [true, false] {
        let request = world
            .request(Method::POST, &path)
            .header("x-api-key", key.to_text().as_str());
        let told = world
            .send(request.json(&json!({ "suspended": suspended })))
            .await
            .ok();
        assert_eq!(told["suspended"], suspended);
        assert_eq!(
            (&told["user_address"], &told["updated_at"]),
            (&json!(payer().text()), &json!(world.time()))
        );
        let issued = world
            .post(Some(&token), "/core/guarantees", &world.signed(&tab, 0, 10))
            .await;
        let opened = world
            .post(Some(&token), "/core/payment-tabs", &tab_request())
            .await;
        if suspended {
            assert_eq!(issued.error(), (403, "user suspended"));
            assert_eq!(opened.error(), (403, "user suspended"));
        } else {
            issued.ok();
            opened.ok();
        }
    }
}

#[tokio::test]
async fn a_repeated_request_hears_its_certificate_only_if_it_says_so() {
    let (world, token) = ready().await;
    let tab = world.tab(&token).await;
    let send = async |body: &Value, repeatable: bool| {
        let mut request = world
            .request(Method::POST, "/core/guarantees")
            .bearer_auth(&token);
        if repeatable {
            request = request.header("idempotency-key", "8e03978e-40d5-43e8-bc93-6894a57f9324");
        }
        world.send(request.json(body)).await
    };
    let body = world.signed(&tab, 0, 10);
    let first = send(&body, true).await.ok();
    assert_eq!(send(&body, true).await.ok(), first);
    let duplicate = (400, "another guarantee with req_id 0 already exists");
    assert_eq!(send(&body, false).await.error(), duplicate);
    // Another request under the same number is no repetition.
    assert_eq!(
        send(&world.signed(&tab, 0, 11), true).await.error(),
        duplicate
    );
    let all = world
        .get(Some(&token), &format!("/core/tabs/{tab}/guarantees"))
        .await
        .ok();
    assert_eq!(all.as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn what_was_not_certified_is_certified_after_the_next_start() {
    use faregate_core::credit::{Identity, Issue, TabId};
    use faregate_core::port::credit::CreditStore as _;
    let (world, token) = ready().await;
    let tab = world.tab(&token).await;
    let claims = world.claims(&tab, 0, 10);
    let body = signed(&claims, Encoding::TypedV1);
    let request: faregate_types::credit::GuaranteeRequest =
        faregate_types::credit::read(body.to_string().as_bytes()).unwrap();
    // The process ended between the books and the certificate.
    let command = Issue {
        tab: TabId(claims.tab_id),
        req: claims.req_id,
        identity: Identity {
            payer: claims.payer,
            recipient: claims.recipient,
            asset: claims.asset,
            version: 1,
        },
        amount: claims.amount,
        timestamp: claims.timestamp,
        request: faregate_types::credit::write(&request).into_bytes().into(),
        at: claims.timestamp,
    };
    world.books.issue(command, terms()).await.unwrap();
    let (books, ledger) = (world.books.clone(), world.ledger.clone());
    world.stop().await;
    let again = World::over(books, ledger, crate::kit::settings(true)).await;
    // Nobody asks, and no time passes: its certificate comes by itself.
    let by_itself = async {
        while !again.books.uncertified(10).await.unwrap().is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let wait = std::time::Duration::from_secs(60);
    tokio::time::timeout(wait, by_itself).await.unwrap();
    let repeated = again
        .request(Method::POST, "/core/guarantees")
        .bearer_auth(&token);
    let repeated = repeated.header("idempotency-key", "x").json(&body);
    let told = again.send(repeated).await.ok();
    let read: Certificate = serde_json::from_value(told).unwrap();
    read.verify(&bls_key().public_key()).unwrap();
    let kept = again.books.guarantee(TabId(claims.tab_id), claims.req_id);
    assert_eq!(kept.await.unwrap().unwrap().certificate, Some(read));
}

fn policy() -> ValidationPolicy {
    ValidationPolicy {
        registry: registry(),
        request_hash: B256::ZERO,
        chain_id: CHAIN.get(),
        validator: stranger().address(),
        agent_id: U256::from(1),
        min_score: 80,
        subject_hash: B256::ZERO,
        tag: "quality".into(),
        job_hash: B256::repeat_byte(1),
    }
}

#[tokio::test]
async fn guarantees_with_a_condition_are_taken_in_every_encoding_and_only_with_one_that_holds() {
    let (world, token) = ready().await;
    let tab = world.tab(&token).await;
    let issue = async |body: &Value| world.post(Some(&token), "/core/guarantees", body).await;
    let claims = |req: u64, policy: ValidationPolicy| {
        let mut claims = world.claims(&tab, req, 10);
        claims.validation = Some(policy);
        claims
    };
    for (req, encoding) in [
        (0, Encoding::TypedV2TagFirst),
        (1, Encoding::TypedV2JobFirst),
        (2, Encoding::MessageV2TagFirst),
        (3, Encoding::MessageV2JobFirst),
        (4, Encoding::MessageV2Struct),
    ] {
        let issued = issue(&signed(&claims(req, policy()), encoding)).await.ok();
        let read: Certificate = serde_json::from_value(issued).unwrap();
        let said = read.verify(&bls_key().public_key()).unwrap();
        assert_eq!(said.validation.unwrap().min_score, 80);
    }
    for (odd, expected) in [
        (
            ValidationPolicy {
                registry: token_address(),
                ..policy()
            },
            "validation registry is not trusted",
        ),
        (
            ValidationPolicy {
                chain_id: 1,
                ..policy()
            },
            "validation_chain_id is not that of this core",
        ),
        (
            ValidationPolicy {
                job_hash: B256::ZERO,
                ..policy()
            },
            "job_hash must not be zero",
        ),
    ] {
        let told = issue(&signed(&claims(5, odd), Encoding::TypedV2TagFirst)).await;
        assert_eq!(told.error(), (400, expected));
    }
    // A version that was used is the tab's.
    let told = issue(&world.signed(&tab, 5, 1)).await;
    let expected = format!("tab {tab} only accepts guarantee version 2, got 1");
    assert_eq!(told.error(), (400, expected.as_str()));
}

fn token_address() -> Address {
    token()
}

#[tokio::test]
async fn versions_that_are_not_accepted_any_more_are_refused() {
    let (world, token) = ready().await;
    let tab = world.tab(&token).await;
    let mut less = terms();
    less.versions = [2].into();
    world.terms.send_replace(std::sync::Arc::new(less));
    let told = world
        .post(Some(&token), "/core/guarantees", &world.signed(&tab, 0, 1))
        .await;
    let expected = "guarantee request version 1 is not accepted; accepted versions are [2]";
    assert_eq!(told.error(), (400, expected));
    let params = world.get(None, "/core/public-params").await.ok();
    assert_eq!(params["accepted_guarantee_versions"], json!([2]));
}

#[tokio::test]
async fn lists_are_told_in_parts() {
    let (world, token) = ready().await;
    let tab = world.tab(&token).await;
    for req in 0..5 {
        let body = world.signed(&tab, req, 1);
        world
            .post(Some(&token), "/core/guarantees", &body)
            .await
            .ok();
    }
    let path = format!("/core/tabs/{tab}/guarantees");
    let all = world.get(Some(&token), &path).await;
    assert!(all.headers.get("link").is_none());
    let all = all.ok();
    let (mut seen, mut next) = (vec![], format!("{path}?limit=2"));
    loop {
        let told = world.get(Some(&token), &next).await;
        let link = told
            .headers
            .get("link")
            .map(|link| link.to_str().unwrap().to_owned());
        seen.extend(told.ok().as_array().unwrap().clone());
        let Some(link) = link else { break };
        next = link
            .trim_start_matches('<')
            .split('>')
            .next()
            .unwrap()
            .to_owned();
    }
    assert_eq!(Value::Array(seen), all);
    for odd in ["limit=-1", "limit=x", "skip=1.5", "limit="] {
        let told = world.get(Some(&token), &format!("{path}?{odd}")).await;
        assert_eq!(told.status, 400, "{odd}");
    }
}

#[tokio::test]
async fn what_the_chain_said_is_listed() {
    let (world, token) = ready().await;
    let tab = world.tab(&token).await;
    let body = world.signed(&tab, 0, 100);
    world
        .post(Some(&token), "/core/guarantees", &body)
        .await
        .ok();
    let seller = format!("/core/recipients/{}", recipient().text());
    let open = world
        .get(Some(&token), &format!("{seller}/pending-remunerations"))
        .await
        .ok();
    assert_eq!(open[0]["tab"]["tab_id"], json!(tab));
    assert_eq!(open[0]["latest_guarantee"]["amount"], "0x64");
    let id = faregate_core::credit::TabId(tab.parse().unwrap());
    world
        .happens(TabEvent::Remunerated {
            tab: id,
            asset: Address::ZERO,
            amount: U256::from(100),
        })
        .await;
    let settled = world
        .get(Some(&token), &format!("{seller}/settled-tabs"))
        .await
        .ok();
    assert_eq!(settled[0]["settlement_status"], "REMUNERATED");
    for (query, count) in [
        ("", 1),
        (
            "?settlement_status=PENDING&settlement_status=remunerated",
            1,
        ),
        ("?settlement_status=PENDING", 0),
        ("?settlement_status=SETTLED", 0),
    ] {
        let tabs = world
            .get(Some(&token), &format!("{seller}/tabs{query}"))
            .await
            .ok();
        assert_eq!(tabs.as_array().unwrap().len(), count, "{query}");
    }
    let told = world
        .get(
            Some(&token),
            &format!("{seller}/tabs?settlement_status=DONE"),
        )
        .await;
    assert_eq!(told.error(), (400, "invalid settlement status: DONE"));
    let closed = world
        .post(Some(&token), "/core/guarantees", &world.signed(&tab, 1, 1))
        .await;
    assert_eq!(closed.error(), (409, "tab already closed"));
    let mine = world.token(&payer()).await;
    let owed = format!("/core/users/{}/tabs", payer().text());
    for (query, count) in [
        ("", 1),
        ("?settlement_status=remunerated", 1),
        ("?settlement_status=PENDING&settlement_status=SETTLED", 0),
    ] {
        let path = format!("{owed}{query}");
        let tabs = world.get(Some(&mine), &path).await.ok();
        assert_eq!(tabs.as_array().unwrap().len(), count, "{query}");
    }
    let odd = format!("{owed}?settlement_status=DONE");
    let told = world.get(Some(&mine), &odd).await;
    assert_eq!(told.error(), (400, "invalid settlement status: DONE"));
    let helper = world.token(&facilitator()).await;
    let none = format!("/core/users/{}/assets/{}", stranger().text(), Address::ZERO);
    assert_eq!(world.get(Some(&helper), &none).await.ok(), Value::Null);
}

#[tokio::test]
async fn payments_are_listed_with_their_times_in_milliseconds() {
    let (world, token) = ready().await;
    let tab = world.tab(&token).await;
    let body = world.signed(&tab, 0, 100);
    world
        .post(Some(&token), "/core/guarantees", &body)
        .await
        .ok();
    world
        .happens(TabEvent::Paid {
            tab: faregate_core::credit::TabId(tab.parse().unwrap()),
            req: Some(U256::ZERO),
            payer: payer().address(),
            recipient: recipient().address(),
            asset: Address::ZERO,
            amount: U256::from(100),
        })
        .await;
    let path = format!("/core/recipients/{}/payments", recipient().text());
    let paid = world.get(Some(&token), &path).await.ok();
    assert_eq!(
        (&paid[0]["amount"], &paid[0]["verified"]),
        (&json!("0x64"), &json!(false))
    );
    assert_eq!(paid[0]["created_at"], world.time() * 1_000);
}
