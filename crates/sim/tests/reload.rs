//! Changed configurations: however services end, whoever asks for what, and whenever daemons die, a stack is in the end
//! what the new configuration says, or what the old one said. Never something in between.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::collections::BTreeMap;
use std::time::Duration;

use mainstay_core::{
    Check, Condition, ConfigFile, Exit, OnChange, Piece, Plan, ProbePlan, Request, RunId, SecretText,
    ServiceName, ServicePlan, StopAction, StopPlan,
};
use mainstay_sim::plans::name;
use mainstay_sim::rng::Rng;
use mainstay_sim::transition::{Answer, Conduct, DaemonDeath};
use mainstay_sim::world::{SECRET, World, filled, marks};

const HISTORIES: u64 = 400;
const PATH: &str = "/etc/app.json";

/// A service whose secret, if it has one, has this value.
fn service(rng: &mut Rng, earlier: usize, value: &str) -> ServicePlan {
    let mut plan = ServicePlan::default();
    plan.launch.command = vec!["program".to_owned(), rng.below(3).to_string()];
    plan.description = Some(rng.below(3).to_string());
    plan.stop = StopPlan { timeout: Duration::from_secs(3), ..StopPlan::default() };
    if rng.chance(50) {
        plan.ready = Some(ProbePlan {
            check: Check::Tcp(format!("localhost:{}", rng.range(1, 2))),
            initial_delay: Duration::ZERO,
            interval: Duration::from_secs(1),
            timeout: Duration::from_secs(1),
            failures: 1,
            successes: 1,
        });
    }
    if rng.chance(50) {
        let number = rng.below(3).to_string();
        let secret = rng.chance(50).then_some(Piece::Secret(SECRET, Vec::new()));
        if secret.is_some() {
            plan.config.secrets = marks(value);
        }
        let content = SecretText::of([Piece::Text(number.into())].into_iter().chain(secret));
        let file = ConfigFile { content, ..ConfigFile::default() };
        plan.config.files.insert(PATH.to_owned(), file);
        let how = [OnChange::Restart, OnChange::Nothing, OnChange::Signal(StopAction::Signal(1))];
        plan.config.on_change = rng.pick(&how).clone();
    }
    for on in 0..earlier {
        if rng.chance(30) {
            let condition = if rng.chance(50) { Condition::Ready } else { Condition::Started };
            plan.depends_on.insert(name(on), condition);
        }
    }
    plan
}

/// Some of six services. Which one depends on which goes by their numbers.
fn plan(rng: &mut Rng, value: &str) -> Plan {
    let mut plan = Plan { stack: "sim".into(), ..Plan::default() };
    plan.reload.timeout = Duration::from_secs(10);
    plan.reload.at_once = u32::try_from(rng.range(1, 3)).unwrap();
    for number in 0..6 {
        if rng.chance(75) {
            let mut it = service(rng, number, value);
            it.depends_on.retain(|on, _| plan.services.contains_key(on));
            plan.services.insert(name(number), it);
        }
    }
    plan
}

/// Without what is noted of values of secrets: a start takes the present one.
fn without_marks(mut plan: Plan) -> Plan {
    plan.services.values_mut().for_each(ServicePlan::forget_marks);
    plan
}

fn has_secret(plan: &Plan, name: &ServiceName) -> bool {
    plan.services.get(name).is_some_and(|plan| !plan.config.secret_names().is_empty())
}

/// What is in the file of a service, and the value of the secret there.
fn expected(plan: &ServicePlan) -> (String, &str) {
    let value = plan.config.secrets.get(SECRET).map_or("", String::as_str);
    (format!("{PATH}={};", filled(&plan.config.files[PATH].content, value)), value)
}

/// The file is what the plan says, that is noted, and its program knows it.
fn assert_files(world: &World, name: &ServiceName, plan: &ServicePlan) {
    let (file, read) = world.os.files(name);
    assert_eq!(file, expected(plan).0, "{name} has the files of its plan");
    if !plan.config.secret_names().is_empty() {
        assert_eq!(plan.config.notes.contents.get(PATH), Some(&file), "{name}: it is noted");
    }
    if plan.config.on_change != OnChange::Nothing {
        assert_eq!(read.as_ref(), Some(&file), "{name} knows its files");
    }
}

/// The run of each service that has one.
fn runs(world: &World) -> BTreeMap<ServiceName, RunId> {
    world.plan().services.keys().filter_map(|name| Some((name.clone(), world.os.run_of(name)?))).collect()
}

