//! Compressing and deleting closed segments: for a process other than the writer's.
//!
//! At any instant, and after a crash at any instant, a segment is there in one form at least, and whole in each. The
//! plain file goes only when the compressed one is on the disk under its name. Where both are left, the next
//! [`clean_up`] deletes the plain one; until then they count as one.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use flate2::write::GzEncoder;
use zstd::stream::write::Encoder;

use crate::segment::{Form, form_path, index_path, parse_index};
use crate::{catalog, closed_path};

/// What is compressed at a time.
const BLOCK: usize = 128 << 10;

/// zstd's own default: as small as is to be had without much time. Needs 4 MB of memory.
const ZSTD_LEVEL: i32 = 3;

/// gzip's own default.
const GZIP_LEVEL: u32 = 6;

/// A closed segment on the disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Its number.
    pub number: u64,
    /// In what it is stored. More than one only between two steps of [`pack`], or after a crash there.
    pub forms: Vec<Form>,
    /// Bytes on the disk, of all forms.
    pub bytes: u64,
    /// When it was last written to.
    pub written: SystemTime,
}

/// The closed segments of all logs in a directory, by log, their numbers rising.
///
/// # Errors
/// The directory cannot be read.
pub fn list(dir: &Path) -> io::Result<BTreeMap<String, Vec<Closed>>> {
    let mut logs: BTreeMap<String, BTreeMap<u64, Closed>> = BTreeMap::new();
    catalog::for_each_file(dir, |name, closed| {
        let Some((number, form)) = closed else { return };
        // Deleted since it was listed: it is not there.
        let Ok(metadata) = fs::metadata(form_path(dir, name, number, form)) else { return };
        let written = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        let fresh = || Closed { number, forms: Vec::new(), bytes: 0, written };
        let entry = logs.entry(name.to_owned()).or_default().entry(number).or_insert_with(fresh);
        entry.forms.push(form);
        entry.bytes += metadata.len();
    })?;
    Ok(logs.into_iter().map(|(name, closed)| (name, closed.into_values().collect())).collect())
}

/// Deletes what a crash has left: half-made compressed files, the plain ones of segments that are compressed, and
/// the times of segments that are gone.
/// Only while nobody else is in [`pack`] for this directory.
///
/// # Errors
/// The first that could not be deleted; the others are.
pub fn clean_up(dir: &Path) -> io::Result<()> {
    let mut result = Ok(());
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    let mut indexes = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        if let Some((log, number)) = name.to_str().and_then(parse_index) {
            indexes.push((log.to_owned(), number));
        }
        let half = name.to_str().and_then(|name| name.strip_suffix(".tmp")?.rsplit_once('.'));
        let closed = half.and_then(|(name, _)| crate::segment::parse(name)?.1);
        if closed.is_some_and(|(_, form)| form != Form::Plain) {
            result = result.and(gone(&dir.join(&name)));
        }
    }
    let logs = list(dir)?;
    for (log, number) in indexes {
        // The newest is that of the active segment.
        let closed = logs.get(&log).map_or(&[][..], Vec::as_slice);
        if closed.last().is_some_and(|newest| number <= newest.number)
            && !closed.iter().any(|closed| closed.number == number)
        {
            result = result.and(gone(&index_path(dir, &log, number)));
        }
    }
    for (log, segments) in logs {
        for segment in segments.iter().filter(|segment| segment.forms.len() > 1) {
            if segment.forms.contains(&Form::Plain) {
                result = result.and(gone(&closed_path(dir, &log, segment.number)));
            }
        }
    }
    result
}

/// Compresses a closed segment. `idle` is called between blocks; if it says `false`, the work is given up and nothing
/// is changed. Tells whether it is done: a segment that is gone or is compressed already needs nothing.
///
/// # Errors
/// The system's; the segment stays as it was. After an error in deleting the plain file it is there in both forms.
pub fn pack(
    dir: &Path,
    name: &str,
    number: u64,
    form: Form,
    idle: &mut dyn FnMut() -> bool,
) -> io::Result<bool> {
    let plain = closed_path(dir, name, number);
    let source = match File::open(&plain) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(true),
        source => source?,
    };
    if form == Form::Plain {
        return Ok(true);
    }
    let target = form_path(dir, name, number, form);
    let mut half = target.clone().into_os_string();
    // A name of our own: two processes at once are not meant to be, but would do no harm.
    half.push(format!(".{}.tmp", std::process::id()));
    let half = PathBuf::from(half);
    match write_packed(&source, &half, form, idle) {
        Ok(true) => {}
        outcome => {
            let _ = fs::remove_file(&half);
            return outcome;
        }
    }
    drop(source);
    let renamed = fs::rename(&half, &target).inspect_err(|_| {
        let _ = fs::remove_file(&half);
    });
    renamed?;
    sync(dir);
    match fs::remove_file(&plain) {
        Ok(()) => Ok(true),
        // Retention has taken it meanwhile: then it is not to come back like this.
        Err(error) if error.kind() == ErrorKind::NotFound => gone(&target).map(|()| true),
        Err(error) => Err(error),
    }
}

fn write_packed(source: &File, half: &Path, form: Form, idle: &mut dyn FnMut() -> bool) -> io::Result<bool> {
    gone(half)?;
    let target = OpenOptions::new().write(true).create_new(true).open(half)?;
    let metadata = source.metadata()?;
    target.set_permissions(metadata.permissions())?;
    let done = if form == Form::Gzip {
        let mut encoder = GzEncoder::new(&target, flate2::Compression::new(GZIP_LEVEL));
        let done = copy(source, &mut encoder, idle)?;
        encoder.finish()?;
        done
    } else {
        let mut encoder = Encoder::new(&target, ZSTD_LEVEL)?;
        encoder.include_checksum(true)?;
        encoder.set_pledged_src_size(Some(metadata.len()))?;
        let done = copy(source, &mut encoder, idle)?;
        if done {
            encoder.finish()?;
        }
        done
    };
    if done {
        // By this it is known how old the segment is.
        target.set_times(FileTimes::new().set_modified(metadata.modified()?))?;
        target.sync_all()?;
    }
    Ok(done)
}

fn copy(mut source: &File, target: &mut dyn Write, idle: &mut dyn FnMut() -> bool) -> io::Result<bool> {
    let mut block = vec![0; BLOCK];
    loop {
        if !idle() {
            return Ok(false);
        }
        match source.read(&mut block) {
            Ok(0) => return Ok(true),
            Ok(read) => target.write_all(&block[..read])?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Deletes a closed segment in all its forms. `numbering`: it is the newest, from which the next writer knows its
/// number; then an empty file stays.
///
/// # Errors
/// The system's.
pub fn remove(dir: &Path, name: &str, number: u64, numbering: bool) -> io::Result<()> {
    let plain = closed_path(dir, name, number);
    gone(&plain)?;
    gone(&index_path(dir, name, number))?;
    if numbering {
        OpenOptions::new().write(true).create_new(true).open(&plain)?;
    }
    for form in [Form::Zstd, Form::Gzip] {
        gone(&form_path(dir, name, number, form))?;
    }
    Ok(())
}

pub(crate) fn gone(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// The new name is on the disk before the old one is deleted. Where a directory cannot be opened (Windows), the file
/// system's own journal keeps that order.
fn sync(dir: &Path) {
    if let Ok(dir) = File::open(dir) {
        let _ = dir.sync_all();
    }
}
