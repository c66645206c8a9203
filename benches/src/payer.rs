//! Payers and their payments, signed before anything is measured.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use alloy_primitives::{Address, B256, U256, keccak256};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use faregate_evm::{LocalSigner, sign_authorization};
use faregate_types::x402::exact::Payload;
use faregate_types::{Asset, Authorization, SecretKey};
use serde_json::{Value, json};

use crate::Failed;
use crate::chain::{self, CHAIN, Chain};
use crate::http;

/// How long payments stay valid: longer than any run.
const VALID_SECS: u64 = 3_000;

/// Accounts that pay, in turn.
#[derive(Debug)]
pub struct Payers {
    signers: Vec<LocalSigner>,
    asset: Asset,
    made: u64,
}

/// What is bought, as a 402 answer or a facilitator's caller states it.
#[derive(Clone, Debug)]
pub struct Terms {
    accepted: Value,
    resource: Value,
    pay_to: Address,
    amount: U256,
}

impl Payers {
    /// `count` payers with enough money for everything.
    ///
    /// # Errors
    /// The chain refuses.
    pub async fn fund(chain: &Chain, count: u64) -> Result<Self, Failed> {
        let mut signers = Vec::new();
        for number in 0..count {
            let signer = signer(number)?;
            chain
                .fund(signer.address(), U256::from(1_000_000_000_000_u64))
                .await?;
            signers.push(signer);
        }
        Ok(Self {
            signers,
            asset: chain::asset()?,
            made: 0,
        })
    }

    /// `count` paid requests for `GET /joke`, each with a payment of its own.
    ///
    /// # Errors
    /// The terms cannot be signed.
    pub fn purchases(&mut self, terms: &Terms, count: usize) -> Result<Vec<Vec<u8>>, Failed> {
        self.each(count, |signer, asset, nonce| {
            let payload = payload(signer, asset, terms, nonce)?.to_value();
            let payment = json!({"x402Version": 2, "resource": terms.resource, "accepted": terms.accepted, "payload": payload});
            let header = format!("PAYMENT-SIGNATURE: {}", STANDARD.encode(payment.to_string()));
            Ok(http::get("/joke", &header))
        })
    }

    /// `count` requests to a facilitator's `path`, each with a payment of its own.
    ///
    /// # Errors
    /// The terms cannot be signed.
    pub fn requests(
        &mut self,
        terms: &Terms,
        path: &str,
        count: usize,
    ) -> Result<Vec<Vec<u8>>, Failed> {
        self.each(count, |signer, asset, nonce| {
            let payload = payload(signer, asset, terms, nonce)?.to_value();
            let payment = json!({"x402Version": 2, "resource": terms.resource, "accepted": terms.accepted, "payload": payload});
            let body = json!({"x402Version": 2, "paymentPayload": payment, "paymentRequirements": terms.accepted});
            Ok(http::post(path, body.to_string().as_bytes()))
        })
    }

    /// Makes requests on two threads: signing takes a while.
    fn each<F>(&mut self, count: usize, make: F) -> Result<Vec<Vec<u8>>, Failed>
    where
        F: Fn(&LocalSigner, &Asset, B256) -> Result<Vec<u8>, Failed> + Sync,
    {
        let first = self.made;
        self.made = first.saturating_add(u64::try_from(count)?);
        let numbers: Vec<u64> = (first..self.made).collect();
        let half = numbers.len().div_ceil(2).max(1);
        let (signers, asset, make) = (&self.signers, &self.asset, &make);
        std::thread::scope(|scope| {
            let threads: Vec<_> = numbers
                .chunks(half)
                .map(|numbers| {
                    scope.spawn(move || {
                        let one = |number: &u64| {
                            let place = usize::try_from(*number)?.checked_rem(signers.len());
                            let signer = place.and_then(|place| signers.get(place));
                            make(signer.ok_or("no payer")?, asset, nonce(*number))
                        };
                        numbers.iter().map(one).collect::<Result<Vec<_>, Failed>>()
                    })
                })
                .collect();
            let mut all = Vec::with_capacity(count);
            for thread in threads {
                all.extend(thread.join().map_err(|_| "signing panicked")??);
            }
            Ok(all)
        })
    }
}

