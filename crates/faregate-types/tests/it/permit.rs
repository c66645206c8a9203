//! Permits for access tokens: what the recorded vectors do not say. Messages byte by byte, the table of refusals, endpoints,
//! choices, and codes. Nobody signs here; who signed is an argument.

use faregate_types::permit::matching::{Cap, by_priority};
use faregate_types::permit::{
    Body, Bound, ChainState, Claims, Component, ComponentError, Demand, Endpoint, Expected, Issued,
    Permit, PermitKind, Price, Refused, Terms, TokenError, TokenKey, TokenResponse, Verified,
    authorization, request, response, token, verify,
};
use faregate_types::{
    Address, Asset, AssetRegistry, Authorization, B256, ChainId, Code, PaymentId, Refusal,
    Signature65, Timestamp, U256, eip2612, permit2,
};
use serde_json::{Map, json};

pub(crate) const NOW: Timestamp = Timestamp::from_secs(1_800_000_000);
pub(crate) const PAYER: Address = Address::repeat_byte(0xaa);
pub(crate) const WALLET: Address = Address::repeat_byte(0xbb);
const TREASURY: Address = Address::repeat_byte(0xcc);

pub(crate) fn usdc() -> Asset {
    let registry = AssetRegistry::builtin();
    registry
        .default_for(ChainId::evm(11_155_111))
        .unwrap()
        .clone()
}

fn number(number: u64) -> U256 {
    U256::from(number)
}

pub(crate) fn price() -> Price {
    Price::new(usdc(), number(500_000), WALLET, TREASURY)
}

fn signature() -> Signature65 {
    let mut bytes = [1; 65];
    bytes[64] = 27;
    Signature65::parse(&bytes).unwrap()
}

/// A permit of each kind that pays the price.
pub(crate) fn permits() -> [Permit; 3] {
    let token = usdc().id.token();
    let terms = [
        Terms::Eip2612 {
            token,
            permit: eip2612::Permit {
                owner: PAYER,
                spender: WALLET,
                value: number(500_000),
                nonce: number(4),
                deadline: number(1_800_000_600),
            },
        },
        Terms::Erc3009 {
            token,
            authorization: Authorization {
                from: PAYER,
                to: TREASURY,
                value: number(500_000),
                valid_after: U256::ZERO,
                valid_before: number(1_800_000_600),
                nonce: B256::repeat_byte(9),
            },
        },
        Terms::Permit2 {
            owner: PAYER,
            contract: permit2::CONTRACT,
            transfer: permit2::PermitTransferFrom {
                token,
                amount: number(500_000),
                spender: WALLET,
                nonce: number(117_651_503_894_575_687),
                deadline: number(1_800_000_600),
            },
        },
    ];
    terms.map(|terms| Permit {
        chain: usdc().id.chain(),
        terms,
        signature: signature(),
    })
}

/// The chain of a payer who can pay.
pub(crate) fn rich() -> ChainState {
    ChainState {
        balance: number(10_000_000),
        allowance: number(800_000),
        next_nonce: number(4),
        ..ChainState::default()
    }
}

fn decide(permit: &Permit, state: &ChainState, margin_secs: u64) -> Result<Verified, Refused> {
    let prices = [price()];
    let expected = Expected {
        prices: &prices,
        now: NOW,
        margin_secs,
    };
    verify::check(permit, &expected, |_, _| Some(permit.terms.payer()))?.cover(state)
}

fn code(permit: &Permit, state: &ChainState) -> Option<Code> {
    decide(permit, state, 0).err().map(|refused| refused.code())
}

#[test]
fn type_hashes_are_those_of_their_texts() {
    let hash = |text: &str| alloy_primitives::keccak256(text);
    let permissions = "TokenPermissions(address token,uint256 amount)";
    for (constant, text) in [
        (
            eip2612::TYPE_HASH,
            "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"
                .to_owned(),
        ),
        (permit2::PERMISSIONS_TYPE_HASH, permissions.to_owned()),
        (
            permit2::TYPE_HASH,
            format!(
                "PermitTransferFrom(TokenPermissions permitted,address spender,uint256 nonce,uint256 deadline){permissions}"
            ),
        ),
        (
            permit2::DOMAIN_TYPE_HASH,
            "EIP712Domain(string name,uint256 chainId,address verifyingContract)".to_owned(),
        ),
    ] {
        assert_eq!(constant, hash(&text), "{text}");
    }
}

