//! From the contract's logs to what happened.

use std::collections::BTreeMap;

use alloy_primitives::{Address, B256, U256};
use faregate_core::credit::{Place, TabEvent, TabId};

use super::ask::PlacedLog;
use crate::credit::Event;

/// What some logs tell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Story {
    /// What the books have to know, by block, index of the transaction and of the log.
    pub(super) events: Vec<(Order, Place, TabEvent)>,
    /// The contract's rules changed: its parameters, versions, key or assets.
    pub(super) rules: bool,
    /// Records the contract did not take: their ids.
    pub(super) refused: u64,
}

/// Where something stands in the chain: block, transaction, and the log plus one, or 0 for the transaction itself.
pub(super) type Order = (u64, u64, u64);

/// What a payment record is about.
type About = (B256, U256, Address, U256);

/// What a log means.
enum Meaning {
    /// The books have to know.
    Tell(TabEvent),
    /// A record without an id, or the companion of one with an id.
    Record(U256, Address, U256),
    Rules,
    Refused,
    /// Another event tells it.
    Nothing,
}

/// Reads logs of the contract.
///
/// A record with an id is told twice, with and without it, in one transaction; only what has no companion with an id was
/// recorded without one.
///
/// All logs of a transaction have to be there, in their order: they are told apart by their number among them, which stays
/// when the transaction is mined again in another block, as the index in the block does not.
pub(super) fn read(logs: &[PlacedLog]) -> Story {
    let mut named: BTreeMap<About, u64> = BTreeMap::new();
    let meanings: Vec<_> = logs.iter().map(meaning).collect();
    for (log, meaning) in logs.iter().zip(&meanings) {
        if let Meaning::Tell(TabEvent::Recorded {
            tab, asset, amount, ..
        }) = meaning
        {
            let about = (log.transaction_hash, tab.0, *asset, *amount);
            let count = named.entry(about).or_default();
            *count = count.saturating_add(1);
        }
    }
    let mut story = Story::default();
    let mut counts: BTreeMap<B256, u64> = BTreeMap::new();
    for (log, meaning) in logs.iter().zip(meanings) {
        let count = counts.entry(log.transaction_hash).or_default();
        let number = *count;
        *count = count.saturating_add(1);
        let event = match meaning {
            Meaning::Tell(event) => event,
            Meaning::Record(tab, asset, amount) => {
                let about = (log.transaction_hash, tab, asset, amount);
                if let Some(count) = named.get_mut(&about).filter(|count| **count > 0) {
                    *count = count.saturating_sub(1);
                    continue;
                }
                TabEvent::Recorded {
                    record: None,
                    tab: TabId(tab),
                    asset,
                    amount,
                }
            }
            Meaning::Rules => {
                story.rules = true;
                continue;
            }
            Meaning::Refused => {
                story.refused = story.refused.saturating_add(1);
                continue;
            }
            Meaning::Nothing => continue,
        };
        let (block, index) = (log.block_number.to::<u64>(), log.log_index.to::<u64>());
        let order = (block, log.transaction_index.to(), index.saturating_add(1));
        let place = Place {
            block,
            transaction: log.transaction_hash,
            log: Some(number),
        };
        story.events.push((order, place, event));
    }
    story
}

fn meaning(log: &PlacedLog) -> Meaning {
    let Some(event) = log.to_data().and_then(|data| Event::decode(&data)) else {
        let topic = log.topics.first().copied().unwrap_or_default();
        let bytes = log.data.len();
        let what = format!("a log of the contract with topic {topic} and {bytes} bytes");
        return Meaning::Tell(TabEvent::Unreadable { what: what.into() });
    };
    match event {
        Event::PaymentRecorded { tab, asset, amount } => Meaning::Record(tab, asset, amount),
        Event::PaymentRefused { id, reason, .. } => {
            tracing::warn!(record = %id, ?reason, transaction = %log.transaction_hash, "the contract did not record a payment");
            Meaning::Refused
        }
        Event::VersionUpdated { .. }
        | Event::KeyUpdated { .. }
        | Event::AssetUpdated { .. }
        | Event::RemunerationGraceUpdated { .. }
        | Event::TabExpirationUpdated { .. }
        | Event::SynchronizationDelayUpdated { .. }
        | Event::WithdrawalGraceUpdated { .. }
        | Event::Paused { .. }
        | Event::Unpaused { .. }
        | Event::AuthorityUpdated { .. } => Meaning::Rules,
        event => told(&event).map_or(Meaning::Nothing, Meaning::Tell),
    }
}

