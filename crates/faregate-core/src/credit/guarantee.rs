//! Issuing a guarantee: a part of the payer's collateral is locked for a recipient (specs/4mica.md §5.3).

use std::fmt;

use alloy_primitives::U256;
use faregate_types::Timestamp;
use faregate_types::credit::Certificate;

use super::EntryKind;
use super::change::{Changes, State};
use super::collateral::Collateral;
use super::entry::Entry;
use super::refusal::CreditRefusal;
use super::tab::{Identity, Tab, TabId};
use super::terms::{ReqIds, Terms};

/// The first guarantee starts its tab. Of payers in parallel another may have signed a little earlier: so much, in seconds.
const STARTED_BY_ANOTHER_SECS: u64 = 60;

/// Asks for a guarantee. Whoever asks has checked the payer's signature, and what is said about validation.
#[derive(Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a command, built by literal")]
pub struct Issue {
    /// On which tab.
    pub tab: TabId,
    /// Under which number.
    pub req: U256,
    /// Payer, recipient, asset and version, as the payer signed them.
    pub identity: Identity,
    /// How much, in atomic units.
    pub amount: U256,
    /// When the payer says to have signed.
    pub timestamp: Timestamp,
    /// What the payer signed, with the signature. Kept; never logged.
    pub request: Box<[u8]>,
    /// Now.
    pub at: Timestamp,
}

impl fmt::Debug for Issue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issue")
            .field("tab", &self.tab)
            .field("req", &self.req)
            .field("identity", &self.identity)
            .field("amount", &self.amount)
            .finish_non_exhaustive()
    }
}

/// A guarantee as it is stored.
#[derive(Clone, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "written out by every engine")]
pub struct Guarantee {
    /// On which tab.
    pub tab: TabId,
    /// Under which number.
    pub req: U256,
    /// Payer, recipient, asset and version.
    pub identity: Identity,
    /// How much, in atomic units.
    pub amount: U256,
    /// The sum of the tab's guarantees up to this one, which is what its certificate is worth at most.
    pub total: U256,
    /// When the payer says to have signed.
    pub timestamp: Timestamp,
    /// What the payer signed, with the signature. Never logged.
    pub request: Box<[u8]>,
    /// Which one on its tab it is, from 0: the order in which they were issued.
    pub order: u64,
    /// When it was issued.
    pub created_at: Timestamp,
    /// The certificate, once it is signed.
    pub certificate: Option<Certificate>,
}

impl fmt::Debug for Guarantee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Guarantee")
            .field("tab", &self.tab)
            .field("req", &self.req)
            .field("identity", &self.identity)
            .field("amount", &self.amount)
            .field("total", &self.total)
            .field("certified", &self.certificate.is_some())
            .finish_non_exhaustive()
    }
}

/// Decides whether a guarantee is issued, in the order of the wire's checks.
///
/// # Errors
/// The engine's fault, if something cannot be read.
pub fn issue<S: State>(
    state: &S,
    terms: &Terms,
    command: &Issue,
) -> Result<Result<(Guarantee, Changes), CreditRefusal>, S::Fault> {
    match decide(state, terms, command) {
        Ok(issued) => Ok(Ok(issued)),
        Err(No::Refused(refusal)) => Ok(Err(refusal)),
        Err(No::Fault(fault)) => Err(fault),
    }
}

/// Either kind of no, so that the checks below read one after the other.
enum No<F> {
    Refused(CreditRefusal),
    Fault(F),
}

impl<F> From<CreditRefusal> for No<F> {
    fn from(refusal: CreditRefusal) -> Self {
        Self::Refused(refusal)
    }
}

