//! What opens a route, and what does not. The recorded tokens and headers of other implementations are run in `conformance`.

use faregate_types::l402::challenge::{self, Lines};
use faregate_types::l402::webhook::WebhookError;
use faregate_types::l402::{
    Binding, BindingError, Challenge, ChallengeError, Credential, CredentialError, Grant,
    Identifier, Macaroon, MacaroonError, MacaroonV1, MintError, Presented, Request, RootKey, Rules,
    Scheme, Target, TokenTextError, UnsignedToken, UnsignedTokenError, credential, grpc, verify,
    webhook,
};
use faregate_types::lightning::{Msat, Preimage, PreimageError};
use faregate_types::limits::{
    CAVEATS_MAX, HEADER_BYTES_MAX, MACAROON_BYTES_MAX, TOKENS_MAX, UNSIGNED_TOKEN_BYTES_MAX,
};
use faregate_types::{Code, Secret, Timestamp};

const NOW: u64 = 1_800_000_000;
const PRICE: Msat = Msat::new(10_000);

fn preimage() -> Preimage {
    Preimage::from_bytes([7; 32])
}

fn key() -> RootKey {
    RootKey::from_bytes([1; 32])
}

fn identifier() -> Identifier {
    Identifier {
        payment_hash: preimage().hash(),
        token_id: [2; 32],
    }
}

fn binding() -> Binding<'static> {
    Binding {
        service: "weather",
        tier: 1,
        capabilities: &[],
        valid_until: Timestamp::from_secs(NOW + 60),
        path: "/v1/*",
        method: "GET",
        price: PRICE,
        max_uses: Some(3),
        client: None,
    }
}

fn request() -> Request<'static> {
    Request {
        route: "/v1/*",
        path: "/v1/now",
        method: "GET",
        price: PRICE,
        client: None,
    }
}

