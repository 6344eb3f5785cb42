//! Leak detection: whether a service's memory, handles, threads or processes grow without end.
//!
//! A [`Series`] takes the samples of one resource of one service and says when it begins to grow and when that is
//! over. What it looks at is the lowest value of each quarter of an hour, because a garbage collector comes back to
//! what is truly in use, and a burst goes by. A growth is told when
//!
//! - the points rise steadily (`trend.rs`): Theil–Sen's rate, Mann–Kendall's certainty corrected for
//!   autocorrelation, and a rise that is spread over the window, which a step or a cache that fills is not;
//! - it is more than the service is used to (`past.rs`): the last eight days, by hours, have the daily rhythm, long
//!   cycles of a collector, and the week-end;
//! - it is large enough to matter.
//!
//! Windows of 5, 6 and 15 hours and of 7 days are looked at, each time a quarter of an hour is full. The short ones
//! need a past to compare with, about a day of it; before that only the long ones tell, because nothing distinguishes
//! the first morning of a service from a leak, unless it grows to the double and more, or its limit is near.
//!
//! A restart begins anew, after a warm-up; the past is kept. The state is bounded: about 1 KiB for each series.
//! Nothing is written down: after a replacement of the daemon a series is made anew from the samples that were kept.

mod past;
pub(crate) mod trend;

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use past::{Past, Usual};
use trend::{Demand, Trend, rising};

/// Seconds of a point.
const POINT: u64 = 15 * 60;
/// Points of an hour.
const PER_HOUR: usize = 4;
/// Points that are kept: for the window of 15 hours.
const POINTS: usize = 15 * PER_HOUR;
/// Samples of a run's first half hour do not count.
pub const WARM_UP: u64 = 30 * 60;
/// What a run did in its first hours is no measure of what is usual later.
const SETTLING: u64 = 3 * 3600;
/// A growth is over when the last points rise by less than this part of its rate.
const OVER: f64 = 0.25;

/// What may grow.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Resource {
    /// Memory of the whole tree, in bytes.
    Memory,
    /// Open handles (Windows) or file descriptors (Linux) of the whole tree.
    Handles,
    /// Threads of the whole tree.
    Threads,
    /// Processes of the tree.
    Processes,
}

impl Resource {
    /// All of them.
    pub const ALL: [Resource; 4] =
        [Resource::Memory, Resource::Handles, Resource::Threads, Resource::Processes];

    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Resource::Memory => "memory",
            Resource::Handles => "handles",
            Resource::Threads => "threads",
            Resource::Processes => "processes",
        }
    }

    /// A rise over a window has to be at least this large.
    const fn floor(self) -> f64 {
        match self {
            Resource::Memory => 512.0 * 1024.0,
            Resource::Handles => 6.0,
            Resource::Threads => 3.0,
            Resource::Processes => 3.0,
        }
    }
}

impl std::fmt::Display for Resource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.as_str())
    }
}

/// A growth that does not look like it ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Growth {
    /// Of what.
    pub resource: Resource,
    /// Bytes, or handles and the like, per hour.
    pub per_hour: f64,
    /// The ends of the rate's 95 % interval.
    pub low: f64,
    /// See `low`.
    pub high: f64,
    /// When it began, as far as can be seen: seconds of the Unix epoch.
    pub since: u64,
    /// When this was found: seconds of the Unix epoch.
    pub at: u64,
    /// How much there was of it then, without what comes and goes.
    pub value: f64,
    /// Where it has to end; none: nothing limits it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<f64>,
}

/// When a limit is reached, in seconds of the Unix epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// At the likely rate.
    pub at: u64,
    /// At the highest.
    pub earliest: u64,
    /// At the lowest; none if that is none.
    pub latest: Option<u64>,
}

