//! `mainstay-sys-helper MODE …`: nothing here lives longer than a minute or two, so that a test gone wrong leaves
//! nothing behind.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::time::{Duration, Instant};

const LIFE: Duration = Duration::from_secs(120);

pub fn main() {
    let arguments: Vec<String> =
        std::env::args_os().map(|argument| argument.to_string_lossy().into_owned()).collect();
    let mode = arguments.get(1).map_or("", String::as_str);
    match mode {
        "show" => show(),
        "cat" => drop(std::io::copy(&mut std::io::stdin(), &mut std::io::stdout())),
        "relay" => relay(arguments.iter().any(|argument| argument == "setsid")),
        "pump" => pump(),
        "deaf" => deaf(),
        "daemonize" => daemonize(),
        "count" => count(&arguments[2]),
        "stamp" => stamp(&arguments[2]),
        "link" => link(),
        "keeper" => keeper(&arguments[2..]),
        "terminate" => terminate(),
        "notify" => notify(&arguments[2]),
        "connect" => connect(&arguments[2]),
        "flood" => flood(arguments[2].parse().expect("a number of bytes")),
        other => panic!("no mode {other:?}"),
    }
}

/// All that a program can find out about how it was started; bytes in hexadecimal.
fn show() {
    let mut text = String::new();
    let hex = |bytes: &[u8]| bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
    for argument in std::env::args_os().skip(2) {
        let _ = writeln!(text, "argument {}", hex(argument.as_bytes()));
    }
    let environment = std::fs::read("/proc/self/environ").expect("there is an environment");
    for entry in environment.split(|&byte| byte == 0).filter(|entry| !entry.is_empty()) {
        let _ = writeln!(text, "environment {}", hex(entry));
    }
    let cwd = std::env::current_dir().expect("there is a working directory");
    let _ = writeln!(text, "cwd {}", hex(cwd.as_os_str().as_bytes()));
    let status = std::fs::read_to_string("/proc/self/status").expect("there is a status");
    for line in status.lines() {
        let wanted = ["SigBlk:", "SigIgn:", "Uid:", "Gid:", "Groups:", "Umask:", "Cpus_allowed_list:"];
        if wanted.iter().any(|name| line.starts_with(name)) {
            let _ = writeln!(text, "{line}");
        }
    }
    for entry in std::fs::read_dir("/proc/self/fd").expect("there are descriptors").filter_map(Result::ok) {
        if let Ok(target) = std::fs::read_link(entry.path()) {
            let _ = writeln!(text, "fd {} {}", entry.file_name().display(), target.display());
        }
    }
    let limits = std::fs::read_to_string("/proc/self/limits").expect("there are limits");
    for line in limits.lines().skip(1) {
        // Columns: the name, the soft and the hard limit, the unit.
        let words: Vec<&str> = line.split("  ").map(str::trim).filter(|word| !word.is_empty()).collect();
        if let [name, soft, hard, ..] = words.as_slice() {
            let _ = writeln!(text, "{name}: {soft} {hard}");
        }
    }
    let adjust = std::fs::read_to_string("/proc/self/oom_score_adj").expect("there is a score");
    let _ = writeln!(text, "oom {}", adjust.trim());
    // SAFETY: no arguments, no failures; and a structure that is written to.
    unsafe {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit);
        let _ = writeln!(text, "nofile {} {}", limit.rlim_cur, limit.rlim_max);
        let _ = writeln!(text, "nice {}", libc::getpriority(libc::PRIO_PROCESS, 0));
        let _ = writeln!(text, "group {} session {}", libc::getpgrp(), libc::getsid(0));
    }
    let _ = std::io::stdout().write_all(text.as_bytes());
}

/// A chain of processes that each make the next one and end at once.
fn relay(new_session: bool) {
    say("ready\n");
    let end = Instant::now() + LIFE;
    while Instant::now() < end {
        // SAFETY: there is one thread.
        match unsafe { libc::fork() } {
            0 => {
                if new_session {
                    // SAFETY: no arguments.
                    unsafe { libc::setsid() };
                }
            }
            -1 => std::thread::sleep(Duration::from_millis(1)),
            _ => return,
        }
    }
}

/// Children without end, each in a session of its own, each with a child that lives on for a moment.
fn pump() {
    say("ready\n");
    // SAFETY: the children are reaped by the kernel.
    unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
    let end = Instant::now() + LIFE;
    while Instant::now() < end {
        // SAFETY: there is one thread.
        if unsafe { libc::fork() } == 0 {
            // SAFETY: as before.
            unsafe {
                libc::setsid();
                libc::fork();
            }
            std::thread::sleep(Duration::from_millis(50));
            return;
        }
    }
}

