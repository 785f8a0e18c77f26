//! The child's side.

use super::wire::{Crashes, Lack, Reply, Request, Restarted, Steering};
use super::{BEATS, DONE, INSIDE, PROGRAM, STEP};
use crate::bytes::{Profile, decode_into};
use crate::generate::Generator;
use crate::program::Program;
use crate::reproducer::Reproducer;
use crate::sequential::Sequential;
use crate::steered::{Moment, Steered, is_steered, steer};
use crate::threaded::{self, is_threaded};
use crate::verdict::Verdict;
use ffi::SharedPage;
use oracle::{Errno, OpKind, TargetError};
use std::io::{Write, stdin, stdout};
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;
use targets::directory::{DirectoryTarget, Made, Restart};

/// What a child is told on its command line.
#[derive(Clone, Copy, Debug)]
pub struct Duty<'a> {
    /// A directory on the file system under test.
    pub dir: &'a Path,
    /// The mounts to enter first, if the directory is there alone.
    pub namespace: Option<&'a Path>,
    /// The number of the inherited shared page.
    pub page: i32,
    /// The process to die with.
    pub parent: u32,
    /// The file system that was made there for the run, if it was: it may be shut down.
    pub made: Option<Made<'a>>,
    /// Report what is known of the file system, too.
    pub strict: bool,
    /// Run programs whose lanes own bytes with a thread for each lane.
    pub threads: bool,
}

/// Serves requests on standard input until it ends.
pub fn serve(duty: Duty<'_>) -> Result<(), TargetError> {
    let trouble = |error: ffi::Error| TargetError::new(error.to_string());
    if ffi::die_with_parent(duty.parent).is_err() {
        // The parent died first: there is nothing to do, and nobody to tell.
        return Ok(());
    }
    let page = SharedPage::inherited(duty.page).map_err(trouble)?;
    let entered = duty.namespace.map_or(Ok(()), mounts::enter).map_err(|trouble| TargetError::new(trouble.to_string()));
    let mut server = match entered.and_then(|()| Server::new(duty, page)) {
        Ok(server) => server,
        // The parent tells people, once.
        Err(error) => return say(&Reply::Error { message: error.message }),
    };
    say(&server.ready())?;
    while let Some(request) = hear()? {
        let request = serde_json::from_str(&request).map_err(|error| TargetError::new(error.to_string()))?;
        let reply = server.answer(request).unwrap_or_else(|error| Reply::Error { message: error.message });
        say(&reply)?;
    }
    Ok(())
}

fn say(reply: &Reply) -> Result<(), TargetError> {
    let trouble = |error: &dyn std::fmt::Display| TargetError::new(format!("answering the parent: {error}"));
    let line = serde_json::to_string(reply).map_err(|error| trouble(&error))?;
    let mut out = stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| trouble(&error))
}

/// A line from the parent; none at the end. Nobody keeps standard input locked: a restart asks in between.
fn hear() -> Result<Option<String>, TargetError> {
    let mut line = String::new();
    let read = stdin().read_line(&mut line).map_err(|error| TargetError::new(error.to_string()))?;
    Ok((read > 0).then_some(line))
}

/// Asks the parent, who asks the keeper of the mount.
struct AskParent;

impl Restart for AskParent {
    fn restart(&mut self) -> Result<Result<(), (Errno, String)>, TargetError> {
        say(&Reply::Restart)?;
        let answer = hear()?.ok_or_else(|| TargetError::new("the parent is gone"))?;
        let answer = serde_json::from_str(&answer).map_err(|error| TargetError::new(error.to_string()))?;
        match answer {
            Restarted::Up => Ok(Ok(())),
            Restarted::Refused { errno, log } => {
                let log = if log.is_empty() { String::new() } else { format!("; kernel log: {log}") };
                Ok(Err((Errno(errno), format!("it could not be mounted again{log}"))))
            }
            Restarted::Gone { why } => Err(TargetError::new(why)),
        }
    }
}

struct Server {
    target: DirectoryTarget,
    runner: Sequential,
    /// The file system whose known differences are let pass.
    known_on: Option<String>,
    threads: bool,
    page: SharedPage,
    crashes: Crashes,
    bytes: Vec<u8>,
    program: Program,
}

impl Server {
    fn new(duty: Duty<'_>, page: SharedPage) -> Result<Server, TargetError> {
        let target = match duty.made {
            Some(made) => DirectoryTarget::made(duty.dir, made, Box::new(AskParent))?,
            None => DirectoryTarget::new(duty.dir)?,
        };
        let mut runner = Sequential::new();
        let known_on = (!duty.strict).then(|| target.file_system().to_owned());
        known_on.iter().for_each(|file_system| runner.permit_known(file_system));
        let (crashes, bytes, program) = (Crashes::default(), Vec::new(), Program::empty());
        Ok(Server { target, runner, known_on, threads: duty.threads, page, crashes, bytes, program })
    }