#[test]
fn what_is_written_is_read_back_and_has_one_form() {
    for permit in permits() {
        let text = request::write(&permit, NOW);
        assert_eq!(request::read(text.as_bytes()), Ok(permit));
        assert!(text.contains(&format!("\"permit_type\":\"{}\"", permit.terms.kind())));
        assert!(text.contains("\"created_at\":\"2027-01-15T08:00:00.000000\""));
        assert!(
            !format!("{permit:?}").contains("0101"),
            "no signature in Debug"
        );
    }
}

#[test]
fn unpadded_signatures_are_filled_up_where_clients_send_them() {
    let short = "01".repeat(31);
    for permit in permits() {
        let text = request::write(&permit, NOW);
        let r = format!("\"r\":\"0x{}\"", "01".repeat(32));
        let unpadded = text.replace(&r, &format!("\"r\":\"0x{short}\""));
        let bare = text.replace(&r, &format!("\"r\":\"{}\"", "01".repeat(32)));
        assert_ne!(unpadded, text);
        assert_eq!(request::read(bare.as_bytes()), Ok(permit), "without 0x");
        let read = request::read(unpadded.as_bytes());
        if permit.terms.kind() == PermitKind::Eip2612 {
            let refused = read.unwrap_err();
            assert_eq!(refused.code(), Code::PermitSignatureInvalid);
            assert!(
                refused
                    .text()
                    .contains("Invalid r: expected 64 hex chars, got 62")
            );
        } else {
            let padded = request::write(&read.unwrap(), NOW);
            assert!(padded.contains(&format!("\"r\":\"0x00{short}\"")));
        }
    }
}

#[test]
fn a_request_of_another_shape_is_a_400_that_says_where() {
    let good = request::write(&permits()[0], NOW);
    for (from, to, text) in [
        ("Version 0.1", "0.1", "version: expected \"Version 0.1\""),
        ("EIP2612\",\"sig", "ERC20\",\"sig", "permit.permit_type"),
        ("\"value\":500000", "\"value\":1.5", "permit.value"),
        (
            "\"value\":500000",
            "\"value\":1,\"value\":1",
            "permit: expected an object",
        ),
        ("\"chain_id\":11155111", "\"chain_id\":0", "permit.chain_id"),
        ("\"v\":27", "\"v\":0", "permit.signature.v"),
        (
            "signature_type\":\"EIP2612",
            "signature_type\":\"Permit2",
            "signature_type",
        ),
        ("\"owner\":\"0x", "\"owner\":\"", "permit.owner"),
    ] {
        let body = good.replace(from, to);
        assert_ne!(body, good, "{from}");
        let refused = request::read(body.as_bytes()).unwrap_err();
        assert_eq!(refused.code(), Code::PermitMalformed, "{to}");
        assert!(refused.text().contains(text), "{}", refused.text());
        assert!(
            refused
                .to_json()
                .starts_with("{\"error\":\"Invalid token request: ")
        );
    }
    let long = format!("{good}{}", " ".repeat(16 * 1024));
    assert!(request::read(long.as_bytes()).is_err());
    for part in ["r", "s"] {
        let zero = good.replace(
            &format!("\"{part}\":\"0x{}", "01".repeat(32)),
            &format!("\"{part}\":\"0x{}", "00".repeat(32)),
        );
        let refused = request::read(zero.as_bytes()).unwrap_err();
        assert_eq!(refused.code(), Code::PermitSignatureInvalid);
    }
}

