//! A campaign: fresh programs on the model and on directories, until time or patience is used up.

use crate::bytes::{Profile, Strategy, decode, decode_into, drawn};
use crate::finding::Finding;
use crate::findings::Findings;
use crate::generate::Generator;
use crate::place::Place;
use crate::program::Program;
use crate::runner::Runner;
use crate::verdict::Verdict;
use crate::worker::{Settings, Worker};
use faults::FaultSet;
use oracle::{Divergence, OpKind, TargetError};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::thread;
use std::time::{Duration, Instant};

/// What is to be done.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// Equal seeds, equal programs.
    pub seed: u64,
    /// How the model's lanes are scheduled; mostly stall-PCT if nothing is said.
    pub strategy: Option<Strategy>,
    /// Only these operations, all of them if there are none.
    pub kinds: Vec<OpKind>,
    /// Programs for each target at most.
    pub programs: u64,
    /// Seconds at most.
    pub seconds: f64,
    /// Threads for the model; none if it is 0.
    pub model_jobs: usize,
    /// Where the file systems to be tested are.
    pub places: Vec<Place>,
    /// A system call that takes longer hangs.
    pub patience: Duration,
    /// Report what is known of a file system, too.
    pub strict: bool,
    /// On directories: programs of several lanes, with a thread for each.
    pub threads: bool,
}

/// How often a candidate is run that is not the same every time, until it diverges.
const TRIES: usize = 10;

/// How far one target is. Counters only go up while the campaign runs.
#[derive(Debug)]
pub struct Progress {
    /// How reports call it.
    pub name: String,
    /// Programs run.
    pub programs: AtomicU64,
    /// Operations executed.
    pub ops: AtomicU64,
    /// Crashes among the operations, and the microseconds they took until the file was judged.
    pub crashes: AtomicU64,
    /// See there.
    pub crash_us: AtomicU64,
    /// Programs that diverged, the same finding again included.
    pub divergences: AtomicU64,
    /// What it is and what it lacks, once that is known.
    pub about: OnceLock<String>,
}

/// Told about every finding at once, with the number of the program that showed it.
pub type OnFinding<'a> = dyn Fn(&Progress, u64, &Finding, &Path) + Sync + 'a;

/// One program in so many is run again with the rules checked at every place, if it agrees.
const THOROUGH: u64 = 16;
/// How many programs a thread takes at a time.
const SHARE: u64 = 64;

/// Most programs of a batch.
const MAX_BATCH: u64 = 1 << 14;

impl Campaign {
    /// The targets, nothing run yet.
    pub fn targets(&self) -> Vec<Progress> {
        let model = (self.model_jobs > 0).then(|| "model".to_owned());
        let places = self.places.iter().map(Place::to_string);
        let new = |name| Progress {
            name,
            programs: AtomicU64::new(0),
            ops: AtomicU64::new(0),
            crashes: AtomicU64::new(0),
            crash_us: AtomicU64::new(0),
            divergences: AtomicU64::new(0),
            about: OnceLock::new(),
        };
        model.into_iter().chain(places).map(new).collect()
    }

    /// Runs until programs or seconds are used up or `stop` is raised. `tick` is called ten times a second.
    /// The first error of ours ends it.
    pub fn run(
        &self,
        targets: &[Progress],
        findings: &Findings,
        on_finding: &OnFinding<'_>,
        stop: &AtomicBool,
        mut tick: impl FnMut(),
    ) -> Result<(), TargetError> {
        let next = AtomicU64::new(0);
        let begun = Instant::now();
        let (model, others) = targets.split_at(usize::from(self.model_jobs > 0));
        thread::scope(|scope| {
            let task = |progress| Task { campaign: self, progress, findings, on_finding, stop };
            let mut threads = Vec::new();
            for progress in model {
                for _ in 0..self.model_jobs {
                    let (task, next) = (task(progress), &next);
                    threads.push(scope.spawn(move || task.or_stop(task.model(next))));
                }
            }
            for (progress, place) in others.iter().zip(&self.places) {
                let task = task(progress);
                threads.push(scope.spawn(move || task.or_stop(task.directory(place))));
            }
            while threads.iter().any(|thread| !thread.is_finished()) {
                if begun.elapsed().as_secs_f64() >= self.seconds {
                    stop.store(true, Relaxed);
                }
                tick();
                thread::sleep(Duration::from_millis(if begun.elapsed().as_secs() < 1 { 10 } else { 100 }));
            }
            let panicked = || TargetError::new("a thread of the campaign panicked");
            threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| panicked())?)
        })
    }
}

/// One thread's view of the campaign.
#[derive(Clone, Copy)]
struct Task<'a> {
    campaign: &'a Campaign,
    progress: &'a Progress,
    findings: &'a Findings,
    on_finding: &'a OnFinding<'a>,
    stop: &'a AtomicBool,
}

