//! What a detector does on labelled traces.

use mainstay_core::leak::{Change, Series};

use crate::generate::{STEP, Trace};

/// Takes a trace's samples, one after the other, and says when there is an alarm.
pub trait Detector {
    /// Whether an alarm begins with this sample.
    fn sample(&mut self, at: u64, run: u64, value: f64) -> bool;
}

impl Detector for Series {
    fn sample(&mut self, at: u64, run: u64, value: f64) -> bool {
        matches!(Series::sample(self, at, run, value), Some(Change::Grows(_)))
    }
}

/// An alarm while the value is above so many times what it was on average on the first day.
pub struct Threshold {
    pub times: f64,
    sum: f64,
    count: f64,
    high: bool,
}

impl Threshold {
    pub fn new(times: f64) -> Self {
        Threshold { times, sum: 0.0, count: 0.0, high: false }
    }
}

impl Detector for Threshold {
    fn sample(&mut self, _: u64, _: u64, value: f64) -> bool {
        if self.count < 86_400.0 / STEP as f64 {
            self.sum += value;
            self.count += 1.0;
            return false;
        }
        let high = value > self.times * self.sum / self.count;
        high && !std::mem::replace(&mut self.high, high)
    }
}

/// An alarm while the least-squares line over the last hours of the run rises by more than a part of the mean.
pub struct LeastSquares {
    pub rise: f64,
    window: usize,
    points: std::collections::VecDeque<f64>,
    run: u64,
    high: bool,
    turn: u64,
}

impl LeastSquares {
    pub fn new(hours: u64, rise: f64) -> Self {
        let window = (hours * 3600 / STEP) as usize;
        LeastSquares { rise, window, points: Default::default(), run: 0, high: false, turn: 0 }
    }
}

impl Detector for LeastSquares {
    fn sample(&mut self, _: u64, run: u64, value: f64) -> bool {
        if run != self.run {
            self.points.clear();
            (self.run, self.high) = (run, false);
        }
        self.points.push_back(value);
        if self.points.len() > self.window {
            self.points.pop_front();
        }
        self.turn += 1;
        if self.points.len() < self.window || !self.turn.is_multiple_of(15) {
            return false;
        }
        let n = self.window as f64;
        let (middle, mean) = ((n - 1.0) / 2.0, self.points.iter().sum::<f64>() / n);
        let products: f64 =
            self.points.iter().enumerate().map(|(x, y)| (x as f64 - middle) * (y - mean)).sum();
        let slope = products / (n * (n * n - 1.0) / 12.0);
        let high = slope * n > self.rise * mean;
        high && !std::mem::replace(&mut self.high, high)
    }
}

/// What came of one trace.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verdict {
    /// Alarms before the onset, or at all without a leak.
    pub false_alarms: u32,
    /// Days that had no leak.
    pub healthy_days: f64,
    /// Hours from the onset to the first alarm after it.
    pub found_after: Option<f64>,
}

/// Lets a detector see a trace. A run that ends within six hours of its leak cannot be found in them: the clock
/// begins anew with the next one.
pub fn judge(trace: &Trace, detector: &mut impl Detector) -> Verdict {
    let mut verdict = Verdict::default();
    let (mut known, mut seen_since) = (1, trace.onset.unwrap_or(u64::MAX));
    for &(at, run, value) in &trace.samples {
        let leaks = trace.onset.is_some_and(|onset| at >= onset);
        if !leaks {
            verdict.healthy_days += STEP as f64 / 86_400.0;
        }
        if leaks && run != known && at < seen_since + 6 * 3600 {
            seen_since = at + 1800;
        }
        known = run;
        if detector.sample(at, run, value) {
            if leaks {
                verdict.found_after.get_or_insert(at.saturating_sub(seen_since) as f64 / 3600.0);
            } else {
                verdict.false_alarms += 1;
            }
        }
    }
    verdict
}
