//! What trees use, seen from outside of their keeper: through the names of its jobs.
#![cfg(windows)]
#![expect(unsafe_code, reason = "what the tests share asks whether this is Wine")]

mod windows;

use mainstay_sys::container::Root;
use mainstay_sys::usage::{Sampler, Tree};
use windows::{Run, is_wine, unique, until};

#[test]
fn the_whole_tree_is_counted() {
    let id = unique("stack");
    let root = Root::open(&id, None).expect("a root");
    let mut sampler = Sampler::new(&id, std::process::id(), root.kind().as_str());
    let (chain, one) = (root.container("chain").expect("a job"), root.container("one").expect("a job"));
    let (main, _output) = Run::helper(&chain, &["chain", "3"]).captured();
    let (other, _other_output) = Run::helper(&one, &["sleep"]).captured();
    let trees = [Tree { name: "chain", main: main.pid }, Tree { name: "one", main: other.pid }];
    until("all three are counted", || {
        sampler.sample(&trees, &[]).trees[0].is_some_and(|usage| usage.processes == 3)
    });
    let sample = sampler.sample(&trees, &[std::process::id(), u32::MAX - 3]);
    let (chain_usage, one_usage) = (sample.trees[0].expect("it runs"), sample.trees[1].expect("it runs"));
    assert_eq!(one_usage.processes, 1);
    assert!(one_usage.resident > 100_000, "{one_usage:?}");
    assert!(chain_usage.resident > one_usage.resident, "{chain_usage:?}, {one_usage:?}");
    assert!(chain_usage.threads >= 3 && chain_usage.handles > one_usage.handles, "{chain_usage:?}");
    assert!(sample.processes[0].is_some_and(|usage| usage.processes == 1 && usage.resident > 0));
    assert_eq!(sample.processes[1], None);
    // Wine has no times and bytes in a job's accounting.
    if !is_wine() {
        assert!(chain_usage.cpu > std::time::Duration::ZERO, "{chain_usage:?}");
        assert!(chain_usage.private > 0, "{chain_usage:?}");
    }
    chain.kill().expect("it can be killed");
    until("it is gone", || sampler.sample(&trees, &[]).trees[0].is_none());
    one.kill().expect("it can be killed");
}
