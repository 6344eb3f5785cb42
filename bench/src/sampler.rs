//! What it costs to look at 1,000 services every 10 s: those that sleep, and those that do something all the time.

use std::fs;
use std::time::{Duration, Instant};

use crate::stack::{Stack, program};
use crate::stats::{cpu, pss};

const COUNT: usize = 1_000;
/// Six looks.
const TIME: Duration = Duration::from_secs(60);

pub fn run() -> Result<(), String> {
    measure("asleep", &["sleep"])?;
    // Each runs, and writes into its log, between any two looks.
    measure("awake, a line a second each", &["lines", "--count", "100000", "--rate", "1"])
}

fn measure(what: &str, mode: &[&str]) -> Result<(), String> {
    let command: Vec<String> = std::iter::once(program("mainstay-fixture").display().to_string())
        .chain(mode.iter().map(|word| (*word).to_owned()))
        .map(|word| format!("{word:?}"))
        .collect();
    let command = command.join(", ");
    let services: Vec<String> =
        (0..COUNT).map(|n| format!("[service.s{n}]\ncommand = [{command}]\n")).collect();
    let (stack, _) = Stack::up(&services.concat())?;
    let pids = stack.own_pids()?;
    let daemon = pids[1];
    // The first looks read everything.
    std::thread::sleep(Duration::from_secs(25));
    let (looks, all, begin) = (sampling(daemon), cpu(daemon), Instant::now());
    std::thread::sleep(TIME);
    let time = begin.elapsed().as_secs_f64();
    let (looks, all) = (sampling(daemon) - looks, cpu(daemon) - all);
    println!("{COUNT} services, {what}:");
    println!(
        "  looks every 10 s: {:.2} ms each, {:.4} % of a core (target 1 %)",
        looks / time * 1e4,
        looks / time * 100.0
    );
    println!(
        "  the whole daemon: {:.4} % of a core, {:.1} MiB PSS",
        all / time * 100.0,
        pss(daemon) as f64 / 1024.0
    );
    stack.down().map(|_| ())
}

/// Processor seconds of the thread that looks.
fn sampling(pid: u32) -> f64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0.0 };
    let times = tasks.flatten().filter_map(|task| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        (name.trim() == "metrics").then_some(())?;
        fs::read_to_string(task.path().join("schedstat")).ok()?.split_whitespace().next()?.parse::<f64>().ok()
    });
    times.sum::<f64>() / 1e9
}
