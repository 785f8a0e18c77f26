//! Running a program on the model, beside its oracle.
//!
//! User lanes do their operations, the background lanes are always there, and when the last user lane is done
//! the checker lane reads the whole file through the cache, brings everything to the device, and compares what is
//! there, too. The first divergence ends the run.

mod shared;

use crate::calm::patient_policy_of;
use crate::explore::Exploration;
use crate::panics::quietly;
use crate::program::Program;
use crate::verdict::{Answer, Recorded, Verdict, divergence_of};
use crate::watch::{Broken, Watch, Watched};
use faults::FaultSet;
use lanes::anchored::record_steps;
use lanes::policy::policy_of;
use lanes::{Action, Anchor, LaneId, Place, Policy, Schedule, Sim, Y};
use oracle::{Divergence, Geometry, Judge, OpKind};
use parking_lot::Mutex;
use shared::Shared;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use targets::model::{Medium, Model};

/// So many places without a completed operation are a livelock. A healthy one passes a few hundred, and some for
/// every page and block it touches: most where every block is an extent of its own and has to be written and evicted
/// to make room for the next, or where a whole window of readahead comes to nothing for each page that is read.
fn patience(geometry: &Geometry) -> u64 {
    let [pages, blocks] = [geometry.page, geometry.block].map(|unit| geometry.file_limit / u64::from(unit));
    20_000 + (64 + 16 * u64::from(geometry.readahead_pages)) * pages + 256 * blocks
}

/// Runs programs on the model, keeping memory from one to the next.
#[derive(Default)]
pub struct Runner {
    judge: Option<Judge>,
    watch: Watching,
}

/// When the model's rules are checked at every place a lane passes, not only after every operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Watching {
    #[default]
    Never,
    /// In a second run, if the first one agrees.
    SecondRun,
    Always,
}

impl Runner {
    /// A runner.
    pub fn new() -> Runner {
        Runner::default()
    }

    /// A runner that checks the model's rules at every place a lane passes, not only after every operation.
    pub fn watching() -> Runner {
        Runner { watch: Watching::Always, ..Runner::default() }
    }

    /// A runner that is not content with a program that agrees: it runs it again and checks the model's rules at every
    /// place. The run is the same; what breaks and mends within one operation shows only so.
    pub fn thorough() -> Runner {
        Runner { watch: Watching::SecondRun, ..Runner::default() }
    }

    /// Runs `program` on a new model with these faults armed.
    pub fn run(&mut self, program: &Program, faults: FaultSet) -> Verdict {
        self.twice(
            |runner, watch| runner.go(program, faults, patient_policy_of(&program.schedule), Notes::Nothing, watch),
            |v| v,
        )
    }

    /// As [`Runner::run`], and writes down everything that happens. The run is the same, only slower.
    pub fn record(&mut self, program: &Program, faults: FaultSet) -> Recorded {
        let once = |runner: &mut Runner, watch| {
            let (policy, recording) = record_steps(patient_policy_of(&program.schedule));
            let log = Mutex::new(Vec::new());
            let verdict = runner.go(program, faults, policy, Notes::Answers(&log), watch);
            Recorded { verdict, anchors: recording.anchors(), steps: recording.steps(), answers: log.into_inner() }
        };
        self.twice(once, |recorded| &recorded.verdict)
    }

    /// Runs once, or again if the first run has found nothing and this runner asks for more.
    fn twice<T>(&mut self, once: impl Fn(&mut Runner, bool) -> T, verdict: impl Fn(&T) -> &Verdict) -> T {
        let first = once(self, self.watch == Watching::Always);
        match self.watch == Watching::SecondRun && verdict(&first).divergence.is_none() {
            true => once(self, true),
            false => first,
        }
    }

    /// The program with its schedule written down as the deviations from the sequential run: the same run, and
    /// one that can be shrunk and read.
    pub fn anchored(&mut self, program: &Program, faults: FaultSet) -> Program {
        let schedule = Schedule::Anchored(self.record(program, faults).anchors);
        Program { schedule, ..program.clone() }
    }

