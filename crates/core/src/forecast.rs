//! When something will be short, from what was used so far.
//!
//! Each day counts by its busiest hour: memory that is there at night helps nobody at noon. Through the days goes
//! Theil and Sen's line, and Mann and Kendall's test says whether it rises at all. The time when it meets the capacity
//! has an interval, from that of the rate and from how far the days lie around the line.
//!
//! A step (another version, another machine's work) is no rise: only the days after the last one count. No more is
//! told than the past bears out: nothing further away than three months, nor than four times the days that were seen.

use serde::{Deserialize, Serialize};

use crate::leak::trend::{Line, middle};

/// Seconds of a day.
const DAY: u64 = 86_400;
/// Days that are looked at, at most.
pub const MOST_DAYS: u64 = 120;
/// Fewer days tell nothing: they have to have a weekend.
pub const LEAST_DAYS: usize = 8;
/// Nothing further away is told.
pub const HORIZON_DAYS: u64 = 92;
/// And nothing further away than so many times the days that were seen.
const REACH: u64 = 4;
/// A day of which fewer hours were seen does not count.
const LEAST_HOURS: usize = 8;
/// How sure it has to be that it rises.
const SURE: f64 = 2.6;
/// Days on both sides that a step stands out from: whole weeks, which differ less than their days.
const SIDE: usize = 7;
/// Each of two thirds to the next one holds at least this part of a rise.
const SPREAD: f64 = 0.15;

/// What becomes of something that is used.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Forecast {
    /// Too few days were seen.
    Unknown {
        /// How many were.
        days: usize,
        /// How many are needed.
        needed: usize,
    },
    /// It is short today.
    Now {
        /// What is used in the busiest hour of a day.
        level: f64,
    },
    /// It does not rise, or not enough.
    Enough(Rate),
    /// It will be short.
    Short {
        /// How fast it rises.
        #[serde(flatten)]
        rate: Rate,
        /// When, in seconds of the Unix epoch.
        at: u64,
        /// Hardly before.
        earliest: u64,
        /// Hardly after; none: it may go well for much longer.
        latest: Option<u64>,
    },
}

/// How something changes.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Rate {
    /// What is used in the busiest hour of a day, without what comes and goes.
    pub level: f64,
    /// By how much that changes in a day.
    pub per_day: f64,
    /// The ends of its 95 % interval.
    pub low: f64,
    /// See `low`.
    pub high: f64,
    /// The days that this comes from.
    pub days: usize,
}

/// When what `hours` tells of will reach `capacity`. Each hour has its begin in seconds of the Unix epoch and a value;
/// they are in order. `now` is in seconds, too.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "days"
)]
pub fn forecast(hours: &[(u64, f64)], capacity: f64, now: u64) -> Forecast {
    let all = days(hours, now);
    let days = &all[last_step(&all)..];
    if days.len() < LEAST_DAYS {
        return Forecast::Unknown { days: days.len(), needed: LEAST_DAYS };
    }
    let Some(line) = Line::through(days) else {
        return Forecast::Unknown { days: days.len(), needed: LEAST_DAYS };
    };
    let today = now as f64 / DAY as f64;
    let level = line.at(today);
    if level >= capacity {
        return Forecast::Now { level };
    }
    let rate = Rate { level, per_day: line.rate, low: line.low, high: line.high, days: days.len() };
    if line.z < SURE || line.rate <= 0.0 || !is_spread(days) {
        return Forecast::Enough(rate);
    }
    // A day above the line meets the capacity sooner. The line itself turns around the middle of the days, so that
    // another rate is another level today as well.
    let turn = middle(&days.iter().map(|(day, _)| *day).collect::<Vec<_>>());
    let part = |part: f64| line.offsets[((line.offsets.len() - 1) as f64 * part).round() as usize];
    let (above, below) = (part(0.95) - middle(&line.offsets), part(0.05) - middle(&line.offsets));
    let meets = |rate: f64, off: f64| turn + (capacity - line.at(turn) - off) / rate;
    let seconds = |day: f64| (day.max(today) * DAY as f64) as u64;
    let horizon = today + (HORIZON_DAYS.min(REACH * days.len() as u64)) as f64;
    let at = meets(line.rate, 0.0);
    if at > horizon {
        return Forecast::Enough(rate);
    }
    let latest = (line.low > 0.0).then(|| meets(line.low, below)).filter(|day| *day < today + 1_000.0);
    Forecast::Short {
        rate,
        at: seconds(at),
        earliest: seconds(meets(line.high, above)),
        latest: latest.map(seconds),
    }
}

