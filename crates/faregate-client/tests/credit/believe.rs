//! What the client believes at the start, and what it does not.

use std::collections::BTreeMap;

use alloy_primitives::B256;
use faregate_client::credit::{
    CertificateFault, ConfigFault, ConnectError, CreditClient, CreditError, Distrust,
};
use faregate_types::credit::{BlsSecretKey, Certificate, Guarantee, GuaranteeVersion};
use faregate_types::{Address, ChainId, U256};
use serde_json::{Value, json};

use crate::world::*;

async fn connect_to(
    params: Value,
    chain: &std::sync::Arc<Chain>,
) -> Result<CreditClient, CreditError> {
    let service = service_with(params, |_| json_answer(404, &json!({"error": "no"}))).await;
    builder(&service, chain).connect().await
}

fn with(name: &str, value: Value) -> Value {
    let mut params = params();
    params[name] = value;
    params
}

#[tokio::test]
async fn a_service_that_fits_its_contract_is_believed() {
    let client = connect_to(params(), &Chain::new(31337)).await.unwrap();
    assert_eq!(
        (client.contract(), client.chain(), client.address()),
        (CONTRACT, CHAIN, ME)
    );
    assert_eq!(client.guarantee_domains().len(), 2);
    let text = format!("{client:?} {:?}", client.rpc());
    assert!(!text.contains(&KEY[2..]), "{text}");
}

#[tokio::test]
async fn a_contract_with_another_key_or_domain_is_found_out() {
    let other = BlsSecretKey::from_hex(&format!("{:064x}", 8)).unwrap();
    let chain = Chain::new(31337);
    chain.configure(
        GuaranteeVersion::V2,
        &other,
        domain(GuaranteeVersion::V2),
        true,
    );
    let error = connect_to(params(), &chain).await.unwrap_err();
    assert!(
        matches!(
            error,
            CreditError::Distrust(Distrust::Key(GuaranteeVersion::V2))
        ),
        "{error:?}"
    );

    let chain = Chain::new(31337);
    chain.configure(GuaranteeVersion::V2, &bls(), B256::repeat_byte(9), true);
    let error = connect_to(params(), &chain).await.unwrap_err();
    assert!(
        matches!(error, CreditError::Distrust(Distrust::Domain)),
        "{error:?}"
    );
    // Without a word of the service the contract's is taken.
    let params = with("active_guarantee_domain_separator", json!(""));
    let client = connect_to(params, &chain).await.unwrap();
    assert_eq!(
        client.guarantee_domains()[&GuaranteeVersion::V2],
        B256::repeat_byte(9)
    );

    let chain = Chain::new(31337);
    for version in GuaranteeVersion::ALL {
        chain.configure(version, &bls(), domain(version), false);
    }
    let error = connect_to(self::params(), &chain).await.unwrap_err();
    assert!(
        matches!(error, CreditError::Distrust(Distrust::NoVersion)),
        "{error:?}"
    );
}

#[tokio::test]
async fn chain_and_contract_are_those_that_were_pinned() {
    let service = service(|_| json_answer(404, &json!({}))).await;
    let chain = Chain::new(31337);
    let pinned = builder(&service, &chain).chain(ChainId::BASE_SEPOLIA);
    let error = pinned.connect().await.unwrap_err();
    assert!(
        matches!(
            error,
            CreditError::Distrust(Distrust::Chain { said: 31337 })
        ),
        "{error:?}"
    );
    let pinned = builder(&service, &chain).contract(Address::repeat_byte(1));
    let error = pinned.connect().await.unwrap_err();
    assert!(
        matches!(
            error,
            CreditError::Distrust(Distrust::Contract { said: CONTRACT })
        ),
        "{error:?}"
    );
    let pinned = builder(&service, &chain).contract(CONTRACT).chain(CHAIN);
    pinned.connect().await.unwrap();
    // And the node is asked.
    let error = builder(&service, &Chain::new(1))
        .connect()
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            CreditError::Connect(ConnectError::WrongChain { found: 1, .. })
        ),
        "{error:?}"
    );
    assert!(matches!(
        connect_to(with("chain_id", json!(0)), &chain)
            .await
            .unwrap_err(),
        CreditError::Distrust(Distrust::Chain { said: 0 })
    ));
}

#[tokio::test]
async fn a_node_of_ones_own_is_needed_when_the_service_names_none() {
    let service = service(|_| json_answer(404, &json!({}))).await;
    let builder = || {
        CreditClient::builder()
            .service(service.url("/").parse().unwrap())
            .signer(signer(KEY))
    };
    let error = builder().connect().await.unwrap_err();
    assert!(
        matches!(error, CreditError::Config(ConfigFault::NoNode)),
        "{error:?}"
    );
    let insecure = service_with(
        with("ethereum_http_rpc_url", json!("http://node.example")),
        |_| json_answer(404, &json!({})),
    )
    .await;
    let error = builder()
        .service(insecure.url("/").parse().unwrap())
        .connect()
        .await
        .unwrap_err();
    assert!(
        matches!(error, CreditError::Config(ConfigFault::NodeInsecure)),
        "{error:?}"
    );
    assert!(matches!(
        CreditClient::builder().connect().await.unwrap_err(),
        CreditError::Config(ConfigFault::NoSigner)
    ));
    assert!(matches!(
        CreditClient::builder()
            .signer(signer(KEY))
            .connect()
            .await
            .unwrap_err(),
        CreditError::Config(ConfigFault::NoService)
    ));
    let elsewhere = CreditClient::builder().service("http://credit.example".parse().unwrap());
    assert!(matches!(
        elsewhere.rpc().unwrap_err(),
        CreditError::Config(ConfigFault::Url)
    ));
}

