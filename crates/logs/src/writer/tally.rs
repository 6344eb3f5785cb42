//! How much came, and what of it was lost.

/// How much output came: what went into the log, and what was lost. A line counts where its end is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Bytes in the log.
    pub bytes: u64,
    /// Line ends among them.
    pub lines: u64,
    /// Bytes lost.
    pub dropped_bytes: u64,
    /// Line ends among them.
    pub dropped_lines: u64,
}

impl Tally {
    pub(super) fn wrote(&mut self, data: &[u8]) {
        self.bytes += data.len() as u64;
        self.lines += line_ends(data);
    }

    pub(super) fn lost(&mut self, data: &[u8]) {
        self.dropped_bytes += data.len() as u64;
        self.dropped_lines += line_ends(data);
    }
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.bytes += other.bytes;
        self.lines += other.lines;
        self.dropped_bytes += other.dropped_bytes;
        self.dropped_lines += other.dropped_lines;
    }
}

fn line_ends(data: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', data).count() as u64
}
