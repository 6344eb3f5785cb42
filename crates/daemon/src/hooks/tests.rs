use super::*;
use mainstay_core::{PowerChange, RotationCause, SessionChange};
use mainstay_link::{Command, Spawn};

fn name(text: &str) -> ServiceName {
    ServiceName::new(text).unwrap()
}

fn hook(required: bool) -> Option<Hook> {
    Some(Hook { command: vec!["do".into()], timeout: Duration::from_secs(5), required })
}

/// A stack with one service `api` and hooks at all moments.
fn plan(required: bool) -> Plan {
    let hooks = mainstay_core::Hooks {
        before_start: hook(required),
        after_ready: hook(true),
        after_exit: hook(true),
        on_rotation: hook(true),
        ..mainstay_core::Hooks::default()
    };
    let service = ServicePlan { hooks, ..ServicePlan::default() };
    Plan { stack: "shop".into(), services: BTreeMap::from([(name("api"), service)]), ..Plan::default() }
}

struct Bench {
    hooks: Hooks,
    exec: Exec,
    plan: Plan,
    last: u64,
    now: Time,
}

impl Bench {
    fn new(plan: Plan) -> Bench {
        Bench { hooks: Hooks::new("/log".into()), exec: Exec::default(), plan, last: 100, now: Time::ZERO }
    }

    /// So many of its files are closed.
    fn rotates(&mut self, log: &str, number: u64) {
        let rotation = Rotation { log: log.into(), first: number, last: number, why: RotationCause::Size };
        let facts = HookFacts { rotation: Some(rotation), ..HookFacts::default() };
        self.hooks.want(&name("api"), RunId(3), HookMoment::OnRotation, facts);
    }

    fn want(&mut self, run: u64, moment: HookMoment) {
        let facts = HookFacts { reason: "why".into(), ..HookFacts::default() };
        self.hooks.want(&name("api"), RunId(run), moment, facts);
    }

    /// One turn of the driver: what the core is told, and the processes that are started.
    fn turn(&mut self) -> (Vec<Input>, Vec<Spawn>) {
        for (service, seq, outcome) in self.exec.take_hooks() {
            self.hooks.ended(&service, seq, outcome, &self.plan);
        }
        let told = self.hooks.go_on(self.now, &self.plan, &mut self.exec);
        let last = &mut self.last;
        let commands = self.exec.take_commands(
            || {
                *last += 1;
                RunId(*last)
            },
            |_| Ok(BTreeMap::new()),
        );
        let spawns = commands.into_iter().filter_map(|command| match command {
            Command::Spawn(spawn) => Some(*spawn),
            _ => None,
        });
        (told, spawns.collect())
    }

    fn exits(&mut self, code: i64) {
        self.exec.heard(RunId(self.last), crate::probes::Helper::Exited(Exit::Code(code), true));
    }
}

fn done(moment: HookMoment, run: u64, ok: bool, detail: &str) -> Input {
    Input::HookDone { service: name("api"), run: RunId(run), moment, ok, detail: detail.into() }
}

#[test]
fn one_at_a_time_and_in_order() {
    let mut bench = Bench::new(plan(true));
    bench.want(3, HookMoment::AfterExit);
    bench.want(4, HookMoment::BeforeStart);
    let (told, spawns) = bench.turn();
    assert!(told.is_empty());
    let [spawn] = &spawns[..] else { panic!("{spawns:?}") };
    assert_eq!(
        (spawn.container.as_str(), spawn.environment["MAINSTAY_HOOK"].as_str()),
        ("api.hook", "after_exit")
    );
    assert_eq!(spawn.environment["MAINSTAY_RUN"], "3");
    assert_eq!(spawn.log.as_ref().map(|log| log.name.as_str()), Some("api"));
    assert!(bench.turn().1.is_empty(), "the next one waits");
    bench.exits(0);
    let (told, spawns) = bench.turn();
    assert_eq!(told, [done(HookMoment::AfterExit, 3, true, "exit code 0")]);
    assert_eq!(spawns[0].environment["MAINSTAY_HOOK"], "before_start");
    bench.exits(0);
    let (told, spawns) = bench.turn();
    let prepared = Input::Prepared { run: RunId(4), error: None };
    assert_eq!(told, [done(HookMoment::BeforeStart, 4, true, "exit code 0"), prepared]);
    assert!(spawns.is_empty() && bench.hooks.is_idle());
}