impl Task<'_> {
    /// An error of ours ends the whole campaign.
    fn or_stop(&self, result: Result<(), TargetError>) -> Result<(), TargetError> {
        if result.is_err() {
            self.stop.store(true, Relaxed);
        }
        result
    }

    fn generator(&self, profile: Profile) -> Generator {
        Generator { seed: self.campaign.seed, profile, strategy: self.campaign.strategy }
    }

    fn model(&self, next: &AtomicU64) -> Result<(), TargetError> {
        let generator = self.generator(Profile::ANY);
        let (mut quick, mut thorough) = (Runner::new(), Runner::thorough());
        let (mut bytes, mut program) = (Vec::new(), Program::empty());
        loop {
            let from = next.fetch_add(SHARE, Relaxed);
            let mut ops = 0;
            for number in from..(from + SHARE).min(self.campaign.programs) {
                generator.fill(number, &mut bytes);
                decode_into(&bytes, &mut program);
                program.keep(&self.campaign.kinds);
                let runner = if number % THOROUGH == 0 { &mut thorough } else { &mut quick };
                let verdict = runner.run(&program, FaultSet::NONE);
                ops += verdict.ops;
                if let Some(divergence) = verdict.divergence {
                    self.diverged(&divergence, number, &bytes, || {
                        let found = Finding::on_model(runner, &program, None, divergence.class);
                        found.ok_or_else(|| undetermined(self.campaign.seed, number, &divergence))
                    })?;
                }
            }
            self.progress.programs.fetch_add((from + SHARE).min(self.campaign.programs).saturating_sub(from), Relaxed);
            self.progress.ops.fetch_add(ops, Relaxed);
            if self.stop.load(Relaxed) || from + SHARE >= self.campaign.programs {
                return Ok(());
            }
        }
    }

    fn directory(&self, place: &Place) -> Result<(), TargetError> {
        let Campaign { patience, strict, threads, .. } = *self.campaign;
        let generator = self.generator(if threads { Profile::Threads } else { Profile::Kernel });
        let mut worker = Worker::start(&Settings { place: place.clone(), patience, strict, threads })?;
        self.progress.about.get_or_init(|| about(&worker));
        let (mut from, mut count) = (0, SHARE);
        while from < self.campaign.programs && !self.stop.load(Relaxed) {
            let begun = Instant::now();
            count = count.min(self.campaign.programs - from);
            let batch = worker.batch(&generator, &self.campaign.kinds, from, count, self.stop)?;
            from += batch.programs;
            self.progress.programs.fetch_add(batch.programs, Relaxed);
            self.progress.ops.fetch_add(batch.ops, Relaxed);
            self.progress.crashes.fetch_add(batch.crashes.count, Relaxed);
            self.progress.crash_us.fetch_add(batch.crashes.spent_us, Relaxed);
            if let Some((number, divergence)) = batch.divergent {
                let mut bytes = Vec::new();
                generator.fill(number, &mut bytes);
                let mut program = decode(&bytes);
                program.keep(&self.campaign.kinds);
                let mut failed = None;
                self.diverged(&divergence, number, &bytes, || {
                    let replay = worker.settings().replay();
                    let mut find = || {
                        if !threads {
                            let run = &mut |candidate: &Program| worker.run(candidate);
                            return Finding::on_target(&program, &divergence, run, &replay);
                        }
                        let mut run = |program: &Program| again(&mut worker, program);
                        let mut finding = Finding::on_target(&program, &divergence, &mut run, &replay)?;
                        let mut seen = 0;
                        for _ in 0..TRIES {
                            seen += usize::from(worker.run(&finding.reproducer.program)?.divergence.is_some());
                        }
                        finding
                            .tell(format!("Not the same every time: this program diverged in {seen} of {TRIES} runs"));
                        Ok(finding)
                    };
                    // It may have taken the file system with it.
                    Ok(find().unwrap_or_else(|error| {
                        failed = Some(error);
                        Finding::as_seen(&program, &divergence, &replay)
                    }))
                })?;
                failed.map_or(Ok(()), Err)?;
            }
            // Batches of some tenths of a second: long enough to hide the pipe, short enough to stop soon.
            let quick = begun.elapsed() < Duration::from_millis(200);
            count = if quick { (count * 2).min(MAX_BATCH) } else { (count / 2).max(1) };
        }
        Ok(())
    }

    fn diverged(
        &self,
        divergence: &Divergence,
        number: u64,
        bytes: &[u8],
        minimize: impl FnOnce() -> Result<Finding, TargetError>,
    ) -> Result<(), TargetError> {
        self.progress.divergences.fetch_add(1, Relaxed);
        if !self.findings.is_worth_a_look(&self.progress.name, divergence) {
            return Ok(());
        }
        let mut finding = minimize()?;
        finding.tell(format!("Drawn as program {number} of seed {}: {}", self.campaign.seed, drawn(bytes)));
        if let Some(path) = self.findings.keep(&finding)? {
            (self.on_finding)(self.progress, number, &finding, &path);
        }
        Ok(())
    }
}

/// Runs a program until it diverges, but not too often.
fn again(worker: &mut Worker, program: &Program) -> Result<Verdict, TargetError> {
    for _ in 1..TRIES {
        let verdict = worker.run(program)?;
        if verdict.divergence.is_some() {
            return Ok(verdict);
        }
    }
    worker.run(program)
}

/// One program, two answers from the model: nothing else that was found can be trusted.
fn undetermined(seed: u64, number: u64, divergence: &Divergence) -> TargetError {
    TargetError::new(format!(
        "program {number} of seed {seed} diverged on the model and then agreed: foliofuzz is not deterministic \
         there, please report it with these numbers ({divergence})"
    ))
}

/// Which file system it is, and which operations it refuses.
fn about(worker: &Worker) -> String {
    let lacks: Vec<String> = worker.lacks.iter().map(|lack| format!("{} ({})", lack.op, lack.errno)).collect();
    let lacks = if lacks.is_empty() { String::new() } else { format!(", lacks {}", lacks.join(", ")) };
    let crashes = worker.cannot_crash.as_ref().map_or_else(String::new, |why| format!(", never crashes ({why})"));
    format!("{}{lacks}{crashes}", worker.settings().place.about(&worker.file_system))
}
