//! What is for sale and what it costs, over every rail, in our own words (`docs/src/rails/l402.md`, "What is for sale").
//!
//! Two documents. `/.well-known/l402-services` lists all routes with a price and is made once. `/.well-known/faregate-quote` says what one
//! request would cost, without making an invoice: it repeats the price list, so it costs the wallet nothing.

use std::sync::Arc;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use faregate_core::offer::CreditAsk;
use faregate_core::route::{Lookup, RouteTable, normalise_path};
use faregate_core::{Ask, Identifier, LightningAsk, PermitAsk, Scope, SettlePolicy, TokenAsk};
use faregate_tower::respond;
use faregate_types::permit::Endpoint;
use faregate_types::{Code, Problem};
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Map, Value, json};

use super::limits::MANIFEST_MAX_AGE_SECS;
use crate::config::{GatewayConfig, RouteConfig, RoutePrice};

/// The list.
const SERVICES: &str = "/.well-known/l402-services";

/// What one request costs.
const QUOTE: &str = "/.well-known/faregate-quote";

/// Both documents. Cheap to clone.
#[derive(Clone)]
pub(super) struct Prices(Arc<Parts>);

struct Parts {
    list: Bytes,
    age: HeaderValue,
    routes: RouteTable<Value>,
    is_unmatched_free: bool,
}

impl Prices {
    /// `None` when x402 `exact` is all that is taken: then the paths are the routes' own.
    pub(super) fn new(config: &GatewayConfig) -> Option<Self> {
        let is_other = |ask: &Ask| ask.as_token().is_none();
        let is_listed = |route: &RouteConfig| asks(route).iter().any(is_other);
        if !config.routes.iter().any(is_listed) {
            return None;
        }
        let public_url = config.public_url.as_str().trim_end_matches('/');
        let endpoint = config.permit.as_ref().map(|permit| &permit.endpoint);
        let describe = |route| described(route, endpoint);
        let routes: Vec<Value> = config.routes.iter().map(describe).collect();
        let list = json!({
            "version": "1",
            "publicUrl": public_url,
            "quote": format!("{public_url}{QUOTE}"),
            "routes": routes.iter().filter(|route| route["free"] == false).collect::<Vec<_>>(),
        });
        let described = config.routes.iter().zip(routes);
        let table = described.map(|(route, value)| (route.pattern.clone(), value));
        let age = HeaderValue::try_from(format!("public, max-age={MANIFEST_MAX_AGE_SECS}"));
        Some(Self(Arc::new(Parts {
            list: serde_json::to_vec(&list).ok()?.into(),
            age: age.ok()?,
            routes: RouteTable::new(table),
            is_unmatched_free: matches!(config.unmatched, crate::config::Unmatched::Free(_)),
        })))
    }

