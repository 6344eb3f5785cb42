//! A process gets exactly what was asked for, or the reason why not.
#![cfg(target_os = "linux")]

mod common;

use std::ffi::OsStr;
use std::fs::Permissions;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;

use common::{HELPER, Run, Stack, directory, executable, is_root, stacks, strings};
use mainstay_sys::container::Kind;
use mainstay_sys::spawn::{SpawnError, SpawnErrorKind as Error};

/// What `mainstay-sys-helper show` tells of one kind.
fn shown(text: &str, name: &str) -> Vec<Vec<u8>> {
    let byte = |pair: &[u8]| {
        u8::from_str_radix(std::str::from_utf8(pair).expect("hexadecimal"), 16).expect("hexadecimal")
    };
    let values = text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    values.map(|hex| hex.as_bytes().chunks(2).map(byte).collect()).collect()
}

fn line<'a>(text: &'a str, name: &str) -> &'a str {
    let found = text.lines().find_map(|line| line.strip_prefix(name));
    found.unwrap_or_else(|| panic!("no {name} in {text}")).trim()
}

fn session() -> Stack {
    Stack::open(Kind::Session).expect("sessions can be had everywhere")
}

#[track_caller]
fn refused(run: &Run<'_>) -> SpawnError {
    let error = run.start(None).expect_err("it cannot start");
    assert_eq!(run.rehearse(), Err(error.clone()), "a rehearsal finds it beforehand");
    error
}

#[test]
fn a_rehearsal_runs_nothing_and_leaves_nothing() {
    let dir = directory();
    let (script, trace) = (dir.path().join("script"), dir.path().join("trace"));
    executable(&script, format!("#!/bin/sh\necho ran > {}\n", trace.display()).as_bytes());
    for stack in stacks() {
        let container = stack.container("a");
        let run = Run::new(&container, &[script.to_str().expect("it is text")]);
        for _ in 0..20 {
            assert_eq!(run.rehearse(), Ok(()));
        }
        assert!(container.is_empty().expect("it can be asked"), "{:?}", container.processes());
        assert!(!trace.exists(), "it ran");
        run.start(None).expect("it starts");
        common::until("it runs when it is meant to", || trace.exists());
        std::fs::remove_file(&trace).expect("it is there");
    }
}

#[test]
fn arguments_arrive_exactly() {
    let hard = [
        "", " ", "a b", "\"", "'", "\\", "\\\\\"", "a\\", "\n", "a\nb\n", "\t", "%PATH%", "$HOME", "*", "~",
        "-", "--", "äöü", "日本", "🦀", "\u{1}", "\u{7f}", "a=b", ";ls", "`ls`", "|", "&", "",
    ];
    for stack in stacks() {
        let container = stack.container("a");
        let mut command = vec!["show"];
        command.extend(hard);
        let text = Run::helper(&container, &command).output();
        let wanted: Vec<Vec<u8>> = hard.iter().map(|argument| argument.as_bytes().to_vec()).collect();
        assert_eq!(shown(&text, "argument"), wanted);
    }
}

#[test]
fn environment_is_ours_with_changes() {
    let stack = session();
    let container = stack.container("a");
    let mut run = Run::helper(&container, &["show"]);
    let hard = [
        ("EMPTY", ""),
        ("QUOTES", "\"a' b\""),
        ("LINES", "a\nb\n"),
        ("TRAIL", "a\\"),
        ("EQUALS", "=a=b="),
        ("Umläut", "wörth"),
        ("SPACE", " "),
        ("a.b-c", "names may be odd"),
    ];
    for (name, value) in hard {
        run.environment.insert(name.to_owned(), value.to_owned());
    }
    run.remove.push("PATH");
    let text = run.output();
    let mut found = shown(&text, "environment");
    for (name, value) in hard {
        let entry = format!("{name}={value}").into_bytes();
        assert!(found.contains(&entry), "{name} in {found:?}");
    }
    assert!(!found.iter().any(|entry| entry.starts_with(b"PATH=")));
    let marker = format!("MAINSTAY_RUN={}/a/7", stack.id).into_bytes();
    assert!(found.contains(&marker));
    // Nothing else is changed, and nothing is there twice.
    let mut own: Vec<Vec<u8>> = std::env::vars_os()
        .filter(|(name, _)| name != "PATH" && name != "MAINSTAY_RUN")
        .map(|(name, value)| [name.as_bytes(), b"=", value.as_bytes()].concat())
        .collect();
    own.push(marker);
    own.extend(hard.map(|(name, value)| format!("{name}={value}").into_bytes()));
    own.sort();
    found.sort();
    assert_eq!(found, own);
}

