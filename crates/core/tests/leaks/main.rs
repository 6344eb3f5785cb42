//! How well leaks are found, on traces whose truth is known. This makes the tables of docs/leaks.md:
//!
//! ```text
//! cargo test --release -p mainstay-core --test leaks -- --ignored --nocapture table
//! ```
//!
//! Seeds for tuning and for what is reported differ: `tuning` in place of `table` takes the former.
#![expect(clippy::print_stdout, reason = "a table for people")]

mod generate;
mod judge;
mod recorded;

use generate::{Chance, Leak, Shape, Trace, Way, trace};
use judge::{Detector, LeastSquares, Threshold, Verdict, judge};
use mainstay_core::leak::Series;

const REPORTED: u64 = 7_000_000_000;
const TUNING: u64 = 1_000_000;

/// When a leak begins, in hours of the trace.
#[derive(Clone, Copy)]
enum Onset {
    /// The service has been known for more than a week.
    Known,
    /// For one and a half to seven days.
    FirstWeek,
    /// It leaks from its start.
    Start,
}

/// What detectors did on many traces.
#[derive(Clone, Debug, Default)]
struct Score {
    traces: u32,
    false_alarms: u32,
    healthy_days: f64,
    leaks: u32,
    within: [u32; 3],
    ever: u32,
}

impl Score {
    fn add(&mut self, trace: &Trace, verdict: Verdict) {
        self.traces += 1;
        self.false_alarms += verdict.false_alarms;
        self.healthy_days += verdict.healthy_days;
        self.leaks += u32::from(trace.leak.is_some());
        if let Some(hours) = verdict.found_after {
            self.ever += 1;
            for (count, limit) in self.within.iter_mut().zip([6.0, 12.0, 24.0]) {
                *count += u32::from(hours <= limit);
            }
        }
    }

    fn sum<'a>(scores: impl IntoIterator<Item = &'a Score>) -> Score {
        scores.into_iter().fold(Score::default(), |mut sum, score| {
            sum.traces += score.traces;
            sum.false_alarms += score.false_alarms;
            sum.healthy_days += score.healthy_days;
            sum.leaks += score.leaks;
            sum.ever += score.ever;
            sum.within.iter_mut().zip(score.within).for_each(|(sum, one)| *sum += one);
            sum
        })
    }

    fn false_per_1000_days(&self) -> f64 {
        f64::from(self.false_alarms) * 1000.0 / self.healthy_days
    }

    fn part(&self, count: u32) -> f64 {
        100.0 * f64::from(count) / f64::from(self.leaks.max(1))
    }

    fn precision(&self) -> f64 {
        100.0 * f64::from(self.ever) / f64::from((self.ever + self.false_alarms).max(1))
    }
}

fn seed(base: u64, shape: Shape, number: u64) -> u64 {
    base + number * 104_651 + shape as u64 * 1_299_709
}

/// The `number`th trace of a shape that leaks, and whether its leak can be seen in six hours: whether the healthy part
/// moves, in nine of ten spans of six hours, by less than a third of what the leak adds.
fn leaking(base: u64, shape: Shape, number: u64, rate: f64, onset: Onset) -> (Trace, bool) {
    let seed = seed(base, shape, number);
    let mut chance = Chance::new(seed ^ 77);
    let onset = match onset {
        Onset::Known => chance.between(204.0, 264.0),
        Onset::FirstWeek => chance.between(36.0, 168.0),
        Onset::Start => 0.0,
    };
    let leak = Leak { way: Way::ALL[(number % 4) as usize], rate, onset };
    let days = onset / 24.0 + 2.0;
    let healthy = trace(seed, shape, None, days);
    (trace(seed, shape, Some(leak), days), moves(&healthy) < 6.0 * rate / 3.0)
}

/// By how much the lowest values of quarters of an hour differ over six hours, as part of the level: nine of ten less.
fn moves(trace: &Trace) -> f64 {
    let lowest = |part: &[generate::Sample]| part.iter().map(|sample| sample.2).fold(f64::INFINITY, f64::min);
    let points: Vec<(u64, f64)> =
        trace.samples.chunks_exact(15).map(|part| (part[0].1, lowest(part))).collect();
    let mut levels: Vec<f64> = points.iter().map(|point| point.1).collect();
    levels.sort_unstable_by(f64::total_cmp);
    let mut moves: Vec<f64> = points
        .iter()
        .zip(points.iter().skip(24))
        .filter(|(before, after)| before.0 == after.0)
        .map(|(before, after)| (after.1 - before.1).abs() / levels[levels.len() / 10])
        .collect();
    moves.sort_unstable_by(f64::total_cmp);
    moves.get(moves.len() * 9 / 10).copied().unwrap_or(0.0)
}

/// Healthy traces of every shape, 14 days each.
fn healthy<D: Detector>(base: u64, each: u64, make: &impl Fn(&Trace) -> D) -> Vec<Score> {
    let of = |shape| {
        let mut score = Score::default();
        for number in 0..each {
            let trace = trace(seed(base, shape, number) + 31, shape, None, 14.0);
            score.add(&trace, judge(&trace, &mut make(&trace)));
        }
        score
    };
    Shape::ALL.map(of).to_vec()
}

