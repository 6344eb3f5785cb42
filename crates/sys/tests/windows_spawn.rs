//! Processes are made exactly as asked.
#![cfg(windows)]
#![expect(unsafe_code, reason = "it asks Wine for its version")]

mod windows;

use std::path::Path;

use mainstay_sys::Exit;
use mainstay_sys::container::Container;
use mainstay_sys::spawn::SpawnErrorKind;
use windows::{Run, exit_of, helper, lives, stack, texts, until};

/// What has gone wrong in one program or another that makes command lines.
const HARD_ARGUMENTS: [&[&str]; 21] = [
    &["plain"],
    &["two words", "and three of them"],
    &[""],
    &["", "", "a", ""],
    &[" leading", "trailing ", "  "],
    &["tab\there", "new\nline", "carriage\rreturn"],
    &[r"C:\Program Files\x\", "next"],
    &[r"back\slash", r"two\\slashes", r"end\"],
    &[r"end with blank \", r"two \\", r"three \\\"],
    &["\"", "\"\"", "\"quoted\""],
    &[r#"a\"b"#, r#"a\\"b"#, r#"a\\\"b"#],
    &[r#"--json={"a":"b c","d":[1,2]}"#],
    &["'single quoted'", "it's"],
    &["%PATH%", "%", "%%", "100%"],
    &["!bang!", "^caret^", "a^&b"],
    &["a&b", "a|b", "a<b", "a>b", "(a)", "a;b", "a,b", "a=b"],
    &["*.rs", "?", "~", "$HOME", "`x`"],
    &["ünïcödé", "日本語", "🦀 crab", "e\u{301}"],
    &["@file", "-", "--", "/?", "-flag=value with blank"],
    &["\\", "\\\\", "\\\\server\\share\\"],
    &["\u{1}", "\u{7f}", "\u{feff}bom"],
];

#[test]
fn arguments_arrive_exactly() {
    let root = stack();
    let container = root.container("args").expect("a container");
    for arguments in HARD_ARGUMENTS {
        let mut all = vec!["args"];
        all.extend(arguments);
        let run = Run::helper(&container, &all);
        assert_eq!(texts(&run.output()), arguments, "{arguments:?}");
    }
    // As many as there is room for.
    let many: Vec<String> = (0..6_000).map(|number| format!("a {number}\"")).collect();
    let mut all = vec!["args"];
    all.extend(many.iter().map(String::as_str).take(1_500));
    let run = Run::helper(&container, &all);
    assert_eq!(texts(&run.output()), all[1..]);
    let mut all = vec!["args"];
    all.extend(many.iter().map(String::as_str));
    let error = Run::helper(&container, &all).start().expect_err("too long");
    assert_eq!(error.kind, SpawnErrorKind::TooLong);
    assert!(error.message.contains("32766"), "{error}");
}

#[test]
fn environments_arrive_exactly() {
    const HARD: [(&str, &str); 13] = [
        ("EMPTY", ""),
        ("BLANKS", "  a  b  "),
        ("QUOTES", "\"a\" 'b'"),
        ("LINES", "one\r\ntwo\nthree"),
        ("TRAILING", r"C:\x\"),
        ("EQUALS", "a=b=c"),
        ("PERCENT", "%PATH% 100%"),
        ("SPECIAL", "&|<>^()!;,"),
        ("UNICODE", "日本語 🦀"),
        ("ÜMLAUT", "ä"),
        ("lower_case", "x"),
        ("WITH BLANK", "y"),
        ("LONG", ""),
    ];
    let root = stack();
    let container = root.container("env").expect("a container");
    let mut run = Run::helper(&container, &["env"]);
    for (name, value) in HARD {
        let value = if name == "LONG" { "z".repeat(30_000) } else { value.to_owned() };
        run.environment.insert(name.to_owned(), value);
    }
    // Case does not tell names apart.
    run.environment.insert("Path".to_owned(), r"C:\only".to_owned());
    run.environment.insert("=C:".to_owned(), r"C:\users".to_owned());
    run.remove = vec!["userPROFILE", "no_such_variable"];
    let entries = texts(&run.output());
    for (name, value) in &run.environment {
        let entry = format!("{name}={value}");
        assert!(entries.contains(&entry), "{name} is missing in {entries:?}");
    }
    let named = |name: &str| {
        let upper = format!("{name}=");
        entries.iter().filter(|entry| entry.to_uppercase().starts_with(&upper)).count()
    };
    assert_eq!(named("PATH"), 1);
    assert_eq!(named("USERPROFILE"), 0);
    assert_eq!(named("SYSTEMROOT"), 1, "what is not named is kept: {entries:?}");
    let marker = entries.iter().find(|entry| entry.starts_with("MAINSTAY_RUN=")).expect("a marker");
    assert!(marker.ends_with("/env/7"), "{marker}");
}

#[test]
fn what_an_environment_cannot_hold_is_refused() {
    let root = stack();
    let container = root.container("env").expect("a container");
    for (name, value) in [("A=B", "x"), ("", "x"), ("A", "x\0y")] {
        let mut run = Run::helper(&container, &["env"]);
        run.environment.insert(name.to_owned(), value.to_owned());
        assert_eq!(run.start().expect_err("refused").kind, SpawnErrorKind::Invalid, "{name:?}");
    }
    let run = Run::helper(&container, &["args", "a\0b"]);
    assert_eq!(run.start().expect_err("refused").kind, SpawnErrorKind::Invalid);
}

/// A batch file that passes all its arguments on.
fn batch_file(dir: &Path, name: &str) -> String {
    let path = dir.join(name);
    std::fs::write(&path, format!("@echo off\r\n\"{}\" args %*\r\n", helper())).expect("a file");
    path.to_string_lossy().into_owned()
}

fn through_batch(container: &Container, file: &str, arguments: &[&str]) -> Vec<String> {
    let mut command = vec![file];
    command.extend(arguments);
    texts(&Run::new(container, &command).output())
}

#[test]
fn batch_files_get_their_arguments_exactly() {
    let dir = tempfile::tempdir().expect("a directory");
    let root = stack();
    let container = root.container("batch").expect("a container");
    for name in ["a.bat", "b.cmd", "with blank & more.bat"] {
        let file = batch_file(dir.path(), name);
        // All of them once; the files' names change little about the rest.
        for arguments in HARD_ARGUMENTS.iter().take(if name == "a.bat" { usize::MAX } else { 9 }) {
            if arguments.iter().any(|argument| argument.contains(['\r', '\n'])) {
                let mut command = vec![file.as_str()];
                command.extend(*arguments);
                let error = Run::new(&container, &command).start().expect_err("refused");
                assert_eq!(error.kind, SpawnErrorKind::Invalid);
                assert!(error.message.contains("line end"), "{error}");
                continue;
            }
            assert_eq!(through_batch(&container, &file, arguments), *arguments, "{name}");
        }
    }
}

#[test]
fn an_argument_of_a_batch_file_is_never_a_command() {
    let dir = tempfile::tempdir().expect("a directory");
    let root = stack();
    let container = root.container("batch").expect("a container");
    let file = batch_file(dir.path(), "a.bat");
    let sign = dir.path().join("sign");
    let command = format!("echo broken > {}", sign.display());
    for before in ["", "\"", "a\"", "\\\"", "x\" ", "%OS%", "%", "^", "\"^", "a\\\\\"", "%cmdcmdline:~-1%"] {
        let arguments = ["&", "|", "&&", " & ", "\"&\""].map(|joint| format!("{before}{joint}{command}"));
        let mut run = Run::new(&container, &[&file]);
        run.command.extend(arguments);
        run.working_dir = Some(dir.path().to_owned());
        let arrived = texts(&run.output());
        assert!(!sign.exists(), "one of these was run: {:?}", run.command);
        assert_eq!(arrived, run.command[1..]);
    }
}

#[test]
fn exit_codes_are_whole() {
    let root = stack();
    let container = root.container("exit").expect("a container");
    for code in [0, 1, 78, 259, 0xC000_0005, 0xFFFF_FFFF, 0x8000_0000_u32] {
        let process = Run::helper(&container, &["exit", &code.to_string()]).start().expect("it starts");
        assert_eq!(exit_of(&process), Exit::Code(i64::from(code)));
        assert!(!mainstay_sys::process::is_alive(&process.id), "{code}");
    }
}

#[test]
fn programs_are_found_in_the_services_own_path() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::copy(helper(), dir.path().join("my tool.exe")).expect("a copy");
    batch_file(dir.path(), "script.cmd");
    let root = stack();
    let container = root.container("path").expect("a container");
    for name in ["my tool", "MY TOOL.EXE", "script"] {
        let mut run = Run::new(&container, &[name, "args", "x"]);
        if name == "script" {
            run.command.remove(1);
        }
        run.environment.insert("PATH".to_owned(), dir.path().to_string_lossy().into_owned());
        assert_eq!(texts(&run.output()), ["x"], "{name}");
    }
    let run = Run::new(&container, &["my tool", "args", "x"]);
    let error = run.start().expect_err("not in our own PATH");
    assert_eq!(error.kind, SpawnErrorKind::NotFound);
    assert!(error.message.contains("my tool") && error.message.contains("PATH"), "{error}");
}

#[test]
fn relative_programs_are_relative_to_the_working_directory() {
    let dir = tempfile::tempdir().expect("a directory");
    let sub = dir.path().join("sub dir");
    std::fs::create_dir(&sub).expect("a directory");
    std::fs::copy(helper(), sub.join("tool.exe")).expect("a copy");
    let root = stack();
    let container = root.container("relative").expect("a container");
    for name in [r".\tool", r".\tool.exe", "./tool.exe", r"..\sub dir\tool"] {
        let mut run = Run::new(&container, &[name, "cwd"]);
        run.working_dir = Some(sub.clone());
        let told = String::from_utf8(run.output()).expect("text");
        assert_eq!(Path::new(told.trim_end()), sub, "{name}");
    }
}

#[test]
fn what_cannot_be_started_says_why() {
    let dir = tempfile::tempdir().expect("a directory");
    let root = stack();
    let container = root.container("words").expect("a container");
    let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    std::fs::write(path("broken.exe"), "this is no program").expect("a file");
    std::fs::write(path("script.ps1"), "exit 1").expect("a file");
    std::fs::create_dir(path("directory")).expect("a directory");
    for (program, kind, words) in [
        ("missing.exe", SpawnErrorKind::NotFound, "missing.exe"),
        (r"no\where.exe", SpawnErrorKind::NotFound, "no directory"),
        ("directory", SpawnErrorKind::NotExecutable, "directory"),
        ("broken.exe", SpawnErrorKind::WrongFormat, "not a program for this system"),
        ("script.ps1", SpawnErrorKind::WrongFormat, "powershell.exe"),
    ] {
        let run = Run::new(&container, &[&path(program)]);
        let error = run.start().expect_err(program);
        assert_eq!(run.rehearse(), Err(error.clone()), "a rehearsal finds it beforehand");
        assert_eq!(error.kind, kind, "{error}");
        assert!(error.message.contains(words), "{error}");
    }
    let mut run = Run::helper(&container, &["cwd"]);
    run.working_dir = Some(dir.path().join("gone"));
    let error = run.start().expect_err("no such directory");
    assert_eq!(error.kind, SpawnErrorKind::WorkingDirectory);
    assert!(error.message.contains("does not exist") && error.message.contains("gone"), "{error}");
    assert_eq!(Run::new(&container, &[]).start().expect_err("nothing").kind, SpawnErrorKind::Invalid);
    assert_eq!(Run::new(&container, &[""]).start().expect_err("nothing").kind, SpawnErrorKind::Invalid);
    assert!(container.is_empty().expect("a look"), "nothing was started");
}

#[test]
fn a_rehearsal_runs_nothing_and_leaves_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let root = stack();
    let container = root.container("rehearsed").expect("a container");
    let trace = dir.path().join("trace");
    let run = Run::helper(&container, &["touch", &trace.to_string_lossy()]);
    for _ in 0..20 {
        assert_eq!(run.rehearse(), Ok(()));
    }
    until("all are gone", || container.is_empty().expect("a look"));
    assert!(!trace.exists(), "it ran");
    run.start().expect("it starts");
    until("it runs when it is meant to", || trace.exists());
}

#[test]
fn a_fast_child_is_known_all_the_same() {
    let root = stack();
    let container = root.container("fast").expect("a container");
    for _ in 0..20 {
        let process = Run::helper(&container, &["exit", "5"]).start().expect("it starts");
        assert!(process.id.start > 0);
        assert_eq!(process.id.pid, process.pid);
        assert_eq!(exit_of(&process), Exit::Code(5));
    }
}

#[test]
fn identity_is_more_than_a_number() {
    let root = stack();
    let container = root.container("id").expect("a container");
    let (process, mut output) = Run::helper(&container, &["chain", "1"]).captured();
    output.until_line("complete");
    assert_eq!(mainstay_sys::process::identity(process.pid).as_ref(), Some(&process.id));
    assert!(mainstay_sys::process::is_alive(&process.id));
    let mut other = process.id.clone();
    other.start += 1;
    assert!(!mainstay_sys::process::is_alive(&other));
    assert!(!mainstay_sys::process::kill(&other).expect("a look"));
    assert!(lives(process.pid));
    assert!(mainstay_sys::process::kill(&process.id).expect("killed"));
    assert_eq!(exit_of(&process), Exit::Code(1));
    assert!(!mainstay_sys::process::is_alive(&process.id));
    assert!(!mainstay_sys::process::kill(&process.id).expect("gone"));
}
