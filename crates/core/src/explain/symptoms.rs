//! What a program's last lines say, where they say something that is known.

use serde::{Deserialize, Serialize};

/// Something known, seen in a line of output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What is wrong, in words.
    pub what: String,
    /// What a person can do about it.
    pub hint: String,
    /// The line that says so.
    pub line: String,
}

/// What is looked for, all in small letters; what it means; what to do on Linux; what to do on Windows if that differs.
struct Symptom {
    words: &'static [&'static str],
    what: &'static str,
    hint: &'static str,
    hint_windows: &'static str,
}

/// The most findings that are told.
const MOST: usize = 3;
/// Longer lines are looked at only so far.
const LONGEST: usize = 2_000;

/// What `lines` say, the newest first, each kind once.
pub fn find(lines: &[String], windows: bool) -> Vec<Finding> {
    let mut seen: Vec<&str> = Vec::new();
    let mut findings = Vec::new();
    for line in lines.iter().rev() {
        let line = &line[..line.floor_char_boundary(LONGEST)];
        let small = line.to_ascii_lowercase();
        let Some(symptom) =
            SYMPTOMS.iter().find(|symptom| symptom.words.iter().any(|words| all(&small, words)))
        else {
            continue;
        };
        if seen.contains(&symptom.what) || findings.len() == MOST {
            continue;
        }
        seen.push(symptom.what);
        let hint =
            if windows && !symptom.hint_windows.is_empty() { symptom.hint_windows } else { symptom.hint };
        findings.push(told(symptom.what, hint, line));
    }
    findings
}

/// Whether the line has all the parts of `words`, which a `*` separates, in this order.
fn all(line: &str, words: &str) -> bool {
    let mut from = 0;
    words.split('*').all(|part| match word(line, from, part) {
        Some(at) => {
            from = at + part.len();
            true
        }
        None => false,
    })
}

/// Where `part` begins as a word of its own: `enotfound` is not in `filenotfound`.
fn word(line: &str, from: usize, part: &str) -> Option<usize> {
    let begins = |at: usize| at == 0 || !line.as_bytes()[at - 1].is_ascii_alphanumeric();
    line[from..].match_indices(part).map(|(at, _)| from + at).find(|at| begins(*at))
}

/// Puts the line's own names into the texts, where it has them.
fn told(what: &str, hint: &str, line: &str) -> Finding {
    let (mut what, mut hint) = (what.to_owned(), hint.to_owned());
    if hint.contains(":PORT") {
        match port(line) {
            Some(port) => {
                what = what.replace("a port", &format!("port {port}"));
                hint = hint.replace("PORT", &port.to_string());
            }
            None => hint = hint.replace(" 'sport = :PORT'", "").replace(" | findstr :PORT", ""),
        }
    }
    if let Some(library) = library(line) {
        what = what.replace("a library", library);
    }
    hint = hint.replace("{library}", library(line).unwrap_or("it"));
    Finding { what, hint, line: line.trim().to_owned() }
}

/// The number after the last `:` or `port` that can be a port's.
fn port(line: &str) -> Option<u16> {
    let after = |at: usize| {
        let digits = line[at..].trim_start_matches([' ', '=', ':']);
        let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        digits[..end].parse::<u16>().ok().filter(|port| *port > 0)
    };
    let colon = line.rmatch_indices(':').find_map(|(at, _)| {
        let bytes = line.as_bytes();
        let digit = |at: Option<usize>| at.and_then(|at| bytes.get(at)).is_some_and(u8::is_ascii_digit);
        // `12:30:59` is a time.
        let pair = digit(at.checked_sub(1)) && digit(at.checked_sub(2)) && digit(Some(at + 2));
        let is_time = pair && !digit(Some(at + 3));
        (digit(Some(at + 1)) && !is_time).then(|| after(at + 1)).flatten()
    });
    let small = line.to_ascii_lowercase();
    colon.or_else(|| small.rmatch_indices("port").find_map(|(at, word)| after(at + word.len())))
}

/// The library that the loader of Linux misses.
fn library(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once("error while loading shared libraries: ")?;
    rest.split_once(": ").map(|(name, _)| name)
}

macro_rules! symptom {
    ($what:literal, $hint:literal, $windows:literal, [$($words:literal),+ $(,)?]) => {
        Symptom { words: &[$($words),+], what: $what, hint: $hint, hint_windows: $windows }
    };
}

