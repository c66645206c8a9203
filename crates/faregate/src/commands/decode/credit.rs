//! What credit over x402 says: where tabs are opened, on which condition, what is owed, and what a certificate is worth.

use faregate_types::credit::x402::{CreditEnvelope, is_credit};
use faregate_types::credit::{Certificate, Claims, Guarantee, ValidationPolicy};
use faregate_types::{Address, AssetRegistry, ChainId, Erc20, Timestamp, U256};
use serde_json::{Map, Value, json};

use super::{Explained, Page};
use crate::commands::paid::money;

/// Explains a certificate that stands alone.
pub(super) fn certificate(value: &Value) -> Option<Explained> {
    let mut page = Page::default();
    let content = page.certificate(value, None)?;
    Some(Explained::of("credit certificate", page, content))
}

/// The chain of an offer of version 1: on credit its name may be by CAIP-2.
pub(super) fn chain(scheme: &str, network: &str) -> Option<ChainId> {
    let by_name = ChainId::from_v1_name(network);
    by_name.or_else(|| network.parse().ok().filter(|_| is_credit(scheme)))
}

impl Page {
    /// What an offer of scheme `4mica-credit` says beyond its price.
    pub(super) fn credit_terms(&mut self, scheme: &str, extra: Option<&Map<String, Value>>) {
        if !is_credit(scheme) {
            return;
        }
        let text = |name: &str| match extra.and_then(|extra| extra.get(name)) {
            Some(Value::String(text)) => Some(text.clone()),
            Some(Value::Number(number)) => Some(number.to_string()),
            _ => None,
        };
        match text("tabEndpoint") {
            Some(endpoint) => self.row("tabs at", &endpoint),
            None => self
                .warnings
                .push("nobody says where tabs are opened".to_owned()),
        }
        let parts = [
            ("minValidationScore", "score", " of 100 at least"),
            ("validatorAddress", "validator", ""),
            ("validatorAgentId", "agent", ""),
            ("requiredValidationTag", "tag", ""),
            ("jobHash", "job", ""),
            ("validationRegistryAddress", "registry", ""),
        ];
        for (member, name, unit) in parts {
            if let Some(value) = text(member) {
                self.row(name, &format!("{value}{unit}"));
            }
        }
    }

    /// Claims, if the payment is on credit.
    pub(super) fn owed(&mut self, payment: &Value) -> bool {
        let Ok(envelope) = CreditEnvelope::read(payment) else {
            return false;
        };
        let chain = faregate_types::credit::x402::chain(&envelope.network);
        let claims = &envelope.request.claims;
        self.parties(
            claims.payer,
            claims.recipient,
            (claims.tab_id, claims.req_id),
        );
        self.row("amount", &amount(chain, claims.asset, claims.amount));
        self.row("dated", &seconds(claims.timestamp));
        self.condition(claims.validation.as_ref());
        self.guarantee(claims);
        true
    }

    fn guarantee(&mut self, claims: &Claims) {
        let version = claims.version().number();
        self.row("guarantee", &format!("version {version}"));
    }

    fn parties(&mut self, payer: Address, recipient: Address, (tab, number): (U256, U256)) {
        self.row("from", &payer.to_string());
        self.row("to", &recipient.to_string());
        self.row("tab", &format!("{tab:#x}"));
        self.row("number", &number.to_string());
    }

    fn condition(&mut self, policy: Option<&ValidationPolicy>) {
        let Some(policy) = policy else {
            return;
        };
        let ValidationPolicy {
            registry,
            request_hash,
            validator,
            agent_id,
            min_score,
            tag,
            ..
        } = policy;
        self.row("score", &format!("{min_score} of 100 at least"));
        self.row("validator", &validator.to_string());
        self.row("agent", &agent_id.to_string());
        self.row("tag", tag);
        self.row("registry", &registry.to_string());
        self.row("asked as", &request_hash.to_string());
    }

    /// What a certificate says, if this is one. Nothing is verified: that takes the core's key.
    pub(super) fn certificate(&mut self, value: &Value, chain: Option<ChainId>) -> Option<Value> {
        let text = value.to_string();
        let text = value.as_str().unwrap_or(&text);
        let certificate: Certificate = serde_json::from_str(text).ok()?;
        let (said, _) = Guarantee::decode(&certificate.claims).ok()?;
        let version = said.version().number();
        self.row("guarantee", &format!("version {version}"));
        self.parties(said.payer, said.recipient, (said.tab_id, said.req_id));
        self.row("amount", &amount(chain, said.asset, said.amount));
        self.row("tab in all", &amount(chain, said.asset, said.total_amount));
        self.row("dated", &seconds(said.timestamp));
        self.row("contract", &format!("by domain {}", said.domain));
        self.condition(said.validation.as_ref());
        Some(json!({
            "version": version, "payer": said.payer.to_string(), "recipient": said.recipient.to_string(),
            "tabId": format!("{:#x}", said.tab_id), "reqId": said.req_id.to_string(), "asset": said.asset.to_string(),
            "amount": said.amount.to_string(), "totalAmount": said.total_amount.to_string(),
            "timestamp": said.timestamp.as_secs(), "domain": said.domain.to_string(),
            "requestHash": said.validation.as_ref().map(|policy| policy.request_hash.to_string()),
        }))
    }
}

fn seconds(at: Timestamp) -> String {
    format!("{} (unix seconds)", at.as_secs())
}

/// By our own table.
fn amount(chain: Option<ChainId>, asset: Address, amount: U256) -> String {
    let registry = AssetRegistry::builtin();
    let known = chain.and_then(|chain| registry.find(Erc20::new(chain, asset)));
    match known {
        Some(known) => money(amount, known),
        None => format!("{amount} atomic units of {asset}"),
    }
}
