//! The lock of a file's index: what the kernel calls `i_pages.xa_lock`.
//!
//! Whoever changes the index holds it. Lookups do not: they load a slot, try for a reference, and load the slot again,
//! so they see what a holder has done so far. A holder may be stopped in the middle (before a frozen folio is removed,
//! between the steps of a split), as it can be where a hypervisor takes the processor away; it never sleeps.

use crate::index::Index;
use lanes::{LaneId, Task, WaitQueue, Waiting, Y};
use parking_lot::{Mutex, MutexGuard};
use std::ops::Deref;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::Ordering::{Acquire, Relaxed, SeqCst};

const NOBODY: u8 = u8::MAX;

/// An index with its lock.
#[derive(Debug)]
pub(crate) struct Tree {
    index: Mutex<Index>,
    holder: AtomicU8,
    waiters: WaitQueue,
}

impl Tree {
    pub(crate) fn new(index: Index) -> Tree {
        Tree { index: Mutex::new(index), holder: AtomicU8::new(NOBODY), waiters: WaitQueue::default() }
    }

    /// The index as it is now, for slot operations that need no lock.
    pub(crate) fn read(&self) -> Slots<'_> {
        Slots(self.index.lock())
    }

    pub(crate) async fn lock<'a>(&'a self, task: &'a Task) -> TreeGuard<'a> {
        let take = || self.holder.compare_exchange(NOBODY, task.lane().0, Acquire, Relaxed).ok().map(drop);
        self.waiters.wait(task, take, || self.waiting()).await;
        TreeGuard { tree: self }
    }

    /// Sleeps until nobody holds the lock, if somebody does: what a lookup spins for when it meets a frozen folio.
    pub(crate) async fn settled(&self, task: &Task) {
        let free = || (self.holder.load(Acquire) == NOBODY).then_some(());
        self.waiters.wait(task, free, || self.waiting()).await;
    }

    fn waiting(&self) -> Waiting {
        let holders = match self.holder.load(Relaxed) {
            NOBODY => 0,
            lane => LaneId(lane).bit(),
        };
        Waiting { y: Y::TREE, what: "tree lock", id: Waiting::ONLY, holders }
    }
}

/// The index, for looking at.
pub struct Slots<'a>(MutexGuard<'a, Index>);

impl Deref for Slots<'_> {
    type Target = Index;
    fn deref(&self) -> &Index {
        &self.0
    }
}

/// A hold of the tree lock.
#[derive(Debug)]
#[must_use = "the tree lock is released when this is dropped"]
pub struct TreeGuard<'a> {
    tree: &'a Tree,
}

impl TreeGuard<'_> {
    /// The index, to be changed.
    pub fn index(&self) -> MutexGuard<'_, Index> {
        self.tree.index.lock()
    }
}

impl Drop for TreeGuard<'_> {
    fn drop(&mut self) {
        let holder = self.tree.holder.swap(NOBODY, SeqCst);
        debug_assert_ne!(holder, NOBODY);
        self.tree.waiters.wake_all_fenced();
    }
}
