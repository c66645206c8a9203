//! Holes that were found open in deployed servers and clients of L402 (specs/l402.md §2.8), as far as words close them. What the
//! gate and the client close has its tests there.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use faregate_types::l402::body::{Body, ForeignBody};
use faregate_types::l402::replay::Dialect;
use faregate_types::l402::unsigned::dev_invoice;
use faregate_types::l402::{
    Binding, CredentialError, Identifier, Macaroon, Presented, Request, RootKey, Rules, Target,
    UnsignedToken, UnsignedTokenError, verify,
};
use faregate_types::lightning::{Bolt11, InvoiceError, Msat, PaymentHash, Preimage};
use faregate_types::{Code, Timestamp};

const NOW: u64 = 1_800_000_000;

fn preimage() -> Preimage {
    Preimage::from_bytes([0xab; 32])
}

fn digits() -> String {
    preimage().expose_hex().to_string()
}

/// What l402kit's server would have issued, or anybody else.
fn unsigned(expires: &str) -> String {
    let hash = preimage().hash();
    STANDARD.encode(format!(r#"{{"hash": "{hash}", "exp": {expires}}}"#))
}

fn fresh() -> String {
    unsigned(&format!("{}", NOW * 1_000 + 1))
}

fn sold(path: &str, price: u64) -> Macaroon {
    let binding = Binding {
        service: "shop",
        tier: 0,
        capabilities: &[],
        valid_until: Timestamp::from_secs(NOW + 60),
        path,
        method: "GET",
        price: Msat::new(price),
        max_uses: None,
        client: None,
    };
    let identifier = Identifier {
        payment_hash: preimage().hash(),
        token_id: [1; 32],
    };
    binding.mint(&key(), &identifier).unwrap()
}

fn key() -> RootKey {
    RootKey::from_bytes([5; 32])
}

fn opens(token: &Macaroon, preimage: &Preimage, route: &str, price: u64) -> Result<(), Code> {
    let request = Request {
        route,
        path: route,
        method: "GET",
        price: Msat::new(price),
        client: None,
    };
    let target = Target {
        service: "shop",
        tier: 0,
        capability: None,
        now: Timestamp::from_secs(NOW),
        rules: Rules::Ours(request),
    };
    verify(token, preimage, &key(), &target)
        .map(|_| ())
        .map_err(|refusal| refusal.code)
}

#[test]
fn l402_hole_01_a_token_that_nobody_signed_is_not_a_token() {
    // l402kit's own recipe for a test token. It is read, as what it is; the type that opens routes is another.
    let made_up = format!("L402 {}:{}", fresh(), digits());
    let read = Presented::read(made_up.as_bytes()).unwrap();
    assert!(matches!(read, Some(Presented::Unsigned(_))), "{read:?}");
    assert!(Macaroon::from_base64(&fresh()).is_err());
    // And a macaroon of one's own making is signed by the wrong key.
    let identifier = Identifier {
        payment_hash: preimage().hash(),
        token_id: [1; 32],
    };
    let bounds = [
        "services=shop:0",
        "shop_valid_until=1800000060",
        "path=/dear",
        "method=GET",
        "price_msat=9000",
    ];
    let guessed = RootKey::from_bytes([0; 32]);
    let forged = Macaroon::mint(&guessed, "lsat", &identifier.encode(), &bounds).unwrap();
    assert_eq!(
        opens(&forged, &preimage(), "/dear", 9_000),
        Err(Code::L402TokenForged)
    );
    // Invoices that no wallet pays are no invoices.
    let dev = format!("DEV:{}", preimage().hash());
    assert_eq!(Bolt11::parse(&dev), Err(InvoiceError::Malformed));
    assert_eq!(dev_invoice(&dev), Some(preimage().hash()));
    assert_eq!(dev_invoice("lnbc1"), None);
}

#[test]
fn l402_hole_02_a_cheap_token_does_not_open_what_is_dear() {
    let cheap = sold("/cheap", 1_000);
    assert_eq!(opens(&cheap, &preimage(), "/cheap", 1_000), Ok(()));
    assert_eq!(
        opens(&cheap, &preimage(), "/dear", 9_000),
        Err(Code::L402WrongRoute)
    );
    assert_eq!(
        opens(&cheap, &preimage(), "/cheap", 1_001),
        Err(Code::L402PriceNotCovered)
    );
}

#[test]
fn l402_hole_03_letter_case_makes_no_fresh_preimage() {
    let token = sold("/cheap", 1_000).to_base64();
    let shown = |digits: &str| match Presented::read(format!("L402 {token}:{digits}").as_bytes()) {
        Ok(Some(Presented::Signed(credential))) => credential,
        other => panic!("{other:?}"),
    };
    let lower = shown(&digits());
    for (position, _) in digits().char_indices() {
        let mut other = digits();
        other[position..=position].make_ascii_uppercase();
        let other = shown(&other);
        assert_eq!(other, lower);
        for dialect in [Dialect::Python, Dialect::TypeScript] {
            assert_eq!(dialect.key(&other.preimage), dialect.key(&lower.preimage));
        }
    }
}

#[test]
fn l402_hole_05_junk_and_numbers_that_are_none_are_refused() {
    let token = fresh();
    for expires in [
        "NaN",
        "Infinity",
        "1e13",
        "1800000000001.0",
        "\"1800000000001\"",
        "null",
    ] {
        let text = format!("{}:{}", unsigned(expires), digits());
        assert_eq!(
            UnsignedToken::parse(&text),
            Err(UnsignedTokenError::Json),
            "{expires}"
        );
    }
    let (hash, time) = (preimage().hash().to_string(), NOW * 1_000 + 1);
    for json in [
        format!(r#"{{"hash":"{hash}","exp":{time},"exp":{time}}}"#),
        format!(r#"{{"hash":"{hash}","hash":"{hash}","exp":{time}}}"#),
        format!(r#"{{"hash":"{}","exp":{time}}}"#, hash.to_ascii_uppercase()),
        format!(r#"{{"hash":"{hash}","exp":{time}}} "#) + "x",
    ] {
        let text = format!("{}:{}", STANDARD.encode(&json), digits());
        assert_eq!(
            UnsignedToken::parse(&text),
            Err(UnsignedTokenError::Json),
            "{json}"
        );
    }
    for (text, error) in [
        (format!("{token}:x:{}", digits()), UnsignedTokenError::Colon),
        (format!(" {token}:{}", digits()), UnsignedTokenError::Base64),
        (
            format!("{}!{}:{}", &token[..8], &token[8..], digits()),
            UnsignedTokenError::Base64,
        ),
    ] {
        assert_eq!(UnsignedToken::parse(&text), Err(error), "{text}");
    }
    // The same for signed ones.
    let token = sold("/cheap", 1_000).to_base64();
    for text in [
        format!("{token}:x:{}", digits()),
        format!("{}!{}:{}", &token[..8], &token[8..], digits()),
        format!("{}\u{0}{}:{}", &token[..8], &token[8..], digits()),
    ] {
        let value = format!("L402 {text}");
        assert!(Presented::read(value.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn l402_hole_06_there_is_one_place_where_a_credential_is_cut() {
    let token = sold("/cheap", 1_000).to_base64();
    for junk in ["a", "00", &digits(), &token] {
        let value = format!("L402 {token}:{junk}:{}", digits());
        assert!(
            matches!(
                Presented::read(value.as_bytes()),
                Err(CredentialError::Token(_))
            ),
            "{junk}"
        );
    }
}

#[test]
fn l402_hole_07_seconds_are_not_milliseconds() {
    let text = format!("{}:{}", unsigned(&(NOW + 3_600).to_string()), digits());
    let token = UnsignedToken::parse(&text).unwrap();
    assert_eq!(
        token.check_time(NOW * 1_000),
        Err(UnsignedTokenError::Expired)
    );
    // Ours are seconds, as the published condition says, and a number of milliseconds is no time that comes.
    let token = sold("/cheap", 1_000);
    let caveats: Vec<_> = token.caveats().map(|caveat| caveat.id).collect();
    assert!(caveats.contains(&&b"shop_valid_until=1800000060"[..]));
    let later = token.attenuate("shop_valid_until=1800000060000").unwrap();
    assert_eq!(
        opens(&later, &preimage(), "/cheap", 1_000),
        Err(Code::L402CaveatRefused)
    );
}

#[test]
fn l402_hole_08_a_hash_is_a_hash() {
    // The id of a charge, as OpenNode gives it.
    for id in [
        "4eb1a1f7-8a2b-4b1c-9d55-4d2f0e3f8c11",
        "",
        "0x",
        &digits()[1..],
    ] {
        assert!(id.parse::<PaymentHash>().is_err(), "{id}");
    }
}

#[test]
fn l402_hole_11_the_price_in_the_text_is_not_read() {
    let body = |json: &str| ForeignBody::read(json.as_bytes());
    let honest = body(r#"{"price_sats":1,"invoice":"lnbc1","macaroon":"T"}"#);
    let silent = body(r#"{"invoice":"lnbc1","macaroon":"T"}"#);
    let lying = body(r#"{"priceSats":"free","invoice":"lnbc1","macaroon":"T"}"#);
    assert!(honest.is_some() && honest == silent && silent == lying);
    for names in [
        r#"{"paymentRequest":"lnbc1","token":"T"}"#,
        r#"{"payment_request":"lnbc1","payment_token":"T"}"#,
    ] {
        assert_eq!(body(names), honest, "{names}");
    }
    for none in [
        "",
        "[]",
        "{}",
        r#"{"invoice":"lnbc1"}"#,
        r#"{"invoice":"","macaroon":"T"}"#,
        r#"{"invoice":"lnbc1","paymentRequest":"lnbc2","macaroon":"T"}"#,
    ] {
        assert_eq!(body(none), None, "{none}");
    }
    // What we write, every one of the clients can read.
    let ours = Body::new("Payment Required", Msat::new(1_500), "lnbc1", "T");
    let ours = serde_json::to_string(&ours).unwrap();
    assert_eq!(body(&ours), honest);
    assert!(
        ours.contains(r#""price_sats":2"#) && ours.contains(r#""priceSats":2"#),
        "{ours}"
    );
}

#[test]
fn l402_hole_14_a_preimage_alone_opens_nothing() {
    for value in [
        format!("L402 {}", digits()),
        format!("L402 :{}", digits()),
        format!("L402 {}:{}", digits(), digits()),
        format!("L402 {}:{}", preimage().hash(), digits()),
    ] {
        assert!(Presented::read(value.as_bytes()).is_err(), "{value}");
    }
    // Nor does a token of another payment.
    let token = sold("/cheap", 1_000);
    let other = Preimage::from_bytes([1; 32]);
    assert_eq!(
        opens(&token, &other, "/cheap", 1_000),
        Err(Code::L402PreimageWrong)
    );
}
