//! `dynamic_user`: an account that nobody made.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod common;

use common::{parse_for, parse_in};
use mainstay_config::System;
use mainstay_core::{Launch, dynamic_user};

fn launch(lines: &str) -> (Option<Launch>, String) {
    let loaded = parse_in(format!("[service.a]\ncommand = ['a']\n{lines}\n"), &[], &[]);
    let launch = loaded.plan.map(|plan| plan.services.values().next().unwrap().launch.clone());
    (launch, loaded.diagnostics.to_string())
}

#[test]
fn it_is_closed_off_from_all_that_would_outlive_it() {
    let (launch, said) = launch("dynamic_user = true\nsandbox = { read_write_paths = ['/srv/data'] }");
    assert_eq!(said, "");
    let launch = launch.unwrap();
    assert_eq!(launch.user.as_deref().and_then(dynamic_user::service_of), Some("a"));
    let sandbox = launch.settings.sandbox.unwrap();
    assert!(sandbox.no_new_privileges && sandbox.private_tmp && sandbox.private_ipc);
    assert_eq!(sandbox.read_only_paths, ["/"]);
    assert_eq!(sandbox.read_write_paths.len(), 4, "{sandbox:?}");
    assert!(sandbox.read_write_paths[0].ends_with("data"), "{sandbox:?}");
}

#[test]
fn without_it_all_is_as_ever() {
    let (launch, said) = launch("dynamic_user = false\nuser = 'ann'");
    assert_eq!((launch.unwrap().user.as_deref(), said.as_str()), (Some("ann"), ""));
    let (strict, _) = self::launch("sandbox = { protect_system = 'strict' }");
    let sandbox = strict.unwrap().settings.sandbox.unwrap();
    assert_eq!(
        (sandbox.read_only_paths.len(), sandbox.read_write_paths.len(), sandbox.private_ipc),
        (1, 3, false)
    );
}

#[test]
fn each_instance_has_its_own() {
    let loaded = parse_in("[service.a]\ncommand = ['a']\ninstances = 2\ndynamic_user = true\n", &[], &[]);
    let plan = loaded.plan.unwrap();
    for (name, service) in &plan.services {
        let user = service.launch.user.as_deref().unwrap();
        assert_eq!(dynamic_user::service_of(user), Some(name.as_str()));
    }
}

#[test]
fn what_goes_not_beside_it_is_told() {
    let (_, said) = launch("dynamic_user = true\nuser = 'ann'\ngroup = 'www'");
    for key in ["user", "group"] {
        assert!(said.contains(&format!("`{key}` and `dynamic_user` exclude each other")), "{said}");
    }
    let (_, said) = launch("dynamic_user = true\nconfig = { files = [{ path = 'a.conf', text = 'x' }] }");
    assert!(said.contains("a dynamic user could not read this file"), "{said}");
    let files = "config = { files = [{ path = 'a.conf', text = 'x', mode = '0644' }] }";
    assert_eq!(launch(&format!("dynamic_user = true\n{files}")).1, "");
    let windows = parse_for(System::Windows, "[service.a]\ncommand = ['a']\ndynamic_user = true\n", &[], &[]);
    let said = windows.diagnostics.to_string();
    assert!(windows.plan.is_none() && said.contains(r"NT SERVICE\<name>"), "{said}");
}
