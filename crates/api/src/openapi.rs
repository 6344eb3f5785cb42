//! The OpenAPI document, made from the table of endpoints and from the types that go over the wire.
//!
//! Version 3.0 of OpenAPI: that is what the generators of clients understand.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::endpoints::{self, Access, Answer, Endpoint, Method, is_there};
use crate::types::{Action, Problem};

/// The OpenAPI document of the API, as `schemas/openapi.json` has it.
pub fn document() -> Map<String, Value> {
    let mut builder = Builder { generator: SchemaSettings::openapi3().into_generator(), paths: Map::new() };
    endpoints::describe(&mut builder);
    builder.finish()
}

/// A document in the making.
pub(crate) struct Builder {
    generator: SchemaGenerator,
    paths: Map<String, Value>,
}

impl Builder {
    /// Adds a request.
    pub fn add<E: Endpoint>(&mut self) {
        let mut parameters = self.of_path(E::PATH);
        parameters.extend(self.of_query::<E::Query>());
        let mut operation = json!({
            "operationId": E::NAME,
            "summary": E::WHAT.trim(),
            "parameters": parameters,
            "responses": {
                "200": { "description": "Done, or taken", "content": E::Answer::content(&mut self.generator) },
                "4XX": { "$ref": "#/components/responses/Problem" },
                "5XX": { "$ref": "#/components/responses/Problem" },
            },
        });
        if is_there::<E::Body>() {
            let schema = self.generator.subschema_for::<E::Body>();
            let content = json!({ "application/json": { "schema": schema } });
            operation["requestBody"] = json!({ "required": true, "content": content });
        }
        if let Some(note) = match E::ACCESS {
            Access::Owner => None,
            Access::Entry => Some("Also for the accounts of the stack's entries in services.msc."),
            Access::OwnEntry => Some(
                "Also for the account of an entry in services.msc: `start`, `stop`, `pause` and `continue` of its own \
                 service.",
            ),
        } {
            operation["description"] = json!(note);
        }
        let method = match E::METHOD {
            Method::Get => "get",
            Method::Post => "post",
        };
        let path = self.paths.entry(E::PATH).or_insert_with(|| json!({}));
        path[method] = operation;
    }

    /// `{name}` and the like.
    fn of_path(&mut self, path: &str) -> Vec<Value> {
        let names = path.split('/').filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
        let parameter = |name: &str| {
            let schema = match name {
                "action" => self.generator.subschema_for::<Action>().to_value(),
                "name" => self.generator.subschema_for::<mainstay_core::ServiceName>().to_value(),
                _ => json!({ "type": "string" }),
            };
            json!({ "name": name, "in": "path", "required": true, "schema": schema })
        };
        names.map(parameter).collect()
    }

    /// A parameter for each field.
    fn of_query<T: JsonSchema + 'static>(&mut self) -> Vec<Value> {
        if !is_there::<T>() {
            return Vec::new();
        }
        let schema = T::json_schema(&mut self.generator);
        let required = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        let fields = schema.get("properties").and_then(Value::as_object).cloned().unwrap_or_default();
        let parameter = |(name, mut field): (String, Value)| {
            let about = field.as_object_mut().and_then(|field| field.remove("description"));
            // What is left out of a query is not null.
            if let Some(kinds) = field.get_mut("type").and_then(Value::as_array_mut) {
                kinds.retain(|kind| kind != "null");
                field["type"] = kinds.first().cloned().unwrap_or(Value::Null);
            }
            if field.get("default").is_some_and(Value::is_null) {
                field.as_object_mut().map(|field| field.remove("default"));
            }
            let required = required.iter().any(|one| one == name.as_str());
            json!({ "name": name, "in": "query", "required": required, "description": about, "schema": field })
        };
        fields.into_iter().map(parameter).collect()
    }

    fn finish(mut self) -> Map<String, Value> {
        let problem = <Problem as Answer>::content(&mut self.generator);
        let schemas = self.generator.take_definitions(true);
        let mut document = json!({
            "openapi": "3.0.3",
            "info": {
                "title": "Mainstay's local API",
                "description": "HTTP/1.1 over the Unix socket or the named pipe of a stack, for its owner. \
                                Within v1 fields are only added.",
                "version": "1",
                "license": { "name": "MIT OR Apache-2.0" },
            },
            "servers": [{ "url": "http://mainstay" }],
            "paths": self.paths,
            "components": {
                "schemas": schemas,
                "responses": {
                    "Problem": { "description": "Nothing was done", "content": problem },
                },
            },
        });
        plain(&mut document);
        nullable(&mut document);
        match document {
            Value::Object(document) => document,
            _ => Map::new(),
        }
    }
}

