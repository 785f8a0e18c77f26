//! Evicting clean folios.

use crate::folio::{Folio, Locked};
use crate::index::Mark;
use crate::mapping::Mapping;
use faults::Fault;
use lanes::{Task, Y};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

/// An allocation tries so many candidates at most.
const SCAN: usize = 32;

/// What an allocation may do to find room, beside evicting what is clean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reclaim {
    /// Nothing: the lane is inside the file system, and may hold what the end of a write waits for.
    InFileSystem,
    /// Wait for folios under writeback: a page fault, as long as it has locked no folio.
    MayWait,
}

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
        let Some(folio) = self.reference(folio) else { return Evicted::No };
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

    /// Evicts as much of a large folio as it takes to cache `pages` more, after splitting it.
    async fn evict_part(&self, task: &Task, folio: &Arc<Folio>, pages: u64) {
        let range = folio.index()..folio.end_index();
        task.at(Y::C7).await;
        if !self.split_unused(task, folio).await {
            return;
        }
        for piece in self.candidates(range) {
            if !self.memory.is_short(task.lane(), pages) {
                return;
            }
            self.evict(task, &piece).await;
        }
    }

    /// Splits a clean and valid folio that is not mapped.
    async fn split_unused(&self, task: &Task, folio: &Arc<Folio>) -> bool {
        let Some(folio) = self.reference(folio) else { return false };
        let Ok(locked) = folio.try_lock(task) else { return false };
        let busy = locked.is_dirty() || locked.is_writeback() || self.page_table.is_mapped(&locked);
        locked.is_attached() && locked.is_uptodate() && !busy && self.split(task, &locked).await.is_ok()
    }

    /// Memory for an I/O of a folio that is being submitted. It may evict, but it must not wait for writeback: the
    /// lane itself has begun the writeback of a folio and not submitted it.
    pub async fn allocate_io(&self, task: &Task) {
        if self.memory.is_short(task.lane(), 1) {
            make_room(self, task, 1, Reclaim::InFileSystem).await;
        }
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

/// Evicts until `pages` more fit under the limit or nothing more can be evicted. Runs in the lane that allocates.
pub(crate) async fn make_room(mapping: &Mapping, task: &Task, pages: u64, how: Reclaim) {
    task.at(Y::C0).await;
    // Where the last one stopped: otherwise folios that cannot go are tried again for every allocation.
    let hand = mapping.reclaim_hand.load(Relaxed);
    let behind = mapping.candidates(hand..u64::MAX);
    let before = mapping.candidates(0..hand);
    // A cgroup over its limit reclaims its own folios, wherever they are; the machine, everybody's.
    let own = mapping.memory.machine_shortage(pages) == 0;
    let eligible = |folio: &&Arc<Folio>| !own || folio.charged_to() == task.lane();
    for folio in behind.iter().chain(&before).filter(eligible).take(SCAN) {
        if !mapping.memory.is_short(task.lane(), pages) {
            return;
        }
        mapping.reclaim_hand.store(folio.end_index(), Relaxed);
        let part =
            folio.order() > mapping.sizes.min_order && mapping.memory.shortage(task.lane(), pages) < folio.pages();
        if part {
            mapping.evict_part(task, folio, pages).await;
        } else {
            mapping.evict(task, folio).await;
        }
    }
    if how == Reclaim::MayWait || mapping.faults.armed(Fault::ReclaimRecursion) {
        evict_written(mapping, task, pages).await;
    }
    if mapping.memory.is_short(task.lane(), pages) {
        mapping.memory.dirtied.raise();
    }
}

/// Waits for folios under writeback, one after the other, and evicts them: what keeps a group of processes whose
/// dirty pages nobody throttles within its limit.
async fn evict_written(mapping: &Mapping, task: &Task, pages: u64) {
    for _ in 0..SCAN {
        if !mapping.memory.is_short(task.lane(), pages) {
            return;
        }
        let written = mapping.peek(task, |index| index.find_marked(0, u64::MAX, Mark::Writeback)).await;
        let Some(folio) = written else { return };
        folio.wait_writeback(task, Y::C8).await;
        let unreferenced = folio.arc().clone();
        drop(folio);
        mapping.evict(task, &unreferenced).await;
    }
}
