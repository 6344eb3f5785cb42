//! Chance from a seed: SplitMix64, so that a seed means the same history for ever, whatever libraries do.

use std::time::Duration;

/// A stream of numbers that depends on nothing but its seed.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// The stream of `seed`.
    pub const fn new(seed: u64) -> Self {
        Rng(seed)
    }

    /// A stream of its own for one purpose, so that leaving out one use of chance does not shift all the others:
    /// histories stay comparable while they are shrunk.
    pub fn for_purpose(seed: u64, purpose: &[u64]) -> Self {
        let mut rng = Rng(seed);
        for part in purpose {
            rng.0 = rng.number() ^ part.wrapping_mul(0xD6E8_FEB8_6659_FD93);
        }
        Rng(rng.number())
    }

    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number below `n`; 0 if `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        self.number().checked_rem(n).unwrap_or(0)
    }

    /// A number from `low` to `high`, both included.
    pub fn range(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high.saturating_sub(low) + 1)
    }

    /// Whether something happens that does in `percent` of all cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of these, each as likely as the others.
    ///
    /// # Panics
    /// If there is none.
    pub fn pick<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let index = usize::try_from(self.below(of.len() as u64)).unwrap_or(0);
        &of[index]
    }

    /// One of these, each as likely as its weight says.
    ///
    /// # Panics
    /// If there is none.
    pub fn weighted<'a, T>(&mut self, of: &'a [(u64, T)]) -> &'a T {
        let mut left = self.below(of.iter().map(|(weight, _)| weight).sum());
        for (weight, one) in of {
            if left < *weight {
                return one;
            }
            left -= weight;
        }
        &of[0].1
    }

    /// A time from `low` to `high` milliseconds, both included.
    pub fn millis(&mut self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.range(low, high))
    }

    /// A time up to `high` milliseconds of which small ones are as likely as large ones: each magnitude has the
    /// same chance. A fifth is 0.
    pub fn skewed_millis(&mut self, high: u64) -> Duration {
        if self.chance(20) {
            return Duration::ZERO;
        }
        let bits = u64::from(u64::BITS - high.leading_zeros());
        let cap = (1 << self.range(1, bits.max(1))) - 1;
        Duration::from_millis(self.range(1, cap.min(high).max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_means_the_same_for_ever() {
        let mut rng = Rng::new(42);
        assert_eq!(rng.number(), 13_679_457_532_755_275_413);
        assert_eq!(rng.number(), 2_949_826_092_126_892_291);
    }

    #[test]
    fn ranges_hold() {
        let mut rng = Rng::new(1);
        for _ in 0..1_000 {
            assert!((3..=5).contains(&rng.range(3, 5)));
            assert!(rng.skewed_millis(1_000) <= Duration::from_secs(1));
            assert!(*rng.weighted(&[(0, false), (3, true)]));
        }
    }

    #[test]
    fn purposes_differ() {
        let first = |purpose: &[u64]| Rng::for_purpose(7, purpose).number();
        assert_ne!(first(&[1, 2]), first(&[2, 1]));
        assert_ne!(first(&[1]), first(&[1, 0]));
    }
}