    /// The answer, if this path is one of ours.
    pub(super) fn answer(
        &self,
        method: &Method,
        path: &str,
        query: Option<&str>,
    ) -> Option<Response> {
        if path != SERVICES && path != QUOTE {
            return None;
        }
        let mut response = match *method {
            Method::GET | Method::HEAD if path == SERVICES => self.document(self.0.list.clone()),
            Method::GET | Method::HEAD => match self.quote(query.unwrap_or_default()) {
                Ok(quote) => self.document(quote.to_string().into()),
                Err(problem) => respond::problem(&problem),
            },
            Method::OPTIONS => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::NO_CONTENT;
                response
            }
            _ => {
                let mut response = respond::problem(&Problem::new(Code::MethodNotAllowed));
                let allowed = HeaderValue::from_static("GET, HEAD, OPTIONS");
                response.headers_mut().insert(http::header::ALLOW, allowed);
                response
            }
        };
        let any = HeaderValue::from_static("*");
        response
            .headers_mut()
            .insert(ACCESS_CONTROL_ALLOW_ORIGIN, any);
        Some(response)
    }

    fn document(&self, body: Bytes) -> Response {
        // The server leaves the body out of an answer to HEAD.
        let mut response = Response::new(Body::from(body));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(CACHE_CONTROL, self.0.age.clone());
        response
    }

    /// What `?path=/v1/now&method=GET&host=…` would cost.
    fn quote(&self, query: &str) -> Result<Value, Problem> {
        let bad = |detail: &str| Problem::new(Code::BadRequest).detail(detail);
        let (mut path, mut method, mut host) = (None, None, None);
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let slot = match &*name {
                "path" => &mut path,
                "method" => &mut method,
                "host" => &mut host,
                _ => return Err(bad("expected path, and perhaps method and host")),
            };
            if slot.replace(value.into_owned()).is_some() {
                return Err(bad("expected each of path, method and host once"));
            }
        }
        let path = path.ok_or_else(|| bad("expected ?path=, such as ?path=/v1/now"))?;
        let method = method.as_deref().unwrap_or("GET");
        let method = Method::from_bytes(method.as_bytes()).map_err(|_| bad("expected a method"))?;
        let normal = normalise_path(&path).map_err(|error| bad(&error.to_string()))?;
        match self.0.routes.find(&method, host.as_deref(), &normal) {
            Lookup::Route(route) => Ok(quoted(&method, normal.wire(), route)),
            Lookup::Unmatched if self.0.is_unmatched_free => {
                let free = json!({ "free": true, "prices": [] });
                Ok(quoted(&method, normal.wire(), &free))
            }
            Lookup::Unmatched => Err(Problem::new(Code::NotFound)),
            Lookup::Ambiguous => Err(bad("the path can be read in two ways")),
        }
    }
}

fn quoted(method: &Method, path: &str, route: &Value) -> Value {
    let mut quote = Map::new();
    quote.insert("version".into(), "1".into());
    quote.insert("method".into(), method.as_str().into());
    quote.insert("path".into(), path.into());
    quote.insert("route".into(), route.clone());
    Value::Object(quote)
}

fn asks(route: &RouteConfig) -> &[Ask] {
    match &route.price {
        RoutePrice::Free => &[],
        RoutePrice::Paid(offer) => &offer.asks,
    }
}

fn described(route: &RouteConfig, endpoint: Option<&Endpoint>) -> Value {
    let asks = asks(route).iter();
    let prices: Vec<Value> = asks.filter_map(|ask| price(ask, endpoint)).collect();
    let mut members = json!({
        "match": route.pattern.text(),
        "host": route.pattern.host(),
        "method": route.pattern.method().map(Method::as_str),
        "free": prices.is_empty(),
        "prices": prices,
    });
    if let (RoutePrice::Paid(offer), Some(members)) = (&route.price, members.as_object_mut()) {
        let settle = match offer.settle {
            SettlePolicy::Before => "before",
            SettlePolicy::After => "after",
            SettlePolicy::Background => "background",
        };
        members.insert("settle".into(), settle.into());
        if offer.identifier != Identifier::Off {
            let required = offer.identifier == Identifier::Required;
            members.insert("paymentIdentifierRequired".into(), required.into());
        }
        for (name, text) in [
            ("description", &offer.description),
            ("mimeType", &offer.mime_type),
        ] {
            if !text.is_empty() {
                members.insert(name.into(), (&**text).into());
            }
        }
    }
    members
}

fn price(ask: &Ask, endpoint: Option<&Endpoint>) -> Option<Value> {
    match ask {
        Ask::Permit(ask) => Some(permits(ask, endpoint?)),
        Ask::Token(ask) => Some(tokens(ask)),
        Ask::Lightning(ask) => Some(lightning(ask)),
        Ask::Credit(ask) => Some(credit(ask)),
        _ => None,
    }
}

/// The 402 answer has the whole condition.
fn credit(ask: &CreditAsk) -> Value {
    json!({
        "rail": "credit",
        "network": ask.asset.chain().to_string(),
        "asset": ask.asset.token().to_string(),
        "amount": ask.amount.value().to_string(),
        "tabEndpoint": &*ask.tab_endpoint,
        "plain": ask.is_plain,
        "conditional": ask.condition.is_some(),
    })
}

