//! What trees use, seen from outside of their keeper.
#![cfg(target_os = "linux")]

mod common;

use std::time::Duration;

use common::{Run, kill_and_wait, stacks, tagged, unique, until};
use mainstay_sys::usage::{Sampler, Tree};

#[test]
fn the_whole_tree_is_counted() {
    for stack in stacks() {
        let kind = stack.root().kind().as_str();
        let mut sampler = Sampler::new(&stack.id, std::process::id(), kind);
        let (busy, calm) = (stack.container("busy"), stack.container("calm"));
        let tag = unique("usage");
        let directory = tempfile::tempdir().expect("a directory");
        let file = directory.path().join("written");
        // A child in a session of its own, and an orphan in another one.
        let script = format!(
            "dd if=/dev/zero of='{}' bs=65536 count=32 conv=fsync 2>/dev/null
             setsid sleep 600.7 & (setsid sh -c 'exec sleep 600; : {tag}' {tag} &)
             i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo made; exec sleep 600.8",
            file.display()
        );
        let (main, mut output) = Run::new(&busy, &["sh", "-c", &script, &tag]).captured();
        let (other, _calm) = Run::new(&calm, &["sleep", "600"]).captured();
        output.until_line("made");
        let trees = [Tree { name: "busy", main: main.pid }, Tree { name: "calm", main: other.pid }];
        until("all three of them are counted", || {
            let seen = sampler.sample(&trees, &[]).trees;
            seen[0].is_some_and(|usage| usage.processes == 3)
        });
        let sample = sampler.sample(&trees, &[std::process::id(), u32::MAX]);
        let (busy_usage, calm_usage) = (sample.trees[0].expect("it runs"), sample.trees[1].expect("it runs"));
        assert!(busy_usage.cpu > Duration::from_millis(10), "{kind}: {busy_usage:?}");
        assert!(busy_usage.resident > calm_usage.resident, "{kind}: {busy_usage:?}, {calm_usage:?}");
        assert!(calm_usage.resident > 100_000 && calm_usage.private < calm_usage.resident, "{calm_usage:?}");
        assert!(calm_usage.private > 0, "a small program, too, has some for itself: {calm_usage:?}");
        assert_eq!((calm_usage.processes, calm_usage.threads, busy_usage.threads), (1, 1, 3), "{kind}");
        assert!(busy_usage.handles > calm_usage.handles, "{kind}: {busy_usage:?}");
        // What dd wrote came to the shell, which had waited for it. (A sandbox may lack the figure.)
        if let Some(written) = busy_usage.written.filter(|_| std::path::Path::new("/proc/self/io").exists()) {
            assert!(written == 0 || written >= 1 << 20, "{kind}: {busy_usage:?}");
        }
        assert!(sample.processes[0].is_some_and(|usage| usage.processes == 1 && usage.resident > 0));
        assert_eq!(sample.processes[1], None);
        kill_and_wait(&busy);
        assert!(tagged(&tag).is_empty());
        let after = sampler.sample(&trees, &[]).trees;
        assert!(after[0].is_none() && after[1].is_some(), "{kind}: {after:?}");
        kill_and_wait(&calm);
    }
}
