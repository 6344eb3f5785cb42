//! `mainstay set`

use std::path::Path;

use mainstay_config::{EffectiveValue, setting};
use toml_edit::DocumentMut;

use crate::args::Select;
use crate::edit_toml;
use crate::failure::{Failure, Outcome};
use crate::names;
use crate::output::Output;
use crate::own_file::{How, OwnFile, below, service};

/// Change settings in the configuration of a stack
///
/// Comments and order of the file stay. A change that the configuration does not allow is refused, and nothing is
/// written. `set api limits.memory=1GB` is for the service api; for a stack of several services keys begin with
/// the service, as in `set shop api.limits.memory=1GB`, or are those of the file.
#[derive(Debug, clap::Args)]
pub struct Set {
    #[command(flatten)]
    how: How,

    /// Take a setting out of the file
    #[arg(long = "unset", value_name = "KEY")]
    unset: Vec<String>,

    /// The service, or the stack
    #[arg(value_name = "SERVICE")]
    name: String,

    /// The settings, as for --set of `mainstay up`
    #[arg(value_name = "KEY=VALUE", required_unless_present = "unset")]
    settings: Vec<String>,
}

/// Does it.
///
/// # Errors
/// The settings are wrong, or the file is none that can be changed so.
pub fn run(args: &Set, output: &mut Output) -> Outcome {
    let meant = names::meant_in_one(&Select::default(), std::slice::from_ref(&args.name))?;
    let own = OwnFile::of(&meant.place)?;
    let file = own.file(&args.how)?;
    let ending = file.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    if ending.as_deref().is_some_and(|ending| ["yaml", "yml", "json"].contains(&ending)) {
        return Err(Failure::usage(format!("{} is no TOML, and set changes TOML only", file.display()))
            .hint(format!("`mainstay edit {}` opens it in your editor", args.name)));
    }
    let loaded = own.load()?;
    let service = service(&meant, &loaded)?;
    let wrong = |text: String| Failure::usage(format!("{}: {text}", file.display()));
    let mut document: DocumentMut = own.read(&file)?.parse().map_err(|e| wrong(format!("{e}")))?;
    let mut set = Vec::new();
    for text in &args.settings {
        let below = below(service.as_deref(), text, &loaded.plan);
        let (keys, value) = setting(text, &below)
            .map_err(|error| Failure::usage(error).hint("write it like limits.memory=1GB"))?;
        edit_toml::set(&mut document, &keys, &value).map_err(wrong)?;
        set.push(keys);
    }
    for text in &args.unset {
        let below = below(service.as_deref(), text, &loaded.plan);
        let mut keys: Vec<String> = below.into_iter().map(str::to_owned).collect();
        keys.extend(edit_toml::keys(text).ok_or_else(|| Failure::usage(format!("`{text}` is no key")))?);
        edit_toml::unset(&mut document, &keys).map_err(wrong)?;
    }
    let change = own.try_text(&file, document.to_string())?;
    if let Some(change) = &change {
        for keys in &set {
            if let Some(over) = set_over(keys, &change.loaded.effective.values, &file) {
                output.warning(&format!(
                    "{} has no effect: {} says {}",
                    keys.join("."),
                    over.origin,
                    over.value
                ));
            }
        }
    }
    own.make("set", change, &args.how, output)
}

/// The value that counts, if it is not the one of this file.
fn set_over<'v>(keys: &[String], values: &'v [EffectiveValue], file: &Path) -> Option<&'v EffectiveValue> {
    let (service, key) = match keys {
        [table, service, rest @ ..] if table == "service" => (Some(service.as_str()), rest.join(".")),
        all => (None, all.join(".")),
    };
    let value = values.iter().find(|value| value.service.as_deref() == service && value.key == key)?;
    let own = format!("{}:", file.display());
    (!value.origin.contains(&own) && value.origin != "default").then_some(value)
}
