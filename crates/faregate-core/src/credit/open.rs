//! Opening a tab, or finding the one there is (specs/4mica.md §5.2).

use alloy_primitives::U256;
use faregate_types::Timestamp;

use super::change::{Changes, State};
use super::refusal::CreditRefusal;
use super::tab::{Identity, Tab, TabId};
use super::terms::{ReqIds, Terms};

/// So many numbers are tried in one go. If all are taken the last of them is handed out, its guarantee is refused as a duplicate, and the
/// next question goes on from there. An engine that loads beforehand loads so many.
pub const TAKEN_IN_A_ROW_MAX: u32 = 256;

/// Asks for the active tab of an identity.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "a command, built by literal")]
pub struct OpenTab {
    /// The id of a new tab, at random; unused when there is a tab.
    pub id: TabId,
    /// Whose.
    pub identity: Identity,
    /// How long a new tab lives, in seconds.
    pub ttl_secs: Option<u64>,
    /// Now.
    pub at: Timestamp,
}

/// The tab to use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "plain data")]
pub struct Opened {
    /// The tab, as it is now.
    pub tab: Tab,
    /// The request id that its next guarantee should have.
    pub next_req: U256,
    /// False when it was there before.
    pub is_new: bool,
}

/// Decides which tab is to be used.
///
/// # Errors
/// The engine's fault, if something cannot be read.
pub fn open_tab<S: State>(
    state: &S,
    terms: &Terms,
    command: &OpenTab,
) -> Result<Result<(Opened, Changes), CreditRefusal>, S::Fault> {
    let identity = &command.identity;
    if let Err(refusal) = admissible(terms, command) {
        return Ok(Err(refusal));
    }
    match state.account(identity.payer)? {
        None => return Ok(Err(CreditRefusal::NotRegistered)),
        Some(payer) if payer.suspended => return Ok(Err(CreditRefusal::Suspended)),
        Some(_) => {}
    }
    if state
        .account(identity.recipient)?
        .is_some_and(|recipient| recipient.suspended)
    {
        return Ok(Err(CreditRefusal::Suspended));
    }
    let found = state.active_tab(identity)?;
    let mut changes = Changes::default();
    let (mut tab, is_new) = match found {
        Some(tab) if is_usable(&tab, terms, command.at) => (tab, false),
        worn => {
            if let Some(mut worn) = worn {
                worn.closed = true;
                worn.updated_at = command.at;
                changes.tabs.push(worn);
            }
            (new_tab(terms, command), true)
        }
    };
    let before = tab.next_req;
    let next_req = match terms.req_ids {
        ReqIds::Strict => before,
        ReqIds::Reserved => reserve(state, &mut tab)?,
    };
    if is_new || tab.next_req != before {
        tab.updated_at = command.at;
        changes.tabs.push(tab.clone());
    }
    let opened = Opened {
        tab,
        next_req,
        is_new,
    };
    Ok(Ok((opened, changes)))
}

/// Takes the next number off the tab, leaving out those that somebody used without having been given them.
fn reserve<S: State>(state: &S, tab: &mut Tab) -> Result<U256, S::Fault> {
    let mut number = tab.next_req;
    for _ in 0..TAKEN_IN_A_ROW_MAX {
        if !state.has_guarantee(tab.id, number)? {
            break;
        }
        number = number.saturating_add(U256::ONE);
    }
    tab.next_req = number.saturating_add(U256::ONE);
    Ok(number)
}

/// What can be said without looking at anything stored.
fn admissible(terms: &Terms, command: &OpenTab) -> Result<(), CreditRefusal> {
    let identity = &command.identity;
    if !terms.versions.contains(&identity.version) {
        return Err(CreditRefusal::Version(identity.version));
    }
    if identity.payer == identity.recipient {
        return Err(CreditRefusal::SelfPayment);
    }
    if !terms.assets.contains(&identity.asset) {
        return Err(CreditRefusal::UnsupportedAsset);
    }
    match command.ttl_secs {
        Some(0) => Err(CreditRefusal::NoTtl),
        Some(ttl) if ttl > terms.expiration_secs => Err(CreditRefusal::TtlTooLong {
            ttl,
            max: terms.expiration_secs,
        }),
        _ => Ok(()),
    }
}

/// Whether guarantees can still be put on it.
fn is_usable(tab: &Tab, terms: &Terms, now: Timestamp) -> bool {
    !tab.is_over(now) && tab.ttl_secs <= terms.expiration_secs
}

fn new_tab(terms: &Terms, command: &OpenTab) -> Tab {
    let ttl = terms.ttl_default_secs.min(terms.expiration_secs);
    Tab {
        id: command.id,
        identity: command.identity,
        start: command.at,
        ttl_secs: command.ttl_secs.unwrap_or(ttl),
        guarantees: 0,
        next_req: U256::ZERO,
        total: U256::ZERO,
        paid: U256::ZERO,
        remunerated: U256::ZERO,
        latest: Timestamp::from_secs(0),
        closed: false,
        expired: false,
        created_at: command.at,
        updated_at: command.at,
    }
}
