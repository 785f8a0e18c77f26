//! `hunt`: can the historical bugs be found, and how fast?

use super::files::read;
use super::run::strategy;
use super::style::{BAD, DIM, GOOD, HEAD, grouped, paint, say};
use super::{Ending, Result, stop_flag, trouble};
use clap::Args;
use faults::{FAULTS, Fault};
use foliofuzz::Runner;
use foliofuzz::bytes::Strategy;
use foliofuzz::finding::{Finding, fault_file_name, file_name};
use foliofuzz::hunt::{self, Outcome};
use foliofuzz::refresh::refresh;
use foliofuzz::text::nearest;
use indicatif::{ProgressBar, ProgressStyle};
use oracle::TargetError;
use serde::Serialize;
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
    /// Write the smallest minimized reproducer of each fault here
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// With --out: hunt only what the reproducers there no longer show, and renew the traces of the others
    #[arg(long, requires = "out")]
    refresh: bool,
    /// One line of JSON for each fault
    #[arg(long)]
    json: bool,
}

/// The line of a fault that was not hunted, as its reproducer still shows it.
#[derive(Serialize)]
struct Refreshed {
    id: &'static str,
    name: &'static str,
    refreshed: bool,
    /// The file was written anew.
    changed: bool,
}

impl Refreshed {
    fn text(&self) -> String {
        let what = if self.changed { "shown by its reproducer, which is renewed" } else { "shown by its reproducer" };
        format!("{:<4} {:<53} {}", self.id, self.name, paint(DIM, what))
    }
}

/// One fault's line.
#[derive(Serialize)]
struct Line {
    id: &'static str,
    name: &'static str,
    tier: u8,
    seeds: u64,
    found: u64,
    /// Programs run until it was found, median and most; all that were run where it was not.
    executions: [u64; 2],
    seconds: [f64; 2],
    minimize_seconds: [f64; 2],
    /// Of the minimized reproducers, median and most.
    ops: [usize; 2],
    switches: [usize; 2],
    detectors: Vec<&'static str>,
    /// Divergences in classes that do not count for this fault.
    others: u64,
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
        if !self.json {
            say(paint(HEAD, HEADING));
        }
        let mut missed = Vec::new();
        let bar = self.progress_bar(faults.len());
        for (done, fault) in faults.iter().enumerate() {
            bar.set_position(done as u64);
            if self.refresh && self.refreshed(*fault, &bar)? {
                continue;
            }
            let outcomes = self.hunt(*fault, &stop, &bar);
            if stop.load(Ordering::Relaxed) {
                say_unless(self.json, paint(BAD, format!("stopped after {done} of {} faults", faults.len())));
                return Ok(if missed.is_empty() { Ending::Agree } else { Ending::Diverged });
            }
            let line = Line::new(*fault, &outcomes);
            if line.found < line.seeds {
                missed.push(line.name);
            }
            let text = if self.json { json(&line)? } else { line.text() };
            bar.suspend(|| say(text));
            self.keep_smallest(&outcomes)?;
        }
        bar.finish_and_clear();
        if missed.is_empty() {
            say_unless(self.json, paint(GOOD, format!("{} of {} faults found", faults.len(), faults.len())));
            Ok(Ending::Agree)
        } else {
            let (count, all, names) = (missed.len(), faults.len(), missed.join(", "));
            say_unless(self.json, paint(BAD, format!("{count} of {all} faults not found every time: {names}")));
            Ok(Ending::Diverged)
        }
    }

    /// Drawn on standard error, and only if that is a terminal.
    fn progress_bar(&self, faults: usize) -> ProgressBar {
        if self.json {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} {elapsed} {msg}");
        ProgressBar::new(faults as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    }

    /// Hunts one fault with every seed.
    fn hunt(&self, fault: Fault, stop: &AtomicBool, bar: &ProgressBar) -> Vec<Outcome> {
        let mut runner = Runner::new();
        let seeds = (self.seed..self.seed + self.seeds).take_while(|_| !stop.load(Ordering::Relaxed));
        let hunt = |seed| {
            bar.set_message(format!("{} seed {seed}", fault.info().id));
            hunt::Hunt { seed, budget: self.budget, strategy: self.strategy }
        };
        seeds.map(|seed| hunt(seed).run(&mut runner, fault, stop)).collect()
    }

    /// Whether the reproducer that is there still shows the fault. It is written anew if the code has changed under it.
    fn refreshed(&self, fault: Fault, bar: &ProgressBar) -> Result<bool> {
        let Some(path) = self.out.as_ref().map(|dir| dir.join(fault_file_name(fault))) else { return Ok(false) };
        if !path.exists() {
            return Ok(false);
        }
        let old = read(&path)?;
        if old.fault != Some(fault) {
            return Err(TargetError::new(format!("{} is about another fault", path.display())));
        }
        let Some(new) = refresh(&mut Runner::new(), &old) else { return Ok(false) };
        if new != old {
            fs::write(&path, new.to_string()).map_err(|error| trouble(path.display(), error))?;
        }
        let line = Refreshed { id: fault.info().id, name: fault.info().name, refreshed: true, changed: new != old };
        let text = if self.json { json(&line)? } else { line.text() };
        bar.suspend(|| say(text));
        Ok(true)
    }

    /// Writes the reproducer that is read fastest: few operations and switches, nothing happening unsaid.
    fn keep_smallest(&self, outcomes: &[Outcome]) -> Result<()> {
        let found = outcomes.iter().filter_map(|outcome| outcome.found.as_ref());
        let cost = |found: &&Finding| {
            let program = &found.reproducer.program;
            let operands: u64 = program.ops().map(|(_, op)| op.off + op.len).sum();
            // A memory limit moves the background without a word in the schedule: the longer story is clearer.
            let hidden = program.geometry.memory_pages > 0;
            (hidden, program.schedule.switches() + program.op_count(), program.lanes.len(), operands)
        };
        let (Some(dir), Some(found)) = (&self.out, found.min_by_key(cost)) else { return Ok(()) };
        let write = || {
            fs::create_dir_all(dir)?;
            fs::write(dir.join(file_name(&found.reproducer)), found.reproducer.to_string())
        };
        write().map_err(|error| trouble(dir.display(), error))
    }
}

