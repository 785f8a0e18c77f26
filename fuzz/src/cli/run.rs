//! `run`: the default job.

use super::files::{PATIENCE_S, patience};
use super::mkfs::Making;
use super::style::{BAD, DIM, GOOD, grouped, paint, say, table};
use super::{Ending, Result, stop_flag};
use clap::Args;
use foliofuzz::bytes::Strategy;
use foliofuzz::campaign::{Campaign, Progress};
use foliofuzz::finding::Finding;
use foliofuzz::findings::Findings;
use foliofuzz::place::Place;
use indicatif::{ProgressBar, ProgressStyle};
use oracle::{OPS, OpKind};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

#[derive(Args)]
pub(super) struct Run {
    /// How long
    #[arg(long, value_name = "N", default_value_t = 10.0)]
    seconds: f64,
    /// How many programs for each target at most
    #[arg(long, value_name = "N")]
    programs: Option<u64>,
    /// Test the file system this directory is on; repeatable [default: without --mkfs, that for temporary files]
    #[arg(long, value_name = "DIR")]
    dir: Vec<PathBuf>,
    #[command(flatten)]
    making: Making,
    /// Leave out the model
    #[arg(long)]
    no_model: bool,
    /// Equal seeds give equal programs [default: another one every time]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Threads for the model [default: what the file systems leave of the processors]
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// How the model's lanes are scheduled [default: mostly pct]
    #[arg(long, value_name = "NAME", value_parser = strategy)]
    strategy: Option<Strategy>,
    /// Only these operations, separated by commas; see `foliofuzz ops`
    #[arg(long, value_name = "LIST", value_delimiter = ',', value_parser = kind)]
    ops: Vec<OpKind>,
    /// Where findings are written
    #[arg(long, value_name = "DIR", default_value = "findings")]
    out: PathBuf,
    /// A system call that takes longer hangs
    #[arg(long, value_name = "SECONDS", default_value_t = PATIENCE_S)]
    patience: f64,
    /// Report what is known of a file system, too; see `foliofuzz known`
    #[arg(long)]
    strict: bool,
    /// On directories: programs of several lanes, with a thread for each lane. Equal seeds then give equal programs, and
    /// not equal runs
    #[arg(long)]
    threads: bool,
    /// One line of JSON for each finding and for the summary
    #[arg(long)]
    json: bool,
}

impl Default for Run {
    fn default() -> Run {
        Run {
            seconds: 10.0,
            programs: None,
            dir: Vec::new(),
            making: Making::default(),
            no_model: false,
            seed: None,
            jobs: None,
            strategy: None,
            ops: Vec::new(),
            out: "findings".into(),
            patience: PATIENCE_S,
            strict: false,
            threads: false,
            json: false,
        }
    }
}

pub(super) fn strategy(name: &str) -> std::result::Result<Strategy, String> {
    let names = || Strategy::ALL.map(Strategy::name).join(", ");
    Strategy::ALL.into_iter().find(|strategy| strategy.name() == name).ok_or_else(|| format!("one of {}", names()))
}

pub(super) fn kind(name: &str) -> std::result::Result<OpKind, String> {
    let names = || OPS.iter().map(|row| row.name).collect::<Vec<_>>().join(", ");
    OpKind::from_name(name).ok_or_else(|| format!("one of {}", names()))
}

/// A seed for those who did not name one.
pub(super) fn any_seed() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(1, |time| time.as_nanos() as u64 >> 10 & 0xffff_ffff)
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Line<'a> {
    Finding {
        target: &'a str,
        /// The program's number; see `foliofuzz draw`.
        program: u64,
        class: &'a str,
        detail: &'a str,
        ops: usize,
        switches: usize,
        path: &'a Path,
    },
    Summary {
        seed: u64,
        /// Prints the weights of the first programs.
        draw: String,
        seconds: f64,
        targets: Vec<TargetLine<'a>>,
        /// So many programs ran on every file system, the same ones; none without two file systems.
        in_common: Option<u64>,
        findings: usize,
    },
}

#[derive(Serialize)]
struct TargetLine<'a> {
    name: &'a str,
    about: &'a str,
    programs: u64,
    ops: u64,
    /// Of a file system of ours; the model's are not counted.
    crashes: u64,
    /// Of the time that crashes took, recovery and judging included; none if there were none.
    crashes_per_second: Option<f64>,
    divergences: u64,
}

fn draw_command(seed: u64) -> String {
    format!("foliofuzz draw --seed {seed} --weights 20")
}

fn print_json(line: &Line<'_>) {
    // Strings and numbers only: there is nothing that could not be written as JSON.
    say(serde_json::to_string(line).unwrap_or_default());
}

impl Run {
    pub(super) fn run(self) -> Result<Ending> {
        let mut places: Vec<Place> = self.dir.iter().cloned().map(Place::Dir).collect();
        places.extend(self.making.places()?);
        if places.is_empty() {
            // The file under test has no name: nothing is left there.
            places.push(Place::Dir(std::env::temp_dir()));
        }
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let spare = processors.saturating_sub(places.len()).max(1);
        let campaign = Campaign {
            seed: self.seed.unwrap_or_else(any_seed),
            strategy: self.strategy,
            kinds: self.ops.clone(),
            programs: self.programs.unwrap_or(u64::MAX),
            seconds: self.seconds,
            model_jobs: if self.no_model { 0 } else { self.jobs.unwrap_or(spare).max(1) },
            places,
            patience: patience(self.patience),
            strict: self.strict,
            threads: self.threads,
        };
        self.campaign(&campaign)
    }

