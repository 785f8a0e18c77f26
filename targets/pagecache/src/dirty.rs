//! Dirty and writeback state. Each edge changes flag, mark and counter in one hold of the tree lock, so that they can
//! only disagree where a rule is broken. Clearing the dirty flag needs no lock: it leaves the marks alone.
//!
//! | edge | counters | marks |
//! |---|---|---|
//! | dirty | dirty + n | Dirty set |
//! | clean for I/O | dirty - n | left alone |
//! | start of writeback | writeback + n | Writeback set; Dirty cleared unless dirty again; ToWrite cleared |
//! | end of writeback | writeback - n | Writeback cleared |
//! | cancel | dirty - n | go with the entry |

use crate::folio::{Folio, FolioRef, Locked};
use crate::index::Mark;
use crate::invariants::Broken;
use crate::mapping::Mapping;
use crate::memory::Stat;
use crate::tree::TreeGuard;
use faults::Fault;
use lanes::{Task, Y};
use std::ops::Range;

impl Mapping {
    /// Sets the dirty flag. A folio that has left the file stays as it is: nobody will write it.
    fn mark_dirty(&self, tree: &TreeGuard<'_>, folio: &Folio) {
        if !folio.is_attached() || !folio.change_dirty(true) {
            return;
        }
        tree.index().set_mark(folio, Mark::Dirty, true);
        self.memory.count(Stat::Dirty, folio, folio.pages() as i64);
        self.inode.mark_dirty_pages(&self.memory);
    }

    /// Makes the blocks that `range` touches dirty, and the folio.
    pub async fn dirty_range(&self, task: &Task, folio: &Folio, range: &Range<u64>) {
        let tree = self.lock_tree(task).await;
        let touched = self.blocks_touched(folio, range);
        if let Some(state) = &mut *folio.blocks.lock() {
            state.set_dirty(touched);
        }
        self.mark_dirty(&tree, folio);
    }

    /// Makes the blocks of these bits dirty, and the folio.
    pub(crate) async fn dirty_blocks(&self, task: &Task, folio: &Folio, bits: u128) {
        let tree = self.lock_tree(task).await;
        self.with_blocks(folio, |state| state.set_dirty_bits(bits));
        self.mark_dirty(&tree, folio);
    }

    /// Makes the whole folio dirty: what a store through a mapping does, which knows no blocks.
    pub async fn dirty_folio(&self, task: &Task, folio: &Folio) {
        let tree = self.lock_tree(task).await;
        self.dirty_folio_in(&tree, folio);
    }

    /// As [`Mapping::dirty_folio`], for callers that hold the tree lock already: whoever removes a page table entry, or
    /// write-protects it, takes the lock first, so that the store it knows of is never in neither place.
    pub(crate) fn dirty_folio_in(&self, tree: &TreeGuard<'_>, folio: &Folio) {
        self.with_blocks(folio, |state| state.set_dirty(0..state.count));
        self.mark_dirty(tree, folio);
    }

    /// Write-protects the folio's page table entries and puts the stores they saw into its dirty state.
    pub(crate) async fn protect(&self, task: &Task, folio: &Locked) {
        let tree = self.lock_tree(task).await;
        if self.page_table.write_protect(folio.folio()) {
            self.dirty_folio_in(&tree, folio);
        }
    }

    /// Begins to clean a folio for writeback: no store can go unnoticed any more, the flag is clear.
    /// False if it was clean.
    ///
    /// Entries are write-protected before the flag is tested, and a store they saw is put into the flag first;
    /// so a store after this must fault, and needs the folio lock.
    pub async fn clean_for_io(&self, task: &Task, folio: &Locked) -> bool {
        if self.faults.armed(Fault::EntryDirtyLost) {
            let was_dirty = self.clear_dirty(folio);
            task.at(Y::B3).await;
            self.page_table.write_protect(folio.folio());
            return was_dirty;
        }
        self.protect(task, folio).await;
        self.clear_dirty(folio)
    }

    fn clear_dirty(&self, folio: &Locked) -> bool {
        let was_dirty = folio.change_dirty(false);
        if was_dirty {
            self.memory.count(Stat::Dirty, folio, -(folio.pages() as i64));
        }
        was_dirty
    }