/// What the books have to know of it.
fn told(event: &Event) -> Option<TabEvent> {
    Some(match *event {
        Event::Deposited {
            user,
            asset,
            amount,
        } => TabEvent::Deposited {
            payer: user,
            asset,
            amount,
        },
        Event::WithdrawalRequested {
            user,
            asset,
            amount,
            ..
        }
        | Event::WithdrawalReduced {
            user,
            asset,
            amount,
        } => withdrawing(user, asset, amount),
        Event::WithdrawalCanceled { user, asset } => withdrawing(user, asset, U256::ZERO),
        Event::Withdrawn {
            user,
            asset,
            amount,
        } => TabEvent::Withdrawn {
            payer: user,
            asset,
            amount,
        },
        Event::TabPaid {
            tab,
            asset,
            user,
            recipient,
            amount,
        } => TabEvent::Paid {
            tab: TabId(tab),
            req: None,
            payer: user,
            recipient,
            asset,
            amount,
        },
        Event::PaymentRecordedById {
            id,
            tab,
            asset,
            amount,
        } => TabEvent::Recorded {
            record: Some(id),
            tab: TabId(tab),
            asset,
            amount,
        },
        Event::Remunerated { tab, asset, amount } => TabEvent::Remunerated {
            tab: TabId(tab),
            asset,
            amount,
        },
        // `Debited` comes with `Remunerated`; what is replayed was recorded before.
        _ => return None,
    })
}

