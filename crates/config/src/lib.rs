//! Mainstay's configuration: text in, a validated [`Plan`] or [`Diagnostics`] out.
//!
//! The way of a file, each step in a module of its own:
//!
//! ```text
//! bytes ── source ──► text ── syntax ──► tree ─┐
//! bytes ── source ──► text ── syntax ──► tree ─┴ layers ──► one tree ── templates ── elements ──► drafts ── profiles, graph ──► Plan
//!                     (TOML, YAML, JSON)                            (a file per part)
//! ```
//!
//! Nothing on this way stops at the first mistake: each reports what it finds to the `context` and goes on with a
//! default, so that a person sees all problems at once. One table of keys beside each element says which keys there
//! are; the parser's hints, the JSON [`schema`] and the [`reference`](reference_text) come from it.
//!
//! [`parse_all`] is pure: the environment and the files named in the text come in through [`Surroundings`].
//! Only [`load_all`] touches a file system.
#![forbid(unsafe_code)]

mod context;
mod diagnostic;
mod effective;
mod elements;
mod expand;
mod graph;
mod keys;
mod layers;
mod load;
mod nearest;
mod profiles;
mod reader;
mod reference;
mod render;
mod rendering;
mod schema;
mod source;
mod syntax;
mod templates;
mod value;

use std::io;
use std::path::{Path, PathBuf};

pub use diagnostic::{Diagnostic, Diagnostics, Place, Related, Severity};
pub use effective::{Effective, EffectiveValue};
pub use elements::duration::parse_duration;
pub use elements::size::parse_size;
pub use load::{MAX_FILE, Request, file_in, load, load_all, read_bounded};
pub use mainstay_core::Plan;
pub use reference::reference_text;
pub use render::Layout;
pub use schema::{schema, schema_text};

/// The system that a plan is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum System {
    /// Linux, and what is like it.
    Linux,
    /// Windows: names of variables without regard to case, exit codes of 32 bits, no signals.
    Windows,
}

impl System {
    /// The one that this program was built for.
    pub fn current() -> System {
        if std::env::consts::OS == "windows" { System::Windows } else { System::Linux }
    }
}

/// What a configuration may ask of the world around it.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The value of an environment variable.
    pub env: &'a dyn Fn(&str) -> Option<String>,
    /// The first configuration file's directory, absolute: where services work unless they say otherwise.
    pub base_dir: &'a Path,
    /// The content of a file that the configuration names (an `env_file`).
    pub read_file: &'a dyn Fn(&Path) -> io::Result<Vec<u8>>,
    /// What the plan is for.
    pub system: System,
}

/// What came of a configuration.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The plan, unless there is an error.
    pub plan: Option<Plan>,
    /// Errors and warnings, in the order of their places.
    pub diagnostics: Diagnostics,
    /// Every file that was read or looked for: the configuration file first (by [`load`]), then the files it names.
    pub files: Vec<PathBuf>,
    /// Every value with its origin, if it was asked for and there is a plan.
    pub effective: Option<Effective>,
}

/// The text of one file of a configuration.
#[derive(Clone, Copy, Debug)]
pub struct FileText<'a> {
    /// What messages call it. Its ending says how it is written: `.yaml`, `.yml` and `.json`; anything else is TOML.
    pub name: &'a str,
    /// Its directory, absolute: where relative paths in it start.
    pub base_dir: &'a Path,
    /// Bytes rather than a `str`, since what an editor saved may not be UTF-8; the place of the first wrong byte is
    /// told.
    pub bytes: &'a [u8],
    /// Whether it goes over other files in one environment.
    pub overlay: bool,
}

/// What is asked besides what the files say.
#[derive(Clone, Debug, Default)]
pub struct Asked {
    /// Variables of the environment whose names begin with `MAINSTAY__`, and their values. They go over the files.
    pub settings: Vec<(String, String)>,
    /// `service.api.start=manual` and the like, from the command line. They go over all else, a later one over an
    /// earlier one.
    pub sets: Vec<String>,
    /// The profiles that are asked for: services with profiles belong to the plan only if one of theirs is among them.
    pub profiles: Vec<String>,
    /// Whether [`Loaded::effective`] is wanted.
    pub effective: bool,
}

/// A setting in the form of `--set`, `KEY=VALUE`, as a TOML file has it: the parts of the key, behind those of `below`, and
/// the value in TOML. Whether the key is known shows when the file is read.
///
/// # Errors
/// It has no key, or half a list for a value.
pub fn setting(text: &str, below: &[&str]) -> Result<(Vec<String>, String), String> {
    layers::setting(text, below)
}

/// Whether a configuration has a key of this name at its top.
pub fn is_top_key(name: &str) -> bool {
    layers::is_top_key(name)
}

/// Reads a configuration of one file from its text.
///
/// `source_name` is what messages call it; its ending says how it is written.
pub fn parse(source_name: &str, text: impl AsRef<[u8]>, around: &Surroundings<'_>) -> Loaded {
    let file =
        FileText { name: source_name, base_dir: around.base_dir, bytes: text.as_ref(), overlay: false };
    parse_all(&[file], &Asked::default(), around)
}

/// Reads a configuration of several files: each goes over the ones before it.
pub fn parse_all(files: &[FileText<'_>], asked: &Asked, around: &Surroundings<'_>) -> Loaded {
    let mut cx = context::Context::new(around);
    if asked.effective {
        cx.remember();
    }
    let read =
        layers::read(&mut cx, files, asked).and_then(|root| elements::stack::read(&mut cx, &root, asked));
    let (diagnostics, files) = cx.finish();
    let (plan, effective) = read.filter(|_| !diagnostics.has_errors()).unzip();
    let effective = effective.filter(|_| asked.effective);
    Loaded { plan, diagnostics, files, effective }
}
