//! Secrets: given to those who use them, and found nowhere else.

mod common;

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc::channel;

use common::{Done, Home, is_alive, kill, pid, until};

/// Values that stand nowhere by chance, in parts, so that not even this program has them as they are.
fn canary(of: &str) -> String {
    ["canary", of, "7f3a9c"].join("-x-")
}

/// How all of them begin: one search instead of one for each.
fn any_canary() -> String {
    ["canary", ""].join("-x-")
}

/// FNV-1a, as the fixture's `env-is` has it.
fn digest(value: &str) -> String {
    let digest = value.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |digest, byte| {
        (digest ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    format!("{digest:016x}")
}

fn with_input(home: &Home, arguments: &[&str], input: &str) -> Done {
    let mut child = home
        .command(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("mainstay runs");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("read");
    child.wait_with_output().expect("ended").into()
}

fn set(home: &Home, name: &str, value: &str) {
    let done = with_input(home, &["secret", "set", name], &format!("{value}\n"));
    assert_eq!(done.code, Some(0), "{done:#?}");
}

/// Private, as a secret's file has to be.
fn write_private(path: &Path, value: &str) {
    mainstay_sys::file::write_atomic(path, value.as_bytes(), true).expect("written");
}

/// Every file below a directory that has this text in it, as it is or in UTF-16.
fn found_in(dir: &Path, text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(found_in(&path, text));
        } else if let Ok(bytes) = std::fs::read(&path)
            && holds(&bytes, text)
        {
            found.push(path.file_name().expect("a name").to_string_lossy().into_owned());
        }
    }
    found.sort();
    found
}

fn holds(bytes: &[u8], text: &str) -> bool {
    let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let hex: String = text.bytes().map(|byte| format!("{byte:02x}")).collect();
    [text.as_bytes(), &wide, hex.as_bytes()]
        .iter()
        .any(|wanted| bytes.windows(wanted.len()).any(|part| part == *wanted))
}

/// The arguments of all processes.
#[cfg(target_os = "linux")]
fn command_lines() -> Vec<u8> {
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    entries.flat_map(|entry| std::fs::read(entry.path().join("cmdline")).unwrap_or_default()).collect()
}

#[cfg(not(target_os = "linux"))]
fn command_lines() -> Vec<u8> {
    Vec::new()
}

/// All that a process has in its memory, as far as one may look.
#[cfg(target_os = "linux")]
fn memory_of(pid: u32) -> Vec<u8> {
    use std::os::unix::fs::FileExt;
    let Ok(memory) = std::fs::File::open(format!("/proc/{pid}/mem")) else { return Vec::new() };
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap_or_default();
    let mut all = Vec::new();
    for line in maps.lines().filter(|line| line.contains(" rw-p ")) {
        let (from, to) = line.split(' ').next().and_then(|range| range.split_once('-')).expect("a range");
        let (from, to) =
            (u64::from_str_radix(from, 16).expect("hex"), u64::from_str_radix(to, 16).expect("hex"));
        let mut part = vec![0; usize::try_from(to - from).expect("fits")];
        if memory.read_exact_at(&mut part, from).is_ok() {
            all.extend(part);
        }
    }
    all
}

#[cfg(not(target_os = "linux"))]
fn memory_of(_pid: u32) -> Vec<u8> {
    Vec::new()
}

const CONFIG: &str = r#"
name = "canary"

[secrets]
filed = { file = "filed.secret" }
said = { command = @say@ }

[service.api]
command = [@fixture@, "graceful", "0"]
environment = { TOKEN = "${secret:token}", DSN = "app:${secret:filed}@${secret:said}$$" }
hooks.before_start = [@fixture@, "env-is", "DSN", "@dsn@"]
ready = { exec = [@fixture@, "env-is", "DSN", "@dsn@"], interval = "300ms", timeout = "20s" }
live = { http = "http://127.0.0.1:@port@/", headers = { Authorization = "Bearer ${secret:token}" }, interval = "1s", timeout = "20s" }

[service.other]
command = [@fixture@, "sleep"]

[service.reader]
command = [@fixture@, "sleep"]
config = { on_change = { command = [@fixture@, "exit", "0"] }, files = [
    { path = "reader.json", text = '{"key": {{ secret.read | tojson }}}' },
] }

[service.missing]
command = ["./no-such-program"]
environment = { TOKEN = "${secret:token}" }
restart = "never"

[service.crashing]
command = [@fixture@, "exit", "3"]
environment = { TOKEN = "${secret:token}" }
restart = { policy = "on-failure", limit = { starts = 2, window = "1m" } }

[service.unset]
command = [@fixture@, "sleep"]
environment = { TOKEN = "${secret:nobody_has_set_it}" }
restart = "never"

[service.has-first]
command = [@fixture@, "env-is", "TOKEN", "@first@"]
environment = { TOKEN = "${secret:token}" }
start = "manual"
restart = "never"

[service.has-second]
command = [@fixture@, "env-is", "TOKEN", "@second@"]
environment = { TOKEN = "${secret:token}" }
start = "manual"
restart = "never"
"#;

/// Answers every request with 200; each one's text is sent on.
fn server() -> (u16, std::sync::mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let (heard, requests) = channel();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut bytes = [0; 4096];
            let length = stream.read(&mut bytes).unwrap_or(0);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
            let _ = heard.send(String::from_utf8_lossy(&bytes[..length]).into_owned());
        }
    });
    (port, requests)
}