#[test]
fn a_failure_keeps_from_the_start_only_if_it_is_required() {
    for (required, error) in [(true, Some("before_start: exit code 3".to_owned())), (false, None)] {
        let mut bench = Bench::new(plan(required));
        bench.want(4, HookMoment::BeforeStart);
        bench.turn();
        bench.exits(3);
        let told = bench.turn().0;
        assert_eq!(told[0], done(HookMoment::BeforeStart, 4, false, "exit code 3"));
        assert_eq!(told[1], Input::Prepared { run: RunId(4), error });
    }
}

#[test]
fn one_that_hangs_is_killed_and_counts_as_failed() {
    let mut bench = Bench::new(plan(true));
    bench.want(4, HookMoment::BeforeStart);
    bench.turn();
    bench.now = bench.exec.deadline().expect("it has a deadline");
    assert_eq!(bench.now, Time::ZERO.after(Duration::from_secs(5)));
    bench.exec.tick(bench.now);
    let told = bench.turn().0;
    let error = Some("before_start: did not end in 5s".to_owned());
    assert_eq!(told[1], Input::Prepared { run: RunId(4), error });
}

#[test]
fn a_start_without_a_hook_of_its_own_waits_for_the_ones_before() {
    let mut bench = Bench::new(plan(true));
    bench.plan.services.get_mut(&name("api")).unwrap().hooks.before_start = None;
    bench.want(3, HookMoment::AfterExit);
    bench.want(4, HookMoment::BeforeStart);
    assert!(bench.turn().0.is_empty());
    bench.exits(1);
    let told = bench.turn().0;
    assert_eq!(told[0], done(HookMoment::AfterExit, 3, false, "exit code 1"));
    assert_eq!(told[1], Input::Prepared { run: RunId(4), error: None });
}

#[test]
fn a_cancelled_preparation_is_ended_and_not_answered() {
    let mut bench = Bench::new(plan(true));
    bench.want(4, HookMoment::BeforeStart);
    bench.turn();
    bench.hooks.cancel(RunId(4), HookMoment::BeforeStart, &mut bench.exec);
    let killed = bench.exec.take_commands(|| panic!("nothing is started"), |_| Ok(BTreeMap::new()));
    assert_eq!(killed, [Command::Kill { run: RunId(101) }]);
    bench.exits(0);
    assert!(bench.turn().0.is_empty() && bench.hooks.is_idle());
}

#[test]
fn too_many_are_left_out_and_told_but_no_preparation_is() {
    let mut bench = Bench::new(plan(true));
    bench.want(1, HookMoment::BeforeStart);
    bench.turn();
    for run in 2..30 {
        bench.want(run, HookMoment::AfterExit);
    }
    bench.want(30, HookMoment::BeforeStart);
    let told = bench.turn().0;
    assert_eq!(told.len(), 30 - MAX_WAITING);
    assert_eq!(told[0], done(HookMoment::AfterExit, 2, false, "left out: too many hooks wait"));
    let left = &bench.hooks.queues[&name("api")];
    assert_eq!((left.len(), left.back().map(|job| job.run)), (MAX_WAITING, Some(RunId(30))));
}

#[test]
fn how_it_ended_is_in_the_environment() {
    let facts = HookFacts {
        reason: "signal SIGSEGV".into(),
        pid: Some(77),
        exit: Some(Exit::Signal(11)),
        ran: Some(Duration::from_millis(1_500)),
        restarts: 4,
        in_a_row: 2,
        ..HookFacts::default()
    };
    let job = Job { run: RunId(9), moment: HookMoment::AfterExit, facts, started: None };
    let variables: BTreeMap<_, _> =
        job.variables("shop", &name("api"), &hook(true).unwrap()).into_iter().collect();
    let get = |name: &str| variables[name].as_str();
    assert_eq!((get("MAINSTAY_EXIT_SIGNAL"), get("MAINSTAY_PID")), ("SIGSEGV", "77"));
    assert_eq!((get("MAINSTAY_RAN_MS"), get("MAINSTAY_RESTARTS_IN_A_ROW")), ("1500", "2"));
    assert_eq!((get("MAINSTAY_RESTARTS"), get("MAINSTAY_TIMEOUT_MS")), ("4", "5000"));
    assert_eq!((get("MAINSTAY_HOOK"), get("MAINSTAY_RUN")), ("after_exit", "9"));
    assert_eq!((get("MAINSTAY_REASON"), get("MAINSTAY_STACK")), ("signal SIGSEGV", "shop"));
    assert!(!variables.contains_key("MAINSTAY_EXIT_CODE"));
}