const HEADING: &str = "id   name                                                 tier  found  executions       most   seconds \
                       most  ops  switches  detectors";

impl Line {
    fn new(fault: Fault, outcomes: &[Outcome]) -> Line {
        let row = fault.info();
        let found: Vec<&Finding> = outcomes.iter().filter_map(|outcome| outcome.found.as_ref()).collect();
        let program = |finding: &&Finding| finding.reproducer.program.clone();
        let mut detectors: Vec<&str> = found.iter().map(|finding| finding.divergence.class.name()).collect();
        detectors.sort_unstable();
        detectors.dedup();
        Line {
            id: row.id,
            name: row.name,
            tier: row.tier,
            seeds: outcomes.len() as u64,
            found: found.len() as u64,
            executions: spread(outcomes.iter().map(|outcome| outcome.executions)),
            seconds: spread(outcomes.iter().map(|outcome| outcome.seconds)),
            minimize_seconds: spread(outcomes.iter().map(|outcome| outcome.minimize_seconds)),
            ops: spread(found.iter().map(|finding| program(finding).op_count())),
            switches: spread(found.iter().map(|finding| program(finding).schedule.switches())),
            detectors,
            others: outcomes.iter().flat_map(|outcome| outcome.others.values()).sum(),
        }
    }

    fn text(&self) -> String {
        let Line { id, name, tier, seeds, found, executions, seconds, ops, switches, detectors, .. } = self;
        let score = format!("{found}/{seeds}");
        let score = format!("{score:>6}");
        let score = if found == seeds { score } else { paint(BAD, score) };
        let [executions, most_executions] = executions.map(grouped);
        format!(
            "{id:<4} {name:<53} {tier:>3} {score} {executions:>11} {most_executions:>10} {:>9.3} {:>6.1} {:>4} {:>9}  {}",
            seconds[0],
            seconds[1],
            ops[0],
            switches[0],
            detectors.join(" ")
        )
    }
}

/// Median and largest.
fn spread<T: PartialOrd + Copy + Default>(values: impl Iterator<Item = T>) -> [T; 2] {
    let mut values: Vec<T> = values.collect();
    values.sort_by(|a, b| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
    [values.get(values.len() / 2), values.last()].map(|value| value.copied().unwrap_or_default())
}

fn json(line: &impl Serialize) -> Result<String> {
    serde_json::to_string(line).map_err(|error| trouble("the summary", error))
}

fn say_unless(quiet: bool, line: String) {
    if !quiet {
        say(line);
    }
}
