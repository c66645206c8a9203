//! Every limit of this crate.

use std::time::Duration;

use alloy_primitives::U256;
use faregate_ledger::Worth;
use faregate_types::lightning::Msat;

/// The cap for one payment that the command line uses unless told otherwise: 0.10 USD, as the first x402 clients did.
/// The library has no default: whoever builds a [`Client`](crate::Client) names the cap.
pub const PER_PAYMENT_DEFAULT: Worth =
    Worth::new(U256::from_limbs([100_000_000_000_000_000, 0, 0, 0]));

/// Longest validity of an authorization that a server may ask for, in seconds. While it is valid, its holder can use it.
pub const VALIDITY_SECS_MAX: u64 = 3600;

/// Deadline of one request, from connecting to the last byte of the body. Servers settle before they answer, which takes
/// up to 90 seconds.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(120);

/// Longest wait for a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Most redirects that are followed before a payment. Afterwards none is.
pub const REDIRECTS_MAX: u8 = 5;

/// Largest body of a 402 answer that is read, in bytes.
pub const OFFER_BODY_BYTES_MAX: usize = 64 * 1024;

/// Most offers of one 402 answer that are looked at.
pub const OFFERS_MAX: usize = 64;

/// Longest text of a server that is kept for people, in bytes.
pub const TEXT_BYTES_MAX: usize = 160;

/// Most undecided payments that a client remembers from the books when it starts, the oldest first.
pub const OPEN_LOOKBACK: u32 = 256;

/// How far in the past a v1 authorization starts, in seconds: v1 servers expect some room for clocks that differ.
pub const V1_BACKDATE_SECS: u64 = 600;

/// How much more than last time the same path may cost unless told otherwise, in hundredths: twice as much.
pub const PRICE_RISE_PERCENT: u32 = 100;

/// Most places whose last terms a client remembers beside the books.
pub const PLACES_MAX: usize = 1024;

/// How long the end of a payment is waited for, unless told otherwise. Servers settle within a minute or not soon.
pub const WAIT: Duration = Duration::from_secs(60);

/// Pause before the same payment is sent again when the server names none.
pub const WAIT_PAUSE: Duration = Duration::from_secs(1);

/// Shortest and longest pause that a server may name.
pub const WAIT_PAUSE_MIN: Duration = Duration::from_millis(100);
/// See [`WAIT_PAUSE_MIN`].
pub const WAIT_PAUSE_MAX: Duration = Duration::from_secs(30);

/// How often a payment is sent again after its answer was lost, unless told otherwise.
pub const RESENDS: u32 = 2;

/// Pause before the first of these; each next one is longer by as much.
pub const RESEND_PAUSE: Duration = Duration::from_millis(200);

/// How long after its end an expired payment is still asked about, in seconds, before another is signed for the same request.
pub const STALE_SECS: u64 = 3600;

/// Most expired payments that are asked about for one request.
pub const STALE_MAX: u32 = 4;

/// Largest request body that is kept in the books beside a payment, in bytes.
pub const KEPT_BODY_BYTES_MAX: usize = 64 * 1024;

/// Longest head of a kept request, in bytes.
pub const KEPT_HEAD_BYTES_MAX: usize = 32 * 1024;

/// Most pending payments that are listed.
pub const PENDING_MAX: u32 = 1000;

/// How long before the newest block a payment has to have expired, in seconds, for "unused" to be believed: deeper than any
/// reorganisation.
pub const PROOF_MARGIN_SECS: u64 = 3600;

/// What the way of a Lightning payment may cost unless told otherwise, in hundredths of its amount.
pub const ROUTING_FEE_PERCENT: u8 = 1;

/// What it may cost in any case: small payments cost a fixed fee.
pub const ROUTING_FEE_MIN: Msat = Msat::new(5_000);

/// The cap for one Lightning payment that the command line uses unless told otherwise: 200 satoshis. The library has no default.
pub const MSAT_PER_PAYMENT_DEFAULT: Msat = Msat::new(200_000);

/// Invoices that expire sooner than this, in seconds, are not paid any more: they might expire on the way.
pub const INVOICE_MARGIN_SECS: u64 = 5;

/// How often an invoice is handed to the wallet for one request: once more when the wallet says that it knows nothing of it.
pub const INVOICE_TRIES: u32 = 2;

/// Most L402 tokens that a client keeps to show them again.
pub const TOKENS_MAX: usize = 1024;

/// How long a token is kept that does not say when it ends, in seconds. Servers say when it ends earlier.
pub const TOKEN_SECS: u64 = 24 * 60 * 60;

/// How long a token is kept at most, in seconds, whatever it says.
pub const TOKEN_SECS_MAX: u64 = 366 * 24 * 60 * 60;

