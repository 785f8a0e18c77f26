//! What all mappings of a machine share: the counters of dirty and cached pages, and the memory limit.

use lanes::Event;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::Ordering::Relaxed;

/// Counters in pages. They are exact: every change is made with the flag it stands for.
#[derive(Debug, Default)]
pub struct Memory {
    /// Cached.
    pub cached: AtomicI64,
    /// Dirty.
    pub dirty: AtomicI64,
    /// Under writeback.
    pub writeback: AtomicI64,
    /// Most pages to cache before an allocation reclaims first; 0 is no limit.
    pub limit: i64,
    /// Raised when a folio becomes dirty: work for the flusher.
    pub dirtied: Event,
    /// Raised when a folio may have become evictable: work for reclaim.
    pub evictable: Event,
}

impl Memory {
    /// No page in use, `limit` pages allowed.
    pub fn new(limit: u64) -> Memory {
        Memory { limit: limit as i64, ..Memory::default() }
    }

    /// Whether caching `pages` more would exceed the limit.
    pub fn is_short(&self, pages: u64) -> bool {
        self.limit > 0 && self.cached.load(Relaxed) + pages as i64 > self.limit
    }
}
