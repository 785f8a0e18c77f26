//! Removing ranges from the cache: truncate, punch, invalidation for direct I/O.

use crate::error::{Error, Result};
use crate::folio::{Folio, FolioRef, Locked};
use crate::invariants::Broken;
use crate::mapping::Mapping;
use crate::memory::Stat;
use crate::tree::TreeGuard;
use faults::Fault;
use lanes::{Task, Y};
use std::ops::Range;

/// Who removes, and so what partly covered folios keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// The end of file moves: blocks in the range are gone whatever they held.
    Truncate,
    /// A hole is made without the range having been written back first: dirty blocks inside it lose their
    /// backing and must not be written.
    PunchUnflushed,
}

impl Mapping {
    /// Removes the page table entries of `range`'s pages.
    pub(crate) async fn unmap_range(&self, task: &Task, pages: Range<u64>) {
        task.at(Y::UNMAP).await;
        let tree = self.lock_tree(task).await;
        for folio in self.page_table.unmap(pages, |_| true) {
            self.dirty_folio_in(&tree, &folio);
        }
    }

    /// Drops everything at and after byte `size`, the new end of file, which is already set: from that moment no
    /// fault and no read can bring it back. Entries are removed twice, because a fault that had passed its size
    /// test may have installed one in between.
    pub async fn truncate_to(&self, task: &Task, size: u64) {
        let beyond = self.sizes.end_index(size)..u64::MAX;
        self.unmap_range(task, beyond.clone()).await;
        let gone = size..u64::MAX;
        self.remove_range(task, gone.clone(), &gone, Removal::Truncate).await;
        task.at(Y::T5).await;
        self.unmap_range(task, beyond).await;
    }

    /// Drops the whole pages of `range` and zeroes its partly covered ones. The caller holds `invalidate_lock`
    /// exclusive, so nothing comes back before it has removed the blocks.
    pub async fn punch_out(&self, task: &Task, range: Range<u64>, removal: Removal) {
        self.drop_around(task, range.clone(), &range, removal).await;
    }

    /// As [`Mapping::punch_out`] of `range`, of which only `gone` is to leave the file.
    ///
    /// The rest has been written back, is dropped with its pages, and is not zeroed where a folio sticks out: a fault
    /// that needs no `invalidate_lock`, as the folio is valid, may look at it until it has left the cache. (Stricter
    /// than truncate_inode_partial_folio() in mm/truncate.c of Linux 6.12, which knows one range only.)
    pub async fn drop_around(&self, task: &Task, range: Range<u64>, gone: &Range<u64>, removal: Removal) {
        let whole = self.sizes.end_index(range.start)..self.sizes.index(range.end);
        if !whole.is_empty() {
            task.at(Y::P1).await;
            self.unmap_range(task, whole).await;
        }
        self.remove_range(task, range, gone, removal).await;
    }

    /// Two passes: the first takes what it can without waiting, the second waits and goes on until a sweep finds
    /// nothing. `range.end` is `u64::MAX` for "to the end".
    async fn remove_range(&self, task: &Task, range: Range<u64>, gone: &Range<u64>, removal: Removal) {
        let last = if range.end == u64::MAX { u64::MAX } else { self.sizes.index(range.end) };
        let mut whole = self.sizes.end_index(range.start)..last;
        self.first_pass(task, whole.clone()).await;
        // Only folios that stick out of the range are left at its ends.
        let mut same_folio = false;
        if let Some(folio) = self.lock_attached(task, self.sizes.index(range.start), Y::T3).await {
            let end = folio.end_index();
            same_folio = range.end < self.byte_range(&folio).end;
            let index = folio.index();
            if !self.remove_partial(task, folio, &range, gone, removal).await {
                whole.start = whole.start.max(end);
                if same_folio {
                    whole.end = whole.end.min(index);
                }
            }
        }
        let last = (!same_folio && range.end != u64::MAX).then_some(self.sizes.index(range.end));
        if let Some(page) = last
            && let Some(folio) = self.lock_attached(task, page, Y::T3).await
        {
            let index = folio.index();
            if !self.remove_partial(task, folio, &range, gone, removal).await {
                whole.end = whole.end.min(index);
            }
        }
        self.second_pass(task, whole.clone()).await;
        self.clear_shadows(task, &whole).await;
    }

