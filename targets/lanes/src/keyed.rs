//! A wait queue whose sleepers wait for one key each, and which can wake one of them only.
//!
//! [`WaitQueue`](crate::WaitQueue) wakes everybody to look again. Where the kernel wakes one exclusive waiter and
//! leaves it to that one to wake the next, a wake-up can be lost: the one that was woken does not pass it on. Such
//! queues need this.

use crate::place::LaneId;
use crate::run::Waiting;
use crate::task::Task;
use parking_lot::Mutex;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// Sleepers by key, in the order in which they are woken.
#[derive(Debug, Default)]
pub struct KeyedQueue {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Exclusive sleepers stand behind those that came before, the others before all.
    sleepers: Vec<Sleeper>,
    next: u64,
}

#[derive(Debug)]
struct Sleeper {
    ticket: u64,
    key: u64,
    exclusive: bool,
    task: Task,
    waiting: Waiting,
    /// None until it has been polled.
    waker: Option<Waker>,
}

impl KeyedQueue {
    /// Queues the lane under `key`. To be called under the lock that protects what it waits for, so that a change
    /// after that finds it; the sleep itself is awaited without the lock. An `exclusive` sleeper is woken alone.
    ///
    /// `waiting` describes the wait for the deadlock report; its holders are the lanes that owe the wake-up.
    pub fn enqueue(&self, task: &Task, key: u64, exclusive: bool, waiting: Waiting) -> Sleep<'_> {
        let waiting = Waiting { holders: waiting.holders | Waiting::OWED, ..waiting };
        let mut state = self.state.lock();
        let ticket = state.next;
        state.next += 1;
        let sleeper = Sleeper { ticket, key, exclusive, task: task.clone(), waiting, waker: None };
        let at = if exclusive { state.sleepers.len() } else { 0 };
        state.sleepers.insert(at, sleeper);
        Sleep { queue: self, ticket, task: task.clone(), slept: false }
    }

    /// Wakes the sleepers of `key`: all of them, or those that are not exclusive and the first that is. That one now
    /// owes the others their wake-up.
    pub fn wake(&self, key: u64, all: bool) {
        let mut woken = Vec::new();
        let mut first = None;
        {
            let mut state = self.state.lock();
            let mut kept = Vec::with_capacity(state.sleepers.len());
            for mut sleeper in std::mem::take(&mut state.sleepers) {
                let passed_over = sleeper.exclusive && first.is_some() && !all;
                if sleeper.key != key || passed_over {
                    if let (true, Some(lane)) = (sleeper.key == key, first) {
                        sleeper.owed_by(lane);
                    }
                    kept.push(sleeper);
                    continue;
                }
                if sleeper.exclusive {
                    first = Some(sleeper.task.lane());
                }
                woken.extend(sleeper.waker);
            }
            state.sleepers = kept;
        }
        // Not under the lock: a waker may run code of whoever polls the lane.
        woken.into_iter().for_each(Waker::wake);
    }

    /// The lanes that sleep, with their keys, in the order in which they are woken.
    pub fn sleepers(&self) -> Vec<(LaneId, u64)> {
        self.state.lock().sleepers.iter().map(|sleeper| (sleeper.task.lane(), sleeper.key)).collect()
    }
}

impl Sleeper {
    fn owed_by(&mut self, lane: LaneId) {
        self.waiting.holders = lane.bit() | Waiting::OWED;
        if self.waker.is_some() {
            self.task.still_waits(self.waiting);
        }
    }
}

/// Future of [`KeyedQueue::enqueue`]: ready when the lane has been woken. Given up, it leaves the queue.
#[derive(Debug)]
#[must_use = "the lane sleeps when this is awaited"]
pub struct Sleep<'a> {
    queue: &'a KeyedQueue,
    ticket: u64,
    task: Task,
    slept: bool,
}

impl Future for Sleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.queue.state.lock();
        let Some(sleeper) = state.sleepers.iter_mut().find(|sleeper| sleeper.ticket == self.ticket) else {
            return Poll::Ready(());
        };
        let first = sleeper.waker.replace(context.waker().clone()).is_none();
        let waiting = sleeper.waiting;
        drop(state);
        if first {
            self.task.begin_wait(waiting);
            self.slept = true;
        }
        Poll::Pending
    }
}

impl Drop for Sleep<'_> {
    fn drop(&mut self) {
        self.queue.state.lock().sleepers.retain(|sleeper| sleeper.ticket != self.ticket);
        if self.slept {
            self.task.end_wait();
        }
    }
}
