//! Every call there is, in one table: the router, who may call, what is counted, and the OpenAPI document are made from it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use axum::Router;
use axum::body::Body;
use axum::extract::RawPathParams;
use axum::extract::rejection::RawPathParamsRejection;
use axum::response::Response;
use axum::routing::{MethodFilter, on};
use bytes::Bytes;
use faregate_core::credit::TabId;
use faregate_core::port::access::AdminScope;
use faregate_core::port::credit::Page;
use faregate_types::Address;
use faregate_types::credit::{Message, parse_quantity, read};
use futures_util::future::BoxFuture;
use http::{HeaderMap, Method, Request, StatusCode};

use super::auth::{self, Caller, Role, Scope};
use super::refusal::Refusal;
use super::{Parts, Said, admin_keys, guarantees, lists, meter, openapi, params, tabs};
use crate::health;
use crate::http::{Peer, json as body};
use crate::limits::{CREDIT_BODY_BYTES_MAX, CREDIT_ROWS_MAX};

/// Who may make a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// Everybody.
    Public,
    /// Everybody, less often: who calls is not known yet.
    SigningIn,
    /// A wallet whose token has this scope.
    Wallet(Scope),
    /// Whoever has a key with this scope.
    Key(AdminScope),
    /// The same, or an administrator's wallet.
    KeyOrAdmin(AdminScope),
}

/// Which list of a query a call reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lists {
    /// It is no list.
    No,
    /// `limit` and `skip`.
    Page,
    /// These, and `settlement_status` any number of times.
    PageOfStatus,
}

type Run = fn(Arc<Parts>, Call) -> BoxFuture<'static, Said>;

/// The parts of the path that vary, unless they are no text.
type Segments = Result<RawPathParams, RawPathParamsRejection>;

/// One call.
pub(super) struct Route {
    /// `GET` or `POST`.
    pub(super) method: Method,
    /// As axum and OpenAPI write it.
    pub(super) path: &'static str,
    /// Its name in the document and in metrics.
    pub(super) name: &'static str,
    /// What it does, for people.
    pub(super) about: &'static str,
    pub(super) access: Access,
    pub(super) lists: Lists,
    /// The schema of its body, if it takes one.
    pub(super) takes: Option<&'static str>,
    /// The schema of its answer.
    pub(super) gives: &'static str,
    run: Run,
}

macro_rules! route {
    ($method:ident $path:literal $name:literal $about:literal, $access:expr, $lists:ident, $takes:expr => $gives:literal, $run:path) => {
        Route {
            method: Method::$method,
            path: $path,
            name: $name,
            about: $about,
            access: $access,
            lists: Lists::$lists,
            takes: $takes,
            gives: $gives,
            run: |parts, call| Box::pin($run(parts, call)),
        }
    };
}

const READ: Access = Access::Wallet(Scope::ReadTab);
const KEYS: Access = Access::Key(AdminScope::ManageKeys);
const SUSPEND: Access = Access::KeyOrAdmin(AdminScope::SuspendUsers);
const CREATE: Access = Access::Wallet(Scope::CreateTab);
const ISSUE: Access = Access::Wallet(Scope::IssueGuarantee);

