//! What can go wrong, by operation family.

use std::{net::SocketAddr, time::Duration};

use alloy_primitives::{Address, B256, Bytes, U256};
use faregate_types::Erc20;

/// Why the dev chain did not start, or why a direct control did not work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DevchainError {
    /// The address to listen on is taken or not ours.
    #[error("cannot listen on {addr}")]
    Bind {
        /// The address asked for.
        addr: SocketAddr,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// The chain id has no official test asset and the configuration names none.
    #[error("chain id {0} has no known USDC: name an asset in the configuration")]
    UnknownChain(u64),
    /// No chain has the id 0.
    #[error("chain id 0 is not possible")]
    ZeroChain,
    /// The configured asset is on another chain.
    #[error("asset {asset} is not on chain {chain}")]
    OtherChain {
        /// The asset of the configuration.
        asset: Erc20,
        /// The chain id of the configuration.
        chain: u64,
    },
    /// The block time is shorter than the chain can keep.
    #[error("block time {0:?} is too short: expected at least 10 milliseconds")]
    BlockTime(Duration),
    /// A committed contract could not be read or did not run: a bug of ours.
    #[error("contract {name} could not be set up: {reason}")]
    Contract {
        /// Name of the contract.
        name: &'static str,
        /// What was wrong with it.
        reason: &'static str,
    },
    /// The control was refused.
    #[error(transparent)]
    Control(#[from] ControlError),
    /// The transaction was refused.
    #[error(transparent)]
    Rejected(#[from] TxRejection),
    /// A call on the chain failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The chain stopped while the call was under way.
    #[error("the dev chain has stopped")]
    Stopped,
}

/// Why a transaction was not taken, in order of precedence. The texts begin like those of geth, because clients compare them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TxRejection {
    /// More bytes than the pool takes.
    #[error("oversized data: transaction size {size}, limit {max}")]
    Oversized {
        /// Bytes sent.
        size: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// Not the encoding of a transaction.
    #[error("rlp: cannot decode the transaction")]
    Undecodable,
    /// A type this chain does not run (blobs).
    #[error("transaction type not supported")]
    TypeNotSupported,
    /// Signed for another chain.
    #[error("invalid chain id for signer: have {have} want {want}")]
    ChainId {
        /// The transaction's chain id.
        have: u64,
        /// This chain's id.
        want: u64,
    },
    /// The signature is not one.
    #[error("invalid sender: the signature does not recover")]
    Signature,
    /// Already in the pool.
    #[error("already known")]
    AlreadyKnown,
    /// The tip is above the whole fee.
    #[error(
        "max priority fee per gas higher than max fee per gas: address {from}, maxPriorityFeePerGas: {tip}, maxFeePerGas: {fee}"
    )]
    TipAboveFee {
        /// Sender.
        from: Address,
        /// Tip in wei per gas.
        tip: u128,
        /// Fee in wei per gas.
        fee: u128,
    },
    /// More gas than a block has.
    #[error("exceeds block gas limit: tx gas {gas}, block gas limit {max}")]
    GasLimit {
        /// Gas of the transaction.
        gas: u64,
        /// Gas of a block.
        max: u64,
    },
    /// Creation code over the limit of EIP-3860.
    #[error("max initcode size exceeded: code size {size} limit {max}")]
    InitCode {
        /// Bytes of creation code.
        size: usize,
        /// Bytes allowed.
        max: usize,
    },
    /// A set-code transaction without authorizations.
    #[error("EIP-7702 transaction with empty auth list")]
    EmptyAuthorizations,
    /// Less gas than the transaction costs before it runs.
    #[error("intrinsic gas too low: gas {have}, minimum needed {want}")]
    IntrinsicGas {
        /// Gas of the transaction.
        have: u64,
        /// Gas it needs at least.
        want: u64,
    },
    /// The nonce is the highest number there is, which nobody may use (EIP-2681).
    #[error("nonce has max value")]
    NonceMax,
    /// The nonce was used.
    #[error("nonce too low: address {from}, tx: {have} state: {want}")]
    NonceTooLow {
        /// Sender.
        from: Address,
        /// Nonce of the transaction.
        have: u64,
        /// Next nonce of the account.
        want: u64,
    },
    /// The fee is below the base fee of the next block, and the chain would never mine it at once.
    #[error(
        "max fee per gas less than block base fee: address {from}, maxFeePerGas: {fee}, baseFee: {base_fee}"
    )]
    FeeBelowBase {
        /// Sender.
        from: Address,
        /// Fee in wei per gas.
        fee: u128,
        /// Base fee in wei per gas.
        base_fee: u64,
    },
    /// The balance does not cover gas and value.
    #[error("insufficient funds for gas * price + value: address {from} have {have} want {want}")]
    Funds {
        /// Sender.
        from: Address,
        /// Balance in wei.
        have: U256,
        /// Cost in wei.
        want: U256,
    },
    /// Another transaction of this sender and nonce waits, and this one does not pay 10 % more.
    #[error("replacement transaction underpriced")]
    Underpriced,
    /// No room for another transaction.
    #[error("txpool is full")]
    PoolFull,
    /// The interpreter refused it for a reason not checked above.
    #[error("invalid transaction: {0}")]
    Invalid(&'static str),
}

