//! What was found open in deployed servers, tried on the rail.

use super::*;

/// The published product takes any preimage whose hash somebody wrote into JSON.
#[tokio::test]
async fn l402_hole_01_a_token_that_nobody_signed_opens_nothing() {
    let world = world();
    let preimage = Preimage::from_bytes([3; 32]);
    let json = format!(
        "{{\"hash\":\"{}\",\"exp\":{}000}}",
        preimage.hash(),
        NOW + 3_000
    );
    let token = base64(json.as_bytes());
    let forged = Bought { token, preimage };
    let code = world.refused(&jokes(), &get("/joke"), &forged).await;
    assert_eq!(code, Code::L402TokenForged);
    assert_eq!(world.wallet.made(), 0);
}

#[tokio::test]
async fn l402_hole_02_a_token_opens_no_dearer_route_no_other_route_and_no_other_method() {
    let world = world();
    let asked = get("/joke");
    let bought = world.buy(&jokes(), &asked).await;
    let dearer = offer(
        "GET /joke",
        LightningAsk {
            price: Msat::new(10_001),
            ..ask()
        },
    );
    assert_eq!(
        world.refused(&dearer, &asked, &bought).await,
        Code::L402PriceNotCovered
    );
    let other = offer(
        "GET /song",
        LightningAsk {
            route: "/song".into(),
            ..ask()
        },
    );
    assert_eq!(
        world.refused(&other, &get("/song"), &bought).await,
        Code::L402WrongRoute
    );
    let post = Asked {
        method: Method::POST,
        ..asked.clone()
    };
    assert_eq!(
        world.refused(&jokes(), &post, &bought).await,
        Code::L402WrongMethod
    );
    let service = offer(
        "GET /joke",
        LightningAsk {
            service: "songs".into(),
            ..ask()
        },
    );
    let code = world.refused(&service, &asked, &bought).await;
    assert!(
        matches!(code, Code::L402WrongService | Code::L402CaveatRefused),
        "{code:?}"
    );
    let tier = offer("GET /joke", LightningAsk { tier: 1, ..ask() });
    assert_eq!(
        world.refused(&tier, &asked, &bought).await,
        Code::L402WrongService
    );
    let capability = offer(
        "GET /joke",
        LightningAsk {
            capability: Some("admin".into()),
            ..ask()
        },
    );
    assert_eq!(
        world.refused(&capability, &asked, &bought).await,
        Code::L402WrongService
    );
    // `HEAD` is sold like `GET`, and the token is as good as ever.
    let head = Asked {
        method: Method::HEAD,
        ..asked
    };
    world.opens(&jokes(), &head, &bought).await;
}

