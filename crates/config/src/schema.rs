//! The JSON schema of the configuration file, for editors. Made from the table of keys.

use serde_json::{Map, Value, json};

use crate::elements::stack::STACK;
use crate::keys::{Form, Key, MapKey, Section, walk};

/// The schema of `mainstay.toml` (draft 7, which the TOML editors know).
pub fn schema() -> Value {
    let mut definitions = Map::new();
    for (_, section) in walk(&STACK) {
        if section.id != STACK.id {
            definitions.entry(section.id).or_insert_with(|| table(section));
        }
    }
    for (name, value) in common() {
        definitions.insert(name.to_owned(), value);
    }
    let mut root = table(&STACK);
    root["$schema"] = json!("http://json-schema.org/draft-07/schema#");
    root["title"] = json!("mainstay.toml");
    root["description"] = json!("The services of one stack of Mainstay.");
    root["patternProperties"] = json!({ "^x-": {} });
    root["properties"]["$schema"] =
        json!({ "type": "string", "description": "Where this schema is, for editors." });
    root["definitions"] = Value::Object(definitions);
    root
}

/// The schema as the text that is kept in `schemas/mainstay.schema.json`.
pub fn schema_text() -> String {
    format!("{:#}\n", schema())
}

/// A string that `${…}` is replaced in before it is looked at.
const VARIABLE: &str = r"\$\{";

