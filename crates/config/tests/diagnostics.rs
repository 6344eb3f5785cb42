//! What a person reads when something is wrong, kept word by word.

mod common;

use common::{World, parse_for, parse_in};
use mainstay_config::System;

/// What is wrong with `text`; there has to be something.
fn problems(text: &str) -> String {
    let loaded = parse_in(text, &[("HOME", "/home/ann")], &[]);
    assert!(!loaded.diagnostics.is_empty(), "nothing is wrong with:\n{text}");
    assert_eq!(loaded.plan.is_none(), loaded.diagnostics.has_errors());
    // Paths as Linux writes them.
    loaded.diagnostics.to_string().replace(r"C:\srv\shop\", "/srv/shop/")
}

macro_rules! cases {
    ($($name:ident: $text:expr;)*) => {
        $(
            #[test]
            fn $name() {
                insta::with_settings!({ description => $text, omit_expression => true }, {
                    insta::assert_snapshot!(problems($text));
                });
            }
        )*
    };
}

cases! {
    process_settings: r#"
name = "shop"

[service.api]
command = ["./api"]
user = "api:www"
group = "data"
supplementary_groups = "video"
priority = 20
cpu_affinity = ["0-3", "b", "3-1"]
umask = 27
stdin = "file.txt"

[service.web]
command = ["./web"]
priority = "low"
cpu_affinity = []
umask = "888"
stdin = {}
rlimits = { nofile = "many", core = 5, cpu = 10, nfile = 1, stack = { soft = "2MB", hard = "1MB" }, as = { hard = 0 } }
"#;
    unknown_keys: r#"
name = "shop"
colour = "red"

[service.api]
comand = ["./api"]
cwd = "."
timeout = "5s"
xyz = 1
ready = { url = "http://127.0.0.1/", htp = 1 }
stop = { steps = [{ ctrl_d = "5s" }] }
"#;
    wrong_types: r#"
name = 5

[service.api]
command = { program = "x" }
description = ["a"]
environment = ["A=b"]
env_file = 1
depends_on = "db"
start = true
restart = 5
stop = "5s"
ready = 8080
live = ["x"]
log = "api.log"
limits = 512

[service.db]
command = ["db", 5]
environment = { PORT = 8080, DEBUG = true, RATIO = 1.5, MASK = 0xFF }
working_dir = false
restart = { delay = 5, limit = 3, on_exit = [1] }
stop = { steps = { kill = "5s" }, timeout = 1.5 }
ready = { tcp = 5432, failures = "3", notify = "yes" }
log = { rotate = "100MB", keep = 10 }
"#;
    log_of_two: r#"
[service.api]
command = ["./api"]
log = { stderr = "separate" }

[service."api.err"]
command = ["./watch"]
"#;
    choices: r#"
[service.api]
command = ["./api"]
start = "automatic"
restart = "unless-stopped"
depends_on = { db = "healthy", cache = "soon" }
log = { compress = "bzip2", stderr = "apart", format = "text", encoding = "latin1" }

[service.db]
command = ["db"]
restart = { policy = "on_failure", on_exit = { 1 = "ignore", 2 = "restrat-now" } }
ready = "notify"

[service.cache]
command = ["cache"]
start = "no"
"#;
    times_and_sizes: r#"
[service.api]
command = ["./api"]
restart = { delay = "5", max_delay = "5 parsecs", reset_after = "soon" }
stop = { timeout = "-5s", steps = [{ kill = "1m30" }, { ctrl_c = 5 }] }
ready = { tcp = "x:1", interval = "1ms", timeout = "0s", initial_delay = "100000d" }
log = { rotate = { size = "512M", age = "1 fortnight" }, keep = { files = 9999999, total = 2000000 } }
limits = { memory = "lots" }

[service.b]
command = ["b"]
log = { rotate = { size = "10B" } }
restart = { delay = "10s", max_delay = "5s", limit = { starts = 0, window = "0s" } }
"#;
    syntax: r#"
name = shop
[service.api]
command = ["C:\apps\api.exe"]
restart = always
start = "automatic"
"#;
    syntax_list_not_closed: r#"
name = "shop"
[service.api]
command = ["./api", "--port"
restart = "always"

[service.db]
command = ["db"]
"#;
    syntax_string_not_closed: "name = \"shop\nbase = 1\n";
    syntax_no_value: "name = \"shop\"\n[service.api]\ncommand\n[service.b\n= 5\n";
    syntax_keys_twice: r#"
name = "shop"
[service.api]
command = ["./api"]
restart = "always"
restart = "never"

[service.db]
command = ["db"]

[service.api]
start = "manual"
"#;
    dependencies: r#"
[service.api]
command = ["./api"]
depends_on = { dbb = "ready", api = "started", migrate = "completed", off = "started", db = "ready" }

[service.db]
command = ["db"]

[service.migrate]
command = ["./migrate"]

[service.off]
command = ["off"]
start = "disabled"

[service.worker]
command = ["./worker"]
depends_on = ["queue", "api", "api", "bad name"]
"#;
    circles: r#"
[service.a]
command = ["a"]
depends_on = ["b"]

[service.b]
command = ["b"]
depends_on = ["c"]

[service.c]
command = ["c"]
depends_on = ["a", "d"]

[service.d]
command = ["d"]
depends_on = ["c"]
"#;
    names: r#"
name = "my shop"

[service."web server"]
command = ["x"]

[service.-x]
command = ["x"]

[service.API]
command = ["x"]

[service.api]
command = ["x"]

[service.y]
command = ["y"]
depends_on = ["-x"]
"#;
    commands: r#"
[service.a]
command = []

[service.b]
command = ["", "x"]

[service.c]

[service.d]
command = "cat log | grep error > found"

[service.e]
command = "echo it's"

[service.f]
command = 'my\ program'

[service.g]
command = ["a\u0000b"]

[service.h]
command = ""

[service.i]
cmd = "x"
"#;
    variables: r#"
[service.a]
command = ["./a", "${PORT}", "${HOME", "${HOME:?needed}", "${1}", "${PORT:-80}"]
description = "${PROT} \u00e9 ${X}"
environment = { PROTO = "x", A = "${B}", B = "${C}", C = "${A}", D = "${D}", "E F" = "" }
live = { http = "http://127.0.0.1:${LIVE_PORT}/" }
"#;
    probes: r#"
[service.a]
command = ["a"]
startup = "http://127.0.0.1/"
ready = { http = "https://localhost/", tcp = ":80" }
live = { log = "x" }

[service.b]
command = ["b"]
startup = { interval = "5s" }
ready = { log = "listening (on" }
live = "notify"

[service.c]
command = ["c"]
startup = { http = "localhost:8080/x" }
ready = { http = "http://h:99999/" }
live = { http = "http://user:pw@h/" }

[service.d]
command = ["d"]
startup = { tcp = "http://localhost:80" }
ready = { exec = [] }
live = { exec = "check && true" }

[service.e]
command = ["e"]
startup = { log = "" }
ready = { notify = false }
live = { tcp = "::1:80" }
"#;
    stops: r#"
[service.a]
command = ["a"]
stop = { steps = [{ ctrl_c = "5s", kill = "1s" }, { signal = "SIGFOO" }, { signal = 99 }, { wait = "5s" }, "kill", { kill = "1s", wait = "5s" }] }

[service.b]
command = ["b"]
stop = { steps = [{ ctrl_c = "20s" }, { kill = "1s" }, { close_window = "1s" }], timeout = "15s" }
"#;
    exits: r#"
[service.a]
command = ["a"]
restart = { on_exit = { 255 = "fail", -1 = "stop", SIGTERM = "fail", 99999999999 = "fail" } }
"#;
    outside_of_a_service: r#"
name = "shop"
[service]
command = ["./api"]
restart = "always"
"#;
    many_services_as_a_list: r#"
[[service]]
name = "api"
command = ["./api"]
"#;
    services_misspelt: "[services.api]\ncommand = [\"x\"]\n";
    no_service: "name = \"shop\"\n";
    nothing: "";
    paths: r#"
[service.a]
command = ["a"]
working_dir = ""

[service.b]
command = ["b"]
working_dir = "~/b"
env_file = ["missing.env", "missing.env"]
"#;
    limits: r#"
[service.a]
command = ["a"]
rlimits = { nofile = 10 }
limits = { memory = "512", memory_high = "1GB", cpu = "half", processes = 0, open_files = 5, cpu_weight = 20000, swap = 1 }

[service.b]
command = ["b"]
limits = { memory = "512MB", memory_high = "512MB", cpu = 0.001, io_read = 5 }
"#;
    leaks: r#"
[service.a]
command = ["a"]
leak = { action = "tell", window = "02:00-04:00" }

[service.b]
command = ["b"]
leak = { window = "2 o'clock" }

[service.c]
command = ["c"]
leak = "stop"
"#;
    opentelemetry: r#"
opentelemetry = { endpoint = "localhost:4318", headers = { "a b" = "s3cret" }, interval = "1ms", traces = 5 }

[service.a]
command = ["a"]
"#;
    opentelemetry_nowhere: r#"
opentelemetry = { traces = false }

[service.a]
command = ["a"]
"#;
    wide_characters_and_tabs: "[service.a]\n\tcommand = [\"日本\"]\n\tdescription = \"日本 ${X}\" # ok\n";
    a_long_line: r#"
[service.a]
command = ["a", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "${NOPE}", "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"]
"#;
}

#[test]
fn files_of_variables() {
    let text = "[service.a]\ncommand = [\"a\", \"${MAYBE_THERE}\"]\nenv_file = [\"a.env\"]\n";
    let file = "GOOD=1\nno equals\nPASSWORD=\"s3cret\nA B=x\n\nC=\"x\" y\nGOOD=2\nP=\"C:\\s3cret\"\n";
    let loaded = parse_in(text, &[], &[("a.env", file)]);
    let shown = loaded.diagnostics.to_string();
    assert!(!shown.contains("s3cret"), "secrets are not repeated");
    insta::assert_snapshot!(shown);
}

#[test]
fn windows() {
    let text = r#"
[service.nul]
command = ["a"]
user = 'NT SERVICE\api'
environment = { Path = "x", PATH = "y" }
restart = { on_exit = { -1 = "fail", 0xFFFFFFFF = "stop" } }
stop = { steps = [{ signal = "SIGINT" }] }
"#;
    insta::assert_snapshot!(parse_for(System::Windows, text, &[], &[]).diagnostics.to_string());
}

#[test]
fn what_is_no_text() {
    let utf16: Vec<u8> = "\u{FEFF}name".encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut shown = parse_in(utf16, &[], &[]).diagnostics.to_string();
    shown +=
        &parse_in(b"name = \"shop\"\n# caf\xE9 au lait\n[service.a]\n", &[], &[]).diagnostics.to_string();
    insta::assert_snapshot!(shown);
}

#[test]
fn what_is_too_large() {
    let huge = vec![b'#'; 16 * 1024 * 1024 + 1];
    insta::assert_snapshot!(parse_in(huge, &[], &[]).diagnostics.to_string());
}

#[test]
fn more_problems_than_anybody_reads() {
    let text: String = (0..500).map(|n| format!("[service.a{n}]\nxyz{n} = 1\n")).collect();
    let loaded = parse_in(text, &[], &[]);
    assert_eq!((loaded.diagnostics.iter().len(), loaded.diagnostics.errors()), (100, 1000));
    assert!(loaded.diagnostics.to_string().ends_with("… and 900 more, not shown\n\n1000 errors\n"));
}

/// The form for programs.
#[test]
fn json_with_mistakes_that_do_not_matter_for_the_rest() {
    let text = r#"{ "name": "shop", // the shop
  "service": {
    "api": { "command": ["./api",], "start": "sometimes" }
    "db": { "comand": ["./db"] "depends_on": { "api": "ready" }, "ready": { "tcp": "nowhere" } },
    /* as long
       as this */
    "web": { "command": "./web", "restart": 'never' }
  }
}"#;
    let world = World { name: "mainstay.json", ..World::new(&[], &[]) };
    let loaded = world.parse(text);
    assert!(loaded.plan.is_none());
    insta::assert_snapshot!(loaded.diagnostics.to_string());
    let healed = world.parse(text.replace("'never'", "\"nevr\""));
    insta::assert_snapshot!(healed.diagnostics.to_string());
}

#[test]
fn as_json() {
    let text = "[service.a]\ncommand = [\"a\"]\nrestart = \"nevr\"\nrestart = \"never\"\nlimits = { memory = \"1MB\" }\n";
    let loaded = parse_in(text, &[], &[]);
    insta::assert_snapshot!(serde_json::to_string_pretty(&loaded.diagnostics).unwrap());
}
