//! Many payments in one transaction. There are two contracts for that, and a batch goes to one of them:
//!
//! - `BatchSettler` (`contracts/src/BatchSettler.sol`) hands each authorization to its token;
//! - a `PermitSettler` (`contracts/src/PermitSettler.sol`), of which each treasury has one, collects what was signed for it.
//!
//! Both let each payment fail for itself, and want `gas per item + their own overhead` for every item that is still to come,
//! so that no item can starve the ones behind it. What is not used is given back, as always.

use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::SolCall;
use faregate_types::x402::exact::ExactPayment;

use crate::bindings::Settler;
use crate::config::NetworkConfig;
use crate::limits::{BATCH_BYTES_MAX, BATCH_GAS_MAX, BATCH_ITEMS_MAX};
use crate::permit_settler::{self, ITEM_GAS, PermitSettler};

/// Gas `BatchSettler` sets aside per item: its constant `ITEM_OVERHEAD`.
const ITEM_OVERHEAD: u64 = 22_000;

/// What every transaction costs, and decoding, checking and the result of a batch beside its items.
const FIXED_GAS: u64 = 21_000 + 30_000;

/// Bytes of an encoded authorization beside its signature: offset, eight words, the signature's length and padding.
const ITEM_BYTES: usize = 11 * 32;

/// One payment of a batch.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    /// An authorization that pays its payee, through `BatchSettler`.
    Transfer(Settler::Item),
    /// What was signed for this settler.
    Permit(PermitSettler, permit_settler::Item),
}

impl Item {
    /// Where it stands in its batch, see [`permit_settler::arrange`]; authorizations stay as they came.
    pub(crate) fn order(&self) -> (u8, Address, Address, U256) {
        match self {
            Self::Transfer(_) => (0, Address::ZERO, Address::ZERO, U256::ZERO),
            Self::Permit(_, item) => item.order(),
        }
    }
}

/// An authorization of a batch. `signature` is what the token shall see: 65 bytes, or what a wallet signs with.
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

/// Through which contracts, and how large batches may be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Batching {
    /// `BatchSettler`, where there is one.
    transfers: Option<Address>,
    items_max: usize,
    item_gas: u64,
}

/// What is left of a batch that is being filled.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    contract: Address,
    items: usize,
    bytes: usize,
    gas: u64,
    /// Tokens of which an authorization is inside: what they bring is handed on once for each.
    runs: Vec<Address>,
}

impl Batching {
    pub(crate) fn of(config: &NetworkConfig) -> Self {
        Self {
            transfers: config.batch_settler,
            items_max: config.batch_items_max.clamp(1, BATCH_ITEMS_MAX),
            item_gas: config.batch_item_gas,
        }
    }

    /// The contract that settles this together with others; `None` when it leaves alone.
    fn contract(&self, item: &Item) -> Option<Address> {
        match item {
            Item::Transfer(_) => self.transfers,
            Item::Permit(settler, _) => Some(settler.address()),
        }
    }

    const fn item_gas(&self, item: &Item) -> u64 {
        match item {
            Item::Transfer(_) => self.item_gas,
            Item::Permit(..) => ITEM_GAS,
        }
    }

    /// A batch with this payment in it; `None` when it leaves alone.
    pub(crate) fn begin(&self, first: &Item) -> Option<Room> {
        // Only 63 of 64 parts are handed on, so the last item needs a little behind it.
        let behind = self.item_gas(first).div_ceil(63);
        let mut room = Room {
            contract: self.contract(first)?,
            items: self.items_max,
            bytes: BATCH_BYTES_MAX,
            gas: BATCH_GAS_MAX.saturating_sub(FIXED_GAS.saturating_add(behind)),
            runs: Vec::new(),
        };
        self.take(&mut room, first).then_some(room)
    }

    /// Whether it goes through the same contract.
    pub(crate) fn is_for(&self, room: &Room, item: &Item) -> bool {
        self.contract(item) == Some(room.contract)
    }

    /// Takes a place for one more item; false when there is none.
    pub(crate) fn take(&self, room: &mut Room, item: &Item) -> bool {
        let (bytes, gas, run) = match item {
            Item::Transfer(item) => {
                let bytes = ITEM_BYTES.saturating_add(item.signature.len());
                (bytes, self.gas_of(1, bytes), None)
            }
            Item::Permit(_, item) => {
                let run = item.run().filter(|token| !room.runs.contains(token));
                let gas = permit_settler::item_gas(ITEM_GAS, run.is_some());
                (permit_settler::ITEM_BYTES, gas, run)
            }
        };
        let left = (
            room.items.checked_sub(1),
            room.bytes.checked_sub(bytes),
            room.gas.checked_sub(gas),
        );
        let (Some(items), Some(bytes), Some(gas)) = left else {
            return false;
        };
        (room.items, room.bytes, room.gas) = (items, bytes, gas);
        room.runs.extend(run);
        true
    }

