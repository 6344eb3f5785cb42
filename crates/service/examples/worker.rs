//! A worker that can do everything: `worker install`, `worker start`, `worker status`, or just `worker` in a terminal.
//!
//! For the tests `--name` is its name, `--how` how it misbehaves, and `--file` where it notes what happens to it.

use std::fs::OpenOptions;
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use mainstay_service::{Definition, Event, Failure, Level, Running, Service, command_line};

/// The value of an option.
fn option(name: &str) -> Option<String> {
    let words: Vec<String> = std::env::args().collect();
    let at = words.iter().position(|word| word == name)?;
    words.get(at + 1).cloned()
}

fn note(text: &str) {
    if let Some(path) = option("--file")
        && let Ok(mut file) = OpenOptions::new().create(true).append(true).open(path)
    {
        let _ = writeln!(file, "{text}");
    }
}

fn work(running: Running) -> Result<(), Failure> {
    let how = option("--how").unwrap_or_default();
    note(&format!("start {:?} {:?}", running.host(), running.arguments()));
    match how.as_str() {
        "fails" => return Err(Failure::new(42, "it was told to fail")),
        // A slow start that still listens: a stop ends it.
        "slow" => {
            running.stop_token().wait();
            note("stopped while it started");
            return Ok(());
        }
        _ => {}
    }
    running.ready();
    note("ready");
    if how == "dies" {
        std::process::abort();
    }
    running.log(Level::Info, "the worker works");
    loop {
        match running.next(Duration::from_millis(200)) {
            None => {}
            Some(Event::Stop(reason)) => {
                note(&format!("stop {reason:?}"));
                if how == "hangs" {
                    std::thread::sleep(Duration::from_secs(4));
                }
                note("end");
                return Ok(());
            }
            Some(Event::Pause) => {
                note("pause");
                running.paused();
            }
            Some(Event::Continue) => {
                note("continue");
                running.continued();
            }
            Some(Event::Reload) => {
                note("reload");
                running.reloaded();
            }
            Some(Event::Custom(code)) => note(&format!("custom {code}")),
            Some(Event::Power(_) | Event::Session { .. }) => {}
        }
    }
}

/// The program.
pub fn main() -> ExitCode {
    let name = option("--name").unwrap_or_else(|| "worker".to_owned());
    if let Some(done) = command_line::run(&name, || Definition::of_this_program(&name)) {
        return done;
    }
    Service::new(name).pausable().reloadable().custom_controls().run(work)
}
