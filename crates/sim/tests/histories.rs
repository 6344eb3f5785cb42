//! Random histories. `SIM_SEED=7` plays the history of that seed, `SIM_SEED=7 SIM_HISTORIES=100` the hundred from
//! there on. A failing one is shrunk, written down and named.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use mainstay_sim::check::{self, Failure};
use mainstay_sim::history::History;
use mainstay_sim::recording;
use mainstay_sim::shrink::shrink;
use mainstay_sim::world::Count;

/// So many are played when nobody says anything else.
const HISTORIES: u64 = 10_000;

/// The number in an environment variable.
fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} must be a number, but is '{text}'")))
}

#[test]
fn random_histories() {
    let first = number("SIM_SEED");
    let many = number("SIM_HISTORIES").unwrap_or(if first.is_some() { 1 } else { HISTORIES });
    let first = first.unwrap_or(1);
    let began = Instant::now();
    // Panics are part of what is looked for; each would be printed otherwise, many times while it is shrunk.
    std::panic::set_hook(Box::new(|_| {}));
    let (played, total, failed) = play(first, many);
    let _ = std::panic::take_hook();
    if let Some((seed, failure)) = failed {
        panic!("{}", explain(seed, failure));
    }
    println!(
        "{played} histories from seed {first} on in {:.1} s: {} inputs, {} effects, {} processes, {} daemons \
         replaced, {} crash loops",
        began.elapsed().as_secs_f64(),
        total.inputs,
        total.effects,
        total.spawns,
        total.daemons,
        total.crash_loops,
    );
    assert_eq!(played, many);
    if many >= HISTORIES {
        // What never happens is not tested.
        assert!(
            total.daemons > many && total.spawns > 10 * many && total.crash_loops > many / 10,
            "{total:?}"
        );
    }
}

/// Plays that many histories on all processors, up to the first that fails.
fn play(first: u64, many: u64) -> (u64, Count, Option<(u64, Failure)>) {
    let next = AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let work = || {
        let (mut played, mut total, mut failed) = (0, Count::default(), None);
        while !stop.load(Ordering::Relaxed) && failed.is_none() {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= many {
                break;
            }
            match check::play(&History::from_seed(first + seed)) {
                Ok(count) => {
                    total = total.plus(count);
                    played += 1;
                }
                Err(failure) => {
                    failed = Some((first + seed, failure));
                    stop.store(true, Ordering::Relaxed);
                }
            }
        }
        (played, total, failed)
    };
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(8);
    let parts = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect::<Vec<_>>()
    });
    let mut sum = (0, Count::default(), None);
    for (played, total, failed) in parts {
        sum = (sum.0 + played, sum.1.plus(total), sum.2.or(failed));
    }
    sum
}

/// All that helps to find out why, and the place of a recording.
fn explain(seed: u64, failure: Failure) -> String {
    std::panic::set_hook(Box::new(|_| {}));
    let (history, failure) = shrink(&History::from_seed(seed), failure);
    let (_, trace) = check::play_traced(&history);
    let _ = std::panic::take_hook();
    let mut text = format!("seed {seed} fails: {failure}\n\nPlan:\n");
    for (name, plan) in &history.plan.services {
        let _ = writeln!(text, "  {name}: {plan:?}");
    }
    let _ = writeln!(text, "\nWhat happens (then {:?}):", history.finish);
    for step in &history.steps {
        let _ = writeln!(text, "  {step:?}");
    }
    let skipped = trace.len().saturating_sub(number("SIM_STEPS").map_or(60, |n| n as usize));
    let _ = writeln!(text, "\nThe trace, without its first {skipped} steps:");
    for step in &trace[skipped..] {
        let _ = writeln!(text, "  {step}");
    }
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("sim-{seed}.jsonl"));
    std::fs::write(&path, recording::of(&history, &trace).to_text()).unwrap();
    let _ = write!(text, "\n{}", again(seed, &path));
    text
}

fn again(seed: u64, path: &Path) -> String {
    format!(
        "Again:  SIM_SEED={seed} cargo test -p mainstay-sim --test histories\n\
         Look:   mainstay debug replay {}\n\
         Keep:   copy that file to crates/sim/regressions/ once the cause is known\n",
        path.display()
    )
}
