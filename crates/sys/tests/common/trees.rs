//! What holds for every kind of container, whether we adopt orphans or not.

use std::time::{Duration, Instant};

use mainstay_sys::container::Signal;
use mainstay_sys::process;
use mainstay_sys::spawn::SpawnErrorKind;

use super::{HELPER, Run, Stack, directory, kill_and_wait, state, tagged, unique, until};

/// Every process of the tree is gone after a kill: children in sessions of their own, orphans, daemons.
pub fn the_whole_tree_ends(stack: &Stack) {
    let tag = unique("tree");
    let script = format!(
        "sleep 600.1 & setsid sleep 600.2 & (setsid sleep 600.3 &) ; (sh -c 'sleep 600.4; : {tag}' &)
         '{HELPER}' daemonize {tag} & (setsid sh -c 'sleep 600.5 & sleep 600.6; : {tag}' {tag} &)
         env -i setsid '{HELPER}' deaf {tag} &
         echo made; exec sleep 600"
    );
    let container = stack.container("tree");
    let other = stack.container("other");
    let (bystander, _output) = Run::new(&other, &["sleep", "600"]).captured();
    let (main, mut output) = Run::new(&container, &["sh", "-c", &script, &tag]).captured();
    output.until_line("made");
    until("the daemon, the deaf one and the shell are there", || {
        output.pump(Duration::ZERO);
        output.text().matches("ready").count() == 2 && tagged(&tag).len() >= 3
    });
    // sleep 600, 600.1 to 600.6, the shells around 600.4 and 600.5, three helpers; some shells become their sleep.
    let mut processes = Vec::new();
    until("all are there", || {
        processes = container.processes().expect("they can be listed");
        processes.len() >= 11
    });
    assert!(processes.contains(&main.pid));
    for pid in tagged(&tag) {
        assert!(processes.contains(&pid), "{pid} in {processes:?}");
    }
    assert!(!container.is_empty().expect("it can be asked"));
    kill_and_wait(&container);
    assert_eq!(tagged(&tag), [0_u32; 0]);
    for pid in processes {
        assert!(matches!(state(pid), None | Some('Z')), "{pid} is gone");
    }
    // Everything that could write is gone, so the output ends.
    output.until_end();
    assert!(process::is_alive(&bystander.id), "another container's process lives");
    kill_and_wait(&other);
}

/// The main process is gone, and the container is not empty until the last one is.
pub fn empty_means_nobody_is_left(stack: &Stack) {
    let container = stack.container("empty");
    assert!(container.is_empty().expect("it can be asked"), "nothing was started yet");
    let tag = unique("left");
    let script = format!("setsid '{HELPER}' deaf {tag} & exit 3");
    let (main, mut output) = Run::new(&container, &["sh", "-c", &script]).captured();
    output.until_line("ready");
    until("the main process is gone", || !process::is_alive(&main.id));
    assert!(!container.is_empty().expect("it can be asked"));
    assert_eq!(container.processes().expect("they can be listed"), tagged(&tag));
    kill_and_wait(&container);
    // One that ends by itself is seen as well, and the container can be used again.
    let (main, _output) = Run::new(&container, &["true"]).captured();
    until("it is empty", || container.is_empty().expect("it can be asked"));
    assert!(!process::is_alive(&main.id));
}

/// Nothing gets away by forking while it is killed.
pub fn forking_does_not_save(stack: &Stack) {
    for mode in [&["relay"][..], &["relay", "setsid"], &["pump"]] {
        let tag = unique("storm");
        let container = stack.container(&format!("storm-{}", mode.join("-")));
        let mut arguments = mode.to_vec();
        arguments.push(&tag);
        let (_main, mut output) = Run::helper(&container, &arguments).captured();
        output.until_line("ready");
        // It shall be in full swing.
        let start = Instant::now();
        until("it has run for a moment", || start.elapsed() > Duration::from_millis(100));
        kill_and_wait(&container);
        // Seen dead for longer than a hop of the chain could take.
        let start = Instant::now();
        until("it stays dead", || {
            assert_eq!(tagged(&tag), [0_u32; 0], "{mode:?}");
            start.elapsed() > Duration::from_millis(100)
        });
        output.until_end();
    }
}

