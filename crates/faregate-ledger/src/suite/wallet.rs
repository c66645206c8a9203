//! Cases for [`WalletStore`]. Each says in its name what an engine promises.

use faregate_types::{Code, Timestamp};

use super::kit::{no_caps, worth};
use crate::{Caps, Period, Spend, SpendEnd, SpendRecord, Usage, WalletStore};

pub mod caps;
pub mod records;

/// How many callers a crowd has.
const CROWD: u64 = 64;

const PAID: SpendEnd = SpendEnd::Paid { transaction: None };

fn refused() -> SpendEnd {
    SpendEnd::Refused {
        code: Code::TransactionFailed,
    }
}

fn per_host(cap: u64) -> Caps {
    Caps {
        per_host: Some(worth(cap)),
        ..no_caps()
    }
}

fn per_period(secs: u64, cap: u64) -> Caps {
    Caps {
        per_period: Some(Period {
            secs,
            cap: worth(cap),
        }),
        ..no_caps()
    }
}

fn at_host(host: u64, spend: Spend) -> Spend {
    Spend {
        origin: format!("https://host{host}.example:8443").into(),
        ..spend
    }
}

/// Signs without a cap.
async fn signed<S: WalletStore>(store: &S, spend: Spend) {
    assert_eq!(store.reserve_spend(spend, no_caps()).await, Ok(Ok(())));
}

async fn usage<S: WalletStore>(store: &S, since: Timestamp) -> Usage {
    store
        .usage("https://seller.example".into(), since)
        .await
        .unwrap()
}

async fn records<S: WalletStore>(store: &S) -> Vec<SpendRecord> {
    store.recent_spends(1000).await.unwrap()
}
