//! Guarantees, payments, balances, and who may see them (specs/4mica.md §1.5).

use std::sync::Arc;

use axum::response::Response;
use faregate_core::crash::{self, Point};
use faregate_core::credit::Tab;
use faregate_core::port::credit::Page;
use faregate_types::Address;
use faregate_types::credit::api::{
    PendingRemuneration, SetSuspension, SettlementStatus, Suspension,
};
use faregate_types::credit::parse_quantity;
use http::HeaderValue;
use http::header::LINK;

use super::refusal::Refusal;
use super::{Call, Parts, Said, message, tabs, wire};

/// `GET /core/tabs/{tab_id}/guarantees`.
pub(super) async fn guarantees(parts: Arc<Parts>, call: Call) -> Said {
    let (tab, page) = (tabs::visible(&parts, &call).await?, call.page()?);
    let all = parts.books.guarantees(tab.id, page).await?;
    let rows: Vec<_> = all.iter().map(wire::guarantee).collect();
    let count = rows.len();
    Ok(linked(&call, page, count, message(&rows)))
}

/// `GET /core/tabs/{tab_id}/guarantees/latest`.
pub(super) async fn latest(parts: Arc<Parts>, call: Call) -> Said {
    let tab = tabs::visible(&parts, &call).await?;
    let found = parts.books.latest_guarantee(tab.id).await?;
    Ok(message(&found.as_ref().map(wire::guarantee)))
}

/// `GET /core/tabs/{tab_id}/guarantees/{req_id}`.
pub(super) async fn guarantee(parts: Arc<Parts>, call: Call) -> Said {
    let req = parse_quantity(call.segment("req_id"));
    let req = req.ok_or_else(|| Refusal::bad("invalid req_id"))?;
    let tab = tabs::visible(&parts, &call).await?;
    let found = parts.books.guarantee(tab.id, req).await?;
    Ok(message(&found.as_ref().map(wire::guarantee)))
}

/// `GET /core/tabs/{tab_id}/collateral-events`.
pub(super) async fn events(parts: Arc<Parts>, call: Call) -> Said {
    let (tab, page) = (tabs::visible(&parts, &call).await?, call.page()?);
    let entries = parts.books.entries_of(tab.id, page).await?;
    let rows: Vec<_> = entries.iter().map(wire::event).collect();
    let count = rows.len();
    Ok(linked(&call, page, count, message(&rows)))
}

/// `GET /core/recipients/{address}/tabs`.
pub(super) async fn tabs_of_recipient(parts: Arc<Parts>, call: Call) -> Said {
    let wanted = settlements(&call)?;
    recipient_tabs(&parts, &call, wanted).await
}

/// Which settlements the query names.
fn settlements(call: &Call) -> Result<Vec<SettlementStatus>, Refusal> {
    let wanted = call.query("settlement_status").map(|text| {
        let shown: String = text.chars().take(100).collect();
        SettlementStatus::from_name(text)
            .ok_or_else(|| Refusal::bad(format!("invalid settlement status: {shown}")))
    });
    wanted.collect()
}

/// `GET /core/recipients/{address}/settled-tabs`.
pub(super) async fn settled_tabs(parts: Arc<Parts>, call: Call) -> Said {
    let wanted = vec![SettlementStatus::Settled, SettlementStatus::Remunerated];
    recipient_tabs(&parts, &call, wanted).await
}

async fn recipient_tabs(parts: &Parts, call: &Call, wanted: Vec<SettlementStatus>) -> Said {
    let (recipient, page) = (own(call, true)?, call.page()?);
    let found = parts
        .books
        .tabs_of_recipient(recipient, wanted, page)
        .await?;
    Ok(tab_list(call, page, &found))
}

