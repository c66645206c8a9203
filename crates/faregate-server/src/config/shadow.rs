//! Routes that never get a request, because something above them takes it.

use faregate_core::route::{RoutePattern, RouteTable, Shadow};

use super::error::ConfigCode;
use super::reader::Section;
use super::route::Defaults;
use super::{gate_credit, permit};

/// Where a route stands in the file.
pub(super) struct RoutePlace {
    pub(super) span: std::ops::Range<usize>,
    pub(super) key: String,
    pub(super) line: usize,
}

/// Names them all.
pub(super) fn name(
    gate: &Section<'_, '_>,
    table: &RouteTable<RoutePlace>,
    defaults: &Defaults<'_>,
) {
    name_shadows(gate, table);
    name_hidden(gate, table, defaults);
}

/// A route that never gets a request is a mistake: the price that was meant for it is not the one that is asked.
fn name_shadows(gate: &Section<'_, '_>, table: &RouteTable<RoutePlace>) {
    let places: Vec<_> = table.iter().collect();
    for Shadow { by, route } in table.shadows() {
        let (Some((first, above)), Some((pattern, place))) = (places.get(by), places.get(route))
        else {
            continue;
        };
        let (code, message) = if pattern.covers(first) {
            (
                ConfigCode::DuplicateRoute,
                format!("the same route stands in line {}", above.line),
            )
        } else {
            let (text, line) = (first.text(), above.line);
            let message = format!(
                "{text} in line {line} takes every request of this route; put this one above it"
            );
            (ConfigCode::ShadowedRoute, message)
        };
        gate.reader().fault(code, &place.span, &place.key, message);
    }
}

/// The gate answers its own endpoints itself, before any route: one that has no other request would never get any.
fn name_hidden(gate: &Section<'_, '_>, table: &RouteTable<RoutePlace>, defaults: &Defaults<'_>) {
    let tokens = |pattern: &RoutePattern| {
        let endpoint = defaults.token_endpoint.as_ref()?;
        permit::hides(endpoint, pattern).then_some(
            "sells access tokens: choose another path, or another gate.permit.token_endpoint",
        )
    };
    let tabs = |pattern: &RoutePattern| {
        let path = defaults.tab_path.as_ref()?;
        gate_credit::hides(path, pattern)
            .then_some("opens tabs: choose another path, or another gate.credit.tab_path")
    };
    for (pattern, place) in table.iter() {
        if let Some(what) = tokens(pattern).or_else(|| tabs(pattern)) {
            let message = format!("{} is where the gate {what}", pattern.text());
            gate.reader()
                .fault(ConfigCode::ShadowedRoute, &place.span, &place.key, message);
        }
    }
}