/// Ignores all that can be ignored.
fn deaf() {
    for signal in 1..=64 {
        // SAFETY: ignoring needs no handler; what cannot be ignored is refused.
        unsafe { libc::signal(signal, libc::SIG_IGN) };
    }
    say("ready\n");
    std::thread::sleep(LIFE);
}

/// As daemons do: fork, new session, fork, out of the directory; the first process stays.
fn daemonize() {
    // SAFETY: there is one thread.
    unsafe {
        let middle = libc::fork();
        if middle == 0 {
            libc::setsid();
            if libc::fork() != 0 {
                libc::_exit(0);
            }
            libc::chdir(c"/".as_ptr());
            say("ready\n");
            std::thread::sleep(LIFE);
            libc::_exit(0);
        }
        libc::waitpid(middle, std::ptr::null_mut(), 0);
    }
    std::thread::sleep(LIFE);
}

/// Writes a rising number into a file.
fn count(path: &str) {
    let file = std::fs::File::create(path).expect("the file can be made");
    let end = Instant::now() + LIFE;
    let mut number = 0_u64;
    while Instant::now() < end {
        number += 1;
        file.write_all_at(format!("{number:020}").as_bytes(), 0).expect("the file can be written");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Appends the time, first thing, and ends.
fn stamp(path: &str) {
    let now = mainstay_sys::clock::monotonic_nanos();
    let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
    file.and_then(|mut file| file.write_all(format!("{now}\n").as_bytes())).expect("the file can be written");
}

/// The other side of a link: answers each line, tells of the end.
fn link() {
    let mut link = mainstay_sys::link::from_stdio().expect("standard input is a link");
    let null = std::fs::read_link("/proc/self/fd/0").expect("there is a standard input");
    link.write_all(format!("stdin {}\n", null.display()).as_bytes()).expect("the link takes a line");
    while let Ok(Some(line)) = link.read_line(LIFE) {
        link.write_all(format!("heard {line}\n").as_bytes()).expect("the link takes a line");
    }
}

/// A keeper that makes some processes, says so, and stays.
fn keeper(arguments: &[String]) {
    let [kind, stack, command @ ..] = arguments else { panic!("kind, stack, command") };
    let kind = match kind.as_str() {
        "cgroup" => mainstay_sys::container::Kind::Cgroup,
        _ => mainstay_sys::container::Kind::Session,
    };
    mainstay_sys::own::become_keeper().expect("it can be a keeper");
    let root = mainstay_sys::container::Root::open(stack, Some(kind)).expect("this kind can be had");
    let environment = std::collections::BTreeMap::new();
    for (run, name) in (1..).zip(["one", "two"]) {
        let container = root.container(name).expect("a container can be had");
        let request = mainstay_sys::spawn::Request {
            command,
            working_dir: None,
            environment: &environment,
            remove: &[],
            user: None,
            password: None,
            settings: None,
            container: &container,
            run,
            output: None,
            errors: None,
        };
        let process = mainstay_sys::spawn::spawn(&request).expect("it starts");
        say(&format!("{} {}\n", process.id.pid, process.id.start));
    }
    say("ready\n");
    std::thread::sleep(LIFE);
}

fn terminate() {
    mainstay_sys::own::on_terminate(|name| say(&format!("{name}\n"))).expect("signals can be had");
    say("ready\n");
    let _ = std::io::stdin().read(&mut [0]);
}

fn notify(text: &str) {
    let socket = std::env::var_os("NOTIFY_SOCKET").expect("it is set");
    mainstay_sys::notify::send(&socket, text).expect("it is taken");
    say("sent\n");
}

/// Connects to a Unix socket and waits until the other side hangs up.
fn connect(path: &str) {
    let mut stream = std::os::unix::net::UnixStream::connect(path).expect("it listens");
    say("connected\n");
    let _ = stream.read_to_end(&mut Vec::new());
    say("closed\n");
}

/// So many bytes in large blocks, numbered.
fn flood(bytes: u64) {
    let mut block = vec![0_u8; 65_536];
    let mut out = std::io::stdout().lock();
    let mut number = 0_u64;
    while number * 8 < bytes {
        for place in block.chunks_exact_mut(8) {
            place.copy_from_slice(&number.to_le_bytes());
            number += 1;
        }
        out.write_all(&block).expect("somebody reads");
    }
}

fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
    let _ = std::io::stdout().flush();
}
