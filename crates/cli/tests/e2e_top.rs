//! `mainstay top` in a console of Windows. What it draws, and what keys do, is tested in `top`; this is about the console.
#![cfg(windows)]
#![expect(unsafe_code, reason = "it types into a console, and reads what is there to be seen")]

mod common;

use std::fs::File;
use std::os::windows::io::AsRawHandle;
use std::os::windows::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::Instant;

use common::{DEADLINE, Home};
use windows_sys::Win32::System::Console::{
    CONSOLE_SCREEN_BUFFER_INFO, COORD, GetConsoleScreenBufferInfo, INPUT_RECORD, INPUT_RECORD_0, KEY_EVENT,
    KEY_EVENT_RECORD, KEY_EVENT_RECORD_0, ReadConsoleOutputCharacterW, SMALL_RECT,
    SetConsoleScreenBufferSize, SetConsoleWindowInfo, WriteConsoleInputW,
};

const CREATE_NO_WINDOW: u32 = 0x0800_0000;
const WIDTH: i16 = 80;
const HEIGHT: i16 = 24;

/// A process of its own has a console of its own.
#[test]
fn top_draws_in_a_console_and_hears_its_keys() {
    let me = std::env::current_exe().expect("a path");
    let done = Command::new(me)
        .args(["--ignored", "--exact", "within_a_console", "--nocapture"])
        .creation_flags(CREATE_NO_WINDOW)
        .output()
        .expect("it runs");
    let text = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success() && text.contains("1 passed"), "{done:#?}");
}

#[test]
#[ignore = "runs as a process of the other test"]
fn within_a_console() {
    let home = Home::new();
    home.config("name = \"shop\"\n[service.web]\ncommand = [@fixture@, \"lines\", \"--count\", \"3\"]\n");
    home.ok(&["up", "-d"]);
    let console = Console::open();
    let given = |file: &File| Stdio::from(file.try_clone().expect("another handle"));
    let mut top = home
        .command(&["top", "-s", "shop"])
        .env("NO_COLOR", "1")
        .stdin(given(&console.keys))
        .stdout(given(&console.screen))
        .stderr(given(&console.screen))
        .spawn()
        .expect("it runs");
    console.until(&["shop: up", "1 services", "NAME>", "web", "running", "q quit"]);
    console.press('l');
    console.until(&["web: following, 3 lines", "line 000000000002", "esc back"]);
    console.press('\u{1b}');
    console.until(&["NAME>", "running"]);
    console.press('e');
    console.until(&["web: why it is as it is", "up/down scroll"]);
    console.press('q');
    console.until(&["NAME>", "running"]);
    console.press('x');
    console.until(&["web", "stopped"]);
    assert!(!console.text().contains("\u{1b}[38;"), "no colours");
    console.press('q');
    assert!(top.wait().expect("it ends").success());
    home.ok(&["down"]);
}

/// The console of this process.
struct Console {
    screen: File,
    keys: File,
}

impl Console {
    /// With a window of the smallest size that is promised, and room for all that is written where the console does
    /// not understand what moves its cursor.
    fn open() -> Console {
        let open = |name| File::options().read(true).write(true).open(name).expect("a console");
        let (screen, keys) = (open("CONOUT$"), open("CONIN$"));
        let one = SMALL_RECT { Left: 0, Top: 0, Right: 0, Bottom: 0 };
        let window = SMALL_RECT { Left: 0, Top: 0, Right: WIDTH - 1, Bottom: HEIGHT - 1 };
        let handle = screen.as_raw_handle();
        // SAFETY: the handle is open, and the rectangles outlive the calls. The window has to fit the buffer throughout.
        unsafe {
            SetConsoleWindowInfo(handle, 1, &one);
            SetConsoleScreenBufferSize(handle, COORD { X: WIDTH, Y: 2_000 });
            SetConsoleWindowInfo(handle, 1, &window);
        }
        Console { screen, keys }
    }

