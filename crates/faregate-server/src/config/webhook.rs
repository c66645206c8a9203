//! `[gate.webhook]`: who is told what was paid.

use faregate_ledger::{EventKind, EventKinds};
use url::Url;

use super::error::ConfigCode;
use super::facilitator::is_this_machine;
use super::parts::{self, UrlKind};
use super::reader::Section;
use super::secret::{SecretSource, secret_source};

/// Who is told what was paid.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WebhookConfig {
    /// Where it is sent. May hold a secret path: not to be shown.
    pub url: Url,
    /// What it is signed with.
    pub secret: SecretSource,
    /// What is told.
    pub events: EventKinds,
}

/// Reads `[gate.webhook]`.
pub(super) fn read(section: &Section<'_, '_>) -> Option<WebhookConfig> {
    let text = section.required("url", "expected the URL that is told of payments");
    let url = text.and_then(|text| parts::url(section, &text, UrlKind::Service));
    if let Some(url) = &url
        && url.scheme() != "https"
        && !is_this_machine(url)
    {
        let message = "expected https for a receiver on another machine";
        section.fault(ConfigCode::Url, "url", message);
    }
    let secret = section
        .required(
            "secret",
            "expected what events are signed with, as env:NAME or file:/path",
        )
        .and_then(|text| secret_source(section, &text));
    let events = events(section);
    Some(WebhookConfig {
        url: url?,
        secret: secret?,
        events: events?,
    })
}

/// What is told: payments, unless the file says otherwise.
fn events(section: &Section<'_, '_>) -> Option<EventKinds> {
    if !section.has("events") {
        return Some([EventKind::PaymentReceived].into_iter().collect());
    }
    let names = section.texts("events")?;
    let known: Option<EventKinds> = names
        .iter()
        .map(|name| EventKind::from_name(&name.value))
        .collect();
    match known {
        Some(kinds) if kinds != EventKinds::NONE => Some(kinds),
        _ => {
            let all = EventKind::ALL.map(EventKind::as_str).join(", ");
            let message = format!("expected some of {all}");
            section.fault(ConfigCode::Value, "events", message);
            None
        }
    }
}
