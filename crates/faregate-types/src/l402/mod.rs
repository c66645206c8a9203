//! L402: pay a Lightning invoice, show the token and the preimage.
//!
//! Everything here is words: what a challenge and a credential look like in all the forms that are deployed, what a token
//! says, and whether it fits what is asked for. What was issued, paid, used or revoked is not known here.
//!
//! The order in which a seller checks a credential (specs/l402.md §1.7): it is decoded ([`Presented`]), its preimage compared
//! with the hash in the token ([`opened`]), the root key looked up by [`KeyId`], then the signature and the conditions checked
//! ([`verify`](verify())); then come uses, which are counted elsewhere.
//!
//! ```
//! use faregate_types::l402::{Binding, Identifier, Request, RootKey, Rules, Target, verify};
//! use faregate_types::lightning::{Msat, Preimage};
//! use faregate_types::Timestamp;
//!
//! let preimage = Preimage::from_bytes([7; 32]);
//! let key = RootKey::from_bytes([1; 32]);
//! let price = Msat::from_sat(10).unwrap();
//! let binding = Binding {
//!     service: "weather",
//!     tier: 0,
//!     capabilities: &[],
//!     valid_until: Timestamp::from_secs(2_000),
//!     path: "/v1/*",
//!     method: "GET",
//!     price,
//!     max_uses: Some(1),
//!     client: None,
//! };
//! let identifier = Identifier { payment_hash: preimage.hash(), token_id: [2; 32] };
//! let token = binding.mint(&key, &identifier).unwrap();
//!
//! let request = Request { route: "/v1/*", path: "/v1/now", method: "GET", price, client: None };
//! let target = Target {
//!     service: "weather",
//!     tier: 0,
//!     capability: None,
//!     now: Timestamp::from_secs(1_000),
//!     rules: Rules::Ours(request),
//! };
//! assert_eq!(verify(&token, &preimage, &key, &target).unwrap().max_uses, Some(1));
//! ```

pub mod body;
pub mod caveat;
pub mod challenge;
pub mod credential;
pub mod grpc;
pub mod identifier;
pub mod macaroon;
pub mod macaroon_v1;
pub mod replay;
pub mod token_text;
pub mod unsigned;
pub mod verify;
pub mod webhook;

pub use caveat::{Binding, BindingError, LOCATION, MintError};
pub use challenge::{Challenge, ChallengeError, Scheme};
pub use credential::{Credential, CredentialError, Presented};
pub use identifier::{Identifier, IdentifierError, KeyId};
pub use macaroon::{Macaroon, MacaroonError, RawCaveat, RootKey};
pub use macaroon_v1::MacaroonV1;
pub use token_text::TokenTextError;
pub use unsigned::{UnsignedToken, UnsignedTokenError, unsigned_token};
pub use verify::{Grant, Request, Rules, Target, opened, verify};
