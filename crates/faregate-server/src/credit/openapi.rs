//! The OpenAPI document, made from the table of calls.

use std::sync::Arc;

use http::Method;
use serde_json::{Map, Value, json};

use super::routes::{Access, Lists, ROUTES, Route};
use super::{Call, Parts, Said, json as answer, schemas};

/// `GET /openapi.json`.
pub(super) async fn serve(_: Arc<Parts>, _: Call) -> Said {
    Ok(answer(document().to_string()))
}

/// The document.
pub(super) fn document() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        if let Some(path) = path.as_object_mut() {
            let method = route.method.as_str().to_ascii_lowercase();
            path.insert(method, operation(route));
        }
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Faregate credit",
            "description": "Tabs, guarantees and certificates, as the SDKs of the 4Mica network speak of them. 256-bit numbers are hexadecimal texts; addresses are checksummed; times are in seconds.",
            "version": env!("CARGO_PKG_VERSION"),
        },
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" },
                "key": { "type": "apiKey", "in": "header", "name": "x-api-key" },
            },
        },
    })
}

fn operation(route: &Route) -> Value {
    let error = json!({
        "description": "Why not",
        "content": { "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } },
    });
    let mut operation = json!({
        "operationId": route.name,
        "summary": route.about,
        "parameters": parameters(route),
        "responses": {
            "200": {
                "description": "It worked",
                "content": { "application/json": { "schema": schemas::reference(route.gives) } },
            },
            "default": error,
        },
        "security": security(route.access),
    });
    if let (Some(takes), Some(operation)) = (route.takes, operation.as_object_mut()) {
        let schema = schemas::reference(takes);
        let content = json!({ "application/json": { "schema": schema } });
        let body = json!({ "required": takes != "Nothing", "content": content });
        operation.insert("requestBody".to_owned(), body);
    }
    operation
}

/// What varies in the path, and what stands in the query.
fn parameters(route: &Route) -> Vec<Value> {
    let segments = route.path.split('/').filter_map(|segment| {
        let name = segment.strip_prefix('{')?.strip_suffix('}')?;
        Some(
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }),
        )
    });
    let number = |name: &str| json!({ "name": name, "in": "query", "schema": { "type": "integer", "minimum": 0 } });
    let mut parameters: Vec<Value> = segments.collect();
    if route.lists != Lists::No {
        parameters.extend([number("limit"), number("skip")]);
    }
    if route.lists == Lists::PageOfStatus {
        let words = ["PENDING", "SETTLED", "FAILED", "REMUNERATED"];
        let schema = json!({ "type": "array", "items": { "type": "string", "enum": words } });
        parameters.push(json!({ "name": "settlement_status", "in": "query", "explode": true, "schema": schema }));
    }
    if route.name == "issue_guarantee" && route.method == Method::POST {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "schema": { "type": "string" },
            "description": "The request may be a repetition: the same request hears the same certificate again",
        }));
    }
    parameters
}

fn security(access: Access) -> Value {
    match access {
        Access::Public | Access::SigningIn => json!([]),
        Access::Wallet(scope) => json!([{ "token": [scope.as_str()] }]),
        Access::Key(_) => json!([{ "key": [] }]),
        Access::KeyOrAdmin(_) => json!([{ "key": [] }, { "token": [] }]),
    }
}
