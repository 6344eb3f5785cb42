//! 0, 100 and 1,000 services: start, status, memory, idle CPU, stop.

use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::stack::{Stack, program};
use crate::stamps::{now, spawn_bare, wait_for_last};
use crate::stats::{cpu, median, pss};

pub fn run() -> Result<(), String> {
    for count in [0, 100, 1000] {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        let bare = bare(count, &dir.path().join("bare"))?;
        let stamps = dir.path().join("stamps");
        // A stack has at least one service; this one never runs.
        let mut config = "[service.idle]\ncommand = [\"true\"]\nstart = \"manual\"\n".to_owned();
        for n in 0..count {
            config += &format!(
                "[service.s{n}]\ncommand = [{:?}, \"stamp\", {stamps:?}, \"--then\", \"sleep\"]\n",
                program("mainstay-fixture")
            );
        }
        let begin = now();
        let (stack, up) = Stack::up(&config)?;
        let all = wait_for_last(&stamps, count)?.saturating_sub(begin) as f64 / 1e9;
        let pids = stack.own_pids()?;
        let mut status: Vec<f64> = (0..21).map(|_| timed_status(&stack)).collect::<Result<_, _>>()?;
        std::thread::sleep(Duration::from_secs(3));
        let before: f64 = pids.iter().map(|pid| cpu(*pid)).sum();
        let started = Instant::now();
        std::thread::sleep(Duration::from_secs(20));
        let idle = (pids.iter().map(|pid| cpu(*pid)).sum::<f64>() - before) / started.elapsed().as_secs_f64();
        let memory: Vec<f64> = pids.iter().map(|pid| pss(*pid) as f64 / 1024.0).collect();
        let down = stack.down()?;
        println!("{count} services:");
        println!(
            "  up -d returns after {:.3} s; the last one's first instruction after {all:.3} s",
            up.as_secs_f64()
        );
        if count > 0 {
            println!(
                "  bare spawn loop with a pipe each, the same {bare:.3} s: ratio {:.2} (target 1.5 at 1,000)",
                all / bare
            );
        }
        println!(
            "  PSS keeper {:.1} MiB + daemon {:.1} MiB = {:.1} MiB (target 20 MB)",
            memory[0],
            memory[1],
            memory.iter().sum::<f64>()
        );
        println!("  idle CPU {:.4} % of a core (target 0.01 %)", idle * 100.0);
        println!("  status, whole command: median {:.1} ms (target 10)", median(&mut status));
        println!("  down {:.3} s", down.as_secs_f64());
    }
    Ok(())
}

fn timed_status(stack: &Stack) -> Result<f64, String> {
    let started = Instant::now();
    let status = stack.mainstay(&["status", "-s", "bench"]).stdout(Stdio::null()).status();
    status.map_err(|error| error.to_string())?;
    Ok(started.elapsed().as_secs_f64() * 1e3)
}

/// A loop of std's spawn (posix_spawn) with a pipe each; seconds until the last one's first instruction.
fn bare(count: usize, stamps: &Path) -> Result<f64, String> {
    let begin = now();
    let mut children = Vec::with_capacity(count);
    for _ in 0..count {
        let child = spawn_bare(stamps)?;
        children.push(child);
    }
    let took = wait_for_last(stamps, count)?.saturating_sub(begin) as f64 / 1e9;
    for child in &mut children {
        let _ = child.kill();
    }
    for child in &mut children {
        let _ = child.wait();
    }
    Ok(took)
}
