//! What a series did in the last eight days, by hours: the measure of what is usual for it.

use std::collections::VecDeque;

/// Hours that are kept: a week, and a day to look back from its beginning.
const KEPT: usize = 192;

/// The lowest values of past hours. An hour that something happened in (a start, a gap) has none.
#[derive(Clone, Debug, Default)]
pub(super) struct Past {
    /// The hour after the last one.
    end: u64,
    /// NaN where there is none.
    hours: VecDeque<f32>,
}

/// How a rise looks beside those of the past.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Usual {
    /// Nothing like it was seen.
    No,
    /// It is like what was seen before.
    Yes,
    /// There is too little to compare with.
    Unknown,
}

impl Past {
    /// Takes in the lowest value of an hour. A value for an hour that is there already lowers it.
    pub fn push(&mut self, hour: u64, value: f32) {
        if hour < self.end {
            if let Some(place) = self.place(hour) {
                // NaN stays: that hour is spoilt.
                if value < self.hours[place] {
                    self.hours[place] = value;
                }
            }
            return;
        }
        let gap = hour - self.end;
        if self.hours.is_empty() || gap >= KEPT as u64 {
            self.hours.clear();
        } else {
            self.hours.extend(std::iter::repeat_n(f32::NAN, usize::try_from(gap).unwrap_or(0)));
        }
        self.hours.push_back(value);
        self.end = hour + 1;
        let too_many = self.hours.len().saturating_sub(KEPT);
        self.hours.drain(..too_many);
    }

    /// An hour is no measure: something happened in it.
    pub fn spoil(&mut self, hour: u64) {
        self.push(hour, f32::NAN);
        if let Some(place) = self.place(hour) {
            self.hours[place] = f32::NAN;
        }
    }

    /// The hours from `since` on are no measure of what is usual.
    pub fn forget_from(&mut self, since: u64) {
        for hour in since.max(self.begin())..self.end {
            self.spoil(hour);
        }
    }

    fn begin(&self) -> u64 {
        self.end - self.hours.len() as u64
    }

    fn place(&self, hour: u64) -> Option<usize> {
        usize::try_from(hour.checked_sub(self.begin())?).ok().filter(|place| *place < self.hours.len())
    }

    /// The value of an hour.
    pub fn at(&self, hour: u64) -> Option<f64> {
        self.hours.get(self.place(hour)?).copied().filter(|value| !value.is_nan()).map(f64::from)
    }

    /// The rise from one hour to another less that of its steepest hour: a step is none. None if anything happened
    /// between the two.
    fn rise(&self, from: u64, to: u64) -> Option<f64> {
        let (first, last) = (self.place(from)?, self.place(to)?);
        let mut steepest = 0_f64;
        let mut before = self.hours[first];
        for &value in self.hours.range(first..=last) {
            if value.is_nan() {
                return None;
            }
            steepest = steepest.max(f64::from(value) - f64::from(before));
            before = value;
        }
        Some(f64::from(self.hours[last]) - f64::from(self.hours[first]) - steepest)
    }

    /// Whether a rise over the `span` hours before `now` is like those of the past. It has to exceed what any other
    /// day brought by half, or three times that but for one day; four times in the first week, because weekends differ
    /// from weekdays.
    pub fn usual(&self, rise: f64, span: u64, now: u64) -> Usual {
        // A part of the window as well: a cycle a little shorter than the window is whole in few of them.
        match (self.usual_over(rise, span, now), self.usual_over(rise * PART, part_of(span), now)) {
            (Usual::Yes, _) | (_, Usual::Yes) => Usual::Yes,
            (Usual::No, Usual::No) => Usual::No,
            _ => Usual::Unknown,
        }
    }

    fn usual_over(&self, rise: f64, span: u64, now: u64) -> Usual {
        let line = rise * (1.0 - 1.0 / span_of(span));
        // By the same measure as those of the past, as far as there are hours for it.
        let own = now.checked_sub(1).and_then(|last| self.rise(last.checked_sub(span)?, last));
        let steady = own.map_or(line, |own| own.min(line));
        let recent = now.saturating_sub(span + FRESH);
        let mut seen = 0;
        let mut days = [0_f64; KEPT / 24 + 2];
        for end in self.begin() + span..recent {
            let Some(rise) = self.rise(end - span, end) else { continue };
            seen += 1;
            let day = &mut days[usize::try_from((recent - 1 - end) / 24).unwrap_or(0)];
            *day = day.max(rise);
        }
        if seen < ENOUGH {
            let yesterday = now.checked_sub(25).and_then(|last| self.rise(last.checked_sub(span)?, last));
            return if yesterday.is_some_and(|yesterday| steady < 4.0 * yesterday) {
                Usual::Yes
            } else {
                Usual::Unknown
            };
        }
        days.sort_unstable_by(|a, b| b.total_cmp(a));
        // One odd day is no rule.
        let more = if seen >= WEEK {
            steady > 1.5 * days[0] || steady > 3.0 * days[1]
        } else {
            steady > 4.0 * days[0]
        };
        if more { Usual::No } else { Usual::Yes }
    }

