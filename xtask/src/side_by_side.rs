//! Test programs, several at a time.
//!
//! cargo runs one after the other. Most of ours wait for processes rather than compute, and a machine with two
//! processors is idle for most of that time.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use crate::run::{Done, show};
use crate::second_try::FLAKY;

/// A test program that cargo has built.
#[derive(Debug, PartialEq, Eq)]
struct Program {
    exe: PathBuf,
    /// Its package's, where cargo runs it.
    folder: PathBuf,
}

/// What became of all programs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tally {
    programs: usize,
    passed: u64,
    /// Lines that are to be seen at the end, too: of thousands nobody would find them.
    remarks: Vec<String>,
    /// Programs that did not end well, and how.
    failed: Vec<String>,
}

impl Tally {
    /// Takes in what one program printed.
    fn see(&mut self, text: &str) {
        self.programs += 1;
        for line in text.lines() {
            if let Some(result) = line.strip_prefix("test result: ") {
                let passed = result.split_once(". ").and_then(|(_, rest)| rest.split_once(" passed"));
                self.passed += passed.and_then(|(count, _)| count.parse::<u64>().ok()).unwrap_or_default();
            } else if line.starts_with(FLAKY) || (line.starts_with("test ") && line.ends_with("FAILED")) {
                self.remarks.push(line.to_owned());
            }
        }
    }
}

/// Builds with `build` and runs the test programs among what it built, `most` at a time. `command` makes a command of a
/// program. What each prints is shown in one piece when it has ended, and at the end what became of all.
pub fn run(build: &mut Command, most: usize, command: impl Fn(&Path) -> Command + Sync) -> Done {
    let programs = built(build)?;
    if programs.is_empty() {
        return Err("cargo has built no test program".to_owned());
    }
    let began = Instant::now();
    let waiting = Mutex::new(programs.into_iter().collect::<VecDeque<_>>());
    let tally = Mutex::new(Tally::default());
    thread::scope(|scope| {
        for _ in 0..most {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some(program) = next else { return };
                    if let Err(error) = one(&program, command(&program.exe), &tally) {
                        tally.lock().unwrap_or_else(PoisonError::into_inner).failed.push(error);
                    }
                }
            });
        }
    });
    let Tally { programs, passed, remarks, failed } =
        tally.into_inner().unwrap_or_else(PoisonError::into_inner);
    let took = began.elapsed().as_secs();
    println!("\n{passed} tests of {programs} programs passed, in {took} s");
    remarks.iter().for_each(|line| println!("  {line}"));
    if failed.is_empty() { Ok(()) } else { Err(failed.join("; ")) }
}

/// Runs one, and shows what it printed. Into a file rather than a pipe: what it leaves running, as Wine's server, would
/// hold a pipe open.
fn one(program: &Program, mut command: Command, tally: &Mutex<Tally>) -> Done {
    let name = program.exe.display();
    println!("     Started {name}");
    let began = Instant::now();
    let printed = program.exe.with_extension("printed");
    let cannot = |error: std::io::Error| format!("cannot run {name}: {error}");
    let file = File::create(&printed).map_err(cannot)?;
    command.current_dir(&program.folder).stdin(Stdio::null());
    command.stdout(file.try_clone().map_err(cannot)?).stderr(file);
    let status = command.status().map_err(cannot)?;
    let text = fs::read(&printed).map_err(cannot)?;
    tally.lock().unwrap_or_else(PoisonError::into_inner).see(&String::from_utf8_lossy(&text));
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n     Running {name} ({:.0} s)", began.elapsed().as_secs_f64())
        .and_then(|()| out.write_all(&text))
        .map_err(cannot)?;
    if status.success() { Ok(()) } else { Err(format!("{name} ended with {status}")) }
}

/// Builds, and returns the test programs, the slowest to be expected first: those that start whole stacks.
fn built(build: &mut Command) -> Done<Vec<Program>> {
    let cannot = |error: std::io::Error| format!("cannot build the tests: {error}");
    println!("+ {}", show(build));
    build.arg("--message-format=json-render-diagnostics").stdout(Stdio::piped());
    let mut child = build.spawn().map_err(cannot)?;
    let mut programs = Vec::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).lines() {
            programs.extend(program(&line.map_err(cannot)?));
        }
    }
    let status = child.wait().map_err(cannot)?;
    if !status.success() {
        return Err(format!("the tests cannot be built: cargo ended with {status}"));
    }
    let is_whole = |program: &Program| {
        let exe = program.exe.file_name().unwrap_or_default().to_string_lossy();
        exe.starts_with("e2e_") || program.folder.ends_with("e2e")
    };
    programs.sort_by_key(|program| !is_whole(program));
    Ok(programs)
}

/// What a line of cargo's messages says of a test program.
fn program(message: &str) -> Option<Program> {
    let (profile, _) = message.split_once("\"profile\":{")?.1.split_once('}')?;
    if !profile.contains("\"test\":true") {
        return None;
    }
    let exe = text(message, "executable")?.into();
    let manifest = PathBuf::from(text(message, "manifest_path")?);
    Some(Program { exe, folder: manifest.parent()?.to_owned() })
}

/// A text in one line of JSON, by its key. Enough for paths on Unix; a whole reader would be the only thing that a fresh
/// machine has to build before the tests.
fn text<'a>(json: &'a str, key: &str) -> Option<&'a str> {
    let (_, rest) = json.split_once(&format!("\"{key}\":\""))?;
    rest.split_once('"').map(|(text, _)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_test_programs_are_taken() {
        let message = |test: bool, exe: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/r/crates/e2e/Cargo.toml","target":{{"kind":["test"],"name":"many","test":true}},"profile":{{"opt_level":"0","test":{test}}},"executable":{exe},"fresh":true}}"#
            )
        };
        let many = Program { exe: "/t/many.exe".into(), folder: "/r/crates/e2e".into() };
        assert_eq!(program(&message(true, r#""/t/many.exe""#)), Some(many));
        assert_eq!(program(&message(true, "null")), None, "a library");
        assert_eq!(program(r#"{"reason":"build-finished","success":true}"#), None);
    }

    #[test]
    fn what_is_to_be_seen_is_seen_at_the_end() {
        let mut tally = Tally::default();
        tally.see("test a ... ok\n\ntest result: ok. 12 passed; 0 failed; 1 ignored; 0 measured\n");
        tally.see("test b ... FAILED\ntest result: FAILED. 1 passed; 1 failed;\nFLAKY under Wine: b\n");
        let remarks = ["test b ... FAILED", "FLAKY under Wine: b"].map(str::to_owned).to_vec();
        assert_eq!(tally, Tally { programs: 2, passed: 13, remarks, failed: Vec::new() });
    }
}