/// The codes that each of these lines is refused with, when the token in it was used already.
async fn refused_lines(spell: impl Fn(&str, &str) -> Vec<String>, code: Code) {
    let world = world();
    let (offer, asked) = (jokes(), get("/joke"));
    let bought = world.buy(&offer, &asked).await;
    world.opens(&offer, &asked, &bought).await;
    let digits = bought.preimage.expose_hex();
    for line in spell(&bought.token, &digits) {
        match world.send_line(&offer, &asked, &line).await {
            Outcome::Unpaid { refusal, .. } => assert_eq!(refusal.code, code, "{line}"),
            other => panic!("{line}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn l402_hole_03_a_preimage_in_capitals_is_used_up_like_itself() {
    let capitals = |token: &str, hex: &str| {
        let mixed: String = hex
            .chars()
            .enumerate()
            .map(|(place, digit)| {
                if place < 32 {
                    digit.to_ascii_uppercase()
                } else {
                    digit
                }
            })
            .collect();
        [hex.to_uppercase(), mixed]
            .map(|hex| format!("L402 {token}:{hex}"))
            .to_vec()
    };
    refused_lines(capitals, Code::L402TokenUsedUp).await;
}

#[tokio::test]
async fn l402_hole_05_no_other_spelling_of_a_token_is_another_token() {
    let spellings = |token: &str, hex: &str| {
        let url_safe = token.replace('+', "-").replace('/', "_");
        vec![
            format!("l402 {token}:{hex}"),
            format!("LSAT {token}:{hex}"),
            format!("L402   {token}:{hex}"),
            format!("L402 {}:{hex}", token.trim_end_matches('=')),
            format!("L402 {url_safe}:{hex}"),
            format!("L402 {token},{token}:{hex}"),
        ]
    };
    refused_lines(spellings, Code::L402TokenUsedUp).await;
}

#[tokio::test]
async fn l402_hole_06_what_has_more_than_two_parts_is_no_credential() {
    let junk = |token: &str, hex: &str| {
        vec![
            format!("L402 {token}:junk:{hex}"),
            format!("L402 {token}:{hex}:{hex}"),
            format!("L402 {token} :{hex}"),
            format!("L402 {token}:{hex}00"),
            format!("L402 {token}="),
        ]
    };
    refused_lines(junk, Code::L402TokenMalformed).await;
}

#[tokio::test]
async fn l402_hole_08_the_hash_comes_out_of_the_invoice() {
    let world = world();
    let challenge = words(&world.challenge(&jokes(), &get("/joke")).await.unwrap());
    let token = Macaroon::from_base64(&challenge.token).unwrap();
    let hash = Bolt11::parse(&challenge.invoice).unwrap().payment_hash();
    assert_eq!(&token.identifier()[2..34], hash.as_bytes());
}

#[tokio::test]
async fn l402_hole_10_bad_requests_make_no_invoices_and_good_ones_not_too_many() {
    let rate = InvoiceRate {
        per_minute: NonZeroU32::new(3).unwrap(),
        at_once: NonZeroU32::new(8).unwrap(),
    };
    let world = world_with(keys(), |rail| rail.rate(rate));
    let offer = jokes();
    for _ in 0..50 {
        let outcome = world
            .send_line(&offer, &from("192.0.2.1"), "L402 AAAA:00")
            .await;
        assert!(matches!(outcome, Outcome::Unpaid { .. }));
    }
    assert_eq!(world.wallet.made(), 0);
    for _ in 0..3 {
        world.challenge(&offer, &from("192.0.2.1")).await.unwrap();
    }
    let limited = world
        .challenge(&offer, &from("192.0.2.1"))
        .await
        .unwrap_err();
    assert_eq!(limited.code, Code::RateLimited);
    world.challenge(&offer, &from("192.0.2.2")).await.unwrap();
    assert_eq!(world.wallet.made(), 4);
}

/// Whoever knows an invoice can learn its preimage from some wallets: the token is what nobody else has.
#[tokio::test]
async fn l402_hole_14_a_preimage_without_the_token_opens_nothing() {
    let world = world();
    let (offer, asked) = (jokes(), get("/joke"));
    let (mine, theirs) = (
        world.buy(&offer, &asked).await,
        world.buy(&offer, &asked).await,
    );
    let thief = Bought {
        token: mine.token.clone(),
        preimage: Preimage::from_bytes(*theirs.preimage.expose()),
    };
    assert_eq!(
        world.refused(&offer, &asked, &thief).await,
        Code::L402PreimageWrong
    );
    let own_key = RootKey::from_bytes([9; 32]);
    let token = Macaroon::from_base64(&theirs.token).unwrap();
    let caveats: Vec<_> = token.caveats().map(|caveat| caveat.id.to_vec()).collect();
    let signed = Macaroon::mint(&own_key, "lsat", token.identifier(), &caveats).unwrap();
    let forged = Bought {
        token: signed.to_base64(),
        preimage: Preimage::from_bytes(*theirs.preimage.expose()),
    };
    assert_eq!(
        world.refused(&offer, &asked, &forged).await,
        Code::L402TokenForged
    );
    world.opens(&offer, &asked, &mine).await;
    world.opens(&offer, &asked, &theirs).await;
}