/// A frozen tree does nothing at all, and goes on where it was.
pub fn frozen_is_frozen(stack: &Stack) {
    let dir = directory();
    let files = ["main", "child", "daemon"].map(|name| dir.path().join(name).display().to_string());
    let script = format!(
        "'{HELPER}' count '{1}' & (setsid '{HELPER}' count '{2}' &) ; exec '{HELPER}' count '{0}'",
        files[0], files[1], files[2]
    );
    let container = stack.container("frozen");
    let (main, _output) = Run::new(&container, &["sh", "-c", &script]).captured();
    let read = |file: &String| std::fs::read_to_string(file).ok().and_then(|text| text.parse::<u64>().ok());
    let all = || files.each_ref().map(read);
    let moving = || {
        let before = all();
        until("all of them count", || {
            before.iter().zip(all()).all(|(before, now)| now.is_some() && now > *before)
        });
    };
    moving();
    container.freeze().expect("it can be frozen");
    let before = all();
    let start = Instant::now();
    until("time passes", || start.elapsed() > Duration::from_millis(200));
    assert_eq!(all(), before, "nobody counts");
    assert!(!container.is_empty().expect("it can be asked"));
    let refused = Run::new(&container, &["true"]).start(None).expect_err("nothing starts in a frozen one");
    assert_eq!(refused.kind, SpawnErrorKind::Containment);
    container.thaw().expect("it can be thawed");
    moving();
    // Frozen and ended; and then it can be used.
    container.freeze().expect("it can be frozen");
    kill_and_wait(&container);
    assert!(!process::is_alive(&main.id));
    let (_, mut output) = Run::new(&container, &["echo", "again"]).captured();
    assert_eq!(output.until_end(), "again\n");
}

/// Freezing and thawing what is not there, or twice, is no error.
pub fn freezing_is_repeatable(stack: &Stack) {
    let container = stack.container("again");
    container.freeze().expect("an empty one can be frozen");
    container.thaw().expect("an empty one can be thawed");
    let (main, _output) = Run::new(&container, &["sleep", "600"]).captured();
    for _ in 0..3 {
        container.freeze().expect("it can be frozen");
        container.freeze().expect("it can be frozen again");
        container.thaw().expect("it can be thawed");
        container.thaw().expect("it can be thawed again");
    }
    assert!(process::is_alive(&main.id));
    kill_and_wait(&container);
    container.kill().expect("an empty one can be killed");
    container.remove().expect("it can be removed");
}

/// The main process's group hears a signal; once it is gone, all that is left.
pub fn signals_reach_whom_they_should(stack: &Stack) {
    let container = stack.container("signals");
    // The child in a session of its own does not hear what the main process hears.
    let script = "trap 'echo main heard; exit 0' TERM
        setsid sh -c 'trap \"echo child heard; exit 0\" TERM; echo child; while :; do sleep 0.05; done' &
        echo main; while :; do sleep 0.05; done";
    let (main, mut output) = Run::new(&container, &["sh", "-c", script]).captured();
    output.until_line("main");
    output.until_line("child");
    container.signal(Some(&main), Signal::CloseWindow).expect("it does nothing here");
    container.signal(Some(&main), Signal::Interrupt).expect("it can be sent");
    output.until_line("main heard");
    until("the main process is gone", || !process::is_alive(&main.id));
    assert!(!output.text().contains("child heard"));
    assert!(!container.is_empty().expect("it can be asked"));
    // The main process is not reaped yet, and gone all the same.
    container.signal(Some(&main), Signal::Interrupt).expect("it can be sent");
    output.until_line("child heard");
    until("it is empty", || container.is_empty().expect("it can be asked"));
    container.signal(None, Signal::Interrupt).expect("nobody is left, and that is no error");

    let (main, mut output) = Run::new(
        &container,
        &["sh", "-c", "trap 'echo usr1' USR1; echo ready; while :; do sleep 0.05; done"],
    )
    .captured();
    output.until_line("ready");
    container.signal(Some(&main), Signal::Number(10)).expect("it can be sent");
    output.until_line("usr1");
    assert!(container.signal(Some(&main), Signal::Number(77)).is_err());
    container.signal(Some(&main), Signal::Number(9)).expect("it can be sent");
    until("it is empty", || container.is_empty().expect("it can be asked"));
}

/// A stopped process hears an interrupt too.
pub fn stopped_ones_are_interrupted(stack: &Stack) {
    let container = stack.container("stopped");
    let (main, _output) = Run::new(&container, &["sleep", "600"]).captured();
    container.signal(Some(&main), Signal::Number(19)).expect("it can be stopped");
    until("it is stopped", || state(main.pid) == Some('T'));
    container.signal(Some(&main), Signal::Interrupt).expect("it can be sent");
    until("it is gone", || !process::is_alive(&main.id));
}

/// Names that would be trouble as a file's.
pub fn odd_names(stack: &Stack) {
    for name in ["cgroup.procs", "a b", ".", "..", "web.probe-live", "Ünï", &"x".repeat(200)] {
        let container = stack.container(name);
        let (_, mut output) = Run::new(&container, &["sh", "-c", "echo $MAINSTAY_RUN"]).captured();
        assert_eq!(output.until_end(), format!("{}/{name}/7\n", stack.id));
        until("it is empty", || container.is_empty().expect("it can be asked"));
        container.remove().expect("it can be removed");
    }
    for name in ["", "a/b", "a\0", &"x".repeat(201)] {
        assert!(stack.root().container(name).is_err(), "{name:?}");
    }
}
