//! Who gives credit: opens tabs and issues guarantees (specs/4mica.md §5, §6). A credit core behind HTTP, or whoever stands
//! before one.

use alloy_primitives::Address;
use faregate_types::credit::x402::TabTicket;
use faregate_types::credit::{Certificate, GuaranteeRequest, GuaranteeVersion};
use faregate_types::{ChainId, Code, Refusal};
use futures_util::future::BoxFuture;

use super::Away;
use crate::credit::ReqIds;

/// A tab that somebody would like to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_structs, reason = "a command, built by literal")]
pub struct TabAsk {
    /// Who is going to owe.
    pub payer: Address,
    /// Whom.
    pub recipient: Address,
    /// The token; the zero address is ETH.
    pub asset: Address,
    /// The version of its guarantees.
    pub version: GuaranteeVersion,
    /// For how long, in seconds; the issuer's default when it is not said. Does not change a tab that is there.
    pub ttl_secs: Option<u64>,
}

/// Why an issuer did not say yes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(
    clippy::exhaustive_enums,
    reason = "either somebody says no, or nobody answers"
)]
pub enum IssueError {
    /// It refuses, and nothing changed.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It did not answer, and nothing changed that a repetition would do twice.
    #[error(transparent)]
    Away(#[from] Away),
}

/// What became of a request for a guarantee. On purpose no `Result`: see [`Unknown`](Self::Unknown).
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_enums,
    reason = "every caller has to decide about each"
)]
pub enum IssueOutcome {
    /// There is a certificate, and it says what the payer signed: signature, domain and every member were checked.
    Issued(Certificate),
    /// There is none, and nothing is locked.
    Refused(Refusal),
    /// Nobody can say yet: it may be issued. To ask again is safe, and gives the same certificate.
    Unknown(Code),
}

/// Opens tabs and issues guarantees on one network.
pub trait Issuer: Send + Sync + 'static {
    /// Its network.
    fn chain(&self) -> ChainId;

    /// The versions of guarantees it issues, in order.
    fn versions(&self) -> BoxFuture<'_, Result<Vec<GuaranteeVersion>, Away>>;

    /// The contract at which tabs are paid and certificates redeemed, once it is known.
    fn contract(&self) -> Option<Address> {
        None
    }

    /// How it numbers the guarantees of a tab. [`ReqIds::Strict`] where nothing else is known.
    fn req_ids(&self) -> BoxFuture<'_, Result<ReqIds, Away>> {
        Box::pin(std::future::ready(Ok(ReqIds::Strict)))
    }

    /// Whether the payer of the claims signed them, for this issuer. Asks nobody, once the issuer's own terms are known.
    fn authenticate<'a>(
        &'a self,
        request: &'a GuaranteeRequest,
    ) -> BoxFuture<'a, Result<(), IssueError>>;

    /// The tab of such an identity: the one there is, or a new one.
    fn open<'a>(&'a self, ask: &'a TabAsk) -> BoxFuture<'a, Result<TabTicket, IssueError>>;

    /// Whether a guarantee would be issued now: signature, tab, number, time and collateral. Changes and locks nothing.
    fn check<'a>(&'a self, request: &'a GuaranteeRequest) -> BoxFuture<'a, Result<(), IssueError>>;

    /// The certificate of a request, if it was issued. Changes nothing.
    fn issued<'a>(
        &'a self,
        request: &'a GuaranteeRequest,
    ) -> BoxFuture<'a, Result<Option<Certificate>, IssueError>>;

    /// Issues a guarantee. Idempotent by tab and number: the same request gets the same certificate, another one under its
    /// number is refused.
    fn issue<'a>(&'a self, request: &'a GuaranteeRequest) -> BoxFuture<'a, IssueOutcome>;
}
