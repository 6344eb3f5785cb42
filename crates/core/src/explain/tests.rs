//! Explanations of every state, and the meaning of every number in the tables.

use super::*;

fn render(explanation: &Explanation) -> String {
    let mut text = format!("{}\n", explanation.headline);
    for line in &explanation.because {
        text.push_str(&format!("  {line}\n"));
    }
    for line in [&explanation.next, &explanation.asked].into_iter().flatten() {
        text.push_str(&format!("  {line}\n"));
    }
    for end in &explanation.ends {
        text.push_str(&format!("  end: {}\n", end.text));
    }
    for finding in &explanation.findings {
        text.push_str(&format!("  found: {} <- {}\n", finding.what, finding.line));
    }
    for to_do in &explanation.to_do {
        text.push_str(&format!("  do: {} [{}]\n", to_do.text, to_do.command.as_deref().unwrap_or("")));
    }
    text
}

fn ended(exit: Exit) -> End {
    let after = Some(Duration::from_millis(1_200));
    End { at: "2026-11-22T19:12:03.123Z".to_owned(), run: Some(7), exit: Some(exit), after, ..End::default() }
}

fn facts(state: StateName) -> Facts {
    let mut facts = Facts::new("shop", "api", state);
    facts.since = Some(Duration::from_secs(303));
    facts.asked = Some(Asked {
        by: "root (mainstay, pid 4242)".to_owned(),
        what: "start".to_owned(),
        at: "2026-11-22T19:12:03.123Z".to_owned(),
        ago: Some(Duration::from_secs(600)),
    });
    facts
}

fn fallen(state: StateName, exit: Exit, output: &[&str]) -> Facts {
    let mut it = facts(state);
    it.reason = format!("{exit}; restart 3 in a row in 2 s");
    it.last_exit = Some(exit);
    it.ends = vec![ended(exit), ended(exit)];
    it.restarts = 3;
    it.next_start = (state == StateName::Backoff).then_some(Duration::from_millis(1_500));
    it.output = output.iter().map(|line| (*line).to_owned()).collect();
    it
}

#[test]
fn every_state() {
    let mut text = String::new();
    for state in StateName::ALL {
        let mut it = facts(state);
        it.reason = "asked by root (mainstay, pid 4242)".to_owned();
        if state.is_started() {
            (it.pid, it.uptime) = (Some(1250), Some(Duration::from_secs(290)));
        }
        text.push_str(&render(&explain(&it)));
    }
    insta::assert_snapshot!("every_state", text);
}

