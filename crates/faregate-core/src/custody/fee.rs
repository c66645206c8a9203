//! What is kept of a payment, and what is its owner's.

use faregate_types::lightning::Msat;

/// What is kept of each payment: a part, and not less than a minimum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::exhaustive_structs,
    reason = "plain data that configuration code builds by literal"
)]
pub struct FeeRule {
    /// Millionths of the payment, rounded up to a millisatoshi.
    pub ppm: u32,
    /// At least this.
    pub min: Msat,
}

impl Default for FeeRule {
    /// Three thousandths, and at least one satoshi.
    fn default() -> Self {
        Self {
            ppm: 3_000,
            min: Msat::new(1_000),
        }
    }
}

/// A payment, divided. The two are the payment exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "taken apart by callers")]
pub struct Split {
    /// What is kept. May be nothing.
    pub fee: Msat,
    /// What the owner gets. Not nothing.
    pub share: Msat,
}

impl FeeRule {
    /// Divides a payment; `None` when nothing would be left for the owner.
    #[must_use]
    pub fn split(&self, amount: Msat) -> Option<Split> {
        let fee = self.fee(amount)?;
        let share = amount.checked_sub(fee).filter(|share| !share.is_zero())?;
        Some(Split { fee, share })
    }

    /// The fee of this amount; `None` when no number is so large.
    #[must_use]
    pub fn fee(&self, amount: Msat) -> Option<Msat> {
        let part = u128::from(amount.get()).checked_mul(u128::from(self.ppm))?;
        let part = u64::try_from(part.div_ceil(1_000_000)).ok()?;
        Some(Msat::new(part).max(self.min))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fee_and_share_are_the_payment() {
        let usual = FeeRule::default();
        let free = FeeRule {
            ppm: 0,
            min: Msat::ZERO,
        };
        let all = FeeRule {
            ppm: 1_000_000,
            min: Msat::ZERO,
        };
        for (rule, amount, fee) in [
            (usual, 10_000, Some(1_000)),
            (usual, 1_001, Some(1_000)),
            (usual, 1_000, None),
            (usual, 1, None),
            (usual, 0, None),
            (usual, 1_000_000, Some(3_000)),
            (usual, 1_000_001, Some(3_001)),
            (usual, u64::MAX, Some(55_340_232_221_128_655)),
            (free, 1, Some(0)),
            (free, 0, None),
            (all, 5, None),
        ] {
            let split = rule.split(Msat::new(amount));
            assert_eq!(split.map(|split| split.fee.get()), fee, "{amount}");
            if let Some(Split { fee, share }) = split {
                assert_eq!(fee.checked_add(share), Some(Msat::new(amount)));
            }
        }
    }
}
