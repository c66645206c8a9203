//! Payments of the permit rail, as calls of our contract `PermitSettler` (`contracts/src/PermitSettler.sol`): payers sign
//! for its address, and it moves what they signed to one treasury, which is part of its code.
//!
//! Nothing is asked or sent here: addresses, calldata and gas limits go out, answers and logs are read. The contract moves
//! **all of what was signed or nothing**, so the amount of a payment is the signed one and not the price.
//!
//! - An item that somebody else settled first, with this contract, fails as [`Reason::AlreadyCollected`], or for Permit2 with
//!   Permit2's own error; the log of that other transaction is a [`Event::Collected`].
//! - [`Reason::AlreadyUsed`] says that an authorization was executed or cancelled before; the token's events tell which.
//! - A token that lies is reported as settled, so what counts is its `Transfer` to the treasury.

use alloy_primitives::{Address, B256, Bytes, LogData, U256, address, hex};
use alloy_sol_types::{Revert, SolCall, SolError, SolEvent, SolValue};
use faregate_types::permit::{Permit, PermitKind, Terms};
use faregate_types::{Signature65, permit2};

use crate::bindings::PermitSettler as Abi;
use crate::limits::{BATCH_BYTES_MAX, BATCH_GAS_MAX, BATCH_ITEMS_MAX};

/// Gas for one item, enough for the dearest of the kinds with official tokens: a payer's first permit (87,000), behind a
/// proxy, paid to a treasury that had nothing.
pub const ITEM_GAS: u64 = 150_000;

/// Gas the contract sets aside per item, and per run of authorizations: its constant `ITEM_OVERHEAD`.
const ITEM_OVERHEAD: u64 = 8_000;

/// What the contract needs per item before the first one begins, to find the runs.
const LOOK_GAS: u64 = 1_500;

/// What every transaction costs, and decoding, checking and the result of a batch beside its items.
const FIXED_GAS: u64 = 21_000 + 30_000;

/// Bytes of an encoded item: ten words.
pub(crate) const ITEM_BYTES: usize = 10 * 32;

/// Where the deterministic deployment proxy stands on every chain.
const CREATE2_DEPLOYER: Address = address!("0x4e59b44847b379578588920cA78FbF26c0B4956C");

/// `bytecode` of `contracts/artifacts/PermitSettler.json`, in hexadecimal digits.
const CREATION: &str = include_str!("permit_settler/creation.hex");

/// One signed payment, as the contract takes it: made by [`PermitSettler::item`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item {
    kind: PermitKind,
    token: Address,
    payer: Address,
    value: U256,
    valid_after: U256,
    deadline: U256,
    nonce: U256,
    signature: Signature65,
}

/// Why the contract cannot collect a permit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NotOurs {
    /// The payer signed for this address and not for the contract's.
    #[error("the permit is for {0} and not for the settler")]
    Payee(Address),
    /// The payer takes another contract for Permit2.
    #[error("{0} is not Permit2")]
    Permit2(Address),
}

impl Item {
    /// Who signed.
    #[must_use]
    pub const fn payer(&self) -> Address {
        self.payer
    }

    /// The nonce as events have it.
    #[must_use]
    pub const fn nonce(&self) -> U256 {
        self.nonce
    }

    /// The token.
    #[must_use]
    pub const fn token(&self) -> Address {
        self.token
    }

    /// What will move, in the token's atomic units.
    #[must_use]
    pub const fn value(&self) -> U256 {
        self.value
    }

    fn encode(&self) -> Abi::Item {
        Abi::Item {
            kind: match self.kind {
                PermitKind::Eip2612 => Abi::Kind::Permit,
                PermitKind::Erc3009 => Abi::Kind::Authorization,
                PermitKind::Permit2 => Abi::Kind::Permit2,
            },
            token: self.token,
            payer: self.payer,
            value: self.value,
            validAfter: self.valid_after,
            deadline: self.deadline,
            nonce: self.nonce,
            v: self.signature.v,
            r: self.signature.r,
            s: self.signature.s,
        }
    }

    /// Whether a call of the contract has this very item, signature included.
    pub(crate) fn is(&self, other: &Abi::Item) -> bool {
        self.encode() == *other
    }

