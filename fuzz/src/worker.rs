//! Directories are tested in a process of their own.
//!
//! A system call that hangs or kills must not take the campaign down: it is a verdict. The child runs target and
//! flat file itself, whole batches at a time, so that nothing but a counter in shared memory is between the
//! operations; the parent watches the counter.

mod child;
mod wire;

pub use child::{Duty, serve};
pub use wire::{Crashes, Lack, Steering};

use crate::bytes::decode;
use crate::generate::Generator;
use crate::place::Place;
use crate::program::Program;
use crate::reproducer::{Expect, Reproducer};
use crate::verdict::Verdict;
use ffi::SharedPage;
use lanes::LaneId;
use mounts::Restart;
use oracle::{Class, Divergence, OpKind, TargetError};
use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};
use wire::{Reply, Request, Restarted};

/// Counters in the shared page: the program that runs, the operation it is at, a count of all operations begun, and
/// the operations executed by the programs that are done, in this request.
const PROGRAM: usize = 0;
const STEP: usize = 1;
const BEATS: usize = 2;
const DONE: usize = 3;
/// From here on, for each lane that is a thread: the number of the operation it is in, counted from 1 over all lanes.
const INSIDE: usize = 8;

/// How often the parent looks at the counters.
const GLANCE: Duration = Duration::from_millis(100);

/// A child process with a target of its own.
pub struct Worker {
    /// Dropped before the settings: a file system made for the run is not free as long as the child has a file there.
    process: Process,
    settings: Settings,
    /// There is no child, for this reason: what was lost has taken the file system with it.
    gone: Option<TargetError>,
    /// What the file system calls itself.
    pub file_system: String,
    /// What it lacks.
    pub lacks: Vec<Lack>,
    /// Why it cannot crash, unless it can.
    pub cannot_crash: Option<String>,
}

/// What a worker is started with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the file system to be tested is.
    pub place: Place,
    /// A call that takes longer hangs.
    pub patience: Duration,
    /// Report what is known of the file system, too.
    pub strict: bool,
    /// Run programs whose lanes own bytes with a thread for each lane.
    pub threads: bool,
}

impl Settings {
    /// The command that runs a file on the same file system.
    pub fn replay(&self) -> String {
        let [strict, threads] =
            [(self.strict, " --strict"), (self.threads, " --threads")].map(|(is, option)| if is { option } else { "" });
        format!("foliofuzz replay{strict}{threads} {}", self.place.options())
    }
}

struct Process {
    /// There until it is known to be dead or given up.
    child: Option<Child>,
    requests: ChildStdin,
    replies: Receiver<String>,
    page: SharedPage,
}

/// What came of a batch.
#[derive(Clone, Debug)]
pub struct Batch {
    /// Programs run.
    pub programs: u64,
    /// Operations they executed. Of a program that took the child with it, all that had returned.
    pub ops: u64,
    /// Crashes among them. Of a program that took the child with it, and those before it, none are counted.
    pub crashes: Crashes,
    /// The number of the program that ended the batch, and what it showed.
    pub divergent: Option<(u64, Divergence)>,
}

/// How waiting for a reply ended.
enum Waited {
    Reply(Reply),
    /// The child died or hung, at this operation of this program.
    Lost {
        class: Class,
        detail: String,
        program: u64,
        step: u64,
        /// Executed by the programs before it.
        done: u64,
    },
    Stopped,
}

impl Worker {
    /// Starts a child.
    ///
    /// The child dies with the calling thread, so that must live as long as the worker.
    pub fn start(settings: &Settings) -> Result<Worker, TargetError> {
        let process = Process::start(settings)?;
        let (settings, file_system) = (settings.clone(), String::new());
        let mut worker = Worker { process, settings, gone: None, file_system, lacks: Vec::new(), cannot_crash: None };
        worker.greet()?;
        Ok(worker)
    }

