//! Running a program on the model, beside its oracle.
//!
//! User lanes do their operations, the background lanes are always there, and when the last user lane is done
//! the checker lane reads the whole file through the cache, brings everything to the device, and compares what is
//! there, too. The first divergence ends the run.

use crate::calm::patient_policy_of;
use crate::explore::{Exploration, explore};
use crate::panics::quietly;
use crate::program::Program;
use crate::verdict::{Answer, Recorded, Verdict, divergence_of};
use crate::watch::{Broken, Watch};
use faults::FaultSet;
use lanes::anchored::record_steps;
use lanes::policy::policy_of;
use lanes::{Action, Anchor, End, Event, Lane, LaneId, Place, Policy, Report, Schedule, Sim, Task, Y, run};
use oracle::{Class, Divergence, Effect, Geometry, Judge, Op, OpId, OpKind, Outcome};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};
use targets::model::{Medium, Model, Wreck};

/// So many places without a completed operation are a livelock. A healthy one passes a few hundred, and some for
/// every page and block it touches: most where every block is an extent of its own and has to be written and evicted
/// to make room for the next.
fn patience(geometry: &Geometry) -> u64 {
    let [pages, blocks] = [geometry.page, geometry.block].map(|unit| geometry.file_limit / u64::from(unit));
    20_000 + 64 * pages + 256 * blocks
}

/// The lane number of the checker's own operations, which no user lane has.
const CHECKER: u8 = LaneId::CHECKER.0;

/// Runs programs on the model, keeping memory from one to the next.
#[derive(Default)]
pub struct Runner {
    judge: Option<Judge>,
    watch: Watching,
}

/// When the model's rules are checked at every place a lane passes, not only after every operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Watching {
    #[default]
    Never,
    /// In a second run, if the first one agrees.
    SecondRun,
    Always,
}

impl Runner {
    /// A runner.
    pub fn new() -> Runner {
        Runner::default()
    }

    /// A runner that checks the model's rules at every place a lane passes, not only after every operation.
    pub fn watching() -> Runner {
        Runner { watch: Watching::Always, ..Runner::default() }
    }

    /// A runner that is not content with a program that agrees: it runs it again and checks the model's rules at every
    /// place. The run is the same; what breaks and mends within one operation shows only so.
    pub fn thorough() -> Runner {
        Runner { watch: Watching::SecondRun, ..Runner::default() }
    }

    /// Runs `program` on a new model with these faults armed.
    pub fn run(&mut self, program: &Program, faults: FaultSet) -> Verdict {
        self.twice(
            |runner, watch| runner.go(program, faults, patient_policy_of(&program.schedule), Notes::Nothing, watch),
            |v| v,
        )
    }

    /// As [`Runner::run`], and writes down everything that happens. The run is the same, only slower.
    pub fn record(&mut self, program: &Program, faults: FaultSet) -> Recorded {
        let once = |runner: &mut Runner, watch| {
            let (policy, recording) = record_steps(patient_policy_of(&program.schedule));
            let log = Mutex::new(Vec::new());
            let verdict = runner.go(program, faults, policy, Notes::Answers(&log), watch);
            Recorded { verdict, anchors: recording.anchors(), steps: recording.steps(), answers: log.into_inner() }
        };
        self.twice(once, |recorded| &recorded.verdict)
    }

    /// Runs once, or again if the first run has found nothing and this runner asks for more.
    fn twice<T>(&mut self, once: impl Fn(&mut Runner, bool) -> T, verdict: impl Fn(&T) -> &Verdict) -> T {
        let first = once(self, self.watch == Watching::Always);
        match self.watch == Watching::SecondRun && verdict(&first).divergence.is_none() {
            true => once(self, true),
            false => first,
        }
    }

    /// The program with its schedule written down as the deviations from the sequential run: the same run, and
    /// one that can be shrunk and read.
    pub fn anchored(&mut self, program: &Program, faults: FaultSet) -> Program {
        let schedule = Schedule::Anchored(self.record(program, faults).anchors);
        Program { schedule, ..program.clone() }
    }