#[test]
fn a_permit_that_pays_is_taken_and_says_what_will_move() {
    for permit in permits() {
        let verified = decide(&permit, &rich(), 0).unwrap();
        assert_eq!(verified.amount, number(500_000));
        assert_eq!(verified.payment, permit.payment_id());
        assert!(!verified.is_applied);
    }
    let mut more = permits();
    for permit in &mut more {
        match &mut permit.terms {
            Terms::Eip2612 { permit, .. } => permit.value = number(600_000),
            Terms::Erc3009 { authorization, .. } => authorization.value = number(600_000),
            Terms::Permit2 { transfer, .. } => transfer.amount = number(600_000),
        }
    }
    let moved = more.map(|permit| decide(&permit, &rich(), 0).unwrap().amount);
    // An authorization cannot be used in part; of an allowance only the price is taken.
    assert_eq!(moved, [500_000, 600_000, 500_000].map(number));
}

#[test]
fn every_check_refuses_with_its_code() {
    let all = |change: &dyn Fn(&mut Permit), expected: Code| {
        for mut permit in permits() {
            change(&mut permit);
            let kind = permit.terms.kind();
            assert_eq!(code(&permit, &rich()), Some(expected), "{kind} {expected}");
        }
    };
    all(
        &|permit| permit.chain = ChainId::BASE,
        Code::PermitNotOffered,
    );
    all(
        &|permit| match &mut permit.terms {
            Terms::Eip2612 { token, .. } | Terms::Erc3009 { token, .. } => *token = PAYER,
            Terms::Permit2 { transfer, .. } => transfer.token = PAYER,
        },
        Code::PermitNotOffered,
    );
    all(
        &|permit| match &mut permit.terms {
            // For others the treasury is a good address too; an allowance for it would be collected by nobody.
            Terms::Eip2612 { permit, .. } => permit.spender = TREASURY,
            Terms::Erc3009 { authorization, .. } => authorization.to = PAYER,
            Terms::Permit2 { transfer, .. } => transfer.spender = PAYER,
        },
        Code::PermitSpenderMismatch,
    );
    all(
        &|permit| match &mut permit.terms {
            Terms::Eip2612 { permit, .. } => permit.deadline = number(1_799_999_999),
            Terms::Erc3009 { authorization, .. } => {
                authorization.valid_before = number(1_800_000_000);
            }
            Terms::Permit2 { transfer, .. } => transfer.deadline = number(1_799_999_999),
        },
        Code::PermitExpired,
    );
    all(
        &|permit| match &mut permit.terms {
            Terms::Eip2612 { permit, .. } => permit.value = number(499_999),
            Terms::Erc3009 { authorization, .. } => authorization.value = number(499_999),
            Terms::Permit2 { transfer, .. } => transfer.amount = number(499_999),
        },
        Code::PermitValueTooLow,
    );
    let [_, mut early, mut foreign] = permits();
    if let Terms::Erc3009 { authorization, .. } = &mut early.terms {
        authorization.valid_after = number(1_800_000_000);
    }
    assert_eq!(code(&early, &rich()), Some(Code::PermitNotYetValid));
    if let Terms::Permit2 { contract, .. } = &mut foreign.terms {
        *contract = PAYER;
    }
    assert_eq!(code(&foreign, &rich()), Some(Code::PermitContractMismatch));
}

#[test]
fn the_last_second_counts_and_a_margin_is_kept_before_it() {
    for mut permit in permits() {
        match &mut permit.terms {
            Terms::Eip2612 { permit, .. } => permit.deadline = number(1_800_000_010),
            Terms::Erc3009 { authorization, .. } => {
                authorization.valid_before = number(1_800_000_011);
            }
            Terms::Permit2 { transfer, .. } => transfer.deadline = number(1_800_000_010),
        }
        assert!(decide(&permit, &rich(), 10).is_ok());
        let refused = decide(&permit, &rich(), 11).unwrap_err();
        assert_eq!(refused.code(), Code::PermitExpired);
        assert!(refused.text().contains("\"required_seconds\": 11"));
    }
}

