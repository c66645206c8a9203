//! Repeatable chance: the one source of everything that is not decided by the program.

use alloy_primitives::B256;

/// SplitMix64. The same seed gives the same numbers on every machine.
#[derive(Clone, Debug)]
pub struct Chance(u64);

impl Chance {
    /// The numbers of one seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        // Neighbouring seeds must not begin alike.
        Self(
            seed.wrapping_mul(0xd134_2543_de82_ef95)
                .wrapping_add(0x5851_f42d_4c95_7f2d),
        )
    }

    /// The next 64 bits.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// A number in `0..below`; 0 when there is none.
    pub const fn below(&mut self, below: u64) -> u64 {
        match self.next().checked_rem(below) {
            Some(number) => number,
            None => 0,
        }
    }

    /// A number in `from..=to`.
    pub const fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to.saturating_sub(from) + 1)
    }

    /// True in `per_mille` of a thousand cases.
    pub const fn roll(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    /// 32 bytes.
    pub fn word(&mut self) -> B256 {
        let mut word = B256::ZERO;
        for part in word.0.chunks_mut(8) {
            part.copy_from_slice(&self.next().to_be_bytes());
        }
        word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_another_seed_others() {
        let draw = |seed| {
            let mut chance = Chance::new(seed);
            (chance.next(), chance.between(3, 9), chance.word())
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
        assert!((3..=9).contains(&draw(7).1));
        assert_eq!(Chance::new(1).below(0), 0);
    }
}