    /// The token of an authorization, whose money is handed on together with that of others beside it.
    pub(crate) fn run(&self) -> Option<Address> {
        (self.kind == PermitKind::Erc3009).then_some(self.token)
    }

    /// Where it stands in a batch that wastes nothing, see [`arrange`].
    pub(crate) fn order(&self) -> (u8, Address, Address, U256) {
        match self.kind {
            PermitKind::Eip2612 => (0, self.token, self.payer, self.nonce),
            PermitKind::Permit2 => (1, Address::ZERO, Address::ZERO, U256::ZERO),
            PermitKind::Erc3009 => (2, self.token, Address::ZERO, U256::ZERO),
        }
    }
}

/// The contract of one treasury.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PermitSettler {
    treasury: Address,
    address: Address,
}

/// What to send to which contract.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Call {
    /// The contract.
    pub to: Address,
    /// The calldata.
    pub data: Bytes,
    /// A gas limit that is enough.
    pub gas: u64,
}

/// Why a batch was not put together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// There are no items.
    #[error("a batch has at least one payment")]
    Empty,
    /// Not all of them fit into one transaction; so many from the beginning do.
    #[error("only {fits} of the payments fit into one transaction")]
    TooLarge {
        /// How many fit, counted from the first.
        fits: usize,
    },
}

impl PermitSettler {
    /// The contract that pays this treasury, on every chain; `None` for the zero address, which no contract takes. It
    /// hashes 6 kB, so keep the answer.
    #[must_use]
    pub fn of(treasury: Address) -> Option<Self> {
        let code = creation(treasury)?;
        Some(Self {
            treasury,
            address: CREATE2_DEPLOYER.create2_from_code(B256::ZERO, code),
        })
    }

    /// Where everything goes.
    #[must_use]
    pub const fn treasury(&self) -> Address {
        self.treasury
    }

    /// What payers sign for: the spender of permits, the payee of authorizations.
    #[must_use]
    pub const fn address(&self) -> Address {
        self.address
    }

    /// The call that puts the contract onto a chain. Anyone may send it, once.
    #[must_use]
    pub fn deployment(&self) -> Call {
        let code = creation(self.treasury).unwrap_or_default();
        Call {
            to: CREATE2_DEPLOYER,
            data: [B256::ZERO.as_slice(), &code].concat().into(),
            gas: 2_500_000,
        }
    }

    /// A permit as an item. Whether it is signed by its payer, and for which chain, is checked elsewhere.
    ///
    /// # Errors
    /// [`NotOurs`] when nothing could be collected with it here.
    pub fn item(&self, permit: &Permit) -> Result<Item, NotOurs> {
        let terms = &permit.terms;
        if terms.payee() != self.address {
            return Err(NotOurs::Payee(terms.payee()));
        }
        let (valid_after, deadline, nonce) = match terms {
            Terms::Eip2612 { permit, .. } => (U256::ZERO, permit.deadline, permit.nonce),
            Terms::Erc3009 { authorization, .. } => (
                authorization.valid_after,
                authorization.valid_before,
                authorization.nonce.into(),
            ),
            Terms::Permit2 { contract, .. } if *contract != permit2::CONTRACT => {
                return Err(NotOurs::Permit2(*contract));
            }
            Terms::Permit2 { transfer, .. } => (U256::ZERO, transfer.deadline, transfer.nonce),
        };
        Ok(Item {
            kind: terms.kind(),
            token: terms.token(),
            payer: terms.payer(),
            value: terms.value(),
            valid_after,
            deadline,
            nonce,
            signature: permit.signature,
        })
    }

    /// The call that settles one payment, or reverts with a [`Reason`].
    #[must_use]
    pub fn single(&self, item: &Item, item_gas: u64) -> Call {
        let call = Abi::settleOneCall {
            item: item.encode(),
        };
        let forwards = u64::from(item.kind == PermitKind::Erc3009).saturating_add(1);
        Call {
            to: self.address,
            data: call.abi_encode().into(),
            gas: FIXED_GAS.saturating_add(item_gas.saturating_mul(forwards)),
        }
    }

