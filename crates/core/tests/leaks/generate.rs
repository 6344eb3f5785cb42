//! Traces of services with a label: whether they leak, from when, and how fast.
//!
//! A trace is a sum: a shape that a healthy service may have, and a leak or none. Values are relative to the level of
//! the service; a sample a minute.

use std::f64::consts::TAU;

use mainstay_core::leak::Resource;

/// Seconds between samples.
pub const STEP: u64 = 60;
/// The first sample: midnight of a Monday. Each trace begins somewhere in the week after it.
const MONDAY: u64 = 1_767_571_200;
const HOUR: f64 = 3600.0;
const DAY: f64 = 86_400.0;

/// A small generator of chance (splitmix64), so that a seed means the same everywhere.
pub struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Self {
        Chance(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(1))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// 0 to 1.
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Between, each order of magnitude equally likely.
    pub fn scale(&mut self, low: f64, high: f64) -> f64 {
        self.between(low.ln(), high.ln()).exp()
    }

    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// Mean 0, deviation 1; the sum of four is near enough to normal, and quick.
    pub fn normal(&mut self) -> f64 {
        (self.unit() + self.unit() + self.unit() + self.unit() - 2.0) * 3_f64.sqrt()
    }
}

/// What a healthy service may look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shape {
    /// Noise alone.
    Flat,
    /// A garbage collector's saw-teeth of 2 to 45 minutes.
    ShortTeeth,
    /// Saw-teeth of 1 to 10 hours, as of a large old generation.
    LongTeeth,
    /// A wave a day, each day a little different, weaker at the week-end.
    Daily,
    /// Office hours: up in the morning, down in the evening, hardly anything at the week-end.
    Office,
    /// Steps up and down at any time, about one a day.
    Steps,
    /// Restarts every few hours or days, each with a warm-up.
    Restarts,
    /// A cache that fills within hours.
    Cache,
    /// Wanders about its level.
    Wander,
    /// Jobs that take much for a while, and bursts.
    Jobs,
    /// Few of something: threads of a pool.
    Pool,
    /// Connections: many, with the rhythm of a day.
    Connections,
}

impl Shape {
    pub const ALL: [Shape; 12] = [
        Shape::Flat,
        Shape::ShortTeeth,
        Shape::LongTeeth,
        Shape::Daily,
        Shape::Office,
        Shape::Steps,
        Shape::Restarts,
        Shape::Cache,
        Shape::Wander,
        Shape::Jobs,
        Shape::Pool,
        Shape::Connections,
    ];

    pub fn words(self) -> &'static str {
        match self {
            Shape::Flat => "flat, noise",
            Shape::ShortTeeth => "collector, 2–45 min",
            Shape::LongTeeth => "collector, 1–10 h",
            Shape::Daily => "daily wave",
            Shape::Office => "office hours",
            Shape::Steps => "steps",
            Shape::Restarts => "restarts",
            Shape::Cache => "cache fills",
            Shape::Wander => "wanders",
            Shape::Jobs => "jobs and bursts",
            Shape::Pool => "thread pool",
            Shape::Connections => "connections",
        }
    }
}

/// How a leak grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// Evenly.
    Line,
    /// A piece every 5 to 45 minutes.
    Pieces,
    /// With the load: more by day than by night.
    Load,
    /// Pieces of any size at any time.
    Chance,
}

impl Way {
    pub const ALL: [Way; 4] = [Way::Line, Way::Pieces, Way::Load, Way::Chance];
}

/// A leak in a trace.
#[derive(Clone, Copy, Debug)]
pub struct Leak {
    pub way: Way,
    /// Parts of the level per hour.
    pub rate: f64,
    /// Hours from the trace's beginning.
    pub onset: f64,
}

/// A sample: time, run, value.
pub type Sample = (u64, u64, f64);

/// A labelled trace.
pub struct Trace {
    pub leak: Option<Leak>,
    pub resource: Resource,
    pub samples: Vec<Sample>,
    /// When the leak begins to show: at its onset, or at the warm-up's end of the run that it begins in.
    pub onset: Option<u64>,
}

struct Base {
    level: f64,
    noise: f64,
    start: f64,
    teeth: (f64, f64),
    wave: f64,
    phase: f64,
    weekend: f64,
    ramp: f64,
    /// How much of the wave each day has.
    days: [f64; 40],
    fill: (f64, f64, bool),
    wander: (f64, f64),
    job: (f64, f64, f64),
    life: f64,
}

