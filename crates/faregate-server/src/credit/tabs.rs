//! Tabs: opening one, and looking at one.

use std::sync::Arc;

use faregate_core::crash::{self, Point};
use faregate_core::credit::{Identity, OpenTab, Tab, TabId};
use faregate_core::port::credit::CreditError;
use faregate_types::credit::api::{CreateTab, CreatedTab};
use faregate_types::{Address, U256};

use super::refusal::Refusal;
use super::{Call, Caller, Parts, Said, message, wire};

/// `POST /core/payment-tabs`.
pub(super) async fn create(parts: Arc<Parts>, call: Call) -> Said {
    let asked: CreateTab = call.message()?;
    let caller = call.caller()?;
    if !caller.acts_for_others() && !caller.is(asked.recipient) {
        return Err(Refusal::forbidden("recipient must be the caller"));
    }
    parts.on_chain()?;
    let asset = asked.token.unwrap_or(Address::ZERO);
    let command = OpenTab {
        id: TabId(U256::from_be_bytes(super::chance::<32>()?)),
        identity: Identity {
            payer: asked.payer,
            recipient: asked.recipient,
            asset,
            // SDK 0.4.3 does not say.
            version: asked.version.unwrap_or(1),
        },
        ttl_secs: asked.ttl,
        at: parts.clock.now(),
    };
    let terms = (*parts.terms()).clone();
    let opened = parts.books.open_tab(command, terms).await?;
    crash::point(Point::TabOpened);
    Ok(message(&CreatedTab {
        id: opened.tab.id.0,
        payer: opened.tab.identity.payer,
        recipient: opened.tab.identity.recipient,
        token: asked.token.filter(|token| !token.is_zero()),
        asset,
        version: opened.tab.identity.version,
        next_req_id: Some(opened.next_req),
    }))
}

/// `GET /core/tabs/{tab_id}`.
pub(super) async fn one(parts: Arc<Parts>, call: Call) -> Said {
    // Whether there is a tab with an id that nobody can guess is no secret.
    let found = parts.books.tab(call.tab()?).await?;
    if let Some(tab) = &found {
        may_see(call.caller()?, tab)?;
    }
    Ok(message(&found.as_ref().map(wire::tab)))
}

/// The tab that the path names, for whoever may see it.
pub(super) async fn visible(parts: &Parts, call: &Call) -> Result<Tab, Refusal> {
    let found = parts.books.tab(call.tab()?).await?;
    let tab = found.ok_or_else(|| Refusal::not_found("tab not found"))?;
    may_see(call.caller()?, &tab)?;
    Ok(tab)
}

fn may_see(caller: Caller, tab: &Tab) -> Result<(), Refusal> {
    let party = caller.is(tab.identity.payer) || caller.is(tab.identity.recipient);
    if party || caller.acts_for_others() || caller.is_admin() {
        Ok(())
    } else {
        Err(Refusal::forbidden("not a party of this tab"))
    }
}

impl From<CreditError> for Refusal {
    fn from(error: CreditError) -> Self {
        use faregate_core::credit::CreditRefusal as No;
        let refusal = match error {
            CreditError::Store(error) => return error.into(),
            CreditError::Refused(refusal) => refusal,
        };
        let text = refusal.to_string();
        match refusal {
            No::Suspended => Self::forbidden(text),
            No::UnknownTab(_) => Self::not_found(text),
            No::Closed => Self::new(http::StatusCode::CONFLICT, text),
            _ => Self::bad(text),
        }
    }
}
