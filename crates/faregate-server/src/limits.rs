//! Every number of the servers. Sizes are upper bounds; what is above is answered with its own code and costs nothing more.

use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::time::Duration;

use faregate_types::lightning::Msat;

/// Connections open at once. More wait in the listener's backlog.
pub const CONNECTIONS_MAX: usize = 4_096;

/// Requests worked on at once, from their head until their answer is written. More are answered 503 `overloaded`.
pub const REQUESTS_MAX: usize = 2_048;

/// Longest request head (request line and headers), in bytes. A credential may have 32 KiB.
pub const HEADER_BYTES_MAX: usize = 64 * 1024;

/// Most header lines in a request.
pub const HEADERS_MAX: usize = 100;

/// Longest wait for a whole request head. Also how long a connection may be idle between two requests.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest request body, in bytes.
pub const BODY_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Longest wait for the next piece of a request body.
pub const BODY_STALL_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a copy of a settlement in progress waits for its result. Shorter than any client's patience.
pub const COPY_WAIT: Duration = Duration::from_secs(20);

/// Longest time for the whole body of a request in JSON; it is small.
pub const JSON_BODY_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest wait for the head of the answer. Above what the slowest settlement and the slowest paid service may take
/// together; the services' own deadlines are shorter.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(300);

/// Longest wait for a peer that takes no more of the answer.
pub const WRITE_STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a stopping server waits for what is in progress.
pub const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(60);

/// How long the listener rests after the system refused to accept, e.g. because there are no file descriptors left.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// How long connections get to close after the deadline of a shutdown.
pub const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// Settlements that a facilitator works on at once, whether or not somebody still waits for the answer.
pub const SETTLES_MAX: u32 = 1_024;

/// How often payments whose end is unknown are looked at again. What was served and not paid has to be settled while its
/// authorization is valid, which may be a minute.
pub const RECOVERY_INTERVAL: Duration = Duration::from_secs(10);

/// Most payments that are looked at each time. Behind each may be several questions to a node, or one to a facilitator
/// elsewhere.
pub const RECOVERY_MAX: u32 = 1_000;

/// Seconds that a payment has to be unchanged before it is looked at: another process on the same ledger may be on it.
pub const RECOVERY_AGE_SECS: u64 = 10;

/// Longest wait for a part that is asked whether it is ready.
pub const READY_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an answer about readiness is repeated without asking again.
pub const READY_KEPT: Duration = Duration::from_secs(1);

/// Most callers of a facilitator.
pub const CALLERS_MAX: usize = 256;

/// Highest rate that can be configured, per second or per day.
pub const RATE_MAX: u64 = 1_000_000_000;

/// Shortest key of a caller, in characters. Shorter ones can be guessed.
pub const CALLER_KEY_CHARS_MIN: usize = 16;

/// How long the webhook's receiver has for its whole answer.
pub const WEBHOOK_TIMEOUT: Duration = Duration::from_secs(10);

/// How long connecting to it may take.
pub const WEBHOOK_CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Largest answer of it that is read, in bytes; nothing of it is used.
pub const WEBHOOK_ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Events that are sent at once.
pub const WEBHOOK_AT_ONCE: usize = 8;

/// Events that are read from the outbox at once.
pub const WEBHOOK_BATCH: u32 = 64;

/// How often the outbox is looked at while it is empty.
pub const WEBHOOK_PAUSE: Duration = Duration::from_secs(1);

/// How soon an event is sent a second time, in seconds; each time after, twice as late as the time before.
pub const WEBHOOK_BACKOFF_SECS: u64 = 5;

/// Longest pause between two tries, in seconds.
pub const WEBHOOK_BACKOFF_MAX_SECS: u64 = 3_600;

/// After how long an event that nobody took is dropped, in seconds.
pub const WEBHOOK_KEPT_SECS: u64 = 3 * 24 * 3_600;

/// Ranges of trusted proxies.
pub const PROXIES_MAX: usize = 64;

/// Proxies that a request may have come through; what stands before is not read.
pub const PROXY_HOPS_MAX: usize = 16;

/// How long a payer who shows a preimage waits for the wallet to say that it was paid.
pub const CONFIRM_TIMEOUT: Duration = Duration::from_secs(3);

/// How soon the wallet is asked a second time; each time after, twice as late as the time before, up to
/// [`CONFIRM_PAUSE_MAX`].
pub const CONFIRM_PAUSE: Duration = Duration::from_millis(50);

/// Longest pause before the wallet is asked again.
pub const CONFIRM_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Payers who wait for the wallet's word at once; the next one is told to come back.
pub const CONFIRMS_MAX: usize = 64;