/// The inherited part of the environment must be set before this process starts: so it starts itself again.
#[test]
fn inherited_bytes_that_are_not_text() {
    let name = OsStr::from_bytes(b"MAINSTAY_SYS_TEST_\xff");
    let value = OsStr::from_bytes(b"a\xfe\x80b");
    if std::env::var_os(name).is_none() {
        let own = std::env::current_exe().expect("we run");
        let outcome = std::process::Command::new(own)
            .args(["--exact", "inherited_bytes_that_are_not_text", "--nocapture"])
            .env(name, value)
            .status();
        assert!(outcome.expect("it starts").success());
        return;
    }
    let stack = session();
    let container = stack.container("a");
    let mut run = Run::helper(&container, &["show"]);
    run.environment.insert("OTHER".to_owned(), "x".to_owned());
    let found = shown(&run.output(), "environment");
    assert!(found.contains(&[name.as_bytes(), b"=", value.as_bytes()].concat()), "{found:?}");
}

#[test]
fn a_clean_start() {
    for stack in stacks() {
        let container = stack.container("a");
        let (process, mut output) = Run::helper(&container, &["show"]).captured();
        let text = output.until_end();
        assert_eq!(line(&text, "SigBlk:"), "0000000000000000", "no signal is blocked");
        // The runtime of the helper itself ignores SIGPIPE; bit 12.
        assert_eq!(line(&text, "SigIgn:"), "0000000000001000", "no signal is ignored");
        assert_eq!(
            line(&text, "group"),
            format!("{0} session {0}", process.pid),
            "it leads a group and a session of its own"
        );
        let mut fds: Vec<&str> = text.lines().filter_map(|line| line.strip_prefix("fd ")).collect();
        // The one with which the helper lists them.
        fds.retain(|fd| !fd.contains("/proc/"));
        fds.sort_unstable();
        assert_eq!(fds.len(), 3, "{fds:?}");
        assert_eq!(fds[0], "0 /dev/null");
        assert!(fds[1].starts_with("1 pipe:") && fds[2].starts_with("2 pipe:"), "{fds:?}");
        assert_eq!(fds[1][2..], fds[2][2..], "both are the same stream");
    }
}

/// What somebody before us left open without the flag is not passed on.
#[test]
fn descriptors_without_the_flag_do_not_leak() {
    use std::os::fd::AsRawFd;
    let dir = directory();
    let file = std::fs::File::create(dir.path().join("leak")).expect("it can be made");
    // SAFETY: a descriptor of our own.
    #[expect(unsafe_code, reason = "nothing safe makes a descriptor inheritable")]
    let code = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETFD, 0) };
    assert_eq!(code, 0);
    let stack = session();
    let container = stack.container("a");
    let text = Run::helper(&container, &["show"]).output();
    assert!(!text.contains("/leak"), "{text}");
}

#[test]
fn without_output_it_goes_nowhere() {
    let stack = session();
    let container = stack.container("a");
    let dir = directory();
    let place = dir.path().join("found");
    let script =
        format!("readlink /proc/self/fd/1 /proc/self/fd/2 > '{0}.new'; mv '{0}.new' '{0}'", place.display());
    // The redirection is for readlink only, so that what it finds as 2 is the shell's.
    Run::new(&container, &["/bin/sh", "-c", &script]).start(None).expect("it starts");
    common::until("the file is there", || place.exists());
    let found = std::fs::read_to_string(&place).expect("it can be read");
    assert!(found.ends_with("/dev/null\n"), "{found}");
}

