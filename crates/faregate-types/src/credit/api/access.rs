//! Signing in with a wallet (specs/4mica.md §1.5).

use std::fmt;

use alloy_primitives::{Address, Bytes};

use super::hidden::Hidden;
use crate::credit::field::message;
use crate::credit::signin::SignInTemplate;

message! {
    /// `POST /auth/nonce`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct NonceRequest ("a request for a nonce") {
        /// Who wants to sign in.
        pub address: Address = "address",
    }
}

message! {
    /// The answer to [`NonceRequest`]: everything a wallet has to sign.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct NonceAnswer ("a nonce") {
        /// Good for one sign-in.
        pub nonce: String = "nonce",
        /// The rest of the message.
        pub siwe: SignInTemplate = "siwe",
    }
}

message! {
    /// `POST /auth/verify`.
    #[derive(Clone, PartialEq, Eq)]
    pub struct VerifyRequest ("a signed message") {
        /// Who signs in.
        pub address: Address = "address",
        /// What was signed: see [`SignIn::parse`](crate::credit::SignIn::parse).
        pub message: String = "message",
        /// By whom. Contract wallets have signatures of any length.
        pub signature: Bytes = "signature",
    }
}

impl fmt::Debug for VerifyRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyRequest")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

message! {
    /// The answer to [`VerifyRequest`] and to [`RefreshRequest`].
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Tokens ("tokens") {
        /// Good for every call: `Authorization: Bearer …`.
        pub access_token: Hidden = "access_token" | "accessToken",
        /// Good for the next tokens, once.
        pub refresh_token: Hidden = "refresh_token" | "refreshToken",
        /// Seconds in which the access token ends.
        pub expires_in: u64 = "expires_in" | "expiresIn",
    }
}

message! {
    /// `POST /auth/refresh`, and `POST /auth/logout`.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct RefreshRequest ("a refresh token") {
        /// The newest one.
        pub refresh_token: Hidden = "refresh_token",
    }
}

message! {
    /// The answer to `POST /auth/logout`.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub struct LoggedOut ("the end of a session") {
        /// Whether there was something to end.
        pub revoked: bool = "revoked",
    }
}
