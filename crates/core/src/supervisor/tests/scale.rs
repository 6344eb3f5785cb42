//! Thousands of services: the work of one input does not grow with their number. Counted in steps, not in time.

use std::collections::BTreeMap;

use crate::Condition::Started;
use crate::testing::{SEED, name, needs, service};
use crate::{Effect, Exit, Input, Plan, Request, RunId, ServicePlan, StateName, Supervisor, Time};

const MANY: u64 = 5_000;

fn supervisor(plan_of: impl Fn(u64) -> ServicePlan) -> Supervisor {
    let services: BTreeMap<_, _> = (0..MANY).map(|n| (name(&format!("s{n:04}")), plan_of(n))).collect();
    Supervisor::new(Plan { stack: "many".into(), services, ..Plan::default() }, SEED, Time::ZERO)
}

/// Does what is wanted at once, until nothing is. How many inputs that took.
fn obey(supervisor: &mut Supervisor) -> u64 {
    let mut inputs = 0;
    while let Some(effect) = supervisor.poll_effect() {
        let input = match effect {
            Effect::Spawn { run, .. } => Input::Spawned { run, pid: 1 },
            Effect::Signal { run, .. } => Input::Exited { run, exit: Exit::Code(0), tree_empty: true },
            _ => continue,
        };
        supervisor.handle(Time::ZERO, input);
        inputs += 1;
    }
    inputs
}

fn request(supervisor: &mut Supervisor, request: Request) {
    supervisor.handle(Time::ZERO, Input::Request { by: "root".into(), request });
}

fn states(supervisor: &Supervisor, state: StateName) -> usize {
    supervisor.status().iter().filter(|status| status.state == state).count()
}

fn up_and_down(mut supervisor: Supervisor) {
    request(&mut supervisor, Request::Up);
    assert_eq!(obey(&mut supervisor), MANY);
    assert_eq!(states(&supervisor, StateName::Running), 5_000);
    supervisor.take_dirty();
    supervisor.handle(Time::ZERO, Input::Exited { run: RunId(1), exit: Exit::Code(1), tree_empty: true });
    assert!(supervisor.take_dirty().len() <= 2, "one service and the stack");
    obey(&mut supervisor);
    request(&mut supervisor, Request::Down);
    obey(&mut supervisor);
    assert_eq!(states(&supervisor, StateName::Stopped), 5_000);
}

#[test]
fn side_by_side() {
    up_and_down(supervisor(|_| service()));
}

#[test]
fn all_on_one() {
    up_and_down(supervisor(|n| if n == 0 { service() } else { needs([("s0000", Started)]) }));
}

#[test]
fn one_on_all() {
    up_and_down(supervisor(|n| match n {
        0 => {
            let depends_on = (1..MANY).map(|n| (name(&format!("s{n:04}")), Started)).collect();
            ServicePlan { depends_on, ..service() }
        }
        _ => service(),
    }));
}

#[test]
fn in_a_chain() {
    up_and_down(supervisor(|n| match n {
        0 => service(),
        _ => needs([(format!("s{:04}", n - 1).as_str(), Started)]),
    }));
}