    /// Runs `program` up to its first crash, in sequence, and looks at the states that the crash may leave: in most at
    /// `units` units of the device's cache differ from the rest. How many there were, and the first divergence with
    /// the program that has it.
    pub fn explore(
        &mut self,
        program: &Program,
        faults: FaultSet,
        units: usize,
    ) -> (u64, Option<(Program, Divergence)>) {
        let seen = Mutex::new((units, Exploration::default()));
        let verdict = self.go(program, faults, policy_of(&Schedule::default()), Notes::Crash(&seen), false);
        let (_, Exploration { states, wrong }) = seen.into_inner();
        let Some(divergence) = verdict.divergence else { return (states, None) };
        let crash = divergence.op.map_or(0, |id| id.index);
        let place = |nth| Place { lane: LaneId(0), op: crash, y: Y::CRASH, nth };
        let picks = wrong.map_or(Vec::new(), |(picks, _)| picks);
        let picks = (1..).zip(picks).filter(|(_, choice)| *choice > 0);
        let anchors = picks.map(|(nth, choice)| Anchor { place: place(nth), action: Action::Pick(choice) }).collect();
        (states, Some((Program { schedule: Schedule::Anchored(anchors), ..program.clone() }, divergence)))
    }

    fn go(
        &mut self,
        program: &Program,
        faults: FaultSet,
        policy: Box<dyn Policy>,
        notes: Notes<'_>,
        watch: bool,
    ) -> Verdict {
        let crashes = program.ops().any(|(_, op)| op.kind == OpKind::Crash);
        let medium = if crashes { Medium::Volatile } else { Medium::Lasting };
        let model = Model::new(&program.geometry, medium, faults);
        let mut judge = self.judge(program, model.page_size());
        if crashes {
            judge.expect_crashes();
        }
        let watched = Arc::new(Mutex::new(model.clone()));
        let broken = Broken::default();
        let policy = match watch {
            true => Box::new(Watch { inner: policy, model: watched.clone(), broken: broken.clone() }),
            false => policy,
        };
        let mut shared = Shared::new(program, model, judge, notes);
        let sim = Sim::new(policy, patience(&program.geometry));
        let (report, panicked_at) = quietly(|| shared.boots(&sim, &watched));
        let first = broken.lock().take().map(|(place, mut divergence)| {
            divergence.detail.push_str(&format!("\nat {place}"));
            divergence
        });
        let mut divergence = first.or_else(|| shared.divergence.lock().take());
        if divergence.is_none() {
            divergence = divergence_of(report.end, |lane| shared.op_of(lane));
            if let (Some(divergence), Some(place)) = (&mut divergence, panicked_at) {
                divergence.detail.push_str(&format!("\nat {place}"));
            }
        }
        let verdict = Verdict {
            divergence,
            trace: report.trace,
            steps: report.steps,
            switches: report.switches,
            ops: shared.executed.load(Relaxed),
        };
        self.judge = Some(shared.judge.into_inner());
        verdict
    }

    fn judge(&mut self, program: &Program, page: u64) -> Judge {
        let lanes = program.lanes.len();
        let mut judge = match self.judge.take() {
            Some(mut judge) => {
                judge.reset(&program.geometry, lanes, page);
                judge
            }
            None => Judge::new(&program.geometry, lanes, page),
        };
        if program.ops().any(|(_, op)| op.kind.breaks_io()) {
            judge.expect_failures();
        }
        judge
    }
}

