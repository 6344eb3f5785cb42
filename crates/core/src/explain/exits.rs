//! What ends mean: signals, exit codes with their conventions, and the numbers that Windows gives.
//!
//! A number means different things on the two platforms, so the platform is an argument. Sources: signal(7),
//! sysexits.h, POSIX's shell, MS-ERREF (NTSTATUS, HRESULT), winerror.h, and the runtimes' own documentation.

use serde::{Deserialize, Serialize};

use crate::{Exit, signal_name};

/// What an end means.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meaning {
    /// The number's name, where it has one: `SIGSEGV`, `EX_CONFIG`, `STATUS_ACCESS_VIOLATION`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// In words: "it touched memory that is not its own".
    pub meaning: String,
    /// What a person can do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

/// How a meaning begins that says nothing that the number does not say.
const OWN: &str = "an error of the program's own kind";

/// A number, its name, what it means, what to do. An empty text is none.
type Row = (u32, &'static str, &'static str, &'static str);

/// What `exit` means on Windows or elsewhere; none if it means nothing in particular.
pub fn meaning(exit: Exit, windows: bool) -> Option<Meaning> {
    match exit {
        Exit::Unknown => Some(words("", "nobody saw how it ended, because its keeper was gone", "")),
        Exit::Signal(number) => signal(number),
        Exit::Code(code) if windows => windows_code(code),
        Exit::Code(code) => unix_code(code),
    }
}

/// The end and, in brackets, what it means: `exit code 127 (command not found)`.
pub fn in_words(exit: Exit, windows: bool) -> String {
    match meaning(exit, windows) {
        Some(meaning) if !matches!(exit, Exit::Unknown) && !meaning.meaning.starts_with(OWN) => {
            format!("{exit} ({})", meaning.meaning)
        }
        _ => exit.to_string(),
    }
}

fn words(name: &str, meaning: &str, hint: &str) -> Meaning {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    Meaning { name: some(name), meaning: meaning.to_owned(), hint: some(hint) }
}

fn find(table: &[Row], number: u32) -> Option<Meaning> {
    table.iter().find(|row| row.0 == number).map(|(_, name, meaning, hint)| words(name, meaning, hint))
}

fn signal(number: i32) -> Option<Meaning> {
    let known = u32::try_from(number).ok().and_then(|number| find(SIGNALS, number));
    match (known, signal_name(number)) {
        (Some(known), name) => Some(Meaning { name: name.map(str::to_owned), ..known }),
        (None, _) if (34..=64).contains(&number) => {
            Some(words("", "a real-time signal, sent on purpose", ""))
        }
        (None, _) => None,
    }
}

fn unix_code(code: i64) -> Option<Meaning> {
    let code = u32::try_from(code).ok()?;
    if let Some(known) = find(UNIX, code) {
        return Some(known);
    }
    // A shell, and programs that catch a signal and end by it, say it this way.
    let number = i32::try_from(code.checked_sub(128)?).ok()?;
    let name = signal_name(number)?;
    let signal = signal(number);
    let what = signal.as_ref().map_or("", |signal| signal.meaning.as_str());
    let meaning = if what.is_empty() { format!("128 + {name}") } else { format!("128 + {name}: {what}") };
    Some(Meaning { name: Some(name.to_owned()), meaning, hint: signal.and_then(|signal| signal.hint) })
}

fn windows_code(code: i64) -> Option<Meaning> {
    // The exit code is 32 bits wide; some runtimes show it as a negative number.
    let code = u32::try_from(code).or_else(|_| i32::try_from(code).map(i32::cast_unsigned)).ok()?;
    if let Some(known) = find(WINDOWS, code) {
        return Some(known);
    }
    let win32 = code & 0xFFFF;
    match code >> 16 {
        // An HRESULT that wraps a Win32 error.
        0x8007 => Some(match find(WIN32, win32) {
            Some(known) => Meaning { meaning: format!("Win32 error {win32}: {}", known.meaning), ..known },
            None => words(
                "",
                &format!("Win32 error {win32} as an HRESULT"),
                &format!("`net helpmsg {win32}` says what it is"),
            ),
        }),
        0 => find(WIN32, win32),
        high if high & 0xF000 == 0xC000 => Some(words(
            "",
            "an NTSTATUS error: the system ended it because of a fault",
            "the Event Viewer, Windows Logs, Application, names the module that was at fault",
        )),
        high if high & 0xF000 == 0xE000 => Some(words(
            "",
            "an exception of the program's own language or library, which nothing in it handled",
            "its output or the Event Viewer, Windows Logs, Application, has the exception",
        )),
        high if high & 0xF000 == 0x8000 => Some(words("", "an HRESULT error of a library", "")),
        _ => None,
    }
}

const BUG: &str = "a bug in the program or in a library of it; a core dump shows where (`coredumpctl list`)";
const ON_PURPOSE: &str = "somebody or something sent it on purpose";

const SIGNALS: &[Row] = &[
    (1, "", "hang-up: its terminal closed, or it was asked to read its configuration again", ""),
    (2, "", "interrupt: Ctrl+C, or a stop that asks like it", ""),
    (3, "", "quit, with a core dump", ""),
    (4, "", "an instruction that this processor does not have", "it may be built for a newer processor"),
    (5, "", "a trap: an assertion of the program or a debugger's break point", BUG),
    (6, "", "abort: the program gave itself up, after a failed check of its own", "its last output says why"),
    (7, "", "bus error: a mapped file became shorter, or the disk it is on failed", BUG),
    (8, "", "an arithmetic error, most often a division by zero", BUG),
    (9, "", "killed from outside, without a chance to clean up", ""),
    (10, "", "user signal 1, which the program does not handle", ON_PURPOSE),
    (11, "", "segmentation fault: it touched memory that is not its own", BUG),
    (12, "", "user signal 2, which the program does not handle", ON_PURPOSE),
    (
        13,
        "",
        "broken pipe: it wrote to a pipe or socket whose reader was gone",
        "the program should ignore SIGPIPE",
    ),
    (14, "", "an alarm that the program set itself and does not handle", ""),
    (15, "", "asked to end", ""),
    (24, "", "more processor time than its limit allows", "see the limits of the service"),
    (25, "", "a file larger than its limit allows", "see the limits of the service"),
    (31, "", "a forbidden system call", "a seccomp filter stands against it"),
];

const UNIX: &[Row] = &[
    (0, "", "success", ""),
    (1, "", "an error of the program's own kind", "its last output says more"),
    (2, "", "wrong usage, or a panic of a Go program", "look at its arguments and its last output"),
    (64, "EX_USAGE", "the command line is wrong", "look at `command` in the configuration"),
    (65, "EX_DATAERR", "its input is wrong", ""),
    (66, "EX_NOINPUT", "an input file is missing or can't be read", "paths are relative to `working_dir`"),
    (67, "EX_NOUSER", "a user does not exist", ""),
    (68, "EX_NOHOST", "a host does not exist", ""),
    (69, "EX_UNAVAILABLE", "something that it needs is not available", ""),
    (70, "EX_SOFTWARE", "an internal error of the program", ""),
    (71, "EX_OSERR", "the system refused something", ""),
    (72, "EX_OSFILE", "a system file is missing or wrong", ""),
    (
        73,
        "EX_CANTCREAT",
        "an output file can't be made",
        "is the directory there, and may this account write to it?",
    ),
    (74, "EX_IOERR", "an error while reading or writing", "is the disk full or failing?"),
    (75, "EX_TEMPFAIL", "a failure that will pass; trying again helps", ""),
    (76, "EX_PROTOCOL", "the other side did not speak as agreed", ""),
    (77, "EX_NOPERM", "not permitted", "does this account have the rights that it needs?"),
    (78, "EX_CONFIG", "its configuration is wrong", "look at the program's own configuration"),
    (101, "", "a panic of a program written in Rust", "its last output says where"),
    (124, "", "`timeout` ended it, because its time was over", ""),
    (
        126,
        "",
        "the command was found but can't be run",
        "is it executable (`chmod +x`), and for this machine?",
    ),
    (
        127,
        "",
        "command not found, or a library of it is missing",
        "is the program's path right, and in PATH?",
    ),
    (255, "", "an exit code out of range, most often -1", "its last output says more"),
];

const EVENT_VIEWER: &str =
    "a bug in the program or in a DLL of it; the Event Viewer, Windows Logs, Application, names the module";
const MISSING_DLL: &str = "install what it needs (often the Visual C++ Redistributable), or put the DLL beside the \
                           program; `where NAME.dll` looks for it in PATH";
const BITNESS: &str = "the program and its DLLs must be built for the same processor (x64, x86)";
const OUT_OF_MEMORY: &str = "the machine or a limit of it had no memory left";
const DOTNET: &str = "install that version of .NET; `dotnet --list-runtimes` lists what is there";

const WINDOWS: &[Row] = &[
    (0, "", "success", ""),
    (
        1,
        "",
        "an error of the program's own kind, or ended by Task Manager or `taskkill`",
        "its last output says more",
    ),
    (3, "", "abort of a C program, or Win32: path not found", "its last output says more"),
    (259, "STILL_ACTIVE", "the program returned 259, which others take for \"still running\"", ""),
    (
        9009,
        "",
        "cmd.exe did not find a program that the script runs",
        "a service has the PATH of its account",
    ),
    (0xFFFF_FFFF, "", "-1, an error of the program's own kind", "its last output says more"),
    (0x4001_0004, "DBG_TERMINATE_PROCESS", "ended by the system, at a log-off or shutdown", ""),
    (0x4001_0005, "DBG_CONTROL_C", "ended by Ctrl+C", ""),
    (0x8000_0003, "STATUS_BREAKPOINT", "a break point or a failed assertion", EVENT_VIEWER),
    (0x8000_4005, "E_FAIL", "an error without a reason given", ""),
    (0x8000_8083, "", "the .NET host is missing", DOTNET),
    (0x8000_8093, "", "the .NET program's runtimeconfig.json is wrong", ""),
    (0x8000_8096, "", "the version of .NET that it needs is missing", DOTNET),
    (0x8013_1506, "COR_E_EXECUTIONENGINE", "the .NET runtime itself failed", EVENT_VIEWER),
    (0x8013_1623, "COR_E_FAILFAST", "the .NET program gave itself up (FailFast)", EVENT_VIEWER),
    (
        0xC000_0005,
        "STATUS_ACCESS_VIOLATION",
        "access violation: it touched memory that is not its own",
        EVENT_VIEWER,
    ),
    (
        0xC000_0006,
        "STATUS_IN_PAGE_ERROR",
        "its own file could not be read",
        "is it on a network share or a failing disk?",
    ),
    (0xC000_0008, "STATUS_INVALID_HANDLE", "it used a handle that is not open", EVENT_VIEWER),
    (0xC000_000D, "STATUS_INVALID_PARAMETER", "it called the system wrongly", EVENT_VIEWER),
    (0xC000_0017, "STATUS_NO_MEMORY", "out of memory", OUT_OF_MEMORY),
    (
        0xC000_001D,
        "STATUS_ILLEGAL_INSTRUCTION",
        "an instruction that this processor does not have",
        "it may be built for a newer processor",
    ),
    (
        0xC000_0022,
        "STATUS_ACCESS_DENIED",
        "access denied",
        "does this account have the rights that it needs?",
    ),
    (
        0xC000_007B,
        "STATUS_INVALID_IMAGE_FORMAT",
        "the program or a DLL is not for this kind of process",
        BITNESS,
    ),
    (0xC000_0094, "STATUS_INTEGER_DIVIDE_BY_ZERO", "a division by zero", EVENT_VIEWER),
    (0xC000_0095, "STATUS_INTEGER_OVERFLOW", "an arithmetic overflow", EVENT_VIEWER),
    (0xC000_009A, "STATUS_INSUFFICIENT_RESOURCES", "the system had no resources left", OUT_OF_MEMORY),
    (
        0xC000_00FD,
        "STATUS_STACK_OVERFLOW",
        "stack overflow, most often a recursion without an end",
        EVENT_VIEWER,
    ),
    (0xC000_012D, "STATUS_COMMITMENT_LIMIT", "out of memory: the page file is too small", OUT_OF_MEMORY),
    (0xC000_0135, "STATUS_DLL_NOT_FOUND", "a DLL that it needs is missing", MISSING_DLL),
    (0xC000_0138, "STATUS_ORDINAL_NOT_FOUND", "a DLL is of the wrong version", MISSING_DLL),
    (0xC000_0139, "STATUS_ENTRYPOINT_NOT_FOUND", "a DLL is of the wrong version", MISSING_DLL),
    (0xC000_013A, "STATUS_CONTROL_C_EXIT", "ended by Ctrl+C, or its console was closed", ""),
    (
        0xC000_0142,
        "STATUS_DLL_INIT_FAILED",
        "a DLL could not be initialised, or the desktop heap of services is full",
        "too many programs with windows in one session, or an account without a desktop",
    ),
    (0xC000_0194, "STATUS_POSSIBLE_DEADLOCK", "a deadlock that it found in itself", EVENT_VIEWER),
    (0xC000_0374, "STATUS_HEAP_CORRUPTION", "its heap was corrupted", EVENT_VIEWER),
    (
        0xC000_0409,
        "STATUS_STACK_BUFFER_OVERRUN",
        "fail-fast: an abort of the program (also Rust's and C's), or an overrun buffer",
        EVENT_VIEWER,
    ),
    (0xC000_0417, "STATUS_INVALID_CRUNTIME_PARAMETER", "it called the C library wrongly", EVENT_VIEWER),
    (
        0xC000_041D,
        "STATUS_FATAL_USER_CALLBACK_EXCEPTION",
        "an unhandled exception in a window's callback",
        EVENT_VIEWER,
    ),
    (0xC000_0420, "STATUS_ASSERTION_FAILURE", "an assertion failed", EVENT_VIEWER),
    (0xC000_0428, "STATUS_INVALID_IMAGE_HASH", "its signature is not accepted on this machine", ""),
    (0xC000_0602, "STATUS_FAIL_FAST_EXCEPTION", "fail-fast: the program gave itself up", EVENT_VIEWER),
    (0xC06D_007E, "", "a DLL that is loaded late is missing", MISSING_DLL),
    (0xC06D_007F, "", "a DLL that is loaded late is of the wrong version", MISSING_DLL),
    (
        0xE043_4352,
        "",
        "an unhandled .NET exception",
        "its output or the Event Viewer, Windows Logs, Application, has the exception",
    ),
    (
        0xE043_4F4D,
        "",
        "an unhandled .NET exception",
        "its output or the Event Viewer, Windows Logs, Application, has the exception",
    ),
    (0xE06D_7363, "", "an unhandled C++ exception", EVENT_VIEWER),
    (0x0EED_FADE, "", "an unhandled Delphi exception", ""),
];

/// Win32 errors, as programs return them and as HRESULTs wrap them.
const WIN32: &[Row] = &[
    (2, "ERROR_FILE_NOT_FOUND", "file not found, or wrong usage", "paths are relative to `working_dir`"),
    (3, "ERROR_PATH_NOT_FOUND", "path not found", "paths are relative to `working_dir`"),
    (5, "ERROR_ACCESS_DENIED", "access denied", "does this account have the rights that it needs?"),
    (8, "ERROR_NOT_ENOUGH_MEMORY", "out of memory", OUT_OF_MEMORY),
    (14, "ERROR_OUTOFMEMORY", "out of memory", OUT_OF_MEMORY),
    (32, "ERROR_SHARING_VIOLATION", "a file is in use by another process", ""),
    (112, "ERROR_DISK_FULL", "the disk is full", "free some space on it"),
    (126, "ERROR_MOD_NOT_FOUND", "a DLL is missing", MISSING_DLL),
    (127, "ERROR_PROC_NOT_FOUND", "a DLL is of the wrong version", MISSING_DLL),
    (193, "ERROR_BAD_EXE_FORMAT", "not a program for this machine", BITNESS),
    (740, "ERROR_ELEVATION_REQUIRED", "it wants to run as administrator", ""),
    (1053, "ERROR_SERVICE_REQUEST_TIMEOUT", "it expects to be run by the service manager itself", ""),
    (
        1063,
        "ERROR_FAILED_SERVICE_CONTROLLER_CONNECT",
        "it expects to be run by the service manager itself",
        "such a program needs no Mainstay; or look for its console mode",
    ),
    (1223, "ERROR_CANCELLED", "cancelled by a person", ""),
    (1326, "ERROR_LOGON_FAILURE", "wrong user name or password", ""),
    (
        10013,
        "WSAEACCES",
        "a port is reserved, or the firewall stands against it",
        "`netsh int ipv4 show excludedportrange tcp` lists reserved ports",
    ),
    (
        10048,
        "WSAEADDRINUSE",
        "a port is in use by another process",
        "`netstat -ano` lists who has which port",
    ),
    (10061, "WSAECONNREFUSED", "a connection was refused", "is what it connects to up?"),
];
