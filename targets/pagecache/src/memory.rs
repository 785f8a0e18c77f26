//! What all mappings of a machine share: the counters of dirty and cached pages, and the memory limit.

use lanes::{Event, LaneId, Task, WaitQueue, Waiting, Y};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicI64, AtomicU64};

/// Counters in pages. They are exact: every change is made with the flag it stands for.
#[derive(Debug, Default)]
pub struct Memory {
    /// Cached.
    pub cached: AtomicI64,
    /// Dirty.
    pub dirty: AtomicI64,
    /// Under writeback.
    pub writeback: AtomicI64,
    /// References that folios had when they were freed: none, if every reference was dropped, once.
    pub lost_refs: AtomicU64,
    /// Folios evicted so far: what a shadow remembers.
    pub evictions: AtomicU64,
    /// Most pages to cache before an allocation reclaims first; 0 is no limit.
    pub limit: i64,
    /// Most pages to have dirty or under writeback before whoever dirties has to wait; 0 is no limit.
    pub dirty_limit: i64,
    /// Lanes that wait for the dirty pages to fall below the limit.
    pub throttled: WaitQueue,
    /// Raised when a folio becomes dirty: work for the flusher.
    pub dirtied: Event,
    /// Raised when a folio may have become evictable: work for reclaim.
    pub evictable: Event,
}

impl Memory {
    /// No page in use, `limit` pages allowed, half of them dirty.
    pub fn new(limit: u64) -> Memory {
        Memory { limit: limit as i64, dirty_limit: limit.div_ceil(2) as i64, ..Memory::default() }
    }

    /// Waits while too much is dirty, having woken the flusher. To be called with no folio lock, invalidate_lock
    /// or extent lock held: the flusher needs them to get anything done.
    pub async fn throttle(&self, task: &Task) {
        let below = || {
            let used = self.dirty.load(Relaxed) + self.writeback.load(Relaxed);
            (self.dirty_limit == 0 || used <= self.dirty_limit).then_some(())
        };
        if below().is_some() {
            return;
        }
        task.at(Y::G1).await;
        self.dirtied.raise();
        let holders = LaneId::FLUSHER.bit() | LaneId::END_IO.bit() | Waiting::OWED;
        let waiting = || Waiting { y: Y::G2, what: "fewer dirty pages than", id: self.dirty_limit as u64, holders };
        self.throttled.wait(task, below, waiting).await;
    }

    /// By how many pages caching `pages` more would exceed the limit; 0 if it would not.
    pub fn shortage(&self, pages: u64) -> u64 {
        if self.limit == 0 {
            return 0;
        }
        (self.cached.load(Relaxed) + pages as i64 - self.limit).max(0) as u64
    }

    /// Whether caching `pages` more would exceed the limit.
    pub fn is_short(&self, pages: u64) -> bool {
        self.shortage(pages) > 0
    }
}
