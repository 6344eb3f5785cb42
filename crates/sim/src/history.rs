//! A history: a plan and what the outside does, made from a seed.

use std::collections::BTreeSet;
use std::time::Duration;

use mainstay_core::{Condition, Exit, Plan, ProbeKind, Request, ServiceName};

use crate::plans;
use crate::rng::Rng;
use crate::transition::{Answer, Conduct, DaemonDeath, Leftovers, Stale, Transition};

/// A plan and what the outside does to its supervisor.
#[derive(Clone, Debug)]
pub struct History {
    /// What it was made from. Also the supervisor's own seed.
    pub seed: u64,
    /// The plan at the beginning.
    pub plan: Plan,
    /// Which services do their work and end, when all is well.
    pub jobs: BTreeSet<ServiceName>,
    /// What happens, in order.
    pub steps: Vec<Transition>,
    /// How it ends.
    pub finish: Finish,
}

/// How a history ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// Nothing fails any more; everything must come up; then the stack goes down.
    Heal,
    /// The stack goes down as things are.
    Down,
}

impl History {
    /// The history of this seed.
    pub fn from_seed(seed: u64) -> History {
        let mut rng = Rng::for_purpose(seed, &[1]);
        let most = *rng.weighted(&[(30, 2), (50, 5), (20, 9)]);
        let plan = plans::plan(&mut rng, most);
        let mut maker = Maker { rng: Rng::for_purpose(seed, &[2]), names: Vec::new(), jobs: jobs_of(&plan) };
        maker.names = plan.services.keys().cloned().collect();
        let steps = maker.steps();
        let finish = if maker.rng.chance(70) { Finish::Heal } else { Finish::Down };
        History { seed, plan, jobs: maker.jobs, steps, finish }
    }
}

/// The services whose end others wait for.
fn jobs_of(plan: &Plan) -> BTreeSet<ServiceName> {
    let depended_on = plan.services.values().flat_map(|service| &service.depends_on);
    depended_on
        .filter(|(_, condition)| **condition == Condition::Completed)
        .map(|(name, _)| name.clone())
        .collect()
}

struct Maker {
    rng: Rng,
    names: Vec<ServiceName>,
    jobs: BTreeSet<ServiceName>,
}

impl Maker {
    fn steps(&mut self) -> Vec<Transition> {
        let mut steps = Vec::new();
        // Most stacks behave badly in some way from the beginning.
        for name in self.names.clone() {
            if self.rng.chance(60) {
                steps.push(Transition::Conduct(name.clone(), Box::new(self.conduct(&name))));
            }
        }
        if self.rng.chance(90) {
            steps.push(Transition::Request(Request::Up));
        }
        let most = *self.rng.weighted(&[(90, 60), (10, 200)]);
        let count = self.rng.range(10, most);
        for _ in 0..count {
            let step = self.step();
            steps.push(step);
            if self.rng.chance(60) {
                steps.push(Transition::Wait(self.wait()));
            }
        }
        steps
    }

    fn wait(&mut self) -> Duration {
        if self.rng.chance(4) { self.rng.millis(10_000, 60_000) } else { self.rng.skewed_millis(4_000) }
    }

    fn one(&mut self) -> ServiceName {
        self.rng.pick(&self.names).clone()
    }

    fn step(&mut self) -> Transition {
        let name = self.one();
        match self.rng.below(100) {
            0..=29 => Transition::Request(self.request(name)),
            30..=44 => Transition::Ends(name, self.exit()),
            45..=56 => Transition::Conduct(name.clone(), Box::new(self.conduct(&name))),
            57..=63 => Transition::Answers(name, self.probe(), self.answer()),
            64..=67 => Transition::LeftoversEnd(name),
            68..=72 => Transition::Notify(name, self.text()),
            73..=76 => Transition::Echo(self.rng.range(1, 12)),
            77..=79 => Transition::Stutter,
            80..=83 => Transition::Stale(name, *self.rng.pick(&Stale::ALL)),
            84..=85 => Transition::SpuriousTick,
            86 => Transition::Session(*self.rng.weighted(&[(50, None), (30, Some(1)), (20, Some(2))])),
            87 => Transition::Rotated(name),
            88 => Transition::Lateness(self.rng.skewed_millis(3_000)),
            _ => Transition::DaemonDies(DaemonDeath {
                after_inputs: self.rng.below(4),
                frame_arrives: self.rng.chance(40),
                away: self.rng.skewed_millis(8_000),
            }),
        }
    }