    /// The call that settles many payments, each for itself, where none may burn more than `item_gas` (0 for no bound, which
    /// lets one starve those behind it; the gas limit is then as for [`ITEM_GAS`]).
    ///
    /// Items are taken in this order. Permits of one payer and token have to come by their nonces, and authorizations of one
    /// token are cheaper side by side: [`arrange`] sees to both.
    ///
    /// # Errors
    /// [`BatchError`] when there are none, or more than one transaction can hold.
    pub fn batch(&self, items: &[Item], item_gas: u64) -> Result<Call, BatchError> {
        let fits = fits(items, item_gas);
        if items.is_empty() {
            return Err(BatchError::Empty);
        }
        if fits < items.len() {
            return Err(BatchError::TooLarge { fits });
        }
        let call = Abi::settleCall {
            items: items.iter().map(Item::encode).collect(),
            gasPerItem: U256::from(item_gas),
        };
        Ok(Call {
            to: self.address,
            data: call.abi_encode().into(),
            gas: gas(items, item_gas),
        })
    }

    /// The call that hands on what authorizations brought here without this contract's doing.
    #[must_use]
    pub fn forward(&self, token: Address) -> Call {
        Call {
            to: self.address,
            data: Abi::forwardCall { token }.abi_encode().into(),
            gas: FIXED_GAS.saturating_add(ITEM_GAS),
        }
    }

    /// The question whether a permit was collected; its answer is one word, 1 or 0.
    #[must_use]
    pub fn collected(&self, token: Address, payer: Address, nonce: U256) -> Bytes {
        let call = Abi::collectedCall {
            token,
            payer,
            nonce,
        };
        call.abi_encode().into()
    }
}

/// The creation code with its argument.
fn creation(treasury: Address) -> Option<Vec<u8>> {
    if treasury.is_zero() {
        return None;
    }
    let mut code = hex::decode(CREATION.trim_end()).ok()?;
    code.extend_from_slice(&treasury.abi_encode());
    Some(code)
}

/// Puts items into an order that wastes nothing: permits by payer, token and nonce, authorizations by token.
pub fn arrange(items: &mut [Item]) {
    items.sort_by_key(Item::order);
}

/// How many of these items, from the first, one transaction can hold.
#[must_use]
pub fn fits(items: &[Item], item_gas: u64) -> usize {
    let bytes_max = BATCH_BYTES_MAX.checked_div(ITEM_BYTES).unwrap_or_default();
    let count = items.len().min(BATCH_ITEMS_MAX).min(bytes_max);
    // Grows with every item, so the first count that fits is the largest.
    let ok = |count: &usize| {
        items
            .get(..*count)
            .is_some_and(|items| gas(items, item_gas) <= BATCH_GAS_MAX)
    };
    (0..=count).rev().find(ok).unwrap_or_default()
}

/// The most gas a batch can need, at 16 gas a byte of calldata.
fn gas(items: &[Item], gas_each: u64) -> u64 {
    let gas_each = if gas_each == 0 { ITEM_GAS } else { gas_each };
    let next = items.iter().skip(1).map(Some).chain([None]);
    let ends = items
        .iter()
        .zip(next)
        .map(|(item, next)| item.run().is_some() && next.and_then(Item::run) != item.run());
    ends.map(|ends| item_gas(gas_each, ends))
        .fold(FIXED_GAS, u64::saturating_add)
        // Only 63 of 64 parts are handed on, so the last call needs a little behind it.
        .saturating_add(gas_each.div_ceil(63))
}

/// The most gas one item of a batch can need, and the handing on when it is one of its own.
pub(crate) fn item_gas(gas_each: u64, hands_on: bool) -> u64 {
    let bytes = u64::try_from(ITEM_BYTES).unwrap_or(u64::MAX);
    let calls = u64::from(hands_on).saturating_add(1);
    gas_each
        .saturating_add(ITEM_OVERHEAD)
        .saturating_mul(calls)
        .saturating_add(LOOK_GAS)
        .saturating_add(bytes.saturating_mul(16))
}

/// Which items of a simulated batch settle; `None` when the answer is not one of the contract to so many items.
#[must_use]
pub fn verdicts(answer: &[u8], items: usize) -> Option<Vec<bool>> {
    let verdicts = Abi::settleCall::abi_decode_returns(answer).ok()?;
    (verdicts.len() == items).then_some(verdicts)
}