    /// Takes out the shadows of `pages`: what they remember is no longer in the file.
    async fn clear_shadows(&self, task: &Task, pages: &Range<u64>) {
        if self.index().has_shadows() {
            self.lock_tree(task).await.index().clear_shadows(pages.start, pages.end);
        }
    }

    /// The first folio that meets `pages`, if it qualifies for removal in this walk.
    async fn next_in(&self, task: &Task, pages: &Range<u64>) -> Option<FolioRef> {
        let any = self.faults.armed(Fault::PunchDropsFolio);
        let qualifies = |folio: &Folio| any || (folio.index() >= pages.start && folio.end_index() <= pages.end);
        self.peek(task, |index| {
            let mut slot = index.find(pages.start, pages.end)?;
            while !qualifies(slot.folio) {
                slot = index.find(slot.range().end, pages.end)?;
            }
            Some(slot)
        })
        .await
    }

    async fn first_pass(&self, task: &Task, mut pages: Range<u64>) {
        while let Some(folio) = self.next_in(task, &pages).await {
            // Forward in any case: a broken index may answer a folio from somewhere else.
            pages.start = folio.end_index().max(pages.start + 1);
            let Ok(locked) = folio.try_lock(task) else { continue };
            if !locked.is_attached() || locked.is_writeback() {
                continue;
            }
            task.at(Y::T2).await;
            self.drop_folio(task, &locked).await;
        }
    }

    async fn second_pass(&self, task: &Task, pages: Range<u64>) {
        let mut rest = pages.clone();
        while let Some(folio) = self.next_in(task, &rest).await {
            if self.faults.armed(Fault::NoSecondPass) {
                return;
            }
            task.at(Y::T4).await;
            let locked = folio.lock(task, Y::T4).await;
            if !locked.is_attached() {
                continue;
            }
            if !self.faults.armed(Fault::TruncateNoWait) {
                locked.wait_writeback(task, Y::WBW).await;
            }
            rest.start = locked.end_index();
            self.drop_folio(task, &locked).await;
        }
    }

    /// The folio that contains `page`, locked and in the file.
    pub async fn lock_attached(&self, task: &Task, page: u64, y: Y) -> Option<Locked> {
        loop {
            let locked = self.peek(task, |index| index.load(page)).await?.lock(task, y).await;
            if locked.is_attached() && locked.contains(page) {
                return Some(locked);
            }
            drop(locked);
            self.retry(task).await;
        }
    }

    /// Zeroes the part of a folio that is `gone`, and splits it so that whole pages of `range` can go. False if the
    /// folio stays in one piece and the walk must leave it alone.
    async fn remove_partial(
        &self,
        task: &Task,
        folio: Locked,
        range: &Range<u64>,
        gone: &Range<u64>,
        removal: Removal,
    ) -> bool {
        task.at(Y::T3).await;
        folio.wait_writeback(task, Y::WBW).await;
        let bytes = self.byte_range(&folio);
        let part = range.start.max(bytes.start)..range.end.min(bytes.end);
        if part.is_empty() {
            return false;
        }
        if part == bytes {
            self.drop_folio(task, &folio).await;
            return true;
        }
        let zeros = gone.start.max(part.start)..gone.end.min(part.end);
        let keeps = removal == Removal::PunchUnflushed && self.faults.armed(Fault::PunchKeepsEdges);
        if !zeros.is_empty() && !keeps {
            folio.data.write()[(zeros.start - bytes.start) as usize..(zeros.end - bytes.start) as usize].fill(0);
        }
        if removal == Removal::PunchUnflushed {
            // Stores that only an entry knows of would make the blocks dirty again, after they have lost their
            // backing; so would a store through an entry left writable.
            self.protect(task, &folio).await;
            self.clean_dropped_blocks(task, &folio, &part).await;
        }
        if folio.order() == self.sizes.min_order {
            return true;
        }
        if self.split(task, &folio).await.is_ok() {
            return true;
        }
        if folio.is_dirty() || folio.is_pinned() {
            // Its other bytes are needed. What a mapping shows beyond the end of file goes all the same.
            self.unmap_folio(task, &folio).await;
            return false;
        }
        self.drop_folio(task, &folio).await;
        true
    }