#[tokio::test]
async fn certificates_are_held_against_key_and_domain() {
    let client = connect_to(params(), &Chain::new(31337)).await.unwrap();
    let verify = |guarantee: &Guarantee, key: &BlsSecretKey| {
        client
            .recipient()
            .verify_payment_guarantee(&Certificate::issue(guarantee, key))
    };
    let claims = claims(OTHER, ME);
    let good = Guarantee::of(&claims, domain(GuaranteeVersion::V1), U256::from(5000)).unwrap();
    assert_eq!(verify(&good, &bls()).unwrap(), good);
    let other = BlsSecretKey::from_hex(&format!("{:064x}", 8)).unwrap();
    let error = verify(&good, &other).unwrap_err();
    assert!(
        matches!(error, CertificateFault::Certificate(_)),
        "{error:?}"
    );
    // The domain of the other version is another domain.
    let wrong = Guarantee::of(&claims, domain(GuaranteeVersion::V2), U256::from(5000)).unwrap();
    assert_eq!(
        verify(&wrong, &bls()).unwrap_err(),
        CertificateFault::Domain
    );

    let chain = Chain::new(31337);
    chain.configure(
        GuaranteeVersion::V1,
        &bls(),
        domain(GuaranteeVersion::V1),
        false,
    );
    let client = connect_to(params(), &chain).await.unwrap();
    let certificate = Certificate::issue(&good, &bls());
    let error = client
        .recipient()
        .verify_payment_guarantee(&certificate)
        .unwrap_err();
    assert_eq!(error, CertificateFault::Version(GuaranteeVersion::V1));
}

fn env(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

#[tokio::test]
async fn the_environment_is_read_under_both_names_and_ours_wins() {
    let service = service(|_| json_answer(200, &json!([]))).await;
    let (url, chain) = (service.url("/"), Chain::new(31337));
    for pairs in [
        vec![
            ("4MICA_RPC_URL", url.as_str()),
            ("4MICA_WALLET_PRIVATE_KEY", KEY),
            ("4MICA_NETWORK", "base-sepolia"),
        ],
        vec![
            ("FAREGATE_CREDIT_URL", url.as_str()),
            ("4MICA_RPC_URL", "http://127.0.0.1:1/"),
            ("FAREGATE_CREDIT_WALLET_PRIVATE_KEY", KEY),
            ("4MICA_WALLET_PRIVATE_KEY", OTHER_KEY),
        ],
        vec![
            ("FAREGATE_CREDIT_RPC_URL", url.as_str()),
            ("FAREGATE_PRIVATE_KEY", KEY),
        ],
    ] {
        let builder = CreditClient::from_env(&env(&pairs)).unwrap();
        let client = builder.transport(chain.clone()).connect().await.unwrap();
        assert_eq!(client.address(), ME);
    }
    let complete = env(&[
        ("4MICA_RPC_URL", &url),
        ("4MICA_WALLET_PRIVATE_KEY", KEY),
        ("4MICA_CONTRACT_ADDRESS", &CONTRACT.to_string()),
        (
            "FAREGATE_CREDIT_CONTRACT",
            "0x0000000000000000000000000000000000000001",
        ),
        ("4MICA_BEARER_TOKEN", "bearer AT"),
        ("FAREGATE_ADMIN_API_KEY", "ak_k"),
    ]);
    let builder = || {
        CreditClient::from_env(&complete)
            .unwrap()
            .transport(chain.clone())
    };
    let error = builder().connect().await.unwrap_err();
    assert!(
        matches!(error, CreditError::Distrust(Distrust::Contract { .. })),
        "{error:?}"
    );
    let client = builder().contract(CONTRACT).connect().await.unwrap();
    client.rpc().admin_keys().await.unwrap();
    let seen = service.seen().pop().unwrap();
    assert_eq!(seen.header("authorization").unwrap(), "Bearer AT");
    assert_eq!(seen.header("x-api-key").unwrap(), "ak_k");
    // A network pins its chain.
    let named = CreditClient::from_env(&env(&[
        ("4MICA_NETWORK", "eip155:84532"),
        ("PRIVATE_KEY", KEY),
    ]));
    let named = named
        .unwrap()
        .service(url.parse().unwrap())
        .transport(chain.clone());
    assert!(matches!(
        named.connect().await.unwrap_err(),
        CreditError::Distrust(Distrust::Chain { said: 31337 })
    ));
}

#[test]
fn what_cannot_be_read_in_the_environment_is_named_and_not_shown() {
    for (name, bad) in [
        ("4MICA_WALLET_PRIVATE_KEY", "secret-passphrase"),
        ("4MICA_NETWORK", "nowhere"),
        ("4MICA_CONTRACT_ADDRESS", "0x1"),
        ("4MICA_AUTH_REFRESH_MARGIN_SECS", "soon"),
        ("FAREGATE_CREDIT_BEARER_TOKEN", "line\nbreak"),
    ] {
        let error = CreditClient::from_env(&env(&[(name, bad)])).unwrap_err();
        assert!(
            matches!(&error, CreditError::Config(ConfigFault::Variable(found)) if *found == name)
        );
        assert!(!format!("{error} {error:?}").contains(bad));
    }
}
