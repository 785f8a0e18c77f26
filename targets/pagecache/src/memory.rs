//! What all mappings of a machine share: the counters of cached and dirty pages, for the machine and for each memory
//! cgroup, and their limits.
//!
//! Every lane is a cgroup of its own. A folio is charged to the one that put it into the cache and stays so, whoever
//! dirties or splits it.

use crate::folio::Folio;
use lanes::{Event, LaneId, Task, WaitQueue, Waiting, Y};
use std::sync::atomic::Ordering::Relaxed;
use std::sync::atomic::{AtomicI64, AtomicU64};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stat {
    /// Pages in the cache.
    Cached,
    /// Dirty pages.
    Dirty,
    /// Pages under writeback.
    Writeback,
}

impl Stat {
    /// All of them.
    pub const ALL: [Stat; 3] = [Stat::Cached, Stat::Dirty, Stat::Writeback];

    /// In a sentence about pages.
    pub fn name(self) -> &'static str {
        match self {
            Stat::Cached => "cached",
            Stat::Dirty => "dirty",
            Stat::Writeback => "writeback",
        }
    }
}

/// Pages by [`Stat`]. Exact: every change is made with the flag it stands for.
type Counters = [AtomicI64; Stat::ALL.len()];

/// Memory, shared by all mappings.
#[derive(Debug, Default)]
pub struct Memory {
    machine: Counters,
    /// Of the cgroups, by lane.
    groups: [Counters; LaneId::COUNT],
    /// References that folios had when they were freed: none, if every reference was dropped, once.
    pub lost_refs: AtomicU64,
    /// Folios evicted so far: what a shadow remembers.
    pub evictions: AtomicU64,
    /// Most pages a cgroup may have cached before an allocation reclaims first; the machine has twice as many. 0 is no
    /// limit.
    limit: i64,
    /// Most pages a cgroup may have dirty or under writeback before whoever dirties has to wait; twice as many all
    /// together. 0 is no limit.
    dirty_limit: i64,
    /// Lanes that wait for the dirty pages to fall below the limit.
    pub throttled: WaitQueue,
    /// Raised when a folio becomes dirty: work for the flusher.
    pub dirtied: Event,
    /// Raised when a folio may have become evictable: work for reclaim.
    pub evictable: Event,
}

impl Memory {
    /// No page in use, `limit` pages allowed for each cgroup, half of them dirty.
    pub fn new(limit: u64) -> Memory {
        Memory { limit: limit as i64, dirty_limit: limit.div_ceil(2) as i64, ..Memory::default() }
    }

    /// Counts `pages` more, or fewer, of the folio's, for the machine and for the cgroup it is charged to.
    pub(crate) fn count(&self, stat: Stat, folio: &Folio, pages: i64) {
        for counters in [&self.machine, &self.groups[folio.charged_to().0 as usize]] {
            counters[stat as usize].fetch_add(pages, Relaxed);
        }
    }

    /// Pages of the machine.
    pub fn pages(&self, stat: Stat) -> i64 {
        self.machine[stat as usize].load(Relaxed)
    }

    /// Pages charged to the cgroup of `lane`.
    pub fn pages_of(&self, lane: LaneId, stat: Stat) -> i64 {
        self.groups[lane.0 as usize][stat as usize].load(Relaxed)
    }

    /// Waits while too much is dirty, in the lane's cgroup or all together, having woken the flusher. To be called
    /// with no folio lock, invalidate_lock or extent lock held: the flusher needs them to get anything done.
    pub async fn throttle(&self, task: &Task) {
        if self.dirty_limit == 0 {
            return;
        }
        task.at(Y::G0).await;
        let used = |pages: &dyn Fn(Stat) -> i64| pages(Stat::Dirty) + pages(Stat::Writeback);
        let below = || {
            let group = used(&|stat| self.pages_of(task.lane(), stat)) <= self.dirty_limit;
            (group && used(&|stat| self.pages(stat)) <= 2 * self.dirty_limit).then_some(())
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

    /// By how many pages caching `pages` more for `lane` would exceed the limit of its cgroup or of the machine; 0 if
    /// it would not.
    pub fn shortage(&self, lane: LaneId, pages: u64) -> u64 {
        self.group_shortage(lane, pages).max(self.machine_shortage(pages))
    }

    fn group_shortage(&self, lane: LaneId, pages: u64) -> u64 {
        self.over(self.pages_of(lane, Stat::Cached) + pages as i64, self.limit)
    }

    /// By how many pages caching `pages` more would exceed the limit of the machine.
    pub(crate) fn machine_shortage(&self, pages: u64) -> u64 {
        self.over(self.pages(Stat::Cached) + pages as i64, 2 * self.limit)
    }

    fn over(&self, pages: i64, limit: i64) -> u64 {
        if limit == 0 { 0 } else { (pages - limit).max(0) as u64 }
    }

    /// Whether caching `pages` more for `lane` would exceed a limit.
    pub fn is_short(&self, lane: LaneId, pages: u64) -> bool {
        self.shortage(lane, pages) > 0
    }
}