    /// The most gas some authorizations with so many bytes of calldata can need, at 16 gas a byte.
    fn gas_of(&self, items: u64, bytes: usize) -> u64 {
        let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
        let each = self.item_gas.saturating_add(ITEM_OVERHEAD);
        items
            .saturating_mul(each)
            .saturating_add(bytes.saturating_mul(16))
    }

    /// The call of one contract with all of these, and the gas limit it needs. `None` when they do not go together.
    pub(crate) fn call<'a>(
        &self,
        items: impl Iterator<Item = &'a Item>,
    ) -> Option<(Address, Bytes, u64)> {
        let (mut transfers, mut permits) = (Vec::new(), Vec::new());
        let mut contract = None;
        for item in items {
            let its = self.contract(item)?;
            if *contract.get_or_insert(its) != its {
                return None;
            }
            match item {
                Item::Transfer(item) => transfers.push(item.clone()),
                Item::Permit(settler, item) => permits.push((*settler, *item)),
            }
        }
        if let Some((settler, _)) = permits.first() {
            let items: Vec<_> = permits.iter().map(|(_, item)| *item).collect();
            let call = settler.batch(&items, ITEM_GAS).ok()?;
            return Some((call.to, call.data, call.gas));
        }
        let call = Settler::settleCall {
            items: transfers,
            gasPerItem: U256::from(self.item_gas),
        };
        let count = u64::try_from(call.items.len()).unwrap_or(u64::MAX);
        let data = call.abi_encode();
        let gas = self
            .gas_of(count, data.len())
            .saturating_add(self.item_gas.div_ceil(63))
            .saturating_add(FIXED_GAS);
        Some((contract?, data.into(), gas.min(BATCH_GAS_MAX)))
    }
}

/// Which items of a simulated batch settle; `None` when the answer is not one of a contract to so many items. Both contracts
/// answer alike.
pub(crate) fn verdicts(answer: &[u8], items: usize) -> Option<Vec<bool>> {
    let verdicts = Settler::settleCall::abi_decode_returns(answer).ok()?;
    (verdicts.len() == items).then_some(verdicts)
}

/// The place of this payment among the items of a call of `BatchSettler`, if it is one.
pub(crate) fn place(input: &[u8], payment: &ExactPayment) -> Option<usize> {
    let call = Settler::settleCall::abi_decode(input).ok()?;
    let authorization = &payment.payload.authorization;
    call.items.iter().position(|item| {
        item.token == payment.terms.asset.token()
            && item.from == authorization.from
            && item.to == authorization.to
            && item.value == authorization.value
            && item.nonce == authorization.nonce
    })
}

#[cfg(test)]
mod tests {
    use alloy_primitives::B256;
    use faregate_types::ChainId;

    use super::*;

    fn config() -> NetworkConfig {
        let url = "http://127.0.0.1:1".parse().unwrap();
        let mut config = NetworkConfig::new(ChainId::BASE_SEPOLIA, url, Vec::new());
        config.batch_settler = Some(Address::repeat_byte(9));
        config
    }

    fn of_length(signature: usize) -> Item {
        Item::Transfer(Settler::Item {
            token: Address::ZERO,
            from: Address::ZERO,
            to: Address::ZERO,
            value: U256::ZERO,
            validAfter: U256::ZERO,
            validBefore: U256::ZERO,
            nonce: B256::ZERO,
            signature: vec![0xff; signature].into(),
        })
    }

    #[test]
    fn a_full_batch_stays_under_every_limit() {
        for (length, items_max) in [(65, 100), (65, 5000), (4096, 100), (0, 100)] {
            let mut config = config();
            config.batch_items_max = items_max;
            let batching = Batching::of(&config);
            let mut items = vec![of_length(length)];
            let mut room = batching.begin(&items[0]).unwrap();
            while batching.take(&mut room, &of_length(length)) {
                items.push(of_length(length));
            }
            assert!(items.len() > 10 && items.len() <= items_max.min(BATCH_ITEMS_MAX));
            let (_, data, gas) = batching.call(items.iter()).unwrap();
            assert!(data.len() <= BATCH_BYTES_MAX + 200, "{}", data.len());
            assert!(gas < BATCH_GAS_MAX, "not cut: {gas}");
            let per_item = config.batch_item_gas + ITEM_OVERHEAD;
            assert!(gas > per_item * u64::try_from(items.len()).unwrap());
        }
        let config = NetworkConfig {
            batch_settler: None,
            ..config()
        };
        assert!(Batching::of(&config).begin(&of_length(65)).is_none());
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
