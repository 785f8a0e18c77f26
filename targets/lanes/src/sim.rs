//! The executor: one thread, every choice made by a [`Policy`].

use crate::place::{LaneId, Place, Y};
use parking_lot::Mutex;
use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64};
use std::task::{Context, Poll, Wake, Waker};

/// A lane's future. `Send`, so that a short lock's guard held across an await does not compile.
pub type Lane<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// What a policy sees when it is asked who goes on.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// The runnable lanes, as bits; never empty.
    pub ready: u64,
    /// Where the current lane stands.
    pub place: Place,
    /// Whether the current lane cannot go on: it waits, is idle or has finished. Otherwise it is in `ready`.
    pub forced: bool,
}

/// Makes every choice of a run.
pub trait Policy: Send {
    /// The lane that goes on, one of `view.ready`, and how many places it may pass before the policy is asked
    /// again. It is asked sooner when a lane becomes runnable or the lane can go no further.
    fn next(&mut self, view: &View) -> (LaneId, u32);

    /// One of `0..n`, for a lane that has a choice to make; 0 is the obvious one.
    fn choose(&mut self, place: Place, n: u32) -> u32;

    /// Whether [`View::place`] needs its arrival number, which costs a little at every place.
    fn wants_places(&self) -> bool {
        false
    }
}

/// What a lane waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Where it waits.
    pub y: Y,
    /// Kind of thing, such as `folio lock`.
    pub what: &'static str,
    /// Which one, such as the folio's index.
    pub id: u64,
    /// The lanes that hold it, as bits, when it began to wait.
    pub holders: u64,
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "waits at {} for {} {}", self.y, self.what, self.id)?;
        let mut holders = (0..LaneId::COUNT as u8).map(LaneId).filter(|lane| self.holders & lane.bit() != 0);
        match holders.next() {
            None => write!(f, ", which no lane holds"),
            Some(first) => {
                write!(f, ", held by {first}")?;
                holders.try_for_each(|lane| write!(f, " and {lane}"))
            }
        }
    }
}

/// How a run ended.
#[derive(Debug)]
pub enum End {
    /// The last lane that is not a background lane has finished.
    Done,
    /// No lane can run, and these wait for each other or for a wake-up nobody will send.
    Deadlock(Vec<(LaneId, Option<Waiting>)>),
    /// So many places were passed without an operation completing; the last ones, oldest first.
    Livelock(Vec<(LaneId, Y)>),
    /// A lane panicked.
    Panic {
        /// Which one.
        lane: LaneId,
        /// What it said.
        message: String,
    },
}

/// What a run did.
#[derive(Debug)]
pub struct Report {
    /// How it ended.
    pub end: End,
    /// Hash of every place passed and every answer given, in order. Equal programs have equal hashes.
    pub trace: u64,
    /// Places passed.
    pub steps: u64,
    /// Times another lane went on than the one before.
    pub switches: u64,
}

const RECENT: usize = 24;

#[derive(Default)]
struct LaneState {
    op: AtomicU32,
    y: AtomicU32,
    arrivals: Mutex<Vec<u16>>,
    waiting: Mutex<Option<Waiting>>,
}

/// The state of one run, shared by its lanes.
pub struct Sim {
    ready: AtomicU64,
    /// Places that may be passed before the policy is asked.
    budget: AtomicU32,
    trace: AtomicU64,
    steps: AtomicU64,
    /// Value of `steps` at which the run counts as a livelock; moved on by every completed operation.
    deadline: AtomicU64,
    patience: u64,
    places: bool,
    current: AtomicU32,
    lanes: [LaneState; LaneId::COUNT],
    recent: [AtomicU32; RECENT],
    /// A decision taken inside a lane, for the executor to carry out.
    next: AtomicU32,
    policy: Mutex<Box<dyn Policy>>,
}

const NOBODY: u32 = u32::MAX;

impl Sim {
    /// A run whose choices `policy` makes, and which is a livelock after `patience` places without progress.
    pub fn new(policy: Box<dyn Policy>, patience: u64) -> Arc<Sim> {
        Arc::new(Sim {
            ready: AtomicU64::new(0),
            budget: AtomicU32::new(0),
            trace: AtomicU64::new(0xcbf2_9ce4_8422_2325),
            steps: AtomicU64::new(0),
            deadline: AtomicU64::new(patience),
            patience,
            places: policy.wants_places(),
            current: AtomicU32::new(NOBODY),
            lanes: Default::default(),
            recent: std::array::from_fn(|_| AtomicU32::new(NOBODY)),
            next: AtomicU32::new(NOBODY),
            policy: Mutex::new(policy),
        })
    }

