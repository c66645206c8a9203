//! Every bound of this engine, with its unit last. What is held by choice of the caller is in [`LedgerLimits`] and
//! [`WalletLimits`].

/// Rows in one answer, whatever limit the caller names.
pub(super) const PAGE_ROWS: u32 = 10_000;

/// Kept answers that are dropped before others get their turn at the books.
pub(super) const DROPPED_AT_ONCE: u32 = 64;

/// Events that wait to be told: a hundred bytes each.
pub(super) const EVENTS_MAX: usize = 100_000;

/// Routes that are held once however many payments name them; further ones are held with each payment.
pub(super) const SHARED_ROUTES: usize = 1024;

/// Tabs and journal entries of credit books together: some gigabytes.
pub(super) const CREDIT_ROWS_MAX: usize = 4_000_000;

/// Certificates that a seller holds: about a gigabyte. None is forgotten to make room, because each is money.
pub(super) const CERTIFICATES_MAX: usize = 1_000_000;

/// What a [`MemoryLedger`](super::MemoryLedger) holds at most.
///
/// No claim is ever forgotten, because a forgotten one could be paid twice. So a ledger that is full refuses new claims with
/// [`StoreError::Unavailable`](faregate_ledger::StoreError::Unavailable), for as long as the process lives; everything else
/// goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerLimits {
    /// Payments.
    pub payments: u32,
    /// Bytes that come with claims and from outside: evidence, routes, keys, references of transactions.
    pub claim_bytes: u64,
    /// Bytes of kept answers. Above it the oldest answers of payments that have ended are dropped, as
    /// [`prune`](faregate_ledger::LedgerStore::prune) does; what remains above it refuses new claims.
    pub answer_bytes: u64,
}

impl Default for LedgerLimits {
    /// A million payments, one gibibyte that came with them, 256 mebibytes of answers.
    fn default() -> Self {
        Self {
            payments: 1_000_000,
            claim_bytes: 1024 * 1024 * 1024,
            answer_bytes: 256 * 1024 * 1024,
        }
    }
}

/// What a [`MemoryWallet`](super::MemoryWallet) holds at most.
///
/// Nothing that was signed is ever forgotten, because caps count it. So a wallet that is full refuses new spends with
/// [`StoreError::Unavailable`](faregate_ledger::StoreError::Unavailable), for as long as the process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WalletLimits {
    /// Spends.
    pub spends: u32,
    /// Bytes of their texts, credentials and kept requests.
    pub bytes: u64,
}

impl Default for WalletLimits {
    /// A million spends of one gibibyte together.
    fn default() -> Self {
        Self {
            spends: 1_000_000,
            bytes: 1024 * 1024 * 1024,
        }
    }
}