    fn request(&mut self, name: ServiceName) -> Request {
        match self.rng.below(100) {
            0..=24 => Request::Start(name),
            25..=44 => Request::Stop(name),
            45..=61 => Request::Restart(name),
            62..=70 => Request::Pause(name),
            71..=80 => Request::Continue(name),
            81..=85 => Request::Up,
            86 => Request::Down,
            87 => self.rng.pick(&[Request::Down, Request::DownAll]).clone(),
            88..=93 => {
                // Mostly a new one, sometimes one that is there, sometimes one that is not there to be depended on.
                let number = self.names.len();
                let new = if self.rng.chance(85) { plans::name(number) } else { name };
                let mut known = self.names.clone();
                if self.rng.chance(5) {
                    known.push(plans::name(number + 7));
                }
                let mut plan = plans::service(&mut self.rng, &known);
                // Those known may have no end of their own.
                plan.depends_on
                    .retain(|on, condition| *condition != Condition::Completed || self.jobs.contains(on));
                if new == plans::name(number) {
                    self.names.push(new.clone());
                }
                Request::Add(new, Box::new(plan))
            }
            94..=97 => Request::Remove(name),
            _ => Request::Start(plans::name(99)),
        }
    }

    fn exit(&mut self) -> Exit {
        match self.rng.below(20) {
            0..=1 => Exit::Signal(9),
            2 => Exit::Unknown,
            3 => Exit::Code(0xC000_0005),
            _ => Exit::Code(*self.rng.pick(&plans::CODES)),
        }
    }

    fn probe(&mut self) -> ProbeKind {
        *self.rng.pick(&[ProbeKind::Startup, ProbeKind::Ready, ProbeKind::Live])
    }

    fn answer(&mut self) -> Answer {
        let takes = self.rng.skewed_millis(1_500);
        *self.rng.weighted(&[
            (40, Answer::Good(takes)),
            (40, Answer::Bad(takes)),
            (10, Answer::Hangs),
            (5, Answer::Lost),
            (5, Answer::TooLate(takes)),
        ])
    }

    fn text(&mut self) -> &'static str {
        self.rng.pick::<&'static str>(&[
            "READY=1",
            "READY=1\nSTATUS=up",
            "STATUS=READY=1",
            "RELOADING=1",
            "STOPPING=1",
            "",
            "READY=0",
            "nonsense",
        ])
    }

    fn conduct(&mut self, name: &ServiceName) -> Conduct {
        let rng = &mut self.rng;
        let mut conduct = if self.jobs.contains(name) { Conduct::perfect_job() } else { Conduct::perfect() };
        conduct.spawns = !rng.chance(12);
        let longest = *rng.weighted(&[(90, 20), (10, 3_000)]);
        conduct.spawn_takes = rng.skewed_millis(longest);
        if rng.chance(25) {
            conduct.life = Some((rng.skewed_millis(5_000), Exit::Code(*rng.pick(&plans::CODES))));
        }
        let takes = rng.skewed_millis(3_000);
        conduct.leftovers = *rng.weighted(&[
            (60, Leftovers::None),
            (15, Leftovers::EndAfter(takes)),
            (10, Leftovers::EndWhenAsked(takes)),
            (15, Leftovers::Stay),
        ]);
        conduct.obeys = (!rng.chance(25)).then(|| rng.skewed_millis(3_000));
        conduct.obeys_with = *rng.pick(&[Exit::Code(0), Exit::Code(1), Exit::Signal(15), Exit::Code(6)]);
        if rng.chance(60) {
            let takes = rng.skewed_millis(3_000);
            conduct.stop_steps = *rng.weighted(&[
                (20, Answer::Good(takes)),
                (40, Answer::Bad(takes)),
                (15, Answer::Hangs),
                (10, Answer::Lost),
                (15, Answer::TooLate(takes)),
            ]);
        }
        conduct.kills_lost = if rng.chance(10) { 1 } else { 0 };
        let longest = *rng.weighted(&[(90, 20), (10, 2_000)]);
        conduct.kill_takes = rng.skewed_millis(longest);
        conduct.freezes = !rng.chance(15);
        conduct.thaws = !rng.chance(15);
        conduct.freeze_takes = rng.skewed_millis(500);
        if rng.chance(40) {
            // The daemon ends what takes too long; a preparation is always answered.
            let takes = rng.skewed_millis(3_000);
            conduct.prepares = *rng.pick(&[Answer::Good(takes), Answer::Bad(takes)]);
        }
        conduct.notifies = (!rng.chance(20)).then(|| rng.skewed_millis(2_000));
        for probe in [ProbeKind::Startup, ProbeKind::Ready, ProbeKind::Live] {
            if self.rng.chance(40) {
                conduct.set_answer(probe, self.answer());
            }
        }
        conduct
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_history() {
        let text = |seed| format!("{:?}", History::from_seed(seed));
        assert_eq!(text(5), text(5));
        assert_ne!(text(5), text(6));
    }
}
