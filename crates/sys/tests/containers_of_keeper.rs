//! Trees of processes, held by a keeper, which adopts their orphans.
#![cfg(target_os = "linux")]

mod common;

use common::{Run, Stack, kill_and_wait, stacks, tagged, trees, unique, until};
use mainstay_sys::container::Kind;
use mainstay_sys::process;

macro_rules! for_every_kind {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
            become_keeper();
            for stack in stacks() {
                trees::$name(&stack);
            }
        }
    )*};
}

for_every_kind! {
    the_whole_tree_ends
    empty_means_nobody_is_left
    forking_does_not_save
    frozen_is_frozen
    freezing_is_repeatable
    signals_reach_whom_they_should
    stopped_ones_are_interrupted
    odd_names
}

/// One that reaps, too: the dead of a fork storm would fill the list of our children.
fn become_keeper() {
    static REAPER: std::sync::Once = std::sync::Once::new();
    mainstay_sys::own::become_keeper().expect("we can be one");
    REAPER.call_once(|| {
        std::thread::spawn(|| {
            loop {
                // SAFETY: no status is asked for.
                #[expect(unsafe_code, reason = "nothing safe waits for any child")]
                let child = unsafe { libc::waitpid(-1, std::ptr::null_mut(), 0) };
                if child < 0 {
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
            }
        });
    });
}

/// What a service started and a keeper has seen once belongs to it, whatever disguise it puts on later.
#[test]
fn seen_once_is_known_for_good() {
    become_keeper();
    let stack = Stack::open(Kind::Session).expect("sessions can be had everywhere");
    let container = stack.container("disguise");
    let tag = unique("disguise");
    // The child clears its environment and its output while its parent lives, and becomes an orphan then.
    let script = format!(
        "env -i setsid sh -c 'while :; do sleep 0.02; done' {tag} >/dev/null 2>&1 & echo made; sleep 600"
    );
    let (main, mut output) = Run::new(&container, &["sh", "-c", &script]).captured();
    output.until_line("made");
    until("it is there", || !tagged(&tag).is_empty());
    until("it is seen", || {
        let processes = container.processes().expect("they can be listed");
        tagged(&tag).iter().all(|pid| processes.contains(pid))
    });
    process::kill(&main.id).expect("it can be killed");
    until("the main process is gone", || !process::is_alive(&main.id));
    assert!(!container.is_empty().expect("it can be asked"));
    kill_and_wait(&container);
    assert_eq!(tagged(&tag), [0_u32; 0]);
}

/// A keeper raises limits for itself; services get what was there before.
#[test]
fn services_get_the_original_limits() {
    let line = |text: &str, name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned)).expect("it is told")
    };
    become_keeper();
    let stack = Stack::open(Kind::Session).expect("sessions can be had everywhere");
    let container = stack.container("limits");
    let text = Run::helper(&container, &["show"]).output();
    let theirs: Vec<u64> = line(&text, "nofile ").split(' ').map(|n| n.parse().expect("a number")).collect();
    let limits = std::fs::read_to_string("/proc/self/limits").expect("there are limits");
    let ours = line(&limits, "Max open files");
    let ours: Vec<u64> =
        ours.split_ascii_whitespace().take(2).map(|n| n.parse().expect("a number")).collect();
    assert_eq!(ours[0], ours[1].min(1 << 20), "the keeper may open as many as allowed");
    assert_eq!(theirs[1], ours[1]);
    assert!(theirs[0] <= ours[0]);
    let score: i32 = line(&text, "oom ").parse().expect("a number");
    let ours = std::fs::read_to_string("/proc/self/oom_score_adj").expect("there is a score");
    // Only where the keeper was allowed to protect itself there is something to see.
    assert!(ours.trim() != "-900" || score != -900, "services are not protected as the keeper is");
}
