//! A running dev Lightning network: the network, its server, and direct controls for tests in the same process.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use faregate_types::lightning::{Bolt11, Msat, PaymentHash};
use sha2::{Digest as _, Sha256};
use tokio::net::TcpListener;
use tokio::sync::{broadcast, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::config::LightningConfig;
use super::invoice::{Draft, InvoiceSigner};
use super::net::{Begun, Entry, EntryState, Fate, Fees, Net, PayRefusal, WalletName};
use super::wallet::DevWallet;
use super::{limits, rest};
use crate::chain::Clock;

/// The keys of the wallets' nodes. Everybody knows them.
const NODE_KEYS: [[u8; 32]; 3] = [[0x11; 32], [0x22; 32], [0x33; 32]];

/// Why the network did not start, or did not do what it was told.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LightningError {
    /// The address to listen on is taken or not ours.
    #[error("cannot listen on {addr}")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The system has no random bytes.
    #[error("the system has no random bytes for preimages")]
    Entropy,
    /// A dev key is no key: a bug of ours.
    #[error("a dev key is not usable")]
    Key,
    /// Zero, too much, too long, or a preimage that was used before.
    #[error("no invoice can be made of that")]
    Invoice,
}

/// A dev Lightning network that serves LND's REST API until it is shut down or dropped.
///
/// It is for tests and demonstrations: its money has no worth.
///
/// ```
/// use faregate_core::port::lightning::{InvoiceAsk, PayOrder, PayOutcome, Receiver, Sender};
/// use faregate_devnet::{DevLightning, LightningConfig, WalletName};
/// use faregate_types::Timestamp;
/// use faregate_types::lightning::{BitcoinNetwork, Msat};
/// use std::{sync::Arc, time::{Duration, SystemTime}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let net = DevLightning::start(LightningConfig::default()).await?;
/// let clock = Arc::new(|| Timestamp::from(SystemTime::now()));
/// let seller = Arc::new(net.wallet(WalletName::Seller));
/// let seller = Receiver::new(seller, BitcoinNetwork::Regtest, clock.clone());
/// let payer = Arc::new(net.wallet(WalletName::Payer));
/// let payer = Sender::new(payer, BitcoinNetwork::Regtest, clock)?;
///
/// let ask = InvoiceAsk {
///     amount: Msat::new(10_000),
///     description: "a joke".into(),
///     expiry_secs: 60,
/// };
/// let invoice = seller.create(&ask).await?.bolt11().clone();
/// let order = PayOrder {
///     invoice,
///     fee_max: Msat::new(10_000),
///     time_limit: Duration::from_secs(30),
/// };
/// assert!(matches!(payer.pay(&order).await, PayOutcome::Paid(_)));
/// // Any other process uses `net.rest_url()` and `net.macaroon(…)`.
/// net.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DevLightning {
    core: Arc<Core>,
    addr: SocketAddr,
    /// Dropping it tells the server to stop.
    stop: Option<oneshot::Sender<()>>,
    server: JoinHandle<()>,
}

/// What the wallets and the server share.
pub(super) struct Core {
    net: Mutex<Net>,
    signers: [InvoiceSigner; 3],
    seed: [u8; 32],
    /// How many secrets were made of the seed.
    drawn: AtomicU64,
    clock: Arc<dyn Clock>,
    /// Invoices that were made or paid.
    events: broadcast::Sender<Entry>,
    /// Changes whenever a payment ends.
    ended: watch::Sender<u64>,
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Core")
    }
}

/// What an invoice is to say.
#[derive(Clone, Debug, Default)]
pub(super) struct NewInvoice {
    pub(super) msat: u64,
    pub(super) memo: String,
    /// In place of the memo, the hash of something longer.
    pub(super) description_hash: Option<[u8; 32]>,
    pub(super) expiry_secs: u64,
    pub(super) preimage: Option<[u8; 32]>,
    pub(super) private: bool,
}