/// Takes the marks of Rust's documentation out of the descriptions: [`Type`](path) is `Type`.
fn plain(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (key, value) in map.iter_mut() {
                match value {
                    Value::String(text) if key == "description" => *text = without_links(text),
                    other => plain(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(plain),
        _ => {}
    }
}

/// Writes "one of these, or null" the way generators know it.
fn nullable(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.values_mut().for_each(nullable);
            let null = json!({ "enum": [null], "nullable": true });
            let Some(Value::Array(choices)) = map.get_mut("anyOf") else { return };
            if choices.len() == 2 && choices[1] == null {
                choices.truncate(1);
                let only = map.remove("anyOf");
                map.insert("allOf".to_owned(), only.unwrap_or_default());
                map.insert("nullable".to_owned(), Value::Bool(true));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(nullable),
        _ => {}
    }
}

fn without_links(text: &str) -> String {
    let mut rest = text;
    let mut out = String::with_capacity(text.len());
    while let Some((before, after)) = rest.split_once("[`") {
        out.push_str(before);
        let Some((name, end)) = after.split_once("`]") else {
            out.push_str("[`");
            rest = after;
            continue;
        };
        out.push_str(&format!("`{name}`"));
        let target = end.strip_prefix('(').and_then(|target| target.split_once(')'));
        rest = target.map_or(end, |(_, rest)| rest);
    }
    out.push_str(rest);
    out.replace('\n', " ")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_document_in_the_repository_is_the_present_one() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../schemas/openapi.json");
        let written = std::fs::read_to_string(file).expect("schemas/openapi.json can be read");
        let written: Map<String, Value> = serde_json::from_str(&written).expect("JSON");
        assert!(written == document(), "write it anew: cargo xtask schema");
    }

    #[test]
    fn every_reference_has_its_target() {
        let document = Value::Object(document());
        let mut pending = vec![&document];
        let mut asked = BTreeSet::new();
        while let Some(value) = pending.pop() {
            match value {
                Value::Object(map) => {
                    asked.extend(map.get("$ref").and_then(Value::as_str));
                    pending.extend(map.values());
                }
                Value::Array(items) => pending.extend(items),
                _ => {}
            }
        }
        assert!(asked.len() > 20, "{asked:?}");
        for target in asked {
            let pointer = target.strip_prefix('#').expect("a place in the document");
            assert!(document.pointer(pointer).is_some(), "{target}");
        }
    }

    #[test]
    fn what_openapi_does_not_know_is_not_in_it() {
        // Of JSON Schema, but not of OpenAPI 3.0.
        let words = ["patternProperties", "prefixItems", "const", "$defs", "definitions", "propertyNames"];
        let text = Value::Object(document()).to_string();
        for word in words {
            assert!(!text.contains(&format!("\"{word}\":")), "{word}");
        }
        assert!(!text.contains("\"null\""), "null is no type there");
    }

    #[test]
    fn links_of_the_documentation_are_words() {
        assert_eq!(without_links("a [`B`] and [`C`](d::C), [x](y)"), "a `B` and `C`, [x](y)");
        assert_eq!(without_links("an [`open"), "an [`open");
    }
}
