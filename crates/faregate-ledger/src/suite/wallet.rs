//! Cases for [`WalletStore`]. Each says in its name what an engine promises.

use faregate_types::{Code, Timestamp};
use futures_util::future::BoxFuture;

use super::kit::{no_caps, worth};
use crate::{
    CapRefusal, Caps, Period, Reserved, Spend, SpendEnd, SpendRecord, StoreError, TermsRule, Unit,
    Usage, WalletStore,
};

pub mod caps;
pub mod ends;
pub mod records;
pub mod terms;
pub mod tokens;

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
        total: None,
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

/// Reserves on any terms; what the caps say.
fn reserve<S: WalletStore>(
    store: &S,
    spend: Spend,
    caps: Caps,
) -> BoxFuture<'_, Result<Result<(), CapRefusal>, StoreError>> {
    Box::pin(async move {
        match store.reserve_spend(spend, caps, TermsRule::ANY).await? {
            Reserved::Recorded(_) => Ok(Ok(())),
            Reserved::Cap(refusal, _) => Ok(Err(refusal)),
            Reserved::Terms(refusal, _) => panic!("any terms are allowed: {refusal}"),
        }
    })
}

/// Signs without a cap.
async fn signed<S: WalletStore>(store: &S, spend: Spend) {
    assert_eq!(reserve(store, spend, no_caps()).await, Ok(Ok(())));
}

async fn usage<S: WalletStore>(store: &S, since: Timestamp) -> Usage {
    store
        .usage("https://seller.example".into(), Unit::Dollar, since)
        .await
        .unwrap()
}

async fn records<S: WalletStore>(store: &S) -> Vec<SpendRecord> {
    store.recent_spends(1000).await.unwrap()
}