    /// The last `count` hours before `now` less the same hours of the day before, and the most that such a difference
    /// has risen in so long a time before. None in the first week.
    #[expect(clippy::cast_precision_loss, reason = "a few hours")]
    pub fn beside_yesterday(&self, count: u64, now: u64) -> Option<(Vec<(f64, f64)>, f64)> {
        let difference = |hour: u64| Some(self.at(hour)? - self.at(hour.checked_sub(24)?)?);
        let first = now.checked_sub(count)?;
        let mut points = Vec::with_capacity(usize::try_from(count).unwrap_or(0));
        for n in 0..count {
            points.push((n as f64, difference(first + n)?));
        }
        let (mut seen, mut most) = (0, 0_f64);
        for end in self.begin() + 24 + count..now.saturating_sub(count + FRESH) {
            let Some((from, to)) = difference(end + 1 - count).zip(difference(end)) else { continue };
            seen += 1;
            most = most.max(to - from);
        }
        (seen + 24 >= WEEK).then_some((points, most))
    }

    /// Whether the last seven days rose at about `rate` per hour most of the time, rather than by a few steps.
    pub fn creeps(&self, rate: f64, now: u64) -> bool {
        let half_day = |end: u64| Some(self.at(end)? - self.at(end.checked_sub(12)?)?);
        let mut rises: Vec<f64> = (now.saturating_sub(156)..now).filter_map(half_day).collect();
        rises.sort_unstable_by(f64::total_cmp);
        rises.get(rises.len() / 2).is_some_and(|middle| *middle > 0.5 * 12.0 * rate)
    }
}

/// Hours before a window that may belong to the same rise, and are no measure of it.
const FRESH: u64 = 7;
/// The part of a window that is looked at by itself.
const PART: f64 = 0.8;
/// So many hours are enough to tell what is usual.
const ENOUGH: u64 = 16;
/// So many are a week, nearly.
const WEEK: u64 = 140;

const fn part_of(span: u64) -> u64 {
    span * 4 / 5
}

#[expect(clippy::cast_precision_loss, reason = "a few hours")]
fn span_of(hours: u64) -> f64 {
    hours as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(hours: u64, value: impl Fn(u64) -> f64) -> Past {
        let mut past = Past::default();
        (0..hours).for_each(|hour| past.push(hour, value(hour) as f32));
        past
    }

    #[test]
    fn it_is_bounded_and_survives_leaps_of_the_clock() {
        let mut past = past(1000, |hour| hour as f64);
        assert_eq!((past.hours.len(), past.at(999), past.at(807)), (KEPT, Some(999.0), None));
        past.push(1002, 5.0);
        assert_eq!((past.at(1000), past.at(1002), past.hours.len()), (None, Some(5.0), KEPT));
        past.push(u64::MAX / 2, 1.0);
        assert_eq!(past.hours.len(), 1);
        past.push(3, 1.0);
        assert_eq!(past.hours.len(), 1);
    }

    /// Whether a rise of one per hour in the last six hours is usual.
    fn rise_is_usual(hours: u64, value: impl Fn(u64) -> f64) -> Usual {
        let grown = |hour: u64| value(hour) + (hour + 6).saturating_sub(hours) as f64;
        past(hours, grown).usual(5.0, 5, hours)
    }

    #[test]
    fn what_was_seen_before_is_usual() {
        let noise = |hour: u64| 100.0 + (hour * 5 % 7) as f64 * 0.05;
        assert_eq!(rise_is_usual(12, noise), Usual::Unknown);
        assert_eq!(rise_is_usual(60, noise), Usual::No);
        assert_eq!(rise_is_usual(60, |hour| noise(hour) * (1.0 + (hour / 8 % 2) as f64)), Usual::No, "steps");
        let daily = |hour: u64| noise(hour) + 20.0 * (hour as f64 * std::f64::consts::TAU / 24.0).sin();
        assert_eq!(rise_is_usual(190, daily), Usual::Yes);
        let teeth = |hour: u64| noise(hour) + (hour % 7) as f64;
        assert_eq!(rise_is_usual(190, teeth), Usual::Yes);
    }

    #[test]
    fn the_day_before_is_taken_from_a_rhythm() {
        let daily = |hour: u64| 100.0 + 20.0 * (hour as f64 * std::f64::consts::TAU / 24.0).sin();
        let grown = |hour: u64| daily(hour) + (hour + 6).saturating_sub(190) as f64;
        let (points, most) = past(190, grown).beside_yesterday(5, 190).unwrap();
        assert!(most < 0.1, "{most}");
        assert!((points[4].1 - points[0].1 - 4.0).abs() < 0.1, "{points:?}");
        assert_eq!(past(100, grown).beside_yesterday(5, 100), None, "in the first week");
    }

    #[test]
    fn a_gap_is_no_rise() {
        let mut past = past(100, |hour| if hour < 50 { 100.0 } else { 900.0 });
        assert_eq!(past.rise(48, 52), Some(0.0), "a step");
        assert_eq!(past.at(52), Some(900.0));
        past.spoil(50);
        assert_eq!(past.rise(48, 52), None);
    }
}
