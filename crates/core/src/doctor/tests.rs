use super::*;
use crate::testing::probe;
use crate::{Check, Launch, ProbePlan, ServicePlan};

fn name(text: &str) -> ServiceName {
    ServiceName::new(text).expect("a name")
}

fn service(command: &[&str], tcp: Option<&str>) -> ServicePlan {
    let command = command.iter().map(|word| (*word).to_owned()).collect();
    let launch = Launch { command, working_dir: Some("/srv".into()), ..Launch::default() };
    let ready = tcp.map(|address| ProbePlan { check: Check::Tcp(address.to_owned()), ..probe() });
    ServicePlan { launch, ready, ..ServicePlan::default() }
}

fn plan(stack: &str, services: &[(&str, ServicePlan)]) -> Plan {
    let services = services.iter().map(|(text, plan)| (name(text), plan.clone())).collect();
    Plan { stack: stack.into(), services, ..Plan::default() }
}

/// What is looked at of a stack that is well.
fn well(plan: &Plan) -> Seen {
    let services = plan.services.keys().map(|name| (name.clone(), Service::default())).collect();
    Seen { services, ..Seen::default() }
}

fn ids(plan: &Plan, seen: &Seen) -> Vec<(&'static str, Severity)> {
    examine(plan, seen).into_iter().map(|finding| (finding.id, finding.severity)).collect()
}

#[test]
fn a_stack_that_is_well_has_no_findings() {
    let plan = plan("shop", &[("web", service(&["web"], Some("localhost:80")))]);
    assert_eq!(ids(&plan, &well(&plan)), []);
}

#[test]
fn every_kind_of_refusal_has_advice_of_its_own() {
    let plan = plan("shop", &[("web", service(&["web"], None))]);
    let mut seen = well(&plan);
    let mut advice = std::collections::BTreeSet::new();
    for kind in [
        RefusedKind::Missing,
        RefusedKind::NotExecutable,
        RefusedKind::NotRunnable,
        RefusedKind::NoDirectory,
        RefusedKind::ClosedDirectory,
        RefusedKind::NoAccount,
        RefusedKind::NotTried,
        RefusedKind::Other,
    ] {
        let refused = Refused { kind, message: "words of the system".into() };
        seen.services.get_mut("web").expect("it is there").refused = Some(refused);
        let found = examine(&plan, &seen);
        assert_eq!(found.len(), 1, "{kind:?}");
        assert_eq!(found[0].what, "words of the system");
        assert_eq!(found[0].service, Some(name("web")));
        let made = Fix::MakeDirectory { path: "/srv".into(), owner: None };
        assert_eq!(found[0].fix == Some(made), kind == RefusedKind::NoDirectory, "{kind:?}");
        advice.insert(found[0].mend.clone());
    }
    assert_eq!(advice.len(), 8);
}

#[test]
fn blanks_in_a_path_are_guessed() {
    let plan = plan("shop", &[("web", service(&[r"C:\Program", r"Files\web.exe"], None))]);
    let mut seen = well(&plan);
    let web = seen.services.get_mut("web").expect("it is there");
    web.refused = Some(Refused { kind: RefusedKind::Missing, message: "program not found".into() });
    web.unquoted = Some(r"C:\Program Files\web.exe".into());
    assert!(examine(&plan, &seen)[0].mend.starts_with(r"C:\Program Files\web.exe is there"));
}

#[test]
fn a_port_is_taken_only_if_its_service_does_not_run() {
    let plan = plan("shop", &[("web", service(&["web"], Some("127.0.0.1:80")))]);
    let mut seen = well(&plan);
    let ip = "0.0.0.0".parse().expect("an address");
    seen.listeners = vec![Listener { ip, port: 80, holder: Some((7, "nginx".into())) }];
    let found = examine(&plan, &seen);
    assert_eq!(found[0].what, "port 80 is taken by nginx (pid 7)");
    seen.services.get_mut("web").expect("it is there").is_up = true;
    assert_eq!(ids(&plan, &seen), []);
}

#[test]
fn an_address_that_several_probes_ask_is_told_once() {
    let mut web = service(&["web"], Some("db.invalid:80"));
    web.live = web.ready.clone();
    let plan = plan("shop", &[("web", web)]);
    let mut seen = well(&plan);
    seen.unresolved.insert("db.invalid".into(), "unknown".into());
    assert_eq!(ids(&plan, &seen), [("name", Severity::Problem)]);
}