/// What is noted of a run, besides its verdict.
#[derive(Clone, Copy)]
enum Notes<'n> {
    Nothing,
    /// What every operation answered.
    Answers(&'n Mutex<Vec<Answer>>),
    /// What the first crash may leave, at which the run ends; how many units to choose at most.
    Crash(&'n Mutex<(usize, Exploration)>),
}

/// What the lanes of one run share.
struct Shared<'a> {
    program: &'a Program,
    model: Arc<Model>,
    judge: Mutex<Judge>,
    divergence: Mutex<Option<Divergence>>,
    stop: AtomicBool,
    /// User lanes that are not done.
    running: AtomicUsize,
    users_done: Event,
    executed: AtomicU64,
    /// The operation each user lane is in.
    current: [AtomicU32; LaneId::MAX_USERS],
    /// The user lanes that are inside an operation, as bits.
    inside: AtomicU64,
    /// The machine has stopped in this operation of lane 0.
    wreck: Mutex<Option<(OpId, Wreck)>>,
    notes: Notes<'a>,
}

impl<'a> Shared<'a> {
    fn new(program: &'a Program, model: Arc<Model>, judge: Judge, notes: Notes<'a>) -> Shared<'a> {
        Shared {
            program,
            model,
            judge: Mutex::new(judge),
            divergence: Mutex::new(None),
            stop: AtomicBool::new(false),
            running: AtomicUsize::new(program.lanes.len()),
            users_done: Event::default(),
            executed: AtomicU64::new(0),
            current: Default::default(),
            inside: AtomicU64::new(0),
            wreck: Mutex::new(None),
            notes,
        }
    }

    /// Runs the program, from boot to boot if there are crashes in it.
    fn boots(&mut self, sim: &Arc<Sim>, watched: &Mutex<Arc<Model>>) -> Report {
        let mut report = run(sim, self.lanes(sim, 0, self.program.lanes.len()));
        while let End::Halted = report.end {
            let Some((crash, wreck)) = self.wreck.lock().take() else { break }; // no boot is wanted
            self.model = self.model.recover(wreck);
            *watched.lock() = self.model.clone();
            if let Err(divergence) = self.boot(&sim.task(LaneId(0)), crash) {
                self.diverge(divergence);
                return Report { end: End::Done, ..report };
            }
            let switches = report.switches;
            report = run(sim, self.lanes(sim, crash.index + 1, 1));
            report.switches += switches;
        }
        report
    }

    /// The machine has come up again, and the file is judged. Lane 0 will go on, alone.
    fn boot(&mut self, task: &Task, crash: OpId) -> Result<(), Divergence> {
        task.boot();
        let inside = self.inside.swap(0, Relaxed);
        for lane in (0..LaneId::MAX_USERS as u8).map(LaneId).filter(|lane| inside & lane.bit() != 0) {
            let id = OpId { lane: lane.0, index: self.current[lane.0 as usize].load(Relaxed) };
            self.judge.lock().interrupted(id, &self.program.lanes[lane.0 as usize][id.index as usize]);
        }
        self.users_done = Event::default();
        self.running.store(1, Relaxed);
        let content = self.model.content_on_device();
        task.end_op(digest(Outcome::Bytes(content.len() as u64), &content));
        self.judge.lock().recovered(crash, &content)?;
        self.model.check(false).map_err(|divergence| Divergence { op: Some(crash), ..divergence })
    }

    /// The lanes of one boot: user lanes 0 to `users`, from the operation `from` on, and the others.
    fn lanes(&self, sim: &Arc<Sim>, from: u32, users: usize) -> Vec<(LaneId, Lane<'_>)> {
        let mut lanes: Vec<(LaneId, Lane<'_>)> = Vec::with_capacity(LaneId::COUNT);
        for (n, ops) in self.program.lanes.iter().enumerate().take(users) {
            let lane = LaneId(n as u8);
            lanes.push((lane, Box::pin(self.user(sim.task(lane), ops, from))));
        }
        lanes.push((LaneId::CHECKER, Box::pin(self.checker(sim.task(LaneId::CHECKER)))));
        let asynchronous = self.program.ops().any(|(_, op)| op.kind == OpKind::AioWrite);
        for lane in LaneId::BACKGROUND.into_iter().filter(|lane| asynchronous || *lane != LaneId::DIRECT) {
            let task = sim.task(lane);
            lanes.push((lane, Box::pin(async move { self.model.background(&task).await })));
        }
        lanes
    }

    fn op_of(&self, lane: LaneId) -> Option<OpId> {
        let index = self.current.get(lane.0 as usize)?.load(Relaxed);
        self.program.lanes.get(lane.0 as usize)?.get(index as usize)?;
        Some(OpId { lane: lane.0, index })
    }

    fn diverge(&self, divergence: Divergence) {
        self.divergence.lock().get_or_insert(divergence);
        self.stop.store(true, Relaxed);
    }

    async fn user(&self, task: Task, ops: &[Op], from: u32) {
        let mut buf = Vec::new();
        for (index, op) in (0..).zip(ops).skip(from as usize) {
            let id = OpId { lane: task.lane().0, index };
            self.current[id.lane as usize].store(index, Relaxed);
            task.begin_op(index);
            task.at(if index == 0 { Y::START } else { Y::NEXT }).await;
            if self.stop.load(Relaxed) {
                break;
            }
            if op.kind == OpKind::Crash && self.crash(&task, id) {
                // Not for `run` to look at the lanes that go on, or at this one again.
                return;
            }
            self.judge.lock().begin(id, op);
            self.inside.store(self.inside.load(Relaxed) | task.lane().bit(), Relaxed);
            let outcome = self.model.execute(&task, id, op, &mut buf).await;
            self.inside.store(self.inside.load(Relaxed) & !task.lane().bit(), Relaxed);
            if let Err(divergence) = self.complete(&task, id, op, outcome, &buf) {
                self.diverge(divergence);
            }
        }
        if self.running.fetch_sub(1, Relaxed) == 1 {
            self.users_done.raise();
        }
    }

    /// Stops the machine, wherever the other lanes are. What is left of the file is judged when it comes up again.
    /// False if this file cannot crash.
    fn crash(&self, task: &Task, id: OpId) -> bool {
        if let Notes::Crash(seen) = self.notes {
            let (units, seen) = &mut *seen.lock();
            *seen = explore(&self.model, self.judge.lock().flat(), id, *units);
            if let Some((_, divergence)) = &seen.wrong {
                self.diverge(divergence.clone());
            }
            task.halt();
            return true;
        }
        let Some(wreck) = self.model.crash(&mut |_, n| task.choose(Y::CRASH, n)) else { return false };
        self.executed.fetch_add(1, Relaxed);
        if let Notes::Answers(log) = self.notes {
            log.lock().push(Answer { id, step: task.steps(), outcome: Outcome::Done });
        }
        *self.wreck.lock() = Some((id, wreck));
        task.halt();
        true
    }

    /// Judges a completed operation.
    fn complete(&self, task: &Task, id: OpId, op: &Op, outcome: Outcome, buf: &[u8]) -> Result<(), Divergence> {
        if !matches!(outcome, Outcome::Unsupported(_)) {
            self.executed.fetch_add(1, Relaxed);
        }
        if let Notes::Answers(log) = self.notes {
            log.lock().push(Answer { id, step: task.steps(), outcome });
        }
        let reads = op.kind.info().effect == Effect::Read;
        task.end_op(digest(outcome, if reads { buf } else { &[] }));
        let mut judge = self.judge.lock();
        judge.complete(id, op, outcome, buf)?;
        judge.learn_size(id, || self.model.size())?;
        drop(judge);
        self.model.check(false).map_err(|divergence| Divergence { op: Some(id), ..divergence })
    }

    async fn checker(&self, task: Task) {
        self.users_done.wait(&task).await;
        if self.stop.load(Relaxed) {
            return;
        }
        if let Err(divergence) = self.at_rest(&task).await {
            self.diverge(divergence);
        }
    }

    async fn at_rest(&self, task: &Task) -> Result<(), Divergence> {
        let mut next = 0;
        // What has not failed so far will not: what is looked at is what was lost before.
        self.model.heal();
        self.compare_whole(task, &mut next).await?;
        let (id, fsync) = (OpId { lane: CHECKER, index: next }, Op::plain(OpKind::Fsync));
        self.judge.lock().begin(id, &fsync);
        let synced = self.model.settle(task).await;
        task.end_op(next.into());
        self.judge
            .lock()
            .complete(id, &fsync, synced, &[])
            .map_err(|divergence| Divergence { op: None, ..divergence })?;
        let on_device = self.model.content_on_device();
        self.judge.lock().check_whole(self.model.size(), &on_device).map_err(|divergence| match divergence.class {
            // The cache had it right a moment ago: what was written back, or where to, is wrong.
            Class::Content => Divergence { class: Class::Disk, ..divergence },
            _ => divergence,
        })?;
        self.model.check(true)
    }

    /// Reads the whole file and compares it.
    async fn compare_whole(&self, task: &Task, next: &mut u32) -> Result<(), Divergence> {
        let mut buf = Vec::new();
        let size = size_at_rest(self.check_op(task, next, Op::plain(OpKind::Stat), &mut buf).await)?;
        let read = if size > 0 {
            self.check_op(task, next, Op::range(OpKind::Read, 0, size), &mut buf).await
        } else {
            Outcome::Bytes(0)
        };
        let content = content_at_rest(read, &buf)?;
        self.judge.lock().check_whole(size, content)
    }

    async fn check_op(&self, task: &Task, next: &mut u32, op: Op, buf: &mut Vec<u8>) -> Outcome {
        let id = OpId { lane: CHECKER, index: *next };
        *next += 1;
        task.begin_op(id.index);
        let outcome = self.model.execute(task, id, &op, buf).await;
        task.end_op(digest(outcome, &[]));
        outcome
    }
}

