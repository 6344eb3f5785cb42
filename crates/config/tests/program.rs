//! `config` of a service: what is wrong with it is told at its place.

mod common;

use common::{parse_for, parse_in};
use mainstay_config::System;
use mainstay_core::{OnChange, SecretText, StopAction};

fn diagnostics(text: &str, files: &[(&str, &str)]) -> String {
    parse_in(text, &[("HOST", "h")], files).diagnostics.to_string()
}

#[test]
fn what_is_not_there_is_told_at_its_place_in_the_template() {
    let text = "[service.api]\ncommand = [\"x\"]\n[service.api.config]\nvalues = { limit = 1 }\n\
        files = [{ path = \"a.json\", template = \"a.j2\" }]\n";
    let found = diagnostics(text, &[("a.j2", "{\n  \"limit\": {{ values.limti }}\n}\n")]);
    insta::assert_snapshot!(found);
    let text = "[service.api]\ncommand = [\"x\"]\n[service.api.config]\n\
        files = [{ path = \"a\", text = '''\none\n{{ nothing }}\n''' }]\n";
    insta::assert_snapshot!(diagnostics(text, &[]));
    let text = "[service.api]\ncommand = [\"x\"]\n[service.api.config]\n\
        files = [{ path = \"a\", text = '{% if x %}' }, { path = \"b\", text = '{{ 1 | shout }}' }]\n";
    insta::assert_snapshot!(diagnostics(text, &[]));
}

#[test]
fn one_file_has_one_writer() {
    let text =
        "[service.api]\ncommand = [\"x\"]\ninstances = 2\nconfig.files = [{ path = \"a\", text = \"\" }]\n";
    let found = diagnostics(text, &[]);
    assert!(found.contains("a is written twice") && found.contains("mainstay.toml:4:26"), "{found}");
    let text = text.replace("path = \"a\"", "path = \"a-${INSTANCE}\"");
    assert_eq!(diagnostics(&text, &[]), "");
}

#[test]
fn instances_know_their_number_and_variables_come_from_outside_too() {
    let text = "[service.api]\ncommand = [\"x\"]\ninstances = 2\nenvironment = { PORT = \"80${INSTANCE}\" }\n[service.api.config]\n\
        environment = { NAME = \"{{ service }} {{ instance }}\" }\n\
        files = [{ path = \"a-${INSTANCE}\", text = \"{{ service }} {{ instance }} {{ env.PORT }} {{ env.HOST }} {{ env.NAME }}\" }]\n";
    let loaded = parse_in(text, &[("HOST", "h")], &[]);
    assert_eq!(loaded.diagnostics.to_string(), "");
    let plan = loaded.plan.unwrap();
    let content =
        |plan: &mainstay_core::ServicePlan| plan.config.files.values().next().unwrap().content.to_string();
    let all: Vec<String> = plan.services.values().map(content).collect();
    assert_eq!(all, ["api-1 1 801 h api-1 1", "api-2 2 802 h api-2 2"]);
}

#[test]
fn mistakes_are_told() {
    for (config, what) in [
        ("files = 3", "a list of files"),
        ("files = [{ path = \"a\" }]", "needs a key that says what it is"),
        ("files = [{ path = \"a\", text = \"\", mode = \"999\" }]", "is no mode"),
        ("files = [{ path = \"a\", template = \"none.j2\" }]", "cannot read"),
        ("files = [{ text = \"\" }]", "needs `path`"),
        ("on_change = \"reboot\"", "cannot be \"reboot\""),
        ("on_change = { control = 200 }", "needs the Windows service"),
        ("on_change = { control = 100, service = \"x\" }", "cannot be 100"),
        ("on_change = { method = \"GET\", signal = \"HUP\" }", "goes with `http` only"),
        ("on_change = { signal = \"SIGNOTHING\" }", "SIGNOTHING"),
        ("environment = { \"A B\" = \"x\" }", "A B"),
        ("environment = { A = \"{{ x }}\" }", "is not there"),
        ("timeout = 3", "a time"),
    ] {
        let text = format!("[service.api]\ncommand = [\"x\"]\n[service.api.config]\n{config}\n");
        let found = diagnostics(&text, &[]);
        assert!(found.contains(what), "{config}: {found}");
    }
}

#[test]
fn secrets_stay_references_and_their_files_are_closed() {
    let text = |mode: &str| {
        format!(
            "[service.api]\ncommand = [\"x\"]\nenvironment = {{ KEY = \"k:${{secret:key}}\" }}\n[service.api.config]\n\
             values = {{ token = \"${{secret:token}}\", limit = 1 }}\n\
             environment = {{ A = \"{{{{ env.KEY }}}}\", KEY = \"{{{{ secret.other }}}}\", B = \"{{{{ values.limit }}}}\" }}\n\
             files = [{{ path = \"a\", {mode} text = '$ {{{{ env.KEY }}}} {{{{ values.token | tojson }}}}' }}]\n"
        )
    };
    let loaded = parse_in(text(""), &[], &[]);
    assert_eq!(loaded.diagnostics.to_string(), "");
    let api = loaded.plan.unwrap().services.into_values().next().unwrap();
    let shown = |texts: &std::collections::BTreeMap<String, SecretText>| -> Vec<String> {
        texts.iter().map(|(name, text)| format!("{name}={text}")).collect()
    };
    assert_eq!(shown(&api.launch.secret_environment), ["A=k:${secret:key}", "KEY=${secret:other}"]);
    assert_eq!(api.launch.environment, [("B".to_owned(), "1".to_owned())].into());
    let file = api.config.files.values().next().unwrap();
    assert_eq!(file.content.to_string(), "$$ ${secret:other} \"${secret:token|json}\"");
    assert_eq!(api.secret_names().into_iter().collect::<Vec<_>>(), ["key", "other", "token"]);
    for mode in ["0644", "0601", "0666"] {
        let found = diagnostics(&text(&format!("mode = \"{mode}\",")), &[]);
        assert!(found.contains("cannot be open to everybody"), "{found}");
    }
    assert_eq!(diagnostics(&text("mode = \"0640\","), &[]), "");
}

#[test]
fn what_does_not_work_here_is_a_restart_and_warned_of() {
    let change = |system, how: &str| {
        let text = format!("[service.api]\ncommand = [\"x\"]\nconfig.on_change = {how}\n");
        let loaded = parse_for(system, &text, &[], &[]);
        let warned = !loaded.diagnostics.to_string().is_empty();
        (loaded.plan.unwrap().services.into_values().next().unwrap().config.on_change, warned)
    };
    let (linux, windows) = (System::Linux, System::Windows);
    let hup = OnChange::Signal(StopAction::Signal(1));
    assert_eq!(change(linux, "{ signal = \"HUP\" }"), (hup, false));
    assert_eq!(change(windows, "{ signal = \"HUP\" }"), (OnChange::Restart, true));
    assert_eq!(change(windows, "{ event = \"e\" }"), (OnChange::Event("e".into()), false));
    assert_eq!(change(linux, "{ event = \"e\" }"), (OnChange::Restart, true));
    let control = OnChange::Control { service: "Api".into(), code: 200 };
    assert_eq!(change(windows, "{ control = 200, service = \"Api\" }"), (control, false));
    assert_eq!(change(linux, "\"nothing\""), (OnChange::Nothing, false));
}
