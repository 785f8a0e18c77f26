//! Sleeping primitives: what a lane awaits where the kernel sleeps.
//!
//! All of them say what they wait for and who holds it, so that a deadlock is reported with its wait-for chain.

use crate::place::{LaneId, Y};
use crate::sim::{Task, Waiting};
use parking_lot::Mutex;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::Ordering::{AcqRel, Relaxed, SeqCst};
use std::sync::atomic::{AtomicBool, AtomicUsize, fence};
use std::task::{Context, Poll, Waker};

/// Lanes that sleep until something they test for has become true.
///
/// Waking is always "look again": whoever changes the condition calls [`WaitQueue::wake_all`], and every
/// sleeper tests for itself. That makes a lost wake-up impossible to hide behind a wake-up of the wrong lane.
#[derive(Debug, Default)]
pub struct WaitQueue {
    sleepers: Mutex<Sleepers>,
    /// Number of sleepers, readable without the lock: most wake-ups find nobody.
    count: AtomicUsize,
}

/// One sleeper is the usual number, so the first one needs no allocation.
#[derive(Debug, Default)]
struct Sleepers {
    first: Option<Waker>,
    others: Vec<Waker>,
}

impl WaitQueue {
    /// Sleeps until `ready` gives a value. `waiting` describes the wait for the deadlock report.
    #[inline]
    pub fn wait<'a, T, R, W>(&'a self, task: &'a Task, ready: R, waiting: W) -> Wait<'a, R, W>
    where
        R: FnMut() -> Option<T>,
        W: Fn() -> Waiting,
    {
        Wait { queue: self, task, ready, waiting, slept: false }
    }

    /// Makes every sleeper test its condition again. To be called after the condition has changed.
    #[inline]
    pub fn wake_all(&self) {
        // Pairs with the fence in `Wait::poll`: either the sleeper sees the changed condition, or this sees the
        // sleeper. That holds whatever the condition is made of, a plain store to an atomic included.
        fence(SeqCst);
        self.wake_all_fenced();
    }

    /// As [`WaitQueue::wake_all`], after a sequentially consistent read-modify-write has changed the condition, and if
    /// that is all the condition is made of: the fence is in it. Barriers are what an unlock costs.
    #[inline]
    pub fn wake_all_fenced(&self) {
        if self.count.load(SeqCst) > 0 {
            self.wake_sleepers();
        }
    }

    #[cold]
    fn wake_sleepers(&self) {
        let sleepers = {
            let mut sleepers = self.sleepers.lock();
            self.count.store(0, Relaxed);
            std::mem::take(&mut *sleepers)
        };
        // Not under the lock: a waker may run code of whoever polls the lane.
        for sleeper in sleepers.first.into_iter().chain(sleepers.others) {
            sleeper.wake();
        }
    }
}

/// Future of [`WaitQueue::wait`].
pub struct Wait<'a, R, W> {
    queue: &'a WaitQueue,
    task: &'a Task,
    ready: R,
    waiting: W,
    slept: bool,
}

impl<R, W> Unpin for Wait<'_, R, W> {}

impl<R, W> Drop for Wait<'_, R, W> {
    // Here and not where the wait succeeds, so that a wait given up is not reported for ever.
    fn drop(&mut self) {
        if self.slept {
            self.task.end_wait();
        }
    }
}

impl<T, R, W> Future for Wait<'_, R, W>
where
    R: FnMut() -> Option<T>,
    W: Fn() -> Waiting,
{
    type Output = T;

    #[inline]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<T> {
        let this = &mut *self;
        if let Some(value) = (this.ready)() {
            return Poll::Ready(value);
        }
        {
            let mut sleepers = this.queue.sleepers.lock();
            let waker = cx.waker().clone();
            match &sleepers.first {
                None => sleepers.first = Some(waker),
                Some(_) => sleepers.others.push(waker),
            }
            this.queue.count.store(1 + sleepers.others.len(), Relaxed);
        }
        // On OS threads the condition may have become true between the test and the registration.
        if !this.task.is_simulated() {
            fence(SeqCst);
            if let Some(value) = (this.ready)() {
                return Poll::Ready(value);
            }
        }
        this.task.begin_wait((this.waiting)());
        this.slept = true;
        Poll::Pending
    }
}

/// Work for a background lane: raised by whoever makes work, consumed by the lane before it looks for it.
#[derive(Debug, Default)]
pub struct Event {
    raised: AtomicBool,
    queue: WaitQueue,
}

