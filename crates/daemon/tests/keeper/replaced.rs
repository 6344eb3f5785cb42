//! Daemons that die at the worst of moments.

use mainstay_api::types::{Action, AddService, Record};
use mainstay_core::record::{Recording, replay};
use mainstay_core::{Effect, Exit, RunId, ServicePlan, StateName};
use mainstay_daemon::{plan_path, read_plan};
use mainstay_link::{Command, Event, Run};

use crate::fake::{Keeper, name, plan};

pub fn runs_of_nobody_are_ended() {
    let mut keeper = Keeper::started(plan(&["web"]));
    keeper.wait_state("web", StateName::Running);
    keeper.kill_daemon();
    for (run, exit) in [(50, None), (51, Some(Exit::Code(0)))] {
        let container = format!("web.probe-{run}");
        keeper.runs.insert(run, Run { run, container, exit, tree_empty: exit.is_some(), ..Run::default() });
    }
    keeper.start_daemon();
    keeper.until("their end", |keeper| keeper.commands.len() >= 3);
    let expected = [
        Command::Kill { run: RunId(50) },
        Command::Forget { run: RunId(50) },
        Command::Forget { run: RunId(51) },
    ];
    assert_eq!(keeper.commands, expected);
    assert_eq!(keeper.service("web").run, Some(1));
    assert_eq!(keeper.spawned.len(), 1);
}

/// Starts three, lets one crash, stops one by hand and starts it again. Gives how many frames there were.
fn story(kill: impl Fn(&mut Keeper)) -> Keeper {
    let mut keeper = Keeper::started(plan(&["db", "api:db", "web"]));
    let up = |keeper: &mut Keeper, service: &str| {
        kill(keeper);
        keeper.wait_run(service)
    };
    let db = up(&mut keeper, "db");
    up(&mut keeper, "api");
    let web = up(&mut keeper, "web");
    keeper.remember(Event::Exited { run: web, exit: Exit::Code(1), tree_empty: false });
    kill(&mut keeper);
    keeper.remember(Event::TreeEmpty { run: web });
    keeper.happens(Event::Drained { run: web, log_end: mainstay_link::LogPos::default() });
    up(&mut keeper, "web");
    keeper.ask(async |client| client.action(&name("db"), Action::Restart).await);
    keeper.until("the restart", |keeper| {
        kill(keeper);
        keeper.obey();
        keeper.run_of("db").is_some_and(|run| run != db)
    });
    kill(&mut keeper);
    for service in ["db", "api", "web"] {
        keeper.wait_state(service, StateName::Running);
    }
    keeper
}

fn check(mut keeper: Keeper) -> u32 {
    let runs = |service| keeper.spawned.iter().filter(|spawn| spawn.container == service).count();
    assert_eq!((runs("db"), runs("api"), runs("web")), (2, 1, 2), "{:?}", keeper.spawned);
    let stack = keeper.ask(async |client| client.stack().await);
    let restarts: Vec<u32> = stack.services.iter().map(|service| service.restarts).collect();
    assert_eq!(restarts, [0, 0, 1]);
    assert_eq!(keeper.runs.len(), 3);
    keeper.check_events();
    keeper.frames
}

pub fn a_daemon_may_die_after_each_frame() {
    let frames = check(story(|_| ()));
    for at in 1..=frames {
        let killed = std::cell::Cell::new(false);
        let keeper = story(|keeper| {
            if keeper.frames >= at && !killed.replace(true) {
                keeper.replace_daemon();
            }
        });
        check(keeper);
    }
    check(story(Keeper::replace_daemon));
}

/// The daemon was killed while its frame was on its way: nothing of the transaction has happened.
pub fn a_frame_may_be_lost_with_its_daemon() {
    let mut keeper = Keeper::started(plan(&["db", "api:db"]));
    // The very first one: another daemon starts anew.
    let lost = keeper.frame();
    keeper.lose_daemon();
    keeper.start_daemon();
    let again = keeper.frame();
    assert_eq!(spawns(&again.commands), spawns(&lost.commands));
    keeper.handle(again);
    // One that acknowledges.
    let lost = keeper.frame();
    assert_eq!(lost.ack, 1);
    keeper.lose_daemon();
    keeper.start_daemon();
    keeper.until("the other", |keeper| keeper.spawned.len() == 2);
    keeper.wait_state("api", StateName::Running);
    // The end of a run, that leads to the next one.
    keeper.exits(RunId(1), Exit::Code(9));
    let lost = keeper.frame();
    assert_eq!(spawns(&lost.commands), [("db".to_owned(), 3)]);
    keeper.lose_daemon();
    keeper.start_daemon();
    keeper.until("the restart", |keeper| keeper.spawned.len() == 3);
    keeper.wait_state("db", StateName::Running);
    assert_eq!(keeper.service("db").restarts, 1);
    assert_eq!(keeper.spawned.len(), 3);
    keeper.check_events();
}

fn spawns(commands: &[Command]) -> Vec<(String, u64)> {
    let spawns = commands.iter().filter_map(|command| match command {
        Command::Spawn(spawn) => Some((spawn.container.clone(), spawn.run)),
        _ => None,
    });
    spawns.collect()
}

