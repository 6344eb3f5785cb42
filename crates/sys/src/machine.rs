//! What the whole machine has and uses: for forecasts.

use std::time::Duration;

#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
use linux as platform;
#[cfg(windows)]
mod windows;
#[cfg(windows)]
use windows as platform;

/// The machine at one moment. What it does not tell is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Processor time that all processors together were busy, since the machine came up.
    pub busy: Option<Duration>,
    /// Bytes of memory.
    pub memory: Option<Share>,
}

/// How much of something there is, and is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// All of it.
    pub total: u64,
    /// What is not to be had any more.
    pub used: u64,
}

/// Looks at it.
pub fn look() -> Machine {
    platform::look()
}

/// Processes and threads of the machine, where it has a limit for them.
pub fn processes() -> Option<Share> {
    platform::processes()
}

/// How many processors this process may use.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_has_memory_and_works() {
        let before = look();
        let memory = before.memory.expect("it has some");
        assert!(memory.total > 16 << 20 && memory.used > 0 && memory.used <= memory.total, "{memory:?}");
        assert!(before.busy <= look().busy, "it does not fall");
        assert!(processors() >= 1);
    }
}
