//! The Windows side of the helper.
#![expect(clippy::exit, reason = "how it ends is what it is for")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio, exit};
use std::time::{Duration, Instant};

use mainstay_sys::capture::OutputWriter;
use mainstay_sys::container::{Container, Guard, Root, Signal};
use mainstay_sys::link::{self, pair};
use mainstay_sys::mux::{Mux, Wake};
use mainstay_sys::{console, own, spawn};
use windows_sys::Win32::UI::WindowsAndMessaging as window;

/// Nothing here lives longer, whatever a test forgets.
const LONGEST: Duration = Duration::from_secs(120);

pub fn main() {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let text: Vec<String> = arguments.iter().map(|a| a.to_string_lossy().into_owned()).collect();
    let number = |at: usize| text.get(at).and_then(|text| text.parse::<u64>().ok()).expect("a number");
    match text.first().map_or("", String::as_str) {
        // Everything after it, each with a NUL behind.
        "args" => print_all(arguments[1..].iter().cloned()),
        "env" => print_all(std::env::vars_os().map(|(mut entry, value)| {
            entry.push("=");
            entry.push(value);
            entry
        })),
        "cwd" => say(&std::env::current_dir().expect("a directory").display().to_string()),
        "class" => say(&format!("{}", priority_class())),
        "privileges" => say(&privileges().join(" ")),
        "cpus" => say(&format!("{}", own_affinity())),
        "cat" => drop(std::io::copy(&mut std::io::stdin(), &mut std::io::stdout())),
        "exit" => exit(u32::try_from(number(1)).expect("32 bits").cast_signed()),
        "sleep" => sleep(),
        // A chain of so many processes, each the child of the one before; the last says that it is there.
        "chain" => chain(number(1)),
        // Starts another one and is gone.
        "middle" => drop(again(&["leaf"])),
        "leaf" => {
            say(&format!("leaf {}", std::process::id()));
            sleep();
        }
        // Children without end, as fast as can be.
        "breed" => breed(),
        "ctrl-c" => ctrl_c(&text[1..]),
        "listen" => listen(&text),
        "deaf" => deaf(),
        "lines" => lines(number(1), number(2)),
        "flood" => flood(number(1), number(2)),
        "count" => count(),
        "window" => show_window(),
        "keeper" => keeper(&text[1], text.get(2).map(String::as_str)),
        "guard" => guard(&text[1]),
        "echo" => echo(),
        "launcher" => launcher(),
        "detached" => detached(),
        "ignoring" => ignoring(),
        "impatient" => impatient(&text[1]),
        "stuck" => {
            std::fs::write(&text[1], std::process::id().to_string()).expect("a file");
            sleep();
        }
        "touch" => std::fs::write(&text[1], "").expect("a file"),
        "unicode" => unicode(&text[1], &text[2]),
        other => panic!("no mode {other:?}"),
    }
}

/// Writes to the console that it was given, in two pieces, reads there what is to be seen, and puts that into a file.
fn unicode(text: &str, file: &str) {
    use std::os::windows::io::AsRawHandle;
    use windows_sys::Win32::System::Console::{
        COORD, GetConsoleOutputCP, ReadConsoleOutputCharacterW, STD_OUTPUT_HANDLE, SetStdHandle,
    };
    // Its own, whatever the test's output is.
    let screen = File::options().read(true).write(true).open("CONOUT$").expect("a console");
    // SAFETY: the handle stays open until the process ends.
    assert_ne!(unsafe { SetStdHandle(STD_OUTPUT_HANDLE, screen.as_raw_handle()) }, 0);
    assert!(console::is_stdout_text_only());
    console::enable_colour();
    let mut output = std::io::stdout();
    let (front, back) = text.as_bytes().split_at(text.len() / 2);
    output
        .write_all(front)
        .and_then(|()| output.write_all(back))
        .and_then(|()| output.flush())
        .expect("output");
    let (mut units, mut read) = (vec![0_u16; text.encode_utf16().count()], 0);
    let length = u32::try_from(units.len()).expect("a short text");
    let begin = COORD { X: 0, Y: 0 };
    // SAFETY: the handle is the console's, and the buffer is as long as is said.
    let done = unsafe {
        ReadConsoleOutputCharacterW(output.as_raw_handle(), units.as_mut_ptr(), length, begin, &mut read)
    };
    assert_ne!(done, 0, "{}", std::io::Error::last_os_error());
    // SAFETY: nothing is passed.
    let code_page = unsafe { GetConsoleOutputCP() };
    let seen = String::from_utf16_lossy(&units[..read as usize]);
    std::fs::write(file, format!("{code_page} {seen}")).expect("the file");
}

