//! Payer and recipient on the real contract: deposit, certificate, remuneration, payments, withdrawal.

use alloy_primitives::B256;
use faregate_client::credit::{CreditClient, CreditError, ETH, NoTrail, Revert, SendError};
use faregate_devnet::chain::{CREDIT_CORE, CreditConfig, CreditTiming, VALIDATION_REGISTRY};
use faregate_devnet::{ChainConfig, Devchain};
use faregate_evm::credit::{Call, answer_as_validator, ask_validator};
use faregate_types::credit::api::PublicParams;
use faregate_types::credit::certificate::domain_separator;
use faregate_types::credit::{
    Certificate, Guarantee, GuaranteeRequest, GuaranteeVersion, SigningScheme, ValidationPolicy,
    binding, read, write,
};
use faregate_types::{ChainId, Timestamp, U256};
use serde_json::{Value, json};

use crate::common::{Seen, Seller};
use crate::world::*;

const TIMING: CreditTiming = CreditTiming {
    remuneration_grace: 100,
    tab_expiration: 1000,
    synchronization_delay: 20,
    withdrawal_grace: 2000,
};

fn separator(version: GuaranteeVersion) -> B256 {
    domain_separator(version, ChainId::BASE_SEPOLIA, CREDIT_CORE)
}

/// A service that issues whatever is asked for.
async fn issuer(chain: &Devchain) -> Seller {
    let mut params = params();
    for (name, value) in [
        ("contract_address", json!(CREDIT_CORE)),
        ("ethereum_http_rpc_url", json!(chain.rpc_url())),
        ("chain_id", json!(84532)),
        ("active_guarantee_domain_separator", json!("")),
    ] {
        params[name] = value;
    }
    read::<PublicParams>(params.to_string().as_bytes()).unwrap();
    service_with(params, |seen: &Seen| {
        let request: GuaranteeRequest = read(&seen.body).unwrap();
        let domain = separator(request.claims.version());
        let guarantee = Guarantee::of(&request.claims, domain, request.claims.amount).unwrap();
        let text = write(&Certificate::issue(&guarantee, &bls()));
        json_answer(200, &serde_json::from_str::<Value>(&text).unwrap())
    })
    .await
}

async fn client(service: &Seller, key: &str) -> CreditClient {
    let builder = CreditClient::builder()
        .service(service.url("/").parse().unwrap())
        .signer(signer(key));
    builder.connect().await.unwrap()
}

fn refused(error: CreditError) -> &'static str {
    match error {
        CreditError::Transaction(SendError::Reverted(Revert::Named(name))) => name,
        other => panic!("{other:?}"),
    }
}

async fn world() -> (Devchain, CreditClient, CreditClient) {
    let credit = CreditConfig {
        verification_key: bls().public_key().words(),
        operator: Devchain::accounts()[3].address,
        admin: Devchain::accounts()[4].address,
        timing: TIMING,
    };
    let chain = Devchain::start(ChainConfig {
        credit: Some(credit),
        ..ChainConfig::default()
    });
    let chain = chain.await.unwrap();
    let service = issuer(&chain).await;
    let (payer, recipient) = (
        client(&service, OTHER_KEY).await,
        client(&service, KEY).await,
    );
    (chain, payer, recipient)
}