/// Longest wait for a credit core that is asked whether it is there: whoever asks about a gate does not wait longer.
pub const CREDIT_READY_TIMEOUT: Duration = Duration::from_millis(500);

/// How long it is remembered whether a credit core was there.
pub const CREDIT_READY_KEPT: Duration = Duration::from_secs(10);

/// How long a wallet that answered is taken for one that is there.
pub const WALLET_READY_KEPT: Duration = Duration::from_secs(10);

/// Largest request to the admin address, in bytes.
pub const ADMIN_BODY_BYTES_MAX: u64 = 1_024;

/// Revocations that are shown at once; they are counted beyond.
pub const REVOCATIONS_SHOWN_MAX: usize = 1_000;

/// Longest key of a caller, in characters.
pub const CALLER_KEY_CHARS_MAX: usize = 512;

/// Settlements per second from one address, when the service is open to everybody.
pub const OPEN_SETTLES_PER_SECOND: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);

/// Counters for addresses, and as many for payers. More of them share counters.
pub const STRANGERS_MAX: usize = 65_536;

/// Settlements of one payer that may cost gas and move nothing, in [`FAILED_SETTLES_PERIOD`].
pub const FAILED_SETTLES_MAX: NonZeroU32 = NonZeroU32::MIN.saturating_add(4);

/// See [`FAILED_SETTLES_MAX`].
pub const FAILED_SETTLES_PERIOD: Duration = Duration::from_secs(600);

/// Settled payments of which is known that somebody heard of them. Twice as many at most are in memory, with 96 bytes each.
pub const HEARD_MAX: usize = 200_000;

/// How long that is known at least, unless there are more than [`HEARD_MAX`].
pub const HEARD_FOR: Duration = Duration::from_secs(1_800);

/// Largest body of a call of managed mode, in bytes.
pub const MANAGED_BODY_BYTES_MAX: usize = 16 * 1024;

/// Invoices of managed mode for one client in a minute.
pub const MANAGED_INVOICES_PER_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(19);

/// Invoices of managed mode for everybody in a minute. Each stays in the ledger, also when nobody pays it.
pub const MANAGED_INVOICES_PER_MINUTE_ALL: NonZeroU32 = NonZeroU32::MIN.saturating_add(299);

/// Tokens that managed mode checks for one client in a minute.
pub const MANAGED_VERIFICATIONS_PER_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(119);

/// Entries of the directory that one client may make or change in an hour.
pub const MANAGED_REGISTRATIONS_PER_HOUR: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);

/// Largest invoice of managed mode, if nobody says otherwise: a hundredth of a bitcoin.
pub const MANAGED_AMOUNT_MAX: Msat = Msat::new(1_000_000_000);

/// Longest wait that a client of managed mode is told.
pub const MANAGED_WAIT_MAX: Duration = Duration::from_secs(3_600);

/// How often invoices and payouts are looked at.
pub const MANAGED_INTERVAL: Duration = Duration::from_secs(5);

/// How long the wallet is left alone after it broke off telling.
pub const MANAGED_LISTEN_AGAIN: Duration = Duration::from_secs(5);

/// Where managed mode listens if nobody says otherwise.
pub const MANAGED_PORT: u16 = 4_024;

/// How long an invoice of managed mode may be good for, in seconds.
pub const MANAGED_EXPIRY_SECS: RangeInclusive<u64> = 60..=86_400;

/// Lines in a list of owners.
pub const OWNERS_MAX: usize = 10_000;

/// Entries of the directory: about a kilobyte each at most.
pub const DIRECTORY_ENTRIES_MAX: usize = 2_000;

/// Largest file of a directory, in bytes.
pub const DIRECTORY_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Longest URL in the directory, in bytes.
pub const LISTING_URL_BYTES_MAX: usize = 2_048;

/// Longest name in the directory, in characters.
pub const LISTING_NAME_CHARS_MAX: usize = 100;

/// Longest description in the directory, in characters.
pub const LISTING_DESCRIPTION_CHARS_MAX: usize = 500;

/// Largest `/.well-known/l402.txt`, in bytes.
pub const PROOF_BYTES_MAX: usize = 8 * 1024;

/// Longest wait for it.
pub const PROOF_TIMEOUT: Duration = Duration::from_secs(4);

/// Longest wait for a connection to its host.
pub const PROOF_CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Where the credit service listens if nobody says otherwise.
pub const CREDIT_PORT: u16 = 3_000;

/// Longest access token of the credit service, in bytes. Ours have about 500.
pub const CREDIT_TOKEN_BYTES_MAX: usize = 4 * 1024;