    /// The folio will not be written: drops its dirty state with its accounting.
    pub fn cancel_dirty(&self, folio: &Locked) {
        if self.clear_dirty(folio) {
            self.memory.throttled.wake_all();
        }
    }

    /// Blocks wholly inside `range` will not be written, because the file system has freed them. The caller
    /// holds the folio lock. A block partly outside the range keeps its bytes, so it stays dirty: clearing
    /// rounds inward where setting rounds outward.
    pub async fn clean_dropped_blocks(&self, task: &Task, folio: &Locked, range: &Range<u64>) {
        let armed = self.faults.armed(Fault::DirtyClearOutward);
        let blocks = if armed { self.blocks_touched(folio, range) } else { self.blocks_inside(folio, range) };
        if blocks.is_empty() || !folio.is_dirty() {
            return;
        }
        if self.with_blocks(folio, |state| state.clear_dirty(blocks)) == Some(true) {
            self.cancel_dirty(folio);
            self.lock_tree(task).await.index().set_mark(folio, Mark::Dirty, false);
        }
    }

    /// Waits until the bytes of the locked folio may change: on a device that needs stable data, not while they are
    /// being written.
    pub async fn wait_stable(&self, task: &Task, folio: &Locked, y: Y) {
        if self.stable_pages && !self.faults.armed(Fault::StablePageNotWaited) {
            folio.wait_writeback(task, y).await;
        }
    }

    /// Sets the writeback flag. The caller holds the folio lock and has cleaned the folio.
    pub async fn start_writeback(&self, task: &Task, folio: &Locked) {
        let tree = self.lock_tree(task).await;
        let mut index = tree.index();
        if !folio.change_writeback(true) {
            self.report(Broken::invariant(format!("writeback of folio {} began twice", folio.index())));
            return;
        }
        index.set_mark(folio, Mark::Writeback, true);
        if !folio.is_dirty() {
            index.set_mark(folio, Mark::Dirty, false);
        }
        index.set_mark(folio, Mark::ToWrite, false);
        self.memory.count(Stat::Writeback, folio, folio.pages() as i64);
    }

    /// Clears the writeback flag and wakes who waits for it. The reference keeps the folio across the wake-up: once
    /// the flag is clear, truncate may free it.
    pub async fn end_writeback(&self, task: &Task, folio: &FolioRef) {
        {
            let tree = self.lock_tree(task).await;
            let mut index = tree.index();
            if !folio.change_writeback(false) {
                self.report(Broken::invariant(format!("writeback of folio {} ended twice", folio.index())));
                return;
            }
            if !folio.is_attached() {
                self.report(Broken::invariant(format!("folio {} left the file under writeback", folio.index())));
            }
            index.set_mark(folio, Mark::Writeback, false);
            self.memory.count(Stat::Writeback, folio, -(folio.pages() as i64));
        }
        task.at(Y::E5).await;
        folio.wake();
        self.memory.throttled.wake_all();
        self.memory.evictable.raise();
        if folio.is_dirty() {
            self.memory.dirtied.raise(); // a flusher that met it under writeback has skipped it
        }
    }

    /// A folio that was cleaned needs no I/O after all (its blocks are holes or beyond the end of file): brings
    /// its marks in line, as the start and end of an empty writeback would.
    pub async fn nothing_to_write(&self, task: &Task, folio: &Locked) {
        if !self.faults.armed(Fault::MarkOnCleanFolio) {
            let tree = self.lock_tree(task).await;
            let mut index = tree.index();
            if !folio.is_dirty() {
                index.set_mark(folio, Mark::Dirty, false);
            }
            index.set_mark(folio, Mark::ToWrite, false);
        }
        self.memory.throttled.wake_all();
    }

    /// Whether any folio that meets `range` is dirty or under writeback.
    pub fn needs_writeback(&self, range: &Range<u64>) -> bool {
        let (first, end) = (self.sizes.index(range.start), self.sizes.end_index(range.end));
        let index = self.index();
        index.find_marked(first, end, Mark::Dirty).is_some() || index.find_marked(first, end, Mark::Writeback).is_some()
    }
}
