//! Permits for access tokens: 402 answers, token requests, tokens and their headers, endpoints, amounts. What is read is written
//! the same again, and nothing that anybody can write opens or pays for anything.
#![no_main]

use std::sync::LazyLock;

use faregate_types::permit::matching::price as price_of;
use faregate_types::permit::{
    ChainState, Claims, Decimal, Demand, Endpoint, Expected, Issued, Permit, Price, TokenKey,
    authorization, parse_chain, request, response, token, verify,
};
use faregate_types::{Address, Asset, AssetRegistry, ChainId, Timestamp, U256, domain_separator};
use libfuzzer_sys::fuzz_target;

const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);

/// Another key than that of the vectors, whose tokens are among the seeds.
static KEY: LazyLock<TokenKey> =
    LazyLock::new(|| TokenKey::new("a key of its own".to_owned()).expect("a key"));

static USDC: LazyLock<Asset> = LazyLock::new(|| {
    let registry = AssetRegistry::builtin();
    let usdc = registry.default_for(ChainId::evm(11_155_111));
    usdc.expect("USDC on Sepolia").clone()
});

/// What the permits of the vectors pay for.
static PRICES: LazyLock<[Price; 1]> = LazyLock::new(|| {
    let wallet = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
    let wallet: Address = wallet.parse().expect("an address");
    [Price::new(
        USDC.clone(),
        U256::from(500_000),
        wallet,
        wallet,
    )]
});

/// The one token that opens.
static SOLD: LazyLock<String> = LazyLock::new(|| {
    let claims = Claims {
        exp: Timestamp::from_secs(1_800_000_060),
        aud: Some("weather".to_owned()),
        ..Claims::default()
    };
    token::mint(&KEY, &claims)
});

fn requested(data: &[u8]) {
    let permit = match request::read(data) {
        Ok(permit) => permit,
        Err(refused) => {
            let body: serde_json::Value =
                serde_json::from_str(&refused.to_json()).expect("an answer");
            assert_eq!(body["error"].as_str(), Some(refused.text().as_str()));
            return;
        }
    };
    let text = request::write(&permit, NOW);
    assert_eq!(request::read(text.as_bytes()).as_ref(), Ok(&permit));
    decided(&permit);
}

/// Whatever is signed by somebody else is refused, whatever the chain says; what is taken is covered.
fn decided(permit: &Permit) {
    let expected = Expected {
        prices: &*PRICES,
        now: NOW,
        margin_secs: 0,
    };
    let payer = permit.terms.payer();
    let other = Address::from_word(permit.digest(domain_separator(
        &USDC.domain,
        USDC.id.chain(),
        USDC.id.token(),
    )));
    assert!(other == payer || verify::check(permit, &expected, |_, _| Some(other)).is_err());
    let Ok(checked) = verify::check(permit, &expected, |_, _| Some(payer)) else {
        return;
    };
    for balance in [0, 499_999, 500_000, 10_000_000] {
        let state = ChainState {
            balance: U256::from(balance),
            allowance: U256::MAX,
            ..ChainState::default()
        };
        if let Ok(verified) = checked.cover(&state) {
            assert!(state.balance >= verified.amount && verified.amount >= U256::from(500_000));
        }
        let taken = ChainState {
            is_nonce_taken: true,
            ..state
        };
        assert!(checked.cover(&taken).is_err());
    }
}

fn shown(text: &[u8]) {
    let line = [b"Bearer ", text].concat();
    if authorization::check([line.as_slice()], &KEY, NOW).is_ok() {
        assert_eq!(text.trim_ascii(), SOLD.as_bytes());
    }
}

fn text(text: &str) {
    if let Ok(amount) = Decimal::parse(text) {
        let written = amount.to_string();
        assert!(written.len() > 128 || Decimal::parse(&written).as_ref() == Ok(&amount));
        if let Ok(units) = amount.to_units(6) {
            assert_eq!(Decimal::from_units(units, 6), amount);
        }
    }
    if let Ok(endpoint) = Endpoint::parse(text) {
        assert!(endpoint.as_str().starts_with('/') && !endpoint.as_str().starts_with("//"));
    }
    let _ = parse_chain(text);
}

fuzz_target!(|data: &[u8]| {
    requested(data);
    if let Ok(Some(demand)) = Demand::read(data) {
        for offer in &demand.offers {
            assert!(!offer.kinds().is_empty());
            let _ = price_of(offer, &USDC);
        }
    }
    if let Ok(issued) = Issued::read(data) {
        assert!(
            issued
                .authorization()
                .bytes()
                .all(|byte| matches!(byte, b' '..=b'~'))
        );
    }
    drop(response::error(data));
    shown(data);
    let mut changed = SOLD.as_bytes().to_vec();
    // The same token with some of its bytes changed: one byte says where, the next how.
    for change in data.chunks_exact(2) {
        let at = usize::from(change[0]) % changed.len();
        changed[at] ^= change[1];
    }
    shown(&changed);
    let _ = authorization::check([data], &KEY, NOW);
    if let Ok(data) = std::str::from_utf8(data) {
        text(data);
    }
});
