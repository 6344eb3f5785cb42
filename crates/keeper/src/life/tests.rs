use proptest::prelude::*;

use super::*;

fn at(millis: u64) -> Time {
    Time::from_nanos(millis * 1_000_000)
}

fn life() -> Life {
    Life::new("old".into(), at(0))
}

/// Starts one that says hello at once and answers.
fn healthy(life: &mut Life, now: u64) {
    assert_eq!(life.tick(at(now)), Some(Wish::Start));
    life.started(at(now));
    let ping = life.hello(at(now));
    life.pong(ping, at(now));
}

/// The time of the next start.
fn next_start(life: &Life) -> u64 {
    let Phase::Absent { until } = life.phase else { panic!("{:?}", life.phase) };
    until.as_nanos() / 1_000_000
}

#[test]
fn the_first_death_is_answered_at_once_and_later_ones_after_a_growing_pause() {
    let mut life = life();
    let mut now = 0;
    let mut pauses = Vec::new();
    for _ in 0..10 {
        assert_eq!(life.tick(at(now)), Some(Wish::Start));
        life.started(at(now));
        now += 5;
        assert_eq!(life.gone("it ended with exit code 1", at(now)), None);
        let next = next_start(&life);
        pauses.push(next - now);
        now = next;
        if next > 0 {
            assert_eq!(life.tick(at(now - 1)), None);
        }
    }
    assert_eq!(pauses, [0, 100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000]);
    assert_eq!((life.reason(), life.stillborn()), ("it ended with exit code 1", 10));
    // One that works forgives all.
    healthy(&mut life, now);
    life.gone("signal SIGKILL", at(now + 20_000));
    assert_eq!(next_start(&life), now + 20_000);
}

#[test]
fn a_daemon_killed_again_and_again_while_it_works_is_back_soon() {
    let mut life = life();
    let mut now = 0;
    for _ in 0..200 {
        healthy(&mut life, now);
        now += 50;
        life.gone("signal SIGKILL", at(now));
        let next = next_start(&life);
        assert!(next - now <= 250);
        now = next;
    }
}

#[test]
fn one_that_does_not_answer_is_killed_and_replaced() {
    let mut life = life();
    healthy(&mut life, 0);
    let mut pings = Vec::new();
    let (killed, now) = loop {
        let now = life.next_deadline().unwrap().as_nanos() / 1_000_000;
        match life.tick(at(now)).unwrap() {
            Wish::Ping(n) => pings.push(n),
            wish => break (wish, now),
        }
        assert!(now < 60_000);
    };
    assert_eq!((killed, now, pings.len()), (Wish::Kill, 12_000, 4));
    assert!(!life.is_up());
    // It is stuck in the kernel: killed again, until it is gone.
    assert_eq!(life.tick(at(now + 1000)), Some(Wish::Kill));
    assert_eq!(life.gone("signal SIGKILL", at(now + 1100)), None);
    assert_eq!(life.reason(), "it did not answer for 12 s");
    assert_eq!(next_start(&life), now + 1100);
}

#[test]
fn a_machine_that_stood_still_is_not_a_daemon_that_hangs() {
    let mut life = life();
    healthy(&mut life, 0);
    let Some(Wish::Ping(n)) = life.tick(at(3_600_000)) else { panic!("one question at a time") };
    assert_eq!(life.tick(at(3_600_001)), None);
    life.pong(n, at(3_600_100));
    assert!(life.is_up());
}

#[test]
fn one_that_never_says_hello_is_given_up() {
    let mut life = life();
    life.started(at(0));
    assert_eq!(life.tick(at(9_999)), None);
    assert_eq!(life.tick(at(10_000)), Some(Wish::Kill));
    life.gone("signal SIGKILL", at(10_010));
    assert_eq!(life.reason(), "it said nothing for 10 s after its start");
}