/// The first that fits is taken: the special ones come before the general.
const SYMPTOMS: &[Symptom] = &[
    symptom!(
        "a port below 1024 needs a right that this account does not have",
        "choose a higher port, or give the program CAP_NET_BIND_SERVICE (`setcap cap_net_bind_service=+ep FILE`)",
        "another process or Windows itself has that port: `netsh int ipv4 show excludedportrange tcp`",
        [
            "bind*permission denied",
            "listen*permission denied",
            "permission denied*bind",
            "listen eacces",
            "forbidden by its access permissions"
        ]
    ),
    symptom!(
        "a port is in use by another process",
        "`ss -ltnp 'sport = :PORT'` shows by which; an older copy of the program that runs outside of Mainstay?",
        "`netstat -ano | findstr :PORT` shows by which; an older copy of the program that runs outside of Mainstay?",
        [
            "address already in use",
            "eaddrinuse",
            "address in use",
            "only one usage of each socket address",
            "port*already in use",
            "port*is already allocated",
            "port*is in use",
            "wsaeaddrinuse"
        ]
    ),
    symptom!(
        "a library is missing",
        "install the package that has {library}, or set LD_LIBRARY_PATH; `ldd PROGRAM` lists what it needs",
        "",
        ["error while loading shared libraries"]
    ),
    symptom!(
        "it is built for a newer system: its C library is not here",
        "use a build for this system, or a static one",
        "",
        ["version `glibc", "version `glibcxx", "symbol not found*libc"]
    ),
    symptom!(
        "the version of .NET that it needs is missing",
        "install it; `dotnet --list-runtimes` lists what is there",
        "",
        ["you must install or update .net", "you must install .net", "hostfxr*not found"]
    ),
    symptom!(
        "it needs a newer Java",
        "`java -version` says which one is in PATH; give the full path of a newer one in `command`",
        "",
        ["unsupportedclassversionerror"]
    ),
    symptom!(
        "Java does not find the program's code",
        "look at the class path and at `working_dir`",
        "",
        [
            "could not find or load main class",
            "unable to access jarfile",
            "classnotfoundexception",
            "noclassdeffounderror"
        ]
    ),
    symptom!(
        "a module of the program is missing",
        "install its dependencies (npm ci, pip install), and look at `working_dir` and the virtual environment",
        "",
        ["modulenotfounderror", "cannot find module", "no module named", "err_module_not_found"]
    ),
    symptom!(
        "out of memory",
        "give it more memory or make its own limit smaller (Java -Xmx, Node --max-old-space-size)",
        "",
        [
            "out of memory",
            "outofmemoryerror",
            "cannot allocate memory",
            "std::bad_alloc",
            "memoryerror",
            "memory allocation of",
            "enomem",
            "outofmemoryexception",
            "not enough memory"
        ]
    ),
    symptom!(
        "the disk is full",
        "`df -h` and `df -i` show which one; free some space on it",
        "free some space on the drive that it writes to",
        ["no space left on device", "enospc", "not enough space on the disk", "disk full", "disk is full"]
    ),
    symptom!(
        "it has too many files open",
        "raise the limit of open files, or look for connections that are never closed",
        "",
        ["too many open files", "emfile"]
    ),
    symptom!(
        "what it writes to is read-only",
        "let it write elsewhere, or look why the disk became read-only (`dmesg`)",
        "",
        ["read-only file system", "erofs"]
    ),
    symptom!(
        "another copy of it seems to run",
        "look for a copy that runs outside of Mainstay, or a lock file that it left behind",
        "",
        [
            "already running",
            "database is locked",
            "lock file*exists",
            "pid file*exists",
            "could not lock",
            "another instance"
        ]
    ),
    symptom!(
        "a name could not be resolved",
        "look at the host's name and at the DNS of this machine",
        "",
        [
            "name or service not known",
            "temporary failure in name resolution",
            "no such host",
            "enotfound",
            "getaddrinfo",
            "could not resolve host",
            "nodename nor servname"
        ]
    ),
    symptom!(
        "something refused its login",
        "look at the user name and the password or token that it is given",
        "",
        [
            "authentication failed",
            "access denied for user",
            "invalid credentials",
            "login failed",
            "401 unauthorized",
            "password*failed"
        ]
    ),
    symptom!(
        "what it connects to is not up",
        "if that is a service of this stack, `depends_on = { NAME = \"ready\" }` starts it after that one",
        "",
        ["connection refused", "econnrefused", "actively refused", "connection timed out", "etimedout"]
    ),
    symptom!(
        "a certificate is not accepted",
        "look at its date, at the clock of this machine and at the authorities that it trusts",
        "",
        [
            "certificate verify failed",
            "certificate has expired",
            "x509:",
            "self-signed certificate",
            "self signed certificate"
        ]
    ),
    symptom!(
        "the program is for another kind of machine, or a script without its #! line",
        "`file PROGRAM` says what it is",
        "use a build for this machine",
        ["exec format error", "not a valid win32 application", "cannot execute binary file"]
    ),
    symptom!(
        "the interpreter of a script is missing",
        "look at its first line (#!); line ends of Windows (CR LF) there are a common reason",
        "",
        ["bad interpreter", "env:*no such file or directory", "python\r"]
    ),
    symptom!(
        "a program that it calls is not found",
        "a service has the PATH of its own environment; give the full path, or set PATH in `environment`",
        "a service has the PATH of its own environment; give the full path, or set PATH in `environment`",
        [
            "command not found",
            "is not recognized as an internal or external command",
            "executable file not found"
        ]
    ),
    symptom!(
        "the account may not do something",
        "look at the owner and mode of what the line names, and at `user`",
        "look at the rights of what the line names, and at the account of the service",
        [
            "permission denied",
            "eacces",
            "access is denied",
            "operation not permitted",
            "eperm",
            "unauthorizedaccessexception",
            "access to the path"
        ]
    ),
    symptom!(
        "a file is missing",
        "relative paths begin at `working_dir`",
        "relative paths begin at `working_dir`",
        [
            "no such file or directory",
            "enoent",
            "cannot find the file",
            "cannot find the path",
            "filenotfoundexception",
            "could not find file",
            "filenotfounderror"
        ]
    ),
    symptom!(
        "an error that the program does not handle ended it",
        "the lines around it say where; it is the program's own",
        "",
        [
            "panic:",
            "panicked at",
            "traceback (most recent call last)",
            "unhandled exception",
            "uncaught exception",
            "exception in thread",
            "uncaughtexception",
            "fatal error:",
            "unhandledpromiserejection"
        ]
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn one(line: &str, windows: bool) -> String {
        let found = find(&[line.to_owned()], windows);
        found.first().map_or("-".to_owned(), |finding| format!("{}\n      {}", finding.what, finding.hint))
    }

    #[test]
    fn lines_of_real_programs() {
        let lines = [
            "listen tcp 0.0.0.0:8080: bind: address already in use",
            "Error: listen EADDRINUSE: address already in use :::3000",
            "OSError: [Errno 98] Address already in use",
            "listen tcp :80: bind: permission denied",
            "./api: error while loading shared libraries: libpq.so.5: cannot open shared object file: No such file or directory",
            "./api: /lib/x86_64-linux-gnu/libc.so.6: version `GLIBC_2.38' not found (required by ./api)",
            "java.lang.OutOfMemoryError: Java heap space",
            "FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory",
            "ModuleNotFoundError: No module named 'flask'",
            "Error: Cannot find module '/srv/app/index.js'",
            "write /data/x: no space left on device",
            "dial tcp 127.0.0.1:5432: connect: connection refused",
            "psql: error: FATAL:  password authentication failed for user \"api\"",
            "sh: 1: nodejs: command not found",
            "PermissionError: [Errno 13] Permission denied: '/etc/shadow'",
            "FileNotFoundError: [Errno 2] No such file or directory: 'config.yaml'",
            "thread 'main' panicked at src/main.rs:3:5:",
            "Error: Unable to access jarfile app.jar",
            "all is well, 3 users on port 80",
        ];
        let text: String = lines.iter().map(|line| format!("{line}\n    {}\n", one(line, false))).collect();
        insta::assert_snapshot!("lines", text);
    }

    #[test]
    fn lines_of_windows() {
        let lines = [
            "listen tcp :8080: bind: Only one usage of each socket address (protocol/network address/port) is normally permitted.",
            "bind: An attempt was made to access a socket in a way forbidden by its access permissions.",
            "'node' is not recognized as an internal or external command,",
            "System.UnauthorizedAccessException: Access to the path 'C:\\x' is denied.",
            "You must install or update .NET to run this application.",
        ];
        let text: String = lines.iter().map(|line| format!("{line}\n    {}\n", one(line, true))).collect();
        insta::assert_snapshot!("lines_of_windows", text);
    }

    #[test]
    fn the_newest_line_speaks_first_and_each_kind_once() {
        let lines = ["permission denied: a", "no space left on device", "permission denied: b"];
        let found = find(&lines.map(str::to_owned), false);
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].line, "permission denied: b");
        assert!(find(&["é".repeat(5_000)], false).is_empty());
    }

    #[test]
    fn ports() {
        assert_eq!(port("bind 0.0.0.0:8080: in use"), Some(8080));
        assert_eq!(port("Port 3000 is in use"), Some(3000));
        assert_eq!(port("address in use (os error 98)"), None);
        assert_eq!(port("at 12:30:59 port=99999"), None);
        assert_eq!(port("12:30:59 listen 0.0.0.0:80"), Some(80));
    }
}
