//! What administrators may do (specs/4mica.md §1.6).

use alloy_primitives::Address;

use super::hidden::Hidden;
use crate::credit::field::message;
use crate::timestamp::Timestamp;

message! {
    /// `POST /core/users/{address}/suspension`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct SetSuspension ("a suspension") {
        /// Whether from now on.
        pub suspended: bool = "suspended",
    }
}

message! {
    /// The answer to [`SetSuspension`].
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Suspension ("a suspension") {
        /// Whose.
        pub address: Address = "user_address" | "userAddress",
        /// Whether they are suspended.
        pub suspended: bool = "suspended",
        /// Since when.
        pub updated_at: Timestamp = "updated_at" | "updatedAt",
    }
}

message! {
    /// `POST /core/admin/api-keys`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct CreateAdminKey ("a request for a key") {
        /// For people.
        pub name: String = "name",
        /// What it may be used for, by their names.
        pub scopes: Vec<String> = "scopes",
    }
}

message! {
    /// A key of an administrator, without the key.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct AdminKeyInfo ("a key") {
        /// Its name: a UUID.
        pub id: String = "id",
        /// For people.
        pub name: String = "name",
        /// What it may be used for.
        pub scopes: Vec<String> = "scopes",
        /// When it was made.
        pub created_at: Timestamp = "created_at" | "createdAt",
        /// Since when it is good for nothing any more.
        pub revoked_at: Option<Timestamp> = "revoked_at" | "revokedAt",
    }
}

message! {
    /// The answer to [`CreateAdminKey`].
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct CreatedAdminKey ("a new key") {
        /// Its name: a UUID.
        pub id: String = "id",
        /// For people.
        pub name: String = "name",
        /// What it may be used for.
        pub scopes: Vec<String> = "scopes",
        /// When it was made.
        pub created_at: Timestamp = "created_at" | "createdAt",
        /// The key: shown once, see [`AdminKey`](crate::credit::AdminKey).
        pub api_key: Hidden = "api_key" | "apiKey",
    }
}
