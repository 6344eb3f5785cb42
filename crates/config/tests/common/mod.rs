//! A small world for configurations: an environment, a directory and files that exist only here.

#![allow(dead_code, reason = "each test file uses some of it")]

use std::io;
use std::path::{Path, PathBuf};

use mainstay_config::{Asked, FileText, Loaded, Surroundings, System, parse_all};

/// The directory that the configuration is said to be in.
pub fn base_dir() -> &'static Path {
    Path::new(if std::env::consts::OS == "windows" { r"C:\srv\shop" } else { "/srv/shop" })
}

/// The world around a configuration.
#[derive(Clone, Copy)]
pub struct World<'a> {
    /// What the file is called.
    pub name: &'a str,
    /// Variables of the environment.
    pub env: &'a [(&'a str, &'a str)],
    /// Files below the directory.
    pub files: &'a [(&'a str, &'a str)],
    /// What the plan is for.
    pub system: System,
}

impl<'a> World<'a> {
    /// A world with these variables and files, for Linux.
    pub fn new(env: &'a [(&'a str, &'a str)], files: &'a [(&'a str, &'a str)]) -> World<'a> {
        World { name: "mainstay.toml", env, files, system: System::Linux }
    }

    /// Reads one text.
    pub fn parse(&self, text: impl AsRef<[u8]>) -> Loaded {
        self.parse_all(&[(self.name, text.as_ref())], &Asked::default())
    }

    /// Reads several texts, each over the ones before it. A name may begin with a directory; one with `.prod.` is an
    /// overlay.
    pub fn parse_all(&self, texts: &[(&str, &[u8])], asked: &Asked) -> Loaded {
        let env = |name: &str| {
            self.env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        let read_file = |path: &Path| {
            self.files
                .iter()
                .find(|(name, _)| base_dir().join(name) == path)
                .map(|(_, text)| text.as_bytes().to_vec())
                .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such file"))
        };
        let dirs: Vec<PathBuf> = texts
            .iter()
            .map(|(name, _)| base_dir().join(name).parent().unwrap_or(base_dir()).components().collect())
            .collect();
        let files: Vec<FileText<'_>> = texts
            .iter()
            .zip(&dirs)
            .map(|((name, bytes), dir)| FileText {
                name,
                base_dir: dir,
                bytes,
                overlay: name.contains(".prod."),
            })
            .collect();
        let around =
            Surroundings { env: &env, base_dir: base_dir(), read_file: &read_file, system: self.system };
        parse_all(&files, asked, &around)
    }
}

/// A world with these variables and files, for Linux.
pub fn parse_in(text: impl AsRef<[u8]>, env: &[(&str, &str)], files: &[(&str, &str)]) -> Loaded {
    World::new(env, files).parse(text)
}

/// The same, for a system.
pub fn parse_for(
    system: System,
    text: impl AsRef<[u8]>,
    env: &[(&str, &str)],
    files: &[(&str, &str)],
) -> Loaded {
    World { system, ..World::new(env, files) }.parse(text)
}
