//! Every size limit of this crate, in one place. All are upper bounds on input from outside, checked before parsing.

/// Longest header value (base64 text, bytes) that a header decoder looks at.
///
/// Real payment headers are 1 to 4 KiB; a `PAYMENT-REQUIRED` with several offers and extensions reaches about 8 KiB.
pub const HEADER_BYTES_MAX: usize = 32 * 1024;

/// Longest JSON body (bytes) of a facilitator request, and of a 402 answer read by a client.
pub const BODY_BYTES_MAX: usize = 128 * 1024;

/// Deepest nesting of objects and arrays inside the open parts of a message (`payload`, `extra`, `extensions`).
pub const JSON_DEPTH_MAX: u16 = 64;

/// Longest `detail` (bytes) that a [`Refusal`](crate::Refusal) or [`Problem`](crate::Problem) carries.
pub const DETAIL_BYTES_MAX: usize = 300;

/// Longest money text (bytes), surrounding blanks included.
pub const MONEY_TEXT_BYTES_MAX: usize = 128;

/// Most decimal digits of a 256-bit unsigned integer.
pub const U256_DIGITS_MAX: usize = 78;

/// Longest `value` text (digits) of a v1 credential: the v1 SDKs refuse longer ones.
pub const V1_VALUE_DIGITS_MAX: usize = 18;

/// Longest BOLT 11 invoice (characters): the most that deployed wallets take. Real ones have 200 to 1 500.
pub const INVOICE_BYTES_MAX: usize = 7_089;

/// Largest macaroon (bytes, decoded). Ours have about 350.
pub const MACAROON_BYTES_MAX: usize = 16 * 1024;

/// Most caveats of one macaroon: each costs a hash when it is verified.
pub const CAVEATS_MAX: usize = 100;

/// Most tokens in one L402 credential.
pub const TOKENS_MAX: usize = 8;

/// Most parameters of one challenge, known and unknown.
pub const CHALLENGE_PARAMETERS_MAX: usize = 32;

/// Longest name of a service, a capability or a method, and longest client binding (bytes), in a caveat of ours.
pub const CAVEAT_NAME_BYTES_MAX: usize = 64;

/// Longest route (bytes) in a caveat of ours.
pub const CAVEAT_ROUTE_BYTES_MAX: usize = 512;

/// Longest unsigned token of l402kit (bytes), preimage included: what l402kit 1.10.1 itself takes.
pub const UNSIGNED_TOKEN_BYTES_MAX: usize = 4_096;

/// Longest Lightning address (bytes): an account in the books is named after it.
pub const LIGHTNING_ADDRESS_BYTES_MAX: usize = 120;

/// Longest signature header of a webhook (bytes).
pub const WEBHOOK_SIGNATURE_BYTES_MAX: usize = 512;

/// Largest token request of the permit rail (bytes). Those of the peers have 650 at most.
pub const TOKEN_REQUEST_BYTES_MAX: usize = 16 * 1024;

/// Longest access token of the permit rail (characters). Ours have about 600.
pub const ACCESS_TOKEN_BYTES_MAX: usize = 4 * 1024;

/// Most `Authorization` lines of one request that are looked into for an access token: each costs a hash.
pub const ACCESS_TOKENS_MAX: usize = 4;

/// Most payment components of one 402 answer of the permit rail.
pub const COMPONENTS_MAX: usize = 64;

/// Longest path (bytes) that an access token is asked for at.
pub const ENDPOINT_BYTES_MAX: usize = 2_048;

/// Largest request to the credit service (bytes). Those of the SDKs have 1 500 at most.
pub const CREDIT_REQUEST_BYTES_MAX: usize = 16 * 1024;

/// Largest answer of a credit service (bytes): lists of tabs and guarantees have no end of their own.
pub const CREDIT_ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Largest content of a certificate (bytes): 416 of version 1, 768 and the tag of version 2.
pub const CERTIFICATE_BYTES_MAX: usize = 2_048;

/// Longest tag (bytes) that a validation has to have.
pub const VALIDATION_TAG_BYTES_MAX: usize = 1_024;

/// Longest message (bytes) of who signs in with a wallet.
pub const SIGN_IN_BYTES_MAX: usize = 4 * 1024;