const fn withdrawing(payer: Address, asset: Address, amount: U256) -> TabEvent {
    TabEvent::Withdrawing {
        payer,
        asset,
        amount,
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Bytes, U64};
    use alloy_sol_types::SolEvent;

    use super::*;
    use crate::credit::abi::Core;

    const ASSET: Address = Address::repeat_byte(0xa5);
    const CORE: Address = Address::repeat_byte(0xc0);

    fn log(transaction: u8, index: u64, event: &impl SolEvent) -> PlacedLog {
        let data = event.encode_log_data();
        PlacedLog {
            address: CORE,
            topics: data.topics().to_vec(),
            data: data.data,
            block_number: U64::from(7),
            block_hash: B256::repeat_byte(7),
            transaction_hash: B256::repeat_byte(transaction),
            transaction_index: U64::from(transaction),
            log_index: U64::from(index),
        }
    }

    fn bare(tab: u64, amount: u64) -> Core::PaymentRecorded {
        Core::PaymentRecorded {
            tabId: U256::from(tab),
            asset: ASSET,
            amount: U256::from(amount),
        }
    }

    fn named(id: u8, tab: u64, amount: u64) -> Core::PaymentRecordedById {
        Core::PaymentRecordedById {
            id: B256::repeat_byte(id),
            tabId: U256::from(tab),
            asset: ASSET,
            amount: U256::from(amount),
        }
    }

    /// Ids, tabs and amounts of what was recorded.
    fn recorded(logs: &[PlacedLog]) -> Vec<(Option<B256>, u64, u64)> {
        let events = read(logs).events.into_iter();
        events
            .map(|(_, _, event)| match event {
                TabEvent::Recorded {
                    record,
                    tab,
                    amount,
                    ..
                } => (record, tab.0.to(), amount.to()),
                other => panic!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn a_record_that_is_told_twice_counts_once_whichever_comes_first() {
        let id = |id| Some(B256::repeat_byte(id));
        let before = [log(1, 0, &bare(5, 9)), log(1, 1, &named(1, 5, 9))];
        assert_eq!(recorded(&before), [(id(1), 5, 9)]);
        let after = [log(1, 0, &named(1, 5, 9)), log(1, 1, &bare(5, 9))];
        assert_eq!(recorded(&after), [(id(1), 5, 9)]);
        // Two payments of the same amount in one transaction, and one without an id.
        let many = [
            log(1, 0, &bare(5, 9)),
            log(1, 1, &named(1, 5, 9)),
            log(1, 2, &bare(5, 9)),
            log(1, 3, &named(2, 5, 9)),
            log(1, 4, &bare(5, 9)),
            log(1, 5, &bare(6, 9)),
            log(2, 6, &bare(5, 9)),
        ];
        let (mut said, all) = (recorded(&many), 5);
        assert_eq!(said.len(), all);
        said.sort_unstable();
        assert_eq!(
            said,
            [
                (None, 5, 9),
                (None, 5, 9),
                (None, 6, 9),
                (id(1), 5, 9),
                (id(2), 5, 9)
            ]
        );
        // A contract that tells only the one with the id.
        assert_eq!(recorded(&[log(1, 0, &named(1, 5, 9))]), [(id(1), 5, 9)]);
    }

    #[test]
    fn each_change_of_a_request_to_withdraw_is_told_with_what_is_asked_for_now() {
        let (user, asset, amount) = (Address::repeat_byte(1), ASSET, U256::from(3));
        let when = U256::ZERO;
        let logs = [
            log(
                1,
                0,
                &Core::WithdrawalRequested {
                    user,
                    asset,
                    when,
                    amount,
                },
            ),
            log(
                1,
                1,
                &Core::WithdrawalReduced {
                    user,
                    asset,
                    amount: U256::from(1),
                },
            ),
            log(1, 2, &Core::WithdrawalCanceled { user, asset }),
        ];
        let events = read(&logs).events.into_iter();
        let asked: Vec<u64> = events
            .map(|(_, _, event)| match event {
                TabEvent::Withdrawing { amount, .. } => amount.to(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(asked, [3, 1, 0]);
    }

    #[test]
    fn what_cannot_be_read_is_told_and_the_rest_goes_on() {
        let mut unknown = log(1, 0, &bare(1, 1));
        unknown.topics = vec![B256::repeat_byte(0xee)];
        let mut short = log(1, 1, &bare(1, 1));
        short.data = Bytes::new();
        let mut bare_of_topics = log(1, 2, &bare(1, 1));
        bare_of_topics.topics.clear();
        let mut many = log(1, 3, &bare(1, 1));
        many.topics = vec![B256::ZERO; 5];
        let logs = [unknown, short, bare_of_topics, many, log(1, 4, &bare(1, 2))];
        let story = read(&logs);
        let names: Vec<_> = story
            .events
            .iter()
            .map(|(_, _, event)| event.name())
            .collect();
        assert_eq!(
            names,
            [
                "unreadable",
                "unreadable",
                "unreadable",
                "unreadable",
                "recorded"
            ]
        );
        for (_, _, event) in &story.events {
            if let TabEvent::Unreadable { what } = event {
                assert!(what.len() <= 200, "{what}");
            }
        }
    }

    #[test]
    fn what_administrators_change_is_noticed_and_is_nothing_for_the_books() {
        let logs = [
            log(
                1,
                0,
                &Core::TabExpirationTimeUpdated {
                    newExpirationTime: U256::ONE,
                },
            ),
            log(1, 1, &Core::Paused { account: CORE }),
        ];
        let story = read(&logs);
        assert!(story.rules && story.events.is_empty());
        assert!(!read(&[log(1, 0, &bare(1, 1))]).rules);
    }
}
