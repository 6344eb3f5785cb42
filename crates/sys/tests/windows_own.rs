//! Mainstay's own processes and their endpoint.
#![cfg(windows)]
#![expect(unsafe_code, reason = "it asks Wine for its version, and looks for windows")]

mod windows;

use std::os::windows::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use mainstay_sys::Exit;
use mainstay_sys::dirs::Dirs;
use mainstay_sys::endpoint::{self, Listener};
use mainstay_sys::process::{self, ProcessId};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use windows::{PATIENCE, Run, exit_of, helper, skipped_under_wine, stack, unique, until};
use windows_sys::Win32::Foundation::{HWND, LPARAM};
use windows_sys::Win32::UI::WindowsAndMessaging as window;

const CREATE_NEW_PROCESS_GROUP: u32 = 0x0000_0200;
const CREATE_NO_WINDOW: u32 = 0x0800_0000;

#[test]
fn a_keeper_outlives_who_started_it_and_holds_nothing_of_his() {
    // Its output is a pipe: if the keeper had it too, this would wait as long as that lives.
    let output = Command::new(helper())
        .arg("launcher")
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .creation_flags(CREATE_NO_WINDOW)
        .output()
        .expect("it runs");
    assert!(output.status.success(), "{}", output.status);
    let text = String::from_utf8(output.stdout).expect("text");
    let (pid, start) = text.trim_end().split_once(' ').expect("two numbers");
    let id = ProcessId {
        pid: pid.parse().expect("a number"),
        start: start.parse().expect("a number"),
        boot: mainstay_sys::clock::boot_id(),
    };
    assert!(process::is_alive(&id));
    assert_eq!(process::identity(id.pid), Some(id.clone()));
    assert!(process::kill(&id).expect("killed"));
}

#[test]
fn services_hear_ctrl_c_though_the_keeper_was_made_to_ignore_it() {
    let status = Command::new(helper())
        .arg("ignoring")
        .creation_flags(CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW)
        .status()
        .expect("it runs");
    assert_eq!(status.code(), Some(100));
}

#[test]
fn a_helper_that_is_stuck_ends_with_its_keeper() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    let mut keeper = Command::new(helper());
    keeper.arg("impatient").arg(file.path()).creation_flags(CREATE_NEW_PROCESS_GROUP | CREATE_NO_WINDOW);
    assert!(keeper.status().expect("it runs").success());
    let pid = std::fs::read_to_string(file.path()).expect("its number").parse().expect("a number");
    until("the helper is gone", || process::identity(pid).is_none());
}

#[test]
fn a_console_shows_what_is_written_in_utf8() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("seen");
    // In no code page are all of these. The middle is inside a character.
    let text = "Grüße, Ωμέγα, №, жёлтый";
    let mut command = Command::new(helper());
    command.arg("unicode").arg(text).arg(&file).creation_flags(CREATE_NO_WINDOW);
    assert!(command.status().expect("it runs").success());
    let seen = std::fs::read_to_string(&file).expect("what was seen");
    assert_eq!(seen, format!("65001 {text}"));
}

struct Search {
    pid: u32,
    found: Vec<HWND>,
}

unsafe extern "system" fn look(handle: HWND, search: LPARAM) -> i32 {
    let search = std::ptr::with_exposed_provenance_mut::<Search>(search.cast_unsigned());
    let mut pid = 0;
    // SAFETY: Windows passes a window of now, and `windows_of` a search that nothing else uses meanwhile.
    unsafe {
        window::GetWindowThreadProcessId(handle, &mut pid);
        if (*search).pid == pid {
            (*search).found.push(handle);
        }
    }
    1
}

fn windows_of(pid: u32) -> Vec<HWND> {
    let mut search = Search { pid, found: Vec::new() };
    // SAFETY: the callback gets a pointer to `search`, which outlives the call.
    unsafe {
        window::EnumWindows(Some(look), std::ptr::from_mut(&mut search).expose_provenance().cast_signed())
    };
    search.found
}

#[test]
fn the_end_of_the_session_and_a_closed_window_are_told() {
    let root = stack();
    let container = root.container("session").expect("a container");
    let (process, mut output) = Run::helper(&container, &["listen", "3"]).captured();
    output.until_line("listening");
    let windows = windows_of(process.pid);
    if windows.is_empty() && skipped_under_wine("no display, and no null driver for windows") {
        return;
    }
    for (message, wide, long) in [
        (window::WM_CLOSE, 0, 0),
        // Asked, and then called off: nothing happens.
        (window::WM_QUERYENDSESSION, 0, 0),
        (window::WM_ENDSESSION, 0, 0),
        (window::WM_CLOSE, 0, 0),
        (window::WM_ENDSESSION, 1, 0),
    ] {
        for handle in &windows {
            // SAFETY: plain values are passed.
            unsafe { window::PostMessageW(*handle, message, wide, long) };
        }
    }
    assert_eq!(exit_of(&process), Exit::Code(100));
    output.until_end();
    assert_eq!(output.text(), "listening\nwindow closed\nwindow closed\nshutdown\n");
}

