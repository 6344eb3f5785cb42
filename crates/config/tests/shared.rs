//! Templates, instances and profiles: what several services share.
#![expect(clippy::unwrap_used, reason = "helpers of tests may panic as tests do")]

mod common;

use std::time::Duration;

use common::{World, parse_in};
use mainstay_config::{Asked, Loaded};
use mainstay_core::{Check, Plan, RestartPolicy, ServiceName, ServicePlan};

fn good(text: &str) -> Plan {
    let loaded = parse_in(text, &[("INSTANCE", "outside")], &[]);
    assert_eq!(loaded.diagnostics.to_string(), "");
    loaded.plan.unwrap()
}

fn with_profiles(text: &str, profiles: &[&str]) -> Loaded {
    let profiles = profiles.iter().map(|name| (*name).to_owned()).collect();
    let asked = Asked { profiles, ..Asked::default() };
    World::new(&[], &[]).parse_all(&[("mainstay.toml", text.as_bytes())], &asked)
}

fn names(plan: &Plan) -> Vec<&str> {
    plan.services.keys().map(ServiceName::as_str).collect()
}

fn service<'p>(plan: &'p Plan, name: &str) -> &'p ServicePlan {
    &plan.services[&ServiceName::new(name).unwrap()]
}

const TEMPLATES: &str = r#"
[template.base]
environment = { A = "base", B = "base" }
restart = { policy = "on-failure", delay = "3s" }
ready = { http = "http://h:1/", interval = "9s" }

[template.java]
extends = "base"
command = ["java", "-jar", "${NAME_OF_JAR}"]
environment = { B = "java", C = "java" }

[template.slow]
restart.delay = "20s"

[service.a]
extends = ["java", "slow"]
environment = { C = "own", NAME_OF_JAR = "a.jar" }
ready = { tcp = "h:2" }

[service.b]
extends = "java"
command = "b"
"#;

#[test]
fn a_service_takes_the_keys_of_its_templates_and_its_own_go_over_them() {
    let plan = good(TEMPLATES);
    let a = service(&plan, "a");
    assert_eq!(a.launch.command, ["java", "-jar", "a.jar"], "variables mean what this service sees");
    let environment: Vec<&str> = a.launch.environment.values().map(String::as_str).collect();
    assert_eq!(environment, ["base", "java", "own", "a.jar"]);
    assert_eq!((a.restart.policy, a.restart.delay), (RestartPolicy::OnFailure, Duration::from_secs(20)));
    let ready = a.ready.as_ref().unwrap();
    assert_eq!((&ready.check, ready.interval), (&Check::Tcp("h:2".into()), Duration::from_secs(9)));
    let b = service(&plan, "b");
    assert_eq!(b.launch.command, ["b"]);
    assert_eq!(b.restart.delay, Duration::from_secs(3));
}

#[test]
fn wrong_templates_are_told() {
    let mut deep = String::new();
    for n in 0..18 {
        deep += &format!("[template.t{n}]\nextends = 't{}'\n", n + 1);
    }
    let text = format!(
        "{deep}[template.t18]\n[template.a]\nextends='b'\n[template.b]\nextends='a'\n[template.unused]\n\
         [template.typo]\ncolour = 1\n[service.x]\ncommand='x'\nextends='t0'\n[service.y]\ncommand='y'\n\
         extends=['a', 'typoo', 'typo', 5]\n[service.z]\nextends='typo'\n"
    );
    insta::assert_snapshot!(parse_in(&text, &[], &[]).diagnostics.to_string());
}

#[test]
fn a_template_that_nothing_extends_is_checked_for_all_but_what_a_service_may_add() {
    let text = r#"
[template.base]
restart = { delay = "9 parsecs" }
[template.unused]
extends = "base"
command = ["java", "${NAME_OF_JAR}", "${INSTANCE}"]
ready = { intervall = "9s" }
live = { interval = "9s" }
stop = { timeout = true }
[template.good]
ready = { interval = "1s" }
environment = { A = "${B:?B is needed}" }
[service.a]
command = "a"
"#;
    insta::assert_snapshot!(parse_in(text, &[], &[]).diagnostics.to_string());
}

