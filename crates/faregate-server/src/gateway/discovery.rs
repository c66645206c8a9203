//! What the gate sells over Lightning, for programs that look before they ask (L402 wire facts §1.10, a draft).
//!
//! It repeats what the routes say, so it is made once. What they cost over other rails is in [`quote`](super::quote).

use std::collections::BTreeMap;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use faregate_core::{Ask, LightningAsk};
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, Method, StatusCode};
use serde_json::{Map, Value, json};

use super::limits::MANIFEST_MAX_AGE_SECS;
use crate::config::{GatewayConfig, RouteConfig, RoutePrice};

/// Where it is.
const PATH: &str = "/.well-known/l402.json";

/// The document.
#[derive(Clone)]
pub(super) struct Manifest {
    body: Bytes,
    age: HeaderValue,
}

impl Manifest {
    /// The document, if any route is paid over Lightning.
    pub(super) fn new(config: &GatewayConfig) -> Option<Self> {
        let sold: Vec<Sold<'_>> = config.routes.iter().filter_map(Sold::of).collect();
        let first = sold.first()?;
        let public_url = config.public_url.as_str().trim_end_matches('/');
        let mut document = json!({
            "version": "1.0",
            "provider": { "name": config.public_url.host_str().unwrap_or_default(), "uri": config.public_url.as_str() },
            "currencies": ["msat"],
            "macaroon_versions": [0],
            "payment_methods": ["lightning"],
            "services": services(&sold),
            "caveats": caveats(&sold),
            // What l402kit's document at the same address has.
            "protocol": "L402",
            "price_sats": first.ask.price.to_sat_rounded_up(),
        });
        let example = sold.iter().find_map(|sold| {
            let takes_get = sold
                .route
                .pattern
                .method()
                .is_none_or(|own| *own == Method::GET);
            sold.route.pattern.fixed_path().filter(|_| takes_get)
        });
        if let (Some(path), Some(members)) = (example, document.as_object_mut()) {
            members.insert(
                "demo_endpoint".to_owned(),
                format!("{public_url}{path}").into(),
            );
        }
        let age = HeaderValue::try_from(format!("public, max-age={MANIFEST_MAX_AGE_SECS}"));
        Some(Self {
            body: serde_json::to_vec(&document).ok()?.into(),
            age: age.ok()?,
        })
    }

    /// The answer, if this path is its address.
    pub(super) fn answer(&self, method: &Method, path: &str) -> Option<Response> {
        if path != PATH {
            return None;
        }
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
        match *method {
            Method::GET | Method::HEAD => {
                headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                headers.insert(CACHE_CONTROL, self.age.clone());
                // The server leaves the body out of an answer to HEAD.
                *response.body_mut() = Body::from(self.body.clone());
            }
            _ => {
                headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD, OPTIONS"));
                *response.status_mut() = match *method {
                    Method::OPTIONS => StatusCode::NO_CONTENT,
                    _ => StatusCode::METHOD_NOT_ALLOWED,
                };
            }
        }
        Some(response)
    }
}

/// A route, and what it costs over Lightning.
struct Sold<'c> {
    route: &'c RouteConfig,
    ask: &'c LightningAsk,
    description: &'c str,
}

impl<'c> Sold<'c> {
    fn of(route: &'c RouteConfig) -> Option<Self> {
        let RoutePrice::Paid(offer) = &route.price else {
            return None;
        };
        let ask = offer.asks.iter().find_map(Ask::as_lightning)?;
        let description = &offer.description;
        Some(Self {
            route,
            ask,
            description,
        })
    }

    fn resource(&self) -> Value {
        let method = self.route.pattern.method().map_or("*", Method::as_str);
        let mut resource = json!({
            "path": &*self.ask.route,
            "method": method,
            "pricing": { "model": "fixed", "price_msat": self.ask.price.get() },
            "constraints": {
                "valid_secs": self.ask.valid_secs,
                "max_uses": self.ask.uses,
            },
        });
        if let Some(members) = resource.as_object_mut() {
            if let Some(capability) = &self.ask.capability {
                members.insert("capability".to_owned(), (&**capability).into());
            }
            if !self.description.is_empty() {
                members.insert("description".to_owned(), self.description.into());
            }
        }
        resource
    }
}

/// The routes by the service that their tokens name.
fn services(sold: &[Sold<'_>]) -> Vec<Value> {
    let mut services = BTreeMap::<&str, Vec<&Sold<'_>>>::new();
    for one in sold {
        services.entry(&one.ask.service).or_default().push(one);
    }
    let described = services.into_iter().map(|(name, sold)| {
        let mut tiers: Vec<u8> = sold.iter().map(|one| one.ask.tier).collect();
        tiers.sort_unstable();
        tiers.dedup();
        let mut capabilities: Vec<&str> = sold
            .iter()
            .filter_map(|one| one.ask.capability.as_deref())
            .collect();
        capabilities.sort_unstable();
        capabilities.dedup();
        let resources: Vec<Value> = sold.iter().map(|one| one.resource()).collect();
        let description = sold.iter().find_map(|one| {
            let description = one.description;
            (!description.is_empty()).then_some(description)
        });
        json!({
            "name": name, "description": description.unwrap_or(name), "tiers": tiers, "capabilities": capabilities,
            "resources": resources,
        })
    });
    described.collect()
}

/// The conditions of our tokens, and how a holder may narrow each.
fn caveats(sold: &[Sold<'_>]) -> Map<String, Value> {
    let about = |kind: &str, description: &str, attenuation: &str| json!({ "type": kind, "description": description, "attenuation": attenuation });
    let mut caveats = Map::new();
    let mut add = |name: String, value: Value| drop(caveats.insert(name, value));
    add(
        "services".into(),
        about("list", "services and tiers that the token opens", "subset"),
    );
    for Sold { ask, .. } in sold {
        let (service, secs) = (&ask.service, "seconds since 1970 before which it works");
        add(
            format!("{service}_valid_until"),
            about("integer", secs, "earlier"),
        );
        if ask.capability.is_some() {
            let parts = "parts of the service that it opens";
            add(
                format!("{service}_capabilities"),
                about("list", parts, "subset"),
            );
        }
    }
    for (name, kind, description, attenuation) in [
        (
            "path",
            "string",
            "the route or the path that it opens",
            "subset",
        ),
        ("method", "list", "the methods that it opens", "subset"),
        (
            "price_msat",
            "integer",
            "what was paid for it",
            "decreasing",
        ),
        (
            "max_uses",
            "integer",
            "how many requests it opens",
            "decreasing",
        ),
    ] {
        add(name.into(), about(kind, description, attenuation));
    }
    caveats
}