#[test]
fn what_happens_to_the_machine_is_in_the_environment() {
    let variables = |facts| -> BTreeMap<&str, String> {
        let job = Job { run: RunId(9), moment: HookMoment::OnPower, facts, started: None };
        job.variables("shop", &name("api"), &hook(true).unwrap()).into_iter().collect()
    };
    let asleep = variables(HookFacts { power: Some(PowerChange::Suspend), ..HookFacts::default() });
    assert_eq!(asleep["MAINSTAY_POWER"], "suspend");
    assert!(!asleep.contains_key("MAINSTAY_SESSION"));
    let locked = variables(HookFacts { session: Some((3, SessionChange::Lock)), ..HookFacts::default() });
    assert_eq!((locked["MAINSTAY_SESSION"].as_str(), locked["MAINSTAY_SESSION_ID"].as_str()), ("lock", "3"));
}

#[test]
fn a_stop_is_told_when_its_hook_is_over_also_if_there_is_none_any_more() {
    let mut bench = Bench::new(plan(true));
    let hooks = |bench: &mut Bench, hook| {
        bench.plan.services.get_mut(&name("api")).unwrap().hooks.before_stop = hook;
    };
    hooks(&mut bench, hook(true));
    bench.want(3, HookMoment::BeforeStop);
    assert_eq!(bench.turn().1[0].environment["MAINSTAY_HOOK"], "before_stop");
    bench.exits(1);
    assert_eq!(bench.turn().0, [done(HookMoment::BeforeStop, 3, false, "exit code 1")]);
    hooks(&mut bench, None);
    bench.want(4, HookMoment::BeforeStop);
    let detail = "nothing to be done: the configuration has changed";
    assert_eq!(bench.turn().0, [done(HookMoment::BeforeStop, 4, true, detail)]);
}

#[test]
fn a_stop_that_has_waited_for_long_enough_ends_its_hook_or_leaves_it_out() {
    for runs in [true, false] {
        let mut bench = Bench::new(plan(true));
        bench.plan.services.get_mut(&name("api")).unwrap().hooks.before_stop = hook(true);
        if !runs {
            bench.want(3, HookMoment::AfterReady);
        }
        bench.want(3, HookMoment::BeforeStop);
        bench.turn();
        bench.hooks.cancel(RunId(3), HookMoment::BeforeStop, &mut bench.exec);
        let killed = bench.exec.take_commands(|| panic!("nothing is started"), |_| Ok(BTreeMap::new()));
        assert_eq!(killed.len(), usize::from(runs), "what runs before it is nobody's business");
        bench.exits(0);
        let expected = if runs { vec![] } else { vec![done(HookMoment::AfterReady, 3, true, "exit code 0")] };
        assert_eq!(bench.turn().0, expected);
        assert!(bench.hooks.is_idle());
    }
}

#[test]
fn of_a_log_that_is_closed_again_and_again_one_hook_waits() {
    let mut bench = Bench::new(plan(true));
    bench.rotates("api", 4);
    let (_, spawns) = bench.turn();
    let told = |spawn: &Spawn| {
        let get = |name: &str| spawn.environment[name].clone();
        (get("MAINSTAY_LOG_FILE").replace('\\', "/"), get("MAINSTAY_LOG_FIRST"), get("MAINSTAY_LOG_NUMBER"))
    };
    assert_eq!(told(&spawns[0]), ("/log/api.log.000004".into(), "4".into(), "4".into()));
    assert_eq!(spawns[0].environment["MAINSTAY_ROTATION"], "size");
    for number in 5..1000 {
        bench.rotates("api", number);
        bench.rotates("api.err", number - 3);
    }
    assert_eq!(bench.hooks.held(), Held::from([("api".to_owned(), 4), ("api.err".to_owned(), 2)]));
    assert!(bench.turn().1.is_empty(), "one at a time");
    bench.exits(0);
    let (ended, spawns) = bench.turn();
    assert_eq!(ended, [done(HookMoment::OnRotation, 3, true, "exit code 0")], "nothing is left out");
    assert_eq!(told(&spawns[0]), ("/log/api.log.000999".into(), "5".into(), "999".into()));
    assert_eq!(bench.hooks.held(), Held::from([("api".to_owned(), 5), ("api.err".to_owned(), 2)]));
    bench.exits(1);
    let (_, spawns) = bench.turn();
    assert_eq!(told(&spawns[0]), ("/log/api.err.log.000996".into(), "2".into(), "996".into()));
    bench.exits(0);
    bench.turn();
    assert!(bench.hooks.is_idle() && bench.hooks.held().is_empty());
}
