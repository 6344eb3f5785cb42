//! Bytes per second and CPU of the log capture, beside `program | cat > file`.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::stack::{Stack, program};
use crate::stats::{cpu, median};

/// What one pass writes.
const BYTES: u64 = 2_000_000_000;
const ROUNDS: usize = 7;

/// Large writes, then line by line.
pub fn run() -> Result<(), String> {
    for (name, size) in [("64 KiB writes", 65_536), ("120 byte lines", 120)] {
        let bytes = if size > 1000 { BYTES } else { BYTES / 4 };
        let (mut cat_rate, mut cat_cpu, mut our_rate, mut our_cpu) = (vec![], vec![], vec![], vec![]);
        for _ in 0..ROUNDS {
            let (rate, cpu) = with_cat(bytes, size)?;
            cat_rate.push(rate);
            cat_cpu.push(cpu);
            let (rate, cpu) = with_mainstay(bytes, size)?;
            our_rate.push(rate);
            our_cpu.push(cpu);
        }
        let (cat_rate, our_rate) = (median(&mut cat_rate), median(&mut our_rate));
        let (cat_cpu, our_cpu) = (median(&mut cat_cpu), median(&mut our_cpu));
        println!(
            "{name}: cat {cat_rate:7.0} MB/s {cat_cpu:5.2} s/GB | mainstay {our_rate:7.0} MB/s {our_cpu:5.2} s/GB"
        );
        println!(
            "  throughput ratio {:.2} (target 0.9 or more), CPU ratio {:.2} (target 1 or less)",
            our_rate / cat_rate,
            our_cpu / cat_cpu
        );
    }
    Ok(())
}

fn spew(bytes: u64, size: usize) -> Command {
    let mut command = Command::new(program("mainstay-fixture"));
    command.args(["spew", &bytes.to_string(), "--block", &size.to_string()]);
    command
}

/// MB/s and CPU seconds per GB of `spew | cat > file`.
fn with_cat(bytes: u64, size: usize) -> Result<(f64, f64), String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let file = fs::File::create(dir.path().join("out")).map_err(|error| error.to_string())?;
    let started = Instant::now();
    let mut writer = spew(bytes, size).stdout(Stdio::piped()).spawn().map_err(|error| error.to_string())?;
    let pipe = writer.stdout.take().ok_or("no pipe")?;
    let mut cat = Command::new("cat").stdin(pipe).stdout(file).spawn().map_err(|error| error.to_string())?;
    let mut used = 0.0;
    loop {
        // The account of a process that has ended is gone: read it until then.
        used = f64::max(used, cpu(cat.id()));
        if cat.try_wait().map_err(|error| error.to_string())?.is_some() {
            break;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let took = started.elapsed().as_secs_f64();
    let _ = writer.wait();
    Ok((bytes as f64 / 1e6 / took, used / (bytes as f64 / 1e9)))
}

/// The same into a service's log with rotation at 100 MB.
fn with_mainstay(bytes: u64, size: usize) -> Result<(f64, f64), String> {
    let config = format!(
        "[service.app]\ncommand = [{:?}, \"spew\", \"{bytes}\", \"--block\", \"{size}\"]\nstart = \"manual\"\n\
         restart = \"never\"\nlog = {{ rotate = {{ size = \"100MB\" }}, keep = {{ files = 100 }} }}\n",
        program("mainstay-fixture")
    );
    let (stack, _) = Stack::up(&config)?;
    let pids = stack.own_pids()?;
    let before: f64 = pids.iter().map(|pid| cpu(*pid)).sum();
    let started = Instant::now();
    let start = stack.mainstay(&["start", "app", "--no-wait", "-s", "bench"]).stdout(Stdio::null()).status();
    start.map_err(|error| error.to_string())?;
    let deadline = started + Duration::from_secs(120);
    let dir = stack.log("app").parent().map(Path::to_path_buf).unwrap_or_default();
    while written(&dir) < bytes {
        if Instant::now() > deadline {
            return Err(format!("only {} of {bytes} bytes are in the log", written(&dir)));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let took = started.elapsed().as_secs_f64();
    let used = pids.iter().map(|pid| cpu(*pid)).sum::<f64>() - before;
    Ok((bytes as f64 / 1e6 / took, used / (bytes as f64 / 1e9)))
}

fn written(dir: &Path) -> u64 {
    let Ok(files) = fs::read_dir(dir) else { return 0 };
    files.flatten().filter_map(|file| file.metadata().ok()).map(|meta| meta.len()).sum()
}

/// 200 services that write 100 lines a second each: CPU of keeper and daemon.
pub fn trickle() -> Result<(), String> {
    let mut config = String::new();
    for n in 0..200 {
        config += &format!(
            "[service.s{n}]\ncommand = [{:?}, \"lines\", \"--count\", \"100000000\", \"--rate\", \"100\", \"--size\", \"100\"]\n",
            program("mainstay-fixture")
        );
    }
    let (stack, _) = Stack::up(&config)?;
    let pids = stack.own_pids()?;
    std::thread::sleep(Duration::from_secs(2));
    let before: f64 = pids.iter().map(|pid| cpu(*pid)).sum();
    let started = Instant::now();
    std::thread::sleep(Duration::from_secs(10));
    let used = pids.iter().map(|pid| cpu(*pid)).sum::<f64>() - before;
    println!(
        "200 services x 100 lines/s: {:.1} % of a core (target 8)",
        used / started.elapsed().as_secs_f64() * 100.0
    );
    Ok(())
}