fn say(line: &str) {
    let mut output = std::io::stdout().lock();
    writeln!(output, "{line}").expect("output");
    output.flush().expect("output");
}

fn print_all(texts: impl Iterator<Item = OsString>) {
    use std::os::windows::ffi::OsStrExt;
    let mut output = Vec::new();
    for text in texts {
        // Each unit as two bytes: nothing is lost, not even half a character.
        output.extend(text.encode_wide().flat_map(u16::to_le_bytes));
        output.extend([0, 0]);
    }
    std::io::stdout().write_all(&output).expect("output");
}

fn sleep() -> ! {
    std::thread::sleep(LONGEST);
    exit(0)
}

fn again(arguments: &[&str]) -> Child {
    Command::new(std::env::current_exe().expect("own path")).args(arguments).spawn().expect("a child")
}

fn chain(length: u64) {
    if length > 1 {
        drop(again(&["chain", &(length - 1).to_string()]));
    } else {
        say("complete");
    }
    sleep();
}

fn breed() {
    say("breeding");
    // Bound: each lives as long as any other helper.
    for _ in 0..2_000 {
        drop(again(&["sleep"]));
    }
    sleep();
}

fn ctrl_c(pids: &[String]) {
    if !matches!(console::send_as_told(pids), Some(Ok(()))) {
        exit(1);
    }
}

/// Says what it hears, and ends with 100 at the so-many-th (once unless told).
fn listen(text: &[String]) {
    let mut left = text.get(1).map_or(1, |times| times.parse::<u32>().expect("a number"));
    let (sender, receiver) = std::sync::mpsc::channel();
    own::on_terminate(move |name| sender.send(name).expect("somebody listens")).expect("a handler");
    say("listening");
    while let Ok(name) = receiver.recv_timeout(LONGEST) {
        say(name);
        left -= 1;
        if left == 0 {
            exit(100);
        }
    }
}

/// Ends by the default handler, with 0xC000013A.
fn deaf() {
    say("listening");
    sleep();
}

/// So many numbered lines of so many bytes, each written by itself.
fn lines(count: u64, length: u64) {
    let length = usize::try_from(length).expect("a length");
    let mut output = std::io::stdout().lock();
    for number in 0..count {
        let mut line = format!("{number:09} ");
        while line.len() + 1 < length {
            line.push('x');
        }
        line.push('\n');
        output.write_all(line.as_bytes()).expect("output");
        output.flush().expect("output");
    }
}

/// So many pieces of so many bytes.
fn flood(count: u64, length: u64) {
    let piece: Vec<u8> = (0..length).map(|at| if at % 100 == 99 { b'\n' } else { b'x' }).collect();
    // Standard output of Rust looks for line ends; a plain file does not.
    let output = std::os::windows::io::AsHandle::as_handle(&std::io::stdout())
        .try_clone_to_owned()
        .map(File::from)
        .expect("output");
    for _ in 0..count {
        (&output).write_all(&piece).expect("output");
    }
}

/// Counts up, so that others see whether it goes on.
fn count() {
    for number in 0_u64.. {
        say(&number.to_string());
        std::thread::sleep(Duration::from_millis(5));
        if number > 20_000 {
            return;
        }
    }
}

/// A window that is never shown; ends with 101 when it is closed.
fn show_window() {
    let class: Vec<u16> = "STATIC\0".encode_utf16().collect();
    // SAFETY: the class's name ends with a NUL; the other values are plain.
    let handle = unsafe {
        window::CreateWindowExW(
            0,
            class.as_ptr(),
            class.as_ptr(),
            window::WS_OVERLAPPED,
            0,
            0,
            10,
            10,
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            std::ptr::null(),
        )
    };
    if handle.is_null() {
        say("no window");
        return;
    }
    say("window");
    let mut message = window::MSG::default();
    // SAFETY: the structure outlives the calls.
    while unsafe { window::GetMessageW(&mut message, handle, 0, 0) } > 0 {
        if message.message == window::WM_CLOSE {
            exit(101);
        }
        // SAFETY: as above.
        unsafe { window::DispatchMessageW(&message) };
    }
}

