//! Asking for a tab at a seller's `tabEndpoint` (specs/4mica.md §6.6). Nothing of the caller's request is sent there, and what
//! comes back decides nothing but tab and number.

use faregate_types::credit::x402::TabTicket;
use faregate_types::{Code, Refusal};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Request, StatusCode};
use tokio::time::sleep;
use url::Url;

use crate::client::Inner;
use crate::error::{HttpFault, PayError};
use crate::hear;
use crate::limits::{RESEND_PAUSE, TAB_BYTES_MAX, TAB_TIMEOUT, WAIT_PAUSE_MAX, WAIT_PAUSE_MIN};
use crate::text::clean;
use crate::transport;

/// What a tab endpoint says.
enum Said {
    Tab(TabTicket),
    No(Refusal),
    /// Not now.
    Later(Refusal, Option<std::time::Duration>),
}

impl Inner {
    /// Asks for a tab, again when the answer is lost or the endpoint says "not now": asking binds nobody.
    pub(crate) async fn tab(&self, endpoint: &Url, body: &str) -> Result<TabTicket, PayError> {
        let mut tries = self.patience.resends;
        let mut pause = RESEND_PAUSE;
        loop {
            let error = match self.ask_for_tab(endpoint, body).await {
                Ok(Said::Tab(ticket)) => return Ok(ticket),
                Ok(Said::No(refusal)) => return Err(PayError::Tab(refusal)),
                Ok(Said::Later(refusal, after)) => {
                    if let Some(after) = after {
                        pause = after.clamp(WAIT_PAUSE_MIN, WAIT_PAUSE_MAX);
                    }
                    PayError::Tab(refusal)
                }
                Err(fault) => PayError::Http(fault),
            };
            if tries == 0 {
                return Err(error);
            }
            tries = tries.saturating_sub(1);
            sleep(pause).await;
            pause = pause.saturating_add(RESEND_PAUSE);
        }
    }

    async fn ask_for_tab(&self, endpoint: &Url, body: &str) -> Result<Said, HttpFault> {
        let mut post = Request::new(Method::POST, endpoint.clone());
        let json = HeaderValue::from_static("application/json");
        post.headers_mut().insert(CONTENT_TYPE, json.clone());
        post.headers_mut().insert(ACCEPT, json);
        *post.body_mut() = Some(body.to_owned().into());
        *post.timeout_mut() = Some(TAB_TIMEOUT.min(self.timeout));
        let response = transport::send(&self.http, post).await?;
        let status = response.status();
        let after = hear::retry_after(response.headers());
        let body = transport::read(response, TAB_BYTES_MAX).await?;
        Ok(said(status, after, body.as_deref()))
    }
}

/// Reads an answer. `None` is a body that was too large.
fn said(status: StatusCode, after: Option<std::time::Duration>, body: Option<&[u8]>) -> Said {
    let refusal = |code| Refusal::new(code);
    let Some(body) = body else {
        let detail = format!("expected at most {TAB_BYTES_MAX} bytes");
        return Said::No(refusal(Code::UpstreamAnswerInvalid).detail(detail));
    };
    if status.is_success() {
        return match faregate_types::credit::read_answer::<TabTicket>(body) {
            Ok(ticket) => Said::Tab(ticket),
            Err(error) => Said::No(refusal(Code::UpstreamAnswerInvalid).detail(error.to_string())),
        };
    }
    let text = words(body).unwrap_or_else(|| format!("status {}", status.as_u16()).into());
    let code = hear::code_of(body);
    match status.as_u16() {
        408 | 425 | 429 | 500..=599 => {
            let code = code.unwrap_or(Code::UpstreamUnavailable);
            Said::Later(refusal(code).detail(text), after)
        }
        _ => Said::No(refusal(code.unwrap_or(Code::CreditRefused)).detail(text)),
    }
}

/// What it says for people.
fn words(body: &[u8]) -> Option<Box<str>> {
    let said: serde_json::Value = serde_json::from_slice(body).ok()?;
    let text = ["detail", "message", "error"]
        .into_iter()
        .find_map(|name| said.get(name)?.as_str())?;
    Some(clean(text))
}

/// Any answer, for fuzzing.
#[cfg(fuzzing)]
pub(crate) fn read(status: StatusCode, body: &[u8]) -> Option<TabTicket> {
    match said(status, None, Some(body)) {
        Said::Tab(ticket) => Some(ticket),
        Said::No(refusal) | Said::Later(refusal, _) => {
            assert!(!refusal.to_string().contains('\n'));
            None
        }
    }
}
