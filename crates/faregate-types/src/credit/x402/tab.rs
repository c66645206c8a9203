//! The tab on which a payer is going to owe: asked for at the recipient's `tabEndpoint`, or at the facilitator's `/tabs`.

use alloy_primitives::{Address, U256};
use serde_json::{Map, Value, json};

use super::call::Object;
use super::{Demand, DemandError};
use crate::credit::field::{Malformed, message};
use crate::timestamp::Timestamp;
use crate::x402::Version;

message! {
    /// What a payer sends to `tabEndpoint`, or a recipient to `/tabs`. Every name that was ever used for it is read
    /// (specs/4mica.md §6.1, §6.6).
    #[derive(Clone, Debug, PartialEq)]
    struct Asked ("a request for a tab") {
        x402_version: Option<u64> = "x402Version" | "x402_version",
        payer: Address = "userAddress" | "user_address",
        recipient: Option<Address> = "recipientAddress" | "recipient_address",
        network: Option<String> = "network" | "networkId" | "network_id",
        token: Option<Address> = "erc20Token" | "erc20_token" | "assetAddress" | "asset_address",
        ttl: Option<u64> = "ttlSeconds" | "ttl_seconds",
        guarantee_version: Option<u64> = "guaranteeVersion" | "guarantee_version",
        requirements: Option<Object> = "paymentRequirements" | "payment_requirements",
    }
}

/// A request for a tab, in either of its forms.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that gates and tests build by literal"
)]
pub struct TabRequest {
    /// Who is going to owe.
    pub payer: Address,
    /// Whom, where it is said: a `tabEndpoint` knows its own recipient.
    pub recipient: Option<Address>,
    /// In which token. `None`: ETH, or what the offer says.
    pub token: Option<Address>,
    /// On which network, as it was spelled. `None`: the first that is served.
    pub network: Option<String>,
    /// For how long, in seconds; the core's default when it is not said.
    pub ttl: Option<u64>,
    /// The version of its guarantees, 1 when it is not said.
    pub version: u64,
    /// The offer that is to be met, where the payer shows it.
    pub demand: Option<Demand>,
}

impl TabRequest {
    /// Reads the body of a request.
    ///
    /// # Errors
    /// [`DemandError`]; also when the versions it names do not agree.
    pub fn read(body: &[u8]) -> Result<Self, DemandError> {
        let asked: Asked = crate::credit::read(body)?;
        let version = match (asked.guarantee_version, asked.x402_version) {
            (Some(guarantee), Some(x402)) if guarantee != x402 => {
                return Err(DemandError::Shape(Malformed::new(format!(
                    "guaranteeVersion {guarantee} does not match x402Version {x402}"
                ))));
            }
            (Some(version), _) | (None, Some(version)) => version,
            (None, None) => 1,
        };
        let demand = match (asked.requirements, Version::from_number(version)) {
            (Some(Object(offer)), Some(version)) => Some(Demand::read(version, &offer)?),
            _ => None,
        };
        Ok(Self {
            payer: asked.payer,
            recipient: asked.recipient,
            token: asked.token,
            network: asked.network,
            ttl: asked.ttl,
            version,
            demand,
        })
    }

    /// The body that a payer sends to `tabEndpoint`: the offer as it was made, and in version 2 what is bought.
    #[must_use]
    pub fn for_offer(
        version: Version,
        payer: Address,
        requirements: &Value,
        resource: Option<&Value>,
    ) -> String {
        let mut body = json!({
            "x402Version": version.number(),
            "userAddress": payer.to_string(),
            "paymentRequirements": requirements,
        });
        if let (Version::V2, Some(resource), Value::Object(members)) =
            (version, resource, &mut body)
        {
            members.insert("resource".to_owned(), resource.clone());
        }
        body.to_string()
    }

    /// The body for a facilitator's `/tabs`. What is not said is left out.
    #[must_use]
    pub fn for_facilitator(&self) -> String {
        let mut body = Map::new();
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                body.insert(name.to_owned(), value);
            }
        };
        let text = |address: Address| Value::from(address.to_string());
        put("userAddress", Some(text(self.payer)));
        put("recipientAddress", self.recipient.map(text));
        put("network", self.network.clone().map(Value::from));
        put("erc20Token", self.token.map(text));
        put("ttlSeconds", self.ttl.map(Value::from));
        put("guaranteeVersion", Some(self.version.into()));
        Value::Object(body).to_string()
    }
}

message! {
    /// The tab that was opened, or was there.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct TabTicket ("a tab") {
        /// Its number.
        pub tab_id: U256 = "tabId" | "tab_id",
        /// Who is going to owe.
        pub payer: Address = "userAddress" | "user_address",
        /// Whom.
        pub recipient: Option<Address> = "recipientAddress" | "recipient_address",
        /// The token; zero for ETH.
        pub asset: Option<Address> = "assetAddress" | "asset_address",
        /// When it was opened.
        pub start: Option<Timestamp> = "startTimestamp" | "start_timestamp",
        /// For how long it takes guarantees, in seconds.
        pub ttl_seconds: Option<u64> = "ttlSeconds" | "ttl_seconds",
        /// The number that its next guarantee has to have; 0 when it is not said.
        pub next_req_id: Option<U256> = "nextReqId" | "next_req_id" | "reqId" | "req_id",
    }
}