fn job(service: &str) -> AddService {
    let mut plan = ServicePlan::default();
    plan.launch.command = vec!["/opt/job".into()];
    AddService { name: name(service), plan }
}

pub fn added_and_removed_services_are_kept() {
    let mut keeper = Keeper::started(plan(&["web"]));
    keeper.ask(async |client| client.add(&job("one")).await);
    keeper.ask(async |client| client.add(&job("two")).await);
    // It is answered for when it is on disk.
    let stored = read_plan(&keeper.dirs.state).unwrap();
    assert_eq!(stored.config.as_deref(), Some("/etc/shop.toml"));
    assert_eq!(
        stored.plan.services.keys().map(|name| name.as_str()).collect::<Vec<_>>(),
        ["one", "two", "web"]
    );
    let mut one = job("one").plan;
    one.stop.fit(mainstay_sys::IS_WINDOWS);
    assert_eq!(stored.plan.services["one"], one);
    keeper.wait_state("two", StateName::Running);
    keeper.ask(async |client| client.action(&name("one"), Action::Remove).await);
    keeper.until("its end", |keeper| {
        keeper.obey();
        read_plan(&keeper.dirs.state).unwrap().plan.services.len() == 2
    });
    // Nothing about it stays with the keeper.
    let of_one = |key: &String| key.starts_with("daemon/plan/") || key.contains("one");
    keeper.until("a clean state", |keeper| !keeper.state.keys().any(of_one));
    keeper.replace_daemon();
    keeper.wait_state("two", StateName::Running);
    let stack = keeper.ask(async |client| client.stack().await);
    assert_eq!(stack.services.len(), 2);
    assert_eq!(keeper.spawned.len(), 3);
    keeper.check_events();
}

pub fn an_added_service_survives_before_it_is_on_disk() {
    let mut keeper = Keeper::started(plan(&["web"]));
    keeper.wait_state("web", StateName::Running);
    let old = std::fs::read(plan_path(&keeper.dirs.state)).unwrap();
    keeper.ask(async |client| client.add(&job("one")).await);
    // The frame that holds the change, and not the one that says that the file is written.
    keeper.until("the addition", |keeper| keeper.state.contains_key("daemon/plan/one"));
    keeper.lose_daemon();
    std::fs::write(plan_path(&keeper.dirs.state), old).unwrap();
    keeper.start_daemon();
    keeper.wait_state("one", StateName::Running);
    keeper.until("the file", |keeper| read_plan(&keeper.dirs.state).unwrap().plan.services.len() == 2);
    keeper.until("a clean state", |keeper| !keeper.state.contains_key("daemon/plan/one"));
    assert_eq!(keeper.spawned.len(), 2);
}

pub fn a_recording_over_two_daemons_replays() {
    let mut stack = plan(&["db", "api:db", "web"]);
    let web = stack.services.get_mut("web").unwrap();
    web.live = Some(crate::probes::probe(mainstay_core::Check::Exec(vec!["check".into()])));
    let mut keeper = Keeper::started(stack);
    for service in ["api", "web"] {
        keeper.wait_state(service, StateName::Running);
    }
    let recording = keeper.ask(async |client| client.record(Record { on: true }).await);
    assert!(recording.on);
    let crash = |keeper: &mut Keeper, service: &str| {
        let run = keeper.run_of(service).unwrap();
        keeper.exits(run, Exit::Code(0));
        keeper.until("the next", |keeper| keeper.run_of(service).is_some_and(|next| next != run));
        keeper.wait_state(service, StateName::Running);
    };
    // The commands of probes take numbers in between.
    let helper = keeper.wait_run("web.probe-live");
    keeper.exits(helper, Exit::Code(0));
    crash(&mut keeper, "api");
    keeper.replace_daemon();
    crash(&mut keeper, "db");
    let helper = keeper.wait_run("web.probe-live");
    keeper.exits(helper, Exit::Code(0));
    keeper
        .until("the probe", |keeper| keeper.service("web").probes.iter().any(|probe| probe.ok == Some(true)));
    let recording = keeper.ask(async |client| client.record(Record { on: false }).await);
    assert!(!recording.on);

    let text = std::fs::read_to_string(&recording.file).unwrap();
    let parsed = Recording::parse(&text).unwrap();
    assert!(!parsed.torn);
    assert_eq!(parsed.inputs.len() as u64, recording.inputs);
    let mut again = replay(&parsed);
    let mut spawned = Vec::new();
    for (_, _, effects) in again.by_ref() {
        spawned.extend(effects.into_iter().filter_map(|effect| match effect {
            Effect::Spawn { service, run } => Some((service.to_string(), run.0)),
            _ => None,
        }));
    }
    let really: Vec<(String, u64)> = keeper.spawned.iter().map(|s| (s.container.clone(), s.run)).collect();
    let services: Vec<_> = really.into_iter().filter(|(name, _)| !name.contains("probe")).skip(3).collect();
    assert_eq!(spawned, services);
    for service in ["db", "api", "web"] {
        let replayed = again.supervisor().service_status(service).unwrap();
        let real = keeper.service(service);
        assert_eq!((replayed.state, replayed.run.map(|run| run.0)), (real.state, real.run));
        assert_eq!(replayed.restarts, real.restarts);
    }
}
