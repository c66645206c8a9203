//! Bodies with bounds: what comes in, and what goes out while it counts as in progress.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::time::{Sleep, sleep};

use super::gauge::Inside;

/// Why a request body ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BodyFault {
    #[error("the body is larger than the limit")]
    TooLarge,
    #[error("the body did not arrive in time")]
    Late,
    #[error("the body broke off")]
    Broken,
}

/// How far a request body came, as the guard sees it from outside.
#[derive(Clone, Debug, Default)]
pub(super) struct Progress(Arc<AtomicU8>);

const COMING: u8 = 0;
const COMPLETE: u8 = 1;
const TOO_LARGE: u8 = 2;
const LATE: u8 = 3;
const BROKEN: u8 = 4;

impl Progress {
    /// The body is not there yet and nothing is wrong with it.
    pub(super) fn is_coming(&self) -> bool {
        self.0.load(Ordering::Relaxed) == COMING
    }

    pub(super) fn fault(&self) -> Option<BodyFault> {
        match self.0.load(Ordering::Relaxed) {
            TOO_LARGE => Some(BodyFault::TooLarge),
            LATE => Some(BodyFault::Late),
            BROKEN => Some(BodyFault::Broken),
            _ => None,
        }
    }

    fn set(&self, state: u8) {
        self.0.store(state, Ordering::Relaxed);
    }

    fn stop(&self, fault: BodyFault) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        self.set(match fault {
            BodyFault::TooLarge => TOO_LARGE,
            BodyFault::Late => LATE,
            BodyFault::Broken => BROKEN,
        });
        Poll::Ready(Some(Err(fault)))
    }
}

/// A request body that is cut off when it gets too long or too slow.
pub(super) struct RequestBody {
    inner: Incoming,
    left: u64,
    stall: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    progress: Progress,
}

impl RequestBody {
    pub(super) fn new(inner: Incoming, bytes_max: u64, stall: Duration) -> (Self, Progress) {
        let progress = Progress::default();
        let body = Self {
            inner,
            left: bytes_max,
            stall,
            timer: None,
            progress: progress.clone(),
        };
        (body, progress)
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = BodyFault;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFault>>> {
        let this = &mut *self;
        if let Some(fault) = this.progress.fault() {
            return Poll::Ready(Some(Err(fault)));
        }
        let Poll::Ready(next) = Pin::new(&mut this.inner).poll_frame(context) else {
            let stall = this.stall;
            let timer = this.timer.get_or_insert_with(|| Box::pin(sleep(stall)));
            ready!(timer.as_mut().poll(context));
            return this.progress.stop(BodyFault::Late);
        };
        this.timer = None;
        match next {
            Some(Ok(frame)) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len);
                match this
                    .left
                    .checked_sub(u64::try_from(bytes).unwrap_or(u64::MAX))
                {
                    Some(left) => {
                        this.left = left;
                        if this.inner.is_end_stream() {
                            this.progress.set(COMPLETE);
                        }
                        Poll::Ready(Some(Ok(frame)))
                    }
                    None => this.progress.stop(BodyFault::TooLarge),
                }
            }
            Some(Err(_)) => this.progress.stop(BodyFault::Broken),
            None => {
                this.progress.set(COMPLETE);
                Poll::Ready(None)
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// An answer that counts as in progress until it is written or given up.
pub(super) struct AnswerBody {
    inner: Body,
    _inside: Option<Inside>,
}

impl AnswerBody {
    pub(super) const fn new(inner: Body, inside: Option<Inside>) -> Self {
        Self {
            inner,
            _inside: inside,
        }
    }
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