    fn campaign(&self, campaign: &Campaign) -> Result<Ending> {
        let stop = stop_flag()?;
        let findings = Findings::new(&self.out);
        let targets = campaign.targets();
        let bar = self.progress_bar();
        if !self.json {
            let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
            say(format!("fuzzing {} for {} s, seed {}", names.join(" and "), self.seconds, campaign.seed));
        }
        let on_finding = |target: &Progress, program: u64, finding: &Finding, path: &Path| {
            bar.suspend(|| self.announce(target, program, finding, path));
        };
        let begun = Instant::now();
        let done = campaign.run(&targets, &findings, &on_finding, &stop, || {
            let programs: u64 = targets.iter().map(|target| target.programs.load(Relaxed)).sum();
            bar.set_position((begun.elapsed().as_secs_f64() * 10.0) as u64);
            bar.set_message(format!("{} programs, {} findings", grouped(programs), findings.kept().len()));
        });
        bar.finish_and_clear();
        let seconds = begun.elapsed().as_secs_f64();
        self.summary(campaign, seconds, &targets, &findings);
        done?;
        Ok(if targets.iter().any(|target| target.divergences.load(Relaxed) > 0) {
            Ending::Diverged
        } else {
            Ending::Agree
        })
    }

    fn progress_bar(&self) -> ProgressBar {
        if self.json {
            return ProgressBar::hidden();
        }
        // On standard error, and indicatif draws nothing there unless it is a terminal.
        let bar = ProgressBar::new((self.seconds * 10.0) as u64);
        let style = ProgressStyle::with_template("{wide_bar} {elapsed} {msg}");
        bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    }

    fn announce(&self, target: &Progress, program: u64, finding: &Finding, path: &Path) {
        let Finding { divergence, reproducer, .. } = finding;
        let (ops, switches) = (reproducer.program.op_count(), reproducer.program.schedule.switches());
        if self.json {
            let (target, class) = (target.name.as_str(), divergence.class.name());
            let detail = &divergence.detail;
            return print_json(&Line::Finding { target, program, class, detail, ops, switches, path });
        }
        say(format!("{} {divergence}", paint(BAD, format!("{}:", target.name))));
        let drawn = reproducer.comment.iter().filter(|line| line.starts_with("Drawn as "));
        drawn.for_each(|line| say(paint(DIM, format!("  {line}"))));
        let rest = if finding.is_minimal { "" } else { ", may be smaller still" };
        say(paint(DIM, format!("  {ops} operations, {switches} switches{rest}: {}", path.display())));
    }

    fn summary(&self, campaign: &Campaign, seconds: f64, targets: &[Progress], findings: &Findings) {
        let seed = campaign.seed;
        let count = findings.kept().len();
        let rows = targets.iter().map(|Progress { name, programs, ops, crashes, crash_us, divergences, about }| {
            let [programs, ops, crashes, divergences] = [programs, ops, crashes, divergences].map(|n| n.load(Relaxed));
            let about = about.get().map_or("", String::as_str);
            let crashes_per_second = (crashes > 0).then(|| crashes as f64 * 1e6 / crash_us.load(Relaxed).max(1) as f64);
            TargetLine { name, about, programs, ops, crashes, crashes_per_second, divergences }
        });
        let rows: Vec<TargetLine<'_>> = rows.collect();
        // All begin with the first program of the seed and leave out none.
        let real = &rows[usize::from(campaign.model_jobs > 0)..];
        let in_common = (real.len() > 1).then(|| real.iter().map(|row| row.programs).min().unwrap_or(0));
        if self.json {
            let draw = draw_command(seed);
            return print_json(&Line::Summary { seed, draw, seconds, targets: rows, in_common, findings: count });
        }
        let heading = ["target", "programs", "operations", "per second", "diverged"].map(str::to_owned).to_vec();
        let cells = rows.iter().map(|row| {
            let rate = (row.ops as f64 / seconds) as u64;
            let numbers = [row.programs, row.ops, rate, row.divergences].map(grouped);
            [row.name.to_owned()].into_iter().chain(numbers).collect()
        });
        table(&[heading].into_iter().chain(cells).collect::<Vec<_>>());
        for row in rows.iter().filter(|row| !row.about.is_empty()) {
            say(paint(DIM, format!("{} is {}", row.name, row.about)));
        }
        for row in &rows {
            if let Some(rate) = row.crashes_per_second {
                let crashes = grouped(row.crashes);
                say(paint(DIM, format!("{} crashed {crashes} times and came up again, {rate:.0} a second", row.name)));
            }
        }
        if let Some(programs) = in_common {
            say(paint(DIM, format!("the first {} programs of the seed ran on every file system", grouped(programs))));
        }
        say(paint(DIM, format!("what ran and with which weights: {}", draw_command(seed))));
        if let Some(idle) = rows.iter().find(|row| row.programs == 0) {
            say(paint(BAD, format!("nothing ran on {}", idle.name)));
        } else if rows.iter().all(|row| row.divergences == 0) {
            say(paint(GOOD, "everything agreed"));
        }
        if rows.iter().any(|row| row.divergences > 0) {
            say(paint(BAD, format!("{count} new findings in {}", self.out.display())));
            findings.kept().iter().for_each(|path| say(format!("  foliofuzz show {}", path.display())));
        }
    }
}
