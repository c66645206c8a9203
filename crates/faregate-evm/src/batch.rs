//! Many payments in one transaction: a call of the contract `BatchSettler` (`contracts/src/BatchSettler.sol`), which
//! hands each authorization to its token and lets each fail for itself.
//!
//! The contract wants `gas per item + its own overhead` for every item that is still to come, so that no item can starve
//! the ones behind it. What is not used is given back, as always.

use alloy_primitives::{Address, Bytes};
use alloy_sol_types::SolCall;
use faregate_types::x402::exact::ExactPayment;

use crate::bindings::Settler;
use crate::config::NetworkConfig;
use crate::limits::{BATCH_BYTES_MAX, BATCH_GAS_MAX, BATCH_ITEMS_MAX};

/// Gas the contract sets aside per item: its constant `ITEM_OVERHEAD`.
const ITEM_OVERHEAD: u64 = 22_000;

/// What every transaction costs, and decoding, checking and the result of a batch beside its items.
const FIXED_GAS: u64 = 21_000 + 30_000;

/// Bytes of an encoded item beside its signature: offset, eight words, the signature's length and padding.
const ITEM_BYTES: usize = 11 * 32;

/// One payment of a batch. `signature` is what the token shall see: 65 bytes, or what a wallet signs with.
pub(crate) fn item(payment: &ExactPayment, signature: Bytes) -> Settler::Item {
    let authorization = &payment.payload.authorization;
    Settler::Item {
        token: payment.terms.asset.token(),
        from: authorization.from,
        to: authorization.to,
        value: authorization.value,
        validAfter: authorization.valid_after,
        validBefore: authorization.valid_before,
        nonce: authorization.nonce,
        signature,
    }
}

/// Where batches go, and how large they may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batching {
    pub(crate) settler: Address,
    items_max: usize,
    item_gas: u64,
}

/// What is left of a batch that is being filled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    items: usize,
    bytes: usize,
    gas: u64,
}

impl Batching {
    /// `None` when payments leave alone.
    pub(crate) fn of(config: &NetworkConfig) -> Option<Self> {
        Some(Self {
            settler: config.batch_settler?,
            items_max: config.batch_items_max.clamp(1, BATCH_ITEMS_MAX),
            item_gas: config.batch_item_gas,
        })
    }

    pub(crate) const fn room(&self) -> Room {
        Room {
            items: self.items_max,
            bytes: BATCH_BYTES_MAX,
            gas: BATCH_GAS_MAX.saturating_sub(FIXED_GAS),
        }
    }

    /// Takes a place for one more item; false when there is none.
    pub(crate) fn take(&self, room: &mut Room, item: &Settler::Item) -> bool {
        let bytes = ITEM_BYTES.saturating_add(item.signature.len());
        let gas = self.gas_of(1, bytes);
        let left = (
            room.items.checked_sub(1),
            room.bytes.checked_sub(bytes),
            room.gas.checked_sub(gas),
        );
        let (Some(items), Some(bytes), Some(gas)) = left else {
            return false;
        };
        *room = Room { items, bytes, gas };
        true
    }

    /// The most gas some items with so many bytes of calldata can need, at 16 gas a byte.
    fn gas_of(&self, items: u64, bytes: usize) -> u64 {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let each = self.item_gas.saturating_add(ITEM_OVERHEAD);
        let inside = items.saturating_mul(each);
        // Only 63 of 64 parts are handed on, so the last item needs a little behind it.
        let behind = self.item_gas.div_ceil(63);
        inside
            .saturating_add(bytes.saturating_mul(16))
            .saturating_add(behind)
    }

    /// The call, and the gas limit it needs.
    pub(crate) fn call<'a>(&self, items: impl Iterator<Item = &'a Settler::Item>) -> (Bytes, u64) {
        let call = Settler::settleCall {
            items: items.cloned().collect(),
            gasPerItem: alloy_primitives::U256::from(self.item_gas),
        };
        let count = u64::try_from(call.items.len()).unwrap_or(u64::MAX);
        let data = call.abi_encode();
        let gas = self.gas_of(count, data.len()).saturating_add(FIXED_GAS);
        (data.into(), gas.min(BATCH_GAS_MAX))
    }
}

/// Which items of a simulated batch settle; `None` when the answer is not one of this contract to so many items.
pub(crate) fn verdicts(answer: &[u8], items: usize) -> Option<Vec<bool>> {
    let verdicts = Settler::settleCall::abi_decode_returns(answer).ok()?;
    (verdicts.len() == items).then_some(verdicts)
}

/// True when a call of the contract has this payment among its items.
pub(crate) fn holds(input: &[u8], payment: &ExactPayment) -> bool {
    let Ok(call) = Settler::settleCall::abi_decode(input) else {
        return false;
    };
    let authorization = &payment.payload.authorization;
    call.items.iter().any(|item| {
        item.token == payment.terms.asset.token()
            && item.from == authorization.from
            && item.to == authorization.to
            && item.value == authorization.value
            && item.nonce == authorization.nonce
    })
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{B256, U256};
    use faregate_types::ChainId;

    use super::*;

    fn config() -> NetworkConfig {
        let url = "http://127.0.0.1:1".parse().unwrap();
        let mut config = NetworkConfig::new(ChainId::BASE_SEPOLIA, url, Vec::new());
        config.batch_settler = Some(Address::repeat_byte(9));
        config
    }

    fn of_length(signature: usize) -> Settler::Item {
        Settler::Item {
            token: Address::ZERO,
            from: Address::ZERO,
            to: Address::ZERO,
            value: U256::ZERO,
            validAfter: U256::ZERO,
            validBefore: U256::ZERO,
            nonce: B256::ZERO,
            signature: vec![0xff; signature].into(),
        }
    }

    #[test]
    fn a_full_batch_stays_under_every_limit() {
        for (length, items_max) in [(65, 100), (65, 5000), (4096, 100), (0, 100)] {
            let mut config = config();
            config.batch_items_max = items_max;
            let batching = Batching::of(&config).unwrap();
            let (mut room, mut items) = (batching.room(), Vec::new());
            while batching.take(&mut room, &of_length(length)) {
                items.push(of_length(length));
            }
            assert!(items.len() > 10 && items.len() <= items_max.min(BATCH_ITEMS_MAX));
            let (data, gas) = batching.call(items.iter());
            assert!(data.len() <= BATCH_BYTES_MAX + 200, "{}", data.len());
            assert!(gas < BATCH_GAS_MAX, "not cut: {gas}");
            let per_item = config.batch_item_gas + ITEM_OVERHEAD;
            assert!(gas > per_item * u64::try_from(items.len()).unwrap());
        }
        assert!(
            Batching::of(&NetworkConfig {
                batch_settler: None,
                ..config()
            })
            .is_none()
        );
    }

    #[test]
    fn an_answer_is_one_verdict_per_item() {
        let answer = Settler::settleCall::abi_encode_returns(&vec![true, false]);
        assert_eq!(verdicts(&answer, 2), Some(vec![true, false]));
        assert_eq!(verdicts(&answer, 3), None);
        assert_eq!(verdicts(&answer[..40], 2), None);
        assert_eq!(verdicts(&[], 0), None);
    }
}