    /// Takes a folio out of the file for good. The order matters: entries first, so that no store comes after;
    /// the private state; the dirty state with its accounting; then the removal.
    pub(crate) async fn drop_folio(&self, task: &Task, folio: &Locked) {
        self.unmap_folio(task, folio).await;
        if !self.faults.armed(Fault::TruncateKeepsDirty) {
            self.cancel_dirty(folio);
        }
        if !self.faults.armed(Fault::StateOutlivesFolio) {
            *folio.blocks.lock() = None;
        }
        *folio.buffers.lock() = None;
        let tree = self.lock_tree(task).await;
        self.detach(&tree, folio, None);
        drop(tree);
        folio.add_refs(-(folio.pages() as i32));
    }

    /// Removes the folio from the index, and leaves a shadow if there is a value for one. The index's references are
    /// the caller's to drop.
    pub(crate) fn detach(&self, tree: &TreeGuard<'_>, folio: &Locked, shadow: Option<u64>) {
        if folio.is_dirty() {
            self.report(Broken::invariant(format!("folio {} was removed while dirty", folio.index())));
        }
        if folio.is_writeback() {
            self.report(Broken::invariant(format!("folio {} was removed under writeback", folio.index())));
        }
        if folio.blocks.lock().is_some() {
            self.report(Broken::invariant(format!("folio {} was removed with its block state", folio.index())));
        }
        if folio.is_pinned() {
            self.report(Broken::invariant(format!(
                "folio {} was removed while the journal waits for it",
                folio.index()
            )));
        }
        if !tree.index().remove(folio.folio().arc(), shadow) {
            self.report(Broken::invariant(format!("folio {} was removed twice", folio.index())));
            return;
        }
        folio.change_attached(false);
        self.memory.count(Stat::Cached, folio, -(folio.pages() as i64));
    }

    /// Removes the folios that meet bytes `range`, which have been written back, so that direct I/O and the
    /// cache do not show two versions. Takes no `invalidate_lock`.
    ///
    /// # Errors
    /// [`Error::Busy`] if a folio was dirtied again and had to stay.
    pub async fn invalidate(&self, task: &Task, range: &Range<u64>) -> Result<()> {
        let mut rest = self.sizes.index(range.start)..self.sizes.end_index(range.end);
        self.clear_shadows(task, &rest).await;
        let mut result = Ok(());
        loop {
            let Some(folio) = self.peek(task, |index| index.find(rest.start, rest.end)).await else { return result };
            task.at(Y::I1).await;
            let locked = folio.lock(task, Y::I2).await;
            if !locked.is_attached() {
                continue;
            }
            locked.wait_writeback(task, Y::WBW).await;
            rest.start = locked.end_index();
            if !self.faults.armed(Fault::InvalidateNoUnmap) {
                self.unmap_folio(task, &locked).await;
            }
            if locked.is_dirty() || !locked.release_buffers() {
                result = Err(Error::Busy);
                continue;
            }
            *locked.blocks.lock() = None;
            task.at(Y::I3).await;
            let tree = self.lock_tree(task).await;
            if locked.is_dirty() {
                result = Err(Error::Busy);
                continue;
            }
            self.detach(&tree, &locked, None);
            drop(tree);
            locked.add_refs(-(locked.pages() as i32));
            task.at(Y::I4).await;
        }
    }

