//! Every bound of this crate that is not configuration, by name.

use std::time::Duration;

/// Bytes of one JSON-RPC answer. The largest one asked for is a page of event logs.
pub(crate) const RPC_ANSWER_BYTES_MAX: usize = 4 << 20;

/// Bytes kept of a text that a node or a contract sent.
pub(crate) const NODE_TEXT_BYTES_MAX: usize = 200;

/// Connecting to a node takes at most this long, within the configured time for a whole call.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of a payer's signature; wallets with many owners and passkeys stay far below. Longer ones are refused unseen.
pub(crate) const SIGNATURE_BYTES_MAX: usize = 4 << 10;

/// Seconds an authorization must still be valid for when it is verified (specs/x402.md §2.2 step 5).
pub(crate) const VALIDITY_LEFT_SECS: u64 = 6;

/// How long a permit must still be valid for when it is verified, unless the operator says otherwise.
pub(crate) const PERMIT_LEFT: Duration = Duration::from_secs(6);

/// How far back practically every node knows the state of a chain, in blocks; most know 128.
pub(crate) const STATE_BLOCKS: u64 = 100;

/// How long a fee quote is used before the node is asked again.
pub(crate) const FEES_FRESH: Duration = Duration::from_secs(3);

/// A transfer that waited longer than this in a lane's queue is simulated again before it is signed.
pub(crate) const SIMULATION_FRESH: Duration = Duration::from_secs(1);

/// A lane that sent nothing for so long asks the node for its next nonce again.
pub(crate) const NONCE_FRESH: Duration = Duration::from_secs(30);

/// How long a lane believes what it knows of its signer's balance.
pub(crate) const PURSE_FRESH: Duration = Duration::from_secs(10);

/// How often a transaction is signed before it is given up: its nonce may have been taken by somebody else's, its fee may
/// have become too low, a payment of its batch may have gone away.
pub(crate) const SIGNINGS_MAX: u32 = 5;

/// Transactions of one signer that may wait to be mined. Nodes keep about so many per account.
pub(crate) const FLIGHTS_MAX: usize = 64;

/// How long a transaction that is not mined is watched. Afterwards its payments are resolved by their authorizations.
pub(crate) const FLIGHT_MAX: Duration = Duration::from_secs(3600);

/// How often a transaction's fee is raised.
pub(crate) const BUMPS_MAX: u32 = 8;

/// Payments in one transaction, whatever is configured: the contract's own bound.
pub(crate) const BATCH_ITEMS_MAX: usize = 256;

/// Settlements through other contracts that a lane puts off while it fills a batch; then the batch leaves as it is.
pub(crate) const OTHERS_MAX: usize = 256;

/// Bytes of calldata in one transaction. Nodes take no transaction above 128 KiB.
pub(crate) const BATCH_BYTES_MAX: usize = 100 << 10;

/// Gas limit of one transaction with many payments. Protocols allow 2^24 (EIP-7825).
pub(crate) const BATCH_GAS_MAX: u64 = 16_000_000;

/// Gas of one simulation of a deployment and the payment after it.
pub(crate) const PROBE_GAS_MAX: u64 = 16_000_000;

/// How often a settlement tries to get its payer's wallet deployed when those who were on it gave up.
pub(crate) const DEPLOYMENT_TRIES: u32 = 3;

/// How often an idle lane looks at the balance of a signer that has too little.
pub(crate) const POOR_CHECK: Duration = Duration::from_secs(15);

/// A signer with too little is spoken of this often.
pub(crate) const POOR_WARNING_EVERY: Duration = Duration::from_secs(300);

/// While a receipt is awaited, the same signed bytes are sent again this often, in case the network lost them.
pub(crate) const REBROADCAST_EVERY: Duration = Duration::from_secs(12);

/// First pause between two looks for a receipt; it grows by half each time.
pub(crate) const RECEIPT_POLL_FIRST: Duration = Duration::from_millis(12);

/// Longest pause between two looks for a receipt.
pub(crate) const RECEIPT_POLL_MAX: Duration = Duration::from_secs(1);

/// How long an answer about how far the chain is serves everybody who asks whether a settlement is final.
pub(crate) const TIP_FRESH: Duration = Duration::from_millis(200);

/// Calls of `eth_getLogs` in one search for a transfer.
pub(crate) const LOG_CALLS_MAX: u32 = 48;

/// Payments whose transaction was handed to the network and whose end is not known, remembered in this process.
pub(crate) const UNDECIDED_MAX: usize = 50_000;

/// Payers whose balance is remembered, over all tokens of a network: about 150 bytes each.
pub(crate) const ACCOUNTS_MAX: usize = 100_000;

/// Payees that are known to be able to receive money.
pub(crate) const PAYEES_MAX: usize = 10_000;

/// Authorizations that are remembered as unused because they were asked for.
pub(crate) const UNSPENT_MAX: usize = 100_000;

/// Authorizations that are remembered as used or cancelled: about 200 bytes each.
pub(crate) const SPENT_MAX: usize = 200_000;

/// Settlements in progress whose money is counted as gone already.
pub(crate) const HOLDS_MAX: usize = 50_000;

/// A settlement whose end is unknown for so long no longer counts against its payer's money.
pub(crate) const HOLD_AGE_MAX: Duration = Duration::from_secs(600);

/// Blocks whose hashes are remembered when a chain is followed; they are the places to go back to after a
/// reorganisation.
pub(crate) const TRAIL_BLOCKS_MAX: usize = 4_096;