    /// A handle for the code that runs as `lane`.
    pub fn task(self: &Arc<Sim>, lane: LaneId) -> Task {
        Task { lane, sim: Some(self.clone()) }
    }

    /// Gives the policy back, once the run is over, to read what it recorded.
    pub fn with_policy<R>(&self, f: impl FnOnce(&mut dyn Policy) -> R) -> R {
        f(&mut **self.policy.lock())
    }

    #[inline]
    fn note(&self, word: u64) {
        let trace = self.trace.load(Relaxed);
        self.trace.store((trace ^ word).wrapping_mul(0x2545_f491_4f6c_dd1d).rotate_left(23), Relaxed);
    }

    /// Counts an arrival, in the trace and for anchors.
    #[inline]
    fn arrive(&self, lane: LaneId, y: Y) -> u64 {
        let step = self.steps.load(Relaxed) + 1;
        self.steps.store(step, Relaxed);
        self.note(u64::from(lane.0) << 8 | y as u64);
        let state = &self.lanes[lane.0 as usize];
        state.y.store(y as u32, Relaxed);
        if self.places {
            let mut arrivals = state.arrivals.lock();
            if arrivals.is_empty() {
                arrivals.resize(Y::COUNT, 0);
            }
            arrivals[y as usize] = arrivals[y as usize].saturating_add(1);
            self.recent[step as usize % RECENT].store(u32::from(lane.0) << 8 | y as u32, Relaxed);
        }
        step
    }

    fn place(&self, lane: LaneId) -> Place {
        let state = &self.lanes[lane.0 as usize];
        let y = Y::from_index(state.y.load(Relaxed) as usize).unwrap_or(Y::START);
        let nth = if self.places { state.arrivals.lock().get(y as usize).copied().unwrap_or(0) } else { 0 };
        Place { lane, op: state.op.load(Relaxed), y, nth }
    }

    /// Whether the lane may go on past `y`. If not, the executor already knows who does.
    #[inline]
    fn pass(&self, lane: LaneId, y: Y) -> bool {
        let step = self.arrive(lane, y);
        let budget = self.budget.load(Relaxed);
        if budget > 0 {
            self.budget.store(budget - 1, Relaxed);
            return true;
        }
        self.ask(lane, step)
    }

    #[cold]
    fn ask(&self, lane: LaneId, step: u64) -> bool {
        let ready = self.ready.load(Relaxed) | lane.bit();
        if step >= self.deadline.load(Relaxed) {
            self.ready.store(ready, Relaxed);
            self.next.store(u32::from(lane.0), Relaxed);
            return false;
        }
        let next = self.decide(ready, lane, false);
        if next == lane {
            return true;
        }
        self.ready.store(ready, Relaxed);
        self.next.store(u32::from(next.0), Relaxed);
        false
    }

    fn decide(&self, ready: u64, lane: LaneId, forced: bool) -> LaneId {
        let view = View { ready, place: self.place(lane), forced };
        let (next, budget) = self.policy.lock().next(&view);
        assert!(ready & next.bit() != 0, "the policy named lane {next}, runnable are {ready:#b}");
        // No budget outlives the deadline, so that a retry loop is noticed.
        let left = self.deadline.load(Relaxed).saturating_sub(self.steps.load(Relaxed));
        self.budget.store(if self.places { 0 } else { budget.min(left as u32) }, Relaxed);
        next
    }
}

struct LaneWaker {
    sim: Arc<Sim>,
    lane: LaneId,
}

impl Wake for LaneWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.sim.ready.fetch_or(self.lane.bit(), Relaxed);
        self.sim.budget.store(0, Relaxed);
    }
}

