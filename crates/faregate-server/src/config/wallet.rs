//! `[[credit.wallet]]`: wallets that are more, or less, than users.

use std::collections::BTreeSet;

use faregate_types::Address;

use super::error::ConfigCode;
use super::parts;
use super::reader::Section;
use crate::credit::{Role, Scope, Scopes, Standing};
use crate::limits;

/// Reads all of them.
pub(super) fn read(section: &Section<'_, '_>) -> Option<Vec<(Address, Standing)>> {
    let tables = section.sections("wallet");
    if tables.len() > limits::CREDIT_WALLETS_MAX {
        let message = format!("expected at most {} wallets", limits::CREDIT_WALLETS_MAX);
        section.fault(ConfigCode::TooMany, "wallet", message);
    }
    let wallets: Vec<Option<(Address, Standing)>> = tables
        .into_iter()
        .map(|table| {
            let wallet = wallet(&table);
            table.finish();
            wallet
        })
        .collect();
    let wallets: Vec<(Address, Standing)> = wallets.into_iter().collect::<Option<_>>()?;
    let distinct: BTreeSet<Address> = wallets.iter().map(|(address, _)| *address).collect();
    if distinct.len() < wallets.len() {
        section.fault(
            ConfigCode::Contradiction,
            "wallet",
            "a wallet stands there twice",
        );
    }
    Some(wallets)
}

fn wallet(table: &Section<'_, '_>) -> Option<(Address, Standing)> {
    let address = table.required("address", "expected the wallet's address");
    let address = address.and_then(|text| parts::address(table, &text));
    let role = match table.text("role") {
        None => Some(Role::default()),
        Some(text) => {
            let role = Role::from_name(text.value.trim());
            if role.is_none() {
                let message = "expected \"user\", \"facilitator\" or \"admin\"";
                table.fault(ConfigCode::Value, "role", message);
            }
            role
        }
    };
    let scopes = match table.texts("scopes") {
        None => Some(Scopes::default()),
        Some(names) => {
            let scopes = names.iter().map(|name| Scope::from_name(&name.value));
            let scopes: Option<Scopes> = scopes.collect();
            if scopes.is_none() {
                let message =
                    "expected some of \"tab:create\", \"tab:read\" and \"guarantee:issue\"";
                table.fault(ConfigCode::Value, "scopes", message);
            }
            scopes
        }
    };
    let active = table.flag("active").unwrap_or(true);
    let standing = Standing {
        role: role?,
        scopes: scopes?,
        barred: !active,
    };
    Some((address?, standing))
}