/// Up to so many new blocks are read one by one, each by its hash; more of them by their numbers.
pub(crate) const BLOCKS_BY_HASH_MAX: u64 = 8;

/// When more blocks than this were missed, what was known is forgotten instead of being brought up to date.
pub(crate) const FOLLOW_GAP_BLOCKS_MAX: u64 = 5_000;

/// How far back, in seconds of the chain, uses of authorizations are read when following begins. Clients let
/// authorizations begin up to ten minutes before they sign them.
pub(crate) const BACKFILL_SECS: u64 = 1_800;

/// Pages that are read for that, at most.
pub(crate) const BACKFILL_PAGES_MAX: u32 = 48;

/// A chain on which nobody asked about a payment for so long is not followed until somebody does.
pub(crate) const FOLLOW_IDLE: Duration = Duration::from_secs(300);

/// Bytes of an answer of the credit contract: its list of assets has at most 33 entries of four words.
pub(crate) const CREDIT_ANSWER_BYTES_MAX: usize = 16 << 10;

/// Bytes of a log of the credit contract; its longest has eight words.
pub(crate) const CREDIT_LOG_BYTES_MAX: usize = 1 << 10;

/// Bytes of a certificate's claims that are put into a transaction.
pub(crate) const CREDIT_CLAIMS_BYTES_MAX: usize = 8 << 10;

/// Payment records in one transaction: what fits below [`BATCH_GAS_MAX`] when each writes two new slots.
pub(crate) const CREDIT_RECORDS_MAX: usize = 200;

/// Questions about the credit contract's chain that are asked of a node at once.
pub(crate) const CREDIT_CALLS_AT_ONCE: usize = 8;

/// What is entered in the credit books in one transaction, unless one block has more.
pub(crate) const CREDIT_EVENTS_MAX: usize = 2_000;

/// Calls of one transaction that are looked through for ETH sent by a smart wallet.
pub(crate) const CREDIT_FRAMES_MAX: usize = 20_000;

/// Such payments of one transaction.
pub(crate) const CREDIT_INTERNAL_MAX: usize = 256;

/// Bytes of the symbol a token has for itself.
pub(crate) const CREDIT_SYMBOL_BYTES_MAX: usize = 32;

/// How long the credit books may take for one transaction before they are asked where they stand.
pub(crate) const CREDIT_BOOKS_TIMEOUT: Duration = Duration::from_secs(30);

/// Longest pause after looks at the chain that failed.
pub(crate) const CREDIT_PAUSE_MAX: Duration = Duration::from_secs(15);

/// Of so many looks at the chain that failed in a row, one is warned about.
pub(crate) const CREDIT_FAILURES_TOLD: u32 = 5;

/// Balances that are compared with the contract at once.
pub(crate) const CREDIT_RECONCILE_PAGE: u32 = 200;

/// How often a page of them is tried.
pub(crate) const CREDIT_RECONCILE_TRIES: u32 = 5;

/// Differences a report names.
pub(crate) const CREDIT_DIFFERENCES_MAX: usize = 1_000;

/// Comparisons that may be asked for at once.
pub(crate) const CREDIT_REPORTS_WAITING_MAX: usize = 16;

/// Payments the sender of the operator asks the books for: those it has told and that are not final yet are among them.
pub(crate) const CREDIT_UNTOLD_MAX: u32 = 20_000;

/// Transactions that record payments and are not mined yet; what comes meanwhile goes along with the next one.
pub(crate) const CREDIT_TELLING_MAX: usize = 4;

/// Payment records that are looked up at once.
pub(crate) const CREDIT_LOOKUPS_MAX: usize = 200;

/// Gas that redeeming a certificate may take: pairing, a decoder with its registry, a token behind a proxy.
pub(crate) const REDEEM_GAS_MAX: u64 = 1_000_000;

/// Held tabs that the books are asked for at once.
pub(crate) const REDEEM_PAGE: u32 = 500;

/// Held tabs that are looked at in one round.
pub(crate) const REDEEM_TABS_MAX: usize = 20_000;

/// Certificates that are redeemed in one round; the others are next.
pub(crate) const REDEEM_SENT_MAX: usize = 200;

/// Certificates that are redeemed at once.
pub(crate) const REDEEM_AT_ONCE: usize = 8;

/// Redemptions with an unknown end that are looked up in one round.
pub(crate) const REDEEM_UNKNOWN_MAX: u32 = 1_000;

/// Certificates of a tab that are tried when a condition keeps the largest from being redeemed.
pub(crate) const REDEEM_CANDIDATES_MAX: u32 = 64;

/// How long a tab is left alone after its first redemption; twice as long after each further one.
pub(crate) const REDEEM_PAUSE_FIRST: Duration = Duration::from_secs(300);

/// The longest of these pauses.
pub(crate) const REDEEM_PAUSE_MAX: Duration = Duration::from_secs(12 * 3_600);

/// Longer than any transaction is watched ([`FLIGHT_MAX`]).
pub(crate) const CREDIT_LATER: Duration = Duration::from_secs(2 * 3_600);

/// Gas for a contract wallet that is asked whether it signed: several owners, or a signature scheme in Solidity.
pub(crate) const WALLET_GAS_MAX: u64 = 3_000_000;

/// Contract wallets that are asked at once about what is no payment.
pub(crate) const WALLET_ASKED_AT_ONCE: usize = 32;

/// How long books that were set back may take to be at the end of the chain again.
pub(crate) const CREDIT_REWIND_PATIENCE: Duration = Duration::from_secs(6 * 3_600);
