//! No input makes it panic, and every place it tells of is in the text.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod common;
#[path = "common/entry.rs"]
mod entry;

use common::parse_in;
use mainstay_config::{Layout, Loaded};
use proptest::prelude::*;
use proptest::sample::{Index, select};

const GOOD: &str = include_str!("good.toml");
const FILES: &[(&str, &str)] = &[("api.env", "A=1\nB=\"2\"\n"), ("over.env", "export A='x'\n")];

/// What has to hold of whatever came out.
fn check(text: &str, loaded: &Loaded) {
    assert_eq!(loaded.plan.is_none(), loaded.diagnostics.has_errors(), "{text}");
    let text = text.strip_prefix('\u{FEFF}').unwrap_or(text);
    let lines: Vec<&str> = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)).collect();
    for diagnostic in &loaded.diagnostics {
        let places = diagnostic.place.iter().chain(diagnostic.related.iter().map(|related| &related.place));
        for place in places.filter(|place| place.file == "mainstay.toml") {
            let line = lines.get(place.line - 1).unwrap_or_else(|| panic!("line {} of\n{text}", place.line));
            let columns = line.chars().count();
            assert!(place.column >= 1 && place.column <= columns + 1, "{place:?}");
            assert!(place.column + place.length <= columns + 1, "{place:?}");
        }
    }
    for (width, colour) in [(80, false), (0, true), (41, false)] {
        loaded.diagnostics.render(&Layout { width, colour });
    }
    let plain = loaded.diagnostics.to_string();
    assert!(!plain.contains(|c: char| c.is_control() && c != '\n'), "{plain:?}");
    serde_json::to_string(&loaded.diagnostics).unwrap();
    if let Some(plan) = &loaded.plan {
        // What the daemon reads back is the same.
        let json = serde_json::to_string(plan).unwrap();
        assert_eq!(&serde_json::from_str::<mainstay_core::Plan>(&json).unwrap(), plan);
    }
}

fn try_it(text: &str, env: &[(&str, &str)], files: &[(&str, &str)]) {
    check(text, &parse_in(text, env, files));
}

/// Pieces that mean something to the parser, or to us.
const PIECES: &[&str] = &[
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ",",
    ".",
    "\"",
    "'",
    "\"\"\"",
    "'''",
    "\\",
    "#",
    "\n",
    "\r\n",
    "\r",
    " ",
    "\t",
    "name",
    "service",
    "api",
    "[service.api]\n",
    "[service.b]\n",
    "command",
    "command = [\"x\"]\n",
    "restart",
    "always",
    "stop",
    "steps",
    "ctrl_c",
    "kill",
    "signal",
    "ready",
    "live",
    "http",
    "\"http://h:1/\"",
    "tcp",
    "\"h:1\"",
    "exec",
    "log",
    "\"(\"",
    "notify",
    "true",
    "depends_on",
    "\"api\"",
    "environment",
    "env_file",
    "\"api.env\"",
    "${A}",
    "${",
    "}",
    "${A:-",
    "$$",
    "5",
    "-1",
    "0xFF",
    "1.5",
    "\"5s\"",
    "\"5 parsecs\"",
    "\"1MB\"",
    "1979-05-27",
    "é",
    "日本",
    "\u{0}",
    "\u{1b}",
    "\u{FEFF}",
    "\\u0000",
    "on_exit",
    "limit",
    "rotate",
    "size",
];

