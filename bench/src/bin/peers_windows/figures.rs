//! The figures, a line of a table each.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use windows_service::service::{ServiceState, UserEventCode};

use crate::memory;
use crate::wrapper::{Installed, Kind, Programs, Wanted};

type Done<T = ()> = Result<T, String>;

/// So often what takes time is measured; the median counts.
const TIMES: usize = 5;

/// Lines of the log that is rotated, and the size of a file in it.
const LINES: u64 = 200_000;
const ROTATE_AT: u64 = 1_000_000;

/// What is hard to pass on as arguments.
const HARD: [&[&str]; 21] = [
    &["plain"],
    &["two words"],
    &[""],
    &["", ""],
    &["a", "", "b"],
    &["\"quoted\""],
    &["half\"quoted"],
    &["ends\\"],
    &["ends in spaces \\"],
    &["C:\\Program Files\\x\\"],
    &["\\\\server\\share\\"],
    &["a\\\"b"],
    &["a\\\\\"b c"],
    &["%PATH%"],
    &["100%"],
    &["^caret&and|pipe"],
    &["<in>out"],
    &["tab\tin"],
    &["ünïcödé", "日本語"],
    &["--port", "8080", "-x"],
    &["'single'", "`back`", "$dollar"],
];

/// What is hard to pass on in the environment.
const VALUES: [&str; 13] = [
    "plain",
    "two words",
    "",
    "\"quoted\"",
    "ends\\",
    "a=b=c",
    "%NOT_A_VARIABLE%",
    "100%",
    "semi;colon",
    "ünïcödé 日本語",
    "^&|<>",
    "$dollar ${BRACE}",
    "  spaces around  ",
];

/// One figure of one wrapper.
type Figure = fn(Kind, &Programs) -> Done<String>;

