//! What is for services on Windows alone.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod common;

use common::{parse_for, parse_in};
use mainstay_config::System;
use mainstay_core::{Integrity, Launch, Privileges, ServiceName};

fn on_windows(lines: &str) -> (Option<Launch>, String) {
    let text = format!("[service.a]\ncommand = ['a']\n{lines}\n");
    let loaded = parse_for(System::Windows, &text, &[], &[]);
    let launch = loaded.plan.map(|plan| plan.services[&ServiceName::new("a").unwrap()].launch.clone());
    (launch, loaded.diagnostics.to_string())
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn privileges_have_windows_names_however_they_are_written() {
    let (launch, said) = on_windows(
        "privileges = { remove = ['SeDebugPrivilege', 'seshutdownprivilege'] }\nintegrity = 'low'",
    );
    assert_eq!(said, "");
    let settings = launch.unwrap().settings;
    let wanted = names(&["SeDebugPrivilege", "SeShutdownPrivilege"]);
    assert_eq!(settings.privileges, Some(Privileges::Remove(wanted)));
    assert_eq!(settings.integrity, Some(Integrity::Low));
    let (launch, said) = on_windows("privileges = { keep = [] }");
    assert_eq!(said, "");
    assert_eq!(launch.unwrap().settings.privileges, Some(Privileges::Keep(Vec::new())));
}

#[test]
fn what_is_wrong_with_rights_is_told() {
    let (launch, said) = on_windows(
        "privileges = { remove = ['SeDebugPrivilige', 'SeServiceLogonRight', 'root'], keep = [] }\n\
         integrity = 'untrusted'\n\
         [service.b]\ncommand = ['b']\nprivileges = {}\nintegrity = 'hihg'\n\
         [service.c]\ncommand = ['c']\nprivileges = { drop = ['SeDebugPrivilege'] }",
    );
    assert_eq!(launch, None);
    insta::assert_snapshot!(said);
}

#[test]
fn linux_refuses_what_would_be_left_out_and_names_what_it_has() {
    let text = "[service.a]\ncommand = ['a']\nprivileges = { keep = [] }\nintegrity = 'low'\n";
    let loaded = parse_in(text, &[], &[]);
    assert!(loaded.plan.is_none());
    insta::assert_snapshot!(loaded.diagnostics.to_string());
}
