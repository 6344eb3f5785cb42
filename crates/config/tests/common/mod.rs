//! A small world for configurations: an environment, a directory and files that exist only here.

use std::io;
use std::path::Path;

use mainstay_config::{Loaded, Surroundings, System, parse};

/// The directory that the configuration is said to be in.
pub fn base_dir() -> &'static Path {
    Path::new(if std::env::consts::OS == "windows" { r"C:\srv\shop" } else { "/srv/shop" })
}

/// A world with these variables and files, for Linux.
pub fn parse_in(text: impl AsRef<[u8]>, env: &[(&str, &str)], files: &[(&str, &str)]) -> Loaded {
    parse_for(System::Linux, text, env, files)
}

/// The same, for a system.
pub fn parse_for(
    system: System,
    text: impl AsRef<[u8]>,
    env: &[(&str, &str)],
    files: &[(&str, &str)],
) -> Loaded {
    let env = |name: &str| env.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let read_file = |path: &Path| {
        files
            .iter()
            .find(|(name, _)| base_dir().join(name) == path)
            .map(|(_, text)| text.as_bytes().to_vec())
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such file"))
    };
    parse(
        "mainstay.toml",
        text,
        &Surroundings { env: &env, base_dir: base_dir(), read_file: &read_file, system },
    )
}
