//! Evicting clean folios.

use crate::folio::{Folio, FolioRef, Locked};
use crate::mapping::Mapping;
use faults::Fault;
use lanes::{Task, Y};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// An allocation tries so many candidates at most.
const SCAN: usize = 32;

/// What became of a candidate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evicted {
    /// Removed from the file.
    Yes,
    /// Kept: locked, dirty, under writeback, or used by somebody else.
    No,
}

impl Mapping {
    /// The folios that meet pages `range` and that reclaim would look at, by index. Without references: a lane that is
    /// stopped with a list of them in hand must not keep all others from evicting.
    pub fn candidates(&self, range: Range<u64>) -> Vec<Arc<Folio>> {
        let index = self.index();
        let meets = |folio: &Folio| folio.end_index() > range.start && folio.index() < range.end;
        let dirty_too = self.faults.armed(Fault::ReleaseDirtyState);
        let written_too = self.faults.armed(Fault::ReclaimUnderWriteback);
        let clean = |folio: &Folio| {
            !folio.is_locked()
                && !folio.is_pinned()
                && (dirty_too || !folio.is_dirty())
                && (written_too || !folio.is_writeback())
        };
        let folios = index.iter().map(|slot| slot.folio).filter(|folio| meets(folio) && clean(folio));
        folios.cloned().collect()
    }

    /// Tries to remove one clean folio.
    pub async fn evict(&self, task: &Task, folio: &Arc<Folio>) -> Evicted {
        let Some(folio) = FolioRef::try_get(folio) else { return Evicted::No };
        task.at(Y::C1).await;
        let Ok(locked) = folio.try_lock(task) else { return Evicted::No };
        task.at(Y::C2).await;
        if self.faults.armed(Fault::ReleaseDirtyState) && !locked.is_writeback() {
            *locked.blocks.lock() = None;
        }
        let written_too = self.faults.armed(Fault::ReclaimUnderWriteback);
        if !locked.is_attached() || locked.is_dirty() || (locked.is_writeback() && !written_too) {
            return Evicted::No;
        }
        if self.page_table.is_mapped(&locked) {
            task.at(Y::C3).await;
            self.unmap_folio(task, &locked).await;
            if locked.is_dirty() {
                return Evicted::No; // a store the flag did not know of
            }
        }
        // Private state may go only while the folio is clean: its dirty bits would be lost.
        if !locked.release_buffers() {
            return Evicted::No;
        }
        *locked.blocks.lock() = None;
        task.at(Y::C4).await;
        // References first, then dirty: a store made through a reference dropped in between is seen this way.
        let tree = self.lock_tree(task).await;
        let pages = locked.pages() as i32;
        if !locked.freeze(pages + 1) {
            return Evicted::No;
        }
        if locked.is_dirty() || (locked.is_writeback() && !written_too) {
            locked.unfreeze(pages + 1);
            return Evicted::No;
        }
        task.at(Y::C5).await;
        let when = self.memory.evictions.fetch_add(1, Relaxed);
        self.detach(&tree, &locked, Some(when));
        locked.unfreeze(1);
        drop(tree);
        task.at(Y::C6).await;
        Evicted::Yes
    }

    /// Removes all page table entries: the file is no longer mapped.
    pub async fn unmap_all(&self, task: &Task) {
        let tree = self.lock_tree(task).await;
        for folio in self.page_table.unmap(0..u64::MAX, |_| true) {
            self.dirty_folio_in(&tree, &folio);
        }
    }

    /// Removes the page table entries of a folio, putting their dirty bits into its flag.
    pub(crate) async fn unmap_folio(&self, task: &Task, folio: &Locked) {
        let tree = self.lock_tree(task).await;
        let this = folio.folio().arc();
        let dirty = self.page_table.unmap(folio.index()..folio.end_index(), |mapped| mapped.is(this));
        if !dirty.is_empty() {
            self.dirty_folio_in(&tree, folio);
        }
    }
}

/// Evicts until `pages` more fit under the limit or nothing more can be evicted. Runs in the lane that allocates
/// and never waits for writeback: the lane may hold locks that its end needs.
pub(crate) async fn make_room(mapping: &Mapping, task: &Task, pages: u64) {
    task.at(Y::C0).await;
    // Where the last one stopped: otherwise folios that cannot go are tried again for every allocation.
    let hand = mapping.reclaim_hand.load(Relaxed);
    let behind = mapping.candidates(hand..u64::MAX);
    let before = mapping.candidates(0..hand);
    for folio in behind.iter().chain(&before).take(SCAN) {
        if !mapping.memory.is_short(pages) {
            return;
        }
        mapping.reclaim_hand.store(folio.end_index(), Relaxed);
        mapping.evict(task, folio).await;
    }
    if mapping.memory.is_short(pages) {
        mapping.memory.dirtied.raise();
    }
}