impl Event {
    /// There is work.
    #[inline]
    pub fn raise(&self) {
        if !self.raised.swap(true, SeqCst) {
            self.queue.wake_all_fenced();
        }
    }

    /// Sleeps until there is work.
    pub async fn wait(&self, task: &Task) {
        let waiting = || Waiting { y: Y::IDLE, what: "work", id: Waiting::ONLY, holders: Waiting::OWED };
        self.queue.wait(task, || self.raised.swap(false, AcqRel).then_some(()), waiting).await;
    }
}

#[derive(Debug, Default)]
struct Holders {
    writer: Option<LaneId>,
    /// Readers by lane; a lane may read more than once.
    readers: [u8; LaneId::COUNT],
    count: usize,
}

impl Holders {
    fn bits(&self) -> u64 {
        let readers = (0..LaneId::COUNT).filter(|n| self.readers[*n] > 0).fold(0, |set, n| set | 1 << n);
        readers | self.writer.map_or(0, LaneId::bit)
    }
}

/// A sleeping reader-writer semaphore: i_rwsem, invalidate_lock, the extent lock.
#[derive(Debug)]
pub struct RwSem {
    name: &'static str,
    holders: Mutex<Holders>,
    queue: WaitQueue,
}

impl RwSem {
    /// A semaphore that reports call `name`.
    pub fn new(name: &'static str) -> RwSem {
        RwSem { name, holders: Mutex::default(), queue: WaitQueue::default() }
    }

    fn waiting(&self, y: Y) -> Waiting {
        Waiting { y, what: self.name, id: Waiting::ONLY, holders: self.holders.lock().bits() }
    }

    fn try_take_shared(&self, lane: LaneId) -> Option<()> {
        let mut holders = self.holders.lock();
        if holders.writer.is_some() {
            return None;
        }
        holders.readers[lane.0 as usize] += 1;
        holders.count += 1;
        Some(())
    }

    fn try_take_exclusive(&self, lane: LaneId) -> Option<()> {
        let mut holders = self.holders.lock();
        if holders.writer.is_some() || holders.count > 0 {
            return None;
        }
        holders.writer = Some(lane);
        Some(())
    }

    /// Takes it shared, sleeping at `y` if a writer has it.
    pub async fn read<'a>(&'a self, task: &'a Task, y: Y) -> RwRead<'a> {
        self.queue.wait(task, || self.try_take_shared(task.lane()), || self.waiting(y)).await;
        RwRead { sem: self, lane: task.lane() }
    }

    /// Takes it exclusive, sleeping at `y` while anybody has it.
    pub async fn write<'a>(&'a self, task: &'a Task, y: Y) -> RwWrite<'a> {
        self.queue.wait(task, || self.try_take_exclusive(task.lane()), || self.waiting(y)).await;
        RwWrite { sem: self }
    }

    /// Whether some lane holds it exclusive.
    pub fn is_write_locked(&self) -> bool {
        self.holders.lock().writer.is_some()
    }

    /// The lanes that hold it, as bits.
    pub fn holders(&self) -> u64 {
        self.holders.lock().bits()
    }
}

/// A hold of an [`RwSem`] that not everybody has to take.
#[derive(Debug)]
#[must_use = "the semaphore is released when this is dropped"]
pub enum Held<'a> {
    /// There is nothing to hold.
    Nothing,
    /// Shared.
    Shared(RwRead<'a>),
    /// Exclusive.
    Exclusive(RwWrite<'a>),
}

/// Shared hold of an [`RwSem`].
#[derive(Debug)]
#[must_use = "the semaphore is released when this is dropped"]
pub struct RwRead<'a> {
    sem: &'a RwSem,
    lane: LaneId,
}

impl Drop for RwRead<'_> {
    fn drop(&mut self) {
        let last = {
            let mut holders = self.sem.holders.lock();
            holders.readers[self.lane.0 as usize] -= 1;
            holders.count -= 1;
            holders.count == 0
        };
        if last {
            self.sem.queue.wake_all();
        }
    }
}

/// Exclusive hold of an [`RwSem`].
#[derive(Debug)]
#[must_use = "the semaphore is released when this is dropped"]
pub struct RwWrite<'a> {
    sem: &'a RwSem,
}

impl Drop for RwWrite<'_> {
    fn drop(&mut self) {
        self.sem.holders.lock().writer = None;
        self.sem.queue.wake_all();
    }
}
