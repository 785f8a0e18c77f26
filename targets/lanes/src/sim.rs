//! The state of one run, and the question every run asks again and again: who goes on?

use crate::place::{LaneId, Place, Y};
pub use crate::run::{End, Lane, Report, Waiting, run};
pub use crate::task::{At, Task, block_on};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicU32, AtomicU64};
use std::task::Wake;

/// What a policy sees when it is asked who goes on.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// The runnable lanes, as bits; never empty.
    pub ready: u64,
    /// Where the current lane stands. Before anybody has run that is `0.0 START #1`, whether there is a lane 0 or
    /// not: all lanes begin at [`Y::START`], and one that passes it on its own is there for the second time.
    pub place: Place,
    /// Whether the current lane cannot go on: it waits, is idle or has finished. Otherwise it is in `ready`.
    pub forced: bool,
    /// Places passed so far in the whole run, the one the current lane stands at included.
    pub steps: u64,
}

/// Makes every choice of a run.
pub trait Policy: Send {
    /// The lane that goes on, one of `view.ready`, and how many places it may pass before the policy is asked
    /// again. It is asked sooner when a lane becomes runnable or the lane can go no further.
    fn next(&mut self, view: &View) -> (LaneId, u32);

    /// One of `0..n`, for a lane that has a choice to make; 0 is the obvious one.
    fn choose(&mut self, place: Place, n: u32) -> u32;

    /// Whether [`View::place`] needs its arrival number, which costs a little at every place. The run is the
    /// same either way.
    fn wants_places(&self) -> bool {
        false
    }

    /// Whether [`Policy::arrived`] is to be called, which needs places, too.
    fn wants_arrivals(&self) -> bool {
        false
    }

    /// A lane has arrived somewhere. Told before the policy is asked about it, if it is asked at all.
    fn arrived(&mut self, place: Place) {
        let _ = place;
    }
}

/// How many of the last places a livelock report has. A power of two, because the ring is written at every place.
const RECENT: usize = 64;

pub(crate) const NOBODY: u32 = u32::MAX;

struct LaneState {
    op: AtomicU32,
    y: AtomicU32,
    /// Passes begun so far, of a background lane.
    passes: AtomicU32,
    /// Whether it waits, for what is in `waiting`: most waits are over without anybody having asked.
    waits: AtomicBool,
    waiting: Mutex<Option<Waiting>>,
}

/// The state of one run, shared by its lanes. A second run needs a second `Sim`, unless the first was
/// [halted](Task::halt): then it goes on where that stopped, with the numbers of operations and passes, the trace
/// and the policy it had.
///
/// Everything that happens to it happens on the thread inside [`run`]. The atomics are there because lanes are
/// `Send` and this crate has no `unsafe`; they are read and written one after the other, never contended, so
/// that no place and no switch pays for a locked instruction.
pub struct Sim {
    pub(crate) ready: AtomicU64,
    /// Lanes that have not finished. Only these can become ready: a stale waker of a finished lane does nothing.
    pub(crate) live: AtomicU64,
    /// Places that may be passed before the policy is asked.
    budget: AtomicU32,
    pub(crate) trace: AtomicU64,
    pub(crate) steps: AtomicU64,
    /// Value of `steps` at which the run counts as a livelock; moved on by every completed operation.
    deadline: AtomicU64,
    patience: u64,
    pub(crate) current: AtomicU32,
    lanes: [LaneState; LaneId::COUNT],
    /// Arrivals of each lane at each place in its current operation; empty if nobody wants them.
    arrivals: Box<[[AtomicU16; Y::COUNT]]>,
    tells_arrivals: bool,
    recent: [AtomicU32; RECENT],
    /// A decision taken inside a lane, for the executor to carry out.
    pub(crate) next: AtomicU32,
    /// The machine has stopped.
    pub(crate) halted: AtomicBool,
    policy: Mutex<Box<dyn Policy>>,
}

