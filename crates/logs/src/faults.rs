//! The writer on a disk that fails: what is lost is counted, what is there are whole lines, and it goes on by itself.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;

use proptest::prelude::*;

use crate::catalog::Numbers;
use crate::{Files, LogPos, Settings, Writer};

/// What the disk does next; when the list is over, all goes well.
#[derive(Clone, Copy, Debug)]
enum Fault {
    Works,
    /// Takes so many bytes of the next write, then is full.
    Full(usize),
    /// Takes so many bytes of the next write, and says so.
    Short(usize),
    Interrupted,
    /// The next operation other than a write fails.
    NoFile,
}

#[derive(Default)]
struct State {
    files: BTreeMap<PathBuf, Rc<RefCell<Vec<u8>>>>,
    faults: Vec<Fault>,
}

#[derive(Clone, Default)]
struct Memory(Rc<RefCell<State>>);

struct Open {
    disk: Memory,
    content: Rc<RefCell<Vec<u8>>>,
}

impl Memory {
    fn next(&self, wanted: fn(&Fault) -> bool) -> Option<Fault> {
        let mut state = self.0.borrow_mut();
        let fault = *state.faults.last()?;
        // A fault of the other kind waits for its turn; "works" is used up by both.
        if matches!(fault, Fault::Works) || wanted(&fault) {
            state.faults.pop();
            return Some(fault);
        }
        None
    }

    fn operation(&self) -> io::Result<()> {
        match self.next(|fault| matches!(fault, Fault::NoFile)) {
            Some(Fault::NoFile) => Err(ErrorKind::PermissionDenied.into()),
            _ => Ok(()),
        }
    }

    fn all(&self) -> Vec<(PathBuf, Vec<u8>)> {
        self.0.borrow().files.iter().map(|(path, content)| (path.clone(), content.borrow().clone())).collect()
    }
}

