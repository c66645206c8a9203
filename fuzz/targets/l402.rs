//! L402 and Lightning: tokens as bytes and as text, challenges, credentials, invoices, webhooks. What is read is written the
//! same again, and nothing that anybody can write opens a route.
#![no_main]

use std::sync::LazyLock;

use faregate_types::l402::body::ForeignBody;
use faregate_types::l402::{
    Binding, Challenge, Credential, Identifier, Macaroon, MacaroonV1, Presented, Request, RootKey,
    Rules, Target, UnsignedToken, challenge, verify, webhook,
};
use faregate_types::lightning::{Bolt11, Msat, PaymentHash, Preimage};
use faregate_types::{MoneyText, Secret, Timestamp};
use libfuzzer_sys::fuzz_target;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
const TARGET: Target<'static> = Target {
    service: "weather",
    tier: 0,
    capability: None,
    now: NOW,
    rules: Rules::Ours(Request {
        route: "/v1/*",
        path: "/v1/now",
        method: "GET",
        price: Msat::new(10_000),
        client: None,
    }),
};

static KEY: LazyLock<RootKey> = LazyLock::new(|| RootKey::from_bytes([1; 32]));
static PREIMAGE: LazyLock<Preimage> = LazyLock::new(|| Preimage::from_bytes([7; 32]));

/// The one token that opens the route.
static SOLD: LazyLock<Macaroon> = LazyLock::new(|| {
    let binding = Binding {
        service: "weather",
        tier: 0,
        capabilities: &[],
        valid_until: Timestamp::from_secs(1_800_000_060),
        path: "/v1/*",
        method: "GET",
        price: Msat::new(10_000),
        max_uses: Some(1),
        client: None,
    };
    let identifier = Identifier {
        payment_hash: PREIMAGE.hash(),
        token_id: [2; 32],
    };
    binding.mint(&KEY, &identifier).expect("a good binding")
});

fn token(bytes: &[u8]) {
    drop(MacaroonV1::inspect(bytes));
    let Ok(token) = Macaroon::decode(bytes) else {
        return;
    };
    assert_eq!(token.as_bytes(), bytes);
    assert_eq!(
        Macaroon::from_base64(&token.to_base64()).as_ref(),
        Ok(&token)
    );
    if let Ok(identifier) = Identifier::decode(token.identifier()) {
        assert_eq!(identifier.encode(), token.identifier());
    }
    if verify(&token, &PREIMAGE, &KEY, &TARGET).is_ok() {
        assert_eq!(token, *SOLD);
    }
    if let Ok(narrowed) = token.attenuate(b"a=b") {
        assert_eq!(narrowed.caveats().count(), token.caveats().count() + 1);
        assert_eq!(narrowed.is_signed_by(&KEY), token.is_signed_by(&KEY));
    }
}

fn text(text: &str) {
    if let Ok(preimage) = Preimage::parse(text) {
        assert!(preimage.expose_hex().eq_ignore_ascii_case(text));
    }
    drop(Preimage::repaired(text));
    if let Ok(hash) = text.parse::<PaymentHash>() {
        assert!(hash.to_string().eq_ignore_ascii_case(text));
    }
    if let Ok(invoice) = Bolt11::parse(text) {
        assert_eq!(Bolt11::parse(invoice.as_str()).as_ref(), Ok(&invoice));
    }
    if let Ok(money) = MoneyText::parse(text) {
        let _ = Msat::from_money(&money);
    }
    if let Ok(unsigned) = UnsignedToken::parse(text) {
        assert!(unsigned.hash.is_of(&unsigned.preimage));
    }
    let secret = Secret::new(b"secret".to_vec());
    let _ = webhook::verify(&secret, text, text.as_bytes(), NOW);
}

fuzz_target!(|data: &[u8]| {
    token(data);
    let mut changed = SOLD.as_bytes().to_vec();
    // The same token with some of its bytes changed: two bytes say where, the third how.
    for change in data.chunks_exact(3) {
        let at = usize::from(u16::from_le_bytes([change[0], change[1]])) % changed.len();
        changed[at] ^= change[2];
    }
    token(&changed);
    for line in [data.to_vec(), [b"L402 ", data].concat()] {
        if let Ok(Some(Presented::Signed(credential))) = Presented::read(&line) {
            for shown in &credential.tokens {
                let opens = verify(shown, &credential.preimage, &KEY, &TARGET).is_ok();
                assert!(!opens || *shown == *SOLD);
            }
        }
        if let Ok(found) = Challenge::parse_all([line.as_slice()]) {
            for one in found {
                // What is written in base64 and bech32 comes back as it was.
                let plain = |text: &str| {
                    let written =
                        |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b'\\');
                    text.len() < 4096 && text.bytes().all(written)
                };
                if plain(&one.token) && plain(&one.invoice) {
                    let lines =
                        challenge::write(&one.token, &one.invoice, challenge::Lines::default());
                    let again = Challenge::parse(lines.iter().map(String::as_bytes)).expect("ours");
                    assert_eq!((again.token, again.invoice), (one.token, one.invoice));
                }
            }
        }
    }
    drop(Credential::from_metadata(data));
    drop(ForeignBody::read(data));
    if let Ok(data) = std::str::from_utf8(data) {
        text(data);
    }
});