/// Longest signature of a contract wallet that signs in, in bytes.
pub const CREDIT_SIGNATURE_BYTES_MAX: usize = 4 * 1024;

/// Calls of the credit service from one address in a second.
pub const CREDIT_CALLS_PER_SECOND: NonZeroU32 = NonZeroU32::MIN.saturating_add(199);

/// Calls of the credit service by one signed-in wallet in a second.
pub const CREDIT_WALLET_CALLS_PER_SECOND: NonZeroU32 = NonZeroU32::MIN.saturating_add(999);

/// Calls of `/auth/…` from one address in a minute.
pub const CREDIT_SIGN_INS_PER_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(119);

/// Times that one wallet may sign in in a minute.
pub const CREDIT_WALLET_SIGN_INS_PER_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(29);

/// Tokens and keys that are none, from one address in a minute.
pub const CREDIT_FAILURES_PER_MINUTE: NonZeroU32 = NonZeroU32::MIN.saturating_add(59);

/// Counters for addresses, and for wallets, of the credit service. More of them share counters.
pub const CREDIT_COUNTERS_MAX: usize = 16_384;

/// Rows in one answer of the credit service, and how many there are when nobody says how many.
pub const CREDIT_ROWS_MAX: u32 = 2_000;

/// Signatures that wait for a thread. What comes beyond is told to come back.
pub const CREDIT_WORK_QUEUE_JOBS: usize = 1_024;

/// Guarantees that are issued at once, whether or not somebody still waits for the answer.
pub const CREDIT_ISSUES_MAX: u32 = 4_096;

/// How often guarantees are looked for whose certificate was not signed, because a process ended in between.
pub const CREDIT_CERTIFY_INTERVAL: Duration = Duration::from_secs(10);

/// How old they have to be, in seconds, but at the start: somebody may be on it.
pub const CREDIT_CERTIFY_AGE_SECS: u64 = 5;

/// Most of them that are looked at each time, and most sign-in nonces and sessions that are forgotten.
pub const CREDIT_UPKEEP_ROWS: u32 = 1_000;

/// Longest name of an administrator's key, in characters.
pub const CREDIT_KEY_NAME_CHARS_MAX: usize = 100;

/// Wallets with a role of their own in the file.
pub const CREDIT_WALLETS_MAX: usize = 10_000;

/// Origins whose pages may call the credit service.
pub const CREDIT_ORIGINS_MAX: usize = 64;

/// Largest request of the credit service, in bytes.
pub const CREDIT_BODY_BYTES_MAX: usize = faregate_types::limits::CREDIT_REQUEST_BYTES_MAX;

/// Connections to the admin address at once, and requests.
pub const ADMIN_CONNECTIONS_MAX: usize = 32;

/// Longest wait for an answer at the admin address.
pub const ADMIN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the admin address takes to stop.
pub const ADMIN_SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// How often measured times move from their queues into buckets when nobody asks for them.
pub const METRICS_UPKEEP_INTERVAL: Duration = Duration::from_secs(5);

/// Bounds of one server. `Default` is the numbers of this module.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// See [`CONNECTIONS_MAX`].
    pub connections_max: usize,
    /// See [`REQUESTS_MAX`].
    pub requests_max: usize,
    /// See [`HEADER_BYTES_MAX`].
    pub header_bytes_max: usize,
    /// See [`HEADERS_MAX`].
    pub headers_max: usize,
    /// See [`HEADER_TIMEOUT`].
    pub header_timeout: Duration,
    /// See [`BODY_BYTES_MAX`].
    pub body_bytes_max: u64,
    /// See [`BODY_STALL_TIMEOUT`].
    pub body_stall_timeout: Duration,
    /// See [`REQUEST_TIMEOUT`].
    pub request_timeout: Duration,
    /// See [`WRITE_STALL_TIMEOUT`].
    pub write_stall_timeout: Duration,
    /// See [`SHUTDOWN_TIMEOUT`].
    pub shutdown_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: CONNECTIONS_MAX,
            requests_max: REQUESTS_MAX,
            header_bytes_max: HEADER_BYTES_MAX,
            headers_max: HEADERS_MAX,
            header_timeout: HEADER_TIMEOUT,
            body_bytes_max: BODY_BYTES_MAX,
            body_stall_timeout: BODY_STALL_TIMEOUT,
            request_timeout: REQUEST_TIMEOUT,
            write_stall_timeout: WRITE_STALL_TIMEOUT,
            shutdown_timeout: SHUTDOWN_TIMEOUT,
        }
    }
}

/// How long a list of what is supported waits for a credit core that is not connected yet.
pub(crate) const CREDIT_KINDS_WAIT: Duration = Duration::from_secs(1);
