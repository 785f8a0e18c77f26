//! The handler of memory failures, for a page whose content can be recovered: nothing is lost, the page's mappings
//! go. What matters is how it finds and locks the entry: it comes with a page of the device, knows neither the entry
//! nor its size, and is entitled to the file only as long as the page belongs to it.

use crate::entry::Entry;
use crate::lock::Held;
use crate::mapping::Mapping;
use crate::tree::{DIRTY, Slot, Tree};
use faults::Fault;
use lanes::{Task, Y};

impl Mapping {
    /// Page `pfn` of the device has failed: unmaps it, in the size in which it is mapped.
    pub async fn memory_failure(&self, task: &Task, pfn: u32) {
        let Some(held) = self.lock_page(task, pfn).await else { return };
        let pages = held.slot.range();
        task.at(Y::H3).await;
        // The page tables say in which size the page is mapped; the lock covers all of that.
        let mapped = self.page_table.mapped_around(held.index).unwrap_or(pages);
        self.page_table.unmap(mapped.clone());
        task.at(Y::H3).await;
        if self.page_table.is_mapped(&mapped) {
            self.report(format!("page {pfn} of the device has failed and is mapped while its entry is locked"));
        }
        task.at(Y::H4).await;
        self.unlock_page(pfn, held);
    }

    /// Locks the entry that maps page `pfn`; `None` if none does. The wait is not exclusive: whoever owns the file
    /// may be gone afterwards, and a lane that finds nothing would wake nobody.
    async fn lock_page(&self, task: &Task, pfn: u32) -> Option<Held> {
        loop {
            let index = self.tree.lock().associated.get(&pfn).copied();
            task.at(Y::H0).await;
            let index = index?;
            task.at(Y::H1).await;
            let (sleep, slot) = {
                let mut tree = self.tree.lock();
                if tree.associated.get(&pfn) != Some(&index) {
                    continue;
                }
                let slot = tree.load(index)?;
                if !slot.entry.is_locked() {
                    return Some(self.lock_found(task, &mut tree, index, slot));
                }
                (self.enqueue(task, &tree, slot.index, &slot, false, Y::H2), slot)
            };
            sleep.await;
            // All of it is looked up again.
            if self.armed(Fault::DaxNoRetry) {
                let slot = Slot { entry: slot.entry.unlocked(), ..slot };
                self.tree.lock().lock(index, &slot, task.lane());
                return Some(Held { index, slot });
            }
        }
    }

    /// Locks the entry that covers `index`, found unlocked: all of it, whichever of its indices that is.
    fn lock_found(&self, task: &Task, tree: &mut Tree, index: u64, slot: Slot) -> Held {
        let slot = if self.armed(Fault::DaxLocksOneIndex) { split_off(tree, index, slot) } else { slot };
        tree.lock(index, &slot, task.lane());
        Held { index, slot }
    }

    fn unlock_page(&self, pfn: u32, held: Held) {
        if !self.armed(Fault::DaxUnlockRebuilds) {
            return self.unlock(&held);
        }
        let entry = Entry::real(pfn, false);
        let slot = Slot { entry, index: held.index, order: 0, ..held.slot };
        self.unlock(&Held { index: held.index, slot });
    }
}

/// Splits a huge entry into small ones; the one at `index`.
fn split_off(tree: &mut Tree, index: u64, slot: Slot) -> Slot {
    let Some(pfns) = slot.pfns().filter(|pfns| pfns.len() > 1) else { return slot };
    tree.array.erase(index);
    for (at, pfn) in slot.range().zip(pfns) {
        tree.array.store(at, 0, xarray::Entry::Value(Entry::real(pfn, false).value()));
        if slot.dirty {
            tree.array.set_mark(at, DIRTY);
        }
    }
    tree.load(index).unwrap_or(slot)
}