#[test]
fn a_replacement_that_does_not_come_up_gives_way_to_the_one_before() {
    let mut life = life();
    healthy(&mut life, 0);
    assert_eq!(life.replace("new".into(), at(100)), Wish::Kill);
    assert_eq!(life.gone("signal SIGKILL", at(110)), None);
    assert_eq!((life.exe(), next_start(&life)), (Path::new("new"), 110));
    assert_eq!(life.reason(), "it was replaced, as somebody asked");
    life.started(at(110));
    let failed = life.gone("it ended with exit code 7", at(120));
    assert_eq!(
        failed,
        Some(Wish::ReplaceFailed("the daemon made from new failed: it ended with exit code 7".into()))
    );
    assert_eq!((life.exe(), next_start(&life)), (Path::new("old"), 120));

    // It hangs instead.
    healthy(&mut life, 120);
    life.replace("new".into(), at(200));
    life.gone("signal SIGKILL", at(210));
    life.started(at(210));
    assert_eq!(life.tick(at(10_210)), Some(Wish::Kill));
    let failed = life.gone("signal SIGKILL", at(10_220));
    assert!(matches!(failed, Some(Wish::ReplaceFailed(_))), "{failed:?}");

    // It says hello and falls over what it was handed.
    healthy(&mut life, 10_220);
    life.replace("new".into(), at(10_300));
    life.gone("signal SIGKILL", at(10_310));
    life.started(at(10_310));
    life.hello(at(10_320));
    assert_eq!(life.gone("signal SIGKILL", at(10_325)), None, "perhaps somebody killed it");
    assert_eq!(life.exe(), Path::new("new"));
    life.started(at(10_325));
    life.hello(at(10_328));
    assert!(matches!(life.gone("exit code 101", at(10_330)), Some(Wish::ReplaceFailed(_))));
    assert_eq!(life.exe(), Path::new("old"));
}

#[test]
fn one_that_cannot_be_started_is_no_longer_life_of_the_one_before() {
    let mut life = life();
    healthy(&mut life, 0);
    life.gone("signal SIGKILL", at(60_000));
    let mut pauses = Vec::new();
    let mut now = 60_000;
    for _ in 0..4 {
        assert_eq!(life.tick(at(now)), Some(Wish::Start));
        assert_eq!(life.failed_to_start("no such file", at(now)), None);
        pauses.push(next_start(&life) - now);
        now = next_start(&life);
    }
    assert_eq!(pauses, [0, 100, 200, 400]);
    healthy(&mut life, now);
    life.replace("new".into(), at(now));
    life.gone("signal SIGKILL", at(now));
    let failed = life.failed_to_start("no such file", at(now));
    assert!(matches!(failed, Some(Wish::ReplaceFailed(_))));
    assert_eq!(life.exe(), Path::new("old"));
}

#[test]
fn a_replacement_that_works_stays() {
    let mut life = life();
    healthy(&mut life, 0);
    life.replace("new".into(), at(100));
    life.gone("signal SIGKILL", at(110));
    healthy(&mut life, 110);
    assert_eq!(life.gone("signal SIGKILL", at(120)), None);
    assert_eq!((life.exe(), life.predecessors()), (Path::new("new"), 1));
}

proptest! {
    #[test]
    fn there_is_never_more_than_one_and_always_one_to_come(
        steps in prop::collection::vec((0_u8..8, 0_u64..15_000), 0..200),
    ) {
        let mut life = life();
        let (mut now, mut alive) = (0, false);
        for (step, wait) in steps {
            now += wait;
            let wish = match step {
                0..=3 => life.tick(at(now)),
                4 if alive => { life.hello(at(now)); None }
                5 if alive => { life.pong(life.ping, at(now)); None }
                6 if alive => { alive = false; life.gone("gone", at(now)) }
                7 if alive => Some(life.replace("new".into(), at(now))),
                _ => None,
            };
            match wish {
                Some(Wish::Start) => {
                    prop_assert!(!alive, "a second daemon");
                    alive = true;
                    life.started(at(now));
                }
                Some(Wish::Kill) => prop_assert!(alive),
                Some(Wish::Ping(_)) => prop_assert!(alive && life.is_up()),
                Some(Wish::ReplaceFailed(_)) => prop_assert!(!alive),
                None => {}
            }
            let due = life.next_deadline();
            prop_assert!(due.is_some_and(|due| due <= at(now).after(HELLO_WITHIN)), "{:?} at {}", due, now);
        }
    }
}