/// All of them.
pub fn run(words: &[OsString]) -> Done {
    let option = |name: &str| {
        let at = words.iter().position(|word| word == name)?;
        words.get(at + 1).map(PathBuf::from)
    };
    let program = |name: &str| option(name).ok_or_else(|| format!("{name} PROGRAM is missing"));
    let programs =
        Programs { mainstay: program("--mainstay")?, nssm: program("--nssm")?, shawl: program("--shawl")? };
    println!("| what | {} |", Kind::ALL.map(Kind::name).join(" | "));
    println!("|---|---|---|---|");
    let only = option("--only");
    let figures: [(&str, Figure); 14] = [
        ("StartService to RUNNING, ms", start_to_running),
        ("first crash, after 2.5 s of life, to the next start, ms", first_crash),
        ("the second and third such crash, ms", further_crashes),
        ("stop of an app deaf to everything, each with its defaults, s", deaf_stop),
        ("the same, each told to kill it 1.5 s after Ctrl+C, s", deaf_stop_alike),
        ("a control of its own answered, ms: median, longest of 200", answers),
        ("the same while its brain is killed again and again", answers_without_brain),
        ("hard argument lists exact, of 21", arguments),
        ("hard environment values exact, of 13", environment),
        ("200,000 lines through rotation: lost, torn", rotation),
        (
            "wrapper killed while 200,000 lines are written: lost of what was acknowledged by its app",
            killed_lines,
        ),
        ("wrapper killed, started again: copies of the app", copies),
        ("memory of the wrapper for 1 and 20 services, resident (private), MB", memory_of),
        ("the same for 20 services of one stack", memory_of_stack),
    ];
    for (what, figure) in figures {
        if only.as_ref().is_some_and(|only| !what.contains(&*only.to_string_lossy())) {
            continue;
        }
        let cells =
            Kind::ALL.map(|kind| figure(kind, &programs).unwrap_or_else(|error| format!("– ({error})")));
        println!("| {what} | {} |", cells.join(" | "));
    }
    Ok(())
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

fn wanted(words: &[&dyn AsRef<std::ffi::OsStr>]) -> Wanted {
    Wanted { arguments: words.iter().map(|word| word.as_ref().to_owned()).collect(), ..Wanted::default() }
}

fn temporary() -> Done<tempfile::TempDir> {
    tempfile::tempdir().map_err(|error| error.to_string())
}

/// The lines of a file that the app writes, once there are so many.
fn lines_of(file: &Path, count: usize, most: Duration) -> Done<Vec<String>> {
    let begin = Instant::now();
    loop {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        let lines: Vec<String> = text.lines().map(str::to_owned).collect();
        if lines.len() >= count {
            return Ok(lines);
        }
        if begin.elapsed() > most {
            return Err(format!("{} of {count} lines after {} s", lines.len(), most.as_secs()));
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn start_to_running(kind: Kind, programs: &Programs) -> Done<String> {
    let dir = temporary()?;
    let file = dir.path().join("stamps");
    let service = Installed::new(kind, programs, "start", &wanted(&[&"stamp", &file]))?;
    let mut figures = Vec::new();
    for _ in 0..TIMES {
        figures.push(service.start()?.as_secs_f64() * 1e3);
        service.stop()?;
    }
    Ok(format!("{:.0}", median(figures)))
}

/// The gaps between an end and the next start, in milliseconds.
fn gaps(kind: Kind, programs: &Programs, count: usize) -> Done<Vec<f64>> {
    let dir = temporary()?;
    let file = dir.path().join("stamps");
    let service = Installed::new(kind, programs, "crash", &wanted(&[&"crash", &file, &"2500"]))?;
    service.start()?;
    // A start and an end in turn.
    let lines = lines_of(&file, 2 * count + 1, Duration::from_secs(60))?;
    let times: Vec<f64> = lines.iter().filter_map(|line| line.parse().ok()).collect();
    Ok(times[1..].chunks_exact(2).map(|pair| pair[1] - pair[0]).collect())
}

fn first_crash(kind: Kind, programs: &Programs) -> Done<String> {
    let mut first = Vec::new();
    for _ in 0..TIMES {
        first.extend(gaps(kind, programs, 1)?);
    }
    Ok(format!("{:.0}", median(first)))
}

/// What crashes again soon is held back by some: the first restart of Mainstay is at once, later ones are not.
fn further_crashes(kind: Kind, programs: &Programs) -> Done<String> {
    let gaps = gaps(kind, programs, 3)?;
    Ok(gaps[1..].iter().map(|gap| format!("{gap:.0}")).collect::<Vec<_>>().join(", "))
}

fn deaf_stop(kind: Kind, programs: &Programs) -> Done<String> {
    stop_of_deaf(kind, programs, None)
}

fn deaf_stop_alike(kind: Kind, programs: &Programs) -> Done<String> {
    stop_of_deaf(kind, programs, Some(Duration::from_millis(1500)))
}

fn stop_of_deaf(kind: Kind, programs: &Programs, killed_after: Option<Duration>) -> Done<String> {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let fixture = Some(own.with_file_name("mainstay-fixture.exe"));
    let wanted = Wanted { program: fixture, killed_after, ..wanted(&[&"ignore-signals"]) };
    let service = Installed::new(kind, programs, "deaf", &wanted)?;
    service.start()?;
    std::thread::sleep(Duration::from_secs(1));
    Ok(format!("{:.1}", service.stop()?.as_secs_f64()))
}

fn answers(kind: Kind, programs: &Programs) -> Done<String> {
    times_of_answers(kind, programs, |_, _| Ok(()))
}

/// Every tenth control comes right after the end of the process that decides, where that is one of its own.
fn answers_without_brain(kind: Kind, programs: &Programs) -> Done<String> {
    if kind != Kind::Mainstay {
        return Ok("one process".to_owned());
    }
    times_of_answers(kind, programs, |service, nth| {
        if nth % 10 == 0
            && let Ok(daemon) = service.mainstay_daemon()
        {
            let end =
                std::process::Command::new("taskkill").args(["/F", "/PID", &daemon.to_string()]).output();
            end.map_err(|error| error.to_string())?;
        }
        Ok(())
    })
}

/// What it is answered does not matter: that it means nothing is an answer, too.
fn times_of_answers(
    kind: Kind,
    programs: &Programs,
    before: impl Fn(&Installed, usize) -> Done,
) -> Done<String> {
    const COUNT: usize = 200;
    let dir = temporary()?;
    let service =
        Installed::new(kind, programs, "answers", &wanted(&[&"stamp", &dir.path().join("stamps")]))?;
    service.start()?;
    let handle = service.open()?;
    let code = UserEventCode::from_raw(200).map_err(|error| format!("{error:?}"))?;
    let mut times = Vec::new();
    for nth in 0..COUNT {
        before(&service, nth)?;
        let begin = Instant::now();
        let _ = handle.notify(code);
        times.push(begin.elapsed().as_secs_f64() * 1e3);
    }
    let longest = times.iter().copied().fold(0.0, f64::max);
    Ok(format!("{:.1}, {longest:.1}", median(times)))
}

fn arguments(kind: Kind, programs: &Programs) -> Done<String> {
    let mut exact = 0;
    for (n, hard) in HARD.iter().enumerate() {
        let dir = temporary()?;
        let file = dir.path().join("args");
        let mut wanted = wanted(&[&"args", &file]);
        wanted.arguments.extend(hard.iter().map(OsString::from));
        let passed = || -> Done<bool> {
            let service = Installed::new(kind, programs, &format!("args-{n}"), &wanted)?;
            service.start()?;
            let line = lines_of(&file, 1, Duration::from_secs(5))?.concat();
            let exact = serde_json::json!(hard).to_string();
            Ok(line == exact)
        };
        exact += u32::from(passed().unwrap_or(false));
    }
    Ok(exact.to_string())
}

fn environment(kind: Kind, programs: &Programs) -> Done<String> {
    let mut exact = 0;
    for (n, value) in VALUES.iter().enumerate() {
        let dir = temporary()?;
        let file = dir.path().join("env");
        let mut wanted = wanted(&[&"env", &file, &"HARD"]);
        // One after it tells whether the value ended the block.
        wanted.environment = vec![("HARD".into(), (*value).to_owned()), ("ZZ_AFTER".into(), "there".into())];
        let passed = || -> Done<bool> {
            let service = Installed::new(kind, programs, &format!("env-{n}"), &wanted)?;
            service.start()?;
            let line = lines_of(&file, 1, Duration::from_secs(5))?.concat();
            let exact = serde_json::json!([value, "there"]).to_string();
            Ok(line == exact)
        };
        exact += u32::from(passed().unwrap_or(false));
    }
    Ok(exact.to_string())
}

/// What of the lines is in the files of a directory: whole ones, and such as are none.
fn found(dir: &Path) -> (BTreeSet<u64>, usize) {
    let (mut whole, mut torn) = (BTreeSet::new(), 0);
    for file in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let name = file.file_name().to_string_lossy().into_owned();
        if name.ends_with(".idx") || name.contains("shawl_for") {
            continue;
        }
        let text = std::fs::read(file.path()).unwrap_or_default();
        for line in String::from_utf8_lossy(&text).lines().filter(|line| !line.is_empty()) {
            let number = line.strip_prefix("line ").and_then(|rest| {
                rest.strip_suffix(" of a log that is to be whole, each and every one of them")
            });
            match number.filter(|number| number.len() == 9).and_then(|number| number.parse().ok()) {
                Some(number) => drop(whole.insert(number)),
                None => torn += 1,
            }
        }
    }
    (whole, torn)
}

fn rotated(kind: Kind, programs: &Programs, name: &str, dir: &Path) -> Done<(Installed, PathBuf)> {
    let logs = dir.join("logs");
    std::fs::create_dir(&logs).map_err(|error| error.to_string())?;
    let mut wanted = wanted(&[&"lines", &LINES.to_string(), &dir.join("done")]);
    wanted.rotated = Some((ROTATE_AT, logs.clone()));
    let service = Installed::new(kind, programs, name, &wanted)?;
    Ok((service, logs))
}

fn rotation(kind: Kind, programs: &Programs) -> Done<String> {
    let dir = temporary()?;
    let (service, mut logs) = rotated(kind, programs, "rotation", dir.path())?;
    service.start()?;
    lines_of(&dir.path().join("done"), 1, Duration::from_secs(180))?;
    if kind == Kind::Mainstay {
        logs = service.mainstay_log()?;
    }
    service.stop()?;
    let (whole, torn) = found(&logs);
    Ok(format!("{}, {torn}", LINES - whole.len() as u64))
}

fn killed_lines(kind: Kind, programs: &Programs) -> Done<String> {
    let dir = temporary()?;
    let (service, mut logs) = rotated(kind, programs, "killed", dir.path())?;
    service.start()?;
    std::thread::sleep(Duration::from_secs(2));
    if kind == Kind::Mainstay {
        logs = service.mainstay_log()?;
    }
    kill(&service)?;
    std::thread::sleep(Duration::from_secs(2));
    let (whole, torn) = found(&logs);
    let last = whole.last().copied().unwrap_or(0);
    Ok(format!("{} of {last} up to the last, torn {torn}", last - whole.len() as u64))
}

fn kill(service: &Installed) -> Done {
    let pid = service.query()?.process_id.ok_or("no process")?;
    let done = std::process::Command::new("taskkill").args(["/F", "/PID", &pid.to_string()]).output();
    done.map_err(|error| error.to_string())?;
    service.until(ServiceState::Stopped, Duration::from_secs(30)).map(drop)
}

fn copies(kind: Kind, programs: &Programs) -> Done<String> {
    let dir = temporary()?;
    let file = dir.path().join("beats");
    let service = Installed::new(kind, programs, "copies", &wanted(&[&"beat", &file]))?;
    service.start()?;
    lines_of(&file, 3, Duration::from_secs(20))?;
    kill(&service)?;
    service.start()?;
    std::thread::sleep(Duration::from_secs(4));
    let text = std::fs::read_to_string(&file).map_err(|error| error.to_string())?;
    let since = crate::app::now().saturating_sub(1500);
    let alive: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.split_once(' '))
        .filter(|(_, at)| at.parse::<u128>().is_ok_and(|at| at >= since))
        .map(|(pid, _)| pid)
        .collect();
    Ok(alive.len().to_string())
}

fn memory_of(kind: Kind, programs: &Programs) -> Done<String> {
    let mut cells = Vec::new();
    for count in [1, 20] {
        let dir = temporary()?;
        let file = dir.path().join("stamps");
        let mut services = Vec::new();
        for n in 0..count {
            let service = Installed::new(kind, programs, &format!("mem-{n}"), &wanted(&[&"stamp", &file]))?;
            service.start()?;
            services.push(service);
        }
        lines_of(&file, count, Duration::from_secs(60))?;
        cells.push(memory_now(kind)?);
    }
    Ok(cells.join(" / "))
}

/// One wrapper for all of them, where there is such a thing.
fn memory_of_stack(kind: Kind, programs: &Programs) -> Done<String> {
    const COUNT: usize = 20;
    if kind != Kind::Mainstay {
        return Ok("a wrapper each".to_owned());
    }
    let dir = temporary()?;
    let file = dir.path().join("stamps");
    let wanted = Wanted { copies: COUNT, ..wanted(&[&"stamp", &file]) };
    let service = Installed::new(kind, programs, "stack", &wanted)?;
    service.start()?;
    lines_of(&file, COUNT, Duration::from_secs(60))?;
    memory_now(kind)
}

fn memory_now(kind: Kind) -> Done<String> {
    std::thread::sleep(Duration::from_secs(2));
    let (resident, private) = memory::of(&[kind.process()]).ok_or("no /proc")?;
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    Ok(format!("{:.0} ({:.0})", megabytes(resident), megabytes(private)))
}