/// Why a call or an estimate has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The block is not there.
    #[error("header not found")]
    NoBlock,
    /// The block is older than the states kept.
    #[error("missing trie node: the state of block {block} is no longer kept (oldest: {oldest})")]
    StatePruned {
        /// The block asked for.
        block: u64,
        /// The oldest block whose state can be read.
        oldest: u64,
    },
    /// The contract reverted.
    #[error("execution reverted{}", .reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default())]
    Reverted {
        /// Text of `Error(string)` or meaning of `Panic(uint256)`, when it was one of those.
        reason: Option<String>,
        /// What the contract returned.
        data: Bytes,
    },
    /// The interpreter stopped.
    #[error("{0}")]
    Halted(String),
    /// The whole allowance was not enough.
    #[error("gas required exceeds allowance ({0})")]
    GasAllowance(u64),
    /// The sender cannot pay for the call.
    #[error("insufficient funds for gas * price + value: address {from} have {have}")]
    Funds {
        /// Sender.
        from: Address,
        /// Balance in wei.
        have: U256,
    },
    /// The call was refused before it ran.
    #[error(transparent)]
    Rejected(#[from] TxRejection),
    /// Both or neither of two arguments that exclude or need each other.
    #[error("{0}")]
    Argument(&'static str),
}

/// Why a control was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// Time may not go back.
    #[error("timestamp error: {asked} is lower than the previous block's timestamp {parent}")]
    TimeBackwards {
        /// The time asked for.
        asked: u64,
        /// The newest block's time.
        parent: u64,
    },
    /// Time beyond the year 9999.
    #[error("timestamp error: {0} is out of range")]
    TimeRange(u64),
    /// Deeper than the chain, or than the states kept.
    #[error("cannot go back {asked} blocks: at most {max} are possible")]
    Depth {
        /// Blocks asked for.
        asked: u64,
        /// Blocks possible.
        max: u64,
    },
    /// More blocks than one request may mine.
    #[error("cannot mine {asked} blocks at once: at most {max}")]
    TooManyBlocks {
        /// Blocks asked for.
        asked: u64,
        /// Blocks allowed.
        max: u64,
    },
    /// A nonce below the present one would let a transaction be sent twice.
    #[error("new nonce must not be lower than {current}")]
    NonceLower {
        /// The nonce as it stands.
        current: u64,
    },
    /// A transaction for a reorganised chain names a block outside of it.
    #[error("block {asked} is outside of the {depth} new blocks")]
    BlockOutside {
        /// The block asked for.
        asked: u64,
        /// New blocks.
        depth: u64,
    },
    /// The code is not valid bytecode.
    #[error("invalid bytecode")]
    Bytecode,
}

/// Why a log query was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The end is before the start.
    #[error("invalid block range params")]
    Range,
    /// More blocks than one query may look at.
    #[error("query exceeds max block range {max}")]
    TooManyBlocks {
        /// Blocks allowed.
        max: u64,
    },
    /// More logs than one answer may hold.
    #[error("query returned more than {max} results")]
    TooManyLogs {
        /// Logs allowed.
        max: usize,
    },
    /// No block has this hash.
    #[error("unknown block {0}")]
    NoBlock(B256),
    /// The blocks are older than those kept.
    #[error("blocks before {oldest} are no longer kept")]
    Pruned {
        /// Oldest block kept.
        oldest: u64,
    },
    /// No such filter.
    #[error("filter not found")]
    NoFilter,
}
