//! The JSON of the credit service: one text of everything, read in the forms that other releases write, and keys and tokens
//! that are not shown.

use faregate_types::credit::api::{
    ActiveDomain, AdminKeyInfo, AssetBalance, CertificateText, CollateralEvent,
    CollateralEventKind, Condition, CreateAdminKey, CreateTab, CreatedAdminKey, CreatedTab,
    ErrorBody, GuaranteeInfo, Health, Hidden, LoggedOut, NonceAnswer, NonceRequest,
    PendingRemuneration, PublicParams, RecipientPayment, RefreshRequest, SetSuspension,
    SettlementStatus, SupportedToken, SupportedTokens, Suspension, TabInfo, TabStatus, Tokens,
    VerifyRequest,
};
use faregate_types::credit::signin::Asked;
use faregate_types::credit::{
    AdminKey, BlsSecretKey, Certificate, DateText, Guarantee, GuaranteeVersion, Message, SignIn,
    SignInError, SignInTemplate, parse_uuid, read, read_answer, to_uuid, write,
};
use faregate_types::{Address, B256, Bytes, ChainId, Timestamp, U256};

use crate::credit::claims;

const PAYER: Address = Address::repeat_byte(0x11);
const RECIPIENT: Address = Address::repeat_byte(0x22);

fn at(secs: u64) -> Timestamp {
    Timestamp::from_secs(secs)
}

fn key() -> BlsSecretKey {
    BlsSecretKey::from_hex(&format!("{:064x}", 7)).unwrap()
}

fn params() -> PublicParams {
    PublicParams {
        public_key: key().public_key(),
        contract: PAYER,
        node_url: String::new(),
        eip712_name: "4mica".into(),
        eip712_version: "1".into(),
        chain_id: 31_337,
        max_version: 2,
        versions: vec![1, 2],
        active_domain: ActiveDomain(Some(B256::repeat_byte(0xdd))),
        trusted_registries: vec![RECIPIENT],
        canonicalization: "4MICA_VALIDATION_REQUEST_V2".into(),
        req_ids: Some("reserved".into()),
    }
}

fn tab() -> TabInfo {
    TabInfo {
        tab_id: U256::from(42),
        payer: PAYER,
        recipient: RECIPIENT,
        asset: Address::ZERO,
        version: 1,
        start: at(3),
        ttl_seconds: 86_400,
        status: TabStatus::Open,
        settlement: SettlementStatus::Pending,
        created_at: at(1),
        updated_at: at(4),
        total_amount: Some(U256::from(16)),
        paid_amount: Some(U256::ZERO),
    }
}

fn guarantee() -> GuaranteeInfo {
    let guarantee = Guarantee::of(&claims(), B256::ZERO, U256::from(9)).unwrap();
    GuaranteeInfo {
        tab_id: U256::from(42),
        req_id: U256::ZERO,
        version: 1,
        payer: PAYER,
        recipient: RECIPIENT,
        asset: Address::ZERO,
        amount: U256::from(16),
        timestamp: at(3),
        certificate: Some(CertificateText(Certificate::issue(&guarantee, &key()))),
    }
}

fn template() -> SignInTemplate {
    SignInTemplate {
        domain: "core.example.com".into(),
        uri: "https://core.example.com".into(),
        chain_id: 84_532,
        statement: "Sign in to 4mica.".into(),
        expiration: DateText::parse("2026-11-21T00:05:00+00:00").unwrap(),
        issued_at: DateText::parse("2026-11-21T00:00:00+00:00").unwrap(),
    }
}

/// Has this text, and is read from it.
fn is<M: Message + PartialEq + std::fmt::Debug>(message: &M, json: &str) {
    assert_eq!(write(message), json);
    assert_eq!(read_answer::<M>(json.as_bytes()).as_ref(), Ok(message));
}

