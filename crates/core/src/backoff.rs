//! How long a restart waits, and when restarts are too many.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{RestartPlan, ServiceName, StartLimit, Time};

/// So many automatic restarts in a row without a healthy run between them are a crash loop.
pub(crate) const CRASH_LOOP: u32 = 3;

/// So many restarts in a row are made at once if the plan says "restart-now"; then the back-off comes all the same.
pub(crate) const AT_ONCE: u32 = 10;

/// So many moments are remembered for a [`StartLimit`] at the most; a limit above counts as this one.
const REMEMBERED: u32 = 1_000;

/// The wait before the `attempt`th automatic restart in a row, from 1: none, then `delay`, doubling up to
/// `max_delay`, each within ±10 % but never beyond `max_delay`. The same for the same seed, service and attempt.
pub(crate) fn delay(plan: &RestartPlan, seed: u64, service: &ServiceName, attempt: u32) -> Duration {
    let Some(doublings) = attempt.checked_sub(2) else { return Duration::ZERO };
    let max = plan.max_delay.as_nanos();
    let base =
        1_u128.checked_shl(doublings).unwrap_or(u128::MAX).saturating_mul(plan.delay.as_nanos()).min(max);
    let permille = 900 + u128::from(chance(seed, service, attempt) % 201);
    let nanos = (base.saturating_mul(permille) / 1_000).min(max);
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}

fn chance(seed: u64, service: &ServiceName, attempt: u32) -> u64 {
    scatter(seed.to_le_bytes().into_iter().chain(service.as_str().bytes()).chain(attempt.to_le_bytes()))
}

/// A number that looks like chance: FNV-1a over what it depends on, finished like splitmix64.
pub(crate) fn scatter(bytes: impl Iterator<Item = u8>) -> u64 {
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// What is counted of a service's restarts.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Tally {
    /// Automatic restarts since the last start by hand.
    pub restarts: u32,
    /// Automatic restarts in a row, without a healthy run between them.
    pub in_a_row: u32,
    /// Whether a crash loop was told and not yet healed.
    pub crash_loop: bool,
    /// When the automatic restarts within the limit's window were decided. Empty without a limit.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recent: Vec<Time>,
}

impl Tally {
    /// A run was healthy for long enough.
    pub(crate) fn healthy(&mut self) {
        self.in_a_row = 0;
        self.crash_loop = false;
    }

    /// Somebody starts it by hand.
    pub(crate) fn by_hand(&mut self) {
        *self = Tally::default();
    }

    /// Counts one more restart in a row. Whether a crash loop begins with it.
    pub(crate) fn again(&mut self) -> bool {
        self.in_a_row = self.in_a_row.saturating_add(1);
        let begins = self.in_a_row >= CRASH_LOOP && !self.crash_loop;
        self.crash_loop |= begins;
        begins
    }

    /// Whether a restart decided at `at` keeps within `limit`; it is remembered then.
    pub(crate) fn allow(&mut self, limit: Option<StartLimit>, at: Time) -> bool {
        let Some(limit) = limit else { return true };
        self.recent.retain(|restart| at.since(*restart) < limit.window);
        let within = self.recent.len() < limit.starts.min(REMEMBERED) as usize;
        if within {
            self.recent.push(at);
        }
        within
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> ServiceName {
        ServiceName::new(text).unwrap()
    }

    proptest! {
        #[test]
        fn delays_stay_within_their_bounds(
            seed: u64,
            attempt in 0_u32..200,
            delay_ms in 0_u64..100_000,
            max_ms in 0_u64..1_000_000,
        ) {
            let plan = RestartPlan {
                delay: Duration::from_millis(delay_ms),
                max_delay: Duration::from_millis(max_ms),
                ..RestartPlan::default()
            };
            let wait = delay(&plan, seed, &name("api"), attempt);
            prop_assert_eq!(wait, delay(&plan, seed, &name("api"), attempt));
            if attempt < 2 {
                prop_assert_eq!(wait, Duration::ZERO);
            } else {
                let doubled = delay_ms as f64 * 2_f64.powi(attempt as i32 - 2);
                let base = doubled.min(max_ms as f64);
                let ms = wait.as_secs_f64() * 1_000.0;
                prop_assert!(wait <= plan.max_delay);
                prop_assert!(ms >= base * 0.9 - 0.001 && ms <= base * 1.1 + 0.001, "{ms} of {base}");
            }
        }
    }

    #[test]
    fn delays_differ_between_services_and_seeds() {
        let plan = RestartPlan::default();
        let of = |seed, service: &str| delay(&plan, seed, &name(service), 4);
        let different: std::collections::BTreeSet<_> =
            (0..20).flat_map(|seed| ["a", "b", "c"].map(|service| of(seed, service))).collect();
        assert!(different.len() > 40, "only {} different delays of 60", different.len());
    }

    #[test]
    fn a_limit_counts_within_its_window() {
        let two = StartLimit { starts: 2, window: Duration::from_secs(10) };
        let limit = Some(two);
        let at = |s| Time::ZERO.after(Duration::from_secs(s));
        let mut tally = Tally::default();
        assert!(tally.allow(limit, at(1)));
        assert!(tally.allow(limit, at(5)));
        assert!(!tally.allow(limit, at(10)));
        assert!(tally.allow(limit, at(11)));
        assert!(!tally.allow(limit, at(12)));
        assert!(tally.allow(None, at(12)));
        assert!(!Tally::default().allow(Some(StartLimit { starts: 0, ..two }), at(0)));
    }
}
