//! `replay` and `convert`; what the commands on reproducers share.

use super::mkfs::Making;
use super::style::{BAD, DIM, GOOD, paint, say};
use super::{Ending, Result, trouble};
use clap::Args;
use faults::{Fault, FaultSet};
use foliofuzz::bytes::{decode, encode};
use foliofuzz::place::Place;
use foliofuzz::steered::Switch;
use foliofuzz::worker::{Settings, Steering, Worker};
use foliofuzz::{Expect, Reproducer, Runner, Verdict};
use oracle::TargetError;
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Which target a file is run on.
#[derive(Args)]
pub(super) struct On {
    /// Run on the file system of this directory instead of the model
    #[arg(long, value_name = "DIR", group = "real")]
    dir: Option<PathBuf>,
    #[command(flatten)]
    making: Making,
    /// With --dir or --mkfs: report what is known of the file system, too; see `foliofuzz known`
    #[arg(long, requires = "real")]
    strict: bool,
    /// With --dir or --mkfs: a system call that takes longer hangs
    #[arg(long, value_name = "SECONDS", default_value_t = PATIENCE_S)]
    patience: f64,
    /// With --dir or --mkfs: a thread for each lane that owns bytes, whatever the schedule says
    #[arg(long, requires = "real")]
    threads: bool,
    /// Arm this fault instead of the one the file names
    #[arg(long, value_name = "NAME", value_parser = super::hunt::fault, conflicts_with_all = ["no_fault", "real"])]
    fault: Option<Fault>,
    /// Arm no fault, whatever the file says
    #[arg(long)]
    no_fault: bool,
}

/// Longest wait for a call of a file system, unless somebody says otherwise.
pub(super) const PATIENCE_S: f64 = 20.0;

/// So many seconds, within reason.
pub(super) fn patience(seconds: f64) -> Duration {
    Duration::from_secs_f64(if seconds.is_nan() { PATIENCE_S } else { seconds.clamp(0.1, 1e6) })
}

/// Reads a reproducer, or the bytes a fuzz target was given: files that are called `.folio` are text, and so is
/// what begins like one.
pub(super) fn read(path: &Path) -> Result<Reproducer> {
    let bytes = fs::read(path).map_err(|error| trouble(path.display(), error))?;
    let is_text = path.extension().is_some_and(|extension| extension == "folio") || bytes.starts_with(b"foliofuzz");
    if !is_text {
        let comment = vec![format!("The program that the bytes of {} stand for.", path.display())];
        return Ok(Reproducer { comment, fault: None, expect: Expect::Agree, trace: None, program: decode(&bytes) });
    }
    let text = String::from_utf8(bytes).map_err(|error| trouble(path.display(), error))?;
    text.parse().map_err(|error| trouble(path.display(), error))
}

impl On {
    /// The fault to arm for this file.
    pub(super) fn fault(&self, reproducer: &Reproducer) -> Result<Option<Fault>> {
        let fault = if self.no_fault || self.is_real() { None } else { self.fault.or(reproducer.fault) };
        if fault.is_some() && !cfg!(feature = "faults") {
            return Err(TargetError::new("this build has no faults; try --no-fault"));
        }
        Ok(fault)
    }

    fn is_real(&self) -> bool {
        self.dir.is_some() || self.making.count() > 0
    }

    pub(super) fn worker(&self) -> Result<Option<Worker>> {
        if self.making.count() > 1 {
            return Err(TargetError::new("this runs on one file system at a time: say --mkfs once"));
        }
        let mut places = self.making.places()?;
        places.extend(self.dir.iter().cloned().map(Place::Dir));
        let settings =
            |place| Settings { place, patience: patience(self.patience), strict: self.strict, threads: self.threads };
        places.pop().map(|place| Worker::start(&settings(place))).transpose()
    }

    pub(super) fn run(&self, reproducer: &Reproducer, worker: Option<&mut Worker>) -> Result<Verdict> {
        self.steer(reproducer, worker).map(|(verdict, _)| verdict)
    }

    /// Also says what became of the schedule, if it was followed on a real file system.
    fn steer(&self, reproducer: &Reproducer, worker: Option<&mut Worker>) -> Result<(Verdict, Option<Steering>)> {
        match worker {
            Some(worker) => worker.replay(&reproducer.program),
            None => Ok((Runner::thorough().run(&reproducer.program, armed(self.fault(reproducer)?)), None)),
        }
    }
}

pub(super) fn armed(fault: Option<Fault>) -> FaultSet {
    fault.map_or(FaultSet::NONE, FaultSet::only)
}

#[derive(Args)]
pub(super) struct Replay {
    /// Reproducers
    #[arg(required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    on: On,
    /// Exit with 0 if every file does what it says it does, diverge or agree
    #[arg(long)]
    check: bool,
    /// One line of JSON for each file
    #[arg(long)]
    json: bool,
}