impl std::fmt::Display for Growth {
    /// "memory grows by 12.0 MB/h (11.2 to 12.9) for 9 h, now 410.0 MB"
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let number = |value: f64| match self.resource {
            Resource::Memory => format!("{:.1}", value / 1e6),
            _ => format!("{value:.1}"),
        };
        let unit = if self.resource == Resource::Memory { " MB" } else { "" };
        let hours = self.at.saturating_sub(self.since) / 3600;
        let verb = if self.resource == Resource::Memory { "grows" } else { "grow" };
        write!(
            f,
            "{} {verb} by {}{unit}/h ({} to {}) for {hours} h, now {}{unit}",
            self.resource,
            number(self.per_hour),
            number(self.low),
            number(self.high),
            number(self.value),
        )
    }
}

impl Growth {
    /// When it reaches its limit, if it has one and goes on like this.
    pub fn reach(&self) -> Option<Reach> {
        self.reaches(self.limit?)
    }

    /// When it reaches `limit`, if it goes on like this. None for a limit more than a hundred years away.
    pub fn reaches(&self, limit: f64) -> Option<Reach> {
        let left = (limit - self.value).max(0.0);
        let after = |rate: f64| {
            let hours = left / rate;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "less than a hundred years"
            )]
            (hours < 24.0 * 36_525.0).then(|| self.at + (hours * 3600.0) as u64)
        };
        Some(Reach { at: after(self.per_hour)?, earliest: after(self.high)?, latest: after(self.low) })
    }
}

/// What became of a series.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It has begun to grow.
    Grows(Growth),
    /// It does not grow any more; this was told.
    Settled(Growth),
}

/// One resource of one service, over its runs.
#[derive(Clone, Debug)]
pub struct Series {
    resource: Resource,
    limit: Option<f64>,
    /// The run, and when its first sample came.
    run: Option<(u64, u64)>,
    last_at: u64,
    /// The present point: its number, and the lowest value so far.
    open: Option<(u64, f64)>,
    /// The points of this run, NaN where there is none; the last is that before `open`.
    points: VecDeque<f32>,
    past: Past,
    told: Option<Growth>,
}

impl Series {
    /// One without a past.
    pub fn new(resource: Resource) -> Self {
        Series {
            resource,
            limit: None,
            run: None,
            last_at: 0,
            open: None,
            points: VecDeque::new(),
            past: Past::default(),
            told: None,
        }
    }

    /// Where it has to end: a growth that is near is told sooner.
    pub fn set_limit(&mut self, limit: Option<f64>) {
        self.limit = limit;
    }

    /// The growth that was told and goes on.
    pub fn growth(&self) -> Option<&Growth> {
        self.told.as_ref()
    }

    /// Takes in a sample: the wall clock in seconds of the Unix epoch, the run's number, and the value.
    ///
    /// Samples may come at any pace; those of the past, and values that are no numbers, are left out.
    pub fn sample(&mut self, at: u64, run: u64, value: f64) -> Option<Change> {
        if at < self.last_at || !value.is_finite() {
            return None;
        }
        self.last_at = at;
        let mut change = None;
        if self.run.is_none_or(|(known, _)| known != run) {
            if let Some(told) = self.told.take() {
                // A growth that a restart ended is no measure of what is usual. One that ended by itself is.
                self.past.forget_from(told.since / 3600);
                change = Some(Change::Settled(told));
            }
            self.run = Some((run, at));
            self.open = None;
            self.points.clear();
            self.past.spoil(at / 3600);
        }
        let begin = self.run.map_or(at, |(_, begin)| begin);
        if at < begin + WARM_UP {
            self.past.spoil(at / 3600);
            return change;
        }
        let number = at / POINT;
        match &mut self.open {
            Some((open, lowest)) if *open == number => *lowest = lowest.min(value),
            Some((open, lowest)) => {
                let (full, lowest) = (*open, *lowest);
                self.open = Some((number, value));
                self.close(full, lowest, number);
                change = change.or_else(|| self.look(number));
            }
            None => self.open = Some((number, value)),
        }
        change
    }