/// Like a keeper: holds the stack's job and a service in it; a guard too if asked. Writes their numbers into the file,
/// then waits to be killed.
fn keeper(file: &str, with_guard: Option<&str>) {
    own::become_keeper().expect("fit to be a keeper");
    let exe = std::env::current_exe().expect("own path");
    let root = Root::open(&std::env::var("TEST_STACK").expect("a stack"), None).expect("a root");
    let ended = root.end_leftovers(&[], Duration::from_secs(20)).expect("nothing is left");
    let session = std::env::var("TEST_SESSION").ok().map(|number| number.parse().expect("a number"));
    let container = root.container_in("service", session).expect("a container");
    let (reader, writer) = mainstay_sys::capture::pipe().expect("a pipe");
    let command = [exe.to_string_lossy().into_owned(), "chain".to_owned(), "3".to_owned()];
    let service = spawn::spawn(&spawn::Request {
        command: &command,
        working_dir: None,
        environment: &BTreeMap::new(),
        remove: &[],
        user: None,
        password: None,
        settings: None,
        container: &container,
        run: 1,
        output: Some(&writer),
        errors: None,
    })
    .expect("a service");
    drop(writer);
    let mut set = mainstay_sys::capture::Set::new().expect("a set");
    set.add(1, reader).expect("added");
    let mut seen = Vec::new();
    while !seen.ends_with(b"complete\n") {
        set.wait(Some(LONGEST), &mut |_, chunk| {
            if let mainstay_sys::capture::Chunk::Data(bytes, _) = chunk {
                seen.extend_from_slice(bytes);
            }
        })
        .expect("read");
    }
    let mut pids = vec![ended, service.pid];
    let mut kept = None;
    if with_guard.is_some() {
        let (ours, theirs) = pair().expect("a link");
        let arguments = [OsString::from("guard"), OsString::from(root.guard_argument())];
        let stderr = File::options().write(true).open("NUL").expect("the null device");
        let daemon = own::spawn_daemon(&exe, &arguments, theirs, stderr, &root).expect("a guard");
        let mut link = ours;
        assert_eq!(link.read_line(LONGEST).expect("a line").as_deref(), Some("guarding"));
        pids.push(daemon.pid);
        kept = Some((link, daemon));
    }
    pids.extend(container.processes().expect("processes").into_iter().filter(|pid| *pid != service.pid));
    let text: Vec<String> = pids.iter().map(u32::to_string).collect();
    mainstay_sys::file::write_atomic(Path::new(file), text.join(" ").as_bytes(), true).expect("written");
    std::thread::sleep(LONGEST);
    drop((kept, service));
}

/// Like a daemon: when the keeper is gone it ends all trees, then itself.
fn guard(argument: &str) {
    let guard = Guard::from_argument(argument).expect("a guard");
    let mut link = link::from_stdio().expect("a link");
    link.write_all(b"guarding\n").expect("written");
    link.wait_closed();
    if std::env::var_os("TEST_GUARD_WAITS").is_some() {
        // Holds on without doing anything: the trees must live on.
        sleep();
    }
    guard.end_all(Duration::from_secs(20)).expect("all is ended");
}

/// Starts a process of its own like `mainstay up -d` does, tells what it says, and is gone.
fn launcher() {
    let (mut ours, theirs) = pair().expect("a link");
    let stderr = File::options().write(true).open("NUL").expect("the null device");
    let exe = std::env::current_exe().expect("own path");
    let id = own::spawn_keeper(&exe, &[OsString::from("detached")], theirs, stderr).expect("it starts");
    let said = ours.read_line(LONGEST).expect("a line").expect("not closed");
    assert_eq!(said, format!("ready {}", id.pid));
    say(&format!("{} {}", id.pid, id.start));
}

/// Says that it is ready, and goes on when the other side of its link has gone.
fn detached() {
    own::become_keeper().expect("fit to be a keeper");
    let mut link = link::from_stdio().expect("a link");
    assert!(link::from_stdio().is_err(), "it is taken once");
    link.write_all(format!("ready {}\n", std::process::id()).as_bytes()).expect("written");
    link.wait_closed();
    sleep();
}