#[test]
fn programs_are_found() {
    let dir = directory();
    let root = dir.path();
    for sub in ["first", "second", "here/bin"] {
        std::fs::create_dir_all(root.join(sub)).expect("it can be made");
    }
    executable(&root.join("second/tool"), b"#!/bin/sh\necho second \"$0\"\n");
    executable(&root.join("here/bin/tool"), b"#!/bin/sh\necho here \"$0\"\n");
    // Not executable, and a directory: both are passed over.
    std::fs::write(root.join("first/tool"), "").expect("it can be written");
    std::fs::create_dir(root.join("here/tool")).expect("it can be made");

    let stack = session();
    let container = stack.container("a");
    let path = |dirs: &[&str]| {
        let dirs: Vec<String> = dirs.iter().map(|dir| root.join(dir).display().to_string()).collect();
        dirs.join(":")
    };
    let mut run = Run::new(&container, &["tool"]);
    run.environment.insert("PATH".to_owned(), path(&["missing", "first", "here", "second"]));
    assert_eq!(run.output(), format!("second {}\n", root.join("second/tool").display()));

    // Relative entries, and programs with a slash, are relative to the working directory.
    run.working_dir = Some(root.join("here"));
    run.environment.insert("PATH".to_owned(), "bin:/usr/bin".to_owned());
    assert_eq!(run.output(), "here bin/tool\n");
    run.command = strings(&["./bin/tool"]);
    assert_eq!(run.output(), "here ./bin/tool\n");

    // Without any PATH the usual places are looked at.
    let mut run = Run::new(&container, &["sh", "-c", "echo ${PATH-none}"]);
    run.remove.push("PATH");
    let text = run.output();
    assert!(!text.is_empty());
}

#[test]
fn the_working_directory() {
    let dir = directory();
    let odd = dir.path().join(OsStr::from_bytes(b"a \xff b"));
    std::fs::create_dir(&odd).expect("it can be made");
    let stack = session();
    let container = stack.container("a");
    let mut run = Run::helper(&container, &["show"]);
    run.working_dir = Some(odd.clone());
    let odd = odd.canonicalize().expect("it is there");
    assert_eq!(shown(&run.output(), "cwd"), [odd.into_os_string().into_vec()]);
    run.working_dir = None;
    let own = std::env::current_dir().expect("there is one");
    assert_eq!(shown(&run.output(), "cwd"), [own.into_os_string().into_vec()]);
}

#[test]
fn missing_programs_are_named() {
    let dir = directory();
    let stack = session();
    let container = stack.container("a");
    let mut run = Run::new(&container, &["no-such-tool"]);
    run.environment.insert("PATH".to_owned(), "/one:/two".to_owned());
    let error = refused(&run);
    assert_eq!(error.kind, Error::NotFound);
    assert_eq!(error.message, "program not found: no-such-tool (looked in PATH: /one:/two)");

    let run = Run::new(&container, &["/no/such/tool"]);
    let error = refused(&run);
    assert_eq!(error.kind, Error::NotFound);
    assert_eq!(error.message, "program not found: /no/such/tool (/no does not exist)");

    let mut run = Run::new(&container, &["./tool"]);
    run.working_dir = Some(dir.path().to_owned());
    let error = refused(&run);
    assert_eq!(error.kind, Error::NotFound);
    assert_eq!(error.message, format!("program not found: {}", dir.path().join("./tool").display()));
}

#[test]
fn bad_working_directories_are_named() {
    let dir = directory();
    let stack = session();
    let container = stack.container("a");
    let mut run = Run::new(&container, &["true"]);
    let missing = dir.path().join("x/y");
    run.working_dir = Some(missing.clone());
    let error = refused(&run);
    assert_eq!(error.kind, Error::WorkingDirectory);
    assert_eq!(
        error.message,
        format!(
            "working directory does not exist: {} ({} is missing)",
            missing.display(),
            dir.path().join("x").display()
        )
    );
    let file = dir.path().join("file");
    std::fs::write(&file, "").expect("it can be written");
    run.working_dir = Some(file.clone());
    let error = refused(&run);
    assert_eq!(error.kind, Error::WorkingDirectory);
    assert_eq!(error.message, format!("working directory is not a directory: {}", file.display()));
}

