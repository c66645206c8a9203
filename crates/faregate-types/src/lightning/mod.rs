//! Lightning: payment hashes and preimages, millisatoshis, and what an invoice says before it is paid.
//!
//! Nothing here asks a node. A [`Bolt11`] has been decoded and its signature checked, and that is all: whether the invoice
//! was paid is shown by a [`Preimage`] of its [`PaymentHash`].

pub mod address;
pub mod hash;
pub mod invoice;
pub mod msat;
pub mod network;

pub use address::{LightningAddress, LightningAddressError};
pub use hash::{PaymentHash, PaymentHashError, Preimage, PreimageError};
pub use invoice::{Bolt11, InvoiceDescription, InvoiceError, InvoiceWarning, NodeKey};
pub use msat::{Msat, MsatError};
pub use network::{BitcoinNetwork, BitcoinNetworkError};
