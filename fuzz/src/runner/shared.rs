//! One run: what its lanes share, and what each of them does.

use super::Notes;
use crate::answers::{content_at_rest, digest, size_at_rest};
use crate::explore::explore;
use crate::program::Program;
use crate::verdict::Answer;
use crate::watch::Watched;
use lanes::{End, Event, Lane, LaneId, Report, Sim, Task, Y, run};
use oracle::{Class, Divergence, Effect, Judge, Op, OpId, OpKind, Outcome};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize};
use targets::model::{Model, Wreck};

/// The lane number of the checker's own operations, which no user lane has.
const CHECKER: u8 = LaneId::CHECKER.0;

/// What the lanes of one run share.
pub(super) struct Shared<'a> {
    program: &'a Program,
    model: Arc<Model>,
    pub(super) judge: Mutex<Judge>,
    pub(super) divergence: Mutex<Option<Divergence>>,
    stop: AtomicBool,
    /// User lanes that are not done.
    running: AtomicUsize,
    users_done: Event,
    pub(super) executed: AtomicU64,
    /// The operation each user lane is in.
    current: [AtomicU32; LaneId::MAX_USERS],
    /// The user lanes that are inside an operation, as bits.
    inside: AtomicU64,
    /// The machine has stopped in this operation of lane 0.
    wreck: Mutex<Option<(OpId, Wreck)>>,
    notes: Notes<'a>,
}

impl<'a> Shared<'a> {
    pub(super) fn new(program: &'a Program, model: Arc<Model>, judge: Judge, notes: Notes<'a>) -> Shared<'a> {
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
    pub(super) fn boots(&mut self, sim: &Arc<Sim>, watched: &Watched) -> Report {
        let mut report = run(sim, self.lanes(sim, 0, self.program.lanes.len()));
        while let End::Halted = report.end {
            let Some((crash, wreck)) = self.wreck.lock().take() else { break }; // no boot is wanted
            self.model = self.model.recover(wreck);
            *watched.lock() = Arc::downgrade(&self.model);
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

    pub(super) fn op_of(&self, lane: LaneId) -> Option<OpId> {
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
