//! Keeping answers for copies of the request.

use std::sync::Arc;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use faregate_core::{Away, Sale};
use http::{HeaderMap, StatusCode};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tracing::Instrument;

use crate::layer::Settings;
use crate::limits::{DRAIN_TIMEOUT, KEEP_FIRST_WAIT, STREAM_FRAMES_MAX};
use crate::metrics::Meter;
use crate::respond;

/// Keeps a whole answer before it leaves.
///
/// # Errors
/// [`Away`]: it must not leave.
pub(crate) async fn now(
    sale: Sale,
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    bytes_max: usize,
) -> Result<(), Away> {
    let body = (body.len() <= bytes_max).then_some(body);
    put(sale, status, headers, body).await
}

/// Keeps an answer that is still coming. A short one of known length that comes at once is kept first; any other goes out
/// as it comes, and is kept at its end, or marked as used once it is too long to keep. A connection that was handed over to
/// another protocol is marked as used.
///
/// An answer that breaks off on the service's side is not kept: the payer is owed one, and the same credential gets it.
/// One that the payer does not wait for is read to its end and kept.
///
/// # Errors
/// [`Away`]: it must not leave.
pub(crate) async fn while_streaming(
    mut sale: Sale,
    status: StatusCode,
    headers: &HeaderMap,
    mut body: Body,
    meter: &Arc<Meter>,
    settings: &Settings,
) -> Result<Body, Away> {
    let bytes_max = settings.kept_bytes_max;
    let known = body
        .size_hint()
        .exact()
        .and_then(|length| usize::try_from(length).ok());
    if status == StatusCode::SWITCHING_PROTOCOLS || known.is_some_and(|length| length > bytes_max) {
        meter.sent(known.unwrap_or_default());
        put(sale, status, headers, None).await?;
        return Ok(body);
    }
    let mut so_far = BytesMut::new();
    if known.is_some() {
        match timeout(KEEP_FIRST_WAIT, read(&mut body, &mut so_far)).await {
            Ok(Ok(())) => {
                let whole = so_far.freeze();
                meter.sent(whole.len());
                now(sale, status, headers, &whole, bytes_max).await?;
                return Ok(Body::from(whole));
            }
            Ok(Err(error)) => {
                sale.give_back().await;
                return Ok(Body::new(Broken(Some(error))));
            }
            Err(_slow) => {}
        }
    }
    sale.record().await?;
    let (sender, receiver) = mpsc::channel(STREAM_FRAMES_MAX);
    let first = so_far.clone().freeze();
    let pump = Pump {
        meter: Arc::clone(meter),
        sale: Some(sale),
        status,
        headers: headers.clone(),
        kept: so_far,
        bytes_max,
    };
    let purchase = settings.purchases.enter();
    let task = async move {
        pump.run(first, body, sender).await;
        drop(purchase);
    };
    tokio::spawn(task.in_current_span());
    Ok(Body::new(Piped(receiver)))
}

/// Reads data into `whole` until the body ends. What was read stays there when this is dropped.
async fn read(body: &mut Body, whole: &mut BytesMut) -> Result<(), axum::Error> {
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame?.data_ref() {
            whole.extend_from_slice(data);
        }
    }
    Ok(())
}

async fn put(
    sale: Sale,
    status: StatusCode,
    headers: &HeaderMap,
    body: Option<&[u8]>,
) -> Result<(), Away> {
    let (id, recorded) = (sale.id(), sale.is_recorded());
    let kept = sale.keep(respond::kept(status, headers, body)).await;
    if let Err(away) = &kept {
        tracing::warn!(payment = %id, %away, "an answer could not be kept");
    }
    // Whose payment is on record gets the answer, and a copy is served anew instead of from the books.
    if recorded { Ok(()) } else { kept }
}

type Piece = Result<Frame<Bytes>, axum::Error>;

/// Carries a body from the service to the payer and into the books.
struct Pump {
    meter: Arc<Meter>,
    sale: Option<Sale>,
    status: StatusCode,
    headers: HeaderMap,
    kept: BytesMut,
    bytes_max: usize,
}

impl Pump {
    /// `first` was read, and noted, before it was known that the body takes its time.
    async fn run(mut self, first: Bytes, mut body: Body, payer: mpsc::Sender<Piece>) {
        self.meter.sent(first.len());
        if !first.is_empty() && payer.send(Ok(Frame::data(first))).await.is_err() {
            self.drain(body).await;
            return;
        }
        loop {
            let piece = tokio::select! {
                biased;
                piece = body.frame() => piece,
                // A payer who hangs up while the service is silent is noticed all the same.
                () = payer.closed() => {
                    self.drain(body).await;
                    return;
                }
            };
            let Some(piece) = piece else { break };
            match &piece {
                Ok(frame) => self.note(frame).await,
                Err(_) => self.sale = None,
            }
            if let Some(data) = piece.as_ref().ok().and_then(Frame::data_ref) {
                self.meter.sent(data.len());
            }
            let broken = piece.is_err();
            if payer.send(piece).await.is_err() {
                self.drain(body).await;
                return;
            }
            if broken {
                return;
            }
        }
        self.finish().await;
    }

    /// The payer hung up: the rest is read for the books, as long as that makes sense.
    async fn drain(mut self, mut body: Body) {
        let rest = async {
            while self.sale.is_some() {
                match body.frame().await {
                    Some(Ok(frame)) => self.note(&frame).await,
                    Some(Err(_)) => self.sale = None,
                    None => break,
                }
            }
        };
        if timeout(DRAIN_TIMEOUT, rest).await.is_ok() {
            self.finish().await;
        } else {
            self.give_up().await;
        }
    }

    async fn note(&mut self, frame: &Frame<Bytes>) {
        let Some(data) = frame.data_ref() else { return };
        if self.kept.len().saturating_add(data.len()) > self.bytes_max {
            self.give_up().await;
        } else if self.sale.is_some() {
            self.kept.extend_from_slice(data);
        }
    }

    async fn give_up(&mut self) {
        if let Some(sale) = self.sale.take() {
            // On record since before the first byte left, so there is nothing to withhold.
            let _ = put(sale, self.status, &self.headers, None).await;
        }
    }

    async fn finish(&mut self) {
        if let Some(sale) = self.sale.take() {
            let _ = put(sale, self.status, &self.headers, Some(&self.kept)).await;
        }
    }
}

/// The payer's end of a pump.
struct Piped(mpsc::Receiver<Piece>);

impl http_body::Body for Piped {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Piece>> {
        self.0.poll_recv(context)
    }
}

/// A body that broke before its first byte.
struct Broken(Option<axum::Error>);

impl http_body::Body for Broken {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: std::pin::Pin<&mut Self>,
        _context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Piece>> {
        std::task::Poll::Ready(self.0.take().map(Err))
    }
}
