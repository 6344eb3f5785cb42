//! A span, how it is written, and whose trace it is in.

use mainstay_core::RunId;

use super::protobuf::Message;

/// What has no more events than this tells of no further ones.
const MAX_EVENTS: usize = 64;

/// A stretch of the life of a service.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Span {
    /// What happened in it: `spawn`, `run`, `stop: ctrl_c`.
    pub name: String,
    pub id: u64,
    /// None: it is the whole life.
    pub parent: Option<u64>,
    pub trace: u128,
    /// In nanoseconds since 1970.
    pub start: u64,
    pub end: u64,
    pub texts: Vec<(&'static str, String)>,
    pub numbers: Vec<(&'static str, u64)>,
    /// What happened meanwhile, and when.
    pub events: Vec<(u64, String)>,
    /// Why it was no success; none if it was.
    pub error: Option<String>,
    /// The event that made it complete.
    pub seq: u64,
}

impl Span {
    /// One that tells only how long something took.
    pub fn new(name: impl Into<String>, start: u64, end: u64) -> Span {
        Span {
            name: name.into(),
            id: 0,
            parent: None,
            trace: 0,
            start,
            end: end.max(start),
            texts: Vec::new(),
            numbers: Vec::new(),
            events: Vec::new(),
            error: None,
            seq: 0,
        }
    }

    /// Something happened meanwhile.
    pub fn event(&mut self, at: u64, what: String) {
        if self.events.len() < MAX_EVENTS {
            self.events.push((at, what));
        }
    }

    /// As `Span` of OTLP.
    pub fn write(&self, out: &mut Message) {
        out.bytes(1, &self.trace.to_be_bytes());
        out.bytes(2, &self.id.to_be_bytes());
        if let Some(parent) = self.parent {
            out.bytes(4, &parent.to_be_bytes());
        }
        out.text(5, &self.name);
        const INTERNAL: u64 = 1;
        out.uint(6, INTERNAL);
        out.fixed(7, self.start);
        out.fixed(8, self.end);
        for (key, value) in &self.texts {
            out.attribute(9, key, value);
        }
        for (key, value) in &self.numbers {
            out.number(9, key, *value);
        }
        for (at, what) in &self.events {
            out.message(11, |event| {
                event.fixed(1, *at);
                event.text(2, what);
            });
        }
        if let Some(error) = &self.error {
            const ERROR: u64 = 2;
            out.message(15, |status| {
                status.text(2, error);
                status.uint(3, ERROR);
            });
        }
    }
}

/// What a stack's traces are known by. Ids come of it and of a run's number alone, so that each daemon gives the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ids(u64);

impl Ids {
    /// Those of the stack with this id, which no other stack has.
    pub fn of_stack(id: &str) -> Ids {
        // FNV-1a.
        Ids(id.bytes().fold(0xCBF2_9CE4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
        }))
    }

    /// The trace of a run's life.
    pub fn trace(self, run: RunId) -> u128 {
        let high = mix(self.0 ^ mix(run.0));
        u128::from(high) << 64 | u128::from(self.span(run, u64::MAX))
    }

    /// The span of this number in a run's life; 0 is the whole.
    pub fn span(self, run: RunId, number: u64) -> u64 {
        // Nothing may have the id 0.
        mix(mix(self.0 ^ mix(run.0)) ^ mix(!number)).max(1)
    }

    /// `TRACEPARENT`, by which the spans that a run makes itself join its life.
    pub fn trace_parent(self, run: RunId) -> String {
        format!("00-{:032x}-{:016x}-01", self.trace(run), self.span(run, 0))
    }
}

/// SplitMix64's: each bit of the number moves half of those of what comes of it.
fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let number = (number ^ number >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ number >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ number >> 31
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn ids_are_the_same_each_time_and_nobody_elses() {
        let ids = Ids::of_stack("0123abcd");
        assert_eq!(ids.trace_parent(RunId(7)), Ids::of_stack("0123abcd").trace_parent(RunId(7)));
        let mut seen = BTreeSet::new();
        for stack in ["0123abcd", "0123abce", ""] {
            for run in 0..500 {
                assert!(seen.insert(Ids::of_stack(stack).trace(RunId(run))));
                assert!(
                    (0..10).all(|number| seen.insert(Ids::of_stack(stack).span(RunId(run), number).into()))
                );
            }
        }
        let parent = ids.trace_parent(RunId(7));
        let parts: Vec<&str> = parent.split('-').collect();
        assert_eq!(parts.iter().map(|part| part.len()).collect::<Vec<_>>(), [2, 32, 16, 2], "{parent}");
    }
}
