//! The JSON of the credit service's HTTP API (specs/4mica.md §1): one type for each body, for the service that writes it and
//! for the client that reads it.
//!
//! Names are written in snake case. Answers are read in camel case too, as the SDKs read them; numbers of 256 bits are
//! written as minimal `0x` texts and read in every form; addresses are written with their checksum and read without.
//! [`read`](super::read), [`read_answer`](super::read_answer) and [`write`](super::write) are the way in and out.

mod access;
mod admin;
mod hidden;
mod money;
mod params;
mod status;
mod tab;

pub use access::{LoggedOut, NonceAnswer, NonceRequest, RefreshRequest, Tokens, VerifyRequest};
pub use admin::{AdminKeyInfo, CreateAdminKey, CreatedAdminKey, SetSuspension, Suspension};
pub use hidden::Hidden;
pub use money::{AssetBalance, CollateralEvent, RecipientPayment, SupportedToken, SupportedTokens};
pub use params::{ActiveDomain, ErrorBody, Health, PublicParams};
pub use status::{CollateralEventKind, Condition, SettlementStatus, TabStatus};
pub use tab::{
    CertificateText, CheckedGuarantee, CreateTab, CreatedTab, GuaranteeInfo, PendingRemuneration,
    TabInfo,
};