/// A keeper that ends while the helper that is to send Ctrl+C is stuck; that one writes its number into the file.
fn impatient(file: &str) {
    let exe = std::env::current_exe().expect("own path");
    console::set_ctrl_c_helper(&exe, &[OsString::from("stuck"), OsString::from(file)]);
    let root = Root::open(&format!("impatient-{}", std::process::id()), None).expect("a root");
    let container = root.container("service").expect("a container");
    let service = serve(&container, &[exe.to_string_lossy().into_owned(), "sleep".to_owned()], None);
    container.signal(Some(&service), Signal::Interrupt).expect("sent");
    let deadline = Instant::now() + LONGEST;
    while std::fs::read_to_string(file).is_ok_and(|text| text.is_empty()) {
        assert!(Instant::now() < deadline, "no helper was made");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A service in this container.
fn serve(container: &Container, command: &[String], output: Option<&OutputWriter>) -> spawn::Process {
    let request = spawn::Request {
        command,
        working_dir: None,
        environment: &BTreeMap::new(),
        remove: &[],
        user: None,
        password: None,
        settings: None,
        container,
        run: 1,
        output,
        errors: None,
    };
    spawn::spawn(&request).expect("a service")
}

/// Made so that it ignores Ctrl+C. Its service must not. Ends as that does.
fn ignoring() {
    own::become_keeper().expect("fit to be a keeper");
    let exe = std::env::current_exe().expect("own path");
    console::set_ctrl_c_helper(&exe, &[OsString::from("ctrl-c")]);
    let root = Root::open(&format!("ignoring-{}", std::process::id()), None).expect("a root");
    let container = root.container("service").expect("a container");
    let (reader, writer) = mainstay_sys::capture::pipe().expect("a pipe");
    let command = [exe.to_string_lossy().into_owned(), "listen".to_owned()];
    let service = serve(&container, &command, Some(&writer));
    let mut set = mainstay_sys::capture::Set::new().expect("a set");
    set.add(1, reader).expect("added");
    let mut heard = false;
    while !heard {
        set.wait(Some(LONGEST), &mut |_, _| heard = true).expect("read");
    }
    let mut mux = Mux::<()>::new().expect("a mux");
    mux.watch(&service).expect("watched");
    container.signal(Some(&service), Signal::Interrupt).expect("sent");
    match mux.next(Some(Duration::from_secs(20))).expect("it waits") {
        Wake::ChildExited { exit: mainstay_sys::Exit::Code(code), .. } => {
            exit(i32::try_from(code).expect("a small one"))
        }
        _ => exit(1),
    }
}

/// Sends every frame back; ends with 102 when the link is closed.
fn echo() {
    let link = link::from_stdio().expect("a link");
    // A grandchild must not hold the link.
    drop(Command::new(std::env::current_exe().expect("own path")).arg("leaf").stdout(Stdio::null()).spawn());
    let mut mux = Mux::<()>::new().expect("a mux");
    mux.set_link(Some(link));
    loop {
        match mux.next(Some(LONGEST)).expect("it waits") {
            Wake::Frame(frame) => mux.send(&frame).expect("sent"),
            Wake::LinkClosed => exit(102),
            other => panic!("unexpected: {other:?}"),
        }
    }
}

/// The names of the privileges in its token.
fn privileges() -> Vec<String> {
    use windows_sys::Win32::Security::{
        GetTokenInformation, LUID_AND_ATTRIBUTES, LookupPrivilegeNameW, TOKEN_PRIVILEGES, TOKEN_QUERY,
        TokenPrivileges,
    };
    use windows_sys::Win32::System::Threading::{GetCurrentProcess, OpenProcessToken};
    let mut token = std::ptr::null_mut();
    let mut buffer = [0_u64; 512];
    let room = u32::try_from(size_of_val(&buffer)).expect("a size");
    let mut length = 0;
    // SAFETY: the pseudo handle is valid; the buffer is as long as said and aligned; all results outlive the calls.
    let held: Vec<LUID_AND_ATTRIBUTES> = unsafe {
        assert_ne!(OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &mut token), 0);
        let place = buffer.as_mut_ptr().cast();
        assert_ne!(GetTokenInformation(token, TokenPrivileges, place, room, &mut length), 0);
        let list = buffer.as_ptr().cast::<TOKEN_PRIVILEGES>();
        let first = (&raw const (*list).Privileges).cast();
        std::slice::from_raw_parts(first, (*list).PrivilegeCount as usize).to_vec()
    };
    let name = |held: &LUID_AND_ATTRIBUTES| {
        let (mut name, mut length) = ([0_u16; 128], 128);
        // SAFETY: number and buffer outlive the call, which is told how long that is.
        let told =
            unsafe { LookupPrivilegeNameW(std::ptr::null(), &held.Luid, name.as_mut_ptr(), &mut length) };
        assert_ne!(told, 0);
        String::from_utf16_lossy(&name[..length as usize])
    };
    held.iter().map(name).collect()
}

fn priority_class() -> u32 {
    use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetPriorityClass};
    // SAFETY: the pseudo handle is always valid.
    unsafe { GetPriorityClass(GetCurrentProcess()) }
}

fn own_affinity() -> usize {
    use windows_sys::Win32::System::Threading::{GetCurrentProcess, GetProcessAffinityMask};
    let (mut own, mut all) = (0, 0);
    // SAFETY: the pseudo handle is always valid, and both numbers outlive the call.
    unsafe { GetProcessAffinityMask(GetCurrentProcess(), &mut own, &mut all) };
    own
}