    /// The size is about to be raised from `old`, to `upto` at least: zeroes the cached bytes in between, in the
    /// folio of the old end of file, which may hold what was stored beyond it. Done before the size is raised:
    /// writeback would otherwise take the bytes for data.
    pub async fn zero_tail(&self, task: &Task, old: u64, upto: u64) {
        if old.is_multiple_of(self.sizes.page) || self.faults.armed(Fault::ExtendExposesTail) {
            return;
        }
        let Some(folio) = self.lock_attached(task, self.sizes.index(old), Y::W12).await else { return };
        let bytes = self.byte_range(&folio);
        let tail = old..upto.min(bytes.end);
        folio.data.write()[(tail.start - bytes.start) as usize..(tail.end - bytes.start) as usize].fill(0);
    }

    /// The size was raised from `raised.start`, and what is at `raised.end` has blocks, or is beyond the size again:
    /// if blocks in between have come into the file in the page of the old end, the next store to that page has to
    /// fault, to get them. To be called with the old size, after the new one is set. What was stored there after
    /// the old tail was zeroed may have no block to go to, and is zeroed, too.
    pub async fn extended(&self, task: &Task, raised: Range<u64>) {
        if !self.straddles(&raised) {
            return;
        }
        if let Some(folio) = self.lock_attached(task, self.sizes.index(raised.start), Y::W12).await {
            self.protect(task, &folio).await;
            if !self.faults.armed(Fault::ExtendExposesTail) {
                self.wait_stable(task, &folio, Y::WBW).await;
                self.zero_dirty(&folio, self.sizes.block_up(raised.start)..raised.end);
            }
        }
    }

    /// Zeroes the bytes of `range` in dirty blocks of the folio. What is clean is what the device has.
    fn zero_dirty(&self, folio: &Locked, range: Range<u64>) {
        let (bytes, block) = (self.byte_range(folio), self.sizes.block);
        let state = *folio.blocks.lock();
        for start in (range.start..range.end.min(bytes.end)).step_by(block as usize) {
            let nth = ((start - bytes.start) / block) as u32;
            if folio.is_dirty() && state.is_none_or(|state| state.is_dirty(nth)) {
                let end = (start + block).min(range.end).min(bytes.end);
                folio.data.write()[(start - bytes.start) as usize..(end - bytes.start) as usize].fill(0);
            }
        }
    }

    /// Whether a block begins in `raised` that shares the page of its start: the block of the old end of file was in
    /// the file before, so the first one is that which begins where it ends.
    fn straddles(&self, raised: &Range<u64>) -> bool {
        let armed = self.faults.armed(Fault::StraddleRoundsDown);
        let first = if armed { self.sizes.block_down(raised.start) } else { self.sizes.block_up(raised.start) };
        first < raised.end && !first.is_multiple_of(self.sizes.page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::Sizes;
    use crate::memory::Memory;
    use faults::FaultSet;
    use std::sync::Arc;

    #[test]
    fn the_page_of_the_old_end_is_straddled_if_a_block_of_it_comes_into_the_file() {
        let straddles = |block, old, new| {
            let mapping = Mapping::new(Sizes::new(4096, block, 0), Arc::new(Memory::new(0)), FaultSet::NONE);
            mapping.straddles(&(old..new))
        };
        for (old, new) in [(1024, 2048), (100, 1025), (1000, 1025), (3072, 3073), (1, 9000)] {
            assert!(straddles(1024, old, new), "{old} {new}");
        }
        // The same block; the last block of the page; the page's own end; a size that stays.
        for (old, new) in [(100, 1024), (1000, 1024), (3073, 9000), (4095, 4097), (4096, 5000), (100, 100)] {
            assert!(!straddles(1024, old, new), "{old} {new}");
        }
        // A page is one block, or part of one.
        assert!(!straddles(4096, 100, 9000) && !straddles(8192, 100, 9000));
    }
}