fn target(request: Request<'static>) -> Target<'static> {
    Target {
        service: "weather",
        tier: 1,
        capability: None,
        now: Timestamp::from_secs(NOW),
        rules: Rules::Ours(request),
    }
}

fn token() -> Macaroon {
    binding().mint(&key(), &identifier()).unwrap()
}

fn of(caveats: &[&str]) -> Macaroon {
    Macaroon::mint(&key(), "lsat", &identifier().encode(), caveats).unwrap()
}

fn check(token: &Macaroon, target: &Target<'_>) -> Result<Grant, Code> {
    verify(token, &preimage(), &key(), target).map_err(|refusal| refusal.code)
}

/// The bounds that every token has, as text.
const BOUNDS: [&str; 5] = [
    "services=weather:1",
    "weather_valid_until=1800000060",
    "path=/v1/*",
    "method=GET",
    "price_msat=10000",
];

#[test]
fn a_token_opens_what_it_was_sold_for() {
    let grant = check(&token(), &target(request())).unwrap();
    assert_eq!(grant.identifier, identifier());
    assert_eq!(grant.valid_until, Some(Timestamp::from_secs(NOW + 60)));
    assert_eq!((grant.max_uses, grant.price), (Some(3), Some(PRICE)));
    assert_eq!(grant.tier, 1);
    let caveats: Vec<String> = token()
        .caveats()
        .map(|caveat| String::from_utf8(caveat.id.to_vec()).unwrap())
        .collect();
    assert_eq!(caveats[..5], BOUNDS);
    assert_eq!(caveats[5..], ["max_uses=3"]);
}

#[test]
fn every_other_request_is_refused_with_its_code() {
    let with = |change: fn(&mut Request<'static>)| {
        let mut request = request();
        change(&mut request);
        check(&token(), &target(request)).unwrap_err()
    };
    assert_eq!(
        with(|r| (r.route, r.path) = ("/v2/*", "/v2/now")),
        Code::L402WrongRoute
    );
    assert_eq!(with(|r| r.method = "POST"), Code::L402WrongMethod);
    assert_eq!(
        with(|r| r.price = Msat::new(10_001)),
        Code::L402PriceNotCovered
    );
    // A route that wants tokens bound to clients does not take one that is not.
    assert_eq!(with(|r| r.client = Some("me")), Code::L402CaveatRefused);
    let at = |change: fn(&mut Target<'static>)| {
        let mut target = target(request());
        change(&mut target);
        check(&token(), &target).unwrap_err()
    };
    assert_eq!(at(|t| t.service = "maps"), Code::L402WrongService);
    assert_eq!(at(|t| t.service = "weathe"), Code::L402WrongService);
    assert_eq!(at(|t| t.tier = 2), Code::L402WrongService);
    assert_eq!(
        at(|t| t.now = Timestamp::from_secs(NOW + 60)),
        Code::L402TokenExpired
    );
    assert_eq!(
        at(|t| t.capability = Some("history")),
        Code::L402WrongService
    );

    let wrong = verify(
        &token(),
        &Preimage::from_bytes([8; 32]),
        &key(),
        &target(request()),
    );
    assert_eq!(wrong.unwrap_err().code, Code::L402PreimageWrong);
    let other = RootKey::from_bytes([3; 32]);
    let forged = verify(&token(), &preimage(), &other, &target(request()));
    assert_eq!(forged.unwrap_err().code, Code::L402TokenForged);
    let foreign = Macaroon::mint(&key(), "lsat", &[0; 65], &BOUNDS).unwrap();
    assert_eq!(
        check(&foreign, &target(request())),
        Err(Code::L402TokenMalformed)
    );
}

#[test]
fn cheaper_requests_and_head_are_covered() {
    let mut asked = request();
    (asked.price, asked.method) = (Msat::ZERO, "HEAD");
    assert!(check(&token(), &target(asked)).is_ok());
    let mut lower = target(request());
    lower.tier = 0;
    assert!(check(&token(), &lower).is_ok());
}

#[test]
fn a_token_without_one_of_its_bounds_opens_nothing() {
    assert!(check(&of(&BOUNDS), &target(request())).is_ok());
    for missing in BOUNDS {
        let others: Vec<&str> = BOUNDS
            .into_iter()
            .filter(|bound| *bound != missing)
            .collect();
        assert_eq!(
            check(&of(&others), &target(request())),
            Err(Code::L402CaveatRefused),
            "{missing}"
        );
    }
}

#[test]
fn added_conditions_narrow_and_never_widen() {
    for (added, expected) in [
        // Narrower, and still fitting.
        ("services=weather:1", Ok(())),
        ("weather_valid_until=1800000001", Ok(())),
        ("path=/v1/now", Ok(())),
        ("price_msat=10000", Ok(())),
        ("max_uses=1", Ok(())),
        ("preimage=00", Ok(())),
        ("weather_capabilities=history", Err(Code::L402WrongService)),
        // Narrower, and no longer fitting.
        ("services=weather:0", Err(Code::L402WrongService)),
        (
            "weather_valid_until=1800000000",
            Err(Code::L402TokenExpired),
        ),
        ("path=/v1/then", Err(Code::L402WrongRoute)),
        ("price_msat=9999", Err(Code::L402PriceNotCovered)),
        ("max_uses=0", Err(Code::L402TokenUsedUp)),
        ("client=me", Err(Code::L402WrongClient)),
        // Wider.
        ("services=weather:2", Err(Code::L402CaveatRefused)),
        ("services=weather:1,maps:0", Err(Code::L402CaveatRefused)),
        (
            "weather_valid_until=1800000061",
            Err(Code::L402CaveatRefused),
        ),
        ("path=/*", Err(Code::L402WrongRoute)),
        ("method=GET,POST", Err(Code::L402CaveatRefused)),
        ("method=POST", Err(Code::L402CaveatRefused)),
        ("price_msat=10001", Err(Code::L402CaveatRefused)),
        ("max_uses=4", Err(Code::L402CaveatRefused)),
        // Not understood.
        ("", Err(Code::L402CaveatRefused)),
        ("anything", Err(Code::L402CaveatRefused)),
        ("anything=1", Err(Code::L402CaveatRefused)),
        ("Path=/v1/*", Err(Code::L402CaveatRefused)),
        ("maps_valid_until=1", Err(Code::L402CaveatRefused)),
        // Not readable.
        ("services=", Err(Code::L402CaveatRefused)),
        ("services=weather", Err(Code::L402CaveatRefused)),
        ("services=weather:256", Err(Code::L402CaveatRefused)),
        ("services=weather:+1", Err(Code::L402CaveatRefused)),
        ("services=weather:1,weather:0", Err(Code::L402CaveatRefused)),
        ("weather_valid_until=01", Err(Code::L402CaveatRefused)),
        ("weather_valid_until=-1", Err(Code::L402CaveatRefused)),
        ("weather_valid_until= 1", Err(Code::L402CaveatRefused)),
        ("price_msat=1e4", Err(Code::L402CaveatRefused)),
        (
            "price_msat=99999999999999999999",
            Err(Code::L402CaveatRefused),
        ),
        ("method=", Err(Code::L402CaveatRefused)),
        ("method=GET,GET", Err(Code::L402CaveatRefused)),
    ] {
        let narrowed = token().attenuate(added).unwrap();
        let checked = check(&narrowed, &target(request())).map(|_| ());
        assert_eq!(checked, expected, "{added}");
    }
    let twice = token().attenuate("max_uses=2").unwrap();
    assert_eq!(check(&twice, &target(request())).unwrap().max_uses, Some(2));
    let raised = twice.attenuate("max_uses=3").unwrap();
    assert_eq!(
        check(&raised, &target(request())),
        Err(Code::L402CaveatRefused)
    );
    let binary = token().attenuate([0xff, b'=', 1]).unwrap();
    assert_eq!(
        check(&binary, &target(request())),
        Err(Code::L402CaveatRefused)
    );
}

#[test]
fn capabilities_clients_and_other_services_bind() {
    let mut sold = binding();
    (sold.capabilities, sold.client) = (&["forecast", "history"], Some("10.0.0.1"));
    let token = sold.mint(&key(), &identifier()).unwrap();
    let mut asked = request();
    asked.client = Some("10.0.0.1");
    let mut target = target(asked);
    // A token for parts of a service is not one for a route that is none of them.
    assert_eq!(check(&token, &target), Err(Code::L402WrongService));
    target.capability = Some("history");
    assert!(check(&token, &target).is_ok());
    let narrowed = token.attenuate("weather_capabilities=forecast").unwrap();
    assert_eq!(check(&narrowed, &target), Err(Code::L402WrongService));
    let widened = narrowed.attenuate("weather_capabilities=history").unwrap();
    assert_eq!(check(&widened, &target), Err(Code::L402CaveatRefused));
    asked.client = Some("10.0.0.2");
    target.rules = Rules::Ours(asked);
    assert_eq!(check(&token, &target), Err(Code::L402WrongClient));
    asked.client = None;
    target.rules = Rules::Ours(asked);
    assert_eq!(check(&token, &target), Err(Code::L402WrongClient));

    let both = of(&[
        "services=maps:0,weather:1",
        "maps_valid_until=1",
        BOUNDS[1],
        BOUNDS[2],
        BOUNDS[3],
        BOUNDS[4],
    ]);
    target.capability = None;
    target.rules = Rules::Ours(request());
    assert!(check(&both, &target).is_ok());
    let unknown = both.attenuate("maps_colour=red").unwrap();
    assert_eq!(check(&unknown, &target), Err(Code::L402CaveatRefused));
}

#[test]
fn the_place_of_a_token_is_part_of_it() {
    let moved = Macaroon::mint(&key(), "elsewhere", &identifier().encode(), &BOUNDS).unwrap();
    assert!(moved.is_signed_by(&key()));
    assert_eq!(
        check(&moved, &target(request())),
        Err(Code::L402TokenForged)
    );
    let mut published = target(request());
    published.rules = Rules::Published;
    assert!(check(&moved, &published).is_ok());
}

#[test]
fn a_third_party_cannot_be_asked() {
    // The signature is right for whoever overlooks that the last caveat is somebody else's to confirm.
    let signed = token().attenuate("y").unwrap();
    let mut bytes = signed.as_bytes().to_vec();
    let tail = bytes.split_off(bytes.len() - 35 - 4);
    assert_eq!(tail[..4], *b"\x02\x01y\x00");
    bytes.extend(b"\x01\x01x\x02\x01y\x04\x01z\x00");
    bytes.extend(&tail[4..]);
    let token = Macaroon::decode(&bytes).unwrap();
    assert!(token.caveats().last().unwrap().is_third_party);
    assert!(!token.is_signed_by(&key()));
    let mut target = target(request());
    assert_eq!(check(&token, &target), Err(Code::L402CaveatRefused));
    target.rules = Rules::Published;
    assert_eq!(check(&token, &target), Err(Code::L402CaveatRefused));
}

#[test]
fn bounds_that_could_be_read_as_something_else_are_not_written() {
    let failed = |change: fn(&mut Binding<'static>)| {
        let mut binding = binding();
        change(&mut binding);
        match binding.mint(&key(), &identifier()) {
            Err(MintError::Binding(error)) => Some(error),
            _ => None,
        }
    };
    assert_eq!(failed(|_| {}), None);
    for service in ["", "a,b", "a:1", "a=b", "a b", "é"] {
        let mut binding = binding();
        binding.service = service;
        assert_eq!(
            binding.caveats(),
            Err(BindingError::Name("a service")),
            "{service}"
        );
    }
    assert_eq!(
        failed(|b| b.method = "GET,POST"),
        Some(BindingError::Name("a method"))
    );
    assert_eq!(
        failed(|b| b.client = Some("")),
        Some(BindingError::Name("a client"))
    );
    assert_eq!(
        failed(|b| b.capabilities = &["a", "b,c"]),
        Some(BindingError::Name("a capability"))
    );
    assert_eq!(
        failed(|b| b.capabilities = &["a", "a"]),
        Some(BindingError::Repeated)
    );
    assert_eq!(failed(|b| b.max_uses = Some(0)), Some(BindingError::Uses));
    for path in ["", "/a b", "/a\n", "/é"] {
        let mut binding = binding();
        binding.path = path;
        assert_eq!(binding.caveats(), Err(BindingError::Path), "{path}");
    }
}

#[test]
fn macaroons_have_limits() {
    let many: Vec<String> = (0..=CAVEATS_MAX).map(|number| number.to_string()).collect();
    let most = Macaroon::mint(&key(), "", &[1], &many[..CAVEATS_MAX]).unwrap();
    assert_eq!(most.attenuate("x"), Err(MacaroonError::TooLarge));
    assert_eq!(
        Macaroon::mint(&key(), "", &[1], &many),
        Err(MacaroonError::TooLarge)
    );
    let none: [&str; 0] = [];
    assert_eq!(
        Macaroon::mint(&key(), "", &[], &none),
        Err(MacaroonError::Field)
    );
    // Version, tag, length of two bytes, end; then the tail.
    let room = MACAROON_BYTES_MAX - 5 - 35;
    let largest = Macaroon::mint(&key(), "", &vec![1; room], &none).unwrap();
    assert_eq!(largest.as_bytes().len(), MACAROON_BYTES_MAX);
    assert_eq!(
        Macaroon::mint(&key(), "", &vec![1; room + 1], &none),
        Err(MacaroonError::TooLarge)
    );
    assert_eq!(
        Macaroon::decode(&vec![2; MACAROON_BYTES_MAX + 1]),
        Err(MacaroonError::TooLarge)
    );
    assert_eq!(
        Macaroon::from_base64(&largest.to_base64()).unwrap(),
        largest
    );
}

#[test]
fn unsigned_bytes_have_no_place_in_a_token() {
    let token = of(&["a=b"]);
    let bytes = token.as_bytes();
    // An empty location, and one at a caveat without a third party.
    let mut empty = bytes.to_vec();
    empty.splice(1..7, [1, 0]);
    let mut inside = bytes.to_vec();
    let caveat = bytes.len() - 35 - 6;
    inside.splice(caveat..caveat, [1, 1, b'x']);
    let nameless = [&[2, 2, 0][..], &bytes[bytes.len() - 35 - 7..]].concat();
    for (bytes, what) in [
        (empty, "empty location"),
        (inside, "location of a caveat"),
        (nameless, "empty identifier"),
    ] {
        assert_eq!(
            Macaroon::decode(&bytes),
            Err(MacaroonError::Field),
            "{what}"
        );
    }
}

#[test]
fn lengths_have_one_form() {
    let token = of(&["a=b"]);
    let mut longer = token.as_bytes().to_vec();
    // Version, tag, length of the location.
    assert_eq!(longer[2], 4);
    longer.splice(2..3, [0x84, 0]);
    assert_eq!(Macaroon::decode(&longer), Err(MacaroonError::Length));
    longer.splice(2..4, [0x84, 0x80, 0x80, 0]);
    assert_eq!(Macaroon::decode(&longer), Err(MacaroonError::Length));
    let text = "A".repeat(MACAROON_BYTES_MAX * 2);
    assert_eq!(Macaroon::from_base64(&text), Err(TokenTextError::TooLong));
}

#[test]
fn version_1_is_for_looking_only() {
    let good = b"0012location lsat\n0011identifier x\n000acid y\n002fsignature 0123456789abcdef0123456789abcdef\n";
    let read = MacaroonV1::inspect(good).unwrap();
    assert_eq!(
        (&*read.location, &*read.identifier),
        (&b"lsat"[..], &b"x"[..])
    );
    assert_eq!(read.caveats, [Box::from(*b"y")]);
    for bad in [
        &b""[..],
        b"0000",
        b"0004",
        b"ffff",
        b"+00clocation\n",
        b"000acid y\n",
        b"0011identifier x\n",
    ] {
        assert!(MacaroonV1::inspect(bad).is_err(), "{}", bad.escape_ascii());
    }
}

fn header(token: &str) -> Vec<u8> {
    format!("L402 {token}:{}", preimage().expose_hex().as_str()).into_bytes()
}

fn signed(value: &[u8]) -> Result<Credential, CredentialError> {
    match Presented::read(value)? {
        Some(Presented::Signed(credential)) => Ok(credential),
        other => panic!("{other:?}"),
    }
}

#[test]
fn all_texts_of_one_credential_are_one_credential() {
    // 62 and 63 in the alphabet, and padding.
    let token = Macaroon::mint(&key(), "lsat", &[0xfb, 0xff, 0xfe, 0xff], &["a=b"]).unwrap();
    let standard = token.to_base64();
    let url_safe = standard.replace('+', "-").replace('/', "_");
    assert_ne!(standard, url_safe);
    let expected = signed(&header(&standard)).unwrap();
    assert_eq!(expected.tokens, [token]);
    for text in [
        standard.trim_end_matches('='),
        &url_safe,
        url_safe.trim_end_matches('='),
    ] {
        assert_eq!(signed(&header(text)).unwrap(), expected, "{text}");
    }
    let value = String::from_utf8(header(&standard)).unwrap();
    let (scheme, rest) = value.split_once(' ').unwrap();
    let (tokens, digits) = rest.split_once(':').unwrap();
    for text in [
        format!("lsat {rest}"),
        format!("{}   {rest}  ", scheme.to_ascii_lowercase()),
        format!("{scheme} {tokens}:{}", digits.to_ascii_uppercase()),
    ] {
        assert_eq!(signed(text.as_bytes()).unwrap(), expected, "{text}");
    }
    let mixed = url_safe.replacen('-', "+", 1);
    assert!(mixed.contains('_') && mixed.contains('+'), "{mixed}");
    assert_eq!(
        signed(&header(&mixed)),
        Err(CredentialError::Token(TokenTextError::Base64))
    );
    assert_eq!(
        credential::write(&standard, &preimage()).as_bytes(),
        header(&standard)
    );
}

#[test]
fn credentials_that_are_none_say_why() {
    let text = token().to_base64();
    let digits = preimage().expose_hex();
    let many = [text.as_str(); TOKENS_MAX + 1].join(",");
    for (value, error) in [
        (format!("L402 {text}"), CredentialError::NoColon),
        ("L402".to_owned(), CredentialError::NoColon),
        (
            format!("L402 {text}:{}", &digits[1..]),
            CredentialError::Preimage(PreimageError::Length),
        ),
        (
            format!("L402 {text}:{} x", digits.as_str()),
            CredentialError::Blank,
        ),
        (
            format!("L402 {text}\u{a0}:{}", digits.as_str()),
            CredentialError::Blank,
        ),
        (
            format!("L402 {many}:{}", digits.as_str()),
            CredentialError::TooManyTokens,
        ),
        (
            format!("L402 {}", "a".repeat(HEADER_BYTES_MAX + 1)),
            CredentialError::TooLarge,
        ),
    ] {
        assert_eq!(signed(value.as_bytes()), Err(error), "{value:.60}");
    }
    let cut = &text[..text.len() - 4];
    assert_eq!(
        signed(&header(cut)),
        Err(CredentialError::Token(TokenTextError::Macaroon(
            MacaroonError::CutOff
        )))
    );
    for value in [
        "",
        "L402x a:b",
        "Bearer L402",
        "Payment abc",
        "Basic bDQwMjphYg==",
    ] {
        assert_eq!(Presented::read(value.as_bytes()), Ok(None), "{value}");
    }
}

#[test]
fn two_lines_are_one_credential_only_when_they_say_the_same() {
    let text = token().to_base64();
    let line = header(&text);
    let lsat: Vec<u8> = [b"LSAT", &line[4..]].concat();
    let all = |lines: &[&[u8]]| Presented::read_all(lines.iter().copied());
    assert!(matches!(all(&[&lsat, b"Bearer x", &line]), Ok(Some(_))));
    assert_eq!(all(&[b"Bearer x"]), Ok(None));
    let other = header(&of(&["a=b"]).to_base64());
    assert_eq!(all(&[&line, &other]), Err(CredentialError::Several));
    assert!(all(&[&line, b"L402 x"]).is_err());
}

#[test]
fn grpc_carries_the_same() {
    let written = grpc::write(&token(), &preimage()).unwrap();
    let upper = written.to_ascii_uppercase();
    for value in [written.as_bytes(), upper.as_bytes()] {
        let read = Credential::from_metadata(value).unwrap();
        assert_eq!(read.preimage, preimage());
        assert!(check(&read.tokens[0], &target(request())).is_ok());
    }
    assert_eq!(
        Credential::from_metadata(b"0x02"),
        Err(CredentialError::Hex)
    );
    let bare = token().attenuate("preimage=12").unwrap();
    let digits: String = bare
        .as_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        Credential::from_metadata(digits.as_bytes()),
        Err(CredentialError::Preimage(PreimageError::Length))
    );
    // Of several preimages the last counts: carriers are narrowed before they are sent.
    let other = grpc::write(&token(), &Preimage::from_bytes([9; 32])).unwrap();
    let other = Credential::from_metadata(other.as_bytes()).unwrap();
    let both = grpc::write(&other.tokens[0], &preimage()).unwrap();
    let read = Credential::from_metadata(both.as_bytes()).unwrap();
    assert_eq!(read.preimage, preimage());
    assert!(grpc::is_grpc(b"application/grpc+proto") && grpc::is_grpc(b"Application/GRPC"));
    assert!(!grpc::is_grpc(b"application/json") && !grpc::is_grpc(b""));
}