#[test]
fn instances_are_services_of_their_own() {
    let plan = good(
        r#"
[service.web]
command = ["web", "--port", "80${INSTANCE}", "${PEER}"]
environment = { PEER = "p${INSTANCE}" }
working_dir = "data/${INSTANCE}"
instances = 3
[service.proxy]
command = ["proxy", "${INSTANCE}"]
depends_on = { web = "started" }
[service.one]
command = "one"
instance_of = "several"
[service.two]
command = "two"
instance_of = "several"
depends_on = ["proxy"]
[service.last]
command = "last"
depends_on = ["several"]
"#,
    );
    assert_eq!(names(&plan), ["last", "one", "proxy", "two", "web-1", "web-2", "web-3"]);
    for number in 1..=3 {
        let web = service(&plan, &format!("web-{number}"));
        assert_eq!(web.launch.command, ["web", "--port", &format!("80{number}"), &format!("p{number}")]);
        assert!(web.launch.working_dir.as_ref().unwrap().ends_with(&number.to_string()));
        assert_eq!(web.launch.environment["INSTANCE"], number.to_string());
        assert_eq!(web.instance_of.as_ref().map(ServiceName::as_str), Some("web"));
    }
    let proxy = service(&plan, "proxy");
    assert_eq!(proxy.launch.command[1], "outside", "elsewhere it is a variable like any other");
    let on: Vec<&str> = proxy.depends_on.keys().map(ServiceName::as_str).collect();
    assert_eq!(on, ["web-1", "web-2", "web-3"]);
    let on: Vec<&str> = service(&plan, "last").depends_on.keys().map(ServiceName::as_str).collect();
    assert_eq!(on, ["one", "two"]);
}

#[test]
fn wrong_instances_are_told_once() {
    let text = r#"
[service.web]
command = ["web", "${NOPE}"]
instances = 900
[service.api]
command = "api"
instances = 2
[service.api-2]
command = "x"
depends_on = ["web"]
[service.none]
command = "x"
instances = 0
[service.both]
command = "x"
instances = 2
instance_of = "x"
[service.own]
command = "x"
instances = 2
depends_on = ["own"]
[service.s]
command = "x"
instance_of = "api-2"
"#;
    insta::assert_snapshot!(parse_in(text, &[], &[]).diagnostics.to_string());
}

const PROFILES: &str = r#"
[service.api]
command = "api"
[service.trace]
command = "trace"
profiles = ["debug", "test"]
depends_on = ["api"]
[service.load]
command = "load"
profiles = ["test"]
depends_on = ["trace"]
instances = 2
"#;

#[test]
fn profiles_choose_a_part_of_the_stack() {
    let names_with = |profiles: &[&str]| {
        let loaded = with_profiles(PROFILES, profiles);
        assert_eq!(loaded.diagnostics.to_string(), "");
        names(&loaded.plan.unwrap()).join(" ")
    };
    assert_eq!(names_with(&[]), "api");
    assert_eq!(names_with(&["debug"]), "api trace");
    assert_eq!(names_with(&["test"]), "api load-1 load-2 trace");
    assert_eq!(names_with(&["debug", "test"]), "api load-1 load-2 trace");
}

#[test]
fn wrong_profiles_are_told() {
    let text = format!(
        "{PROFILES}\n[service.needs]\ncommand='x'\ndepends_on=['trace', 'load']\n[service.bad]\ncommand='x'\nprofiles=['a b']\n"
    );
    let mut told = with_profiles(&text, &["debgu"]).diagnostics.to_string();
    told += &with_profiles("[service.a]\ncommand='a'\nprofiles=['x']\n", &[]).diagnostics.to_string();
    insta::assert_snapshot!(told);
}