    /// The point `full` is done; the next one is `next`.
    #[expect(clippy::cast_possible_truncation, reason = "a measure to seven digits")]
    fn close(&mut self, full: u64, lowest: f64, next: u64) {
        self.points.push_back(lowest as f32);
        let hour = full * POINT / 3600;
        if self.run.is_some_and(|(_, begin)| hour * 3600 < begin + SETTLING) {
            self.past.spoil(hour);
        } else {
            self.past.push(hour, lowest as f32);
        }
        let missing = next - full - 1;
        if missing >= POINTS as u64 {
            self.points.clear();
        } else {
            self.points.extend(std::iter::repeat_n(f32::NAN, usize::try_from(missing).unwrap_or(0)));
        }
        for hour in (1..=missing.min(24)).map(|n| (full + n) * POINT / 3600) {
            self.past.spoil(hour);
        }
        let too_many = self.points.len().saturating_sub(POINTS);
        self.points.drain(..too_many);
    }

    /// Looks at the windows that end before the point `next`.
    fn look(&mut self, next: u64) -> Option<Change> {
        if let Some(told) = self.told {
            return self.look_for_end(told, next);
        }
        let trend = self.found(next)?;
        let at = next * POINT;
        let growth = Growth {
            resource: self.resource,
            per_hour: trend.rate,
            low: trend.low,
            high: trend.high,
            since: self.began(&trend, at),
            at,
            value: trend.last,
            limit: self.limit,
        };
        self.told = Some(growth);
        Some(Change::Grows(growth))
    }

    /// The first window that tells.
    fn found(&self, next: u64) -> Option<Trend> {
        let now = next * POINT / 3600;
        let matters = |trend: &Trend, part: f64| {
            trend.rise >= self.resource.floor() && trend.rise >= part * trend.first.max(0.0)
        };
        let usual = |trend: &Trend, span: u64| self.past.usual(trend.rise, span, now);
        let short = [(&FIVE_HOURS, self.window(20, 1)), (&SIX_HOURS, self.window(6, PER_HOUR))];
        for (demand, points) in short {
            let Some(trend) = rising(&points, *demand).filter(|trend| matters(trend, 0.025)) else {
                continue;
            };
            let tells = match usual(&trend, 5) {
                Usual::No => true,
                Usual::Yes => false,
                Usual::Unknown => trend.rise > 1.5 * trend.first || self.is_near(&trend),
            };
            if tells {
                return Some(trend);
            }
        }
        let points = self.window(15, PER_HOUR);
        let long = rising(&points, FIFTEEN_HOURS).filter(|trend| matters(trend, 0.04));
        if let Some(trend) = long.filter(|trend| usual(trend, 14) != Usual::Yes) {
            return Some(trend);
        }
        // The rest goes by full hours.
        if !next.is_multiple_of(PER_HOUR as u64) {
            return None;
        }
        if let Some((points, most)) = self.past.beside_yesterday(5, now)
            && let Some(trend) = rising(&points, BESIDE_YESTERDAY)
            && trend.rise > 1.9 * most
        {
            // The difference begins at nothing; the growth is on top of what is there.
            let level = self.past.at(now - 1)? - trend.last;
            let trend = Trend { first: trend.first + level, last: trend.last + level, ..trend };
            if matters(&trend, 0.025) {
                return Some(trend);
            }
        }
        let days = self.days(now)?;
        rising(&days, SEVEN_DAYS).filter(|trend| matters(trend, 0.05) && self.past.creeps(trend.rate, now))
    }

    /// The last `count` points, each the lowest of `each` quarters of an hour, with their hours.
    #[expect(clippy::cast_precision_loss, reason = "a few dozen points")]
    fn window(&self, count: usize, each: usize) -> Vec<(f64, f64)> {
        let Some(skipped) = self.points.len().checked_sub(count * each) else { return Vec::new() };
        let part = |n: usize| {
            let points = self.points.range(skipped + n * each..skipped + (n + 1) * each);
            // `f32::min` leaves NaN out.
            let lowest = points.copied().fold(f32::NAN, f32::min);
            let hours = (n * each) as f64 / PER_HOUR as f64;
            (!lowest.is_nan()).then_some((hours, f64::from(lowest)))
        };
        (0..count).filter_map(part).collect()
    }

