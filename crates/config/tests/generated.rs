//! What is made from the table of keys: the checked-in schema, the reference in the documentation, the examples.
//!
//! `MAINSTAY_BLESS=1 cargo test -p mainstay-config` writes the files anew.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod common;

use std::path::{Path, PathBuf};

use common::{World, parse_for, parse_in};
use mainstay_config::{Asked, System, reference_text, schema, schema_text};

fn file(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn compare(path: &str, wanted: &str, is: &str) {
    if is.replace("\r\n", "\n") == wanted {
        return;
    }
    if std::env::var_os("MAINSTAY_BLESS").is_some() {
        std::fs::create_dir_all(file(path).parent().unwrap()).unwrap();
        std::fs::write(file(path), wanted).unwrap();
        return;
    }
    panic!("{path} is out of date: run MAINSTAY_BLESS=1 cargo test -p mainstay-config --test generated");
}

#[test]
fn the_schema_is_the_one_that_is_checked_in() {
    let path = "schemas/mainstay.schema.json";
    compare(path, &schema_text(), &std::fs::read_to_string(file(path)).unwrap_or_default());
}

#[test]
fn the_documentation_has_every_key() {
    let path = "docs/configuration.md";
    let is = std::fs::read_to_string(file(path)).unwrap().replace("\r\n", "\n");
    let (begin, end) = ("<!-- keys: made by a test of the config crate -->\n", "<!-- end of keys -->");
    let (before, rest) = is.split_once(begin).unwrap();
    let (_, after) = rest.split_once(end).unwrap();
    compare(path, &format!("{before}{begin}\n{}{end}{after}", reference_text()), &is);
}

/// Every TOML block of the documentation is accepted as it stands.
#[test]
fn the_documentations_examples_are_accepted() {
    let text = std::fs::read_to_string(file("docs/configuration.md")).unwrap();
    let blocks: Vec<&str> =
        text.split("```toml\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
    assert!(blocks.len() > 3);
    for block in blocks {
        let whole = if block.contains("[service.") {
            block.to_owned()
        } else {
            format!("[service.NAME]\ncommand = [\"x\"]\n{block}")
        };
        let env = [("HOME", "/home/ann"), ("DB_PASSWORD", "x")];
        let loaded = parse_in(&whole, &env, &[("api.env", ""), ("secrets.env", "")]);
        assert!(!loaded.diagnostics.has_errors(), "{whole}\n{}", loaded.diagnostics);
    }
}

/// So is every block of YAML.
#[test]
fn the_documentations_examples_of_yaml_are_accepted() {
    let text = std::fs::read_to_string(file("docs/configuration.md")).unwrap().replace("\r\n", "\n");
    let blocks: Vec<&str> =
        text.split("```yaml\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect();
    assert!(!blocks.is_empty());
    for block in blocks {
        let loaded = World { name: "mainstay.yaml", ..World::new(&[], &[]) }.parse(block);
        assert_eq!(loaded.diagnostics.to_string(), "", "{block}");
    }
}

/// The example of every key in the schema's description, put where it belongs, is accepted.
#[test]
fn the_examples_of_all_keys_are_accepted() {
    let mut tried = 0;
    let mut place = "";
    let reference = reference_text();
    for line in reference.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            place = heading.split(", ").next().unwrap().trim_matches('`');
        }
        let Some(example) = line.strip_prefix("- **").and_then(|line| line.split("Example: `").nth(1)) else {
            continue;
        };
        let example = example.trim_end_matches('`');
        let text = wrap(place, example);
        let loaded = if example.starts_with("unset") {
            // It needs a file below.
            let base: &[u8] = b"service.api = { command = ['x'], environment = { PORT = 1 } }";
            World::new(&[], &[])
                .parse_all(&[("mainstay.toml", base), ("over.toml", text.as_bytes())], &Asked::default())
        } else {
            parse_in(&text, &[], &[("api.env", "")])
        };
        let of_windows = loaded.diagnostics.to_string().contains("is a setting of Windows");
        let loaded =
            if of_windows { parse_for(System::Windows, &text, &[], &[("api.env", "")]) } else { loaded };
        assert!(!loaded.diagnostics.has_errors(), "{text}\n{}", loaded.diagnostics);
        tried += 1;
    }
    assert!(tried > 40, "{tried}");
}

/// A file in which `example` stands in the table `place`.
fn wrap(place: &str, example: &str) -> String {
    let others = "[service.db]\ncommand = [\"db\"]\n";
    let service = |rest: &str| format!("{others}[service.x]\ncommand = [\"x\"]\n{rest}\n");
    match place {
        "Top of the file"
            if ["name", "metrics", "opentelemetry", "reload", "secrets"]
                .iter()
                .any(|key| example.starts_with(key)) =>
        {
            format!("{example}\n{others}")
        }
        "opentelemetry" if !example.starts_with("endpoint") => {
            format!("opentelemetry = {{ endpoint = \"http://127.0.0.1:4318\", {example} }}\n{others}")
        }
        "Top of the file" if example.starts_with("template") => {
            format!("{example}\n[service.x]\nextends = \"base\"\ncommand = [\"x\"]\n")
        }
        "Top of the file" => example.to_owned(),
        "service.NAME" if example.starts_with("extends") => format!("[template.base]\n{}", service(example)),
        "service.NAME" if example.starts_with("profiles") => service(example),
        "service.NAME" if example.starts_with("command") => format!("{others}[service.x]\n{example}\n"),
        "service.NAME" if example.starts_with("password") => service(&format!("user = 'bob'\n{example}")),
        "service.NAME" => service(example),
        "service.NAME.stop.steps" if example.starts_with("signal") => {
            service(&format!("stop.steps = [{{ {example} }}]"))
        }
        "service.NAME.stop.steps" if example.starts_with("method") => {
            service(&format!("stop.steps = [{{ http = \"http://127.0.0.1/\", {example} }}]"))
        }
        "service.NAME.stop.steps" if example.starts_with("wait") => {
            service(&format!("stop.steps = [{{ signal = 2, {example} }}]"))
        }
        "service.NAME.stop.steps" => service(&format!("stop.steps = [{{ {example} }}]")),
        "service.NAME.restart.limit" if example.starts_with("starts") => {
            service(&format!("restart.limit = {{ {example}, window = \"1m\" }}"))
        }
        "service.NAME.restart.limit" => service(&format!("restart.limit = {{ {example}, starts = 1 }}")),
        // A hard limit does not stand alone; the other one may be nothing.
        limit if limit.starts_with("service.NAME.rlimits.") && example.starts_with("hard") => {
            let limit = limit.trim_start_matches("service.NAME.");
            service(&format!("{limit} = {{ soft = 0, {example} }}"))
        }
        "service.NAME.hooks.before_start" if !example.starts_with("command") => {
            service(&format!("hooks.before_start = {{ command = [\"x\"], {example} }}"))
        }
        "service.NAME.controls.NAME" => {
            let with = if example.starts_with("timeout") { "command = [\"x\"], " } else { "" };
            service(&format!("controls = {{ 128 = {{ {with}{example} }} }}"))
        }
        "service.NAME.config.files" => {
            let with = match example.split(' ').next().unwrap() {
                "path" => "text = \"\"",
                "template" | "text" => "path = \"x\"",
                _ => "path = \"x\", text = \"\"",
            };
            service(&format!("config.files = [{{ {with}, {example} }}]"))
        }
        "service.NAME.config.on_change" => {
            let with = match example.split(' ').next().unwrap() {
                "method" => "http = \"http://127.0.0.1/\", ",
                "control" => "service = \"Api\", ",
                "service" => "control = 200, ",
                _ => "",
            };
            service(&format!("config.on_change = {{ {with}{example} }}"))
        }
        "service.NAME.startup" => {
            // Beside what it belongs to.
            let check = match example.split(' ').next().unwrap() {
                "http" | "grpc" | "tcp" | "exec" | "log" | "notify" => "",
                "service" | "tls" => "grpc = \"x:1\", ",
                "cert" => "http = \"https://x\", key = \"x.key\", ",
                "key" => "http = \"https://x\", cert = \"x.pem\", ",
                "ca" | "insecure" | "headers" | "expect" | "body" | "method" => "http = \"https://x\", ",
                _ => "tcp = \"x:1\", ",
            };
            service(&format!("startup = {{ {check}{example} }}"))
        }
        "secrets.NAME" => {
            let with = match example.split(' ').next().unwrap() {
                "identity" | "program" => "age = \"x.age\", ",
                "timeout" => "command = [\"x\"], ",
                _ => "",
            };
            let key = if example.starts_with("identity") { "" } else { ", identity = \"x\"" };
            let key = if example.starts_with("age") || example.starts_with("program") { key } else { "" };
            format!("secrets.NAME = {{ {with}{example}{key} }}\n{others}")
        }
        table if !table.starts_with("service.NAME.") => format!("{table}.{example}\n{others}"),
        other => service(&format!("{}.{example}", other.trim_start_matches("service.NAME."))),
    }
}

#[test]
fn the_schema_has_what_editors_need() {
    let schema = schema();
    assert_eq!(schema["additionalProperties"], false);
    let restart = &schema["definitions"]["service"]["properties"]["restart"];
    assert!(restart["description"].as_str().is_some_and(|text| text.contains("Default")));
    assert_eq!(schema["definitions"]["restart_limit"]["required"], serde_json::json!(["starts", "window"]));
}