#[test]
fn only_the_payers_own_signature_counts() {
    let prices = [price()];
    let expected = Expected {
        prices: &prices,
        now: NOW,
        margin_secs: 0,
    };
    for permit in permits() {
        for signer in [None, Some(WALLET), Some(Address::ZERO)] {
            let refused = verify::check(&permit, &expected, |_, _| signer).unwrap_err();
            assert_eq!(refused.code(), Code::PermitSignatureInvalid);
        }
        // What is recovered is the digest under our own domain, and the permit's own signature.
        let digest = permit.digest(faregate_types::domain_separator(
            &usdc().domain,
            permit.chain,
            usdc().id.token(),
        ));
        let checked = verify::check(&permit, &expected, |asked, signature| {
            assert_eq!((asked, *signature), (digest, permit.signature));
            Some(PAYER)
        });
        assert_eq!(checked.unwrap().digest(), digest);
    }
    // The account nobody has: contracts return it for signatures that are none.
    let mut nobody = permits()[0];
    if let Terms::Eip2612 { permit, .. } = &mut nobody.terms {
        permit.owner = Address::ZERO;
    }
    assert_eq!(code(&nobody, &rich()), Some(Code::PermitSignatureInvalid));
}

#[test]
fn what_is_reserved_cannot_be_spent_again() {
    for permit in permits() {
        let balance = number(600_000);
        let reserved = |reserved| ChainState {
            balance,
            reserved: number(reserved),
            ..rich()
        };
        assert_eq!(code(&permit, &reserved(100_000)), None);
        let refused = decide(&permit, &reserved(500_000), 0).unwrap_err();
        assert_eq!(refused.code(), Code::PermitBalanceTooLow);
        assert!(refused.text().contains("\"owner_balance\": 600000"));
        assert!(refused.text().contains("\"required_value\": 1000000"));
        let all = ChainState {
            reserved: U256::MAX,
            ..rich()
        };
        assert_eq!(code(&permit, &all), Some(Code::PermitBalanceTooLow));
    }
}

#[test]
fn a_nonce_is_used_once_and_a_permit_that_was_run_ahead_of_still_pays() {
    let taken = ChainState {
        is_nonce_taken: true,
        ..rich()
    };
    for permit in permits() {
        assert_eq!(code(&permit, &taken), Some(Code::PermitNonceUsed));
    }
    let permit = permits()[0];
    let after = |next: u64, allowance: u64, is_nonce_taken| ChainState {
        next_nonce: number(next),
        allowance: number(allowance),
        is_nonce_taken,
        ..rich()
    };
    // Somebody else brought it to the chain: its whole value is allowed, and nothing was taken.
    assert!(
        decide(&permit, &after(5, 500_000, false), 0)
            .unwrap()
            .is_applied
    );
    for state in [
        after(5, 500_000, true),
        after(5, 499_999, false),
        after(5, 0, false),
        after(6, 500_000, false),
        after(3, 500_000, false),
    ] {
        let refused = decide(&permit, &state, 0).unwrap_err();
        assert_eq!(refused.code(), Code::PermitNonceUsed, "{state:?}");
        let text = "Verification failed: Permit nonce does not match on-chain nonce\nDetails: {\n  \"on_chain_nonce\": ";
        assert!(refused.text().starts_with(text));
    }
    // An allowance without end does not shrink when it is used.
    let mut endless = permit;
    if let Terms::Eip2612 { permit, .. } = &mut endless.terms {
        permit.value = U256::MAX;
    }
    let state = ChainState {
        next_nonce: number(5),
        allowance: U256::MAX,
        ..rich()
    };
    assert_eq!(code(&endless, &state), Some(Code::PermitNonceUsed));
}

#[test]
fn the_token_contracts_own_domain_and_permit2s_allowance_are_looked_at() {
    let [first, second, third] = permits();
    let foreign = ChainState {
        domain_separator: Some(B256::repeat_byte(1)),
        ..rich()
    };
    assert_eq!(code(&first, &foreign), Some(Code::PermitDomainMismatch));
    assert_eq!(code(&second, &foreign), Some(Code::PermitDomainMismatch));
    assert_eq!(
        code(&third, &foreign),
        None,
        "Permit2 has a domain of its own"
    );
    let low = ChainState {
        allowance: number(499_999),
        ..rich()
    };
    assert_eq!(code(&third, &low), Some(Code::PermitAllowanceTooLow));
    assert_eq!((code(&first, &low), code(&second, &low)), (None, None));
}