fn tokens(ask: &TokenAsk) -> Value {
    json!({
        "rail": ask.rail.as_str(),
        "network": ask.asset.id.chain().to_string(),
        "asset": ask.asset.id.token().to_string(),
        "symbol": &*ask.asset.symbol,
        "decimals": ask.asset.decimals,
        "amount": ask.amount.value().to_string(),
    })
}

/// The 402 answer says where its own quote is posted; the plain endpoint takes permits too.
fn permits(ask: &PermitAsk, endpoint: &Endpoint) -> Value {
    json!({
        "rail": "permit",
        "network": ask.asset.id.chain().to_string(),
        "asset": ask.asset.id.token().to_string(),
        "symbol": &*ask.asset.symbol,
        "decimals": ask.asset.decimals,
        "amount": ask.amount.value().to_string(),
        "tokenEndpoint": endpoint.as_str(),
        "policy": ask.policy.as_str(),
        "validSecs": ask.token_secs,
    })
}

fn lightning(ask: &LightningAsk) -> Value {
    let scope = match ask.scope {
        Scope::Route => "route",
        Scope::Path => "path",
    };
    json!({
        "rail": "l402",
        "network": ask.network.as_str(),
        "amountMsat": ask.price.get().to_string(),
        "service": &*ask.service,
        "tier": ask.tier,
        "capability": ask.capability,
        "uses": ask.uses,
        "validSecs": ask.valid_secs,
        "scope": scope,
        "boundToClient": ask.is_bound_to_client,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn prices(permit: &str) -> Option<Prices> {
        let text = format!(
            "[gate]\npublic_url = \"https://api.example\"\nupstream = \"http://127.0.0.1:8000\"\nnetwork = \"sepolia\"\n\
             pay_to = \"0xa0Ee7A142d267C1f36714E4a8F75612F20a79720\"\n[gate.facilitator]\nrpc_url = \"http://127.0.0.1:8545\"\n\
             signer_key = \"file:/etc/signer\"\n{permit}[[route]]\nmatch = \"GET /joke\"\nprice = \"$0.5\"\n"
        );
        let gate = Config::parse(&text, &Default::default()).unwrap().gate;
        Prices::new(&gate.unwrap())
    }

    #[test]
    fn what_is_paid_with_permits_is_listed_and_quoted() {
        let table = "[gate.permit]\ntoken_key = \"file:/etc/key\"\npolicy = \"settled\"\ntoken_expires_in = 60\n";
        let prices_of_gate = prices(table).unwrap();
        let quote = prices_of_gate.quote("path=/joke").unwrap();
        let asked = &quote["route"]["prices"];
        assert_eq!(asked[0]["rail"], "x402");
        let permit = json!({
            "rail": "permit", "network": "eip155:11155111", "asset": "0x1c7D4B196Cb0C7B01d743Fbc6116a902379C7238",
            "symbol": "USDC", "decimals": 6, "amount": "500000", "tokenEndpoint": "/token", "policy": "settled",
            "validSecs": 60,
        });
        assert_eq!(asked[1], permit);
        let list: Value = serde_json::from_slice(&prices_of_gate.0.list).unwrap();
        assert_eq!(list["routes"][0]["prices"][1], permit);
        // Without other rails the paths are the routes' own.
        assert!(prices("").is_none());
    }

    #[test]
    fn what_is_paid_on_credit_is_quoted() {
        let table = "[gate.credit]\ntab_path = \"/tabs\"\n[[gate.credit.core]]\nnetwork = \"sepolia\"\n\
             url = \"https://core.example\"\nrpc_url = \"https://node.example\"\n";
        let quote = prices(table).unwrap().quote("path=/joke").unwrap();
        let credit = json!({
            "rail": "credit", "network": "eip155:11155111", "asset": "0x1c7D4B196Cb0C7B01d743Fbc6116a902379C7238",
            "amount": "500000", "tabEndpoint": "https://api.example/tabs", "plain": true, "conditional": false,
        });
        assert_eq!(quote["route"]["prices"][1], credit);
    }
}