impl Terms {
    /// What a shop wants for `GET /joke`, from its own 402 answer.
    ///
    /// # Errors
    /// It does not ask for a payment in protocol version 2.
    pub async fn of_shop(addr: SocketAddr) -> Result<Self, Failed> {
        let answer = http::once(addr, &http::get("/joke", "")).await?;
        if answer.status() != 402 {
            return Err(format!("expected 402, got {answer}").into());
        }
        let header = answer
            .header("payment-required")
            .ok_or("no PAYMENT-REQUIRED")?;
        let required: Value = serde_json::from_slice(&STANDARD.decode(header)?)?;
        Self::new(required["accepts"][0].clone(), required["resource"].clone())
    }

    /// What a facilitator is asked about: a price of $0.001.
    ///
    /// # Errors
    /// The asset is not known.
    pub fn of_facilitator() -> Result<Self, Failed> {
        let asset = chain::asset()?;
        let accepted = json!({
            "scheme": "exact",
            "network": CHAIN.to_string(),
            "amount": "1000",
            "asset": asset.id.token().to_string(),
            "payTo": chain::account(9)?.address.to_string(),
            "maxTimeoutSeconds": 3600,
            "extra": Value::from(asset.domain.to_extra()),
        });
        Self::new(accepted, json!({"url": "http://127.0.0.1/joke"}))
    }

    fn new(accepted: Value, resource: Value) -> Result<Self, Failed> {
        let text = |name: &str| accepted[name].as_str().ok_or("incomplete terms");
        Ok(Self {
            pay_to: text("payTo")?.parse()?,
            amount: text("amount")?.parse()?,
            accepted,
            resource,
        })
    }
}

/// One payment in every form it is sent in, for measuring what reads it.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct Sample {
    /// Who pays.
    pub signer: LocalSigner,
    /// What is signed, and the signature.
    pub payload: Payload,
    /// The value of `PAYMENT-SIGNATURE`.
    pub header_v2: String,
    /// The value of `X-PAYMENT`.
    pub header_v1: String,
    /// The body of a facilitator's `/verify`.
    pub request: Vec<u8>,
}

impl Sample {
    /// A payment of the first payer.
    ///
    /// # Errors
    /// The asset is not known.
    pub fn make() -> Result<Self, Failed> {
        let (signer, asset, terms) = (signer(0)?, chain::asset()?, Terms::of_facilitator()?);
        let payload = payload(&signer, &asset, &terms, nonce(0))?;
        let value = payload.to_value();
        let v2 = json!({"x402Version": 2, "resource": terms.resource, "accepted": terms.accepted, "payload": value});
        let v1 = json!({"x402Version": 1, "scheme": "exact", "network": "base-sepolia", "payload": value});
        let request =
            json!({"x402Version": 2, "paymentPayload": v2, "paymentRequirements": terms.accepted});
        Ok(Self {
            signer,
            payload,
            header_v2: STANDARD.encode(v2.to_string()),
            header_v1: STANDARD.encode(v1.to_string()),
            request: request.to_string().into_bytes(),
        })
    }
}

/// The key of a payer; known to everybody, like those of every development chain.
///
/// # Errors
/// Never, but one time in 2¹²⁸.
pub fn key(number: u64) -> Result<SecretKey, Failed> {
    let bytes = keccak256(format!("a payer of the load program {number}"));
    Ok(SecretKey::from_bytes(bytes.0)?)
}

fn signer(number: u64) -> Result<LocalSigner, Failed> {
    Ok(LocalSigner::new(key(number)?)?)
}

/// No two runs on one chain share nonces.
fn nonce(number: u64) -> B256 {
    keccak256(format!("{} {number}", std::process::id()))
}

fn payload(
    signer: &LocalSigner,
    asset: &Asset,
    terms: &Terms,
    nonce: B256,
) -> Result<Payload, Failed> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let authorization = Authorization {
        from: signer.address(),
        to: terms.pay_to,
        value: terms.amount,
        valid_after: U256::from(now.saturating_sub(600)),
        valid_before: U256::from(now.saturating_add(VALID_SECS)),
        nonce,
    };
    let signature = sign_authorization(
        signer,
        &asset.domain,
        CHAIN,
        asset.id.token(),
        &authorization,
    )?;
    Ok(Payload {
        authorization,
        signature,
    })
}