impl DevLightning {
    /// Starts the network and its server. It answers when this returns.
    ///
    /// # Errors
    /// When the address cannot be bound or the system has no random bytes.
    pub async fn start(config: LightningConfig) -> Result<Self, LightningError> {
        let bind = config.bind;
        let failed = move |source| LightningError::Bind { addr: bind, source };
        let listener = TcpListener::bind(bind).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let core = Arc::new(Core::new(config)?);
        let (stop, stopped) = oneshot::channel::<()>();
        let router = rest::router(Arc::clone(&core));
        let server = tokio::spawn(async move {
            let until = async move {
                // An error means the sender was dropped, which is the other way to say stop.
                stopped.await.unwrap_or_default();
            };
            if let Err(error) = axum::serve(listener, router)
                .with_graceful_shutdown(until)
                .await
            {
                tracing::error!(%error, "the dev Lightning server broke off");
            }
        });
        Ok(Self {
            core,
            addr,
            stop: Some(stop),
            server,
        })
    }

    /// Where LND's REST API is, e.g. `http://127.0.0.1:8080`.
    #[must_use]
    pub fn rest_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The address listened on.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// What opens a wallet over REST, in hexadecimal.
    #[must_use]
    pub fn macaroon(&self, wallet: WalletName) -> String {
        hex::encode(self.core.macaroon(wallet))
    }

    /// The Lightning address of a wallet, e.g. `owner@127.0.0.1:8080`. It is asked over plain HTTP.
    #[must_use]
    pub fn address(&self, wallet: WalletName) -> String {
        format!("{}@{}", wallet.as_str(), self.addr)
    }

    /// A wallet, to be used in this process.
    #[must_use]
    pub fn wallet(&self, name: WalletName) -> DevWallet {
        DevWallet::new(Arc::clone(&self.core), name)
    }

    /// What a wallet holds, without what is on its way.
    #[must_use]
    pub fn balance(&self, wallet: WalletName) -> Msat {
        self.core.net().funds(wallet).balance
    }

    /// Gives a wallet this balance, instead of what it had.
    pub fn set_balance(&self, wallet: WalletName, balance: Msat) {
        self.core.net().set_balance(wallet, balance);
    }

    /// Says what happens to the next payments that could be made, one after the other. The others are made.
    pub fn next_payments(&self, fates: impl IntoIterator<Item = Fate>) {
        self.core.net().line_up(fates);
    }

    /// Makes all payments that are held.
    pub fn settle_held(&self) {
        self.core.release(true);
    }

    /// Lets all payments that are held fail.
    pub fn fail_held(&self) {
        self.core.release(false);
    }

    /// Calls off an invoice of a wallet. `false` when it is paid or being paid, or there is none.
    #[must_use]
    pub fn cancel(&self, wallet: WalletName, hash: &PaymentHash) -> bool {
        self.core.net().cancel(wallet, hash)
    }

    /// Stops: no new connections, then waits until open ones are done, for a few seconds at most.
    pub async fn shutdown(mut self) {
        drop(self.stop.take());
        if timeout(limits::SHUTDOWN_WAIT_MAX, &mut self.server)
            .await
            .is_err()
        {
            tracing::warn!("connections are still open; leaving them");
            self.server.abort();
        }
    }
}

impl Drop for DevLightning {
    fn drop(&mut self) {
        // The server sees that the sender is gone, closes idle connections and ends.
        drop(self.stop.take());
    }
}

impl Core {
    pub(super) fn new(config: LightningConfig) -> Result<Self, LightningError> {
        let seed = match config.seed {
            Some(seed) => seed,
            None => {
                let mut seed = [0; 32];
                getrandom::fill(&mut seed).map_err(|_| LightningError::Entropy)?;
                seed
            }
        };
        let [payer, seller, owner] = NODE_KEYS.map(|key| InvoiceSigner::new(&key));
        let signers = [
            payer.ok_or(LightningError::Key)?,
            seller.ok_or(LightningError::Key)?,
            owner.ok_or(LightningError::Key)?,
        ];
        let fees = Fees {
            base: config.fee_base,
            ppm: config.fee_ppm,
        };
        Ok(Self {
            net: Mutex::new(Net::new(config.balance, fees)),
            signers,
            seed,
            drawn: AtomicU64::new(0),
            clock: config.clock,
            events: broadcast::Sender::new(limits::EVENTS_BEHIND_MAX),
            ended: watch::Sender::new(0),
        })
    }

    /// A panic under the lock can only come from a bug, and leaves nothing half done that others could misread.
    pub(super) fn net(&self) -> MutexGuard<'_, Net> {
        self.net.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn now(&self) -> u64 {
        self.clock.now_secs()
    }

