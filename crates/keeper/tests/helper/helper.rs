//! Everything that the keeper's tests start: the keeper itself, daemons, services.
//!
//! - `keeper HOME STACK PORT`: a keeper on a leash, whose daemons are played by the test behind that port.
//! - `daemon PORT HOME --guard ARGUMENT`: passes frames between its keeper and the test, and ends all trees when the
//!   keeper is lost, as the real one does, unless there is a file `HOME/no-guard`.
//! - anything else: a service; see [`service`].
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "it is what tests look at")]
#![expect(clippy::zombie_processes, reason = "children left behind are what the keeper has to cope with")]
#![expect(clippy::unwrap_used, reason = "what a test's helper cannot do ends it")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use mainstay_keeper::Args;
use mainstay_sys::container::Guard;
use mainstay_sys::dirs::Dirs;
use mainstay_sys::link;
use mainstay_sys::mux::{Mux, Wake};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["keeper", home, stack, port] => keeper(home, stack, port),
        ["daemon", port, home, "--guard", guard] => daemon(port, home, guard),
        words => service(words),
    }
}

fn keeper(home: &str, stack: &str, port: &str) -> ExitCode {
    let base = PathBuf::from(home).join(stack);
    let result = mainstay_keeper::run(Args {
        plan: None,
        refused: None,
        stack: stack.to_owned(),
        dirs: Dirs { run: base.join("run"), state: base.join("state"), log: base.join("log") },
        config: Some("/etc/shop.toml".into()),
        daemon_exe: std::env::current_exe().unwrap(),
        daemon_args: vec!["daemon".into(), port.into(), home.into()],
        containment: mainstay_keeper::containment_from_environment().unwrap(),
        leash: true,
        host: None,
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("keeper: {error}");
            ExitCode::FAILURE
        }
    }
}

fn daemon(port: &str, home: &str, guard: &str) -> ExitCode {
    let guard = Guard::from_argument(guard).unwrap();
    let keeper = link::from_stdio().unwrap();
    let mut test = TcpStream::connect(("127.0.0.1", port.parse().unwrap())).unwrap();
    test.set_nodelay(true).unwrap();
    test.write_all(&std::process::id().to_le_bytes()).unwrap();
    let mut mux = Mux::new().unwrap();
    let sender = mux.sender();
    mux.set_link(Some(keeper));
    let mut from_test = test.try_clone().unwrap();
    std::thread::spawn(move || {
        while let Some(frame) = read_frame(&mut from_test) {
            sender.send(Some(frame));
        }
        sender.send(None);
    });
    loop {
        match mux.next(None).unwrap() {
            Wake::Frame(frame) => {
                let length = u32::try_from(frame.len()).unwrap().to_le_bytes();
                if test.write_all(&[&length, &frame[..]].concat()).is_err() {
                    return ExitCode::from(3);
                }
            }
            Wake::Message(Some(frame)) => mux.send(&frame).unwrap(),
            // The test lets go: this daemon crashes.
            Wake::Message(None) => return ExitCode::from(3),
            Wake::LinkClosed if PathBuf::from(home).join("no-guard").exists() => return ExitCode::SUCCESS,
            Wake::LinkClosed => {
                let ended = guard.end_all(Duration::from_secs(10));
                eprintln!("daemon: the keeper is lost; ended {ended:?}");
                return ExitCode::SUCCESS;
            }
            Wake::ChildExited { .. } | Wake::Timeout => {}
        }
    }
}

fn read_frame(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 4];
    from.read_exact(&mut length).ok()?;
    let mut frame = vec![0; u32::from_le_bytes(length) as usize];
    from.read_exact(&mut frame).ok()?;
    Some(frame)
}

fn service(words: &[&str]) -> ExitCode {
    let own = || Command::new(std::env::current_exe().unwrap());
    match words {
        ["exit", code] => return ExitCode::from(code.parse::<u8>().unwrap()),
        // `sleep MS`
        ["sleep", millis] => sleep(millis),
        // `lines N`: that many lines, then the end without a line end.
        ["lines", count] => {
            for line in 0..count.parse::<u64>().unwrap() {
                println!("line {line}");
            }
            print!("the end");
            std::io::stdout().flush().unwrap();
        }
        // `emit HEX…`: these bytes, those of each word in a write of its own.
        ["emit", words @ ..] => {
            for word in words {
                let byte = |at: usize| u8::from_str_radix(&word[at..at + 2], 16).unwrap();
                let bytes: Vec<u8> = (0..word.len()).step_by(2).map(byte).collect();
                raw(&bytes);
            }
        }
        // `both N`: lines to both streams in turn.
        ["both", count] => {
            for line in 0..count.parse::<u64>().unwrap() {
                println!("out {line}");
                eprintln!("err {line}");
            }
        }
        // `endless BYTES`: one line, without its end.
        ["endless", bytes] => raw(&vec![b'x'; bytes.parse().unwrap()]),
        // `binary TIMES`: all values of a byte, so often.
        ["binary", times] => raw(&(0..=u8::MAX).collect::<Vec<u8>>().repeat(times.parse().unwrap())),
        // `short-lines N`: numbers, one a line, as fast as it can.
        ["short-lines", count] => {
            let mut out = std::io::stdout().lock();
            for line in 0..count.parse::<u64>().unwrap() {
                writeln!(out, "{line}").unwrap();
            }
        }
        // `flood`: numbered lines as fast as it can, for ever.
        ["flood"] => {
            let mut out = std::io::stdout().lock();
            for line in 0_u64.. {
                writeln!(out, "line {line}").unwrap();
            }
        }
        // `flood-blocks`: large writes as fast as it can.
        ["flood-blocks"] => {
            let block = [[b'x'; 119].as_slice(), b"\n"].concat().repeat(1000);
            let mut out = std::io::stdout().lock();
            while out.write_all(&block).is_ok() {}
        }
        // `pace MS`: a line so often.
        ["pace", millis] => {
            for line in 0_u64.. {
                println!(
                    "line {line} of a service that has something to say now and then, in about a hundred bytes"
                );
                sleep(millis);
            }
        }
        // `leave MS TEXT`: ends, leaving a child that holds its output and says something after a time.
        ["leave", millis, text] => {
            own().args(["late", millis, text]).spawn().unwrap();
            println!("main");
        }
        ["late", millis, text] => {
            sleep(millis);
            println!("{text}");
            sleep("600000");
        }
        // `tree`: a child that holds nothing of ours, and we stay too.
        ["tree"] => {
            own().args(["sleep", "600000"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            sleep("600000");
        }
        // `print NAME`: a variable of the environment.
        ["print", name] => println!("{name}={:?}", std::env::var(name)),
        _ => {
            eprintln!("what is {words:?}?");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}

/// Past the standard library's buffer, which on Windows would refuse what is not UTF-8 on a console.
fn raw(bytes: &[u8]) {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes).unwrap();
    out.flush().unwrap();
}

fn sleep(millis: &str) {
    std::thread::sleep(Duration::from_millis(millis.parse().unwrap()));
}