#[test]
fn payments_are_told_apart_by_what_the_chain_lets_happen_once() {
    let [first, second, third] = permits();
    let token = usdc().id.token();
    let over_x402 = PaymentId::eip3009(usdc().id.chain(), token, PAYER, B256::repeat_byte(9));
    assert_eq!(second.payment_id(), over_x402);
    let mut other = first;
    if let Terms::Eip2612 { permit, .. } = &mut other.terms {
        permit.value = number(1);
    }
    assert_eq!(
        first.payment_id(),
        other.payment_id(),
        "one nonce, one payment"
    );
    other.chain = ChainId::BASE;
    assert_ne!(first.payment_id(), other.payment_id());
    let mut moved = third;
    if let Terms::Permit2 { transfer, .. } = &mut moved.terms {
        transfer.token = WALLET;
    }
    assert_eq!(
        third.payment_id(),
        moved.payment_id(),
        "nonces of Permit2 are of the owner"
    );
    assert_ne!(first.payment_id(), third.payment_id());
}

#[test]
fn a_refusal_for_us_has_the_same_code_and_one_line() {
    let refused = Refused::chain_unavailable();
    assert_eq!(refused.code(), Code::ChainUnavailable);
    let refusal = Refusal::from(refused);
    assert!(
        refusal
            .to_string()
            .starts_with("chain_unavailable: Blockchain interaction error")
    );
}

#[test]
fn a_token_opens_what_it_was_paid_for() {
    let key = TokenKey::new("secret".to_owned()).unwrap();
    let claims = Claims {
        exp: NOW,
        aud: Some("weather".to_owned()),
        route: Some("/v1/*".to_owned()),
        method: Some("GET".to_owned()),
        jti: Some(permits()[0].payment_id().to_string()),
        amount: Some("500000".to_owned()),
        payer: Some(PAYER.to_string()),
        ..Claims::default()
    };
    let text = token::mint(&key, &claims);
    let read = token::verify(&text, &key, NOW).unwrap();
    assert_eq!(read.claims, claims);
    let bound = Bound {
        aud: "weather",
        route: "/v1/*",
        method: "GET",
    };
    assert_eq!(claims.check(&bound), Ok(()));
    assert_eq!(
        claims.check(&Bound {
            method: "HEAD",
            ..bound
        }),
        Ok(())
    );
    for other in [
        Bound {
            aud: "news",
            ..bound
        },
        Bound {
            route: "/v2/*",
            ..bound
        },
        Bound {
            method: "POST",
            ..bound
        },
    ] {
        assert_eq!(claims.check(&other), Err(TokenError::Elsewhere));
    }
    // The product's own claims bind to nothing, so they open nothing of ours.
    let plain = Claims {
        exp: NOW,
        ..Claims::default()
    };
    assert_eq!(plain.check(&bound), Err(TokenError::Elsewhere));
    assert!(TokenKey::new(String::new()).is_err());
    assert!(!format!("{key:?}").contains("secret"));
}

#[test]
fn of_several_authorization_lines_one_good_token_is_enough() {
    let key = TokenKey::new("secret".to_owned()).unwrap();
    let good = token::mint(
        &key,
        &Claims {
            exp: NOW,
            ..Claims::default()
        },
    );
    let good = format!("bearer {good}");
    let check = |lines: &[&str]| {
        let lines = lines.iter().map(|line| line.as_bytes());
        authorization::check(lines, &key, NOW).map(|_| ())
    };
    assert_eq!(check(&[]), Err(TokenError::Missing));
    assert_eq!(check(&[""]), Err(TokenError::Missing));
    assert_eq!(check(&[&good]), Ok(()));
    assert_eq!(check(&["Bearer a.b", "L402 x:y", &good]), Ok(()));
    assert_eq!(
        check(&["L402 x:y", "Bearer ab"]),
        Err(TokenError::Malformed)
    );
    assert_eq!(
        check(&["a", "a", "a", "a", &good]),
        Err(TokenError::Header),
        "bounded"
    );
    let forged = "Bearer e30.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    assert_eq!(check(&[forged]), Err(TokenError::Forged));
    for error in [
        TokenError::Missing,
        TokenError::Header,
        TokenError::Malformed,
        TokenError::Forged,
        TokenError::Expired,
        TokenError::Elsewhere,
        TokenError::Revoked,
    ] {
        assert_eq!(error.code().http_status(), 402, "{error}");
    }
}

