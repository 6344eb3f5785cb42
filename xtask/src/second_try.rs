//! A second try for the tests of one program that failed under Wine, each alone.
//!
//! Wine itself drops a handle now and then when many processes start at once. A test that fails twice is a failure;
//! one that passes the second time is named, so that nobody can take it for one that passed.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, ExitStatus, Stdio};

/// How the line begins that names what passed the second time.
pub const FLAKY: &str = "FLAKY under Wine: ";

/// More failures than this are no accident.
const AT_MOST: usize = 3;

/// Runs a test program, and what failed of it again. `command` makes a command of its arguments.
pub fn run(args: &[&str], command: impl Fn(&[&str]) -> Command) -> Result<ExitStatus, String> {
    let (status, failed) = once(command(args))?;
    if status.success() || failed.is_empty() || failed.len() > AT_MOST {
        return Ok(status);
    }
    println!("\nfailed, tried once more: {}", failed.join(", "));
    let mut again = vec!["--exact", "--test-threads=1"];
    again.extend(failed.iter().map(String::as_str));
    let (status, _) = once(command(&again))?;
    if status.success() {
        println!("{FLAKY}{}", failed.join(", "));
    }
    Ok(status)
}

/// Runs it, shows what it prints, and returns the names of the tests that failed.
fn once(mut command: Command) -> Result<(ExitStatus, Vec<String>), String> {
    let cannot = |error: std::io::Error| format!("cannot run a test program: {error}");
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(cannot)?;
    let mut failures = Failures::default();
    if let Some(stdout) = child.stdout.take() {
        let mut stdout = BufReader::new(stdout);
        let mut line = Vec::new();
        while stdout.read_until(b'\n', &mut line).map_err(cannot)? > 0 {
            std::io::stdout().write_all(&line).map_err(cannot)?;
            failures.see(&String::from_utf8_lossy(&line));
            line.clear();
        }
    }
    Ok((child.wait().map_err(cannot)?, failures.names))
}

/// The list at the end of what libtest prints: `failures:`, then a name a line, indented by four.
#[derive(Default)]
struct Failures {
    in_list: bool,
    names: Vec<String>,
}

impl Failures {
    fn see(&mut self, line: &str) {
        let line = line.trim_end();
        if line == "failures:" {
            // The first such list is of what they printed; only the last counts.
            self.in_list = true;
            self.names.clear();
        } else if let Some(name) = line.strip_prefix("    ").filter(|_| self.in_list) {
            self.names.push(name.to_owned());
        } else if !line.is_empty() {
            self.in_list = false;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Vec<String> {
        let mut failures = Failures::default();
        for line in text.split_inclusive('\n') {
            failures.see(line);
        }
        failures.names
    }

    #[test]
    fn the_last_list_counts() {
        let text = "test a ... ok\ntest b::c ... FAILED\n\nfailures:\n\n---- b::c stdout ----\n    a trace\n\n\
            failures:\r\n    b::c\r\n    d\r\n\r\ntest result: FAILED. 1 passed; 2 failed\n";
        assert_eq!(names(text), ["b::c", "d"]);
    }

    #[test]
    fn what_passes_or_crashes_has_none() {
        assert!(names("test a ... ok\n\ntest result: ok. 1 passed\n").is_empty());
        assert!(names("running 3 tests\ntest a ... ok\n").is_empty());
    }
}
