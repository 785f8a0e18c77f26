//! What is under way and ends in another lane: counts of it, and single answers.

use crate::place::{LaneId, Y};
use crate::sim::{Task, Waiting};
use crate::sync::WaitQueue;
use parking_lot::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};

/// A count of things in flight that can be waited for: direct I/O on an inode, its `i_dio_count`.
#[derive(Debug, Default)]
pub struct InFlight {
    count: AtomicUsize,
    /// How many of them each lane has to end.
    owed: Mutex<[u16; LaneId::COUNT]>,
    queue: WaitQueue,
}

impl InFlight {
    /// One more, which `lane` ends by dropping the guard.
    pub fn begin(&self, lane: LaneId) -> InFlightGuard<'_> {
        self.count.fetch_add(1, AcqRel);
        self.owed.lock()[lane.0 as usize] += 1;
        InFlightGuard { of: self, lane }
    }

    /// One that was handed on to `lane` is over.
    pub fn end(&self, lane: LaneId) {
        self.owed.lock()[lane.0 as usize] -= 1;
        if self.count.fetch_sub(1, AcqRel) == 1 {
            self.queue.wake_all();
        }
    }

    /// Whether nothing is in flight.
    pub fn is_idle(&self) -> bool {
        self.count.load(Acquire) == 0
    }

    /// Sleeps at `y` until nothing is in flight. Whoever has something to end owes the wake-up.
    pub async fn drained(&self, task: &Task, y: Y, what: &'static str) {
        let waiting = || Waiting { y, what, id: self.count.load(Relaxed) as u64, holders: self.owing() };
        self.queue.wait(task, || (self.count.load(Acquire) == 0).then_some(()), waiting).await;
    }

    fn owing(&self) -> u64 {
        let owed = self.owed.lock();
        (0..LaneId::COUNT).filter(|n| owed[*n] > 0).fold(Waiting::OWED, |set, n| set | 1 << n)
    }
}

/// One thing in flight.
#[derive(Debug)]
#[must_use = "it is over when this is dropped"]
pub struct InFlightGuard<'a> {
    of: &'a InFlight,
    lane: LaneId,
}

impl InFlightGuard<'_> {
    /// From here on it is `lane` that has to end it, with [`InFlight::end`].
    pub fn hand_to(self, lane: LaneId) {
        let mut owed = self.of.owed.lock();
        owed[self.lane.0 as usize] -= 1;
        owed[lane.0 as usize] += 1;
        drop(owed);
        std::mem::forget(self);
    }
}

impl Drop for InFlightGuard<'_> {
    fn drop(&mut self) {
        self.of.end(self.lane);
    }
}

/// An answer that another lane will give, once.
#[derive(Debug)]
pub struct Promise<T> {
    answer: Mutex<Option<T>>,
    /// Who gives it.
    by: LaneId,
    queue: WaitQueue,
}

impl<T> Promise<T> {
    /// An answer that is `by`'s to give.
    pub fn new(by: LaneId) -> Promise<T> {
        Promise { answer: Mutex::new(None), by, queue: WaitQueue::default() }
    }

    /// Gives it.
    pub fn keep(&self, answer: T) {
        *self.answer.lock() = Some(answer);
        self.queue.wake_all();
    }

    /// Sleeps at `y` until it is given.
    pub async fn kept(&self, task: &Task, y: Y, what: &'static str) -> T {
        let waiting = || Waiting { y, what, id: Waiting::ONLY, holders: self.by.bit() | Waiting::OWED };
        self.queue.wait(task, || self.answer.lock().take(), waiting).await
    }
}
