//! Whether a handful of points rises, how fast, and how sure that is.
//!
//! Theil–Sen gives the rate and its interval, Mann–Kendall the certainty. Both work on ranks, so that a point far off
//! moves them little. Neighbouring points that resemble each other are no independent witnesses: the variance of the
//! test is raised by the autocorrelation of what the line leaves over. A step is a rise for both tests, so the rise has
//! to be spread over the window, too.

/// Pieces of the window that the rise has to be spread over.
const PIECES: usize = 5;

/// What is asked of a trend.
#[derive(Clone, Copy, Debug)]
pub(super) struct Demand {
    /// At least so many points.
    pub points: usize,
    /// Mann–Kendall's z, corrected.
    pub z: f64,
    /// The lower end of the rate's interval, as a part of the rate.
    pub sure: f64,
    /// The largest part of the rise that one piece of the window may hold.
    pub largest: f64,
    /// The smallest piece's rise, as a part of the mean one, at least.
    pub least: f64,
    /// The same of the last piece.
    pub last: f64,
}

/// A rise that meets its [`Demand`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Trend {
    /// Per hour.
    pub rate: f64,
    /// The ends of its 95 % interval.
    pub low: f64,
    pub high: f64,
    /// Over the whole window.
    pub rise: f64,
    /// The line at the first point and at the last.
    pub first: f64,
    pub last: f64,
}

/// The line through points, by Theil and Sen.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    /// Per unit of time.
    pub rate: f64,
    /// The ends of its 95 % interval.
    pub low: f64,
    pub high: f64,
    /// Mann–Kendall's z, corrected: how sure it is that it rises, or falls.
    pub z: f64,
    /// How far each point lies above the line through the origin, sorted; the middle is the line's own offset.
    pub offsets: Vec<f64>,
}

impl Line {
    /// Through at least two points, in order of time.
    #[expect(clippy::cast_precision_loss, reason = "there are a few dozen points")]
    pub(crate) fn through(points: &[(f64, f64)]) -> Option<Line> {
        let n = points.len();
        if n < 2 {
            return None;
        }
        let mut slopes = Vec::with_capacity(n * (n - 1) / 2);
        let mut kendall = 0_i64;
        for (place, &(x, y)) in points.iter().enumerate() {
            for &(later, value) in &points[place + 1..] {
                let slope = (value - y) / (later - x);
                kendall += i64::from(slope > 0.0) - i64::from(slope < 0.0);
                slopes.push(slope);
            }
        }
        slopes.sort_unstable_by(f64::total_cmp);
        let rate = middle(&slopes);
        let mut offsets: Vec<f64> = points.iter().map(|&(x, y)| y - rate * x).collect();
        let deviation = (variance(points) * inflation(&offsets)).sqrt();
        offsets.sort_unstable_by(f64::total_cmp);
        // Sen's interval: the slopes whose ranks lie within 1.96 deviations of Kendall's statistic.
        let (low, high) = (ranked(&slopes, -1.96 * deviation), ranked(&slopes, 1.96 * deviation));
        let z = (kendall - kendall.signum()) as f64 / deviation;
        Some(Line { rate, low, high, z, offsets })
    }

    /// The line itself at a time.
    pub(crate) fn at(&self, x: f64) -> f64 {
        middle(&self.offsets) + self.rate * x
    }
}

/// The trend of points `(hours, value)` in order of time; none if they do not rise as demanded.
pub(super) fn rising(points: &[(f64, f64)], demand: Demand) -> Option<Trend> {
    let n = points.len();
    if n < demand.points.max(PIECES) || !is_spread(points, demand) {
        return None;
    }
    let line = Line::through(points)?;
    if line.rate <= 0.0 || line.z < demand.z.max(f64::MIN_POSITIVE) || line.low < demand.sure * line.rate {
        return None;
    }
    let (first, last) = (line.at(points[0].0), line.at(points[n - 1].0));
    Some(Trend { rate: line.rate, low: line.low.max(0.0), high: line.high, rise: last - first, first, last })
}

/// The middle one, or the mean of both. Not of none.
pub(crate) fn middle(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[half] } else { (sorted[half - 1] + sorted[half]) / 2.0 }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a rank among a few thousand slopes"
)]
fn ranked(sorted: &[f64], shift: f64) -> f64 {
    let rank = (sorted.len() as f64 - 1.0 + shift) / 2.0;
    sorted[rank.round().clamp(0.0, sorted.len() as f64 - 1.0) as usize]
}

