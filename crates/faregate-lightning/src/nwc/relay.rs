//! A Nostr relay over WebSocket (NIP-01): one connection for one request.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use faregate_core::port::lightning::PayReport;
use faregate_http::{BaseUrl, PlainHttp, Trust, tls};
use faregate_types::{Code, Refusal};
use futures_util::{SinkExt as _, StreamExt as _};
use nostr::event::Event;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};
use url::Url;

use super::message::{Cipher, Peer};
use crate::config::ConfigError;
use crate::limits;

/// Messages that are looked at while an answer is waited for.
const MESSAGES_MAX: usize = 1_000;

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The request did not leave.
    NotSent,
    /// The relay did not take the request.
    Rejected,
    /// Nobody knows whether the wallet got it.
    Lost,
    /// What came back is not what was asked for.
    Garbled,
}

impl Fault {
    pub(super) const fn code(self) -> Code {
        match self {
            Self::NotSent | Self::Rejected | Self::Lost => Code::LightningUnavailable,
            Self::Garbled => Code::LightningAnswerInvalid,
        }
    }

    /// What it means for a payment. A relay that says it did not take a request could have passed it on all the same.
    pub(super) fn report(self) -> PayReport {
        match self {
            Self::NotSent => PayReport::Refused(Refusal::new(self.code())),
            Self::Rejected | Self::Lost | Self::Garbled => PayReport::Unclear(self.code()),
        }
    }
}

/// Where a relay is.
pub(super) struct Place {
    url: Url,
    host: String,
    port: u16,
    /// `None` for a relay on this machine without TLS.
    tls: Option<Arc<ClientConfig>>,
}

impl Place {
    pub(super) fn new(url: &Url, trust: &Trust, plain: PlainHttp) -> Result<Self, ConfigError> {
        let secure = match url.scheme() {
            "wss" => true,
            "ws" => false,
            _ => return Err(ConfigError::Url),
        };
        // The same rules as for every other URL of ours.
        let mut http = url.clone();
        http.set_scheme(if secure { "https" } else { "http" })
            .map_err(|()| ConfigError::Url)?;
        BaseUrl::new(http, plain)?;
        let host = url.host_str().ok_or(ConfigError::Url)?;
        let tls = secure
            .then(|| tls::config(trust).map(Arc::new))
            .transpose()?;
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port: url.port_or_known_default().ok_or(ConfigError::Url)?,
            url: url.clone(),
            tls,
        })
    }

    /// Connects.
    pub(super) async fn connect(&self) -> Result<Relay, Fault> {
        timeout(limits::CONNECT_TIMEOUT, self.open())
            .await
            .ok()
            .flatten()
            .ok_or(Fault::NotSent)
    }

    async fn open(&self) -> Option<Relay> {
        let stream = TcpStream::connect((self.host.as_str(), self.port))
            .await
            .ok()?;
        let stream: Box<dyn Stream> = match &self.tls {
            None => Box::new(stream),
            Some(config) => {
                let name = ServerName::try_from(self.host.clone()).ok()?;
                let connector = TlsConnector::from(Arc::clone(config));
                Box::new(connector.connect(name, stream).await.ok()?)
            }
        };
        let config = WebSocketConfig::default()
            .max_message_size(Some(limits::ANSWER_BYTES_MAX))
            .max_frame_size(Some(limits::ANSWER_BYTES_MAX));
        let opened = client_async_with_config(self.url.as_str(), stream, Some(config)).await;
        opened.ok().map(|(socket, _)| Relay(socket))
    }
}

/// Bytes in both directions, with or without TLS.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A relay, connected.
pub(super) struct Relay(WebSocketStream<Box<dyn Stream>>);

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Relay")
    }
}

/// What a relay says, as far as it is looked at.
enum Said {
    Event(Box<Event>),
    /// Everything that was kept has been told.
    Kept,
    /// Whether it took our event.
    Took(bool),
    /// It does not tell what was asked for.
    Closed,
    Other,
}

impl Relay {
    /// Asks how the wallet wants to be talked to. A wallet that says nothing knows the older way.
    pub(super) async fn info(&mut self, peer: &Peer, wait: Duration) -> Result<Cipher, Fault> {
        self.say(&json!(["REQ", "info", peer.infos()])).await?;
        let found = timeout(wait, self.first_info(peer)).await;
        let cipher = found.map_err(|_| Fault::NotSent)??;
        self.say(&json!(["CLOSE", "info"])).await?;
        Ok(cipher)
    }

    async fn first_info(&mut self, peer: &Peer) -> Result<Cipher, Fault> {
        for _ in 0..MESSAGES_MAX {
            // So far nothing was asked of the wallet.
            match self.hear().await.map_err(|_| Fault::NotSent)? {
                Said::Event(event) => {
                    if let Some(cipher) = peer.cipher(&event) {
                        return Ok(cipher);
                    }
                }
                Said::Kept => return Ok(Cipher::Nip04),
                Said::Closed => return Err(Fault::NotSent),
                Said::Took(_) | Said::Other => {}
            }
        }
        Err(Fault::NotSent)
    }

    /// Sends a request and waits for its answer. The caller bounds the time.
    pub(super) async fn exchange(
        &mut self,
        peer: &Peer,
        cipher: Cipher,
        request: &Event,
    ) -> Result<Value, Fault> {
        // Listening first: the answer may come at once, and relays keep such events not.
        self.say(&json!(["REQ", "answer", peer.answers(request)]))
            .await?;
        let event: Value = serde_json::from_str(&request.as_json()).map_err(|_| Fault::NotSent)?;
        // From here on it may have left.
        self.say(&json!(["EVENT", event]))
            .await
            .map_err(|_| Fault::Lost)?;
        for _ in 0..MESSAGES_MAX {
            match self.hear().await? {
                Said::Event(event) => {
                    if let Some(answer) = peer.answer(cipher, request, &event) {
                        return Ok(answer);
                    }
                }
                Said::Took(false) => return Err(Fault::Rejected),
                Said::Took(true) | Said::Kept | Said::Closed | Said::Other => {}
            }
        }
        Err(Fault::Garbled)
    }

    async fn say(&mut self, message: &Value) -> Result<(), Fault> {
        let message = Message::text(message.to_string());
        self.0.send(message).await.map_err(|_| Fault::NotSent)
    }

    async fn hear(&mut self) -> Result<Said, Fault> {
        let message = self.0.next().await;
        let message = message.ok_or(Fault::Lost)?.map_err(|_| Fault::Lost)?;
        let Message::Text(text) = message else {
            // Pings are answered by the library; a close is followed by the end.
            return Ok(Said::Other);
        };
        let json: Value = serde_json::from_str(&text).unwrap_or_default();
        let part = |index: usize| json.get(index).and_then(Value::as_str);
        Ok(match part(0) {
            Some("EVENT") => json
                .get(2)
                .and_then(|event| Event::from_json(event.to_string()).ok())
                .map_or(Said::Other, |event| Said::Event(Box::new(event))),
            Some("EOSE") => Said::Kept,
            Some("OK") => Said::Took(json.get(2).and_then(Value::as_bool) == Some(true)),
            Some("CLOSED") if part(1) == Some("answer") => return Err(Fault::Lost),
            Some("CLOSED") => Said::Closed,
            _ => Said::Other,
        })
    }
}