/// The table.
#[rustfmt::skip]
pub(super) static ROUTES: &[Route] = &[
    route!(GET "/core/public-params" "public_params" "Operator parameters", Access::Public, No, None => "PublicParams", params::public),
    route!(GET "/core/health" "health" "Whether books and chain are there", Access::Public, No, None => "Health", params::health),
    route!(GET "/core/tokens" "tokens" "Tokens that can be deposited", Access::Public, No, None => "SupportedTokens", params::tokens),
    route!(GET "/openapi.json" "openapi" "This document", Access::Public, No, None => "Document", openapi::serve),
    route!(POST "/auth/nonce" "auth_nonce" "What a wallet has to sign to sign in", Access::SigningIn, No, Some("NonceRequest") => "NonceAnswer", auth::nonce),
    route!(POST "/auth/verify" "auth_verify" "Signs in", Access::SigningIn, No, Some("VerifyRequest") => "Tokens", auth::verify),
    route!(POST "/auth/refresh" "auth_refresh" "New tokens for a refresh token, once", Access::SigningIn, No, Some("RefreshRequest") => "Tokens", auth::refresh),
    route!(POST "/auth/logout" "auth_logout" "Ends a session", Access::SigningIn, No, Some("RefreshRequest") => "LoggedOut", auth::logout),
    route!(POST "/core/payment-tabs" "create_tab" "Opens a tab, or finds the one there is", CREATE, No, Some("CreateTab") => "CreatedTab", tabs::create),
    route!(POST "/core/guarantees" "issue_guarantee" "Issues the certificate of a guarantee", ISSUE, No, Some("GuaranteeRequest") => "Certificate", guarantees::issue),
    route!(POST "/core/guarantees/check" "check_guarantee" "Whether a guarantee would be issued; locks nothing", ISSUE, No, Some("GuaranteeRequest") => "CheckedGuarantee", guarantees::check),
    route!(GET "/core/tabs/{tab_id}" "tab" "A tab, or null", READ, No, None => "TabInfo?", tabs::one),
    route!(GET "/core/tabs/{tab_id}/guarantees" "guarantees" "Guarantees of a tab, oldest first", READ, Page, None => "GuaranteeInfo*", lists::guarantees),
    route!(GET "/core/tabs/{tab_id}/guarantees/latest" "latest_guarantee" "The guarantee of a tab that was issued last, or null", READ, No, None => "GuaranteeInfo?", lists::latest),
    route!(GET "/core/tabs/{tab_id}/guarantees/{req_id}" "guarantee" "One guarantee of a tab, or null", READ, No, None => "GuaranteeInfo?", lists::guarantee),
    route!(GET "/core/tabs/{tab_id}/collateral-events" "collateral_events" "What happened to collateral for a tab, oldest first", READ, Page, None => "CollateralEvent*", lists::events),
    route!(GET "/core/recipients/{address}/tabs" "recipient_tabs" "Tabs of a recipient, the last changed first", READ, PageOfStatus, None => "TabInfo*", lists::tabs_of_recipient),
    route!(GET "/core/recipients/{address}/settled-tabs" "settled_tabs" "Settled and remunerated tabs of a recipient", READ, Page, None => "TabInfo*", lists::settled_tabs),
    route!(GET "/core/recipients/{address}/pending-remunerations" "pending_remunerations" "Pending tabs of a recipient with their latest guarantees", READ, Page, None => "PendingRemuneration*", lists::pending),
    route!(GET "/core/recipients/{address}/payments" "recipient_payments" "Payments on the chain to a recipient, newest first", READ, Page, None => "RecipientPayment*", lists::payments),
    route!(GET "/core/users/{address}/tabs" "user_tabs" "Tabs of a payer, the last changed first", READ, PageOfStatus, None => "TabInfo*", lists::tabs_of_payer),
    route!(GET "/core/users/{address}/assets/{asset}" "balance" "What a payer has in an asset, or null", READ, No, None => "AssetBalance?", lists::balance),
    route!(POST "/core/users/{address}/suspension" "suspend" "Suspends a user, or not any more", SUSPEND, No, Some("SetSuspension") => "Suspension", lists::suspend),
    route!(POST "/core/admin/api-keys" "create_api_key" "Makes an administrator's key, which is shown once", KEYS, No, Some("CreateAdminKey") => "CreatedAdminKey", admin_keys::create),
    route!(GET "/core/admin/api-keys" "api_keys" "Administrators' keys, newest first", KEYS, No, None => "AdminKeyInfo*", admin_keys::list),
    route!(POST "/core/admin/api-keys/{id}/revoke" "revoke_api_key" "Revokes an administrator's key", KEYS, No, Some("Nothing") => "AdminKeyInfo", admin_keys::revoke),
];

/// A call on its way to whoever answers it.
pub(super) struct Call {
    path: String,
    segments: Vec<(String, String)>,
    query: Vec<(String, String)>,
    pub(super) headers: HeaderMap,
    body: Bytes,
    caller: Option<Caller>,
}

impl Call {
    /// A part of the path that varies.
    pub(super) fn segment(&self, name: &str) -> &str {
        let mut segments = self.segments.iter();
        let found = segments.find(|(key, _)| key == name);
        found.map_or("", |(_, value)| value.as_str())
    }

    /// An address in the path.
    pub(super) fn address(&self, name: &str) -> Result<Address, Refusal> {
        let address = self.segment(name).parse();
        address.map_err(|_| Refusal::bad("invalid address"))
    }

    /// The tab in the path.
    pub(super) fn tab(&self) -> Result<TabId, Refusal> {
        let id = parse_quantity(self.segment("tab_id"));
        id.map(TabId).ok_or_else(|| Refusal::bad("invalid tab id"))
    }

    /// Every value of a key of the query.
    pub(super) fn query<'c>(&'c self, name: &'c str) -> impl Iterator<Item = &'c str> {
        let found = self.query.iter().filter(move |(key, _)| key == name);
        found.map(|(_, value)| value.as_str())
    }