fn challenges(line: &str) -> Result<Vec<Challenge>, ChallengeError> {
    Challenge::parse_all([line.as_bytes()])
}

#[test]
fn challenges_are_not_looked_for_inside_of_texts() {
    let ours = r#"L402 macaroon="T", invoice="I""#;
    for line in [
        format!(r#"Basic realm="L402 macaroon=\"x\", invoice=\"y\"", {ours}"#),
        format!(r#"Payment a="b, LSAT macaroon=x", {ours}"#),
        format!("Negotiate YII==, {ours}"),
        format!("Bearer, {ours}, Bearer"),
        format!(",, {ours} ,"),
    ] {
        let found = challenges(&line).unwrap();
        assert_eq!(found.len(), 1, "{line}");
        assert_eq!((&*found[0].token, &*found[0].invoice), ("T", "I"), "{line}");
        assert_eq!(found[0].scheme, Scheme::L402);
    }
    // A word inside of another challenge is none of its parameters, and no scheme either.
    assert_eq!(
        challenges(r#"Bearer L402 macaroon="T", invoice="I""#),
        Err(ChallengeError::Absent)
    );
}

#[test]
fn challenges_that_can_be_read_in_two_ways_are_refused() {
    for (line, error) in [
        ("", ChallengeError::Absent),
        ("Bearer x", ChallengeError::Absent),
        ("L402", ChallengeError::MissingToken),
        (r#"L402 macaroon="T""#, ChallengeError::MissingInvoice),
        (
            r#"L402 macaroon="", invoice="I""#,
            ChallengeError::MissingToken,
        ),
        (r#"L402 macaroon="T", invoice="I"#, ChallengeError::Quote),
        (r#"L402 macaroon="T", invoice="I\"#, ChallengeError::Quote),
        (r#"L402 macaroon=T", invoice="I""#, ChallengeError::Quote),
        (
            r#"L402 macaroon="T", token="U", invoice="I""#,
            ChallengeError::Ambiguous,
        ),
        (
            r#"L402 macaroon="T", Macaroon="T", invoice="I""#,
            ChallengeError::Repeated,
        ),
        (
            r#"L402 macaroon="T", invoice="I", INVOICE="J""#,
            ChallengeError::Repeated,
        ),
        (
            r#"L402 abc macaroon="T", invoice="I""#,
            ChallengeError::Syntax,
        ),
        (
            r#"="x", L402 macaroon="T", invoice="I""#,
            ChallengeError::Syntax,
        ),
        (
            r#"L402 version="1", token="T", invoice="I""#,
            ChallengeError::Version,
        ),
    ] {
        assert_eq!(challenges(line), Err(error), "{line}");
    }
    // Beside a whole one, a challenge that lacks something does no harm; one that is ambiguous does.
    let whole = r#"LSAT macaroon="T", invoice="I""#;
    assert_eq!(challenges(&format!("L402, {whole}")).unwrap().len(), 1);
    let ambiguous = format!(r#"{whole}, L402 macaroon="T", token="U", invoice="I""#);
    assert_eq!(challenges(&ambiguous), Err(ChallengeError::Ambiguous));
    assert_eq!(
        challenges(&format!("{whole}{}", ",".repeat(HEADER_BYTES_MAX))),
        Err(ChallengeError::TooLarge)
    );
    let many: String = (0..200).map(|number| format!(", p{number}=1")).collect();
    assert_eq!(
        challenges(&format!("{whole}{many}")),
        Err(ChallengeError::TooLarge)
    );
}

#[test]
fn our_challenge_is_the_one_that_every_client_parses() {
    assert_eq!(
        challenge::write("T=", "lnbc1", Lines::default()),
        [
            r#"LSAT macaroon="T=", invoice="lnbc1""#,
            r#"L402 macaroon="T=", invoice="lnbc1", version="0", token="T=""#,
        ]
    );
    let lines = Lines {
        lsat: false,
        ordered: true,
    };
    assert_eq!(
        challenge::write("T=", "lnbc1", lines)[1],
        r#"L402 version="0", token="T=", invoice="lnbc1""#
    );
}

#[test]
fn unsigned_tokens_are_read_and_never_mistaken_for_signed_ones() {
    use base64::Engine as _;
    let encode = |json: &str| base64::engine::general_purpose::STANDARD.encode(json);
    let hash = preimage().hash();
    let digits = preimage().expose_hex();
    for space in ["", " ", "\n", "\t"] {
        let json = format!(r#"{{{space}"hash":"{hash}","exp":5}}"#);
        let value = format!("L402 {}:{}", encode(&json), digits.as_str());
        let read = Presented::read(value.as_bytes()).unwrap();
        let Some(Presented::Unsigned(token)) = read else {
            panic!("{read:?}");
        };
        assert_eq!((token.hash, token.expires_ms), (hash, 5));
        assert_eq!(token.check_time(5), Ok(()));
        assert_eq!(token.check_time(6), Err(UnsignedTokenError::Expired));
    }
    assert!(!UnsignedToken::looks_like(&token().to_base64()));
    let other = format!(
        "{}:{}",
        encode(&format!(r#"{{"hash":"{hash}","exp":5}}"#)),
        "00".repeat(32)
    );
    assert_eq!(
        UnsignedToken::parse(&other),
        Err(UnsignedTokenError::WrongPreimage)
    );
    let long = "e".repeat(UNSIGNED_TOKEN_BYTES_MAX + 1);
    assert_eq!(
        UnsignedToken::parse(&long),
        Err(UnsignedTokenError::TooLong)
    );
}

#[test]
fn nothing_secret_is_printed() {
    let credential = signed(&header(&token().to_base64())).unwrap();
    let shown = format!("{credential:?} {:?}", key());
    let signature: String = token()
        .signature()
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    for secret in [
        preimage().expose_hex().as_str(),
        &signature,
        &token().to_base64(),
    ] {
        assert!(!shown.contains(secret), "{shown}");
    }
    assert!(!shown.contains("[7,") && !shown.contains("[1,"), "{shown}");
}

#[test]
fn webhooks_are_believed_for_five_minutes_and_by_who_knows_the_secret() {
    let now = Timestamp::from_secs(NOW);
    let at = |secs| Timestamp::from_secs(secs);
    // Shorter and longer than a block of the hash.
    for secret in ["s", &"long".repeat(40)] {
        let secret = Secret::new(secret.as_bytes().to_vec());
        let header = webhook::sign(&secret, now, b"body");
        for (time, drift_secs) in [(NOW - 301, 301), (NOW + 301, 301)] {
            assert_eq!(
                webhook::verify(&secret, &header, b"body", at(time)),
                Err(WebhookError::TooOld { drift_secs })
            );
        }
        for time in [NOW - 300, NOW, NOW + 300] {
            assert_eq!(webhook::verify(&secret, &header, b"body", at(time)), Ok(()));
        }
        let other = Secret::new(b"other".to_vec());
        for (secret, body) in [(&secret, &b"Body"[..]), (&other, b"body")] {
            let verdict = webhook::verify(secret, &header, body, now);
            assert_eq!(verdict, Err(WebhookError::Mismatch));
        }
        let moved = header.replacen(&NOW.to_string(), &(NOW + 1).to_string(), 1);
        assert_eq!(
            webhook::verify(&secret, &moved, b"body", now),
            Err(WebhookError::Mismatch)
        );
    }
    // The end of a long secret counts as well.
    let [one, two] =
        ["a", "b"].map(|end| Secret::new(format!("{}{end}", "x".repeat(64)).into_bytes()));
    let header = webhook::sign(&one, now, b"body");
    assert_eq!(
        webhook::verify(&two, &header, b"body", now),
        Err(WebhookError::Mismatch)
    );
}