#[test]
fn files_that_are_no_programs_are_explained() {
    let dir = directory();
    let stack = session();
    let container = stack.container("a");
    let explained = |name: &str, content: &[u8]| {
        let path = dir.path().join(name);
        executable(&path, content);
        let error = refused(&Run::new(&container, &[path.to_str().expect("it is text")]));
        (error.kind, error.message.replace(&dir.path().display().to_string(), "DIR"))
    };
    let is = |kind, message: &str| (kind, message.to_owned());
    assert_eq!(
        explained("script", b"#!/no/such/interpreter -x\n"),
        is(Error::NoInterpreter, "script DIR/script has no interpreter: /no/such/interpreter does not exist")
    );
    assert_eq!(
        explained("windows-lines", b"#!/bin/sh\r\necho\r\n"),
        is(
            Error::NoInterpreter,
            "DIR/windows-lines has no usable interpreter: its first line ends with a carriage return; save it with \
             Unix line ends"
        )
    );
    assert_eq!(
        explained("text", b"echo hello\n"),
        is(
            Error::WrongFormat,
            "wrong format: DIR/text is text without a first line like #!/bin/sh; add one, or give its interpreter \
             as the program"
        )
    );
    assert_eq!(explained("empty", b""), is(Error::WrongFormat, "wrong format: DIR/empty is empty"));
    assert_eq!(
        explained("x.exe", b"MZ\x90\0"),
        is(Error::WrongFormat, "wrong format: DIR/x.exe is a Windows program")
    );
    let mut foreign = std::fs::read(HELPER).expect("it is there");
    foreign[18..20].copy_from_slice(&243_u16.to_le_bytes());
    foreign.truncate(4096);
    assert_eq!(
        explained("foreign", &foreign),
        is(Error::WrongFormat, "wrong format: DIR/foreign was built for another system (RISC-V)")
    );
    // A program whose loader is missing: the helper's own, with another name in it.
    let mut other = std::fs::read(HELPER).expect("it is there");
    let loader = b"/lib64/ld-linux";
    if let Some(at) = other.windows(loader.len()).position(|window| window == loader) {
        other[at + 1..at + 4].copy_from_slice(b"nix");
        let (kind, message) = explained("loader", &other);
        assert_eq!(kind, Error::NoInterpreter);
        assert!(message.starts_with("program DIR/loader has no loader: /nix64/ld-linux"), "{message}");
    }
    std::os::unix::fs::symlink("nowhere", dir.path().join("link")).expect("it can be made");
    let error = refused(&Run::new(&container, &[dir.path().join("link").to_str().expect("it is text")]));
    assert_eq!(error.kind, Error::NotFound);
    assert!(error.message.ends_with("link is a link to nowhere, which does not exist"), "{error}");
}

#[test]
fn what_may_not_be_executed_is_explained() {
    let dir = directory();
    let stack = session();
    let container = stack.container("a");
    let plain = dir.path().join("plain");
    std::fs::write(&plain, "#!/bin/sh\n").expect("it can be written");
    let error = refused(&Run::new(&container, &[plain.to_str().expect("it is text")]));
    assert_eq!(error.kind, Error::NotExecutable);
    assert!(error.message.starts_with(&format!("{} is not executable for ", plain.display())), "{error}");
    let error = refused(&Run::new(&container, &[dir.path().to_str().expect("it is text")]));
    assert_eq!(error.kind, Error::NotExecutable);
    assert_eq!(error.message, format!("{} is a directory, not a program", dir.path().display()));
}

#[test]
fn what_cannot_be_passed_is_refused() {
    let stack = session();
    let container = stack.container("a");
    let error = |run: &Run<'_>| refused(run);
    let mut run = Run::new(&container, &["true", "a\0b"]);
    assert_eq!(error(&run).kind, Error::Invalid);
    assert!(error(&run).message.contains("argument 1 has a NUL inside"));
    run.command = strings(&["tr\0ue"]);
    assert_eq!(error(&run).kind, Error::Invalid);
    run.command = Vec::new();
    assert_eq!(error(&run).kind, Error::Invalid);
    run.command = strings(&[""]);
    assert_eq!(error(&run).kind, Error::Invalid);
    run.command = strings(&["true"]);
    run.environment.insert("A".to_owned(), "\0".to_owned());
    assert_eq!(error(&run).message, "the environment variable \"A\" has a NUL inside");
    run.environment.clear();
    run.environment.insert("A=B".to_owned(), String::new());
    assert_eq!(error(&run).kind, Error::Invalid);
    run.environment.clear();
    run.environment.insert(String::new(), String::new());
    assert_eq!(error(&run).kind, Error::Invalid);
}