impl Base {
    fn new(shape: Shape, chance: &mut Chance, resource: Resource) -> Base {
        let level = match resource {
            Resource::Memory => chance.scale(20e6, 8e9),
            _ if shape == Shape::Pool => chance.between(100.0, 600.0).round(),
            _ => chance.scale(200.0, 20_000.0),
        };
        let none = f64::INFINITY;
        let mut base = Base {
            level,
            noise: chance.scale(0.001, 0.012),
            start: chance.between(0.0, 7.0 * DAY),
            teeth: (none, 0.0),
            wave: 0.0,
            phase: chance.unit(),
            weekend: chance.between(0.35, 0.8),
            ramp: chance.between(1.0, 4.0) * HOUR,
            days: std::array::from_fn(|_| 1.0 + 0.04 * chance.normal()),
            fill: (1.0, 0.0, false),
            wander: (1.0, 0.0),
            job: (none, 0.0, 0.0),
            life: none,
        };
        match shape {
            Shape::Flat | Shape::Steps => {}
            Shape::ShortTeeth => base.teeth = (chance.scale(120.0, 45.0 * 60.0), chance.between(0.2, 1.0)),
            Shape::LongTeeth => base.teeth = (chance.scale(1.0, 10.0) * HOUR, chance.between(0.1, 0.4)),
            Shape::Daily => base.wave = chance.between(0.05, 0.4),
            Shape::Office => (base.wave, base.weekend) = (chance.between(0.1, 0.8), chance.between(0.2, 0.6)),
            Shape::Connections => base.wave = chance.between(0.3, 0.7),
            Shape::Restarts => {
                base.life = chance.scale(8.0, 72.0) * HOUR;
                base.fill = (chance.scale(0.05, 1.0) * HOUR, chance.between(0.2, 0.6), false);
            }
            Shape::Cache => {
                base.fill = (chance.scale(0.3, 3.0) * HOUR, chance.between(0.2, 0.6), chance.chance(0.4))
            }
            Shape::Wander => base.wander = (chance.scale(0.3, 4.0) * HOUR, chance.between(0.003, 0.02)),
            Shape::Jobs => {
                let every = if chance.chance(0.5) { DAY } else { chance.between(0.7, 8.0) * HOUR };
                base.job = (
                    every,
                    chance.between(0.1, 0.9).min(every / HOUR / 4.0) * HOUR * 1.5,
                    chance.between(0.1, 1.0),
                );
            }
            Shape::Pool => base.noise = chance.between(0.002, 0.01),
        }
        base
    }

    /// -0.5 to 0.5.
    fn rhythm(&self, shape: Shape, at: f64) -> f64 {
        let day = at / DAY;
        let weekend = if day.rem_euclid(7.0) >= 5.0 { self.weekend } else { 1.0 };
        let part = weekend * self.days[(day as usize).min(39)];
        if shape == Shape::Office {
            let time = (day.fract() - 0.2 - 0.2 * self.phase) * DAY;
            let length = 8.0 * HOUR;
            return part * (time / self.ramp).min((length + self.ramp - time) / self.ramp).clamp(0.0, 1.0);
        }
        part * 0.5 * ((day + self.phase) * TAU).sin()
    }
}

/// Makes a trace of so many days. A given seed makes the same one everywhere.
pub fn trace(seed: u64, shape: Shape, leak: Option<Leak>, days: f64) -> Trace {
    let mut chance = Chance::new(seed);
    let resource = match shape {
        Shape::Pool => Resource::Threads,
        Shape::Connections => Resource::Handles,
        _ => Resource::Memory,
    };
    let base = Base::new(shape, &mut chance, resource);
    let piece = chance.between(5.0, 45.0) * 60.0;
    let (mut run, mut born, mut dies) = (1, 0.0, base.life * chance.between(0.5, 1.5));
    let (mut step, mut wander, mut tooth, mut burst) = (0.0, 0.0, 0.0, 0.0);
    let mut tooth_at = 1.0;
    let (mut leaked, mut held, mut next_piece) = (0.0, 0.0, 0.0);
    let mut onset = None;
    let interval = STEP as f64;
    let mut samples = Vec::with_capacity((days * DAY / interval) as usize);
    let mut now = 0.0;
    while now < days * DAY {
        let at = base.start + now;
        if now >= dies {
            (run, born, dies) = (run + 1, now, now + base.life * chance.between(0.5, 1.5));
            (leaked, held, tooth) = (0.0, 0.0, 0.0);
        }
        let mut value = 1.0 + step + base.wave * base.rhythm(shape, at);
        if shape == Shape::Steps && chance.chance(interval / DAY) {
            step = (step + chance.between(0.05, 0.3) * if chance.chance(0.5) { 1.0 } else { -1.0 })
                .clamp(-0.6, 0.8);
        }
        if base.wander.1 > 0.0 {
            let keep = (-interval / base.wander.0).exp();
            wander = keep * wander + (1.0 - keep * keep).sqrt() * base.wander.1 * chance.normal();
            value += wander;
        }
        if base.teeth.1 > 0.0 {
            tooth += interval / base.teeth.0;
            if tooth >= tooth_at {
                tooth = 0.0;
                tooth_at = 1.0 + 0.1 * chance.normal();
            }
            value += base.teeth.1 * tooth;
        }
        let age = now - born;
        let (time, size, straight) = base.fill;
        value += size * if straight { (age / time - 1.0).min(0.0) } else { -(-age / time).exp() };
        if at % base.job.0 < base.job.1 {
            value += base.job.2;
        }
        burst *= 0.7;
        if matches!(shape, Shape::Jobs | Shape::Flat) && chance.chance(0.01) {
            burst += chance.between(0.05, 0.5);
        }
        value += burst;
        if let Some(leak) = leak.filter(|leak| now >= leak.onset * HOUR) {
            let shows = born + (if run == 1 { 0.0 } else { 1800.0 });
            onset.get_or_insert(MONDAY + (at + (shows - now).max(0.0)) as u64);
            let amount = leak.rate * interval / HOUR;
            held += match leak.way {
                Way::Load => amount * (1.0 + 0.4 * ((at / DAY + base.phase) * TAU).sin()),
                Way::Chance => amount * if chance.chance(0.1) { 20.0 * chance.unit() } else { 0.0 },
                Way::Line | Way::Pieces => amount,
            };
            if leak.way != Way::Pieces || now >= next_piece {
                next_piece = now + piece;
                leaked += std::mem::take(&mut held);
            }
        }
        value = base.level * (value + leaked + base.noise * chance.normal()).max(0.01);
        if resource != Resource::Memory {
            value = value.round();
        }
        samples.push((MONDAY + at as u64, run, value));
        now += interval;
    }
    Trace { leak, resource, samples, onset }
}