impl Sim {
    /// A run whose choices `policy` makes, and which is a livelock after `patience` places without progress.
    pub fn new(policy: Box<dyn Policy>, patience: u64) -> Arc<Sim> {
        const START: usize = Y::START as usize;
        let counted = if policy.wants_places() { LaneId::COUNT } else { 0 };
        Arc::new(Sim {
            ready: AtomicU64::new(0),
            live: AtomicU64::new(0),
            budget: AtomicU32::new(0),
            trace: AtomicU64::new(0xcbf2_9ce4_8422_2325),
            steps: AtomicU64::new(0),
            deadline: AtomicU64::new(patience),
            patience,
            current: AtomicU32::new(NOBODY),
            lanes: std::array::from_fn(|_| LaneState {
                op: AtomicU32::new(0),
                y: AtomicU32::new(Y::START as u32),
                passes: AtomicU32::new(0),
                waits: AtomicBool::new(false),
                waiting: Mutex::new(None),
            }),
            arrivals: (0..counted).map(|_| std::array::from_fn(|y| AtomicU16::new(u16::from(y == START)))).collect(),
            tells_arrivals: counted > 0 && policy.wants_arrivals(),
            recent: [const { AtomicU32::new(NOBODY) }; RECENT],
            next: AtomicU32::new(NOBODY),
            halted: AtomicBool::new(false),
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

    /// The running lane and where it was last, for a panic hook to print: libFuzzer ends the process in its
    /// hook, before [`run`] could report anything. The arrival number is 0 if the policy does not want places.
    pub fn current(&self) -> Option<Place> {
        let lane = self.current.load(Relaxed);
        (lane != NOBODY).then(|| self.place(LaneId(lane as u8)))
    }

    #[inline]
    pub(crate) fn note(&self, word: u64) {
        let trace = self.trace.load(Relaxed);
        self.trace.store((trace ^ word).wrapping_mul(0x2545_f491_4f6c_dd1d).rotate_left(23), Relaxed);
    }

    /// Counts an arrival, in the trace and for anchors.
    #[inline]
    pub(crate) fn arrive(&self, lane: LaneId, y: Y) -> u64 {
        let step = self.steps.load(Relaxed) + 1;
        self.steps.store(step, Relaxed);
        let word = u32::from(lane.0) << 8 | y as u32;
        self.note(u64::from(word));
        self.lanes[lane.0 as usize].y.store(y as u32, Relaxed);
        self.recent[step as usize % RECENT].store(word, Relaxed);
        if !self.arrivals.is_empty() {
            self.count(lane, y);
        }
        step
    }

    #[cold]
    fn count(&self, lane: LaneId, y: Y) {
        let count = &self.arrivals[lane.0 as usize][y as usize];
        count.store(count.load(Relaxed).saturating_add(1), Relaxed);
        if self.tells_arrivals {
            let place = self.place(lane);
            self.policy.lock().arrived(place);
        }
    }

    fn place(&self, lane: LaneId) -> Place {
        let state = &self.lanes[lane.0 as usize];
        let y = Y::from_index(state.y.load(Relaxed) as usize).unwrap_or(Y::START);
        let nth = self.arrivals.get(lane.0 as usize).map_or(0, |counts| counts[y as usize].load(Relaxed));
        Place { lane, op: state.op.load(Relaxed), y, nth }
    }

    /// Arrivals are counted anew in each operation. Saying the same number twice changes nothing, so that no two
    /// arrivals share a name.
    pub(crate) fn begin_op(&self, lane: LaneId, op: u32) {
        let state = &self.lanes[lane.0 as usize];
        if state.op.load(Relaxed) == op {
            return;
        }
        state.op.store(op, Relaxed);
        if let Some(counts) = self.arrivals.get(lane.0 as usize) {
            counts.iter().for_each(|count| count.store(0, Relaxed));
        }
    }

    pub(crate) fn end_op(&self, lane: LaneId, digest: u64) {
        self.note(digest);
        // A background lane always finds something to do; only what was asked for is progress.
        if !LaneId::BACKGROUND.contains(&lane) {
            self.deadline.store(self.steps.load(Relaxed).saturating_add(self.patience), Relaxed);
        }
    }

    /// A background lane begins a pass. Passes are counted on across a halt, so that no two have one name.
    pub(crate) fn begin_pass(&self, lane: LaneId) {
        let passes = &self.lanes[lane.0 as usize].passes;
        let number = passes.load(Relaxed);
        passes.store(number + 1, Relaxed);
        self.begin_op(lane, number);
    }

    /// Forgets what the lanes of a halted run were doing; whatever wakes them is gone with them.
    pub(crate) fn restart(&self) {
        self.halted.store(false, Relaxed);
        self.next.store(NOBODY, Relaxed);
        self.budget.store(0, Relaxed);
        self.lanes.iter().for_each(|lane| lane.waits.store(false, Relaxed));
    }

    /// Whether the lane may go on past `y`. If not, the executor already knows who does.
    #[inline]
    pub(crate) fn pass(&self, lane: LaneId, y: Y) -> bool {
        self.arrive(lane, y);
        let budget = self.budget.load(Relaxed);
        if budget > 0 {
            self.budget.store(budget - 1, Relaxed);
            return true;
        }
        self.ask(lane)
    }

    #[cold]
    fn ask(&self, lane: LaneId) -> bool {
        let ready = self.ready.load(Relaxed) | lane.bit();
        // At the deadline the lane is stopped, for the executor to see that it is over.
        let mut next = lane;
        if !self.is_overdue() {
            next = self.decide(ready, lane, false);
            if next == lane {
                return true;
            }
        }
        self.ready.store(ready, Relaxed);
        self.next.store(u32::from(next.0), Relaxed);
        false
    }

    pub(crate) fn choose(&self, lane: LaneId, y: Y, n: u32) -> u32 {
        self.arrive(lane, y);
        // A place like any other, so that the budget is never used up later than the deadline.
        self.budget.store(self.budget.load(Relaxed).saturating_sub(1), Relaxed);
        let place = self.place(lane);
        let choice = self.policy.lock().choose(place, n);
        assert!(choice < n, "the policy chose {choice} of {n}");
        self.note(u64::from(choice));
        choice
    }

    pub(crate) fn decide(&self, ready: u64, lane: LaneId, forced: bool) -> LaneId {
        let steps = self.steps.load(Relaxed);
        let view = View { ready, place: self.place(lane), forced, steps };
        let (next, budget) = self.policy.lock().next(&view);
        assert!(ready & next.bit() != 0, "the policy named lane {next}, runnable are {ready:#b}");
        // No budget outlives the deadline: the place at which the deadline is reached asks.
        let left = self.deadline.load(Relaxed).saturating_sub(steps).saturating_sub(1);
        self.budget.store(u64::from(budget).min(left) as u32, Relaxed);
        next
    }

    #[inline]
    pub(crate) fn is_overdue(&self) -> bool {
        self.steps.load(Relaxed) >= self.deadline.load(Relaxed)
    }

    pub(crate) fn begin_wait(&self, lane: LaneId, waiting: Waiting) {
        let state = &self.lanes[lane.0 as usize];
        *state.waiting.lock() = Some(waiting);
        state.waits.store(true, Relaxed);
    }

    pub(crate) fn end_wait(&self, lane: LaneId) {
        self.lanes[lane.0 as usize].waits.store(false, Relaxed);
    }

    fn waiting(&self, lane: LaneId) -> Option<Waiting> {
        let state = &self.lanes[lane.0 as usize];
        if state.waits.load(Relaxed) { *state.waiting.lock() } else { None }
    }

    /// The lanes of `blocked`, and whoever else waits for something that is not work, with what they wait for.
    pub(crate) fn waiting_lanes(&self, blocked: u64) -> Vec<(LaneId, Option<Waiting>)> {
        let all = (0..LaneId::COUNT as u8).map(LaneId);
        all.map(|lane| (lane, self.waiting(lane)))
            .filter(|(lane, waiting)| blocked & lane.bit() != 0 || waiting.is_some_and(|w| w.y != Y::IDLE))
            .collect()
    }

    /// The last places passed, oldest first.
    pub(crate) fn recent(&self) -> Vec<(LaneId, Y)> {
        let step = self.steps.load(Relaxed) as usize;
        let slots = (1..=RECENT).map(|n| self.recent[(step + n) % RECENT].load(Relaxed));
        slots
            .filter(|slot| *slot != NOBODY)
            .filter_map(|slot| Some((LaneId((slot >> 8) as u8), Y::from_index((slot & 0xff) as usize)?)))
            .collect()
    }
}

pub(crate) struct LaneWaker {
    pub(crate) sim: Arc<Sim>,
    pub(crate) lane: LaneId,
}

impl Wake for LaneWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let sim = &self.sim;
        sim.ready.store(sim.ready.load(Relaxed) | self.lane.bit() & sim.live.load(Relaxed), Relaxed);
        sim.budget.store(0, Relaxed);
    }
}