    fn press(&self, letter: char) {
        let key = |down: i32| KEY_EVENT_RECORD {
            bKeyDown: down,
            wRepeatCount: 1,
            // As on a keyboard: a letter's key has its number, and escape has that of its sign.
            wVirtualKeyCode: letter.to_ascii_uppercase() as u16,
            wVirtualScanCode: 0,
            uChar: KEY_EVENT_RECORD_0 { UnicodeChar: letter as u16 },
            dwControlKeyState: 0,
        };
        let event = |down| INPUT_RECORD {
            EventType: u16::try_from(KEY_EVENT).expect("a small number"),
            Event: INPUT_RECORD_0 { KeyEvent: key(down) },
        };
        let (events, mut written) = ([event(1), event(0)], 0);
        // SAFETY: the handle is open, and there are two events.
        let done = unsafe { WriteConsoleInputW(self.keys.as_raw_handle(), events.as_ptr(), 2, &mut written) };
        assert_eq!((done != 0, written), (true, 2));
    }

    /// Waits until all of these can be seen at once.
    fn until(&self, words: &[&str]) {
        let begin = Instant::now();
        loop {
            let picture = self.picture();
            if words.iter().all(|word| picture.contains(word)) {
                return;
            }
            assert!(begin.elapsed() < DEADLINE, "{words:?}:\n{picture}\n{:?}", self.text());
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }

    /// What a person sees. Wine's console takes the mode in which sequences move the cursor, and shows them as text:
    /// there they are followed here.
    fn picture(&self) -> String {
        let text = self.text();
        if !text.contains('\u{1b}') {
            return text;
        }
        let (width, height) = (usize::from(WIDTH.unsigned_abs()), usize::from(HEIGHT.unsigned_abs()));
        let mut rows = vec![vec![' '; width]; height];
        let (mut row, mut column) = (0, 0);
        let mut letters = text.chars().filter(|letter| *letter != '\n');
        while let Some(letter) = letters.next() {
            if letter == '\u{1b}' {
                let mut sequence = String::new();
                for next in letters.by_ref() {
                    sequence.push(next);
                    if next.is_ascii_alphabetic() {
                        break;
                    }
                }
                // The others change colours, or the screen.
                let place = sequence.strip_prefix('[').and_then(|rest| rest.strip_suffix('H'));
                if let Some((y, x)) = place.and_then(|place| place.split_once(';')) {
                    let number = |text: &str| text.parse::<usize>().expect("a place") - 1;
                    (row, column) = (number(y), number(x));
                }
            } else if let Some(cell) = rows.get_mut(row).and_then(|row| row.get_mut(column)) {
                *cell = letter;
                column += 1;
            }
        }
        rows.into_iter().map(|row| row.into_iter().chain(['\n']).collect::<String>()).collect()
    }

    /// What is in the console: in its window, or all that was ever written if it shows sequences as text.
    fn text(&self) -> String {
        // The one that is shown now: a program may have put another in place of the first.
        let screen = File::options().read(true).write(true).open("CONOUT$").expect("a console");
        // SAFETY: all of it may be zero.
        let mut info: CONSOLE_SCREEN_BUFFER_INFO = unsafe { std::mem::zeroed() };
        // SAFETY: the handle is open, and the result outlives the call.
        assert_ne!(unsafe { GetConsoleScreenBufferInfo(screen.as_raw_handle(), &mut info) }, 0);
        let last = info.dwCursorPosition.Y.max(info.srWindow.Bottom);
        let width = info.dwSize.X.unsigned_abs();
        let mut text = String::new();
        for row in 0..=last {
            let (mut units, mut read) = (vec![0_u16; usize::from(width)], 0);
            // SAFETY: the handle is open, and the buffer is as long as is said.
            unsafe {
                ReadConsoleOutputCharacterW(
                    screen.as_raw_handle(),
                    units.as_mut_ptr(),
                    u32::from(width),
                    COORD { X: 0, Y: row },
                    &mut read,
                );
            }
            text.push_str(&String::from_utf16_lossy(&units[..read as usize]));
            text.push('\n');
        }
        if text.contains('\u{1b}') {
            let (row, column) = (info.dwCursorPosition.Y, info.dwCursorPosition.X);
            let end =
                usize::from(row.unsigned_abs()) * usize::from(width + 1) + usize::from(column.unsigned_abs());
            return text.chars().take(end).collect();
        }
        text
    }
}
