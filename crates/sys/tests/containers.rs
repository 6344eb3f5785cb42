//! Trees of processes, held by one who does not adopt their orphans.
#![cfg(target_os = "linux")]

mod common;

use common::{stacks, trees};

macro_rules! for_every_kind {
    ($($name:ident)*) => {$(
        #[test]
        fn $name() {
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
