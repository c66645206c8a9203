//! A payment, ready to be bent.

use alloy_primitives::{Address, Bytes};
use faregate_evm::{LocalSigner, sign_authorization};
use faregate_types::x402::FacilitatorRequest;
use faregate_types::{Authorization, ChainId, TokenDomain};
use serde_json::{Value, json};

/// A payment to bend before it is signed and sent.
#[derive(Clone)]
pub struct Payment {
    /// Who signs.
    pub key: LocalSigner,
    pub authorization: Authorization,
    /// What the signature is over.
    pub signed_domain: TokenDomain,
    pub signed_chain: ChainId,
    pub signed_token: Address,
    /// Instead of a real signature.
    pub signature: Option<Bytes>,
    /// The requirements.
    pub scheme: &'static str,
    pub network: ChainId,
    pub amount: u64,
    pub asset: Address,
    pub pay_to: Address,
    pub domain: Option<TokenDomain>,
}

impl Payment {
    pub fn with(mut self, bend: impl FnOnce(&mut Self)) -> Self {
        bend(&mut self);
        self
    }

    pub fn signature(&self) -> Bytes {
        self.signature.clone().unwrap_or_else(|| {
            sign_authorization(
                &self.key,
                &self.signed_domain,
                self.signed_chain,
                self.signed_token,
                &self.authorization,
            )
            .unwrap()
        })
    }

    fn payload(&self) -> Value {
        let a = &self.authorization;
        json!({
            "signature": self.signature(),
            "authorization": {
                "from": a.from.to_string(),
                "to": a.to.to_string(),
                "value": a.value.to_string(),
                "validAfter": a.valid_after.to_string(),
                "validBefore": a.valid_before.to_string(),
                "nonce": a.nonce.to_string(),
            },
        })
    }

    fn extra(&self) -> Value {
        self.domain
            .as_ref()
            .map_or(json!({}), |domain| Value::from(domain.to_extra()))
    }

    pub fn v2_json(&self) -> Value {
        let requirements = json!({
            "scheme": self.scheme,
            "network": self.network.to_string(),
            "amount": self.amount.to_string(),
            "asset": self.asset.to_string(),
            "payTo": self.pay_to.to_string(),
            "maxTimeoutSeconds": 300,
            "extra": self.extra(),
        });
        json!({
            "x402Version": 2,
            "paymentPayload": { "x402Version": 2, "accepted": requirements, "payload": self.payload() },
            "paymentRequirements": requirements,
        })
    }

    pub fn v1_json(&self) -> Value {
        let network = self.network.v1_name().unwrap();
        json!({
            "x402Version": 1,
            "paymentPayload": {
                "x402Version": 1, "scheme": self.scheme, "network": network, "payload": self.payload(),
            },
            "paymentRequirements": {
                "scheme": self.scheme,
                "network": network,
                "maxAmountRequired": self.amount.to_string(),
                "resource": "https://api.example.com/p",
                "description": "d",
                "mimeType": "application/json",
                "payTo": self.pay_to.to_string(),
                "maxTimeoutSeconds": 300,
                "asset": self.asset.to_string(),
                "extra": self.extra(),
            },
        })
    }

    pub fn v2(&self) -> FacilitatorRequest {
        request(&self.v2_json())
    }

    pub fn v1(&self) -> FacilitatorRequest {
        request(&self.v1_json())
    }
}

pub fn request(json: &Value) -> FacilitatorRequest {
    FacilitatorRequest::decode(&serde_json::to_vec(json).unwrap()).unwrap()
}
