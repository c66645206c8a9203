//! Collateral, payments, tokens (specs/4mica.md §1.4).

use alloy_primitives::{Address, B256, U256};

use super::status::CollateralEventKind;
use crate::credit::field::message;
use crate::timestamp::Timestamp;

message! {
    /// Something that happened to collateral.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct CollateralEvent ("a collateral event") {
        /// Its name: a UUID.
        pub id: String = "id",
        /// Whose collateral.
        pub payer: Address = "user_address" | "userAddress",
        /// The token; zero for ETH.
        pub asset: Address = "asset_address" | "assetAddress",
        /// How much of it.
        pub amount: U256 = "amount",
        /// What happened.
        pub kind: CollateralEventKind = "event_type" | "eventType",
        /// For which tab, if for one.
        pub tab_id: Option<U256> = "tab_id" | "tabId",
        /// For which guarantee, if for one.
        pub req_id: Option<U256> = "req_id" | "reqId",
        /// In which transaction, if in one.
        pub tx_id: Option<String> = "tx_id" | "txId",
        /// When.
        pub created_at: Timestamp = "created_at" | "createdAt",
    }
}

message! {
    /// What a payer has in an asset.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct AssetBalance ("a balance") {
        /// Whose.
        pub payer: Address = "user_address" | "userAddress",
        /// The token; zero for ETH.
        pub asset: Address = "asset_address" | "assetAddress",
        /// What the contract holds.
        pub total: U256 = "total",
        /// What of it is guaranteed to somebody.
        pub locked: U256 = "locked",
        /// Goes up with every change.
        pub version: u64 = "version",
        /// When it last changed.
        pub updated_at: Timestamp = "updated_at" | "updatedAt",
    }
}

impl AssetBalance {
    /// What is not locked.
    #[must_use]
    pub const fn available(&self) -> U256 {
        self.total.saturating_sub(self.locked)
    }
}

message! {
    /// A payment on the chain that a recipient got for a tab.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct RecipientPayment ("a payment") {
        /// Who paid.
        pub payer: Address = "user_address" | "userAddress",
        /// Whom.
        pub recipient: Address = "recipient_address" | "recipientAddress",
        /// In which transaction.
        pub tx_hash: B256 = "tx_hash" | "txHash",
        /// How much.
        pub amount: U256 = "amount",
        /// Whether the contract was told of it, finally.
        pub verified: bool = "verified",
        /// Whether it is final.
        pub finalized: bool = "finalized",
        /// Whether it came to nothing.
        pub failed: bool = "failed",
        /// When it was seen: milliseconds since the epoch, as nowhere else.
        pub created_at_ms: u64 = "created_at" | "createdAt",
    }
}

message! {
    /// `GET /core/tokens`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SupportedTokens ("a list of tokens") {
        /// The chain.
        pub chain_id: u64 = "chain_id" | "chainId",
        /// What can be deposited there besides ETH.
        pub tokens: Vec<SupportedToken> = "tokens",
    }
}

message! {
    /// A token that can be deposited.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct SupportedToken ("a token") {
        /// For people, for example `USDC`.
        pub symbol: String = "symbol",
        /// Its contract.
        pub address: Address = "address",
        /// How many decimals its amounts have.
        pub decimals: u8 = "decimals",
    }
}