#[test]
fn stacks_that_fight_are_told_if_both_are_used() {
    let ours = plan("shop", &[("web", service(&["web"], Some("localhost:80")))]);
    let mut seen = well(&ours);
    let twin = plan("copy", &[("site", service(&["web"], None))]);
    seen.others = vec![Other { plan: twin, is_used: true }];
    assert_eq!(ids(&ours, &seen), [("fight", Severity::Risk)]);
    let same_port = plan("other", &[("site", service(&["apache"], Some("127.0.0.1:80")))]);
    seen.others = vec![Other { plan: same_port, is_used: true }];
    assert_eq!(ids(&ours, &seen), [("fight", Severity::Risk)]);
    seen.others[0].is_used = false;
    assert_eq!(ids(&ours, &seen), []);
    let stranger = plan("third", &[("site", service(&["apache"], Some("localhost:81")))]);
    seen.others = vec![Other { plan: stranger, is_used: true }];
    assert_eq!(ids(&ours, &seen), []);
}

#[test]
fn a_disk_is_low_by_its_size_or_by_the_floor_of_the_logs() {
    let mut plan = plan("shop", &[("web", service(&["web"], None))]);
    let mut seen = well(&plan);
    let of = |free: u64, total: u64| Directory {
        path: "/log".into(),
        what: "logs",
        closed: None,
        space: Some((free, total)),
    };
    for (free, total, low) in
        [(100 << 20, 10 << 30, true), (2 << 30, 1 << 40, false), (600 << 20, 10 << 30, false)]
    {
        seen.stack.directories = vec![of(free, total)];
        assert_eq!(!ids(&plan, &seen).is_empty(), low, "{free} of {total}");
    }
    plan.services.get_mut("web").expect("it is there").log.min_free = Some(1 << 30);
    assert_eq!(ids(&plan, &seen), [("disk", Severity::Problem)]);
}

#[test]
fn problems_come_before_risks_and_who_may_write_matters_only_with_rights() {
    let plan = plan("shop", &[("web", service(&["web"], None))]);
    let mut seen = well(&plan);
    seen.stack.not_at_boot = true;
    seen.machine.open_files = Some(10);
    let web = seen.services.get_mut("web").expect("it is there");
    web.writable_by_all = Some("/opt/web".into());
    assert_eq!(ids(&plan, &seen), [("open_files", Severity::Problem), ("not_at_boot", Severity::Risk)]);
    seen.services.get_mut("web").expect("it is there").privileged = true;
    assert_eq!(ids(&plan, &seen).last(), Some(&("writable", Severity::Risk)));
}

#[test]
fn all_findings_say_what_why_and_what_to_do() {
    let mut plan = plan("shop", &[("web", service(&["web"], Some("localhost:80")))]);
    plan.metrics.listen = Some("127.0.0.1:9100".into());
    let mut seen = well(&plan);
    let ip = "::".parse().expect("an address");
    seen.listeners = vec![Listener { ip, port: 80, holder: Some((7, "nginx".into())) }];
    seen.unresolved.insert("localhost".into(), "no such name".into());
    seen.others = vec![Other { plan: Plan { stack: "other".into(), ..plan.clone() }, is_used: true }];
    seen.machine = Machine {
        open_files: Some(1),
        processes: Some((95, 100)),
        no_cgroups: Some("they are mounted for reading only".into()),
        clock_is_synchronised: Some(false),
        year: Some(1970),
        access_lists: false,
    };
    seen.stack = Own {
        directories: vec![
            Directory { path: "/log".into(), what: "logs", closed: Some("read-only".into()), space: None },
            Directory { path: "/state".into(), what: "state", closed: None, space: Some((1, 100)) },
        ],
        marked_for_deletion: Some("it is marked for deletion".into()),
        no_event_source: true,
        unquoted: Some(r"C:\a b\mainstay.exe".into()),
        not_at_boot: true,
        secrets: BTreeMap::from([("otel".to_owned(), "its file is missing".to_owned())]),
        denied: vec![
            denied(r"NT SERVICE\shop", r"C:\Users\ann\shop.toml", Need::Configuration),
            denied(r"NT SERVICE\shop", r"C:\ProgramData\Mainstay\shop\log", Need::Keep),
        ],
        unknown: BTreeMap::from([(r"CORP\bob".to_owned(), "the domain does not answer".to_owned())]),
    };
    *seen.services.get_mut("web").expect("it is there") = Service {
        refused: Some(Refused { kind: RefusedKind::Missing, message: "program not found: web".into() }),
        libraries: vec!["libshop.so.1".into()],
        writable_by_all: Some("/opt".into()),
        privileged: true,
        secrets: BTreeMap::from([("db".to_owned(), "it is not in the store".to_owned())]),
        not_enforced: vec![NotEnforced {
            limit: "memory".into(),
            why: "there are no cgroups".into(),
            ..NotEnforced::default()
        }],
        denied: vec![
            denied(r".\bob", r"C:\apps\web.exe", Need::Run),
            denied(r".\bob", r"D:\my data", Need::Enter),
        ],
        log_on: Some(LogOn { account: r".\bob".into(), fault: LogOnFault::NoneOfItsOwn }),
        no_session: Some(r"NT SERVICE\shop".into()),
        in_a_session: true,
        ..Service::default()
    };
    let said = examine(&plan, &seen).into_iter().map(|it| {
        let of = it.service.map_or(String::new(), |service| format!(" {service}"));
        format!("{:?} {}{of}\n  {}\n  {}\n  {}\n", it.severity, it.id, it.what, it.why, it.mend)
    });
    insta::assert_snapshot!(said.collect::<String>());
}