#[test]
fn a_402_answer_is_the_same_bytes_and_reads_as_what_it_says() {
    let endpoint = Endpoint::parse("/token/q_0123").unwrap();
    let component = || Component::new(usdc(), number(500_000), "USDC", WALLET, TREASURY);
    let components = [component().unwrap()];
    let body = Body::new("Missing authorization token", &endpoint, &components).unwrap();
    let (wallet, treasury) = (WALLET.to_string(), TREASURY.to_string());
    let token = "0x1c7D4B196Cb0C7B01d743Fbc6116a902379C7238";
    assert_eq!(
        body.to_json(),
        format!(
            "{{\"reason\":\"Missing authorization token\",\"access_token_endpoint\":\"/token/q_0123\",\
             \"payment_scheme\":{{\"payment_components\":[{{\"payment_type\":\"evm\",\"amount\":0.5,\
             \"currency\":\"USDC\",\"metadata\":{{\"symbol\":\"USDC\",\"name\":\"USDC\",\"decimals\":6,\
             \"network\":\"Ethereum-Sepolia\",\"version\":\"2\",\"wallet_address\":\"{wallet}\"}},\
             \"token\":\"{token}\",\"chain_id\":11155111,\"caip2\":\"eip155:11155111\",\"pay_to\":\"{treasury}\",\
             \"token_name\":\"USDC\",\"token_decimals\":6,\"token_version\":\"2\"}}],\
             \"protocol_version\":\"Version 0.1\"}},\"payment_instruction\":\"Payment required to access this resource. \
             Submit payment to the access_token_endpoint using methods specified in payment_scheme.\"}}"
        )
    );
    let demand = Demand::read(body.to_json().as_bytes()).unwrap().unwrap();
    assert_eq!(demand.endpoint, endpoint);
    let offer = &demand.offers[0];
    assert_eq!(offer.kinds(), [PermitKind::Erc3009, PermitKind::Eip2612]);
    assert_eq!(offer.payee(PermitKind::Eip2612), Some(WALLET));
    assert_eq!(offer.payee(PermitKind::Erc3009), Some(TREASURY));
    let refused = |amount: u64, currency| {
        Component::new(usdc(), number(amount), currency, WALLET, WALLET).unwrap_err()
    };
    assert_eq!(refused(1, "  "), ComponentError::Currency);
    assert_eq!(
        refused(1_234_567_890_123_456, "USDC"),
        ComponentError::TooPrecise
    );
    let many = vec![component().unwrap(); 65];
    assert_eq!(
        Body::new("", &endpoint, &many),
        Err(ComponentError::TooMany)
    );
}

#[test]
fn what_is_not_of_this_rail_is_not_read_and_what_contradicts_itself_is_refused() {
    for other in ["", "[]", "{}", r#"{"x402Version":1,"accepts":[]}"#] {
        assert_eq!(Demand::read(other.as_bytes()), Ok(None), "{other}");
    }
    let body = |endpoint: &str, change: serde_json::Value| {
        let mut component = json!({
            "payment_type": "evm", "amount": 0.5, "currency": "USDC",
            "token": usdc().id.token().to_string(), "chain_id": 11_155_111,
        });
        for (key, value) in change.as_object().unwrap() {
            component[key] = value.clone();
        }
        let body = json!({
            "access_token_endpoint": endpoint,
            "payment_scheme": { "payment_components": [component] },
        });
        Demand::read(body.to_string().as_bytes())
    };
    assert!(body("/token", json!({})).unwrap().is_some());
    assert!(body("/token", json!({ "caip2": "eip155-11155111" })).is_ok());
    for change in [
        json!({ "caip2": "eip155:1" }),
        json!({ "caip2": "solana:x" }),
        json!({ "pay_to": "0x12" }),
        json!({ "metadata": null }),
        json!({ "metadata": { "decimals": 256 } }),
        json!({ "metadata": { "wallet_address": 1 } }),
        json!({ "amount": -0.5 }),
    ] {
        assert!(body("/token", change.clone()).is_err(), "{change}");
    }
    for endpoint in [
        "",
        "token",
        "@evil.example/t",
        "//evil.example/t",
        "/\\evil.example",
        "https://evil.example/t",
        "/t t",
        "/t\n",
        "/t#x",
        "/é",
    ] {
        assert!(body(endpoint, json!({})).is_err(), "{endpoint:?}");
    }
    assert!(Endpoint::parse(&format!("/{}", "t".repeat(2_048))).is_err());
}