/// How often the books are asked for a token for one request: again when the first is not taken.
pub const TOKEN_TRIES: u32 = 2;

/// How long a permit is valid unless told otherwise, in seconds, as with the product's clients. While it is valid, its holder
/// can collect it.
pub const PERMIT_SECS: u64 = 600;

/// How much earlier than its server says an access token is not shown any more, in seconds: it might end on the way.
pub const TOKEN_MARGIN_SECS: u64 = 5;

/// Longest wait for one answer of a node.
pub const NODE_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest answer of a node that is read, in bytes.
pub const NODE_ANSWER_BYTES_MAX: usize = 64 * 1024;

/// How often an EIP-2612 nonce is signed again after a permit with it came to nothing.
pub const NONCE_REUSES_MAX: u32 = 16;

/// Longest name of a Lightning wallet in the books, in bytes.
pub const WALLET_NAME_BYTES_MAX: usize = 64;

/// Events that are kept for whoever listens; who is slower misses the oldest.
pub const EVENTS_KEPT: usize = 256;

/// Most lines for hosts in a report.
pub const REPORT_HOSTS_MAX: u32 = 10_000;

/// Largest body that the blocking client reads whole, in bytes. Larger ones are read piece by piece.
pub const BLOCKING_BODY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How long claims are valid that are paid to a seller on credit who does not say, in seconds.
pub const CREDIT_SECS: u64 = 60;

/// Largest answer of a tab endpoint that is read, in bytes.
pub const TAB_BYTES_MAX: usize = 16 * 1024;

/// Deadline of one question for a tab, as with the network's SDKs.
pub const TAB_TIMEOUT: Duration = Duration::from_secs(20);

/// First pause before a tab is asked for again because another payment of this wallet has its number; the next ones are
/// longer, up to the second.
pub const TAB_PAUSE: Duration = Duration::from_millis(20);
/// See [`TAB_PAUSE`].
pub const TAB_PAUSE_MAX: Duration = Duration::from_millis(500);

/// How often a number of a tab is signed again after claims with it came to nothing.
pub const NUMBER_REUSES_MAX: u32 = 16;

/// How often claims are signed anew for one request because the seller says that the number or the tab of those before cannot
/// be used. Each counts against the caps.
pub const CREDIT_REFRESHES: u32 = 4;

/// Deadline of one call of a credit service, as with the network's SDKs.
pub const CREDIT_TIMEOUT: Duration = Duration::from_secs(20);

/// How often a call of a credit service is sent, when that is safe.
pub const CREDIT_TRIES: u32 = 3;

/// Longest time to find out who a credit service is.
pub(crate) const CREDIT_CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// After a credit service could not be connected to, nobody tries again for this long.
pub(crate) const CREDIT_CONNECT_AGAIN: Duration = Duration::from_secs(1);

/// Most certificates whose signatures are checked together: with more of them each would wait longer.
pub(crate) const CERTIFICATES_AT_ONCE: usize = 16;

/// Pause before a call of a credit service is sent again; the next one is twice as long.
pub const CREDIT_PAUSE: Duration = Duration::from_millis(500);

/// How long before its end an access token of a credit service is replaced unless told otherwise.
pub const CREDIT_REFRESH_MARGIN: Duration = Duration::from_secs(60);

/// How long a transaction of the credit client is waited for unless told otherwise, before its end is unknown.
pub const CREDIT_RECEIPT_WAIT: Duration = Duration::from_secs(120);

/// Most gas of a transaction of the credit client: a remuneration needs about half of it.
pub const CREDIT_GAS_MAX: u64 = 1_500_000;

/// Tabs of a payer that are asked for at once.
pub const CREDIT_TABS_PAGE: u32 = 500;

/// Most tabs of a payer that are looked at; those that changed last.
pub const CREDIT_TABS_MAX: u32 = 10_000;

/// Tabs that are looked at side by side.
pub const CREDIT_TABS_AT_ONCE: usize = 8;

/// Guarantees of a tab that are asked for at once: their certificates are a kilobyte each.
pub const CREDIT_GUARANTEES_PAGE: u32 = 1_000;

/// How many such parts are looked at to find out how long a tab that is paid in part may wait.
pub const CREDIT_GUARANTEES_PAGES_MAX: u32 = 10;

/// Payments on tabs whose end is unknown that are looked at in one go.
pub const CREDIT_REPAYMENTS_OPEN_MAX: u32 = 1_000;

/// How often a payment on a tab of an earlier process is looked for.
pub const CREDIT_REPAYMENT_LOOK: Duration = Duration::from_millis(500);