/// What the contract logs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A permit or a Permit2 payment reached the treasury. Tokens log authorizations themselves.
    #[non_exhaustive]
    Collected {
        /// The token.
        token: Address,
        /// Who paid.
        payer: Address,
        /// The item's nonce.
        nonce: U256,
        /// How much.
        value: U256,
    },
    /// An item of a batch moved nothing.
    #[non_exhaustive]
    ItemFailed {
        /// Its place in the batch, from 0.
        index: U256,
        /// The payer it named.
        payer: Address,
        /// The nonce it named.
        nonce: U256,
        /// Why.
        reason: Reason,
    },
    /// Money of authorizations waits at the contract, because its token did not let it go on.
    #[non_exhaustive]
    ForwardFailed {
        /// The token.
        token: Address,
        /// Why.
        reason: Reason,
    },
}

impl Event {
    /// Reads a log that the contract emitted; `None` when it is something else. Who emitted it is for the caller to check.
    #[must_use]
    pub fn decode(log: &LogData) -> Option<Self> {
        match *log.topics().first()? {
            Abi::Collected::SIGNATURE_HASH => {
                let event = Abi::Collected::decode_log_data(log).ok()?;
                Some(Self::Collected {
                    token: event.token,
                    payer: event.payer,
                    nonce: event.nonce,
                    value: event.value,
                })
            }
            Abi::ItemFailed::SIGNATURE_HASH => {
                let event = Abi::ItemFailed::decode_log_data(log).ok()?;
                Some(Self::ItemFailed {
                    index: event.index,
                    payer: event.payer,
                    nonce: event.nonce,
                    reason: Reason::decode(&event.reason),
                })
            }
            Abi::ForwardFailed::SIGNATURE_HASH => {
                let event = Abi::ForwardFailed::decode_log_data(log).ok()?;
                Some(Self::ForwardFailed {
                    token: event.token,
                    reason: Reason::decode(&event.reason),
                })
            }
            _ => None,
        }
    }
}

/// Why an item moved nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The permit was collected before.
    AlreadyCollected,
    /// The authorization was executed or cancelled before.
    AlreadyUsed,
    /// The token's count of the payer's permits is not at this permit.
    NonceMismatch(U256),
    /// The token took the permit without looking at it.
    PermitIgnored,
    /// The permit's nonce is spent, and its deadline has passed.
    Expired,
    /// The permit's nonce is spent, and the payer did not sign this.
    NotSigned,
    /// There is no token at the address.
    NoToken,
    /// The token answered with something else than success.
    Refused,
    /// Nothing was said: the item ran out of gas.
    Silent,
    /// What the token or Permit2 said, at most 256 bytes.
    Other(Bytes),
}

impl Reason {
    /// Reads what a call reverted with, or what an event repeats of it.
    #[must_use]
    pub fn decode(data: &Bytes) -> Self {
        let is = |selector: [u8; 4]| data.as_ref() == selector;
        if data.is_empty() {
            Self::Silent
        } else if is(Abi::AlreadyCollected::SELECTOR) {
            Self::AlreadyCollected
        } else if is(Abi::AlreadyUsed::SELECTOR) {
            Self::AlreadyUsed
        } else if let Ok(error) = Abi::NonceMismatch::abi_decode(data) {
            Self::NonceMismatch(error.next)
        } else if is(Abi::PermitIgnored::SELECTOR) {
            Self::PermitIgnored
        } else if is(Abi::Expired::SELECTOR) {
            Self::Expired
        } else if is(Abi::NotSigned::SELECTOR) {
            Self::NotSigned
        } else if is(Abi::NoToken::SELECTOR) {
            Self::NoToken
        } else if is(Abi::Refused::SELECTOR) {
            Self::Refused
        } else {
            Self::Other(data.clone())
        }
    }
}

impl Reason {
    /// What the token said in words.
    pub(crate) fn words(&self) -> Option<String> {
        match self {
            Self::Other(data) => Some(Revert::abi_decode(data).ok()?.reason),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;