    /// Runs `program` up to its first crash, in sequence, and looks at the states that the crash may leave: in most at
    /// `units` units of the device's cache differ from the rest. How many there were, and the first divergence with
    /// the program that has it.
    pub fn explore(
        &mut self,
        program: &Program,
        faults: FaultSet,
        units: usize,
    ) -> (u64, Option<(Program, Divergence)>) {
        let seen = Mutex::new((units, Exploration::default()));
        let verdict = self.go(program, faults, policy_of(&Schedule::default()), Notes::Crash(&seen), false);
        let (_, Exploration { states, wrong }) = seen.into_inner();
        let Some(divergence) = verdict.divergence else { return (states, None) };
        let crash = divergence.op.map_or(0, |id| id.index);
        let place = |nth| Place { lane: LaneId(0), op: crash, y: Y::CRASH, nth };
        let picks = wrong.map_or(Vec::new(), |(picks, _)| picks);
        let picks = (1..).zip(picks).filter(|(_, choice)| *choice > 0);
        let anchors = picks.map(|(nth, choice)| Anchor { place: place(nth), action: Action::Pick(choice) }).collect();
        (states, Some((Program { schedule: Schedule::Anchored(anchors), ..program.clone() }, divergence)))
    }

    fn go(
        &mut self,
        program: &Program,
        faults: FaultSet,
        policy: Box<dyn Policy>,
        notes: Notes<'_>,
        watch: bool,
    ) -> Verdict {
        let crashes = program.ops().any(|(_, op)| op.kind == OpKind::Crash);
        let medium = if crashes { Medium::Volatile } else { Medium::Lasting };
        let model = Model::new(&program.geometry, medium, faults);
        let mut judge = self.judge(program, model.page_size());
        if crashes {
            judge.expect_crashes();
        }
        let watched = Watched::new(Mutex::new(Arc::downgrade(&model)));
        let broken = Broken::default();
        let policy = match watch {
            true => Box::new(Watch { inner: policy, model: watched.clone(), broken: broken.clone() }),
            false => policy,
        };
        let mut shared = Shared::new(program, model, judge, notes);
        let sim = Sim::new(policy, patience(&program.geometry));
        let (report, panicked_at) = quietly(|| shared.boots(&sim, &watched));
        let first = broken.lock().take().map(|(place, mut divergence)| {
            divergence.detail.push_str(&format!("\nat {place}"));
            divergence
        });
        let mut divergence = first.or_else(|| shared.divergence.lock().take());
        if divergence.is_none() {
            divergence = divergence_of(report.end, |lane| shared.op_of(lane));
            if let (Some(divergence), Some(place)) = (&mut divergence, panicked_at) {
                divergence.detail.push_str(&format!("\nat {place}"));
            }
        }
        let verdict = Verdict {
            divergence,
            trace: report.trace,
            steps: report.steps,
            switches: report.switches,
            ops: shared.executed.load(Relaxed),
        };
        self.judge = Some(shared.judge.into_inner());
        verdict
    }

    fn judge(&mut self, program: &Program, page: u64) -> Judge {
        let lanes = program.lanes.len();
        let mut judge = match self.judge.take() {
            Some(mut judge) => {
                judge.reset(&program.geometry, lanes, page);
                judge
            }
            None => Judge::new(&program.geometry, lanes, page),
        };
        if program.ops().any(|(_, op)| op.kind.breaks_io()) {
            judge.expect_failures();
        }
        judge
    }
}

/// What is noted of a run, besides its verdict.
#[derive(Clone, Copy)]
enum Notes<'n> {
    Nothing,
    /// What every operation answered.
    Answers(&'n Mutex<Vec<Answer>>),
    /// What the first crash may leave, at which the run ends; how many units to choose at most.
    Crash(&'n Mutex<(usize, Exploration)>),
}