fn dirs(name: &str) -> Dirs {
    let base = Path::new(r"C:\nowhere").join(name);
    Dirs { run: base.join("run"), state: base.join("state"), log: base.join("log") }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[test]
fn addresses_tell_places_apart() {
    let one = endpoint::address(&dirs("one"), "shop");
    let other = endpoint::address(&dirs("other"), "shop");
    assert_ne!(one, other);
    assert_eq!(one, endpoint::address(&dirs("ONE"), "shop"), "paths have no case");
    assert!(one.to_string().starts_with(r"\\.\pipe\mainstay\shop-"), "{one}");
    let machine =
        Path::new(&std::env::var_os("ProgramData").expect("it is set")).join("Mainstay").join("shop");
    let dirs = Dirs { run: machine.join("run"), state: machine.join("state"), log: machine.join("log") };
    assert_eq!(endpoint::address(&dirs, "shop").to_string(), r"\\.\pipe\mainstay\shop");
}

#[test]
fn connections_carry_both_ways_and_know_their_peer() {
    let address = endpoint::address(&dirs(&unique("pipe")), "shop");
    runtime().block_on(async {
        let error = endpoint::connect(&address).await.expect_err("nobody is there");
        assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
        assert!(error.to_string().contains("shop"), "{error}");

        let mut listener = Listener::bind(&address).expect("bound");
        let server = async {
            for _ in 0..40 {
                let mut stream = listener.accept().await.expect("a client");
                assert!(stream.peer().starts_with(&process::own_user()), "{}", stream.peer());
                let mut buffer = vec![0; 200_000];
                stream.read_exact(&mut buffer).await.expect("read");
                stream.write_all(&buffer).await.expect("written");
                // The client closes first, when it has everything.
                assert_eq!(stream.read(&mut buffer).await.unwrap_or(0), 0);
            }
        };
        let clients = async {
            // Ten at once: all but one find every instance taken, and wait.
            for _ in 0..4 {
                let ten: [_; 10] = std::array::from_fn(|number| {
                    let address = address.clone();
                    async move {
                        let mut stream = endpoint::connect(&address).await.expect("connected");
                        assert!(stream.peer().starts_with(&process::own_user()), "{}", stream.peer());
                        let sent = vec![u8::try_from(number).expect("few"); 200_000];
                        stream.write_all(&sent).await.expect("written");
                        let mut got = vec![0; 200_000];
                        stream.read_exact(&mut got).await.expect("read");
                        assert!(got == sent);
                    }
                });
                join_all(ten).await;
            }
        };
        tokio::time::timeout(PATIENCE, async { tokio::join!(server, clients) }).await.expect("in time");
    });
}

/// All at once, on this task.
async fn join_all<F: Future<Output = ()>, const N: usize>(futures: [F; N]) {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    std::future::poll_fn(|cx| {
        futures.retain_mut(|future| future.as_mut().poll(cx).is_pending());
        if futures.is_empty() { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
}

#[test]
fn a_client_that_goes_away_at_once_does_no_harm() {
    let address = endpoint::address(&dirs(&unique("pipe")), "shop");
    runtime().block_on(async {
        let mut listener = Listener::bind(&address).expect("bound");
        let work = async {
            for _ in 0..10 {
                drop(endpoint::connect(&address).await.expect("connected"));
                // It may be seen, or be gone before it is looked at.
                let _ = tokio::time::timeout(Duration::from_millis(20), listener.accept()).await;
            }
            let client = async {
                let mut stream = endpoint::connect(&address).await.expect("connected");
                stream.write_all(b"x").await.expect("written");
                stream
            };
            let server = async {
                loop {
                    let mut stream = listener.accept().await.expect("a client");
                    let mut byte = [0];
                    if stream.read_exact(&mut byte).await.is_ok() {
                        return byte;
                    }
                }
            };
            let (_, byte) = tokio::join!(client, server);
            assert_eq!(&byte, b"x");
        };
        tokio::time::timeout(PATIENCE, work).await.expect("in time");
    });
}

#[test]
fn the_next_daemon_takes_the_name_though_a_client_still_holds_on() {
    let address = endpoint::address(&dirs(&unique("pipe")), "shop");
    runtime().block_on(async {
        let mut first = Listener::bind(&address).expect("bound");
        let (mut client, server) = tokio::join!(endpoint::connect(&address), first.accept());
        drop((first, server));
        let mut second = Listener::bind(&address).expect("bound again");
        let (other, served) = tokio::join!(endpoint::connect(&address), second.accept());
        let (mut other, mut served) = (other.expect("connected"), served.expect("a client"));
        served.write_all(b"new").await.expect("written");
        let mut buffer = [0; 3];
        other.read_exact(&mut buffer).await.expect("read");
        assert_eq!(&buffer, b"new");
        let old = client.as_mut().expect("connected").read(&mut buffer).await;
        assert!(matches!(old, Ok(0) | Err(_)), "the old connection is over: {old:?}");
    });
}