/// The size `stat` answered at rest.
pub(crate) fn size_at_rest(outcome: Outcome) -> Result<u64, Divergence> {
    match outcome {
        Outcome::Position(size) => Ok(size),
        other => Err(refused("stat", other)),
    }
}

/// The bytes `read` brought at rest.
pub(crate) fn content_at_rest(outcome: Outcome, buf: &[u8]) -> Result<&[u8], Divergence> {
    match outcome {
        Outcome::Bytes(n) if n as usize <= buf.len() => Ok(&buf[..n as usize]),
        other => Err(refused("read", other)),
    }
}

/// An operation that cannot fail at rest did.
pub(crate) fn refused(what: &str, outcome: Outcome) -> Divergence {
    let detail = format!("{what} of the whole file answered {outcome}");
    Divergence { class: Class::Errno, op: None, offset: None, detail }
}

/// A hash of an answer and of what was read, for the trace.
pub(crate) fn digest(outcome: Outcome, buf: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let (kind, value) = match outcome {
        Outcome::Done => (1, 0),
        Outcome::Bytes(n) => (2, n),
        Outcome::Position(at) => (3, at),
        Outcome::Sigbus(n) => (4, n),
        Outcome::Errno(errno) => (5, errno.0 as u64),
        Outcome::Unsupported(errno) => (6, errno.0 as u64),
    };
    let read = match outcome {
        Outcome::Bytes(n) | Outcome::Sigbus(n) => &buf[..buf.len().min(n as usize)],
        _ => &[],
    };
    let mut sum = (value ^ kind << 56).wrapping_mul(ODD);
    let mut words = read.chunks_exact(8);
    for word in &mut words {
        sum = (sum.rotate_left(5) ^ u64::from_le_bytes(word.try_into().unwrap_or_default())).wrapping_mul(ODD);
    }
    words.remainder().iter().fold(sum, |sum, byte| (sum.rotate_left(5) ^ u64::from(*byte)).wrapping_mul(ODD))
}
