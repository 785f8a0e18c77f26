//! Hunting a fault: fresh random programs with only this fault armed, until one diverges as it must.

use crate::bytes::{Profile, Strategy, decode_into};
use crate::finding::{Finding, shows};
use crate::generate::Generator;
use crate::program::Program;
use crate::runner::Runner;
use faults::{Fault, FaultSet};
use oracle::{Class, Op, OpKind};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// How a hunt goes.
#[derive(Clone, Copy, Debug)]
pub struct Hunt {
    /// Equal seeds, equal hunts.
    pub seed: u64,
    /// Programs to try at most.
    pub budget: u64,
    /// How lanes are scheduled; mostly stall-PCT if nothing is said.
    pub strategy: Option<Strategy>,
}

/// What a hunt came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The first program that diverged in a class that counts, minimized; none within the budget.
    pub found: Option<Finding>,
    /// Programs run, the one that diverged included.
    pub executions: u64,
    /// How long that took, without the minimization.
    pub seconds: f64,
    /// How long the minimization took.
    pub minimize_seconds: f64,
    /// Divergences in classes that are not in the fault's list of detectors.
    pub others: BTreeMap<Class, u64>,
}

impl Hunt {
    /// Hunts `fault` until it is found, the budget is used up, or `stop` is raised.
    pub fn run(&self, runner: &mut Runner, fault: Fault, stop: &AtomicBool) -> Outcome {
        let row = fault.info();
        let generator = Generator { seed: self.seed, profile: Profile::Model(row.needs), strategy: self.strategy };
        let begun = Instant::now();
        let mut outcome =
            Outcome { found: None, executions: 0, seconds: 0.0, minimize_seconds: 0.0, others: BTreeMap::new() };
        let mut bytes = Vec::new();
        let mut program = Program::empty();
        while outcome.executions < self.budget && !stop.load(Ordering::Relaxed) {
            generator.fill(outcome.executions, &mut bytes);
            decode_into(&bytes, &mut program);
            if row.needs.ops.contains(&OpKind::Crash.info().name) {
                // A program may crash or make I/O fail, not both.
                program.lanes.iter_mut().for_each(|ops| ops.retain(|op| !op.kind.breaks_io()));
                program.lanes[0].push(Op::plain(OpKind::Crash));
            }
            outcome.executions += 1;
            let Some(class) = shows(runner, &program, FaultSet::only(fault)) else { continue };
            if row.detectors.contains(&class.name()) {
                outcome.seconds = begun.elapsed().as_secs_f64();
                outcome.found = Finding::on_model(runner, &program, Some(fault), class);
                outcome.minimize_seconds = begun.elapsed().as_secs_f64() - outcome.seconds;
                return outcome;
            }
            *outcome.others.entry(class).or_insert(0) += 1;
        }
        outcome.seconds = begun.elapsed().as_secs_f64();
        outcome
    }
}
