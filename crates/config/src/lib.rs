//! Mainstay's configuration: text in, a validated [`Plan`] or [`Diagnostics`] out.
//!
//! The way of a file, each step in a module of its own:
//!
//! ```text
//! bytes ── source ──► text ── syntax ──► tree of values with places ── elements ──► drafts ── graph ──► Plan
//!                                              (one file each per part of the file)
//! ```
//!
//! Nothing on this way stops at the first mistake: each reports what it finds to the `context` and goes on with a
//! default, so that a person sees all problems at once. One table of keys beside each element says which keys there
//! are; the parser's hints, the JSON [`schema`] and the [`reference`](reference_text) come from it.
//!
//! [`parse`] is pure: the environment and the files named in the text come in through [`Surroundings`].
//! Only [`load`] touches a file system.
#![forbid(unsafe_code)]

mod context;
mod diagnostic;
mod elements;
mod expand;
mod graph;
mod keys;
mod load;
mod nearest;
mod reader;
mod reference;
mod render;
mod schema;
mod source;
mod syntax;
mod value;

use std::io;
use std::path::{Path, PathBuf};

pub use diagnostic::{Diagnostic, Diagnostics, Place, Related, Severity};
pub use elements::duration::parse_duration;
pub use elements::size::parse_size;
pub use load::{MAX_FILE, load, read_bounded};
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
    /// The configuration file's directory, absolute. Relative paths in the file start here.
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
}

/// Reads a configuration from its text.
///
/// `source_name` is what messages call it. `text` is bytes rather than a `str`, since what an editor saved may not be
/// UTF-8; the place of the first wrong byte is told.
pub fn parse(source_name: &str, text: impl AsRef<[u8]>, around: &Surroundings<'_>) -> Loaded {
    let mut cx = context::Context::new(around);
    let mut text = text.as_ref();
    if text.len() as u64 > MAX_FILE {
        text = b"";
        cx.add_source(source_name, text, source::Shown::Lines);
        let top = source::Span { source: 0, start: 0, end: 0 };
        cx.error(top, format!("the file is larger than {} MiB", MAX_FILE / (1024 * 1024)))
            .hint("is it a configuration file at all?");
        let (diagnostics, files) = cx.finish();
        return Loaded { plan: None, diagnostics, files };
    }
    let plan = match cx.add_source(source_name, text, source::Shown::Lines) {
        Some(source) => {
            let root = syntax::read(&mut cx, source);
            elements::stack::read(&mut cx, &root)
        }
        None => None,
    };
    let (diagnostics, files) = cx.finish();
    Loaded { plan: plan.filter(|_| !diagnostics.has_errors()), diagnostics, files }
}
