//! A command that is run for what it writes, and gone with all it started when that is known.

use std::io;
use std::time::Duration;

use zeroize::Zeroizing;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as platform;

/// What is to be run.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The program and its arguments.
    pub command: &'a [String],
    /// What it reads from standard input.
    pub input: &'a [u8],
    /// It is killed after this time, with all it started.
    pub limit: Duration,
    /// It may write so many bytes at the most.
    pub most: usize,
}

/// How it came out.
#[derive(Debug)]
pub struct Ran {
    /// How it ended.
    pub exit: crate::Exit,
    /// What it wrote to standard output. What it writes to standard error goes nowhere: it may be secret too.
    pub output: Zeroizing<Vec<u8>>,
}

/// Runs a command with our own environment, account and directory. `TimedOut` if it takes too long, `FileTooLarge` if it
/// writes too much. Nothing of it is left afterwards: on Windows it is in a job; on Linux in a process group, which ends
/// with us, so that only what leaves its group on purpose goes on.
///
/// # Errors
/// It could not be run to its end.
pub fn run(asked: &Asked<'_>) -> io::Result<Ran> {
    platform::run(asked)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;

    fn shell(script: &str) -> Vec<String> {
        let shell: &[&str] = if crate::IS_WINDOWS { &["cmd", "/c", script] } else { &["sh", "-c", script] };
        shell.iter().map(|word| (*word).to_owned()).collect()
    }

    fn asked(command: &[String]) -> Asked<'_> {
        Asked { command, input: b"", limit: Duration::from_secs(60), most: 1000 }
    }

    #[test]
    fn what_it_writes_and_how_it_ends_is_known() {
        let ran = run(&asked(&shell("echo out"))).expect("run");
        assert_eq!(ran.exit, crate::Exit::Code(0));
        assert_eq!(String::from_utf8_lossy(&ran.output).trim(), "out");
        let ran = run(&asked(&shell("echo err 1>&2 & exit 3"))).expect("run");
        // `&` goes on at once in a shell of Linux, which ends all the same.
        assert_eq!(ran.exit, crate::Exit::Code(3));
        assert!(ran.output.is_empty());
        assert!(run(&asked(&["no-such-program-here".to_owned()])).is_err());
    }

    #[test]
    fn it_reads_what_it_is_given() {
        let words = if crate::IS_WINDOWS { "findstr x" } else { "cat" };
        let command = shell(words);
        let ran = run(&Asked { input: b"xyz\n", ..asked(&command) }).expect("run");
        assert_eq!(String::from_utf8_lossy(&ran.output).trim(), "xyz");
    }

    #[test]
    fn what_takes_too_long_or_writes_too_much_is_ended() {
        let command =
            shell(if crate::IS_WINDOWS { "ping -n 100 127.0.0.1 >NUL" } else { "sleep 100 & sleep 100" });
        let start = Instant::now();
        let error =
            run(&Asked { limit: Duration::from_millis(300), ..asked(&command) }).expect_err("too long");
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() < Duration::from_secs(50));
        let command = shell("echo 0123456789");
        let error = run(&Asked { most: 4, ..asked(&command) }).expect_err("too much");
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}
