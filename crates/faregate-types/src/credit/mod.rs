//! Credit: collateral, tabs, guarantees and their certificates. The wire of the 4Mica network, as its SDKs 0.4.3 and 1.1.1
//! for Python speak it.
//!
//! Everything here is words: what is signed and how, what a certificate says, what the service's JSON looks like. Whether a
//! guarantee may be issued is for `faregate-core` to say; who signed is told by a function that the caller brings.
//!
//! The order in which the service works (specs/4mica.md §5.3): [`read`] a [`GuaranteeRequest`], find its signer with
//! [`GuaranteeRequest::signed_as`], check its condition with [`binding::check`], then issue a [`Certificate`] over a
//! [`Guarantee`].

mod abi;
mod admin_key;
pub mod api;
pub mod binding;
pub mod bls;
pub mod certificate;
pub mod claims;
mod date;
pub mod digest;
mod field;
pub mod signin;
pub mod words;
pub mod x402;

pub use admin_key::{AdminKey, parse_uuid, to_uuid};
pub use binding::BindingError;
pub use bls::{BlsError, BlsPublicKey, BlsSecretKey, BlsSignature};
pub use certificate::{Certificate, CertificateError, Guarantee, Layout};
pub use claims::{
    Claims, GuaranteeRequest, GuaranteeVersion, SigningScheme, ValidationPolicy, parse_signature,
};
pub use date::DateText;
pub use digest::Encoding;
pub use field::{Malformed, Message, parse_quantity, read, read_answer, to_quantity, write};
pub use signin::{SignIn, SignInError, SignInTemplate};