/// Everything that shows something, or writes something down.
const LOOKS: [&str; 20] = [
    "status",
    "status --json",
    "explain api",
    "explain missing",
    "explain unset --json",
    "explain crashing",
    "events",
    "events --json",
    "logs",
    "metrics --json",
    "history --json",
    "plan",
    "plan --json",
    "config show --origin",
    "config check",
    "secret list",
    "secret list --json",
    "debug record on",
    "restart crashing --no-wait",
    "debug record off",
];

/// Writes the configuration and the files that it names.
fn configure(home: &Home, [first, second, filed, said, ..]: &[String; 6], port: u16) {
    write_private(&home.file("filed.secret"), &format!("{filed}\n"));
    write_private(&home.file("said.secret"), said);
    let say =
        if cfg!(windows) { r#"["cmd", "/c", "type", "said.secret"]"# } else { r#"["cat", "said.secret"]"# };
    let file = |name: &str| home.file(name).display().to_string();
    let say = say.replace("\"said.secret\"", &format!("'{}'", file("said.secret")));
    let dsn = format!("app:{filed}@{said}$");
    let config = CONFIG
        .replace("@say@", &say)
        .replace("@dsn@", &digest(&dsn))
        .replace("@first@", &digest(first))
        .replace("@second@", &digest(second))
        .replace("@port@", &port.to_string());
    home.config(&config);
}

#[test]
fn values_are_where_they_belong_and_nowhere_else() {
    let home = Home::new();
    let (first, second) = (canary("first"), canary("second"));
    let (filed, said) = (canary("filed"), canary("said"));
    // These are in a file of a program, and in nobody's environment.
    let (read, read_later) = (canary("read"), canary("read-later"));
    let all = [&first, &second, &filed, &said, &read, &read_later].map(Clone::clone);
    let (port, requests) = server();
    configure(&home, &all, port);

    // Before there is a stack. Not by an argument.
    set(&home, "token", &first);
    set(&home, "read", &read);
    home.fails(2, &["secret", "set", "token", "a-value"]);
    let mut outputs = String::new();
    let mut keep = |done: Done| {
        outputs += &done.stdout;
        outputs += &done.stderr;
        done.code
    };
    keep(home.run(&["up", "-d"]));
    home.until_state("canary", "api", "ready");
    let heard = until("a request with the header", || {
        requests.recv_timeout(common::DEADLINE).ok().filter(|request| request.contains(&first))
    });
    assert!(heard.to_lowercase().contains(&format!("authorization: bearer {first}")), "{heard}");
    for name in ["missing", "unset", "crashing"] {
        home.until_state("canary", name, "failed");
    }
    keep(home.run(&["start", "has-first"]));
    home.until_state("canary", "has-first", "completed");

    let others = pid(&home.service("canary", "other")["pid"]);
    let before = pid(&home.service("canary", "api")["pid"]);
    for arguments in LOOKS {
        let code = keep(home.run(&arguments.split(' ').collect::<Vec<_>>()));
        assert_ne!(code, Some(2), "{arguments} is wrong");
    }
    assert!(!holds(&command_lines(), &first) && !holds(&command_lines(), &said));

    // The keeper has handed them on, and kept nothing; the daemon needs them for probes and hooks.
    let keeper = pid(&home.stack("canary").expect("up")["keeper"]["pid"]);
    let memory = memory_of(keeper);
    // Of a process that one may look into.
    assert_eq!(holds(&memory_of(std::process::id()), &first), cfg!(target_os = "linux"));
    assert!(!holds(&memory, &any_canary()), "a value is in the keeper's memory");

    // A daemon that is gone has to read them anew, for probes of what it finds.
    let daemon = pid(&home.stack("canary").expect("up")["daemon"]["pid"]);
    kill(daemon);
    until("another daemon", || home.stack("canary").filter(|stack| pid(&stack["daemon"]["pid"]) != daemon));
    while requests.try_recv().is_ok() {}
    until("a request of the new daemon", || {
        requests.recv_timeout(common::DEADLINE).ok().filter(|request| request.contains(&first))
    });
    assert_eq!(pid(&home.service("canary", "api")["pid"]), before, "nothing was restarted");

    // A new value restarts what uses it, and nothing else.
    let nothing = home.ok(&["secret", "rotate"]);
    assert!(nothing.contains("nothing is different"), "{nothing}");
    set(&home, "token", &second);
    set(&home, "read", &read_later);
    let reader = pid(&home.service("canary", "reader")["pid"]);
    let shown = home.ok(&["secret", "rotate", "--dry-run"]);
    assert!(shown.contains("api") && shown.contains("launch.secrets.token"), "{shown}");
    assert!(!shown.contains("other"), "{shown}");
    keep(home.run(&["secret", "rotate", "token", "--no-wait"]));
    let after = until("another process of api", || {
        let service = home.service("canary", "api");
        service["pid"].as_u64().is_some_and(|pid| pid != u64::from(before)).then_some(service)
    });
    assert!(is_alive(pid(&after["pid"])));
    until("the rotation is done", || {
        home.stack("canary").filter(|stack| stack["configuration"]["applying"].is_null())
    });
    assert_eq!(pid(&home.service("canary", "other")["pid"]), others);
    keep(home.run(&["secret", "rotate", "read"]));
    assert_eq!(pid(&home.service("canary", "reader")["pid"]), reader, "it was told");
    keep(home.run(&["start", "has-second"]));
    home.until_state("canary", "has-second", "completed");
    until("a request with the new value", || {
        requests.recv_timeout(common::DEADLINE).ok().filter(|request| request.contains(&second))
    });

    for arguments in ["events", "explain api", "history", "plan", "status"] {
        keep(home.run(&arguments.split(' ').collect::<Vec<_>>()));
    }
    keep(home.run(&["secret", "remove", "token"]));
    assert_ne!(home.run(&["secret", "remove", "token"]).code, Some(0));
    set(&home, "token", &second);

    kill(keeper);
    until("the stack is down", || home.stack("canary").is_none().then_some(()));
    keep(home.run(&["up", "-d"]));
    home.until_state("canary", "api", "ready");
    keep(home.run(&["down"]));

    assert!(outputs.contains("${secret:token}"), "`config show` has the reference");
    assert!(!holds(outputs.as_bytes(), &any_canary()), "a value was written to a terminal: {outputs}");
    let base = home.work();
    let base = base.parent().expect("the home");
    let mut wanted = vec!["filed.secret", "reader.json", "reader.json.previous", "said.secret"];
    if cfg!(target_os = "linux") {
        // On Windows they are encrypted.
        wanted.extend(["secret-read", "secret-token"]);
    }
    assert_eq!(found_in(base, &any_canary()), wanted);
}