#[test]
fn stories() {
    let mut text = String::new();
    let mut tell = |title: &str, facts: &Facts| {
        text.push_str(&format!("=== {title}\nshort: {}\n{}", short(facts), render(&explain(facts))));
    };
    let backoff = StateName::Backoff;
    tell(
        "a port in use",
        &fallen(backoff, Exit::Code(1), &["starting", "listen tcp :8080: bind: address already in use"]),
    );
    let library = "./api: error while loading shared libraries: libpq.so.5: cannot open shared object file";
    tell("a library is missing", &fallen(StateName::Failed, Exit::Code(127), &[library]));
    tell("a segmentation fault", &fallen(backoff, Exit::Signal(11), &[]));
    tell("killed by nobody knows whom", &fallen(backoff, Exit::Signal(9), &["working"]));

    let mut oom = fallen(backoff, Exit::Signal(9), &[]);
    oom.ends[0].out_of_memory = Some("Memory cgroup out of memory: Killed process 1250 (api)".to_owned());
    tell("out of memory", &oom);

    let mut late = fallen(StateName::Failed, Exit::Signal(9), &[]);
    late.ends[0].step = Some("kill of the whole tree".to_owned());
    late.ends[0].stopped_for = Some("live probe fails: no answer in 1 s".to_owned());
    tell("killed by Mainstay", &late);

    let mut windows = fallen(backoff, Exit::Code(0xC000_0135), &[]);
    windows.windows = true;
    tell("a DLL is missing", &windows);

    let mut unmade = facts(StateName::Failed);
    unmade.reason = "could not be started: program not found: ./api".to_owned();
    let error = Some("program not found: ./api".to_owned());
    unmade.ends = vec![End { error, ..End::default() }];
    tell("no program", &unmade);

    let mut waits = facts(StateName::Starting);
    waits.reason = "waits for web".to_owned();
    waits.waits = vec![Wait {
        what: "web is not ready yet (starting: waits for db)".to_owned(),
        root: Some(("db".to_owned(), "exit code 3; next start in 4 s".to_owned())),
    }];
    tell("waits for another", &waits);

    let mut probed = facts(StateName::Running);
    probed.reason = "process 1250 runs".to_owned();
    let ago = Some(Duration::from_secs(1));
    let detail = "503 Service Unavailable".to_owned();
    probed.probes = vec![Seen { probe: ProbeKind::Ready, ok: Some(false), detail, failures: 4, ago }];
    probed.output = vec!["dial tcp 127.0.0.1:5432: connect: connection refused".to_owned()];
    tell("not ready", &probed);

    let mut stopping = facts(StateName::Stopping);
    stopping.reason = "asked by root".to_owned();
    stopping.stop_step = Some("SIGTERM, then waits 10 s".to_owned());
    tell("in a stop", &stopping);

    let mut looping = fallen(StateName::Running, Exit::Code(12), &[]);
    (looping.crash_loop, looping.restarts, looping.log_lost) = (true, 12, 4_000);
    looping.reason = "process 1250 runs".to_owned();
    tell("a crash loop", &looping);

    let mut down = facts(StateName::Stopped);
    (down.up, down.since, down.asked) = (false, None, None);
    down.last_exit = Some(Exit::Code(0));
    tell("the stack is down", &down);
    insta::assert_snapshot!("stories", text);
}

#[test]
fn every_number() {
    let mut text = String::new();
    let mut tell = |exit: Exit, windows: bool| {
        let meaning = meaning(exit, windows);
        let (name, what, hint) = meaning.map_or(Default::default(), |meaning| {
            (meaning.name.unwrap_or_default(), meaning.meaning, meaning.hint.unwrap_or_default())
        });
        text.push_str(&format!("{exit} | {name} | {what} | {hint}\n"));
    };
    (1..=31).chain([34, 64, 65]).for_each(|number| tell(Exit::Signal(number), false));
    (0..=256).chain([-1]).for_each(|code| tell(Exit::Code(code), false));
    tell(Exit::Unknown, false);
    let windows = [
        0,
        1,
        2,
        3,
        5,
        42,
        126,
        193,
        259,
        9009,
        10048,
        -1,
        -1_073_741_819,
        0xFFFF_FFFF,
        0x4001_0004,
        0x8000_0003,
        0x8000_8096,
        0x8007_0002,
        0x8007_04CF,
        0x8013_1506,
        0x8013_1999,
        0xC000_0005,
        0xC000_0017,
        0xC000_001D,
        0xC000_007B,
        0xC000_0094,
        0xC000_00FD,
        0xC000_0135,
        0xC000_0139,
        0xC000_013A,
        0xC000_0142,
        0xC000_0374,
        0xC000_0409,
        0xC000_0417,
        0xC000_0999,
        0xC06D_007E,
        0xE043_4352,
        0xE06D_7363,
        0xE123_4567,
        0x0EED_FADE,
        0x1_0000_0000,
    ];
    windows.into_iter().for_each(|code| tell(Exit::Code(code), true));
    insta::assert_snapshot!("every_number", text);
}

#[test]
fn a_number_is_not_taken_for_the_beginning_of_another() {
    let mut it = fallen(StateName::Backoff, Exit::Code(12), &[]);
    it.reason = "exit code 127; restart".to_owned();
    assert!(short(&it).starts_with("exit code 127; restart"));
}

#[test]
fn only_so_many_ends_are_told() {
    let mut it = facts(StateName::Backoff);
    it.ends = vec![ended(Exit::Code(1)); 50];
    assert_eq!(explain(&it).ends.len(), MAX_ENDS);
}
