//! The whole stack, and payments signed by hand, so that a test decides what is sent and how often.

use std::sync::Once;
use std::time::{Duration, SystemTime};

use alloy_primitives::{Address, B256, U256};
use faregate::stack::{Stack, StackConfig, payee, payer};
use faregate_client::credit::CreditClient;
use faregate_evm::{LocalSigner, OsEntropy, random_nonce, sign_authorization};
use faregate_types::permit::{Permit, Terms, request};
use faregate_types::x402::exact::Payload;
use faregate_types::x402::{VersionTag, header, v2};
use faregate_types::{AssetRegistry, Authorization, ChainId, SecretKey, Signature65, Timestamp};

static TLS: Once = Once::new();

/// Everything, on free ports.
pub(crate) async fn stack() -> Stack {
    Stack::start(StackConfig::default()).await.unwrap()
}

/// A plain HTTP client, as a stranger would use.
pub(crate) fn http() -> reqwest::Client {
    TLS.call_once(|| drop(rustls::crypto::ring::default_provider().install_default()));
    reqwest::Client::builder().no_proxy().build().unwrap()
}

pub(crate) fn payer_key() -> &'static str {
    payer().unwrap().private_key
}

pub(crate) fn payee_address() -> Address {
    payee().unwrap().address
}

/// What the gate asks for `path`.
pub(crate) async fn offer(stack: &Stack, path: &str) -> v2::PaymentRequired {
    offer_at(&stack.gate_url(), path).await
}

/// What a gate at `url` asks for `path`.
async fn offer_at(url: &str, path: &str) -> v2::PaymentRequired {
    let answer = http().get(format!("{url}{path}")).send().await.unwrap();
    assert_eq!(answer.status(), 402);
    header::decode_payment_required(answer.headers()[header::PAYMENT_REQUIRED].as_bytes()).unwrap()
}

/// A signed v2 payment for what the gate asks, as the value of `PAYMENT-SIGNATURE`.
pub(crate) async fn payment(stack: &Stack, path: &str) -> String {
    payment_for(stack, offer(stack, path).await).await
}

/// The same for a gate at `url` that settles on the stack's chain.
#[allow(dead_code, reason = "for tests/crash.rs")]
pub(crate) async fn payment_at(stack: &Stack, url: &str, path: &str) -> String {
    payment_for(stack, offer_at(url, path).await).await
}

/// The same for an offer that the test made itself.
pub(crate) async fn payment_for(stack: &Stack, required: v2::PaymentRequired) -> String {
    let accepted = required.accepts[0].clone();
    let nonce = random_nonce(&mut OsEntropy).unwrap();
    header::encode(&v2::PaymentPayload {
        x402_version: VersionTag,
        resource: Some(required.resource),
        payload: sign(stack, &accepted, nonce).await.to_value(),
        accepted,
        extensions: None,
    })
}

async fn sign(stack: &Stack, accepted: &v2::PaymentRequirements, nonce: B256) -> Payload {
    let now = Timestamp::from(SystemTime::now()).as_secs();
    let authorization = Authorization {
        from: payer().unwrap().address,
        to: accepted.pay_to.parse().unwrap(),
        value: accepted.amount.parse().unwrap(),
        valid_after: U256::ZERO,
        valid_before: U256::from(now + accepted.max_timeout_seconds.as_secs()),
        nonce,
    };
    let signer = LocalSigner::new(SecretKey::from_hex(payer_key()).unwrap()).unwrap();
    let asset = &stack.asset;
    let signature = sign_authorization(
        &signer,
        &asset.domain,
        stack.chain,
        asset.id.token(),
        &authorization,
    )
    .unwrap();
    Payload {
        authorization,
        signature,
    }
}

/// What the payee holds on the chain.
pub(crate) async fn received(stack: &Stack) -> U256 {
    stack
        .devchain()
        .unwrap()
        .usdc_balance(payee_address())
        .await
        .unwrap()
}

/// A token request with an EIP-3009 authorization on the default chain, good for half an hour, with a nonce of its own.
pub(crate) fn permit_request(payer: &LocalSigner, payee: Address, price: u64) -> String {
    let chain = ChainId::BASE_SEPOLIA;
    let registry = AssetRegistry::builtin();
    let usdc = registry.default_for(chain).unwrap();
    let now = Timestamp::from(SystemTime::now());
    let authorization = Authorization {
        from: payer.address(),
        to: payee,
        value: U256::from(price),
        valid_after: U256::ZERO,
        valid_before: U256::from(now.as_secs() + 1_800),
        nonce: random_nonce(&mut OsEntropy).unwrap(),
    };
    let token = usdc.id.token();
    let signed = sign_authorization(payer, &usdc.domain, chain, token, &authorization).unwrap();
    let permit = Permit {
        chain,
        terms: Terms::Erc3009 {
            token,
            authorization,
        },
        signature: Signature65::parse(&signed).unwrap(),
    };
    request::write(&permit, now)
}

/// The books of the stack's core, as the payee may see them.
pub(crate) struct Owed(CreditClient, Address);

impl Owed {
    /// Leaves collateral of the payer with the stack's contract.
    pub(crate) async fn after_a_deposit(stack: &Stack) -> Self {
        let (credit, token) = (stack.credit().unwrap(), stack.asset.id.token());
        let connect = async |key: &str| {
            CreditClient::builder()
                .service(credit.url().parse().unwrap())
                .signer(LocalSigner::new(SecretKey::from_hex(key).unwrap()).unwrap())
                .contract(credit.contract())
                .connect()
                .await
                .unwrap()
        };
        let (core, amount) = (connect(payer_key()).await, U256::from(1_000_000));
        let chain = stack.devchain().unwrap();
        chain.mint_usdc(core.address(), amount).await.unwrap();
        core.user().approve(token, amount).await.unwrap();
        core.user().deposit(token, amount).await.unwrap();
        let owed = Self(connect(payee().unwrap().private_key).await, token);
        // Deposits are in the books a moment after their block.
        for _ in 0..200 {
            if owed.locked().await == Some(U256::ZERO) {
                return owed;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("the deposit does not arrive");
    }

    /// What is locked of the payer's collateral.
    pub(crate) async fn locked(&self) -> Option<U256> {
        let payer = payer().unwrap().address;
        let balance = self.0.recipient().balance(payer, self.1).await.unwrap();
        balance.map(|balance| balance.locked)
    }
}