/// Leaking traces of every shape: those whose leak can be seen in six hours, and the others.
fn leaks<D: Detector>(
    base: u64,
    each: u64,
    rate: f64,
    onset: Onset,
    make: &impl Fn(&Trace) -> D,
) -> Vec<[Score; 2]> {
    let of = |shape| {
        let mut scores = [Score::default(), Score::default()];
        for number in 0..each {
            let (trace, clear) = leaking(base, shape, number, rate, onset);
            scores[usize::from(!clear)].add(&trace, judge(&trace, &mut make(&trace)));
        }
        scores
    };
    Shape::ALL.map(of).to_vec()
}

fn series(trace: &Trace) -> Series {
    Series::new(trace.resource)
}

/// The targets, on fewer traces than the table has: a build without optimization takes seconds.
#[test]
fn targets_are_met() {
    let healthy = Score::sum(&healthy(REPORTED, 20, &series));
    // 3,360 days.
    assert!(healthy.false_per_1000_days() < 1.0, "{healthy:?}");
    let found = leaks(REPORTED, 20, 0.01, Onset::Known, &series);
    let clear = Score::sum(found.iter().map(|scores| &scores[0]));
    assert!(clear.leaks > 100 && clear.part(clear.within[0]) >= 95.0, "{clear:?}");
    assert!(clear.ever == clear.leaks, "{clear:?}");
}

#[test]
#[ignore = "a minute in a release build; it makes the tables of docs/leaks.md"]
fn table() {
    tables(REPORTED, 100);
}

#[test]
#[ignore = "the same with the seeds for tuning"]
fn tuning() {
    tables(TUNING, 100);
}

fn tables(base: u64, each: u64) {
    let quiet = healthy(base, each, &series);
    let found = leaks(base, each, 0.01, Onset::Known, &series);
    println!(
        "| shape | days | false alarms | clear leaks | in 6 h | in 12 h | other leaks | in 6 h | in 24 h |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    let row = |name: &str, healthy: &Score, clear: &Score, other: &Score| {
        println!(
            "| {name} | {:.0} | {} | {} | {} | {} | {} | {} | {} |",
            healthy.healthy_days,
            healthy.false_alarms,
            clear.leaks,
            clear.within[0],
            clear.within[1],
            other.leaks,
            other.within[0],
            other.within[2],
        );
    };
    for ((shape, healthy), scores) in Shape::ALL.iter().zip(&quiet).zip(&found) {
        row(shape.words(), healthy, &scores[0], &scores[1]);
    }
    let all = |scores: &[[Score; 2]], which: usize| Score::sum(scores.iter().map(|pair| &pair[which]));
    row("**all**", &Score::sum(&quiet), &all(&found, 0), &all(&found, 1));

    println!("\n| when the leak begins | rate | clear leaks | in 6 h | in 12 h | in 24 h |");
    println!("|---|---|---|---|---|---|");
    let cases = [
        ("known for a week", Onset::Known, 0.005),
        ("known for a week", Onset::Known, 0.01),
        ("known for a week", Onset::Known, 0.02),
        ("known for a week", Onset::Known, 0.05),
        ("in the first week", Onset::FirstWeek, 0.01),
        ("with the service's first start", Onset::Start, 0.01),
    ];
    for (words, onset, rate) in cases {
        let clear = all(&leaks(base, each, rate, onset, &series), 0);
        let [six, twelve, day] = clear.within.map(|count| clear.part(count));
        println!(
            "| {words} | {:.1} %/h | {} | {six:.0} % | {twelve:.0} % | {day:.0} % |",
            rate * 100.0,
            clear.leaks
        );
    }

    println!(
        "\n| detector | found in 6 h (clear) | found in 6 h (all) | precision | false alarms in 1,000 days |"
    );
    println!("|---|---|---|---|---|");
    compare("Mainstay", base, each, &series);
    for times in [1.1, 1.3, 2.0] {
        let words = format!("threshold: {times} × the first day's mean");
        compare(&words, base, each, &|_: &Trace| Threshold::new(times));
    }
    for (hours, rise) in [(6, 0.03), (6, 0.1), (24, 0.1), (24, 0.3)] {
        let words = format!("least squares over {hours} h: more than {:.0} %", rise * 100.0);
        compare(&words, base, each, &|_: &Trace| LeastSquares::new(hours, rise));
    }
}

fn compare<D: Detector>(words: &str, base: u64, each: u64, make: &impl Fn(&Trace) -> D) {
    let quiet = Score::sum(&healthy(base, each, make));
    let found = leaks(base, each, 0.01, Onset::Known, make);
    let clear = Score::sum(found.iter().map(|pair| &pair[0]));
    let all = Score::sum(found.iter().flatten());
    let both = Score::sum([&quiet, &all]);
    println!(
        "| {words} | {:.1} % | {:.1} % | {:.1} % | {:.1} |",
        clear.part(clear.within[0]),
        all.part(all.within[0]),
        both.precision(),
        both.false_per_1000_days()
    );
}
