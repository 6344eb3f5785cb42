//! Libraries that a program needs before its first instruction, and that are nowhere.
//!
//! The file's format decides how they are looked for: as ld.so(8) does for ELF, and as Microsoft's "Dynamic-link library search
//! order" says for PE. What a program loads by itself later cannot be known.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use goblin::elf::Elf;
use goblin::pe::PE;
use mainstay_core::Launch;

/// So many files are read at the most.
const MOST: usize = 500;

/// A larger file is not read.
const LARGEST: u64 = 512 << 20;

/// The names of those that are nowhere. Nothing of a file that cannot be read, or is no program.
pub(super) fn missing(program: &Path, launch: &Launch) -> Vec<String> {
    let mut missing = BTreeSet::new();
    let mut seen: BTreeSet<String> = BTreeSet::new();
    let mut open = VecDeque::from([program.to_owned()]);
    while let Some(file) = open.pop_front().filter(|_| seen.len() < MOST) {
        let Some(needs) = needs(&file, program, launch) else { continue };
        for name in needs.names {
            if !seen.insert(name.to_ascii_lowercase()) {
                continue;
            }
            match needs.places.iter().map(|place| place.join(&name)).find(|path| path.is_file()) {
                Some(path) => open.push_back(path),
                None => drop(missing.insert(name)),
            }
        }
    }
    missing.into_iter().collect()
}

/// What one file needs, and where that is looked for.
struct Needs {
    names: Vec<String>,
    places: Vec<PathBuf>,
}

/// Nothing of what is no program.
fn needs(file: &Path, program: &Path, launch: &Launch) -> Option<Needs> {
    if file.metadata().ok()?.len() > LARGEST {
        return None;
    }
    let bytes = std::fs::read(file).ok()?;
    if bytes.starts_with(b"MZ") {
        of_pe(&PE::parse(&bytes).ok()?, program, launch)
    } else {
        of_elf(&Elf::parse(&bytes).ok()?, file, launch)
    }
}

fn of_elf(elf: &Elf<'_>, file: &Path, launch: &Launch) -> Option<Needs> {
    let origin = file.canonicalize().ok()?.parent()?.to_string_lossy().into_owned();
    let listed = elf.rpaths.iter().chain(&elf.runpaths).flat_map(|paths| paths.split(':'));
    let own = listed.map(|path| path.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin));
    let mut places: Vec<PathBuf> = own.map(PathBuf::from).collect();
    places.extend(variable(launch, "LD_LIBRARY_PATH"));
    places.extend(of_loader(elf.is_64));
    // The loader is a library too, and stands where the program says.
    places.extend(elf.interpreter.and_then(|path| Path::new(path).parent()).map(Path::to_owned));
    Some(Needs { names: elf.libraries.iter().map(|&name| name.to_owned()).collect(), places })
}

fn of_pe(pe: &PE<'_>, program: &Path, launch: &Launch) -> Option<Needs> {
    let names = pe.libraries.iter().map(|&name| name.to_owned()).filter(|name| !is_virtual(name));
    let windows = PathBuf::from(std::env::var_os("SystemRoot")?);
    let mut places: Vec<PathBuf> = program.parent().map(Path::to_owned).into_iter().collect();
    // A program of 32 bits sees its own under the name of the other directory.
    places.push(windows.join(if pe.is_64 { "System32" } else { "SysWOW64" }));
    places.extend([windows.join("System"), windows]);
    places.extend(launch.working_dir.as_ref().map(PathBuf::from));
    places.extend(variable(launch, "PATH"));
    Some(Needs { names: names.collect(), places })
}

/// Sets of functions, which Windows maps to whatever library has them.
fn is_virtual(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.starts_with("api-ms-") || name.starts_with("ext-ms-")
}

fn variable(launch: &Launch, name: &str) -> Vec<PathBuf> {
    let own = launch.environment.get(name).map(Into::into).or_else(|| std::env::var_os(name));
    own.map_or(Vec::new(), |value| std::env::split_paths(&value).filter(|path| path.is_absolute()).collect())
}

/// The loader's own: what /etc/ld.so.conf and the files that it includes say, and what is built into it.
fn of_loader(is_64: bool) -> Vec<PathBuf> {
    let mut places = Vec::new();
    let mut files = vec![PathBuf::from("/etc/ld.so.conf")];
    let included =
        std::fs::read_dir("/etc/ld.so.conf.d").into_iter().flatten().flatten().map(|entry| entry.path());
    files.extend(included.filter(|path| path.extension().is_some_and(|ending| ending == "conf")));
    for file in files {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        places.extend(text.lines().map(str::trim).filter(|line| line.starts_with('/')).map(PathBuf::from));
    }
    let built_in: &[&str] = if is_64 { &["/lib64", "/usr/lib64"] } else { &["/lib32", "/usr/lib32"] };
    places.extend(built_in.iter().chain(&["/lib", "/usr/lib", "/usr/local/lib"]).map(PathBuf::from));
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tests themselves are a program.
    fn own() -> PathBuf {
        std::env::current_exe().expect("a program")
    }

    #[test]
    fn a_program_that_runs_lacks_nothing() {
        assert_eq!(missing(&own(), &Launch::default()), Vec::<String>::new());
    }

    #[test]
    fn what_is_nowhere_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut bytes = std::fs::read(own()).expect("readable");
        // Another name of the same length for one that every program here needs.
        let (old, new): (&[u8], &[u8]) = if bytes.starts_with(b"MZ") {
            (b"KERNEL32.dll\0", b"KERNEL99.dll\0")
        } else {
            (b"libc.so.6\0", b"libc.so.9\0")
        };
        let mut at = 0;
        let same = |one: &[u8]| one.eq_ignore_ascii_case(old);
        while let Some(place) = bytes[at..].windows(old.len()).position(same) {
            at += place;
            bytes[at..at + new.len()].copy_from_slice(new);
        }
        let broken = dir.path().join("broken.exe");
        std::fs::write(&broken, bytes).expect("a file");
        let name = String::from_utf8_lossy(&new[..new.len() - 1]).into_owned();
        assert!(missing(&broken, &Launch::default()).contains(&name));
    }

    #[test]
    fn scripts_and_rubbish_need_nothing() {
        let dir = tempfile::tempdir().expect("a directory");
        for (name, content) in
            [("script", &b"#!/bin/sh\n"[..]), ("empty", b""), ("cut", b"\x7fELF\x02\x01\x01")]
        {
            let path = dir.path().join(name);
            std::fs::write(&path, content).expect("a file");
            assert_eq!(missing(&path, &Launch::default()), Vec::<String>::new(), "{name}");
        }
    }
}
