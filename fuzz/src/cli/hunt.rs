//! `hunt`: can the historical bugs be found, and how fast?

use super::run::strategy;
use super::style::{BAD, DIM, GOOD, grouped, paint, say};
use super::{Ending, Result, stop_flag, trouble};
use clap::Args;
use faults::{FAULTS, Fault};
use foliofuzz::Runner;
use foliofuzz::bytes::Strategy;
use foliofuzz::finding::file_name;
use foliofuzz::hunt::{self, Outcome};
use foliofuzz::text::nearest;
use oracle::TargetError;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Args)]
pub(super) struct Hunt {
    /// Names or ids of faults; see `foliofuzz faults`
    #[arg(required_unless_present = "all", value_parser = fault)]
    faults: Vec<Fault>,
    /// All faults there are
    #[arg(long, conflicts_with = "faults")]
    all: bool,
    /// The first seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// How many seeds
    #[arg(long, value_name = "N", default_value_t = 1)]
    seeds: u64,
    /// Programs to try for each fault and seed at most
    #[arg(long, value_name = "N", default_value_t = 2_000_000)]
    budget: u64,
    /// How lanes are scheduled [default: mostly pct]
    #[arg(long, value_name = "NAME", value_parser = strategy)]
    strategy: Option<Strategy>,
    /// Write the minimized reproducer of the first seed here, one for each fault
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(super) fn fault(name: &str) -> std::result::Result<Fault, String> {
    Fault::from_name(name).ok_or_else(|| match nearest(name, FAULTS.iter().map(|row| row.name)) {
        Some(near) => format!("no such fault; did you mean `{near}`?"),
        None => "no such fault; `foliofuzz faults` lists them".to_owned(),
    })
}

impl Hunt {
    pub(super) fn run(self) -> Result<Ending> {
        if !cfg!(feature = "faults") {
            return Err(TargetError::new("this build has no faults; build it with the feature `faults`"));
        }
        let stop = stop_flag()?;
        let faults = if self.all { FAULTS.iter().map(|row| row.fault).collect() } else { self.faults.clone() };
        say(format!(
            "{:<4} {:<48} {:>11} {:>9} {:>4} {:>9} {:>10}  detector",
            "id", "name", "executions", "seconds", "ops", "switches", "minimized"
        ));
        let mut missed = Vec::new();
        for fault in &faults {
            let outcomes = self.hunt(*fault, &stop)?;
            if stop.load(Ordering::Relaxed) {
                break;
            }
            if !outcomes.iter().all(|outcome| outcome.found.is_some()) {
                missed.push(fault.info().name);
            }
        }
        if missed.is_empty() {
            say(paint(GOOD, format!("{} faults found", faults.len())));
            Ok(Ending::Agree)
        } else {
            say(paint(
                BAD,
                format!("{} of {} faults not found every time: {}", missed.len(), faults.len(), missed.join(", ")),
            ));
            Ok(Ending::Diverged)
        }
    }

    /// Hunts one fault with every seed and prints its lines.
    fn hunt(&self, fault: Fault, stop: &AtomicBool) -> Result<Vec<Outcome>> {
        let mut runner = Runner::new();
        let mut outcomes = Vec::new();
        for seed in self.seed..self.seed + self.seeds {
            let hunt = hunt::Hunt { seed, budget: self.budget, strategy: self.strategy };
            outcomes.push(hunt.run(&mut runner, fault, stop));
            if stop.load(Ordering::Relaxed) {
                return Ok(outcomes);
            }
        }
        print(fault, &outcomes[0]);
        if outcomes.len() > 1 {
            print_spread(&outcomes);
        }
        if let (Some(dir), Some(found)) = (&self.out, &outcomes[0].found) {
            let write = |dir: &PathBuf| {
                fs::create_dir_all(dir)?;
                fs::write(dir.join(file_name(&found.reproducer)), found.reproducer.to_string())
            };
            write(dir).map_err(|error| trouble(dir.display(), error))?;
        }
        Ok(outcomes)
    }
}

fn print(fault: Fault, outcome: &Outcome) {
    let row = fault.info();
    let executions = grouped(outcome.executions);
    let start = format!("{:<4} {:<48} {executions:>11} {:>9.3}", row.id, row.name, outcome.seconds);
    let others: Vec<String> = outcome.others.iter().map(|(class, count)| format!("{count} {class}")).collect();
    match &outcome.found {
        Some(found) => {
            let (ops, switches) = (found.reproducer.program.op_count(), found.reproducer.program.schedule.switches());
            let class = found.divergence.class;
            say(format!("{start} {ops:>4} {switches:>9} {:>8.3} s  {class}", outcome.minimize_seconds));
        }
        None => say(format!("{start} {}", paint(BAD, "not found"))),
    }
    if !others.is_empty() {
        say(paint(DIM, format!("     diverged otherwise: {}", others.join(", "))));
    }
}

fn print_spread(outcomes: &[Outcome]) {
    let mut executions: Vec<u64> = outcomes.iter().map(|outcome| outcome.executions).collect();
    executions.sort_unstable();
    let found = outcomes.iter().filter(|outcome| outcome.found.is_some()).count();
    let (median, most) = (executions[executions.len() / 2], executions[executions.len() - 1]);
    let counts = format!("median {} executions, at most {}", grouped(median), grouped(most));
    say(paint(DIM, format!("     {} seeds: found {found} times, {counts}", outcomes.len())));
}