/// The code's own lane: what the kernel calls `current`.
#[derive(Clone)]
pub struct Task {
    lane: LaneId,
    sim: Option<Arc<Sim>>,
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
        let Some(sim) = self.sim.as_ref().filter(|_| n > 1) else { return 0 };
        sim.arrive(self.lane, y);
        let choice = sim.policy.lock().choose(sim.place(self.lane), n);
        assert!(choice < n, "the policy chose {choice} of {n}");
        sim.note(u64::from(choice));
        choice
    }

    /// The lane begins its operation `op`: arrivals are counted from here.
    pub fn begin_op(&self, op: u32) {
        let Some(sim) = &self.sim else { return };
        let state = &sim.lanes[self.lane.0 as usize];
        state.op.store(op, Relaxed);
        if sim.places {
            state.arrivals.lock().fill(0);
        }
    }

    /// A user lane's operation is complete, with an answer whose digest goes into the trace.
    pub fn end_op(&self, digest: u64) {
        let Some(sim) = &self.sim else { return };
        sim.note(digest);
        sim.deadline.store(sim.steps.load(Relaxed) + sim.patience, Relaxed);
    }

    /// Places passed so far in the whole run.
    pub fn steps(&self) -> u64 {
        self.sim.as_ref().map_or(0, |sim| sim.steps.load(Relaxed))
    }

    /// Says what the lane is about to wait for. Called by everything that returns `Pending` on its own.
    pub(crate) fn begin_wait(&self, waiting: Waiting) {
        if let Some(sim) = &self.sim {
            sim.arrive(self.lane, waiting.y);
            *sim.lanes[self.lane.0 as usize].waiting.lock() = Some(waiting);
        }
    }

    pub(crate) fn end_wait(&self) {
        if let Some(sim) = &self.sim {
            *sim.lanes[self.lane.0 as usize].waiting.lock() = None;
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

/// Runs the lanes until the last one that is not a background lane has finished.
///
/// A panic in a lane ends the run and is reported; all lanes are dropped on every path.
pub fn run(sim: &Arc<Sim>, lanes: Vec<(LaneId, Lane<'_>)>) -> Report {
    let mut slots: [Option<Lane<'_>>; LaneId::COUNT] = Default::default();
    let mut live = 0u64;
    for (id, lane) in lanes {
        assert!(slots[id.0 as usize].replace(lane).is_none(), "lane {id} given twice");
        live |= id.bit();
    }
    sim.ready.store(live, Relaxed);
    let wakers: [Option<Waker>; LaneId::COUNT] = std::array::from_fn(|n| {
        let lane = LaneId(n as u8);
        slots[n].as_ref().map(|_| Arc::new(LaneWaker { sim: sim.clone(), lane }).into())
    });
    let background = LaneId::BACKGROUND.iter().fold(0, |set, lane| set | lane.bit());
    let mut switches = 0;
    let mut current = LaneId(live.trailing_zeros() as u8);
    let end = loop {
        if live & !background == 0 {
            break End::Done;
        }
        let ready = sim.ready.load(Relaxed) & live;
        let decided = sim.next.swap(NOBODY, Relaxed);
        let lane = if decided != NOBODY {
            LaneId(decided as u8)
        } else if ready == 0 {
            break End::Deadlock(waiting_lanes(sim, live & !background));
        } else {
            sim.decide(ready, current, true)
        };
        if sim.steps.load(Relaxed) >= sim.deadline.load(Relaxed) {
            break End::Livelock(recent(sim));
        }
        switches += u64::from(lane != current);
        current = lane;
        sim.current.store(u32::from(lane.0), Relaxed);
        sim.ready.fetch_and(!lane.bit(), Relaxed);
        let index = lane.0 as usize;
        let (Some(future), Some(waker)) = (&mut slots[index], &wakers[index]) else {
            unreachable!("lane {lane} is gone")
        };
        let mut context = Context::from_waker(waker);
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut context))) {
            Ok(Poll::Pending) => {}
            Ok(Poll::Ready(())) => {
                slots[index] = None;
                live &= !lane.bit();
                sim.arrive(lane, Y::FINISH);
            }
            Err(payload) => break End::Panic { lane, message: panic_message(payload) },
        }
    };
    drop(slots); // guards are released here; the wake-ups they send go nowhere
    Report { end, trace: sim.trace.load(Relaxed), steps: sim.steps.load(Relaxed), switches }
}

fn waiting_lanes(sim: &Sim, blocked: u64) -> Vec<(LaneId, Option<Waiting>)> {
    let waiting = |lane: LaneId| *sim.lanes[lane.0 as usize].waiting.lock();
    let all = (0..LaneId::COUNT as u8).map(LaneId);
    all.map(|lane| (lane, waiting(lane)))
        .filter(|(lane, waiting)| blocked & lane.bit() != 0 || waiting.is_some_and(|w| w.y != Y::IDLE))
        .collect()
}

fn recent(sim: &Sim) -> Vec<(LaneId, Y)> {
    let step = sim.steps.load(Relaxed) as usize;
    let slots = (1..=RECENT).map(|n| sim.recent[(step + n) % RECENT].load(Relaxed)).filter(|slot| *slot != NOBODY);
    slots.filter_map(|slot| Some((LaneId((slot >> 8) as u8), Y::from_index((slot & 0xff) as usize)?))).collect()
}

fn panic_message(payload: Box<dyn Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => payload.downcast_ref::<&str>().copied().unwrap_or("a panic without a message").to_owned(),
    }
}

/// Runs one future on the calling OS thread, sleeping while it waits.
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
            if !self.woken.swap(true, std::sync::atomic::Ordering::Release) {
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
        while !parker.woken.swap(false, std::sync::atomic::Ordering::Acquire) {
            std::thread::park();
        }
    }
}
