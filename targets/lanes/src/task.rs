//! What a lane's own code has in hand: its name, and the places it passes.

use crate::place::{LaneId, Y};
use crate::run::Waiting;
use crate::sim::Sim;
use std::fmt;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use std::task::{Context, Poll, Wake, Waker};

/// The code's own lane: what the kernel calls `current`.
#[derive(Clone)]
pub struct Task {
    pub(crate) lane: LaneId,
    pub(crate) sim: Option<Arc<Sim>>,
}

impl Task {
    /// A lane of its own OS thread: places do nothing there.
    pub fn on_thread(lane: LaneId) -> Task {
        Task { lane, sim: None }
    }

    /// Which lane this is.
    #[inline]
    pub fn lane(&self) -> LaneId {
        self.lane
    }

    /// A place where another lane may run.
    #[inline]
    pub fn at(&self, y: Y) -> At<'_> {
        At { task: self, y, passed: false }
    }

    /// One of `0..n`; 0, the obvious choice, unless the schedule says otherwise.
    pub fn choose(&self, y: Y, n: u32) -> u32 {
        match &self.sim {
            Some(sim) if n > 1 => sim.choose(self.lane, y, n),
            _ => 0,
        }
    }

    /// The lane begins its operation `op`: arrivals are counted from here.
    pub fn begin_op(&self, op: u32) {
        if let Some(sim) = &self.sim {
            sim.begin_op(self.lane, op);
        }
    }

    /// A background lane begins its next pass over the work it found. Passes are numbered from 0.
    pub fn begin_pass(&self) {
        if let Some(sim) = &self.sim {
            sim.begin_pass(self.lane);
        }
    }

    /// The machine stops: [`run`](crate::run()) ends as soon as the lane returns or waits, and drops all lanes
    /// wherever they are. A lane of its own thread just goes on.
    pub fn halt(&self) {
        if let Some(sim) = &self.sim {
            sim.halted.store(true, Relaxed);
        }
    }

    /// The machine has come up again, and this lane stands there.
    pub fn boot(&self) {
        if let Some(sim) = &self.sim {
            sim.arrive(self.lane, Y::BOOT);
        }
    }

    /// A user lane's operation is complete, with an answer whose digest goes into the trace.
    pub fn end_op(&self, digest: u64) {
        if let Some(sim) = &self.sim {
            sim.end_op(self.lane, digest);
        }
    }

    /// Places passed so far in the whole run.
    pub fn steps(&self) -> u64 {
        self.sim.as_ref().map_or(0, |sim| sim.steps.load(Relaxed))
    }

    /// Whether nobody else runs until this lane lets them.
    #[inline]
    pub(crate) fn is_simulated(&self) -> bool {
        self.sim.is_some()
    }

    /// Says what the lane is about to wait for. Called by everything that returns `Pending` on its own.
    pub(crate) fn begin_wait(&self, waiting: Waiting) {
        if let Some(sim) = &self.sim {
            sim.arrive(self.lane, waiting.y);
            sim.begin_wait(self.lane, waiting);
        }
    }

    /// The lane sleeps on, and what it waits for is described anew.
    pub(crate) fn still_waits(&self, waiting: Waiting) {
        if let Some(sim) = &self.sim {
            sim.begin_wait(self.lane, waiting);
        }
    }

    pub(crate) fn end_wait(&self) {
        if let Some(sim) = &self.sim {
            sim.end_wait(self.lane);
        }
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Task({})", self.lane)
    }
}

/// Future of [`Task::at`].
pub struct At<'a> {
    task: &'a Task,
    y: Y,
    passed: bool,
}

impl Future for At<'_> {
    type Output = ();

    #[inline]
    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<()> {
        let Some(sim) = &self.task.sim else { return Poll::Ready(()) };
        if self.passed || sim.pass(self.task.lane, self.y) {
            return Poll::Ready(());
        }
        self.passed = true;
        Poll::Pending
    }
}

/// Runs one future on the calling OS thread, sleeping while it waits.
///
/// Its tasks must be [`Task::on_thread`]: nobody would wake a lane that a policy stopped at a place.
pub fn block_on<F: Future>(future: F) -> F::Output {
    struct Parker {
        thread: std::thread::Thread,
        woken: AtomicBool,
    }
    impl Wake for Parker {
        fn wake(self: Arc<Self>) {
            self.wake_by_ref();
        }
        fn wake_by_ref(self: &Arc<Self>) {
            if !self.woken.swap(true, Release) {
                self.thread.unpark();
            }
        }
    }
    let parker = Arc::new(Parker { thread: std::thread::current(), woken: AtomicBool::new(false) });
    let waker = Waker::from(parker.clone());
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        while !parker.woken.swap(false, Acquire) {
            std::thread::park();
        }
    }
}
