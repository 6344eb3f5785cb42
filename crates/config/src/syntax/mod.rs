//! Text to a tree of values: TOML, YAML and JSON make the same tree, with the place of every key and value.

mod json;
mod toml;
mod yaml;

pub(crate) use toml::{key, single};

use crate::context::Context;
use crate::value::Node;

/// How a file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    Toml,
    Yaml,
    Json,
}

/// The endings of file names, the preferred one first.
pub(crate) const ENDINGS: &[&str] = &["toml", "yaml", "yml", "json"];

impl Format {
    /// By the ending of a file's name. Any other than YAML's and JSON's means TOML.
    pub fn of(name: &str) -> Format {
        let ending = name.rsplit_once('.').map_or("", |(_, ending)| ending);
        match ending.to_ascii_lowercase().as_str() {
            "yaml" | "yml" => Format::Yaml,
            "json" => Format::Json,
            _ => Format::Toml,
        }
    }
}

/// Reads a source. If its structure is in doubt, all there is to say has been said and the node is broken.
pub(crate) fn read(cx: &mut Context<'_>, source: usize, format: Format) -> Node {
    match format {
        Format::Toml => toml::read(cx, source),
        Format::Yaml => yaml::read(cx, source),
        Format::Json => json::read(cx, source),
    }
}