fn common() -> [(&'static str, Value); 7] {
    let units = "(us|µs|microseconds?|ms|msec|milliseconds?|s|secs?|seconds?|m|mins?|minutes?|h|hrs?|hours?|d|days?|w|weeks?)";
    let number = r"[0-9]+(\.[0-9]+)?";
    [
        (
            "duration",
            json!({
                "description": "A time with its unit: \"500ms\", \"5s\", \"1m30s\", \"2h\".",
                "type": "string",
                "pattern": format!(r"^\s*({number}\s*{units}\s*)+$|{VARIABLE}"),
                "examples": ["500ms", "5s", "1m30s", "2h"],
            }),
        ),
        (
            "size",
            json!({
                "description": "A size with its unit: \"100MB\" (1000s), \"64MiB\" (1024s).",
                "type": "string",
                "pattern": format!(r"^\s*{number}\s*([bB]|[bB]ytes?|[kKmMgGtT][iI]?[bB])\s*$|{VARIABLE}"),
                "examples": ["100MB", "1GiB"],
            }),
        ),
        (
            "name",
            json!({
                "type": "string",
                "pattern": format!(r"^[A-Za-z0-9][A-Za-z0-9._-]{{0,63}}$|{VARIABLE}"),
            }),
        ),
        (
            "command",
            json!({
                "description": "The program and its arguments. A string is split at blanks, without a shell.",
                "anyOf": [
                    { "type": "array", "items": { "type": "string" }, "minItems": 1 },
                    { "type": "string", "minLength": 1 },
                ],
            }),
        ),
        (
            "address",
            json!({
                "type": "string",
                "pattern": format!(r"^(\[[0-9A-Fa-f:.]+\]|[^:\s/]+):[0-9]{{1,5}}$|{VARIABLE}"),
            }),
        ),
        (
            "url",
            json!({ "type": "string", "pattern": format!(r"^([hH][tT][tT][pP][sS]?://|unix:/|pipe:\\\\)|{VARIABLE}") }),
        ),
        (
            "signal",
            json!({
                "anyOf": [
                    { "type": "string", "pattern": format!(r"^(SIG|sig)?[A-Za-z0-9]+$|{VARIABLE}") },
                    { "type": "integer", "minimum": 1, "maximum": 64 },
                ],
            }),
        ),
    ]
}

fn table(section: &Section) -> Value {
    let mut properties = Map::new();
    for key in section.keys {
        properties.insert(key.name.to_owned(), property(key));
    }
    let mut table = json!({
        "type": "object",
        "description": plain(section.about),
        "properties": properties,
        "additionalProperties": false,
    });
    let required: Vec<&str> = section.keys.iter().filter(|key| key.required).map(|key| key.name).collect();
    if !required.is_empty() {
        table["required"] = json!(required);
    }
    if !section.one_of.is_empty() {
        let each: Vec<Value> = section.one_of.iter().map(|name| json!({ "required": [name] })).collect();
        table["oneOf"] = json!(each);
    }
    table
}

fn property(key: &Key) -> Value {
    let mut about = plain(key.about);
    if key.no_effect {
        about.push_str(" No effect in this version.");
    }
    if let Some(default) = key.default {
        about.push_str(&format!(" Default: {}.", plain(default)));
    }
    // Beside a `$ref`, draft 7 ignores all other keywords.
    let mut property = match form(&key.form) {
        reference if reference.get("$ref").is_some() => json!({ "allOf": [reference] }),
        other => other,
    };
    property["description"] = json!(about);
    property
}

fn form(form: &Form) -> Value {
    let reference = |name: &str| json!({ "$ref": format!("#/definitions/{name}") });
    match form {
        Form::Text | Form::Regex | Form::Path => json!({ "type": "string" }),
        Form::Name => reference("name"),
        Form::Choice(names) => {
            json!({ "anyOf": [{ "enum": names }, { "type": "string", "pattern": VARIABLE }] })
        }
        Form::Signal => reference("signal"),
        Form::Duration => reference("duration"),
        Form::Size => reference("size"),
        Form::Count(least, most) => {
            let mut number = json!({ "type": "integer", "minimum": least });
            if *most != u32::MAX {
                number["maximum"] = json!(most);
            }
            number
        }
        Form::Number(least, most) => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Form::True => json!({ "const": true }),
        Form::Processors => json!({
            "anyOf": [
                { "type": "number", "exclusiveMinimum": 0 },
                { "type": "string", "pattern": format!(r"^\s*[0-9]+(\.[0-9]+)?\s*%?\s*$|{VARIABLE}") },
            ],
        }),
        Form::Truth => json!({ "type": "boolean" }),
        Form::Command => reference("command"),
        Form::Url => reference("url"),
        Form::Address => reference("address"),
        Form::Free => json!({}),
        Form::Scalar => json!({ "type": ["string", "integer", "boolean"] }),
        Form::List(item) => json!({ "type": "array", "items": self::form(item) }),
        Form::Map(keys, value) => {
            let names = match keys {
                MapKey::Name => r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$",
                MapKey::Secret => r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$",
                MapKey::Variable => r#"^[^\s="'`#$]+$"#,
                MapKey::ExitCode => r"^(-?[0-9]+|-?0[xX][0-9A-Fa-f]+)$",
                MapKey::Control => r"^(12[89]|1[3-9][0-9]|2[0-4][0-9]|25[0-5])$",
                MapKey::Header => r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$",
            };
            json!({
                "type": "object",
                "propertyNames": { "pattern": names },
                "additionalProperties": self::form(value),
            })
        }
        Form::Section(section) | Form::Like(section) => reference(section.id),
        Form::Any(forms) => json!({ "anyOf": forms.iter().map(self::form).collect::<Vec<_>>() }),
    }
}

/// Markdown without its marks.
fn plain(text: &str) -> String {
    text.replace('`', "")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every `$ref` points at a definition, and none is left over.
    #[test]
    fn references_hold() {
        let schema = schema();
        let mut asked = std::collections::BTreeSet::new();
        let mut pending = vec![&schema];
        while let Some(value) = pending.pop() {
            match value {
                Value::Object(map) => {
                    if let Some(Value::String(target)) = map.get("$ref") {
                        asked.insert(target.trim_start_matches("#/definitions/").to_owned());
                    }
                    pending.extend(map.values());
                }
                Value::Array(items) => pending.extend(items),
                _ => {}
            }
        }
        let defined: std::collections::BTreeSet<String> =
            schema["definitions"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(asked, defined);
    }
}
