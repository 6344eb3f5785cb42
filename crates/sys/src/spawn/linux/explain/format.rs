//! What a file is that would not start.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::spawn::SpawnErrorKind as Kind;

/// The kernel reads as much of a script's first line.
const HEAD: usize = 256;

/// The file is there, and something that it needs is not.
pub(super) fn missing_interpreter(path: &Path) -> (Kind, String) {
    let shown = path.display();
    if path.metadata().is_err() {
        let target = std::fs::read_link(path).unwrap_or_default();
        return (Kind::NotFound, format!("{shown} is a link to {}, which does not exist", target.display()));
    }
    let Some(interpreter) = interpreter_of(path) else {
        return (
            Kind::NotFound,
            format!("{shown} cannot be executed: something that it needs does not exist"),
        );
    };
    if interpreter.as_os_str().as_bytes().ends_with(b"\r") {
        let text = format!(
            "{shown} has no usable interpreter: its first line ends with a carriage return; save it with Unix line ends"
        );
        return (Kind::NoInterpreter, text);
    }
    let what = if head(path).is_some_and(|head| head.starts_with(b"#!")) { "script" } else { "program" };
    let needs = if what == "script" { "interpreter" } else { "loader" };
    let text = format!("{what} {shown} has no {needs}: {} does not exist", interpreter.display());
    (Kind::NoInterpreter, text)
}

/// The kernel does not know what to do with the file.
pub(super) fn wrong_format(path: &Path) -> (Kind, String) {
    let shown = path.display();
    let head = head(path).unwrap_or_default();
    let text = match head.as_slice() {
        [] => format!("wrong format: {shown} is empty"),
        [0x7f, b'E', b'L', b'F', ..] => match foreign_machine(&head) {
            Some(machine) => format!("wrong format: {shown} was built for another system ({machine})"),
            None => format!("wrong format: {shown} is a damaged program"),
        },
        [b'M', b'Z', ..] => format!("wrong format: {shown} is a Windows program"),
        head if looks_like_text(head) => format!(
            "wrong format: {shown} is text without a first line like #!/bin/sh; add one, or give its interpreter as \
             the program"
        ),
        _ => format!("wrong format: {shown} is not a program for this system"),
    };
    (Kind::WrongFormat, text)
}

/// Of a script the program in its first line, of a program its loader.
pub(super) fn interpreter_of(path: &Path) -> Option<PathBuf> {
    let head = head(path)?;
    if let Some(line) = head.strip_prefix(b"#!") {
        let line = line.split(|&byte| byte == b'\n').next()?;
        let line = line.trim_ascii_start();
        let end = line.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(line.len());
        let name = &line[..end];
        return (!name.is_empty()).then(|| PathBuf::from(OsStr::from_bytes(name)));
    }
    elf_loader(path, &head)
}

fn head(path: &Path) -> Option<Vec<u8>> {
    let mut head = Vec::with_capacity(HEAD);
    // A pipe of that name must not hold us up.
    if !path.metadata().ok()?.is_file() {
        return None;
    }
    File::open(path).ok()?.take(HEAD as u64).read_to_end(&mut head).ok()?;
    Some(head)
}

fn looks_like_text(head: &[u8]) -> bool {
    head.iter().all(|&byte| byte >= b' ' || matches!(byte, b'\n' | b'\r' | b'\t'))
}

/// The name of the machine that an ELF file is for, if it is not this one.
fn foreign_machine(head: &[u8]) -> Option<String> {
    const OWN: u16 = if cfg!(target_arch = "aarch64") { 183 } else { 62 };
    let machine = u16::from_le_bytes([*head.get(18)?, *head.get(19)?]);
    if machine == OWN {
        return None;
    }
    let name = match machine {
        3 => "x86, 32 bit",
        40 => "ARM, 32 bit",
        62 => "x86_64",
        183 => "aarch64",
        243 => "RISC-V",
        other => return Some(format!("ELF machine {other}")),
    };
    Some(name.to_owned())
}

/// The `PT_INTERP` of a 64-bit little-endian ELF file.
fn elf_loader(path: &Path, head: &[u8]) -> Option<PathBuf> {
    const PT_INTERP: u64 = 3;
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let number = |bytes: &[u8], at: usize, length: usize| -> Option<u64> {
        let mut value = [0_u8; 8];
        value[..length].copy_from_slice(bytes.get(at..at + length)?);
        Some(u64::from_le_bytes(value))
    };
    let file = File::open(path).ok()?;
    let table = number(head, 32, 8)?;
    let size = number(head, 54, 2)?;
    let count = number(head, 56, 2)?.min(128);
    for place in 0..count {
        let mut entry = [0_u8; 56];
        file.read_exact_at(&mut entry, table.checked_add(place.checked_mul(size)?)?).ok()?;
        if number(&entry, 0, 4)? == PT_INTERP {
            let length = usize::try_from(number(&entry, 32, 8)?).ok()?.min(4096);
            let mut name = vec![0; length];
            file.read_exact_at(&mut name, number(&entry, 8, 8)?).ok()?;
            name.truncate(name.iter().position(|&byte| byte == 0).unwrap_or(length));
            return Some(PathBuf::from(OsStr::from_bytes(&name)));
        }
    }
    None
}