#[test]
fn tabs_have_one_text() {
    let create = CreateTab {
        payer: PAYER,
        recipient: RECIPIENT,
        token: None,
        ttl: None,
        version: Some(1),
    };
    is(
        &create,
        r#"{"user_address":"0x1111111111111111111111111111111111111111","recipient_address":"0x2222222222222222222222222222222222222222","erc20_token":null,"ttl":null,"guarantee_version":1}"#,
    );
    let sdk043 = r#"{"user_address":"0x1111111111111111111111111111111111111111","recipient_address":"0x2222222222222222222222222222222222222222","erc20_token":null,"ttl":null}"#;
    let older = CreateTab {
        version: None,
        ..create
    };
    assert_eq!(read(sdk043.as_bytes()), Ok(older));
    let created = CreatedTab {
        id: U256::from(42),
        payer: PAYER,
        recipient: RECIPIENT,
        token: Some(Address::ZERO),
        asset: Address::ZERO,
        version: 1,
        next_req_id: Some(U256::ZERO),
    };
    is(
        &created,
        r#"{"id":"0x2a","user_address":"0x1111111111111111111111111111111111111111","recipient_address":"0x2222222222222222222222222222222222222222","erc20_token":"0x0000000000000000000000000000000000000000","asset_address":"0x0000000000000000000000000000000000000000","guarantee_version":1,"next_req_id":"0x0"}"#,
    );
    is(
        &tab(),
        r#"{"tab_id":"0x2a","user_address":"0x1111111111111111111111111111111111111111","recipient_address":"0x2222222222222222222222222222222222222222","asset_address":"0x0000000000000000000000000000000000000000","accepted_guarantee_version":1,"start_timestamp":3,"ttl_seconds":86400,"status":"OPEN","settlement_status":"PENDING","created_at":1,"updated_at":4,"total_amount":"0x10","paid_amount":"0x0"}"#,
    );
}