    fn ready(&self) -> Reply {
        let lack = |(kind, errno): &(OpKind, oracle::Errno)| Lack { op: kind.to_string(), errno: errno.to_string() };
        Reply::Ready {
            file_system: self.target.file_system().to_owned(),
            lacks: self.target.lacks().iter().map(lack).collect(),
            cannot_crash: self.target.cannot_crash().map(str::to_owned),
        }
    }

    fn answer(&mut self, request: Request) -> Result<Reply, TargetError> {
        match request {
            Request::Batch { seed, ops, from, count } => self.batch(seed, &ops, from, count),
            Request::Program { text } => {
                let reproducer: Reproducer = text.parse().map_err(|error| TargetError::new(format!("{error}")))?;
                self.program = reproducer.program;
                let steered = !self.is_threaded() && is_steered(&self.program);
                let (verdict, steering) = if steered { self.steer()? } else { (self.run()?, None) };
                let Verdict { divergence, trace, steps, ops, .. } = verdict;
                Ok(Reply::Program { divergence: divergence.map(Into::into), trace, steps, ops, steering })
            }
        }
    }

    fn batch(&mut self, seed: u64, ops: &[String], from: u64, count: u64) -> Result<Reply, TargetError> {
        let profile = if self.threads { Profile::Threads } else { Profile::Kernel };
        let generator = Generator { seed, profile, strategy: None };
        let kinds: Vec<OpKind> = ops.iter().filter_map(|name| OpKind::from_name(name)).collect();
        let (mut programs, mut executed) = (0, 0);
        self.crashes = Crashes::default();
        for number in from..from + count {
            generator.fill(number, &mut self.bytes);
            decode_into(&self.bytes, &mut self.program);
            self.program.keep(&kinds);
            self.page.words()[PROGRAM].store(number, Relaxed);
            let verdict = self.run()?;
            programs += 1;
            executed += verdict.ops;
            self.page.words()[STEP].store(0, Relaxed);
            self.page.words()[DONE].store(executed, Relaxed);
            if let Some(divergence) = verdict.divergence {
                let divergent = Some((number, divergence.into()));
                return Ok(Reply::Batch { programs, ops: executed, crashes: self.crashes, divergent });
            }
        }
        Ok(Reply::Batch { programs, ops: executed, crashes: self.crashes, divergent: None })
    }

    fn steer(&mut self) -> Result<(Verdict, Option<Steering>), TargetError> {
        let (words, program) = (self.page.words(), &self.program);
        let steered = steer(&mut self.target, program, self.known_on.as_deref(), |moment| {
            let step = match moment {
                Moment::Begins(id) => program.ops().position(|(other, _)| other == id),
                Moment::GoesOn => None,
                Moment::AtRest => Some(program.op_count()),
            };
            step.into_iter().for_each(|step| words[STEP].store(step as u64, Relaxed));
            words[BEATS].fetch_add(1, Relaxed);
        })?;
        let Steered { verdict, times, switches } = steered;
        Ok((verdict, Some(Steering { times, switches })))
    }

    fn is_threaded(&self) -> bool {
        self.threads && is_threaded(&self.program)
    }

    fn run_threads(&mut self) -> Result<Verdict, TargetError> {
        let (words, program) = (self.page.words(), &self.program);
        let before: Vec<u64> = program
            .lanes
            .iter()
            .scan(0, |sum, ops| {
                let before = *sum;
                *sum += ops.len() as u64;
                Some(before)
            })
            .collect();
        words[STEP].store(program.op_count() as u64, Relaxed);
        threaded::run(&mut self.target, program, self.known_on.as_deref(), |id, begins| {
            let lane = id.lane as usize;
            let number = if begins { 1 + before[lane] + u64::from(id.index) } else { 0 };
            words[INSIDE + lane].store(number, Relaxed);
            words[BEATS].fetch_add(1, Relaxed);
        })
    }

    fn run(&mut self) -> Result<Verdict, TargetError> {
        if self.is_threaded() {
            return self.run_threads();
        }
        let (words, crashes) = (self.page.words(), &mut self.crashes);
        let crash_steps: Vec<u64> = match self.target.cannot_crash() {
            None => {
                (0..).zip(self.program.ops()).filter(|(_, (_, op))| op.kind == OpKind::Crash).map(|(n, _)| n).collect()
            }
            Some(_) => Vec::new(),
        };
        let mut begun: Option<Instant> = None;
        self.runner.run(&mut self.target, &self.program, |step| {
            words[STEP].store(step, Relaxed);
            words[BEATS].fetch_add(1, Relaxed);
            if let Some(begun) = begun.take() {
                crashes.count += 1;
                crashes.spent_us += begun.elapsed().as_micros() as u64;
            }
            begun = crash_steps.contains(&step).then(Instant::now);
        })
    }
}
