//! The events of tokens that change what is known.

use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolEvent;

use super::spent::Nonce;
use crate::bindings::Token;
use crate::rpc::Log;

/// An event in its block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) block: u64,
    pub(crate) token: Address,
    pub(crate) event: Event,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Money moved, was made (from nobody), or was destroyed (to nobody).
    Moved {
        from: Address,
        to: Address,
        value: U256,
    },
    /// An authorization was used or cancelled.
    Spent { payer: Address, nonce: B256 },
}

/// The events that are asked for when the chain is followed.
pub(crate) const KINDS: [B256; 3] = [
    Token::Transfer::SIGNATURE_HASH,
    Token::AuthorizationUsed::SIGNATURE_HASH,
    Token::AuthorizationCanceled::SIGNATURE_HASH,
];

/// The events that spend authorizations.
pub(crate) const SPENDING: [B256; 2] = [
    Token::AuthorizationUsed::SIGNATURE_HASH,
    Token::AuthorizationCanceled::SIGNATURE_HASH,
];

/// The answer of a node is not an answer to what was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unreadable;

/// Reads the events of `tokens` in the blocks from `first` to `last`. One that does not fit means that the answer
/// cannot be relied on, for it may lack another.
pub(crate) fn read(
    logs: &[Log],
    tokens: &[Address],
    (first, last): (u64, u64),
) -> Result<Vec<Seen>, Unreadable> {
    let mut seen: Vec<Seen> = logs
        .iter()
        .map(|log| {
            let block: u64 = log.block_number.ok_or(Unreadable)?.to();
            if !tokens.contains(&log.address) || block < first || block > last {
                return Err(Unreadable);
            }
            Ok(Seen {
                block,
                token: log.address,
                event: event(log).ok_or(Unreadable)?,
            })
        })
        .collect::<Result<_, _>>()?;
    // Nodes send them in order; it does not matter within a block, and between blocks it must not.
    seen.sort_by_key(|seen| seen.block);
    Ok(seen)
}

/// The authorizations that events spent, in their order.
pub(crate) fn spent(seen: &[Seen]) -> Vec<(u64, Nonce)> {
    seen.iter()
        .filter_map(|seen| match seen.event {
            Event::Spent { payer, nonce } => Some((seen.block, (seen.token, payer, nonce))),
            Event::Moved { .. } => None,
        })
        .collect()
}

fn event(log: &Log) -> Option<Event> {
    let [kind, first, second] = log.topics.as_slice() else {
        return None;
    };
    if *kind == Token::Transfer::SIGNATURE_HASH {
        let value: &[u8; 32] = log.data.as_ref().try_into().ok()?;
        return Some(Event::Moved {
            from: Address::from_word(*first),
            to: Address::from_word(*second),
            value: U256::from_be_bytes(*value),
        });
    }
    SPENDING.contains(kind).then(|| Event::Spent {
        payer: Address::from_word(*first),
        nonce: *second,
    })
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Bytes, U64};

    use super::*;

    const TOKEN: Address = Address::repeat_byte(1);

    fn log(block: u64, topics: &[B256], data: &[u8]) -> Log {
        Log {
            address: TOKEN,
            topics: topics.to_vec(),
            data: Bytes::copy_from_slice(data),
            transaction_hash: None,
            block_number: Some(U64::from(block)),
        }
    }

    #[test]
    fn events_are_read_and_everything_else_is_no_answer() {
        let (from, to) = (B256::left_padding_from(&[2]), B256::left_padding_from(&[3]));
        let [transfer, used, cancelled] = KINDS;
        let good = [
            log(8, &[used, from, to], &[]),
            log(8, &[cancelled, from, from], &[]),
            log(
                7,
                &[transfer, from, to],
                B256::left_padding_from(&[9]).as_slice(),
            ),
        ];
        let seen = read(&good, &[TOKEN], (7, 8)).unwrap();
        let moved = Event::Moved {
            from: Address::from_word(from),
            to: Address::from_word(to),
            value: U256::from(9),
        };
        assert_eq!((seen[0].block, seen[0].event), (7, moved));
        let payer = Address::from_word(from);
        assert_eq!(
            spent(&seen),
            [(8, (TOKEN, payer, to)), (8, (TOKEN, payer, from))]
        );
        let bad = [
            log(8, &[used, from], &[]),
            log(8, &[transfer, from, to], &[1]),
            log(8, &[transfer, from, to, to], &[]),
            log(8, &[from, from, to], &[]),
            log(9, &[used, from, to], &[]),
            log(6, &[used, from, to], &[]),
            Log {
                block_number: None,
                ..log(8, &[used, from, to], &[])
            },
            Log {
                address: Address::ZERO,
                ..log(8, &[used, from, to], &[])
            },
        ];
        for log in bad {
            assert_eq!(
                read(std::slice::from_ref(&log), &[TOKEN], (7, 8)),
                Err(Unreadable),
                "{log:?}"
            );
        }
    }
}