    pub(super) const fn node(&self, wallet: WalletName) -> &[u8; 33] {
        self.signer(wallet).node()
    }

    const fn signer(&self, wallet: WalletName) -> &InvoiceSigner {
        let [payer, seller, owner] = &self.signers;
        match wallet {
            WalletName::Payer => payer,
            WalletName::Seller => seller,
            WalletName::Owner => owner,
        }
    }

    /// Thirty-two bytes that only who knows the seed can guess.
    fn derive(&self, what: &[u8], number: u64) -> [u8; 32] {
        let digest = Sha256::new()
            .chain_update(self.seed)
            .chain_update(what)
            .chain_update(number.to_be_bytes());
        digest.finalize().into()
    }

    /// A macaroon in binary V2. Nobody but this server can check it, so it is compared as a whole.
    pub(super) fn macaroon(&self, wallet: WalletName) -> Vec<u8> {
        let id = wallet.as_str().as_bytes();
        let mut bytes = vec![2, 1, 3];
        bytes.extend_from_slice(b"lnd");
        bytes.push(2);
        bytes.push(u8::try_from(id.len()).unwrap_or(u8::MAX));
        bytes.extend_from_slice(id);
        bytes.extend_from_slice(&[0, 0, 6, 32]);
        bytes.extend_from_slice(&self.derive(id, u64::MAX));
        bytes
    }

    /// Makes an invoice.
    pub(super) fn make(
        &self,
        owner: WalletName,
        new: NewInvoice,
    ) -> Result<(PaymentHash, Entry), LightningError> {
        let fits = (1..=limits::AMOUNT_MSAT_MAX).contains(&new.msat)
            && (1..=limits::EXPIRY_SECS_MAX).contains(&new.expiry_secs)
            && new.memo.len() <= limits::MEMO_BYTES_MAX;
        if !fits {
            return Err(LightningError::Invoice);
        }
        let number = self.drawn.fetch_add(1, Ordering::Relaxed);
        let preimage = new
            .preimage
            .unwrap_or_else(|| self.derive(b"preimage", number));
        let hash: [u8; 32] = Sha256::digest(preimage).into();
        let payment_secret = self.derive(b"secret", number);
        let created_secs = self.now();
        let draft = Draft {
            payment_hash: hash,
            payment_secret,
            msat: new.msat,
            memo: &new.memo,
            description_hash: new.description_hash,
            created_secs,
            expiry_secs: new.expiry_secs,
        };
        // The slow part, before the lock.
        let text = self
            .signer(owner)
            .sign(draft)
            .ok_or(LightningError::Invoice)?;
        let mut entry = Entry {
            owner,
            text,
            memo: new.memo,
            amount: Msat::new(new.msat),
            preimage,
            payment_secret,
            created_secs,
            expiry_secs: new.expiry_secs,
            private: new.private,
            add_index: 0,
            settle_index: 0,
            settled_secs: 0,
            state: EntryState::Open,
        };
        let hash = PaymentHash::from_bytes(hash);
        let index = self.net().add_invoice(hash, entry.clone());
        entry.add_index = index.ok_or(LightningError::Invoice)?;
        self.tell(entry.clone());
        Ok((hash, entry))
    }

    /// Begins to pay.
    pub(super) fn pay(
        &self,
        payer: WalletName,
        invoice: &Bolt11,
        fee_max: Msat,
    ) -> Result<Begun, PayRefusal> {
        let begun = self.net().pay(payer, invoice, fee_max, self.now())?;
        if let Some(entry) = &begun.settled {
            self.tell(entry.clone());
        }
        Ok(begun)
    }

    fn release(&self, settle: bool) {
        let settled = self.net().release(settle, self.now());
        for entry in settled {
            self.tell(entry);
        }
        self.ended
            .send_modify(|number| *number = number.wrapping_add(1));
    }

    fn tell(&self, entry: Entry) {
        // An error means that nobody listens, which is fine.
        drop(self.events.send(entry));
    }

    /// Invoices that are made or paid from now on.
    pub(super) fn listen(&self) -> broadcast::Receiver<Entry> {
        self.events.subscribe()
    }

    /// Tells when payments that were held have ended.
    pub(super) fn ends(&self) -> watch::Receiver<u64> {
        self.ended.subscribe()
    }
}
