//! The numbers of the gate. What holds for every server is in [`crate::limits`].

use std::time::Duration;

/// Default port of the gate.
pub const GATE_PORT: u16 = 4021;

/// Default port of the facilitator, which the same file may configure.
pub const FACILITATOR_PORT: u16 = 4022;

/// Default port of the admin address, when there is one.
pub const ADMIN_PORT: u16 = 4023;

/// How long a signed payment has to stay valid unless a route says otherwise, in seconds. Long enough for a slow chain.
pub const PAYMENT_TIMEOUT_SECS: u64 = 60;

/// Most faults that are reported about one configuration file.
pub const CONFIG_ERRORS_MAX: usize = 100;

/// Most routes of a gate.
pub const ROUTES_MAX: usize = 1_000;

/// How long others may keep the list of what is sold over Lightning, in seconds.
pub const MANIFEST_MAX_AGE_SECS: u32 = 300;

/// Most prices of a route, each another way to pay.
pub const PRICES_MAX: usize = 8;

/// How long an access token works unless the file says otherwise, in seconds; as the product's.
pub const ACCESS_TOKEN_SECS: u64 = 3_600;

/// How many prices one payer may owe for tokens unless the file says otherwise.
pub const EXPOSURE_PRICES: u64 = 10;

/// The most prices that one payer may owe.
pub const EXPOSURE_PRICES_MAX: u64 = 1_000_000;

/// How long a token of L402 works unless a route says otherwise, in seconds.
pub const TOKEN_VALID_SECS: u64 = 3_600;

/// Longest that a token works, in seconds: a year.
pub const TOKEN_VALID_SECS_MAX: u64 = 365 * 24 * 60 * 60;

/// How much longer a token works than its invoice can be paid, at least, in seconds.
pub const TOKEN_SLACK_SECS: u64 = 60;

/// Most requests that a token opens, unless it opens any number.
pub const TOKEN_USES_MAX: u64 = 1_000_000;

/// How long an invoice can be paid, in seconds.
pub const INVOICE_EXPIRY_SECS: std::ops::RangeInclusive<u64> = 60..=86_400;

/// Most invoices for a client in a minute, and most that are made at once.
pub const INVOICES_MAX: u64 = 1_000_000;

/// Most keys of earlier tokens. Each is tried with each token that the first does not fit.
pub const OLD_MASTER_KEYS_MAX: usize = 8;

/// Longest file with a certificate of a wallet, in bytes.
pub const CERTIFICATE_BYTES_MAX: u64 = 64 * 1024;

/// Longest description of a route, in characters: it travels in a header, and other facilitators refuse longer ones.
pub const DESCRIPTION_CHARS_MAX: usize = 500;

/// Longest media type of a route, in characters.
pub const MIME_TYPE_CHARS_MAX: usize = 127;

/// Idle connections to one upstream that are kept for later.
pub const IDLE_CONNECTIONS_MAX: usize = 256;

/// How long such a connection is kept.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Time to connect to an upstream.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long both sides of a WebSocket may take to hand their connections over after the handshake.
pub const TUNNEL_OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the other side of a WebSocket may go on after one has ended.
pub const TUNNEL_LINGER: Duration = Duration::from_secs(1);

/// Bytes that a WebSocket holds in each direction while the other side is slow.
pub const TUNNEL_BUFFER_BYTES: usize = 8 * 1024;

/// Time for the facilitator to say what it supports when the gate starts.
pub const SUPPORTED_TIMEOUT: Duration = Duration::from_secs(10);

/// Longest replay window that may be configured, in seconds: a year.
pub const REPLAY_WINDOW_SECS_MAX: u64 = 365 * 24 * 60 * 60;

/// Sizes and times of a gate. The file may change them under `[gate.limits]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GatewayLimits {
    /// Longest body of any request, in bytes. On a free route it streams through.
    pub request_body_bytes_max: usize,
    /// Longest body of a paid request, in bytes. It is read whole before the payment is claimed.
    pub paid_body_bytes_max: usize,
    /// Longest answer of a route that settles after it served, in bytes. It is held back until the money has moved.
    pub response_bytes_max: usize,
    /// Longest answer that is kept for copies, in bytes.
    pub kept_bytes_max: usize,
    /// How long kept answers are given to copies. Later ones are told that the payment was used.
    pub replay_window: Duration,
    /// All kept answers together, in bytes. Above it the oldest are dropped before their time.
    pub kept_total_bytes_max: u64,
    /// Requests that are worked on at the same time; more get 503 at once.
    pub requests_max: usize,
    /// Connections at the same time; more wait.
    pub connections_max: usize,
    /// WebSocket connections at the same time; more get 503 before they pay.
    pub tunnels_max: usize,
    /// Time for the upstream to answer with its head.
    pub upstream_timeout: Duration,
    /// Time between two pieces of the upstream's answer, and longest silence on a WebSocket. A stream that flows has no
    /// other end.
    pub stream_idle_timeout: Duration,
    /// Time for a whole request until the head of its answer leaves.
    pub request_timeout: Duration,
}

impl Default for GatewayLimits {
    fn default() -> Self {
        Self {
            request_body_bytes_max: 16 * 1024 * 1024,
            paid_body_bytes_max: faregate_tower::limits::REQUEST_BODY_BYTES_MAX,
            response_bytes_max: faregate_tower::limits::RESPONSE_BYTES_MAX,
            kept_bytes_max: faregate_tower::limits::KEPT_BYTES_MAX,
            replay_window: Duration::from_secs(faregate_core::recovery::REPLAY_WINDOW_SECS),
            kept_total_bytes_max: faregate_core::recovery::KEPT_BYTES_MAX,
            requests_max: crate::limits::REQUESTS_MAX,
            connections_max: crate::limits::CONNECTIONS_MAX,
            tunnels_max: 1_024,
            upstream_timeout: Duration::from_secs(60),
            stream_idle_timeout: Duration::from_secs(120),
            request_timeout: crate::limits::REQUEST_TIMEOUT,
        }
    }
}