#[test]
fn answers_may_be_lists_and_nothing() {
    is(&vec![tab(), tab()], &format!("[{0},{0}]", write(&tab())));
    is(&None::<TabInfo>, "null");
    is(&Some(tab()), &write(&tab()));
    is(&Vec::<GuaranteeInfo>::new(), "[]");
    let pending = PendingRemuneration {
        tab: tab(),
        latest_guarantee: Some(guarantee()),
    };
    let json = format!(
        "{{\"tab\":{},\"latest_guarantee\":{}}}",
        write(&tab()),
        write(&guarantee())
    );
    is(&pending, &json);
    let error = read_answer::<Vec<TabInfo>>(br#"[{"tab_id":-1}]"#).unwrap_err();
    assert!(
        error.to_string().starts_with("tab_id: expected a number"),
        "{error}"
    );
}

#[test]
fn answers_are_read_in_camel_case_and_without_what_came_later() {
    let camel = r#"{"tabId":"42","userAddress":"0x1111111111111111111111111111111111111111","recipientAddress":"0x2222222222222222222222222222222222222222","assetAddress":"0x0000000000000000000000000000000000000000","startTimestamp":3,"ttlSeconds":86400,"status":"open","settlementStatus":"PENDING","createdAt":1,"updatedAt":4,"more":[{}]}"#;
    let older = TabInfo {
        total_amount: None,
        paid_amount: None,
        ..tab()
    };
    assert_eq!(read_answer(camel.as_bytes()), Ok(older));
    let timestamp = write(&guarantee()).replace("start_timestamp", "timestamp");
    assert_eq!(read_answer(timestamp.as_bytes()), Ok(guarantee()));
}

#[test]
fn a_certificate_in_a_guarantee_is_a_text() {
    let json = write(&guarantee());
    assert!(
        json.contains(r#""certificate":"{\"claims\":\"00"#),
        "{json}"
    );
    is(&guarantee(), &json);
    let none = GuaranteeInfo {
        certificate: None,
        ..guarantee()
    };
    assert!(write(&none).ends_with(r#""certificate":null}"#));
    let wrong = json.replace(r#"{\"claims\""#, r#"{\"claim\""#);
    let error = read_answer::<GuaranteeInfo>(wrong.as_bytes()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "certificate: claims: expected to be there"
    );
}

#[test]
fn parameters_are_read_with_the_defaults_of_the_sdks() {
    let json = write(&params());
    assert!(json.starts_with(r#"{"public_key":[185,40,"#), "{json}");
    is(&params(), &json);
    let numbers = json[..json.find(']').unwrap() + 1].to_owned();
    let hex = Bytes::from(params().public_key.to_bytes()).to_string();
    for hex in [hex.as_str(), &hex[2..]] {
        let json = json.replace(&numbers, &format!("{{\"public_key\":\"{hex}\""));
        assert_eq!(read_answer(json.as_bytes()), Ok(params()));
    }
    let minimal = format!(
        "{numbers},\"contractAddress\":\"{PAYER}\",\"ethereum_http_rpc_url\":\"\",\"eip712_name\":\"4mica\",\
         \"eip712_version\":\"1\",\"chain_id\":\"31337\"}}"
    );
    let read: PublicParams = read_answer(minimal.as_bytes()).unwrap();
    assert_eq!(read.active_domain, ActiveDomain(None));
    assert_eq!((read.max_version, read.chain_id), (1, 31_337));
    assert_eq!(read.accepted(), [GuaranteeVersion::V1]);
    assert_eq!(read.req_ids, None);
    let wider = PublicParams {
        max_version: u64::MAX,
        ..read.clone()
    };
    assert_eq!(wider.accepted(), GuaranteeVersion::ALL);
    let second = PublicParams {
        versions: vec![2, 9],
        ..read
    };
    assert_eq!(second.accepted(), [GuaranteeVersion::V2]);
    let none = PublicParams {
        active_domain: ActiveDomain(None),
        ..params()
    };
    assert!(write(&none).contains(r#""active_guarantee_domain_separator":"""#));
    for (from, to) in [
        (
            r#""ethereum_http_rpc_url":"""#,
            r#""ethereum_http_rpc_url":null"#,
        ),
        (r#""ethereum_http_rpc_url":"","#, ""),
        ("[185,", "["),
        ("[185,", "[256,"),
        ("[185,", "[57,"),
    ] {
        let changed = json.replace(from, to);
        assert_ne!(changed, json);
        assert!(
            read_answer::<PublicParams>(changed.as_bytes()).is_err(),
            "{to}"
        );
    }
}

#[test]
fn money_has_one_text() {
    let balance = AssetBalance {
        payer: PAYER,
        asset: Address::ZERO,
        total: U256::from(5),
        locked: U256::from(7),
        version: 3,
        updated_at: at(9),
    };
    assert_eq!(balance.available(), U256::ZERO, "never below nothing");
    is(
        &balance,
        r#"{"user_address":"0x1111111111111111111111111111111111111111","asset_address":"0x0000000000000000000000000000000000000000","total":"0x5","locked":"0x7","version":3,"updated_at":9}"#,
    );
    let event = CollateralEvent {
        id: to_uuid([1; 16]),
        payer: PAYER,
        asset: Address::ZERO,
        amount: U256::from(5),
        kind: CollateralEventKind::CancelReserve,
        tab_id: Some(U256::from(1)),
        req_id: None,
        tx_id: Some("0xab".into()),
        created_at: at(9),
    };
    is(
        &event,
        r#"{"id":"01010101-0101-0101-0101-010101010101","user_address":"0x1111111111111111111111111111111111111111","asset_address":"0x0000000000000000000000000000000000000000","amount":"0x5","event_type":"CANCEL_RESERVE","tab_id":"0x1","req_id":null,"tx_id":"0xab","created_at":9}"#,
    );
    let payment = RecipientPayment {
        payer: PAYER,
        recipient: RECIPIENT,
        tx_hash: B256::ZERO,
        amount: U256::from(5),
        verified: true,
        finalized: true,
        failed: false,
        created_at_ms: 1_716_500_000_123,
    };
    is(
        &payment,
        r#"{"user_address":"0x1111111111111111111111111111111111111111","recipient_address":"0x2222222222222222222222222222222222222222","tx_hash":"0x0000000000000000000000000000000000000000000000000000000000000000","amount":"0x5","verified":true,"finalized":true,"failed":false,"created_at":1716500000123}"#,
    );
    let tokens = SupportedTokens {
        chain_id: 31_337,
        tokens: vec![SupportedToken {
            symbol: "USDC".into(),
            address: PAYER,
            decimals: 6,
        }],
    };
    is(
        &tokens,
        r#"{"chain_id":31337,"tokens":[{"symbol":"USDC","address":"0x1111111111111111111111111111111111111111","decimals":6}]}"#,
    );
}

#[test]
fn signing_in_has_one_text_and_tokens_are_not_shown() {
    is(
        &NonceRequest { address: PAYER },
        r#"{"address":"0x1111111111111111111111111111111111111111"}"#,
    );
    let answer = NonceAnswer {
        nonce: "n".into(),
        siwe: template(),
    };
    let json = r#"{"nonce":"n","siwe":{"domain":"core.example.com","uri":"https://core.example.com","chainId":84532,"statement":"Sign in to 4mica.","expiration":"2026-11-21T00:05:00+00:00","issuedAt":"2026-11-21T00:00:00+00:00"}}"#;
    is(&answer, json);
    let snake = json
        .replace("chainId", "chain_id")
        .replace("issuedAt", "issued_at");
    assert_eq!(read_answer(snake.as_bytes()), Ok(answer));
    let verify = VerifyRequest {
        address: PAYER,
        message: "m".into(),
        signature: Bytes::from_static(&[0x51]),
    };
    assert!(!format!("{verify:?}").contains("51"));
    is(
        &verify,
        r#"{"address":"0x1111111111111111111111111111111111111111","message":"m","signature":"0x51"}"#,
    );
    let tokens = Tokens {
        access_token: Hidden::new("ey".into()),
        refresh_token: Hidden::new("refresh_1".into()),
        expires_in: 900,
    };
    let shown = format!("{tokens:?}");
    assert!(
        !shown.contains("ey\"") && !shown.contains("refresh_1"),
        "{shown}"
    );
    is(
        &tokens,
        r#"{"access_token":"ey","refresh_token":"refresh_1","expires_in":900}"#,
    );
    let refresh = RefreshRequest {
        refresh_token: Hidden::new("refresh_1".into()),
    };
    is(&refresh, r#"{"refresh_token":"refresh_1"}"#);
    let error = read::<RefreshRequest>(br#"{"refresh_token":{"secret":1}}"#).unwrap_err();
    assert_eq!(error.to_string(), "refresh_token: expected a text");
    is(&LoggedOut { revoked: true }, r#"{"revoked":true}"#);
}

#[test]
fn administration_and_health_have_one_text() {
    is(&SetSuspension { suspended: true }, r#"{"suspended":true}"#);
    let suspension = Suspension {
        address: PAYER,
        suspended: true,
        updated_at: at(9),
    };
    is(
        &suspension,
        r#"{"user_address":"0x1111111111111111111111111111111111111111","suspended":true,"updated_at":9}"#,
    );
    let scopes = vec!["user_suspension:write".to_owned()];
    let create = CreateAdminKey {
        name: "n".into(),
        scopes: scopes.clone(),
    };
    is(
        &create,
        r#"{"name":"n","scopes":["user_suspension:write"]}"#,
    );
    let created = CreatedAdminKey {
        id: "i".into(),
        name: "n".into(),
        scopes: scopes.clone(),
        created_at: at(9),
        api_key: Hidden::new("ak_1".into()),
    };
    assert!(!format!("{created:?}").contains("ak_1"));
    is(
        &created,
        r#"{"id":"i","name":"n","scopes":["user_suspension:write"],"created_at":9,"api_key":"ak_1"}"#,
    );
    let info = AdminKeyInfo {
        id: "i".into(),
        name: "n".into(),
        scopes,
        created_at: at(9),
        revoked_at: None,
    };
    is(
        &info,
        r#"{"id":"i","name":"n","scopes":["user_suspension:write"],"created_at":9,"revoked_at":null}"#,
    );
    let health = Health {
        status: Condition::Ok,
        db: Some(Condition::Ok),
        chain_rpc: Some(Condition::Fail),
        listener_ready: Some(true),
        forked_at: None,
    };
    is(
        &health,
        r#"{"status":"ok","db":"ok","chain_rpc":"fail","listener_ready":true,"forked_at":null}"#,
    );
    let older: Health = read_answer(br#"{"status":"ok","listener_ready":true}"#).unwrap();
    assert_eq!((older.db, older.listener_ready), (None, Some(true)));
    let error: ErrorBody = read_answer(br#"{"error":"user suspended"}"#).unwrap();
    assert_eq!((error.error.as_str(), error.code), ("user suspended", None));
}

#[test]
fn words_are_read_in_any_letter_case() {
    assert_eq!(
        SettlementStatus::from_name("settled"),
        Some(SettlementStatus::Settled)
    );
    assert_eq!(SettlementStatus::from_name("paid"), None);
    for status in SettlementStatus::ALL {
        assert_eq!(SettlementStatus::from_name(status.as_str()), Some(*status));
    }
}

fn signed_in() -> SignIn {
    SignIn {
        address: PAYER,
        nonce: "7b1d0c2e-1111".into(),
        template: template(),
    }
}

fn asked() -> Asked<'static> {
    Asked {
        address: PAYER,
        domain: "CORE.example.com",
        uri: "https://core.example.com",
        chain: ChainId::BASE_SEPOLIA,
        statement: " Sign in to 4mica. ",
        now: template().issued_at.at(),
        nonce_ttl: 300,
    }
}

#[test]
#[allow(clippy::too_many_lines, reason = "one line per difference")]
fn messages_are_compared_in_the_order_of_the_network() {
    let message = signed_in();
    assert_eq!(message.check(&asked()), Ok(()));
    let issued = template().issued_at.at().as_secs();
    for (asked, error) in [
        (
            Asked {
                address: RECIPIENT,
                chain: ChainId::BASE,
                ..asked()
            },
            SignInError::Address,
        ),
        (
            Asked {
                chain: ChainId::BASE,
                domain: "",
                ..asked()
            },
            SignInError::Chain,
        ),
        (
            Asked {
                domain: "example.com",
                uri: "",
                ..asked()
            },
            SignInError::Domain,
        ),
        (
            Asked {
                uri: "https://core.example.com/",
                statement: "",
                ..asked()
            },
            SignInError::Uri,
        ),
        (
            Asked {
                statement: "Sign in.",
                now: at(0),
                ..asked()
            },
            SignInError::Statement,
        ),
        (
            Asked {
                now: at(issued - 31),
                ..asked()
            },
            SignInError::Early,
        ),
        (
            Asked {
                now: at(issued + 301),
                ..asked()
            },
            SignInError::Late,
        ),
        (
            Asked {
                now: at(issued + 300),
                ..asked()
            },
            SignInError::Expired,
        ),
    ] {
        assert_eq!(message.check(&asked), Err(error));
    }
    for now in [issued - 30, issued + 299] {
        assert_eq!(
            message.check(&Asked {
                now: at(now),
                ..asked()
            }),
            Ok(())
        );
    }
}

#[test]
fn a_message_has_one_text() {
    let text = signed_in().checked_text().unwrap();
    assert_eq!(SignIn::parse(&text), Ok(signed_in()));
    for (from, to) in [
        ("Version: 1", "Version: 2"),
        ("Chain ID: 84532", "Chain ID: 084532"),
        ("Chain ID: 84532", "Chain ID: +84532"),
        ("account:\n", "account: \n"),
        ("0x1111", "0X1111"),
        ("\n\nURI", "\nURI"),
        ("\nNonce", "\r\nNonce"),
        ("Nonce: 7b1d0c2e-1111", "Nonce: "),
        ("Nonce: 7b1d0c2e-1111", "Nonce: a b"),
        ("2026-11-21T00:05", "2026-13-21T00:05"),
        ("Expiration Time: ", "Expiration: "),
        (" wants you to sign in", " wants you to pay"),
    ] {
        let changed = text.replace(from, to);
        assert_ne!(changed, text, "{from}");
        assert!(SignIn::parse(&changed).is_err(), "{to}");
    }
    for changed in [
        format!("{text}\n"),
        format!("{text}\nResources:"),
        text.replace(
            "0x1111111111111111111111111111111111111111",
            "0xabababababababababababababababababababab",
        ),
        "x".repeat(5_000),
    ] {
        assert!(SignIn::parse(&changed).is_err());
    }
    for end in 0..text.len() {
        assert!(
            SignIn::parse(&text[..end]).is_err() || text[..end].contains("Expiration Time: "),
            "{end}"
        );
    }
}

#[test]
fn no_template_reaches_into_the_next_line() {
    for statement in ["a\n\nURI: https://evil.example", "a\nb", "\n"] {
        let mut message = signed_in();
        message.template.statement = statement.into();
        assert!(message.checked_text().is_err(), "{statement}");
    }
    let mut message = signed_in();
    message.template.uri = "https://a\nVersion: 1".into();
    assert!(message.checked_text().is_err());
    let mut message = signed_in();
    message.nonce = "a\nIssued At: 2026-11-21T00:00:00Z".into();
    assert!(message.checked_text().is_err());
    let mut message = signed_in();
    message.template.domain = String::new();
    assert!(message.checked_text().is_err());
}

#[test]
fn administrators_keys_have_one_form() {
    let key = AdminKey::bootstrap(b"seed");
    let text = key.to_text();
    assert!(!format!("{key:?}").contains(text.split('.').nth(1).unwrap()));
    let read = AdminKey::parse(&text).unwrap();
    assert!(read.is_of(&key.hash()) && read.id() == key.id());
    assert!(!read.is_of(&AdminKey::bootstrap(b"sees").hash()));
    for wrong in [
        "",
        "ak_",
        ".",
        "ak_.x",
        "ak_00112233445566778899aabbccddeeff",
        "ak_00112233445566778899aabbccddeeff.",
        "ak_00112233445566778899aabbccddee.x",
        "ak_zz112233445566778899aabbccddeeff.x",
        "AK_00112233445566778899aabbccddeeff.x",
    ] {
        assert!(AdminKey::parse(wrong).is_none(), "{wrong}");
    }
    let long = format!("ak_00112233445566778899aabbccddeeff.{}", "x".repeat(129));
    assert!(AdminKey::parse(&long).is_none());
}

#[test]
fn uuids_have_their_dashes_where_they_belong_or_none() {
    let bytes: [u8; 16] = std::array::from_fn(|place| u8::try_from(place * 17).unwrap());
    let text = to_uuid(bytes);
    assert_eq!(text, "00112233-4455-6677-8899-aabbccddeeff");
    assert_eq!(parse_uuid(&text), Some(bytes));
    assert_eq!(parse_uuid(&text.to_uppercase()), Some(bytes));
    assert_eq!(parse_uuid("00112233445566778899aabbccddeeff"), Some(bytes));
    for wrong in [
        "",
        "-",
        "0011-2233445566778899aabbccddeeff",
        "00112233-4455-6677-8899-aabbccddeef",
        "00112233-4455-6677-8899-aabbccddeefg",
    ] {
        assert_eq!(parse_uuid(wrong), None, "{wrong}");
    }
}