    /// Which part of a list is asked for: all of it that fits an answer, unless the query says otherwise.
    pub(super) fn page(&self) -> Result<Page, Refusal> {
        let number = |name: &'static str, usual| match self.query(name).next() {
            None => Ok(usual),
            Some(text) => text
                .parse::<u32>()
                .map_err(|_| Refusal::bad(format!("invalid {name}"))),
        };
        let limit = number("limit", CREDIT_ROWS_MAX)?;
        Ok(Page {
            skip: number("skip", 0)?,
            limit: limit.clamp(1, CREDIT_ROWS_MAX),
        })
    }

    /// This call with another part of its list.
    pub(super) fn at(&self, skip: u32, limit: u32) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        let kept = self.query.iter();
        let kept = kept.filter(|(key, _)| key != "skip" && key != "limit");
        query.extend_pairs(kept);
        query.append_pair("limit", &limit.to_string());
        query.append_pair("skip", &skip.to_string());
        format!("{}?{}", self.path, query.finish())
    }

    /// The body.
    pub(super) fn message<M: Message>(&self) -> Result<M, Refusal> {
        read(&self.body).map_err(|error| Refusal::bad(error.to_string()))
    }

    /// Who calls. A call that needs to know is only run when it is known.
    pub(super) fn caller(&self) -> Result<Caller, Refusal> {
        self.caller.ok_or_else(Refusal::internal)
    }
}

/// All calls, and health for machines that look after processes.
pub(super) fn router(parts: &Arc<Parts>) -> Router {
    let mut router = Router::new();
    for route in ROUTES {
        let filter = if route.method == Method::POST {
            MethodFilter::POST
        } else {
            MethodFilter::GET
        };
        let parts = Arc::clone(parts);
        let handler = move |segments: Segments, request: Request<Body>| {
            let parts = Arc::clone(&parts);
            async move { answer(parts, route, segments, request).await }
        };
        router = router.route(route.path, on(filter, handler));
    }
    let refuse = |status, text| {
        let parts = Arc::clone(parts);
        move |request: Request<Body>| {
            let parts = Arc::clone(&parts);
            async move {
                let headers = request.headers();
                let preflight = request.method() == Method::OPTIONS;
                if preflight && let Some(response) = parts.cors.preflight(headers) {
                    return response;
                }
                let mut response = Refusal::new(status, text).response();
                parts.cors.apply(headers, &mut response);
                response
            }
        }
    };
    router
        .merge(health::live_router())
        .fallback(refuse(StatusCode::NOT_FOUND, "not found"))
        .method_not_allowed_fallback(refuse(StatusCode::METHOD_NOT_ALLOWED, "method not allowed"))
}

async fn answer(
    parts: Arc<Parts>,
    route: &'static Route,
    segments: Segments,
    mut request: Request<Body>,
) -> Response {
    let begun = Instant::now();
    parts.proxies.apply(&mut request);
    let peer = request.extensions().get::<Peer>().map(|peer| peer.0.ip());
    let headers = request.headers().clone();
    let said = run(&parts, route, segments, request, peer).await;
    let mut response = said.unwrap_or_else(|refusal| {
        if refusal.status() == StatusCode::UNAUTHORIZED {
            parts.rates.failed(peer);
        }
        refusal.response()
    });
    parts.cors.apply(&headers, &mut response);
    meter::answered(route.name, response.status(), begun.elapsed());
    response
}

async fn run(
    parts: &Arc<Parts>,
    route: &'static Route,
    segments: Segments,
    request: Request<Body>,
    peer: Option<IpAddr>,
) -> Said {
    let signing_in = route.access == Access::SigningIn;
    parts.rates.call(peer, signing_in)?;
    let segments = segments.map_err(|_| Refusal::bad("invalid path"))?;
    let caller = admit(parts, route.access, request.headers()).await?;
    let (headers, uri) = (request.headers().clone(), request.uri().clone());
    let body = if route.takes.is_some() {
        body::read(request, CREDIT_BODY_BYTES_MAX).await?
    } else {
        Bytes::new()
    };
    let query = url::form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes());
    let call = Call {
        path: uri.path().to_owned(),
        segments: (&segments)
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect(),
        query: query.into_owned().collect(),
        headers,
        body,
        caller,
    };
    (route.run)(Arc::clone(parts), call).await
}

/// Who calls, where that matters; or why not.
async fn admit(
    parts: &Parts,
    access: Access,
    headers: &HeaderMap,
) -> Result<Option<Caller>, Refusal> {
    let now = parts.clock.now();
    match access {
        Access::Public | Access::SigningIn => Ok(None),
        Access::Wallet(scope) => {
            let caller = parts.auth.caller(headers, Some(scope), now)?;
            if let Caller::Wallet {
                address,
                role: Role::User,
            } = caller
            {
                parts.rates.wallet(address)?;
            }
            Ok(Some(caller))
        }
        Access::Key(scope) => {
            admin_keys::check(parts, headers, scope).await?;
            Ok(None)
        }
        Access::KeyOrAdmin(scope) => {
            // A key alone is enough, and one that is shown has to be good, whatever else is shown.
            if !headers.contains_key(admin_keys::HEADER)
                && let Ok(caller) = parts.auth.caller(headers, None, now)
                && let Caller::Wallet { .. } = caller
            {
                return if caller.is_admin() {
                    Ok(Some(caller))
                } else {
                    Err(Refusal::forbidden("administrators only"))
                };
            }
            admin_keys::check(parts, headers, scope).await?;
            Ok(None)
        }
    }
}