impl Write for Open {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut content = self.content.borrow_mut();
        match self.disk.next(|fault| !matches!(fault, Fault::NoFile)) {
            Some(Fault::Full(0)) => Err(ErrorKind::StorageFull.into()),
            Some(Fault::Full(room)) => {
                self.disk.0.borrow_mut().faults.push(Fault::Full(0));
                let taken = room.min(bytes.len());
                content.extend_from_slice(&bytes[..taken]);
                Ok(taken)
            }
            Some(Fault::Short(room)) => {
                let taken = room.clamp(1, bytes.len());
                content.extend_from_slice(&bytes[..taken]);
                Ok(taken)
            }
            Some(Fault::Interrupted) => Err(ErrorKind::Interrupted.into()),
            _ => {
                content.extend_from_slice(bytes);
                Ok(bytes.len())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Files for Memory {
    type File = Open;

    fn append(&self, path: &Path) -> io::Result<(Open, u64, bool)> {
        self.operation()?;
        let content = Rc::clone(self.0.borrow_mut().files.entry(path.to_owned()).or_default());
        let (length, open_line) =
            (content.borrow().len() as u64, content.borrow().last().is_some_and(|b| *b != b'\n'));
        Ok((Open { disk: self.clone(), content }, length, open_line))
    }

    fn create(&self, path: &Path) -> io::Result<Open> {
        self.operation()?;
        let content = Rc::default();
        self.0.borrow_mut().files.insert(path.to_owned(), Rc::clone(&content));
        Ok(Open { disk: self.clone(), content })
    }

    fn length(&self, file: &Open) -> io::Result<u64> {
        Ok(file.content.borrow().len() as u64)
    }

    fn born(&self, _file: &Open) -> io::Result<std::time::SystemTime> {
        Ok(std::time::SystemTime::now())
    }

    fn length_at(&self, path: &Path) -> io::Result<u64> {
        let state = self.0.borrow();
        state.files.get(path).map(|content| content.borrow().len() as u64).ok_or(ErrorKind::NotFound.into())
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.operation()?;
        let mut state = self.0.borrow_mut();
        let content = state.files.remove(from).ok_or(ErrorKind::NotFound)?;
        state.files.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.operation()?;
        self.0.borrow_mut().files.remove(path).map(|_| ()).ok_or(ErrorKind::NotFound.into())
    }
}

fn writer(disk: &Memory, rotate_size: u64) -> Writer<Memory> {
    let settings = Settings { rotate_size, keep_files: 1000, ..Settings::default() };
    Writer::with_files(disk.clone(), Arc::from(Path::new("d")), "web", settings, Numbers::default())
}

/// The log's bytes in order: closed segments by their number, then the active one.
fn content(disk: &Memory) -> Vec<u8> {
    let files = disk.all();
    let closed =
        files.iter().filter(|(path, _)| path.extension().is_some_and(|e| e.len() == 6 && e != "000000"));
    let active = files.iter().filter(|(path, _)| path.extension().is_some_and(|e| e == "log"));
    closed.chain(active).flat_map(|(_, content)| content.clone()).collect()
}

fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        4 => Just(Fault::Works),
        2 => (0_usize..40).prop_map(Fault::Full),
        2 => (1_usize..10).prop_map(Fault::Short),
        1 => Just(Fault::Interrupted),
        1 => Just(Fault::NoFile),
    ]
}

proptest! {
    #[test]
    fn lines_are_whole_or_cut_and_losses_are_counted(
        lengths in prop::collection::vec(0_usize..60, 1..60),
        cuts in prop::collection::vec(1_usize..80, 1..40),
        faults in prop::collection::vec(fault(), 0..60),
        rotate in 1_u64..300,
    ) {
        let disk = Memory::default();
        disk.0.borrow_mut().faults = faults;
        let mut open = writer(&disk, rotate);
        let lines: Vec<String> = lengths.iter().enumerate().map(|(n, len)| format!("{n}:{}", "x".repeat(*len))).collect();
        let input: Vec<u8> = lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect();
        let mut dropped = 0;
        let mut rest = &input[..];
        for cut in cuts.iter().chain(std::iter::repeat(&usize::MAX)) {
            let (chunk, after) = rest.split_at((*cut).min(rest.len()));
            if let Err(trouble) = open.write(chunk) {
                prop_assert!(trouble.dropped <= chunk.len() as u64);
                dropped += trouble.dropped;
            }
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(open.tally().dropped_bytes, dropped);
        // The disk is well again: what comes now is there.
        disk.0.borrow_mut().faults.clear();
        let before = open.tally().dropped_bytes;
        open.write(b"last\n").unwrap();
        prop_assert_eq!(open.tally().dropped_bytes, before);

        let output = String::from_utf8(content(&disk)).unwrap();
        prop_assert!(output.ends_with("last\n"));
        let mut next = 0;
        let mut there = 0;
        let mut told = 0;
        for line in output.strip_suffix("last\n").unwrap().lines() {
            let number: usize = line.split(':').next().and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
            if line.starts_with('[') {
                // A marker that was torn itself is written again.
                if !line.ends_with("here]") {
                    continue;
                }
                told += line.split(' ').nth(1).unwrap().parse::<u64>().unwrap();
                continue;
            }
            if lines.get(number).is_some_and(|whole| whole == line) {
                prop_assert!(number >= next, "line {} comes twice or late", number);
                next = number + 1;
                there += line.len() + 1;
            } else {
                // A torn line: the beginning of one that comes later than all before.
                prop_assert!(dropped > 0, "{line:?} is torn, and nothing was dropped");
                let at = (next..lines.len()).find(|at| lines[*at].starts_with(line));
                prop_assert!(at.is_some(), "{:?} is no line's beginning", line);
                there += line.len();
            }
        }
        // A torn line's own end may have been among the dropped bytes, or have been written where ours is.
        let missing = input.len() - there.min(input.len());
        prop_assert!(missing as u64 <= dropped, "{} bytes missing, {} counted", missing, dropped);
        prop_assert_eq!(told, dropped, "the log itself says how much is missing");
    }
}

#[test]
fn a_full_disk_costs_what_did_not_fit_and_the_torn_lines_rest() {
    let disk = Memory::default();
    disk.0.borrow_mut().faults = vec![Fault::Full(9)];
    let mut open = writer(&disk, 1000);
    let trouble = open.write(b"one\ntwo and a ha").unwrap_err();
    assert_eq!(
        (trouble.dropped, trouble.what, trouble.error.kind()),
        (7, "write to", ErrorKind::StorageFull)
    );
    let trouble = open.write(b"lf\nthree\n").unwrap_err();
    assert_eq!(trouble.dropped, 3, "{trouble}");
    assert_eq!(content(&disk), b"one\ntwo a\n[mainstay: 10 bytes of output are missing here]\nthree\n");
    assert_eq!(open.tally().dropped_bytes, 10);
    assert_eq!(open.position(), LogPos { segment: 1, offset: 64 });
}

#[test]
fn output_without_line_ends_is_not_left_out_for_ever() {
    let disk = Memory::default();
    disk.0.borrow_mut().faults = vec![Fault::Full(0)];
    let mut open = writer(&disk, 1 << 30);
    let block = vec![b'x'; 20_000];
    let lost = (0..10).filter(|_| open.write(&block).is_err()).count();
    assert_eq!(lost, 4, "the write that failed, and no more than 64 KiB after it");
}

#[test]
fn a_segment_that_cannot_be_closed_grows_on_and_is_closed_later() {
    let disk = Memory::default();
    let mut open = writer(&disk, 10);
    open.write(b"one\n").unwrap();
    disk.0.borrow_mut().faults = vec![Fault::NoFile];
    let trouble = open.write(b"two, long\n").unwrap_err();
    assert_eq!((trouble.dropped, trouble.what), (0, "make"));
    open.write(b"three\n").unwrap();
    assert_eq!(disk.all().len(), 1, "not tried again at every line");
    let long = [vec![b'x'; 70_000], b"\n".to_vec()].concat();
    open.write(&long).unwrap();
    assert_eq!(disk.all().len(), 2, "the active one and all so far in a closed one");
    assert!(content(&disk).starts_with(b"one\ntwo, long\nthree\nxxx"));
}

#[test]
fn a_disk_that_never_works_loses_all_and_says_so() {
    let disk = Memory::default();
    disk.0.borrow_mut().faults = vec![Fault::NoFile; 1000];
    let mut open = writer(&disk, 10);
    for _ in 0..100 {
        let trouble = open.write(b"line\n").unwrap_err();
        assert_eq!((trouble.dropped, trouble.what), (5, "open"));
    }
    assert_eq!(open.tally().dropped_bytes, 500);
}

#[test]
fn where_the_writer_is_to_wait_nothing_is_missing() {
    let disk = Memory::default();
    disk.0.borrow_mut().faults = vec![Fault::Full(9)];
    let mut open = writer(&disk, 1000);
    open.set_settings(Settings { on_full: crate::OnFull::Wait, ..open.settings() });
    let text = b"one\ntwo and a half\n";
    let trouble = open.write(text).unwrap_err();
    assert_eq!((trouble.dropped, trouble.waiting, trouble.is_full()), (0, 10, true));
    open.set_full(true);
    assert_eq!(open.write(&text[9..]).unwrap_err().waiting, 10, "less than min_free counts as full");
    open.set_full(false);
    open.write(&text[9..]).unwrap();
    assert_eq!(content(&disk), text);
    assert_eq!(open.tally().dropped_bytes, 0);
}

#[test]
fn old_segments_are_given_up_and_their_numbers_are_not_used_again() {
    let disk = Memory::default();
    let mut open = writer(&disk, 4);
    for line in ["one\n", "two\n", "end\n"] {
        open.write(line.as_bytes()).unwrap();
    }
    for left in [&b"two\nend\n"[..], b"end\n", b"", b""] {
        open.give_up_oldest().unwrap();
        assert_eq!(content(&disk), left);
    }
    assert!(disk.all().iter().any(|(path, _)| path.ends_with("web.log.000003")), "the numbering's");
    assert_eq!(open.position().segment, 4);
}
