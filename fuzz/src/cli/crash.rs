//! `crash`: every short program, and everything a crash may leave of it.

use super::hunt::fault;
use super::style::{BAD, DIM, GOOD, grouped, paint, say};
use super::{Ending, Result, stop_flag};
use clap::Args;
use faults::{Fault, FaultSet};
use foliofuzz::finding::Finding;
use foliofuzz::findings::Findings;
use foliofuzz::{Runner, short};
use indicatif::{ProgressBar, ProgressStyle};
use oracle::Divergence;
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

const ABOUT: &str = "\
A program is one to three steps. A step is truncate, write, mapwrite, dwrite, fallocate, keep_size, punch or zero_range
in the first two pages of a file, followed by nothing, by sync_range (on the device, not flushed) or by fsync: 75 steps.
Behind the last step the machine stops. Every program runs on the model as xfs and as ext4, with blocks of a page and of
half a page. Of each crash these states are looked at: any beginning of what the log has not made durable; with it
nothing of the device's cache, all of it, or one of these but for a few sectors. A state is wrong if a byte of the file
is none of its versions since the last sync, if the size is none the file had, or if the size covers bytes that were
appended and are not there.

Random crash points in longer programs, with other lanes and the background beside them, are part of `foliofuzz run`.

Exit status: 0 every state is sound, 1 one is not, 2 foliofuzz could not do its work.";

/// Run every short program up to a crash, and look at all that the crash may leave
#[derive(Args)]
#[command(after_help = ABOUT)]
pub(super) struct Crash {
    /// Programs of up to so many steps; those of three take minutes
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=3))]
    steps: u32,
    /// How many sectors may differ at most from what nothing or all of the cache would leave [default: 2, with three
    /// steps 1]
    #[arg(long, value_name = "N")]
    sectors: Option<usize>,
    /// Arm a historical bug, by name or id, and stop where it is found
    #[arg(long, value_name = "ID", value_parser = fault)]
    fault: Option<Fault>,
    /// Where findings are written
    #[arg(long, value_name = "DIR", default_value = "findings")]
    out: PathBuf,
    /// One line of JSON for each finding and for the summary
    #[arg(long)]
    json: bool,
}

#[derive(Default, Serialize)]
struct Counts {
    programs: u64,
    states: u64,
    diverged: u64,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Line<'a> {
    Finding {
        class: &'a str,
        detail: &'a str,
        ops: usize,
        switches: usize,
        path: &'a Path,
    },
    Summary {
        steps: u32,
        seconds: f64,
        complete: bool,
        findings: usize,
        #[serde(flatten)]
        counts: &'a Counts,
    },
}

impl Crash {
    pub(super) fn run(self) -> Result<Ending> {
        let stop = stop_flag()?;
        let findings = Findings::new(&self.out);
        let all: u64 = (1..=self.steps).map(short::count).sum::<u64>() * short::geometries().count() as u64;
        let bar = self.progress_bar(all);
        let begun = Instant::now();
        let mut counts = Counts::default();
        for steps in 1..=self.steps {
            for geometry in short::geometries() {
                self.look(steps, geometry, &stop, &bar, &findings, &mut counts)?;
            }
        }
        bar.finish_and_clear();
        self.summary(begun.elapsed().as_secs_f64(), counts.programs == all, &findings, &counts);
        Ok(if counts.diverged > 0 { Ending::Diverged } else { Ending::Agree })
    }

    fn look(
        &self,
        steps: u32,
        geometry: oracle::Geometry,
        stop: &AtomicBool,
        bar: &ProgressBar,
        findings: &Findings,
        counts: &mut Counts,
    ) -> Result<()> {
        let mut runner = Runner::new();
        let armed = self.fault.map_or(FaultSet::NONE, FaultSet::only);
        let sectors = self.sectors.unwrap_or(if steps < 3 { 2 } else { 1 });
        for number in 0..short::count(steps) {
            if stop.load(Ordering::Relaxed) || self.fault.is_some() && counts.diverged > 0 {
                return Ok(());
            }
            let program = short::program(geometry, steps, number);
            let (states, wrong) = runner.explore(&program, armed, sectors);
            counts.programs += 1;
            counts.states += states;
            if number.is_multiple_of(256) {
                bar.set_position(counts.programs);
                bar.set_message(format!("{} states, {} findings", grouped(counts.states), findings.kept().len()));
            }
            let Some((program, seen)) = wrong else { continue };
            counts.diverged += 1;
            if !findings.is_worth_a_look("model", &seen) {
                continue;
            }
            if let Some(finding) = Finding::on_model(&mut runner, &program, self.fault, seen.class)
                && let Some(path) = findings.keep(&finding)?
            {
                bar.suspend(|| self.announce(&finding, &path));
            }
        }
        Ok(())
    }

    fn progress_bar(&self, programs: u64) -> ProgressBar {
        if self.json {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} programs {elapsed} {msg}");
        ProgressBar::new(programs).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    }

    fn announce(&self, finding: &Finding, path: &Path) {
        let Finding { divergence, reproducer, .. } = finding;
        let Divergence { class, detail, .. } = divergence;
        let (ops, switches) = (reproducer.program.op_count(), reproducer.program.schedule.switches());
        if self.json {
            return print_json(&Line::Finding { class: class.name(), detail, ops, switches, path });
        }
        say(paint(BAD, divergence));
        say(paint(DIM, format!("  {ops} operations: {}", path.display())));
    }

    fn summary(&self, seconds: f64, complete: bool, findings: &Findings, counts: &Counts) {
        let kept = findings.kept();
        if self.json {
            let (steps, findings) = (self.steps, kept.len());
            return print_json(&Line::Summary { steps, seconds, complete, findings, counts });
        }
        let [programs, states] = [counts.programs, counts.states].map(grouped);
        say(format!("{programs} programs, {states} states after a crash, {seconds:.1} s"));
        if !complete && counts.diverged == 0 {
            say(paint(BAD, "stopped before the last program"));
        } else if counts.diverged == 0 {
            say(paint(GOOD, "every state is sound"));
        } else {
            say(paint(BAD, format!("{} new findings in {}", kept.len(), self.out.display())));
            kept.iter().for_each(|path| say(format!("  foliofuzz show {}", path.display())));
        }
    }
}

fn print_json(line: &Line<'_>) {
    // Strings and numbers only: there is nothing that could not be written as JSON.
    say(serde_json::to_string(line).unwrap_or_default());
}
