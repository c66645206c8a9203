//! How tokens end before they are used up: keys that are taken away, tokens that are revoked.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    unreachable_pub,
    reason = "tests may"
)]

#[allow(dead_code, reason = "every test file uses its own part")]
mod support;
#[path = "support/wallet.rs"]
mod wallet;
#[path = "support/l402_world.rs"]
#[allow(dead_code, reason = "every test file uses its own part")]
mod world;

use std::sync::atomic::Ordering;

use faregate_core::rail::l402::{MasterKey, MasterKeys};
use faregate_core::{LightningAsk, Reading};
use faregate_types::l402::credential;
use faregate_types::{Code, Timestamp};
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use wallet::NOW;
use world::*;

#[tokio::test]
async fn a_new_master_key_takes_the_tokens_of_the_old_one_until_that_is_taken_away() {
    let (offer, asked) = (
        offer(
            "any",
            LightningAsk {
                uses: None,
                ..ask()
            },
        ),
        get("/joke"),
    );
    let old = world();
    let bought = old.buy(&offer, &asked).await;
    let fresh = || MasterKeys::new(MasterKey::from_bytes([2; 32]));
    let both = world_with(fresh().and_older(MasterKey::from_bytes(MASTER)), |rail| {
        rail
    });
    both.opens(&offer, &asked, &bought).await;
    let newer = both.buy(&offer, &asked).await;
    both.opens(&offer, &asked, &newer).await;
    let revoked = world_with(fresh(), |rail| rail);
    assert_eq!(
        revoked.refused(&offer, &asked, &bought).await,
        Code::L402TokenForged
    );
    assert_eq!(
        old.refused(&offer, &asked, &newer).await,
        Code::L402TokenForged
    );
}

#[tokio::test]
async fn an_old_key_can_be_taken_until_a_date() {
    let (offer, asked) = (passes(), get("/joke"));
    let old = world();
    let bought = old.buy(&offer, &asked).await;
    let end = NOW + 100;
    let keys = MasterKeys::new(MasterKey::from_bytes([2; 32]))
        .and_older_until(MasterKey::from_bytes(MASTER), Timestamp::from_secs(end));
    let both = world_with(keys, |rail| rail);
    both.opens(&offer, &asked, &bought).await;
    // Known by its line now, and no longer than its key.
    let line = credential::write(&bought.token, &bought.preimage);
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, HeaderValue::from_str(&line).unwrap());
    let Reading::Found(credential) = both.till.read(&headers) else {
        panic!()
    };
    assert!(
        both.till
            .new_pass(&headers, &offer, &asked, &credential)
            .is_some()
    );
    both.clock.store(end - 1, Ordering::SeqCst);
    assert!(both.till.pass(&headers, &offer, &asked).is_some());
    both.clock.store(end, Ordering::SeqCst);
    assert!(both.till.pass(&headers, &offer, &asked).is_none());
    assert_eq!(
        both.refused(&offer, &asked, &bought).await,
        Code::L402TokenExpired
    );
    let newer = both.buy(&offer, &asked).await;
    both.opens(&offer, &asked, &newer).await;
}
