//! Large stacks come up and go down under all rules, and what has to be done about it stays proportional to their
//! size. Counted in inputs and effects, which do not depend on the machine.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics")]

use std::time::Duration;

use mainstay_core::{Condition, Plan, Request, ServicePlan};
use mainstay_sim::plans::name;
use mainstay_sim::world::{Count, World};

/// So many services, each with those that it depends on.
fn stack(many: usize, needs: impl Fn(usize) -> Vec<usize>) -> Plan {
    let service = |number: usize| {
        let depends_on = needs(number).into_iter().map(|on| (name(on), Condition::Started)).collect();
        (name(number), ServicePlan { depends_on, ..ServicePlan::default() })
    };
    Plan { stack: "scale".into(), services: (0..many).map(service).collect(), ..Plan::default() }
}

/// All up, all down; what that took.
fn up_and_down(plan: Plan) -> Count {
    let many = plan.services.len();
    let mut world = World::large(plan, 1).unwrap();
    world.request(Request::Up).unwrap();
    let by = world.now().after(Duration::from_secs(60));
    world.run_until(by, |world| world.count.spawns as usize == many).unwrap();
    world.run_for(Duration::from_secs(1)).unwrap();
    for number in 0..many {
        assert!(world.is_up(&name(number), false), "{} is {}", name(number), world.state(&name(number)));
    }
    world.request(Request::Down).unwrap();
    let by = world.now().after(Duration::from_secs(60));
    world.run_until(by, |_| false).unwrap();
    assert!(world.over, "not down by {by}");
    let count = world.count;
    assert_eq!(count.spawns as usize, many, "some were started more than once");
    // Up and down, and for each process: made, its word, gone; and a tick now and then.
    assert!(count.inputs as usize <= 4 * many + 10, "{count:?} for {many}");
    assert!(count.effects as usize <= 16 * many + 10, "{count:?} for {many}");
    count
}

#[test]
fn a_thousand_services_side_by_side() {
    let few = up_and_down(stack(100, |_| Vec::new()));
    let many = up_and_down(stack(1_000, |_| Vec::new()));
    assert!(many.effects <= 10 * few.effects + 10, "{few:?}, {many:?}");
}

#[test]
fn five_hundred_dependents_at_the_end_of_a_chain_of_fifty() {
    up_and_down(stack(550, |number| match number {
        0 => Vec::new(),
        1..50 => vec![number - 1],
        _ => vec![49],
    }));
}

#[test]
fn a_tree_fifty_deep_and_five_hundred_wide() {
    // Fifty layers; whoever is in one needs two of the layer below.
    up_and_down(stack(1_000, |number| match number.checked_sub(20) {
        None => Vec::new(),
        Some(below) => vec![below, (below / 20) * 20 + (below + 1) % 20],
    }));
    // One that five hundred need, and one that needs all of them.
    up_and_down(stack(502, |number| match number {
        0 => Vec::new(),
        501 => (1..501).collect(),
        _ => vec![0],
    }));
}
