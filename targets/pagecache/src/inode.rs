//! What an inode knows of its own dirt: the kernel's `I_DIRTY_PAGES`, by which the flusher's queue is kept.
//!
//! An inode is queued when the first of its pages becomes dirty, and not again by those that follow. So the flusher may
//! clear the flag only with a look at the marks behind it: a page dirtied in between has found the flag set.

use crate::memory::Memory;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Release};

/// Whether the inode is known to have dirty pages, and so is in the flusher's queue.
#[derive(Debug, Default)]
pub struct InodeState {
    dirty_pages: AtomicBool,
}

impl InodeState {
    /// Whether the inode is known to have dirty pages.
    pub fn has_dirty_pages(&self) -> bool {
        self.dirty_pages.load(Acquire)
    }

    /// A page has become dirty, and has its mark already. Queues the inode if it was clean.
    pub(crate) fn mark_dirty_pages(&self, memory: &Memory) {
        if !self.dirty_pages.swap(true, AcqRel) {
            memory.dirtied.raise();
        }
    }

    /// Clears the flag, then sets it again if `still_dirty` says so: in this order.
    pub fn refresh(&self, still_dirty: impl FnOnce() -> bool) {
        self.dirty_pages.store(false, Release);
        if still_dirty() {
            self.dirty_pages.store(true, Release);
        }
    }
}
