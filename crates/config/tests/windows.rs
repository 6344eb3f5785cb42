//! What is for services on Windows alone.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod common;

use common::{parse_for, parse_in};
use mainstay_config::System;
use mainstay_core::{Integrity, Launch, Privileges, ServiceName, Session};

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

#[test]
fn an_account_has_its_password_from_a_secret() {
    let (launch, said) = on_windows("user = '.\\bob'\npassword = '${secret:bob}'");
    assert_eq!(said, "");
    let launch = launch.unwrap();
    assert_eq!(launch.user.as_deref(), Some(r".\bob"));
    assert_eq!(launch.password.as_ref().unwrap().to_string(), "${secret:bob}");
    assert_eq!(launch.secret_names().into_iter().collect::<Vec<_>>(), ["bob"]);
    for user in [r"NT SERVICE\api", "LocalService", r"CORP\web$", "bob@corp.example"] {
        let (launch, said) = on_windows(&format!("user = '{user}'"));
        assert_eq!((launch.unwrap().user.as_deref(), said.as_str()), (Some(user), ""));
    }
}

#[test]
fn what_is_wrong_with_accounts_is_told_without_a_password() {
    let (launch, said) = on_windows(
        "user = 'bob:users'\n[service.b]\ncommand = ['b']\nuser = 'bob'\npassword = 'hunter2'\n\
         [service.c]\ncommand = ['c']\npassword = '${secret:x}'\n\
         [service.d]\ncommand = ['d']\nuser = 'NT AUTHORITY\\Local Service'\npassword = '${secret:x}'\n\
         [service.e]\ncommand = ['e']\nuser = 'CORP\\web$'\npassword = 'x${secret:x}'\n",
    );
    assert_eq!(launch, None);
    assert!(!said.contains("hunter2"), "{said}");
    insta::assert_snapshot!(said);
    let text = "[service.a]\ncommand = ['a']\nuser = 'bob'\npassword = '${secret:bob}'\n";
    let loaded = parse_in(text, &[], &[]);
    assert!(loaded.plan.is_none());
    assert!(loaded.diagnostics.to_string().contains("without its password"), "{}", loaded.diagnostics);
}

#[test]
fn a_service_runs_on_the_desktop_of_who_is_signed_in() {
    let session = |lines: &str| {
        let text = format!("[service.a]\ncommand = ['a']\n{lines}\n");
        let loaded = parse_for(System::Windows, &text, &[], &[]);
        assert_eq!(loaded.diagnostics.to_string(), "");
        loaded.plan.unwrap().services[&ServiceName::new("a").unwrap()].session
    };
    assert_eq!(session(""), Session::Services);
    for one in Session::ALL {
        assert_eq!(session(&format!("session = '{}'", one.as_str())), one);
    }
    assert_eq!(session("session = 'prefer_active'\nuser = 'LocalService'"), Session::PreferActive);
}

#[test]
fn what_is_wrong_with_a_session_is_told() {
    let text = "[service.a]\ncommand = ['a']\nsession = 'actve'\n\
                [service.b]\ncommand = ['b']\nsession = 'active'\nuser = '.\\bob'\n\
                [service.c]\ncommand = ['c']\nsession = 1\n\
                [service.d]\ncommand = ['d']\ninteractive = true\n";
    let loaded = parse_for(System::Windows, text, &[], &[]);
    assert!(loaded.plan.is_none());
    insta::assert_snapshot!(loaded.diagnostics.to_string());
}

#[test]
fn linux_has_no_session_for_services() {
    let text = "[service.a]\ncommand = ['a']\nsession = 'active'\n\
                [service.b]\ncommand = ['b']\nsession = 'prefer_active'\n\
                [service.c]\ncommand = ['c']\nsession = 'services'\n";
    let loaded = parse_in(text, &[], &[]);
    assert!(loaded.plan.is_none());
    insta::assert_snapshot!(loaded.diagnostics.to_string());
}