    /// The medians of the seven days before `now`, if the run is older than that.
    #[expect(clippy::cast_precision_loss, reason = "seven days")]
    fn days(&self, now: u64) -> Option<Vec<(f64, f64)>> {
        let (_, begin) = self.run?;
        let first = now.checked_sub(7 * 24).filter(|first| *first >= begin.div_ceil(3600))?;
        let day = |day: u64| {
            let from = first + day * 24;
            let mut hours: Vec<f64> = (from..from + 24).filter_map(|hour| self.past.at(hour)).collect();
            hours.sort_unstable_by(f64::total_cmp);
            (hours.len() >= 18).then(|| (day as f64 * 24.0, hours[hours.len() / 2]))
        };
        (0..7).map(day).collect()
    }

    /// Whether the limit is so near that there is no time to become sure.
    fn is_near(&self, trend: &Trend) -> bool {
        self.limit.is_some_and(|limit| {
            limit > trend.last && (limit - trend.last) / trend.low.max(f64::MIN_POSITIVE) < 4.0
        })
    }

    /// When a growth began: back along its line for as long as the past lies near it.
    #[expect(clippy::cast_precision_loss, reason = "hours")]
    fn began(&self, trend: &Trend, at: u64) -> u64 {
        let run = self.run.map_or(at, |(_, begin)| begin);
        let now = at / 3600;
        let mut began = now;
        for back in 1..=now {
            let Some(value) = self.past.at(now - back) else { break };
            if (value - (trend.last - trend.rate * back as f64)).abs() > 0.3 * trend.rise {
                break;
            }
            began = now - back;
        }
        let window = (trend.rise / trend.rate * 3600.0).max(0.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most seven days")]
        let seen = at.saturating_sub(window as u64);
        (began * 3600).min(seen).max(run)
    }

    /// Keeps the rate of a growth up to date, and sees when it is over.
    fn look_for_end(&mut self, told: Growth, next: u64) -> Option<Change> {
        let points = self.window(20, 1);
        let (Some(first), Some(last)) = (points.first(), points.last()) else { return None };
        let rate = (quarter(&points, 3) - quarter(&points, 0)) / (0.75 * (last.0 - first.0)).max(1.0);
        let at = next * POINT;
        // Until the window lies behind the growth's finding there is nothing new.
        if at < told.at + 5 * 3600 || points.len() < 16 {
            return None;
        }
        if rate < OVER * told.per_hour && quarter(&points, 3) < told.value + OVER * told.per_hour * 5.0 {
            self.points.clear();
            return self.told.take().map(Change::Settled);
        }
        if let Some(trend) = rising(&points, FIVE_HOURS) {
            let Trend { rate, low, high, last, .. } = trend;
            self.told =
                Some(Growth { per_hour: rate, low, high, value: last, at, limit: self.limit, ..told });
        }
        None
    }
}

/// The mean of a quarter of the points.
#[expect(clippy::cast_precision_loss, reason = "a few dozen points")]
fn quarter(points: &[(f64, f64)], number: usize) -> f64 {
    let part = &points[number * points.len() / 4..(number + 1) * points.len() / 4];
    part.iter().map(|(_, value)| value).sum::<f64>() / part.len().max(1) as f64
}

const FIVE_HOURS: Demand = Demand { points: 17, z: 2.5, sure: 0.3, largest: 0.6, least: 0.0, last: 0.4 };
const SIX_HOURS: Demand = Demand { points: 6, z: 2.4, sure: 0.4, largest: 0.5, least: 0.1, last: 0.5 };
const BESIDE_YESTERDAY: Demand =
    Demand { points: 5, z: 2.0, sure: 0.0, largest: 0.45, least: 0.2, last: 0.4 };
const FIFTEEN_HOURS: Demand = Demand { points: 13, z: 3.5, sure: 0.5, largest: 0.4, least: 0.8, last: 0.8 };
const SEVEN_DAYS: Demand = Demand { points: 7, z: 2.9, sure: 0.4, largest: 0.4, least: 0.4, last: 0.5 };
