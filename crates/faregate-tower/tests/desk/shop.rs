//! The shop with this rail beside x402 and L402.

use std::time::Duration;

use axum::body::Body;
use faregate_types::x402::header;
use futures_util::stream;
use http::Request;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use proptest::prelude::*;
use tokio::time::timeout;

use super::collector::*;
use super::world::*;

#[tokio::test]
async fn one_402_says_how_to_pay_over_every_rail() {
    let world = World::new().await;
    let unpaid = world.get("/all").await;
    assert_eq!(unpaid.status, 402);
    assert!(unpaid.headers.contains_key(header::PAYMENT_REQUIRED));
    let lines = unpaid.headers.get_all(WWW_AUTHENTICATE);
    assert!(
        lines
            .iter()
            .any(|line| line.as_bytes().starts_with(b"L402 "))
    );
    let body = unpaid.json();
    assert_eq!(body["reason"], "Missing authorization token");
    assert_eq!(body["x402Version"], 1);
    assert!(body["invoice"].is_string());
    assert_eq!(
        body["payment_scheme"]["payment_components"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
    let token = world.buy("/all", &permit(0)).await.token();
    assert_eq!(world.open("/all", &token).await.text, "knock, knock");
}

#[tokio::test]
async fn a_header_that_opens_nothing_is_told_why_in_the_products_words() {
    let world = World::new().await;
    let good = world.buy("/joke", &permit(0)).await.token();
    let (payload, code) = good.split_once('.').unwrap();
    let first = if code.starts_with('A') { 'B' } else { 'A' };
    let changed = format!("Bearer {payload}.{first}{}", &code[1..]);
    let pun = world.buy("/pun", &worth(1, HALF)).await.token();
    let pun = format!("Bearer {pun}");
    for (line, reason) in [
        ("", "Missing authorization token"),
        ("Bearer", "Invalid authorization header format"),
        ("Bearer a b", "Invalid authorization header format"),
        ("Basic dTpw", "Invalid authorization header format"),
        ("Bearer abc", "Invalid token format"),
        ("Bearer abc.x", "Invalid token format"),
        ("Bearer a.b.c", "Invalid token format"),
        ("Bearer abcd.abcd", "Signature verification failed"),
        (&*changed, "Signature verification failed"),
        (&*pun, "Token is not valid for this resource"),
    ] {
        for _ in 0..2 {
            let answer = world.show("/joke", &[line.as_bytes()]).await;
            assert_eq!(answer.status, 402, "{line}");
            assert_eq!(answer.json()["reason"], reason, "{line}");
            assert!(answer.json()["payment_scheme"].is_object(), "{line}");
        }
    }
    world.pass_secs(TOKEN_SECS + 1);
    let answer = world.open("/joke", &good).await;
    assert_eq!(answer.json()["reason"], "Token has expired");
}

#[tokio::test]
async fn of_two_lines_one_good_one_is_enough() {
    let world = World::new().await;
    let good = world.buy("/all", &permit(0)).await.token();
    let good = format!("Bearer {good}");
    for lines in [
        [b"Bearer upstream".as_slice(), good.as_bytes()],
        [good.as_bytes(), b"Basic dTpw"],
    ] {
        for _ in 0..2 {
            assert_eq!(world.show("/all", &lines).await.status, 200);
        }
    }
}

/// Where no permits are taken, `Authorization` is the service's own: it neither opens nor costs anything, and the body of
/// the request is not waited for.
#[tokio::test]
async fn where_no_permits_are_taken_the_header_is_nobodys() {
    let world = World::new().await;
    let plain = world.get("/x402").await;
    assert_eq!(
        (plain.status, plain.headers.contains_key(WWW_AUTHENTICATE)),
        (402, false)
    );
    let token = world.buy("/joke", &permit(0)).await.token();
    for line in ["Bearer upstream", "Basic dTpw", &format!("Bearer {token}")] {
        let never = stream::pending::<Result<bytes::Bytes, std::io::Error>>();
        let request = Request::post("/x402").header(AUTHORIZATION, line);
        let request = request.body(Body::from_stream(never)).unwrap();
        let answer = timeout(Duration::from_secs(5), world.send(request)).await;
        let answer = answer.expect("an answer without the body");
        assert_eq!((answer.status, &answer.text), (402, &plain.text), "{line}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever stands in the header or is posted, there is an answer at once, and it is no success.
    #[test]
    fn any_bytes_have_an_answer(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        start in prop::sample::select(vec!["", "Bearer ", "L402 ", "Bearer abc.", "{\"version\":\"Version 0.1\",\"permit\":"]),
        path in prop::sample::select(vec!["/joke", "/all", "/song", "/x402"]),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let mut line = start.as_bytes().to_vec();
        line.extend(bytes.iter().filter(|byte| **byte >= 32 && **byte != 127));
        let mut body = start.as_bytes().to_vec();
        body.extend(&bytes);
        let statuses = runtime.block_on(async {
            let world = World::new().await;
            let both = async {
                let shown = world.show(path, &[&line]).await.status;
                (shown, world.post("/token", body).await.status)
            };
            timeout(Duration::from_secs(20), both).await
        });
        let (shown, posted) = statuses.expect("no answer");
        prop_assert!(matches!(shown, 401 | 402), "{shown}");
        prop_assert_eq!(posted, 400);
    }
}
