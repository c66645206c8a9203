//! Work that is brought to its end, whether or not somebody waits for it.

use std::any::Any;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::runtime::Handle;

/// Runs where it is awaited, which costs no hand-over between threads. Dropped before its end, the rest runs in a task of
/// its own.
pub(crate) struct Finish<T: Send + 'static> {
    /// Absent once it has ended.
    rest: Option<BoxFuture<'static, Result<T, Panicked>>>,
    runtime: Handle,
}

/// The work panicked.
pub(crate) type Panicked = Box<dyn Any + Send>;

impl<T: Send + 'static> Finish<T> {
    /// Work for the runtime that this is called in.
    pub(crate) fn new(work: impl Future<Output = T> + Send + 'static) -> Self {
        Self {
            rest: Some(AssertUnwindSafe(work).catch_unwind().boxed()),
            runtime: Handle::current(),
        }
    }
}

impl<T: Send + 'static> Future for Finish<T> {
    type Output = Result<T, Panicked>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(rest) = &mut self.rest else {
            return Poll::Pending;
        };
        let polled = rest.as_mut().poll(context);
        if polled.is_ready() {
            self.rest = None;
        }
        polled
    }
}

impl<T: Send + 'static> Drop for Finish<T> {
    fn drop(&mut self) {
        if let Some(rest) = self.rest.take() {
            drop(self.runtime.spawn(rest));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Notify;

    use super::*;

    #[tokio::test]
    async fn what_nobody_waits_for_is_finished_all_the_same() {
        let (go, done) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let (went, ended) = (Arc::clone(&go), Arc::clone(&done));
        let mut work = Box::pin(Finish::new(async move {
            went.notified().await;
            ended.notify_one();
        }));
        assert!(futures_util::poll!(work.as_mut()).is_pending());
        drop(work);
        go.notify_one();
        done.notified().await;
    }

    #[tokio::test]
    async fn what_was_never_begun_is_finished_too() {
        let done = Arc::new(Notify::new());
        let ended = Arc::clone(&done);
        drop(Finish::new(async move { ended.notify_one() }));
        done.notified().await;
    }

    #[tokio::test]
    async fn a_panic_is_a_result() {
        let work = Finish::new(async {
            tokio::task::yield_now().await;
            Vec::<u8>::new().remove(0)
        });
        assert!(work.await.is_err());
        assert_eq!(Finish::new(async { 7 }).await.ok(), Some(7));
    }
}