    /// What it was started with.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    fn greet(&mut self) -> Result<(), TargetError> {
        match self.wait(&AtomicBool::new(false))? {
            Waited::Reply(Reply::Ready { file_system, lacks, cannot_crash }) => {
                (self.file_system, self.lacks, self.cannot_crash) = (file_system, lacks, cannot_crash);
                Ok(())
            }
            Waited::Reply(Reply::Error { message }) => Err(self.settings.place.trouble(message)),
            Waited::Lost { detail, .. } => {
                Err(TargetError::new(format!("the worker for {} {detail}", self.settings.place)))
            }
            Waited::Reply(_) | Waited::Stopped => Err(TargetError::new("the worker does not speak this version")),
        }
    }

    /// Runs programs `from..from + count` of the generator, operations of these kinds only (all if there are
    /// none), up to the first divergence.
    pub fn batch(
        &mut self,
        generator: &Generator,
        kinds: &[OpKind],
        from: u64,
        count: u64,
        stop: &AtomicBool,
    ) -> Result<Batch, TargetError> {
        let ops = kinds.iter().map(ToString::to_string).collect();
        let request = Request::Batch { seed: generator.seed, ops, from, count };
        match self.ask(&request, stop)? {
            Waited::Reply(Reply::Batch { programs, ops, crashes, divergent }) => {
                let divergent = divergent.map(|(number, wire)| (number, Divergence::from(wire)));
                Ok(Batch { programs, ops, crashes, divergent })
            }
            Waited::Lost { class, detail, program, step, done } => {
                let mut bytes = Vec::new();
                generator.fill(program, &mut bytes);
                let mut culprit = decode(&bytes);
                culprit.keep(kinds);
                let lost = lost(&culprit, class, detail, step);
                let programs = program.saturating_sub(from) + 1;
                let crashes = Crashes::default();
                Ok(Batch { programs, ops: done + step, crashes, divergent: Some((program, lost)) })
            }
            Waited::Stopped => Ok(Batch { programs: 0, ops: 0, crashes: Crashes::default(), divergent: None }),
            Waited::Reply(_) => Err(TargetError::new("the worker answered something else")),
        }
    }

    /// Runs one program: with a thread for each lane, if that was asked for; lane after lane, or steered by its schedule, if it is a program for that
    /// ([`steered::is_steered`](crate::steered::is_steered)).
    pub fn run(&mut self, program: &Program) -> Result<Verdict, TargetError> {
        self.replay(program).map(|(verdict, _)| verdict)
    }

    /// As [`Worker::run`], and says what became of the schedule, if it was followed and the child has survived it.
    pub fn replay(&mut self, program: &Program) -> Result<(Verdict, Option<Steering>), TargetError> {
        let bare = Reproducer {
            comment: Vec::new(),
            fault: None,
            expect: Expect::Agree,
            trace: None,
            program: program.clone(),
        };
        let request = Request::Program { text: bare.to_string() };
        match self.ask(&request, &AtomicBool::new(false))? {
            Waited::Reply(Reply::Program { divergence, trace, steps, ops, steering }) => {
                let divergence = divergence.map(Divergence::from);
                Ok((Verdict { divergence, trace, steps, switches: 0, ops }, steering))
            }
            Waited::Lost { class, detail, step, .. } => {
                let divergence = Some(lost(program, class, detail, step));
                Ok((Verdict { divergence, trace: 0, steps: step, switches: 0, ops: step }, None))
            }
            Waited::Reply(_) | Waited::Stopped => Err(TargetError::new("the worker answered something else")),
        }
    }

    /// Sends a request and waits. A child that was lost is replaced.
    fn ask(&mut self, request: &Request, stop: &AtomicBool) -> Result<Waited, TargetError> {
        if let Some(error) = &self.gone {
            return Err(error.clone());
        }
        let first = if let Request::Batch { from, .. } = request { *from } else { 0 };
        let lanes = (0..LaneId::MAX_USERS).map(|lane| (INSIDE + lane, 0));
        for (word, value) in [(PROGRAM, first), (STEP, 0), (DONE, 0)].into_iter().chain(lanes) {
            self.process.words()[word].store(value, Relaxed);
        }
        let mut line = serde_json::to_string(request).map_err(|error| TargetError::new(error.to_string()))?;
        line.push('\n');
        // A child that is dead already shows when its reply is waited for.
        let _ = self.process.requests.write_all(line.as_bytes());
        let waited = self.wait(stop)?;
        if let Waited::Reply(Reply::Error { message }) = waited {
            return Err(self.settings.place.trouble(message));
        }
        if !matches!(waited, Waited::Reply(_)) {
            self.process = Process::start(&self.settings)?;
            if !stop.load(Relaxed) {
                // What was lost is told first.
                self.gone = self.greet().err();
            }
        }
        Ok(waited)
    }

    fn wait(&mut self, stop: &AtomicBool) -> Result<Waited, TargetError> {
        let mut beats = self.process.words()[BEATS].load(Relaxed);
        let mut since = Instant::now();
        loop {
            match self.process.replies.recv_timeout(GLANCE) {
                Ok(line) => {
                    let garbled = |error| TargetError::new(format!("the worker's answer is garbled: {error}"));
                    match serde_json::from_str(&line).map_err(garbled)? {
                        Reply::Restart if !self.restart()? => {
                            let patience = self.settings.patience;
                            return Ok(self.lost(Class::Hang, format!("was not mounted again within {patience:?}")));
                        }
                        Reply::Restart => since = Instant::now(),
                        reply => return Ok(Waited::Reply(reply)),
                    }
                }
                Err(RecvTimeoutError::Disconnected) => {
                    return Ok({
                        let death = self.process.death();
                        self.lost(Class::Panic, death)
                    });
                }
                Err(RecvTimeoutError::Timeout) if stop.load(Relaxed) => return Ok(Waited::Stopped),
                Err(RecvTimeoutError::Timeout) => {
                    let now = self.process.words()[BEATS].load(Relaxed);
                    if now != beats {
                        (beats, since) = (now, Instant::now());
                    } else if since.elapsed() > self.settings.patience {
                        return Ok(
                            self.lost(Class::Hang, format!("did not return within {:?}", self.settings.patience))
                        );
                    }
                }
            }
        }
    }

    /// Has the file system restarted for the child, and tells it. False if that takes too long.
    fn restart(&mut self) -> Result<bool, TargetError> {
        let answer = match self.settings.place.restart(self.settings.patience) {
            Ok(Restart::Up) => Restarted::Up,
            Ok(Restart::Refused { errno, log }) => Restarted::Refused { errno, log },
            Ok(Restart::Hung) => return Ok(false),
            Err(TargetError { message }) => Restarted::Gone { why: message },
        };
        let mut line = serde_json::to_string(&answer).map_err(|error| TargetError::new(error.to_string()))?;
        line.push('\n');
        // A child that is dead already shows when its reply is waited for.
        let _ = self.process.requests.write_all(line.as_bytes());
        Ok(true)
    }

    fn lost(&self, class: Class, detail: String) -> Waited {
        let inside = (0..LaneId::MAX_USERS).map(|lane| self.process.words()[INSIDE + lane].load(Relaxed));
        let inside: Vec<u64> = inside.filter(|number| *number > 0).collect();
        if let Some(number) = inside.first() {
            self.process.words()[STEP].store(number - 1, Relaxed);
        }
        let detail = match inside.len() {
            0 | 1 => detail,
            lanes => format!("{detail}, with {lanes} lanes inside of operations"),
        };
        let [program, step, done] = [PROGRAM, STEP, DONE].map(|word| self.process.words()[word].load(Relaxed));
        Waited::Lost { class, detail, program, step, done }
    }
}

