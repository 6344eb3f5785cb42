//! The list of all keys for the documentation. Made from the table of keys.

use std::fmt::Write as _;

use crate::elements::stack::STACK;
use crate::keys::{Form, Section, walk};

/// Every key with its type, default and an example, as Markdown.
pub fn reference_text() -> String {
    let mut out = String::new();
    let mut done: Vec<&str> = Vec::new();
    let all = walk(&STACK);
    for (_, section) in &all {
        if done.contains(&section.id) {
            continue;
        }
        done.push(section.id);
        let places: Vec<&str> =
            all.iter().filter(|(_, other)| other.id == section.id).map(|(path, _)| path.as_str()).collect();
        table(&mut out, section, &places);
    }
    out
}

fn table(out: &mut String, section: &Section, places: &[&str]) {
    let heading = match places {
        [""] => "Top of the file".to_owned(),
        places => places.iter().map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", "),
    };
    let _ = writeln!(out, "### {heading}\n\n{}\n", section.about);
    for key in section.keys {
        let _ = write!(out, "- **`{}`**: {}", key.name, describe(&key.form));
        match (key.required, key.default) {
            (true, _) => out.push_str(", required"),
            (false, Some(default)) => {
                let _ = write!(out, ", default {default}");
            }
            (false, None) => {}
        }
        let _ = write!(out, ". {}", key.about);
        if key.no_effect {
            out.push_str(" **No effect in this version** (a warning says so).");
        }
        let _ = writeln!(out, " Example: `{} = {}`", key.name, key.example);
    }
    out.push('\n');
}

/// What a value looks like, in a few words.
fn describe(form: &Form) -> String {
    match form {
        Form::Text => "text".to_owned(),
        Form::Name => "name".to_owned(),
        Form::Choice(names) => {
            names.iter().map(|name| format!("`\"{name}\"`")).collect::<Vec<_>>().join(" or ")
        }
        Form::Signal => "signal by name or number".to_owned(),
        Form::Duration => "time".to_owned(),
        Form::Size => "size".to_owned(),
        Form::Count(least, u32::MAX) => format!("number, at least {least}"),
        Form::Count(least, most) => format!("number from {least} to {most}"),
        Form::Number(least, most) => format!("number from {least} to {most}"),
        Form::True => "`true`".to_owned(),
        Form::Processors => "number, or a percentage in quotes".to_owned(),
        Form::Truth => "`true` or `false`".to_owned(),
        Form::Command => "list of strings, or a string".to_owned(),
        Form::Url => "http address".to_owned(),
        Form::Address => "`host:port`".to_owned(),
        Form::Regex => "regular expression".to_owned(),
        Form::Path => "path".to_owned(),
        Form::Free => "anything".to_owned(),
        Form::Scalar => "string, number or truth value".to_owned(),
        Form::List(item) => format!("list of {}", plural(item)),
        Form::Map(_, value) => format!("table of {}", plural(value)),
        Form::Section(_) => "table, see below".to_owned(),
        Form::Like(section) => format!("table with the keys of {}", section.title),
        Form::Any(forms) => forms.iter().map(describe).collect::<Vec<_>>().join("; or "),
    }
}

fn plural(form: &Form) -> String {
    match form {
        Form::Section(_) => "tables, see below".to_owned(),
        Form::Like(section) => format!("tables with the keys of {}", section.title),
        Form::Path => "paths".to_owned(),
        Form::Name => "names".to_owned(),
        Form::Scalar => "strings, numbers or truth values".to_owned(),
        other => describe(other),
    }
}