#[test]
fn our_client_takes_what_it_was_told_first_and_believes_no_decimals() {
    let registry = AssetRegistry::builtin();
    let base = registry.default_for(ChainId::BASE).unwrap().clone();
    let component = |asset: &Asset, units| {
        Component::new(asset.clone(), number(units), "USDC", WALLET, WALLET).unwrap()
    };
    let endpoint = Endpoint::parse("/token").unwrap();
    let read = |components: &[Component], from: &str, to: &str| {
        let body = Body::new("", &endpoint, components).unwrap().to_json();
        Demand::read(body.replace(from, to).as_bytes())
            .unwrap()
            .unwrap()
            .offers
    };
    let both = [component(&usdc(), 500_000), component(&base, 400_000)];
    let sepolia = usdc();
    let caps = |first: u64| {
        [
            Cap {
                asset: &base,
                most: number(first),
            },
            Cap {
                asset: &sepolia,
                most: number(800_000),
            },
        ]
    };
    let offers = read(&both, "", "");
    let chosen = by_priority(&offers, &caps(400_000)).unwrap();
    assert_eq!(
        (chosen.offer, chosen.cap, chosen.amount),
        (1, 0, number(400_000))
    );
    let chosen = by_priority(&offers, &caps(399_999)).unwrap();
    assert_eq!(
        (chosen.offer, chosen.cap, chosen.amount),
        (0, 1, number(500_000))
    );
    let one = [component(&sepolia, 500_000)];
    let none = |from: &str, to: &str| by_priority(&read(&one, from, to), &caps(1)).is_none();
    assert!(!none("", ""));
    assert!(none("\"token_decimals\":6", "\"token_decimals\":12"));
    assert!(none("\"token_name\":\"USDC\"", "\"token_name\":\"Other\""));
    assert!(none("\"token_version\":\"2\"", "\"token_version\":\"1\""));
    assert!(none("11155111", "1"), "another chain");
    assert!(
        none("\"amount\":0.5", "\"amount\":0.0000001"),
        "no whole units"
    );
    assert!(
        !none("\"token_version\":\"2\"", "\"token_version\":2"),
        "a number is a text"
    );
}

#[test]
fn answers_to_token_requests_are_read_within_bounds() {
    let mut metadata = Map::new();
    metadata.insert("payment_id".to_owned(), json!("0x1"));
    let answer = TokenResponse::new("a.b", None, metadata);
    assert!(answer.to_json().starts_with(
        "{\"access_token\":\"a.b\",\"token_type\":\"Bearer\",\"expires_in\":null,\"metadata\":{\"Token Instruction\":"
    ));
    assert!(!format!("{answer:?}").contains("a.b"));
    let issued = Issued::read(answer.to_json().as_bytes()).unwrap();
    assert_eq!(
        (issued.authorization().as_str(), issued.expires_in),
        ("Bearer a.b", None)
    );
    assert!(!format!("{issued:?}").contains("a.b"));
    for body in [
        "",
        "[]",
        r#"{"access_token":""}"#,
        r#"{"access_token":1}"#,
        r#"{"access_token":"a b"}"#,
        r#"{"access_token":"a\r\nX: y"}"#,
        r#"{"access_token":"a","token_type":"x y"}"#,
        r#"{"access_token":"a","token_type":null}"#,
        r#"{"access_token":"a","expires_in":"soon"}"#,
    ] {
        assert!(Issued::read(body.as_bytes()).is_err(), "{body}");
    }
    let refused = Refused::chain_unavailable();
    let text = response::error(refused.to_json().as_bytes()).unwrap();
    assert!(text.starts_with("Verification failed: Blockchain interaction error"));
    assert!(!text.contains('\n') && text.len() <= 300);
    assert_eq!(response::error(b"Internal Server Error"), None);
}
