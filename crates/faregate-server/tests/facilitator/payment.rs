//! Requests to verify and settle, signed or not.

use faregate_evm::{LocalSigner, sign_authorization};
use faregate_types::x402::Version;
use faregate_types::{
    Address, Asset, AssetRegistry, Authorization, B256, ChainId, SecretKey, U256,
};
use serde_json::{Value, json};

pub(crate) const PRICE: u64 = 10_000;

/// The dev chain's account 9.
pub(crate) const PAYEE: &str = "0xa0Ee7A142d267C1f36714E4a8F75612F20a79720";

pub(crate) fn usdc(chain: ChainId) -> Asset {
    AssetRegistry::builtin().default_for(chain).unwrap().clone()
}

/// A payer who signs for the dev chain's account 1, until 2100.
pub(crate) struct Payer {
    signer: LocalSigner,
    asset: Asset,
}

impl Payer {
    pub(crate) fn new(chain: ChainId) -> Self {
        let key = "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d";
        Self {
            signer: LocalSigner::new(SecretKey::from_hex(key).unwrap()).unwrap(),
            asset: usdc(chain),
        }
    }

    pub(crate) const fn address(&self) -> Address {
        self.signer.address()
    }

    /// The body of a request for one payment; the nonce tells payments apart.
    pub(crate) fn body(&self, version: Version, nonce: u64) -> Value {
        self.body_for(version, nonce, PRICE)
    }

    pub(crate) fn body_for(&self, version: Version, nonce: u64, value: u64) -> Value {
        let (chain, token) = (self.asset.id.chain(), self.asset.id.token());
        let authorization = Authorization {
            from: self.signer.address(),
            to: PAYEE.parse().unwrap(),
            value: U256::from(value),
            valid_after: U256::ZERO,
            valid_before: U256::from(4_102_444_800_u64),
            nonce: B256::from(U256::from(nonce)),
        };
        let signature = sign_authorization(
            &self.signer,
            &self.asset.domain,
            chain,
            token,
            &authorization,
        )
        .unwrap();
        let payload = json!({
            "signature": signature,
            "authorization": {
                "from": authorization.from.to_string(),
                "to": PAYEE,
                "value": value.to_string(),
                "validAfter": "0",
                "validBefore": authorization.valid_before.to_string(),
                "nonce": authorization.nonce.to_string(),
            },
        });
        match version {
            Version::V1 => self.v1(&payload),
            Version::V2 => self.v2(&payload),
        }
    }

    fn v2(&self, payload: &Value) -> Value {
        let requirements = json!({
            "scheme": "exact",
            "network": self.asset.id.chain().to_string(),
            "amount": PRICE.to_string(),
            "asset": self.asset.id.token().to_string(),
            "payTo": PAYEE,
            "maxTimeoutSeconds": 60,
            "extra": self.asset.domain.to_extra(),
        });
        json!({
            "x402Version": 2,
            "paymentPayload": { "x402Version": 2, "accepted": requirements, "payload": payload },
            "paymentRequirements": requirements,
        })
    }

    fn v1(&self, payload: &Value) -> Value {
        let network = self.asset.id.chain().v1_name().unwrap();
        json!({
            "x402Version": 1,
            "paymentPayload": {
                "x402Version": 1, "scheme": "exact", "network": network, "payload": payload,
            },
            "paymentRequirements": {
                "scheme": "exact",
                "network": network,
                "maxAmountRequired": PRICE.to_string(),
                "resource": "https://api.example/joke",
                "description": "one joke",
                "mimeType": "text/plain",
                "payTo": PAYEE,
                "maxTimeoutSeconds": 60,
                "asset": self.asset.id.token().to_string(),
                "extra": self.asset.domain.to_extra(),
            },
        })
    }
}