fn history(seed: u64) -> String {
    let mut rng = Rng::new(seed);
    let values = ["first", if rng.chance(50) { "first" } else { "second" }];
    let (old, mut new) = (plan(&mut rng, values[0]), plan(&mut rng, values[1]));
    let mut world = World::changing(old.clone(), seed).unwrap();
    values[0].clone_into(&mut world.secret);
    world.request(Request::Up).unwrap();
    world.run_for(Duration::from_secs(30)).unwrap();
    let before = runs(&world);
    assert_eq!(before.len(), old.services.len(), "all are up");

    // One that is new in the new configuration may be no good.
    let added: Vec<&ServiceName> =
        new.services.keys().filter(|name| !old.services.contains_key(*name)).collect();
    let broken = (!added.is_empty() && rng.chance(50)).then(|| (*rng.pick(&added)).clone());
    if let Some(broken) = &broken {
        let life = Some((Duration::from_millis(300), Exit::Code(1)));
        let answers = [Answer::Hangs; 3];
        world.os.set_conduct(broken, Conduct { spawns: rng.chance(50), life, answers, ..Conduct::perfect() });
    }
    // Or its files are refused, or its program cannot be told of them, or nobody ever answers.
    let files_change = |name: &&ServiceName| {
        let (was, is) = (old.services.get(*name), new.services.get(*name));
        let writes = was.zip(is).is_some_and(|(was, is)| is.config.writes_over(&was.config));
        writes && was.map(|it| &it.launch) == is.map(|it| &it.launch)
    };
    let changed: Vec<&ServiceName> = new.services.keys().filter(files_change).collect();
    let refuses = (!changed.is_empty() && rng.chance(40)).then(|| (*rng.pick(&changed)).clone());
    if let Some(refuses) = &refuses {
        let takes = rng.millis(1, 3_000);
        let files = *rng.pick(&[Answer::Bad(takes), Answer::TooLate(takes), Answer::Lost]);
        world.os.conduct_mut(refuses).files = files;
    }
    values[1].clone_into(&mut world.secret);
    for (name, plan) in &mut new.services {
        if let Some(running) = world.plan().services.get(name) {
            plan.config.notes = running.config.notes.clone();
        }
    }
    world.apply(2, new.clone()).unwrap();
    assert!(world.plan().services.len() >= old.services.len().min(new.services.len()));
    let mut disturbed = false;
    for _ in 0..rng.below(12) {
        match rng.below(4) {
            0 => {
                let (after_inputs, away) = (rng.below(6), rng.millis(1, 3_000));
                let frame_arrives = rng.chance(50);
                world.set_death(Some(DaemonDeath { after_inputs, frame_arrives, away })).unwrap();
            }
            1 => {
                let names: Vec<ServiceName> = world.plan().services.keys().cloned().collect();
                if !names.is_empty() {
                    world.os.main_ends(rng.pick(&names), Exit::Code(1));
                    disturbed = true;
                }
            }
            _ => {}
        }
        world.run_for(rng.millis(1, 4_000)).unwrap();
    }
    world.set_death(None).unwrap();
    world.run_for(Duration::from_secs(600)).unwrap();

    let applying = world.daemon().unwrap().supervisor().applying();
    assert_eq!(applying, None, "it comes to an end");
    let (now, after) = (world.plan().clone(), runs(&world));
    let made = now.services.clone();
    let [old, new, now] = [old, new, now].map(without_marks);
    let outcome = if now == new { "new" } else { "old" };
    assert!(now == new || now == old, "something in between");
    if broken.is_none() && refuses.is_none() && !disturbed {
        assert_eq!(now, new, "nothing is wrong with it");
    }
    if refuses.is_some() && !disturbed {
        assert_eq!(now, old, "its files are not to be had");
    }
    if let Some(broken) = &broken {
        assert_ne!(now, new, "{broken} does not come up");
    }
    assert_eq!(after.len(), now.services.len(), "all are up");
    for (name, plan) in made.iter().filter(|(_, plan)| !plan.config.files.is_empty()) {
        if refuses.as_ref() != Some(name) {
            assert_files(&world, name, plan);
        } else if now == old && !disturbed && [&old, &new].iter().all(|plan| has_secret(plan, name)) {
            assert_eq!(expected(plan).1, values[0], "{name} has the value from before");
            assert_eq!(world.os.files(name).0, expected(plan).0);
        }
        // What refused or could not be told otherwise stays as it was, and nobody knows better. A value that was not tried
        // may be good.
    }
    for (name, run) in &before {
        let (was, is) = (old.services.get(name), new.services.get(name));
        let restarts = |plan: &ServicePlan| plan.config.on_change == OnChange::Restart;
        let told = refuses.is_none() && !was.is_some_and(restarts) && !is.is_some_and(restarts);
        let same_process = told && was.is_some() && was.map(|it| &it.launch) == is.map(|it| &it.launch);
        if same_process && !disturbed {
            assert_eq!(after.get(name), Some(run), "{name} has no reason to be restarted");
        }
    }
    world.request(Request::Down).unwrap();
    world.run_for(Duration::from_secs(120)).unwrap();
    assert!(world.over);
    outcome.to_owned()
}

#[test]
fn a_stack_is_what_the_new_or_the_old_configuration_says() {
    let mut outcomes: BTreeMap<String, u32> = BTreeMap::new();
    for seed in 0..HISTORIES {
        let outcome = std::panic::catch_unwind(|| history(seed));
        match outcome {
            Ok(outcome) => *outcomes.entry(outcome).or_default() += 1,
            Err(panic) => {
                eprintln!("seed {seed}");
                std::panic::resume_unwind(panic);
            }
        }
    }
    assert!(outcomes.len() == 2, "both come about: {outcomes:?}");
}