/// What a replay has shown.
struct Seen {
    verdict: Verdict,
    steering: Option<Steering>,
    rate: Option<[u32; 2]>,
}

/// How often a run with threads that diverged is run in all.
const RERUNS: u32 = 10;

/// How many of so many runs diverge, the one that was seen to do so included.
fn rate(reproducer: &Reproducer, worker: &mut Worker) -> Result<[u32; 2]> {
    let mut seen = 1;
    for _ in 1..RERUNS {
        seen += u32::from(worker.run(&reproducer.program)?.divergence.is_some());
    }
    Ok([seen, RERUNS])
}

/// What one file did.
#[derive(Serialize)]
struct Line<'a> {
    file: &'a Path,
    /// `agree`, or the class of the divergence.
    found: String,
    /// What the file says; none where it makes no promise, on another target or with another fault.
    expected: Option<String>,
    /// The run passed other places than when the file was made.
    stale: bool,
    detail: Option<String>,
    /// The switch points and whether they were honoured; none where no schedule was followed, or by the model.
    switches: Option<&'a [Switch]>,
    /// A run with threads is not the same every time: of so many, so many found something.
    rate: Option<[u32; 2]>,
}

impl Replay {
    pub(super) fn run(self) -> Result<Ending> {
        let mut worker = self.on.worker()?;
        let (mut diverged, mut unexpected) = (false, false);
        for path in &self.files {
            let reproducer = read(path)?;
            let (verdict, steering) = self.on.steer(&reproducer, worker.as_mut())?;
            diverged |= verdict.divergence.is_some();
            let varies = steering.is_some() || self.on.threads;
            let rate = match &mut worker {
                Some(worker) if varies && verdict.divergence.is_some() => Some(rate(&reproducer, worker)?),
                _ => None,
            };
            unexpected |= !self.report(path, &reproducer, &Seen { verdict, steering, rate })?;
        }
        let bad = if self.check { unexpected } else { diverged };
        Ok(if bad { Ending::Diverged } else { Ending::Agree })
    }

    /// Prints what a file did; whether that is what it says.
    fn report(&self, path: &Path, reproducer: &Reproducer, seen: &Seen) -> Result<bool> {
        let Seen { verdict, steering, rate } = seen;
        let found = verdict.class().map_or(Expect::Agree, Expect::Diverge);
        // On another target or with another fault the file makes no promise.
        let same = !self.on.is_real() && self.on.fault(reproducer)? == reproducer.fault;
        let expected = found == reproducer.expect;
        let stale = same && reproducer.trace.is_some_and(|trace| trace != verdict.trace);
        if self.json {
            let promise = same.then(|| reproducer.expect.to_string());
            let detail = verdict.divergence.as_ref().map(ToString::to_string);
            let switches = steering.as_ref().map(|steering| steering.switches.as_slice());
            let (found, rate) = (found.to_string(), *rate);
            let line = Line { file: path, found, expected: promise, stale, detail, switches, rate };
            say(serde_json::to_string(&line).map_err(|error| trouble(path.display(), error))?);
            return Ok(expected || !same);
        }
        let note = match (same, expected) {
            (true, true) => paint(GOOD, "as expected"),
            (true, false) => paint(BAD, format!("the file says {}", reproducer.expect)),
            (false, _) => paint(DIM, format!("the file says {} elsewhere", reproducer.expect)),
        };
        say(format!("{}: {found}, {note}", path.display()));
        if stale {
            say(paint(DIM, "  stale: the code passes other places now than when the file was made"));
        }
        if let Some(divergence) = &verdict.divergence {
            divergence.to_string().lines().for_each(|line| say(format!("  {line}")));
        }
        if let Some([seen, of]) = rate {
            say(format!("  seen in {seen} of {of} replays"));
        }
        if let Some(Steering { times, switches }) = steering {
            if *times > 1 {
                say(paint(DIM, format!("  offsets and lengths are {times} times those of the file")));
            }
            switches.iter().for_each(|switch| say(format!("  {switch}")));
        }
        Ok(expected || !same)
    }
}

#[derive(Args)]
pub(super) struct Convert {
    /// Reproducers become bytes for a fuzzer's corpus, and such bytes become reproducers
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// Where the other form is written, under the same name
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Convert {
    pub(super) fn run(self) -> Result<Ending> {
        fs::create_dir_all(&self.out).map_err(|error| trouble(self.out.display(), error))?;
        for path in &self.files {
            let reproducer = read(path)?;
            let is_text = path.extension().is_some_and(|extension| extension == "folio");
            let form = if is_text { encode(&reproducer.program) } else { reproducer.to_string().into_bytes() };
            let name = path.with_extension(if is_text { "bytes" } else { "folio" });
            let to = self.out.join(name.file_name().unwrap_or_default());
            fs::write(&to, form).map_err(|error| trouble(to.display(), error))?;
        }
        Ok(Ending::Agree)
    }
}