/// The variance of Kendall's statistic for independent points, less what equal values take from it.
#[expect(clippy::cast_precision_loss, reason = "there are a few dozen points")]
fn variance(points: &[(f64, f64)]) -> f64 {
    let term = |n: usize| {
        let n = n as f64;
        n * (n - 1.0) * (2.0 * n + 5.0)
    };
    let mut values: Vec<f64> = points.iter().map(|&(_, y)| y).collect();
    values.sort_unstable_by(f64::total_cmp);
    let ties: f64 = values.chunk_by(|a, b| a == b).map(|same| term(same.len())).sum();
    ((term(points.len()) - ties) / 18.0).max(1.0)
}

/// By how much the likeness of neighbours raises the variance: (1 + r) / (1 - r) for the correlation r of each point's
/// distance from the line with the next one's.
#[expect(clippy::cast_precision_loss, reason = "there are a few dozen points")]
fn inflation(offsets: &[f64]) -> f64 {
    let n = offsets.len() as f64;
    let mean = offsets.iter().sum::<f64>() / n;
    let total: f64 = offsets.iter().map(|y| (y - mean).powi(2)).sum();
    // A handful, hours or days apart, tells nothing about its correlation.
    if n < 10.0 || total <= f64::EPSILON * mean * mean {
        return 1.0;
    }
    let pairs: f64 = offsets.windows(2).map(|pair| (pair[0] - mean) * (pair[1] - mean)).sum();
    // The estimate from few points is too low by about 3/n.
    let r = (pairs / total + 3.0 / n).clamp(0.0, 0.9);
    (1.0 + r) / (1.0 - r)
}

/// Whether every piece of the window lies above the one before, none has most of the rise, and it goes on at the end.
#[expect(clippy::cast_precision_loss, reason = "there are a few dozen points")]
fn is_spread(points: &[(f64, f64)], demand: Demand) -> bool {
    let n = points.len();
    let mut means = [0.0; PIECES];
    for (piece, mean) in means.iter_mut().enumerate() {
        let part = &points[piece * n / PIECES..(piece + 1) * n / PIECES];
        *mean = part.iter().map(|&(_, y)| y).sum::<f64>() / part.len() as f64;
    }
    let total = means[PIECES - 1] - means[0];
    let rises: Vec<f64> = means.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mean_rise = total / rises.len() as f64;
    total > 0.0
        && rises.iter().all(|rise| *rise > demand.least * mean_rise && *rise <= demand.largest * total)
        && rises.last().is_some_and(|last| *last >= demand.last * mean_rise)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEMAND: Demand = Demand { points: 18, z: 3.0, sure: 0.3, largest: 0.6, least: 0.0, last: 0.25 };

    fn points(value: impl Fn(f64) -> f64) -> Vec<(f64, f64)> {
        (0..20).map(|n| (f64::from(n) / 4.0, value(f64::from(n) / 4.0))).collect()
    }

    /// Noise of a fixed pattern.
    fn jitter(x: f64) -> f64 {
        ((x * 4.0) as i64 * 7 % 5 - 2) as f64 * 0.3
    }

    #[test]
    fn a_line_is_found_with_its_rate() {
        let trend = rising(&points(|x| 100.0 + 3.0 * x + jitter(x)), DEMAND).unwrap();
        assert!((trend.rate - 3.0).abs() < 0.2, "{trend:?}");
        assert!(trend.low <= 3.0 && trend.high >= 3.0 && trend.low > 2.5 && trend.high < 3.5, "{trend:?}");
        assert!((trend.rise - 3.0 * 4.75).abs() < 1.0, "{trend:?}");
    }

    #[test]
    fn what_is_no_steady_rise_is_none() {
        assert_eq!(rising(&points(|_| 100.0), DEMAND), None, "flat");
        assert_eq!(rising(&points(|x| 100.0 + jitter(x)), DEMAND), None, "noise");
        assert_eq!(rising(&points(|x| 100.0 - 3.0 * x), DEMAND), None, "falling");
        assert_eq!(
            rising(&points(|x| if x < 2.4 { 100.0 } else { 130.0 } + jitter(x)), DEMAND),
            None,
            "step"
        );
        assert_eq!(rising(&points(|x| 100.0 * (2.0 - (-x).exp()) + jitter(x)), DEMAND), None, "warm-up");
        assert_eq!(rising(&points(|x| 100.0 + 3.0 * x)[..10], DEMAND), None, "too few");
    }

    #[test]
    fn neighbours_alike_are_no_witnesses() {
        let slow_wave = points(|x| 100.0 + 0.4 * x + 3.0 * (x * 1.2).sin());
        assert_eq!(rising(&slow_wave, DEMAND), None);
    }
}