#[test]
fn what_keeps_an_account_from_logging_on_is_told_with_who_it_is() {
    let plan = plan("shop", &[("web", service(&["web"], None))]);
    let mut seen = well(&plan);
    let mut of = |account: &str, fault: LogOnFault| {
        let log_on = LogOn { account: account.to_owned(), fault };
        seen.services.get_mut("web").expect("it is there").log_on = Some(log_on);
        examine(&plan, &seen).remove(0)
    };
    let found = of(r"CORP\bob", LogOnFault::Denied(r"CORP\Staff".into()));
    assert_eq!((found.id, found.severity), ("logon_right", Severity::Problem));
    assert_eq!(found.what, r"CORP\Staff, which CORP\bob is in, is denied to log on as a service");
    assert!(found.mend.contains(r"take CORP\Staff out"), "{}", found.mend);
    let found = of(r"CORP\bob", LogOnFault::Denied(r"corp\bob".into()));
    assert_eq!(found.what, r"CORP\bob is denied to log on as a service");
    let found = of(r"CORP\bob", LogOnFault::None);
    assert_eq!(found.what, r"neither CORP\bob nor a group that it is in may log on as a service");
    assert!(found.mend.starts_with("`mainstay install` again"), "{}", found.mend);
    let found = of(r"NT SERVICE\shop", LogOnFault::None);
    assert!(found.mend.contains(r"NT SERVICE\ALL SERVICES"), "`install` cannot: {}", found.mend);
    assert_eq!(of(r".\bob", LogOnFault::NoneOfItsOwn).severity, Severity::Risk);
}

fn denied(account: &str, path: &str, need: Need) -> Denied {
    Denied { account: account.to_owned(), path: path.to_owned(), need }
}

#[test]
fn only_what_is_named_is_granted_and_what_install_gives_is_left_to_it() {
    let plan = plan("shop", &[("web", service(&["web"], None))]);
    for need in [Need::Run, Need::Enter, Need::Configuration, Need::Keep] {
        let mut seen = well(&plan);
        let denied = denied(r".\bob", r"C:\x", need);
        seen.services.get_mut("web").expect("it is there").denied = vec![denied.clone()];
        let found = examine(&plan, &seen);
        let fix = (need != Need::Keep).then_some(Fix::GrantAccess(denied));
        assert_eq!((found[0].id, found[0].severity, &found[0].fix), ("access", Severity::Problem, &fix));
    }
}

#[test]
fn what_anyone_may_write_to_is_closed_by_the_systems_own_command() {
    let plan = plan("shop", &[("web", service(&["web"], None))]);
    let mut seen = well(&plan);
    let web = seen.services.get_mut("web").expect("it is there");
    (web.privileged, web.writable_by_all) = (true, Some(r"C:\apps".into()));
    for (access_lists, command) in [(true, "icacls \"C:\\apps\""), (false, "chmod o-w")] {
        seen.machine.access_lists = access_lists;
        assert!(examine(&plan, &seen)[0].mend.contains(command), "{access_lists}");
    }
}
