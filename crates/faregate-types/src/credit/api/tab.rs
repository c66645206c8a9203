//! Tabs and their guarantees (specs/4mica.md §1.4).

use alloy_primitives::{Address, U256};
use serde::de::Error as _;
use serde::{Deserializer, Serializer};

use super::status::{SettlementStatus, TabStatus};
use crate::credit::certificate::Certificate;
use crate::credit::field::{Field, message, read_answer, text, write};
use crate::timestamp::Timestamp;

message! {
    /// `POST /core/payment-tabs`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct CreateTab ("a request for a tab") {
        /// Who is going to owe.
        pub payer: Address = "user_address",
        /// Whom: who asks.
        pub recipient: Address = "recipient_address",
        /// In which token; none for ETH.
        pub token: Option<Address> = "erc20_token",
        /// For how long, in seconds; the service's default when it is not said.
        pub ttl: Option<u64> = "ttl",
        /// The version of its guarantees. SDK 0.4.3 does not say it and means 1.
        pub version: Option<u64> = "guarantee_version",
    }
}

message! {
    /// The answer to [`CreateTab`].
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct CreatedTab ("a tab that was asked for") {
        /// Its number.
        pub id: U256 = "id",
        /// Who is going to owe.
        pub payer: Address = "user_address" | "userAddress",
        /// Whom.
        pub recipient: Address = "recipient_address" | "recipientAddress",
        /// The token; none or zero for ETH.
        pub token: Option<Address> = "erc20_token" | "erc20Token",
        /// The same; zero for ETH.
        pub asset: Address = "asset_address" | "assetAddress",
        /// The version of its guarantees.
        pub version: u64 = "guarantee_version" | "guaranteeVersion" or 1,
        /// The number that its next guarantee has to have.
        pub next_req_id: Option<U256> = "next_req_id" | "nextReqId",
    }
}

message! {
    /// A tab.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct TabInfo ("a tab") {
        /// Its number.
        pub tab_id: U256 = "tab_id" | "tabId",
        /// Who owes.
        pub payer: Address = "user_address" | "userAddress",
        /// Whom.
        pub recipient: Address = "recipient_address" | "recipientAddress",
        /// The token; zero for ETH.
        pub asset: Address = "asset_address" | "assetAddress",
        /// The version of its guarantees.
        pub version: u64 = "accepted_guarantee_version" | "acceptedGuaranteeVersion" or 1,
        /// When it was opened: the time of its first guarantee.
        pub start: Timestamp = "start_timestamp" | "startTimestamp",
        /// For how long it takes guarantees, in seconds.
        pub ttl_seconds: u64 = "ttl_seconds" | "ttlSeconds",
        /// Whether it takes guarantees.
        pub status: TabStatus = "status",
        /// What became of the debt.
        pub settlement: SettlementStatus = "settlement_status" | "settlementStatus",
        /// When it was made.
        pub created_at: Timestamp = "created_at" | "createdAt",
        /// When it last changed.
        pub updated_at: Timestamp = "updated_at" | "updatedAt",
        /// What was guaranteed in all.
        pub total_amount: Option<U256> = "total_amount" | "totalAmount",
        /// What was paid of it.
        pub paid_amount: Option<U256> = "paid_amount" | "paidAmount",
    }
}

message! {
    /// The answer to a guarantee request that is only checked. A refusal has the shape of every other.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct CheckedGuarantee ("a guarantee request that was checked") {
        /// That it would be issued now.
        pub valid: bool = "valid",
    }
}

message! {
    /// A guarantee on a tab.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct GuaranteeInfo ("a guarantee") {
        /// The tab.
        pub tab_id: U256 = "tab_id" | "tabId",
        /// Its number on the tab.
        pub req_id: U256 = "req_id" | "reqId",
        /// Its version.
        pub version: u64 = "version" or 1,
        /// Who owes.
        pub payer: Address = "from_address" | "fromAddress",
        /// Whom.
        pub recipient: Address = "to_address" | "toAddress",
        /// The token; zero for ETH.
        pub asset: Address = "asset_address" | "assetAddress",
        /// What it added to the tab.
        pub amount: U256 = "amount",
        /// The payer's clock when it was signed.
        pub timestamp: Timestamp = "start_timestamp" | "startTimestamp" | "timestamp",
        /// Its certificate, once there is one.
        pub certificate: Option<CertificateText> = "certificate",
    }
}

/// A certificate inside a message: a text that is JSON itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a name for a certificate")]
pub struct CertificateText(pub Certificate);

impl Field for CertificateText {
    fn write<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&write(&self.0))
    }

    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = text(deserializer, "expected a text with a certificate in it")?;
        read_answer(text.as_bytes())
            .map(Self)
            .map_err(D::Error::custom)
    }
}

message! {
    /// A tab that is not settled, with what can be claimed for it.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct PendingRemuneration ("a tab and its guarantee") {
        /// The tab.
        pub tab: TabInfo = "tab",
        /// Its last guarantee: that over the largest sum.
        pub latest_guarantee: Option<GuaranteeInfo> = "latest_guarantee" | "latestGuarantee",
    }
}
