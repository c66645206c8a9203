//! What to offer for gas: asked from the node, bounded by the operator, kept for a few seconds.

use std::sync::{Mutex, PoisonError};

use alloy_primitives::U256;
use tokio::time::Instant;

use crate::config::FeeStyle;
use crate::limits::FEES_FRESH;
use crate::node::NodeError;
use crate::rpc::{FeeHistory, Rpc};

/// An offer for gas, in wei per gas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Quote {
    Eip1559 { fee_max: u128, tip: u128 },
    Legacy { price: u128 },
}

/// Why there is no quote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FeeError {
    Node(NodeError),
    /// The network asks for more than the operator allows.
    AboveCap,
}

/// The last quote and how long it is good for.
#[derive(Debug)]
pub(crate) struct Fees {
    style: FeeStyle,
    cap: u128,
    last: Mutex<Option<(Instant, Quote)>>,
}

impl Fees {
    pub(crate) const fn new(style: FeeStyle, cap: u128) -> Self {
        Self {
            style,
            cap,
            last: Mutex::new(None),
        }
    }

    /// The current offer.
    pub(crate) async fn quote(&self, rpc: &Rpc) -> Result<Quote, FeeError> {
        let last = *self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, quote)) = last
            && at.elapsed() < FEES_FRESH
        {
            return Ok(quote);
        }
        let quote = match self.style {
            FeeStyle::Eip1559 => {
                from_history(&rpc.fee_history().await.map_err(FeeError::Node)?, self.cap)?
            }
            FeeStyle::Legacy => legacy(rpc.gas_price().await.map_err(FeeError::Node)?, self.cap)?,
        };
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), quote));
        Ok(quote)
    }

    /// An offer that replaces an earlier one: an eighth more, or what the network asks for now if that is more.
    pub(crate) async fn raised(&self, rpc: &Rpc, old: Quote) -> Result<Quote, FeeError> {
        self.refresh();
        let now = self.quote(rpc).await?;
        raise(old, now, self.cap).ok_or(FeeError::AboveCap)
    }

    /// Forgets the last offer, because the network did not take it.
    pub(crate) fn refresh(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Twice the next base fee, which is enough for six full blocks in a row, plus the median of what was tipped lately.
fn from_history(history: &FeeHistory, cap: u128) -> Result<Quote, FeeError> {
    let base = history
        .base_fee_per_gas
        .last()
        .map_or(Ok(0), |fee| u128::try_from(*fee));
    let base = base.map_err(|_| FeeError::AboveCap)?;
    let tip = median_tip(history.reward.as_deref().unwrap_or_default());
    let needed = base.checked_add(tip).ok_or(FeeError::AboveCap)?;
    if needed > cap {
        return Err(FeeError::AboveCap);
    }
    let fee_max = needed.checked_add(base).unwrap_or(cap).min(cap);
    Ok(Quote::Eip1559 { fee_max, tip })
}

/// Nodes take a replacement only when both fees are 10 % higher, some 12.5 %.
fn raise(old: Quote, now: Quote, cap: u128) -> Option<Quote> {
    let more = |fee: u128| fee.checked_add(fee.div_ceil(8).max(1));
    let raised = match (old, now) {
        (
            Quote::Eip1559 { fee_max, tip },
            Quote::Eip1559 {
                fee_max: fee_now,
                tip: tip_now,
            },
        ) => Quote::Eip1559 {
            fee_max: more(fee_max)?.max(fee_now),
            tip: more(tip)?.max(tip_now),
        },
        (Quote::Legacy { price }, Quote::Legacy { price: now }) => Quote::Legacy {
            price: more(price)?.max(now),
        },
        // The style is configuration and does not change.
        (Quote::Eip1559 { .. } | Quote::Legacy { .. }, _) => return None,
    };
    let dearest = match raised {
        Quote::Eip1559 { fee_max, .. } => fee_max,
        Quote::Legacy { price } => price,
    };
    (dearest <= cap).then_some(raised)
}

fn median_tip(rewards: &[Vec<U256>]) -> u128 {
    let mut tips: Vec<u128> = rewards
        .iter()
        .filter_map(|block| u128::try_from(*block.first()?).ok())
        .filter(|tip| *tip > 0)
        .collect();
    tips.sort_unstable();
    // The upper of the two in the middle: too little is worse than a little more.
    tips.get(tips.len().div_euclid(2)).copied().unwrap_or(1)
}

/// An eighth above the node's price, so that it still fits when the price rises.
fn legacy(price: U256, cap: u128) -> Result<Quote, FeeError> {
    let price = u128::try_from(price).map_err(|_| FeeError::AboveCap)?;
    if price > cap {
        return Err(FeeError::AboveCap);
    }
    let price = price.checked_add(price.div_ceil(8)).unwrap_or(cap).min(cap);
    Ok(Quote::Legacy { price })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history(base: &[u64], tips: &[u64]) -> FeeHistory {
        FeeHistory {
            base_fee_per_gas: base.iter().map(|fee| U256::from(*fee)).collect(),
            reward: Some(tips.iter().map(|tip| vec![U256::from(*tip)]).collect()),
        }
    }

    #[test]
    fn quotes() {
        // Base fees, tips, cap, and the quote: fee_max and tip.
        type Case = (&'static [u64], &'static [u64], u128, Option<(u128, u128)>);
        let cases: [Case; 7] = [
            (&[90, 100], &[3, 1, 2], 1000, Some((202, 2))),
            (&[90, 100], &[], 1000, Some((201, 1))),
            (&[90, 100], &[0, 0, 5], 1000, Some((205, 5))),
            (&[90, 100], &[5], 150, Some((150, 5))),
            (&[90, 100], &[5], 105, Some((105, 5))),
            (&[90, 100], &[5], 104, None),
            (&[], &[], 10, Some((1, 1))),
        ];
        for (base, tips, cap, expected) in cases {
            let quote = from_history(&history(base, tips), cap).ok();
            let expected = expected.map(|(fee_max, tip)| Quote::Eip1559 { fee_max, tip });
            assert_eq!(quote, expected, "{base:?} {tips:?} {cap}");
        }
        let huge = FeeHistory {
            base_fee_per_gas: vec![U256::MAX],
            reward: None,
        };
        assert_eq!(from_history(&huge, u128::MAX), Err(FeeError::AboveCap));
        assert_eq!(
            legacy(U256::from(80), 1000),
            Ok(Quote::Legacy { price: 90 })
        );
        assert_eq!(legacy(U256::from(80), 79), Err(FeeError::AboveCap));
        assert_eq!(legacy(U256::MAX, u128::MAX), Err(FeeError::AboveCap));
    }

    #[test]
    fn raised_quotes() {
        let new = |fee_max, tip| Quote::Eip1559 { fee_max, tip };
        let legacy = |price| Quote::Legacy { price };
        // The old one, what the network asks for now, the cap, and what is offered.
        let cases = [
            (new(800, 80), new(700, 70), 1000, Some(new(900, 90))),
            (new(800, 80), new(950, 70), 1000, Some(new(950, 90))),
            (new(800, 80), new(700, 200), 1000, Some(new(900, 200))),
            (new(801, 1), new(1, 1), 1000, Some(new(902, 2))),
            (new(0, 0), new(0, 0), 1000, Some(new(1, 1))),
            (new(800, 80), new(700, 70), 899, None),
            (legacy(800), legacy(10), 900, Some(legacy(900))),
            (legacy(800), legacy(10), 899, None),
            (new(u128::MAX, 1), new(1, 1), u128::MAX, None),
            (new(800, 80), legacy(10), 1000, None),
        ];
        for (old, now, cap, expected) in cases {
            assert_eq!(raise(old, now, cap), expected, "{old:?} {now:?} {cap}");
        }
    }
}