/// Pieces that mean something to YAML and JSON.
const MARKS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ": ",
    ",",
    "- ",
    "\n",
    "\n  ",
    "\n    ",
    "\r\n",
    "\t",
    " ",
    "\"",
    "'",
    "\\",
    "&a ",
    "*a",
    "<<: ",
    "!!str ",
    "!x ",
    "? ",
    "| ",
    ">\n",
    "#",
    "---",
    "...",
    "%",
    "@",
    "null",
    "~",
    "no",
    "true",
    "0x1F",
    "08",
    "1.5",
    "1e9",
    "é",
    "日",
    "service",
    "\"service\"",
    "api",
    "\"api\"",
    "command",
    "\"command\"",
    "x",
    "${A}",
    "${A:?",
    "${",
    "}",
    "extends",
    "template",
    "instances",
    "profiles",
    "5s",
    "env_file",
    "a.env",
    "$$",
    "\u{1}",
    "\u{FEFF}",
];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_text(text in any::<String>()) {
        entry::try_bytes(text.as_bytes());
        try_it(&text, &[], &[]);
    }

    #[test]
    fn arbitrary_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let loaded = parse_in(&bytes, &[], &[]);
        check(&String::from_utf8_lossy(&bytes), &loaded);
    }

    #[test]
    fn soup(pieces in proptest::collection::vec(select(PIECES), 0..60)) {
        try_it(&pieces.concat(), &[("A", "x")], FILES);
    }

    #[test]
    fn soup_of_yaml_and_json(pieces in proptest::collection::vec(select(MARKS), 0..60)) {
        entry::try_bytes(pieces.concat().as_bytes());
    }

    /// What is in the corpus of the fuzz target, damaged a little.
    #[test]
    fn the_corpus_damaged(
        file in any::<Index>(),
        changes in proptest::collection::vec((any::<Index>(), 0usize..6, select(MARKS)), 0..4)
    ) {
        let files = corpus();
        let mut bytes = files[file.index(files.len())].clone();
        for (at, removed, piece) in changes {
            let start = at.index(bytes.len() + 1);
            let end = (start + removed).min(bytes.len());
            bytes.splice(start..end, piece.bytes());
        }
        entry::try_bytes(&bytes);
    }

    #[test]
    fn a_good_file_damaged(
        changes in proptest::collection::vec((any::<Index>(), 0usize..12, select(PIECES)), 1..6)
    ) {
        let mut text = GOOD.to_owned();
        for (at, removed, piece) in changes {
            let mut start = at.index(text.len() + 1);
            while !text.is_char_boundary(start) {
                start -= 1;
            }
            let mut end = (start + removed).min(text.len());
            while !text.is_char_boundary(end) {
                end += 1;
            }
            text.replace_range(start..end, piece);
        }
        try_it(&text, &[("PORT", "1")], FILES);
    }

    #[test]
    fn values_of_any_kind_anywhere(
        key in select(&["command", "description", "environment", "env_file", "depends_on", "start", "restart", "stop",
            "startup", "ready", "live", "log", "limits", "user", "working_dir"][..]),
        value in values(),
    ) {
        try_it(&format!("[service.api]\ncommand = ['x']\n[service.x]\n{key} = {value}\n"), &[], FILES);
    }

    #[test]
    fn any_variables(raw in "[${}:\\-A-C1 ?é]{0,30}", value in any::<String>()) {
        let text = format!("[service.x]\ncommand = ['x', '{raw}']\nenvironment = {{ B = '{raw}', C = '${{B}}' }}\n");
        try_it(&text, &[("A", &value)], FILES);
    }

    #[test]
    fn any_file_of_variables(file in "[A-C= \"'#\\\\\n\r\tné$]{0,60}") {
        try_it("[service.x]\ncommand = ['x']\nenv_file = 'e'\n", &[], &[("e", &file)]);
    }

    #[test]
    fn any_command(words in proptest::collection::vec("[a-z \"'\\\\]{0,8}", 1..5)) {
        // As a list, every word arrives as it is.
        let list: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
        let text = format!("[service.x]\ncommand = [\"x\", {}]\n", list.join(", "));
        let loaded = parse_in(&text, &[], &[]);
        check(&text, &loaded);
        let plan = loaded.plan.unwrap();
        prop_assert_eq!(&plan.services.values().next().unwrap().launch.command[1..], words);
    }
}

/// The corpus of the fuzz target.
fn corpus() -> Vec<Vec<u8>> {
    let dir = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/config");
    let mut paths: Vec<_> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).unwrap()).collect()
}

/// The corpus has plans, so that what is shown of them is tried.
#[test]
fn the_corpus() {
    for (index, bytes) in corpus().iter().enumerate() {
        entry::try_bytes(bytes);
        let names = ["a.toml", "a.yaml", "a.json"];
        let good = names.iter().filter(|name| {
            let env = [("PORT", "1"), ("A", "1")];
            let files = [("api.env", "FROM_FILE=x"), ("over.env", "FROM_FILE=x")];
            common::World { name, ..common::World::new(&env, &files) }.parse(bytes).plan.is_some()
        });
        assert!(good.count() > 0, "file {index} makes no plan in any format");
    }
}

/// TOML values of any kind, three levels deep, with keys that mean something.
fn values() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        select(
            &[
                "true",
                "5",
                "-1",
                "1.5",
                "1979-05-27",
                "[]",
                "{}",
                "\"\"",
                "\"5s\"",
                "\"x\"",
                "\"${X}\"",
                "'h:1'"
            ][..]
        )
        .prop_map(str::to_owned),
        any::<i64>().prop_map(|n| n.to_string()),
        "[ -~é]{0,10}".prop_map(|text| format!("{text:?}")),
    ];
    let keys = select(
        &[
            "http", "tcp", "exec", "log", "notify", "interval", "steps", "ctrl_c", "kill", "signal", "wait",
            "timeout", "policy", "delay", "limit", "starts", "window", "on_exit", "78", "rotate", "size",
            "keep", "files", "api",
        ][..],
    );
    leaf.prop_recursive(3, 24, 4, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4)
                .prop_map(|items| format!("[{}]", items.join(", "))),
            proptest::collection::vec((keys.clone(), inner), 0..4).prop_map(|entries| {
                let entries: Vec<String> =
                    entries.into_iter().map(|(key, value)| format!("{key} = {value}")).collect();
                format!("{{ {} }}", entries.join(", "))
            }),
        ]
    })
}

/// The largest files that are accepted come back in good time, whatever is in them.
#[test]
fn large_files() {
    for (unit, times) in [
        ("a=1\n", 100_000),
        ("[service.a]\n", 50_000),
        ("[", 250_000),
        ("${", 250_000),
        ("\"", 250_000),
        ("a.", 250_000),
        ("x = [[[[[", 100_000),
    ] {
        try_it(&unit.repeat(times), &[], &[]);
    }
    let text = format!("[service.a]\ncommand = ['x', '{}']\n", "${B}".repeat(250_000));
    try_it(&text, &[], &[]);
    let text: String =
        (0..20_000).map(|n| format!("[service.s{n}]\ncommand = ['x']\ndepends_on = ['q{n}']\n")).collect();
    try_it(&text, &[], &[]);
}
