//! `[[facilitator.caller]]`: who may use the service, and how much.

use std::num::NonZeroU32;

use faregate_types::Address;

use super::error::ConfigCode;
use super::parts;
use super::reader::Section;
use super::secret::{SecretSource, secret_source};
use crate::limits::{CALLERS_MAX, OPEN_SETTLES_PER_SECOND, RATE_MAX};

/// Who may use the service. Without callers everybody may.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AccessConfig {
    /// Who has a key. Empty: the service is open.
    pub callers: Vec<CallerConfig>,
    /// Settlements per second and address of an open service.
    pub open_settle_per_second: NonZeroU32,
    /// What copies of a settled payment hear when the service is open.
    pub duplicates: Duplicates,
}

/// One caller.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CallerConfig {
    /// Its name in logs and metrics.
    pub name: Box<str>,
    /// Its keys; several while one replaces another.
    pub keys: Vec<SecretSource>,
    /// Calls of `/verify` per second.
    pub verify_per_second: Option<NonZeroU32>,
    /// Calls of `/settle` per second.
    pub settle_per_second: Option<NonZeroU32>,
    /// Calls of `/settle` per day (UTC).
    pub settle_per_day: Option<NonZeroU32>,
    /// Whom it may settle for. Empty: anybody.
    pub payees: Vec<Address>,
    /// What its copies of a settled payment hear.
    pub duplicates: Duplicates,
}

/// What a copy of a settled payment hears that does not say it is the same call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Duplicates {
    /// Success is said once; copies hear `duplicate_settlement`. For sellers that keep no books of their own.
    #[default]
    Refuse,
    /// The recorded result, every time. For sellers that serve each payment once themselves.
    Recorded,
}

/// Reads the callers and what holds without any.
pub(super) fn read(section: &Section<'_, '_>) -> Option<AccessConfig> {
    let tables = section.sections("caller");
    if tables.len() > CALLERS_MAX {
        let message = format!("expected at most {CALLERS_MAX} callers");
        section.fault(ConfigCode::TooMany, "caller", message);
    }
    let callers: Vec<Option<CallerConfig>> = tables
        .into_iter()
        .map(|table| {
            let caller = caller(&table);
            table.finish();
            caller
        })
        .collect();
    let open = rate(section, "open_settle_per_second");
    let policy = section.has("duplicates");
    let duplicates = duplicates(section);
    if !callers.is_empty() && (open.is_some() || policy) {
        let key = if policy {
            "duplicates"
        } else {
            "open_settle_per_second"
        };
        let message =
            "this is for a service without callers; with callers it belongs to each of them";
        section.fault(ConfigCode::Contradiction, key, message);
    }
    let callers: Vec<CallerConfig> = callers.into_iter().collect::<Option<_>>()?;
    for (index, caller) in callers.iter().enumerate() {
        let mut earlier = callers.iter().take(index);
        if earlier.any(|earlier| earlier.name == caller.name) {
            let message = format!("there are two callers with the name {}", caller.name);
            section.fault(ConfigCode::Contradiction, "caller", message);
        }
    }
    Some(AccessConfig {
        callers,
        open_settle_per_second: open.unwrap_or(OPEN_SETTLES_PER_SECOND),
        duplicates: duplicates?,
    })
}

fn caller(table: &Section<'_, '_>) -> Option<CallerConfig> {
    let name = table
        .required("name", "expected a name for logs and metrics")
        .and_then(|text| name(table, text.value.trim()));
    let keys = table.texts("key");
    if keys.as_ref().is_none_or(Vec::is_empty) {
        table.missing(
            "key",
            "expected the caller's key, as env:NAME or file:/absolute/path",
        );
    }
    let keys: Vec<Option<SecretSource>> = keys
        .unwrap_or_default()
        .iter()
        .map(|text| secret_source(table, text))
        .collect();
    let payees: Vec<Option<Address>> = table
        .texts("payees")
        .unwrap_or_default()
        .iter()
        .map(|text| parts::address(table, text))
        .collect();
    if table.has("payees") && payees.is_empty() {
        let message = "expected at least one payee; leave it out to allow all";
        table.fault(ConfigCode::Value, "payees", message);
    }
    let (verify_per_second, settle_per_second, settle_per_day) = (
        rate(table, "verify_per_second"),
        rate(table, "settle_per_second"),
        rate(table, "settle_per_day"),
    );
    let duplicates = duplicates(table);
    Some(CallerConfig {
        name: name?,
        keys: keys.into_iter().collect::<Option<_>>()?,
        verify_per_second,
        settle_per_second,
        settle_per_day,
        payees: payees.into_iter().collect::<Option<_>>()?,
        duplicates: duplicates?,
    })
}

/// Names are labels of metrics, so they are short and plain.
fn name(table: &Section<'_, '_>, text: &str) -> Option<Box<str>> {
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'));
    if plain && text.len() <= 64 && text != "open" {
        return Some(text.into());
    }
    let message = "expected at most 64 letters, digits, - _ and . (and not \"open\", which is the name of nobody)";
    table.fault(ConfigCode::Value, "name", message);
    None
}

fn rate(section: &Section<'_, '_>, key: &'static str) -> Option<NonZeroU32> {
    let number = section.number(key, 1..=RATE_MAX)?;
    u32::try_from(number).ok().and_then(NonZeroU32::new)
}

fn duplicates(section: &Section<'_, '_>) -> Option<Duplicates> {
    let text = section.text("duplicates");
    match text.as_ref().map(|text| text.value.as_str()) {
        None => Some(Duplicates::default()),
        Some("refuse") => Some(Duplicates::Refuse),
        Some("recorded") => Some(Duplicates::Recorded),
        Some(_) => {
            let message = "expected \"refuse\" or \"recorded\"";
            section.fault(ConfigCode::Value, "duplicates", message);
            None
        }
    }
}