fn n(number: u64) -> U256 {
    U256::from(number)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_is_money_after_the_grace_period() {
    let (chain, payer, recipient) = world().await;
    let token = chain.usdc();
    payer.user().approve(token, n(5000)).await.unwrap();
    // Two at once take two nonces.
    let user = payer.user();
    let (ether, tokens) = tokio::join!(user.deposit(ETH, n(900)), user.deposit(token, n(4000)));
    assert_ne!(ether.unwrap().transaction, tokens.unwrap().transaction);
    let collateral = user.collateral().await.unwrap();
    let amounts: Vec<_> = collateral
        .iter()
        .map(|asset| (asset.asset, asset.collateral))
        .collect();
    assert_eq!(amounts, [(ETH, n(900)), (token, n(4000))]);

    let mut claims = claims(OTHER, ME);
    claims.asset = token;
    claims.timestamp = Timestamp::from_secs(chain.now().await.unwrap());
    let request = user
        .sign_payment(claims, SigningScheme::Eip712)
        .await
        .unwrap();
    let issued = recipient
        .recipient()
        .issue_payment_guarantee(&request)
        .await
        .unwrap();
    let early = recipient.recipient().remunerate(&issued.certificate).await;
    assert_eq!(refused(early.unwrap_err()), "TabNotYetOverdue");
    let status = recipient
        .recipient()
        .tab_payment_status(n(0xabc))
        .await
        .unwrap();
    assert!(!status.remunerated);

    chain.increase_time(101).await.unwrap();
    chain.mine(1).await.unwrap();
    let before = chain.usdc_balance(ME).await.unwrap();
    recipient
        .recipient()
        .remunerate(&issued.certificate)
        .await
        .unwrap();
    assert_eq!(chain.usdc_balance(ME).await.unwrap() - before, n(1000));
    assert!(user.tab_payment_status(n(0xabc)).await.unwrap().remunerated);
    assert_eq!(user.collateral().await.unwrap()[1].collateral, n(3000));
    // Not twice.
    let again = recipient.recipient().remunerate(&issued.certificate).await;
    assert!(refused(again.unwrap_err()).starts_with("Tab"));
    chain.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tabs_are_paid_and_collateral_goes_back_to_its_payer() {
    let (chain, payer, _) = world().await;
    let (user, token) = (payer.user(), chain.usdc());
    user.approve(token, n(500)).await.unwrap();
    let before = (
        chain.usdc_balance(ME).await.unwrap(),
        chain.eth_balance(ME).await.unwrap(),
    );
    user.pay_tab(n(1), n(0), n(500), ME, token).await.unwrap();
    user.pay_tab(n(1), n(0), n(70), ME, ETH).await.unwrap();
    assert_eq!(chain.usdc_balance(ME).await.unwrap() - before.0, n(500));
    assert_eq!(chain.eth_balance(ME).await.unwrap() - before.1, n(70));

    user.deposit(ETH, n(900)).await.unwrap();
    assert_eq!(
        refused(user.cancel_withdrawal(ETH).await.unwrap_err()),
        "NoWithdrawalRequested"
    );
    let error = user.request_withdrawal(ETH, n(901)).await.unwrap_err();
    assert_eq!(refused(error), "InsufficientAvailable");
    user.request_withdrawal(ETH, n(300)).await.unwrap();
    assert_eq!(
        refused(user.finalize_withdrawal(ETH).await.unwrap_err()),
        "GracePeriodNotElapsed"
    );
    user.cancel_withdrawal(ETH).await.unwrap();
    user.request_withdrawal(ETH, n(900)).await.unwrap();
    assert_eq!(user.collateral().await.unwrap()[0].requested, n(900));
    chain.increase_time(2001).await.unwrap();
    chain.mine(1).await.unwrap();
    user.finalize_withdrawal(ETH).await.unwrap();
    assert!(user.collateral().await.unwrap()[0].collateral.is_zero());
    chain.shutdown().await;
}

/// A call of the registry, for which the client has no name of its own.
async fn at_registry(client: &CreditClient, call: &Call) {
    client.account().send(call, &NoTrail).await.unwrap();
}

/// A certificate of version 2 is money once its validator has said that the work was done, and says so to whoever verifies it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_with_a_condition_is_money_once_it_was_validated() {
    let (chain, payer, recipient) = world().await;
    payer.user().deposit(ETH, n(5000)).await.unwrap();
    for (tab, scheme, score) in [
        (0xabc, SigningScheme::Eip712, 80),
        (0xabd, SigningScheme::Eip191, 100),
    ] {
        let mut claims = claims(OTHER, ME);
        claims.tab_id = n(tab);
        claims.timestamp = Timestamp::from_secs(chain.now().await.unwrap());
        // The recipient's own word counts here: who validates is what both agreed on.
        claims.validation = Some(ValidationPolicy {
            registry: VALIDATION_REGISTRY,
            request_hash: B256::ZERO,
            chain_id: ChainId::BASE_SEPOLIA.get(),
            validator: ME,
            agent_id: n(7),
            min_score: 80,
            subject_hash: B256::ZERO,
            tag: "hard-finality".to_owned(),
            job_hash: B256::repeat_byte(0x11),
        });
        let claims = binding::bind(claims);
        let policy = claims.validation.clone().unwrap();
        let signed = payer.user().sign_payment(claims, scheme).await.unwrap();
        let about = recipient.recipient();
        let issued = about.issue_payment_guarantee(&signed).await.unwrap();
        let said = about.verify_payment_guarantee(&issued.certificate).unwrap();
        assert_eq!(said.version(), GuaranteeVersion::V2);
        assert_eq!(said.validation, Some(policy.clone()));

        chain.increase_time(101).await.unwrap();
        chain.mine(1).await.unwrap();
        let early = about.remunerate(&issued.certificate).await.unwrap_err();
        assert_eq!(refused(early), "ValidationLookupFailed");
        at_registry(&recipient, &ask_validator(&policy)).await;
        let waiting = about.remunerate(&issued.certificate).await.unwrap_err();
        assert_eq!(refused(waiting), "ValidationPending");
        let answer = |score| answer_as_validator(&policy, score);
        at_registry(&recipient, &answer(79)).await;
        let low = about.remunerate(&issued.certificate).await.unwrap_err();
        assert_eq!(refused(low), "ValidationScoreTooLow");
        at_registry(&recipient, &answer(score)).await;
        about.remunerate(&issued.certificate).await.unwrap();
        let status = about.tab_payment_status(n(tab)).await.unwrap();
        assert!(status.remunerated);
    }
    let left = payer.user().collateral().await.unwrap()[0].collateral;
    assert_eq!(left, n(3000));
    chain.shutdown().await;
}
