//! The child's side.

use super::wire::{Lack, Reply, Request, Steering};
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
use oracle::{OpKind, TargetError};
use std::io::{BufRead, Write, stdin, stdout};
use std::path::Path;
use std::sync::atomic::Ordering::Relaxed;
use targets::directory::DirectoryTarget;

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
    let mut server = match entered.and_then(|()| Server::new(duty.dir, page, duty.strict, duty.threads)) {
        Ok(server) => server,
        // The parent tells people, once.
        Err(error) => return say(&Reply::Error { message: error.message }),
    };
    say(&server.ready())?;
    for line in stdin().lock().lines() {
        let request = line.map_err(|error| TargetError::new(error.to_string()))?;
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

struct Server {
    target: DirectoryTarget,
    runner: Sequential,
    /// The file system whose known differences are let pass.
    known_on: Option<String>,
    threads: bool,
    page: SharedPage,
    bytes: Vec<u8>,
    program: Program,
}

impl Server {
    fn new(dir: &Path, page: SharedPage, strict: bool, threads: bool) -> Result<Server, TargetError> {
        let target = DirectoryTarget::new(dir)?;
        let mut runner = Sequential::new();
        let known_on = (!strict).then(|| target.file_system().to_owned());
        known_on.iter().for_each(|file_system| runner.permit_known(file_system));
        Ok(Server { target, runner, known_on, threads, page, bytes: Vec::new(), program: Program::empty() })
    }

    fn ready(&self) -> Reply {
        let lack = |(kind, errno): &(OpKind, oracle::Errno)| Lack { op: kind.to_string(), errno: errno.to_string() };
        Reply::Ready {
            file_system: self.target.file_system().to_owned(),
            lacks: self.target.lacks().iter().map(lack).collect(),
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
                return Ok(Reply::Batch { programs, ops: executed, divergent: Some((number, divergence.into())) });
            }
        }
        Ok(Reply::Batch { programs, ops: executed, divergent: None })
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
        let words = self.page.words();
        self.runner.run(&mut self.target, &self.program, |step| {
            words[STEP].store(step, Relaxed);
            words[BEATS].fetch_add(1, Relaxed);
        })
    }
}
