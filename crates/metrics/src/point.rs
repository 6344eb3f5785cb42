//! What is stored of a service for one moment, or for a stretch of time: a few figures, in 16 bits each.

/// The figures, in the order in which they are stored. It never changes; new ones would come behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Figure {
    /// Processors kept busy.
    Cpu,
    /// Bytes in RAM.
    Memory,
    /// Bytes that nobody shares.
    Private,
    /// Processes.
    Processes,
    /// Threads.
    Threads,
    /// Open descriptors or handles.
    Handles,
    /// Bytes read in a second.
    Read,
    /// Bytes written in a second.
    Written,
}

impl Figure {
    /// All of them.
    pub const ALL: [Figure; 8] = [
        Figure::Cpu,
        Figure::Memory,
        Figure::Private,
        Figure::Processes,
        Figure::Threads,
        Figure::Handles,
        Figure::Read,
        Figure::Written,
    ];

    /// Its word on the command line and in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Figure::Cpu => "cpu",
            Figure::Memory => "memory",
            Figure::Private => "private",
            Figure::Processes => "processes",
            Figure::Threads => "threads",
            Figure::Handles => "handles",
            Figure::Read => "read",
            Figure::Written => "written",
        }
    }
}

/// How many figures there are.
pub const FIGURES: usize = Figure::ALL.len();

/// What was seen at one moment; none where it could not be seen.
pub type Values = [Option<f64>; FIGURES];

/// One figure over a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stretch {
    /// The mean.
    pub mean: f64,
    /// The lowest.
    pub min: f64,
    /// The highest.
    pub max: f64,
}

/// All figures over a stretch of time.
pub type Summary = [Option<Stretch>; FIGURES];

/// The summary of a single moment.
pub fn moment(values: &Values) -> Summary {
    values.map(|value| value.map(|value| Stretch { mean: value, min: value, max: value }))
}

/// The summary of several of the same length; what is missing in some is that of the others.
pub fn fold<'a>(parts: impl IntoIterator<Item = &'a Summary>) -> Summary {
    let mut sums: Summary = [None; FIGURES];
    let mut counts = [0_u32; FIGURES];
    for part in parts {
        for ((sum, count), one) in sums.iter_mut().zip(&mut counts).zip(part) {
            let Some(one) = one else { continue };
            *count += 1;
            *sum = Some(sum.map_or(*one, |sum| Stretch {
                mean: sum.mean + one.mean,
                min: sum.min.min(one.min),
                max: sum.max.max(one.max),
            }));
        }
    }
    for (sum, count) in sums.iter_mut().zip(counts) {
        if let Some(sum) = sum {
            sum.mean /= f64::from(count);
        }
    }
    sums
}

/// Steps to each doubling: neighbours differ by 0.07 %.
const STEPS: f64 = 1023.9;
/// The smallest value above zero, as a power of two: 60 µs of processor time in a second.
const SMALLEST: f64 = -14.0;

/// A value in 16 bits: 0 is none, 1 is zero, and from 2 on they grow by the same ratio, up to 2^50.
pub(crate) fn pack(value: Option<f64>) -> u16 {
    match value {
        Some(value) if value.is_finite() && value <= 0.0 => 1,
        Some(value) if value.is_finite() => {
            let step = ((value.log2() - SMALLEST) * STEPS).round().clamp(0.0, 65533.0);
            // In range by the line above.
            step as u16 + 2
        }
        _ => 0,
    }
}

/// What [`pack`] made.
pub(crate) fn unpack(code: u16) -> Option<f64> {
    match code {
        0 => None,
        1 => Some(0.0),
        code => Some((f64::from(code - 2) / STEPS + SMALLEST).exp2()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sixteen_bits_are_within_a_thousandth() {
        for value in [0.001, 0.5, 1.0, 3.0, 17.0, 1024.0, 123_456_789.0, 1e12, 1e15] {
            let back = unpack(pack(Some(value))).unwrap_or_default();
            assert!((back / value - 1.0).abs() < 0.001, "{value} became {back}");
        }
        assert_eq!(unpack(pack(Some(0.0))), Some(0.0));
        assert_eq!(unpack(pack(None)), None);
        assert_eq!(unpack(pack(Some(f64::NAN))), None);
        // Too small and too large are the nearest.
        assert!(unpack(pack(Some(1e-9))).is_some_and(|value| value < 0.001));
        assert!(unpack(pack(Some(1e30))).is_some_and(|value| value > 1e15));
        // The order stays: a growth is never seen as a fall.
        let codes: Vec<u16> = (1..10_000).map(|n| pack(Some(f64::from(n) * 1.7))).collect();
        assert!(codes.is_sorted());
    }

    #[test]
    fn a_fold_has_mean_and_ends() {
        let of = |cpu, memory| {
            let mut values = [None; FIGURES];
            (values[0], values[1]) = (cpu, memory);
            moment(&values)
        };
        let parts = [of(Some(1.0), None), of(Some(4.0), Some(10.0)), of(None, Some(20.0))];
        let folded = fold(&parts);
        assert_eq!(folded[0], Some(Stretch { mean: 2.5, min: 1.0, max: 4.0 }));
        assert_eq!(folded[1], Some(Stretch { mean: 15.0, min: 10.0, max: 20.0 }));
        assert_eq!(folded[2], None);
        assert_eq!(fold(&[]), [None; FIGURES]);
        // A fold of one is that one, and folding folds of equal length is folding all.
        assert_eq!(fold(&parts[..1]), parts[0]);
    }
}