fn lost(program: &Program, class: Class, detail: String, step: u64) -> Divergence {
    let at = program.ops().nth(step as usize);
    let what = at.map_or("reading the file at rest".to_owned(), |(_, op)| op.to_string());
    Divergence {
        class,
        op: at.map(|(id, _)| id),
        offset: None,
        detail: format!("{what}: the process under test {detail}"),
    }
}

impl Process {
    fn start(settings: &Settings) -> Result<Process, TargetError> {
        let trouble = |what: &str, error: &dyn std::fmt::Display| TargetError::new(format!("{what}: {error}"));
        let page = SharedPage::create().map_err(|error| trouble("shared memory for a worker", &error))?;
        let fd = page.for_child().map_err(|error| trouble("shared memory for a worker", &error))?;
        let program = std::env::current_exe().map_err(|error| trouble("the path of this program", &error))?;
        let mut child = Command::new(program)
            .arg("worker")
            .arg(settings.place.dir())
            .args(["--page", &fd.to_string(), "--parent", &std::process::id().to_string()])
            .args(settings.place.namespace().into_iter().flat_map(|path| [OsStr::new("--namespace"), path.as_ref()]))
            .args(settings.place.made().into_iter().flat_map(|name| ["--made", name]))
            .args(settings.place.device().into_iter().flat_map(|path| [OsStr::new("--device"), path.as_ref()]))
            .args(settings.strict.then_some("--strict"))
            .args(settings.threads.then_some("--threads"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| trouble("starting a worker", &error))?;
        let (Some(requests), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(TargetError::new("a worker without pipes"));
        };
        let (sender, replies) = channel();
        // Ends with the child: a pipe cannot be read with a time limit, a channel can.
        std::thread::spawn(move || {
            BufReader::new(answers).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)).ok()
        });
        Ok(Process { child: Some(child), requests, replies, page })
    }

    fn words(&self) -> &[AtomicU64; SharedPage::WORDS] {
        self.page.words()
    }

    /// How a child ended that has closed its pipe.
    fn death(&mut self) -> String {
        match self.child.take().map(|mut child| child.wait()) {
            Some(Ok(status)) => format!("died: {status}"),
            Some(Err(error)) => format!("died, and nobody knows how: {error}"),
            None => "was dead already".to_owned(),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // If it hangs in the kernel it dies when the kernel lets it; nobody waits for that but this thread.
            let _ = child.kill();
            std::thread::spawn(move || child.wait());
        }
    }
}
