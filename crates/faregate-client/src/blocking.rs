//! The client for programs without an async runtime. It has one of its own, on one thread, which ends with the last clone.
//!
//! Everything is as in the async client, including its caps and its books, which both may share. Inside an async runtime nothing
//! here may wait: it says [`Error::InsideRuntime`], and does not panic. There the async client is the right one.
//!
//! ```no_run
//! use std::sync::Arc;
//! use faregate_client::{Caps, Wallet, blocking::Client, limits};
//! use faregate_store::memory::MemoryWallet;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = Client::builder()
//!     .wallet(Wallet::from_env(&std::env::vars().collect())?)
//!     .caps(Caps::per_payment(limits::PER_PAYMENT_DEFAULT))
//!     .store(Arc::new(MemoryWallet::new()))
//!     .build()?;
//! let paid = client.get("https://api.example/joke").send()?;
//! println!("{}", paid.answer.text()?);
//! # Ok(())
//! # }
//! ```

mod builder;
mod engine;
mod request;
mod response;

use std::fmt;
use std::sync::Arc;

use alloy_primitives::Address;
use faregate_types::PaymentId;
use reqwest::{IntoUrl, Method, Request};

use crate::error::{HttpFault, PayError};
use crate::events::{self, Event};
use crate::payment::{Paid, Payment};
use crate::pending::Pending;
use crate::quote::Quote;
use crate::report::SpendingReport;
use engine::Engine;

pub use builder::ClientBuilder;
pub use request::RequestBuilder;
pub use response::Response;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It was called inside an async runtime, where nothing may wait. Nothing was done.
    #[error("the blocking client cannot be used inside an async runtime")]
    InsideRuntime,
    /// There is no thread for its runtime, or the thread ended.
    #[error("the blocking client has no thread to work on")]
    NoThread,
    /// The client could not be made.
    #[error(transparent)]
    Build(#[from] crate::BuildError),
    /// As the async client says it.
    #[error(transparent)]
    Pay(#[from] PayError),
    /// The body of an answer broke off.
    #[error("{0}")]
    Body(HttpFault),
    /// The body of an answer is larger than this many bytes. It can be read piece by piece.
    #[error("the answer is larger than {0} bytes")]
    TooLarge(usize),
    /// The body of an answer is not the JSON that was expected.
    #[error("the answer is not what was expected: {0}")]
    Json(#[from] serde_json::Error),
}

/// An HTTP client that pays, within caps, and waits. Cloning is cheap, and clones share everything. See
/// [`Client`](crate::Client) for what it does.
#[derive(Clone)]
pub struct Client {
    // Before the engine, so that the books are closed while it still runs.
    client: crate::Client,
    engine: Arc<Engine>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.client.fmt(f)
    }
}

impl Client {
    /// A client in the making. Wallet, caps and store have to be named.
    pub fn builder() -> ClientBuilder {
        ClientBuilder::default()
    }

    /// The same client for async code.
    #[must_use]
    pub const fn as_async(&self) -> &crate::Client {
        &self.client
    }

    /// The address that pays over x402, if there is a key.
    #[must_use]
    pub fn payer(&self) -> Option<Address> {
        self.client.payer()
    }

    /// A GET request.
    pub fn get(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::GET, url)
    }

    /// A POST request.
    pub fn post(&self, url: impl IntoUrl) -> RequestBuilder {
        self.request(Method::POST, url)
    }

    /// A request of any method.
    pub fn request(&self, method: Method, url: impl IntoUrl) -> RequestBuilder {
        RequestBuilder::new(self.clone(), self.client.request(method, url))
    }

    /// Sends a request, and pays for it if needed; see [`Client::execute`](crate::Client::execute).
    ///
    /// # Errors
    /// [`Error`].
    pub fn execute(&self, request: Request) -> Result<Paid<Response>, Error> {
        let paid = self.wait(move |client| async move { client.execute(request).await })??;
        Ok(self.answered(paid))
    }

    /// What [`execute`](Self::execute) would pay; see [`Client::quote`](crate::Client::quote).
    ///
    /// # Errors
    /// [`Error`].
    pub fn quote(&self, request: Request) -> Result<Quote, Error> {
        Ok(self.wait(move |client| async move { client.quote(request).await })??)
    }

    /// Says that the answer to a payment is safe; see [`Client::acknowledge`](crate::Client::acknowledge).
    ///
    /// # Errors
    /// [`Error::InsideRuntime`], [`Error::NoThread`].
    pub fn acknowledge(&self, payment: &Payment) -> Result<(), Error> {
        let payment = payment.clone();
        self.wait(move |client| async move { client.acknowledge(&payment).await })
    }

    /// Payments whose end is unknown; see [`Client::pending`](crate::Client::pending).
    ///
    /// # Errors
    /// [`Error`].
    pub fn pending(&self) -> Result<Vec<Pending>, Error> {
        Ok(self.wait(move |client| async move { client.pending().await })??)
    }

    /// Sends one of them again; see [`Client::resume`](crate::Client::resume).
    ///
    /// # Errors
    /// [`Error`].
    pub fn resume(&self, id: PaymentId) -> Result<Paid<Response>, Error> {
        let paid = self.wait(move |client| async move { client.resume(id).await })??;
        Ok(self.answered(paid))
    }

    /// Waits until all ends are in the books; see [`Client::flush`](crate::Client::flush).
    ///
    /// # Errors
    /// [`Error`].
    pub fn flush(&self) -> Result<(), Error> {
        Ok(self.wait(move |client| async move { client.flush().await })??)
    }

    /// What was spent; see [`Client::spending_report`](crate::Client::spending_report).
    ///
    /// # Errors
    /// [`Error`].
    pub fn spending_report(&self, limit: u32) -> Result<SpendingReport, Error> {
        Ok(self.wait(move |client| async move { client.spending_report(limit).await })??)
    }

    /// What happens to the money from now on; see [`Client::events`](crate::Client::events).
    #[must_use]
    pub fn events(&self) -> Events {
        Events(self.client.events())
    }

    /// Does anything else with the async client, on the thread of this one, and waits for it.
    ///
    /// # Errors
    /// [`Error::InsideRuntime`]; [`Error::NoThread`] also when the work panicked.
    pub fn wait<T, F>(&self, work: impl FnOnce(crate::Client) -> F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        self.engine.run(work(self.client.clone()))
    }

    fn answered(&self, paid: Paid<reqwest::Response>) -> Paid<Response> {
        Paid {
            answer: Response::new(Arc::clone(&self.engine), paid.answer),
            payment: paid.payment,
        }
    }
}

/// Events as they happen.
#[derive(Debug)]
pub struct Events(events::Events);

impl Events {
    /// Waits for the next event; `None` once the client and all its clones are gone.
    ///
    /// # Errors
    /// [`Error::InsideRuntime`].
    pub fn next_event(&mut self) -> Result<Option<Event>, Error> {
        engine::may_wait()?;
        Ok(self.0.next_blocking())
    }
}