/// The busiest hour of each day, with the day's number. Today is not over.
#[expect(clippy::cast_precision_loss, reason = "days")]
fn days(hours: &[(u64, f64)], now: u64) -> Vec<(f64, f64)> {
    let today = now / DAY;
    let first = today.saturating_sub(MOST_DAYS);
    let hours = hours.iter().filter(|(at, value)| (first..today).contains(&(at / DAY)) && value.is_finite());
    let hours: Vec<(u64, f64)> = hours.map(|(at, value)| (at / DAY, *value)).collect();
    let days = hours.chunk_by(|(a, _), (b, _)| a == b).filter(|hours| hours.len() >= LEAST_HOURS);
    days.map(|hours| {
        let most = hours.iter().map(|(_, value)| *value).fold(f64::MIN, f64::max);
        // The busiest hour may be any of the day's: its middle stands for it.
        (hours[0].0 as f64 + 0.5, most)
    })
    .collect()
}

/// Whether it has risen all the time, and not by one step that was too near to an end to be seen as one.
fn is_spread(days: &[(f64, f64)]) -> bool {
    let third = |nth: usize| level(&days[nth * days.len() / 3..(nth + 1) * days.len() / 3]);
    let (first, second) = (third(1) - third(0), third(2) - third(1));
    first.min(second) > SPREAD * (first + second)
}

fn sorted(mut values: Vec<f64>) -> Vec<f64> {
    values.sort_unstable_by(f64::total_cmp);
    values
}

/// The middle day's value.
fn level(days: &[(f64, f64)]) -> f64 {
    middle(&sorted(days.iter().map(|day| day.1).collect()))
}

