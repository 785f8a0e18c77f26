//! Removing entries.

use crate::lock::Look;
use crate::mapping::Mapping;
use crate::tree::Slot;
use lanes::{Task, Y};
use std::ops::Range;

impl Mapping {
    /// Removes all entries that meet `pages`, with their mappings; the blocks are about to be freed. What an entry
    /// covers beyond `pages` stays in the file, so it is flushed first, and mapped anew when it is needed. The caller
    /// holds `invalidate_lock` exclusive: nothing is mapped meanwhile.
    pub async fn truncate(&self, task: &Task, pages: Range<u64>) {
        let mut wide = pages.clone();
        for entry in self.straddling(&pages) {
            wide = wide.start.min(entry.start)..wide.end.max(entry.end);
            self.write_back(task, entry).await;
        }
        task.at(Y::UNMAP).await;
        self.page_table.unmap(wide);
        task.at(Y::T2).await;
        let mut next = pages.start;
        while let Some(index) = self.next_entry(next, pages.end) {
            self.delete(task, index).await;
            next = index + 1;
            task.at(Y::T4).await;
        }
    }

    /// Removes the entry that covers `index` when it is unlocked.
    async fn delete(&self, task: &Task, index: u64) {
        let (mut tree, look) = self.unlocked(task, index, 0, Y::X13).await;
        if let Look::Entry(slot) = look {
            self.remove(&mut tree, index, &slot);
        }
    }

    /// Removes the entries that meet `pages` and are clean, with their mappings.
    pub async fn invalidate(&self, task: &Task, pages: Range<u64>) {
        self.drop_entries(task, pages, |slot| !slot.dirty && !slot.towrite).await;
    }

    /// A system call is about to write to `pages`, which have blocks: where they are mapped as zeros, those mappings
    /// go. A fault that holds an entry may have seen a hole there, so it is waited for.
    ///
    /// (Linux 6.12 does this only if the blocks were allocated by the system call itself. If a fault has allocated
    /// them and has not come to unmapping the zeros, the data that was written is not seen by a load that follows.)
    pub(crate) async fn drop_zeros(&self, task: &Task, pages: Range<u64>) {
        self.drop_entries(task, pages, |slot| slot.entry.is_zero()).await;
    }

    /// Removes the entries that meet `pages` and that `go` says so of. They are locked while their mappings go: a
    /// mapping without an entry would be found by nobody. (Linux removes first and unmaps afterwards; there i_rwsem
    /// keeps those out who would have to find it.)
    async fn drop_entries(&self, task: &Task, pages: Range<u64>, go: impl Fn(&Slot) -> bool) {
        let mut next = pages.start;
        while let Some(index) = self.next_entry(next, pages.end) {
            next = index + 1;
            let slot = {
                let (mut tree, look) = self.unlocked(task, index, 0, Y::X13).await;
                let Look::Entry(slot) = look else { continue };
                if !go(&slot) {
                    self.put_unlocked(&slot);
                    continue;
                }
                tree.lock(index, &slot, task.lane());
                slot
            };
            task.at(Y::UNMAP).await;
            self.page_table.unmap(slot.range());
            task.at(Y::I4).await;
            let mut tree = self.tree.lock();
            tree.holders.remove(&slot.index);
            self.remove(&mut tree, index, &slot);
        }
    }

    /// The first index in `from..end` that has an entry.
    fn next_entry(&self, from: u64, end: u64) -> Option<u64> {
        self.tree.lock().array.find(from, end).map(|found| found.index.max(from))
    }

    /// The indices of the entries that stick out of `pages`.
    fn straddling(&self, pages: &Range<u64>) -> Vec<Range<u64>> {
        let tree = self.tree.lock();
        let ends = [pages.start, pages.end.saturating_sub(1)];
        let at_ends = ends.into_iter().filter_map(|index| tree.load(index)).map(|slot| slot.range());
        at_ends.filter(|entry| entry.start < pages.start || entry.end > pages.end).collect()
    }
}