#[test]
fn too_long_says_what() {
    let stack = session();
    let container = stack.container("a");
    let mut run = Run::new(&container, &["true", &"x".repeat(200_000)]);
    let error = refused(&run);
    assert_eq!(error.kind, Error::TooLong);
    assert_eq!(error.message, "argument 1 has 200001 bytes, and the system takes 131072 at most");
    run.command.truncate(1);
    run.environment.insert("BIG".to_owned(), "x".repeat(200_000));
    let error = refused(&run);
    assert_eq!(error.kind, Error::TooLong);
    assert!(error.message.starts_with("the environment variable BIG has 200005 bytes"), "{error}");
    run.environment.clear();
    run.command.extend((0..1000).map(|_| "x".repeat(100_000)));
    let error = refused(&run);
    assert_eq!(error.kind, Error::TooLong);
    assert!(error.message.contains("together longer than the system takes"), "{error}");
}

#[test]
fn unknown_accounts_are_named() {
    let stack = session();
    let container = stack.container("a");
    let mut run = Run::new(&container, &["true"]);
    for (user, words) in [
        ("no-such-user", "there is no user \"no-such-user\" on this machine"),
        ("root:no-such-group", "there is no group \"no-such-group\" on this machine"),
        (
            "3999999999",
            "user 3999999999 has no entry in the user database; write 3999999999:GID to say its group",
        ),
    ] {
        run.user = Some(user.to_owned());
        let error = refused(&run);
        assert_eq!((error.kind, error.message.as_str()), (Error::User, words));
    }
}

#[test]
fn another_account() {
    if !is_root() {
        eprintln!("another_account skipped: only root can become somebody else");
        return;
    }
    // `nobody` must be able to reach it.
    let dir = directory();
    let helper = common::reachable_helper(dir.path());
    for stack in stacks() {
        let container = stack.container("a");
        let mut run = Run::new(&container, &[&helper, "show"]);
        run.user = Some("nobody".to_owned());
        run.environment.insert("HOME".to_owned(), "/elsewhere".to_owned());
        let text = run.output();
        assert_eq!(line(&text, "Uid:"), "65534\t65534\t65534\t65534");
        assert_eq!(line(&text, "Gid:"), "65534\t65534\t65534\t65534");
        assert_eq!(line(&text, "Groups:"), "65534");
        let environment = shown(&text, "environment");
        for entry in ["USER=nobody", "LOGNAME=nobody", "HOME=/elsewhere"] {
            assert!(environment.contains(&entry.as_bytes().to_vec()), "{entry}");
        }
        run.user = Some("12345:54321".to_owned());
        let text = run.output();
        assert_eq!(line(&text, "Uid:"), "12345\t12345\t12345\t12345");
        assert_eq!(line(&text, "Gid:"), "54321\t54321\t54321\t54321");
        assert_eq!(line(&text, "Groups:"), "54321");
        // It may open its own output anew, as programs do that log to /dev/stderr.
        let mut run = Run::new(&container, &["/bin/sh", "-c", "echo again > /proc/self/fd/1"]);
        run.user = Some("nobody".to_owned());
        assert_eq!(run.output(), "again\n");
    }
}

#[test]
fn what_is_closed_to_an_account_is_named() {
    if !is_root() {
        eprintln!("what_is_closed_to_an_account_is_named skipped: only root can become somebody else");
        return;
    }
    let dir = directory();
    std::fs::set_permissions(dir.path(), Permissions::from_mode(0o700)).expect("it is ours");
    let program = dir.path().join("program");
    executable(&program, b"#!/bin/sh\n");
    let stack = session();
    let container = stack.container("a");
    let mut run = Run::new(&container, &[program.to_str().expect("it is text")]);
    run.user = Some("nobody".to_owned());
    let error = refused(&run);
    assert_eq!(error.kind, Error::NotExecutable);
    assert_eq!(
        error.message,
        format!(
            "{} cannot be reached: the directory {} is closed to nobody",
            program.display(),
            dir.path().display()
        )
    );
    run.command = strings(&["/bin/true"]);
    run.working_dir = Some(dir.path().to_owned());
    let error = refused(&run);
    assert_eq!(error.kind, Error::WorkingDirectory);
    assert!(error.message.contains(" is closed to nobody"), "{error}");
}