/// `GET /core/recipients/{address}/pending-remunerations`.
pub(super) async fn pending(parts: Arc<Parts>, call: Call) -> Said {
    let (recipient, page) = (own(&call, true)?, call.page()?);
    let found = parts.books.pending(recipient, page).await?;
    let rows = found.iter().map(|(tab, latest)| PendingRemuneration {
        tab: wire::tab(tab),
        latest_guarantee: latest.as_ref().map(wire::guarantee),
    });
    let rows: Vec<_> = rows.collect();
    let count = rows.len();
    Ok(linked(&call, page, count, message(&rows)))
}

/// `GET /core/recipients/{address}/payments`. Not for facilitators: it says who pays the recipient what, on all tabs.
pub(super) async fn payments(parts: Arc<Parts>, call: Call) -> Said {
    let (recipient, page) = (own(&call, false)?, call.page()?);
    let found = parts.books.payments_to(recipient, page).await?;
    let rows: Vec<_> = found.iter().map(wire::payment).collect();
    let count = rows.len();
    Ok(linked(&call, page, count, message(&rows)))
}

/// `GET /core/users/{address}/tabs`.
pub(super) async fn tabs_of_payer(parts: Arc<Parts>, call: Call) -> Said {
    let wanted = settlements(&call)?;
    let (payer, page) = (own(&call, true)?, call.page()?);
    let found = parts.books.tabs_of_payer(payer, wanted, page).await?;
    Ok(tab_list(&call, page, &found))
}

/// `GET /core/users/{address}/assets/{asset}`.
pub(super) async fn balance(parts: Arc<Parts>, call: Call) -> Said {
    let (payer, asset) = (call.address("address")?, call.address("asset")?);
    let caller = call.caller()?;
    let may = caller.is(payer) || caller.acts_for_others() || caller.is_admin();
    if !may && !has_tab_with(&parts, &call, payer).await? {
        return Err(Refusal::forbidden("no tab with this user"));
    }
    let found = parts.books.collateral(payer, asset).await?;
    let balance = found.map(|collateral| wire::balance(payer, asset, &collateral));
    Ok(message(&balance))
}

/// Whether the caller is a recipient of this payer: whoever gives credit may see what it rests on.
async fn has_tab_with(parts: &Parts, call: &Call, payer: Address) -> Result<bool, Refusal> {
    let super::Caller::Wallet { address, .. } = call.caller()? else {
        return Ok(false);
    };
    Ok(parts.books.has_tab(payer, address).await?)
}

/// `POST /core/users/{address}/suspension`.
pub(super) async fn suspend(parts: Arc<Parts>, call: Call) -> Said {
    let asked: SetSuspension = call.message()?;
    let (user, now) = (call.address("address")?, parts.clock.now());
    let account = parts.books.suspend(user, asked.suspended, now).await?;
    crash::point(Point::SuspensionKept);
    Ok(message(&Suspension {
        address: account.address,
        suspended: account.suspended,
        updated_at: account.updated_at,
    }))
}

/// The address of the path, if it is the caller's, or the caller acts for its owner.
fn own(call: &Call, facilitators: bool) -> Result<Address, Refusal> {
    let (address, caller) = (call.address("address")?, call.caller()?);
    let for_others = match caller {
        super::Caller::Anyone => true,
        super::Caller::Wallet { .. } => facilitators && caller.acts_for_others(),
    };
    if caller.is(address) || caller.is_admin() || for_others {
        Ok(address)
    } else {
        Err(Refusal::forbidden("address must be the caller's"))
    }
}

fn tab_list(call: &Call, page: Page, found: &[Tab]) -> Response {
    let rows: Vec<_> = found.iter().map(wire::tab).collect();
    linked(call, page, found.len(), message(&rows))
}

/// Says where the list goes on, if it may (RFC 8288).
fn linked(call: &Call, page: Page, count: usize, mut response: Response) -> Response {
    if u32::try_from(count).unwrap_or(u32::MAX) >= page.limit && count > 0 {
        let next = call.at(page.skip.saturating_add(page.limit), page.limit);
        if let Ok(link) = HeaderValue::try_from(format!("<{next}>; rel=\"next\"")) {
            response.headers_mut().insert(LINK, link);
        }
    }
    response
}