fn decide<S: State>(
    state: &S,
    terms: &Terms,
    command: &Issue,
) -> Result<(Guarantee, Changes), No<S::Fault>> {
    let identity = &command.identity;
    if !terms.versions.contains(&identity.version) {
        return Err(No::Refused(CreditRefusal::RequestVersion {
            version: identity.version,
            accepted: terms.versions.iter().copied().collect(),
        }));
    }
    let account = state.account(identity.payer).map_err(No::Fault)?;
    let payer = account.ok_or(CreditRefusal::NotRegistered)?;
    let recipient = state.account(identity.recipient).map_err(No::Fault)?;
    refuse(
        payer.suspended || recipient.is_some_and(|recipient| recipient.suspended),
        CreditRefusal::Suspended,
    )?;
    let taken = state.has_guarantee(command.tab, command.req);
    refuse(
        taken.map_err(No::Fault)?,
        CreditRefusal::Duplicate(command.req),
    )?;
    refuse(command.timestamp > command.at, CreditRefusal::Future)?;
    let found = state.tab(command.tab).map_err(No::Fault)?;
    let before = found.ok_or(CreditRefusal::UnknownTab(command.tab))?;
    let adopts = before.guarantees == 0 && before.identity.version != identity.version;
    let rival = if adopts {
        let other = Identity {
            version: identity.version,
            ..before.identity
        };
        state.active_tab(&other).map_err(No::Fault)?
    } else {
        None
    };
    let mut after = fits(&before, rival.is_some(), terms, command)?;
    after.total = after
        .total
        .checked_add(command.amount)
        .ok_or(CreditRefusal::Collateral)?;
    let collateral = state
        .collateral(identity.payer, identity.asset)
        .map_err(No::Fault)?;
    let free = collateral.as_ref().map_or(U256::ZERO, Collateral::free);
    let lock = after.locked().saturating_sub(before.locked());
    refuse(lock > free, CreditRefusal::Collateral)?;
    Ok(issued(&before, after, command))
}

fn refuse(condition: bool, refusal: CreditRefusal) -> Result<(), CreditRefusal> {
    if condition { Err(refusal) } else { Ok(()) }
}

/// Whether the tab takes it, and the tab with it, but for its total.
fn fits(before: &Tab, rival: bool, terms: &Terms, command: &Issue) -> Result<Tab, CreditRefusal> {
    let (identity, mut after) = (&command.identity, before.clone());
    let first = before.guarantees == 0;
    if identity.version != before.identity.version {
        // A tab that nobody used yet becomes one of the version that is asked for, unless there is such a tab already.
        let refusal = CreditRefusal::TabVersion {
            tab: before.id,
            accepts: before.identity.version,
            got: identity.version,
        };
        refuse(!first || rival, refusal)?;
        after.identity.version = identity.version;
    }
    refuse(!before.is_active(), CreditRefusal::Closed)?;
    refuse(
        identity.payer != before.identity.payer,
        CreditRefusal::Payer,
    )?;
    refuse(
        identity.recipient != before.identity.recipient,
        CreditRefusal::Recipient,
    )?;
    refuse(
        identity.asset != before.identity.asset,
        CreditRefusal::Asset,
    )?;
    let next = match terms.req_ids {
        ReqIds::Strict => command.req == before.next_req,
        ReqIds::Reserved => true,
    };
    refuse(!next, CreditRefusal::ReqId)?;
    refuse(command.amount.is_zero(), CreditRefusal::AmountZero)?;
    refuse(
        before.ttl_secs > terms.expiration_secs,
        CreditRefusal::TtlTooLong {
            ttl: before.ttl_secs,
            max: terms.expiration_secs,
        },
    )?;
    if first {
        after.start = command.timestamp;
    }
    let end = after.start.checked_add_secs(after.ttl_secs);
    let slack = match terms.req_ids {
        ReqIds::Strict => 0,
        ReqIds::Reserved => STARTED_BY_ANOTHER_SECS,
    };
    let earliest = Timestamp::from_secs(after.start.as_secs().saturating_sub(slack));
    let inside = earliest <= command.timestamp && end.is_none_or(|end| command.timestamp <= end);
    refuse(!inside, CreditRefusal::Timestamp)?;
    refuse(after.is_over(command.at), CreditRefusal::Closed)?;
    after.guarantees = before.guarantees.saturating_add(1);
    after.latest = before.latest.max(command.timestamp);
    if command.req == before.next_req {
        after.next_req = before.next_req.saturating_add(U256::ONE);
    }
    after.updated_at = command.at;
    Ok(after)
}

fn issued(before: &Tab, after: Tab, command: &Issue) -> (Guarantee, Changes) {
    let guarantee = Guarantee {
        tab: after.id,
        req: command.req,
        identity: after.identity,
        amount: command.amount,
        total: after.total,
        timestamp: command.timestamp,
        request: command.request.clone(),
        order: before.guarantees,
        created_at: command.at,
        certificate: None,
    };
    let entry = Entry::of_tab(
        EntryKind::Reserve,
        command.amount,
        (before, &after),
        Some(command.req),
        None,
        command.at,
    );
    let changes = Changes {
        tabs: vec![after],
        guarantee: Some(guarantee.clone()),
        entries: vec![entry],
        ..Changes::default()
    };
    (guarantee, changes)
}