/// The first day after the last step: one that stands out from both how the days differ otherwise, and from a twentieth
/// of what is there.
fn last_step(days: &[(f64, f64)]) -> usize {
    if days.len() < 2 * SIDE {
        return 0;
    }
    let changes = sorted(days.windows(2).map(|two| two[1].1 - two[0].1).collect());
    let usual = middle(&changes);
    let around = sorted(changes.iter().map(|change| (change - usual).abs()).collect());
    let noise = 1.4826 * middle(&around);
    let is_step = |nth: &usize| {
        let (before, after) = (&days[nth - SIDE..*nth], &days[*nth..nth + SIDE]);
        // The levels are those of days so far apart: a steady rise is none.
        let rise = level(after) - level(before) - usual * 7.0;
        let jump = days[*nth].1 - days[nth - 1].1 - usual;
        let floor = (6.0 * noise).max(0.05 * level(before).abs());
        rise.abs() > floor && jump.abs() > floor && rise.signum() == jump.signum()
    };
    (SIDE..=days.len() - SIDE).rev().find(is_step).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream of numbers that look like chance, -1 to 1.
    struct Noise(u64);

    impl Noise {
        fn next(&mut self) -> f64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            (self.0 % 20_001) as f64 / 10_000.0 - 1.0
        }
    }

    const NOW: u64 = 20_000 * DAY + 7_200;

    /// Hours of so many days before now.
    fn hours(days: u64, mut value: impl FnMut(f64) -> f64) -> Vec<(u64, f64)> {
        let from = NOW / 3_600 - days * 24;
        (from..NOW / 3_600)
            .map(|hour| (hour * 3_600, value((hour * 3_600) as f64 / DAY as f64 - 20_000.0)))
            .collect()
    }

    /// Office hours: more by day, less at the week-end.
    fn office(day: f64) -> f64 {
        let hour = day.rem_euclid(1.0) * 24.0;
        let weekday = day.floor().rem_euclid(7.0) < 5.0;
        if (8.0..18.0).contains(&hour) && weekday { 10.0 } else { 0.0 }
    }

    #[test]
    fn a_steady_rise_meets_the_capacity_within_the_interval() {
        let mut hits = [0, 0];
        for seed in 1..=200_u64 {
            for (nth, rhythm) in [false, true].into_iter().enumerate() {
                let mut noise = Noise(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
                // A rhythm of weeks hides a rise for some of them.
                let days = 14 + seed % 60 + if rhythm { 21 } else { 0 };
                let made = hours(days, |day| {
                    50.0 + 0.5 * day + 2.0 * noise.next() + if rhythm { office(day) } else { 0.0 }
                });
                // The busiest hours have two more than the line, and ten in the office.
                let capacity = 50.0 + 2.0 + 0.5 * 30.0 + if rhythm { 10.0 } else { 0.0 };
                let found = forecast(&made, capacity, NOW);
                let Forecast::Short { at, earliest, latest, rate } = found else {
                    panic!("{seed} {rhythm}: {found:?}");
                };
                assert!(earliest <= at && latest.is_none_or(|latest| at <= latest), "{found:?}");
                assert!(rate.low <= rate.per_day && rate.per_day <= rate.high);
                let truly = NOW + 30 * DAY;
                let is_within = earliest <= truly && latest.is_none_or(|latest| truly <= latest + DAY);
                hits[nth] += u32::from(is_within);
            }
        }
        assert!(hits.iter().all(|hits| *hits >= 180), "of 200 each: {hits:?}");
    }

    #[test]
    fn what_does_not_rise_is_enough() {
        let mut short = 0;
        for seed in 1..=300_u64 {
            let mut noise = Noise(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            let days = 10 + seed % 80;
            let shape = seed % 4;
            let made = hours(days, |day| {
                let base = match shape {
                    0 => 50.0,
                    1 => 50.0 + office(day),
                    2 => 50.0 - 0.2 * day,
                    // Another version has used more since a while.
                    _ => 40.0 + if day > -(days as f64) / 2.0 { 25.0 } else { 0.0 },
                };
                base + 3.0 * noise.next()
            });
            let found = forecast(&made, 90.0, NOW);
            short += u32::from(matches!(found, Forecast::Short { .. } | Forecast::Now { .. }));
        }
        assert!(short <= 6, "{short} of 300 were told to be short");
    }

    #[test]
    fn a_rise_after_a_step_is_the_rise_alone() {
        let made = hours(60, |day| if day < -30.0 { 20.0 } else { 60.0 + 0.5 * (day + 30.0) });
        let found = forecast(&made, 90.0, NOW);
        let Forecast::Short { at, rate, .. } = found else { panic!("{found:?}") };
        assert!((rate.per_day - 0.5).abs() < 0.01 && rate.days == 30, "{rate:?}");
        assert!(at.abs_diff(NOW + 30 * DAY) < 2 * DAY, "{}", (at - NOW) / DAY);
    }

    #[test]
    fn no_more_is_told_than_was_seen() {
        assert_eq!(forecast(&[], 1.0, NOW), Forecast::Unknown { days: 0, needed: LEAST_DAYS });
        let rise = |days| hours(days, |day| 50.0 + day);
        assert!(matches!(forecast(&rise(5), 60.0, NOW), Forecast::Unknown { days: 4 | 5, .. }));
        assert!(matches!(forecast(&rise(20), 49.0, NOW), Forecast::Now { .. }));
        assert!(matches!(forecast(&rise(20), 80.0, NOW), Forecast::Short { .. }));
        assert!(matches!(forecast(&rise(20), 140.0, NOW), Forecast::Enough(_)), "90 days from 20");
        assert!(matches!(forecast(&rise(60), 140.0, NOW), Forecast::Short { .. }));
        assert!(matches!(forecast(&rise(60), 170.0, NOW), Forecast::Enough(_)), "beyond three months");
        // Gaps and nonsense are no trouble.
        let mut odd = rise(30);
        odd.retain(|(at, _)| !(at / DAY).is_multiple_of(3));
        odd.push((NOW, f64::NAN));
        odd.push((0, 1.0));
        assert!(matches!(forecast(&odd, 70.0, NOW), Forecast::Short { .. }));
        assert!(matches!(forecast(&hours(30, |_| 7.0), 70.0, NOW), Forecast::Enough(_)));
    }
}
