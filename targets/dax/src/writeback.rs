//! Flushing what was stored through mappings.

use crate::entry::Entry;
use crate::lock::{Held, Look, Wake};
use crate::mapping::Mapping;
use crate::tree::{DIRTY, Slot, TOWRITE, Tree};
use faults::Fault;
use lanes::{Task, Y};
use std::ops::Range;

/// An entry that writeback has locked.
struct Locked {
    held: Held,
    /// What of it is flushed: all.
    flush: Slot,
}

/// An entry that is to be flushed.
enum Next {
    Locked(Locked),
    /// Somebody else has locked it, as it was seen by this index.
    Busy {
        index: u64,
        seen: Slot,
    },
}

impl Mapping {
    /// Flushes the dirty entries that meet `pages`, whole ones also if they stick out.
    pub async fn write_back(&self, task: &Task, pages: Range<u64>) {
        task.at(Y::Y1).await;
        self.tree.lock().array.tag(pages.start, pages.end, DIRTY, TOWRITE, usize::MAX);
        task.at(Y::Y2).await;
        let mut next = pages.start;
        while let Some(found) = self.next_to_write(task, &mut next, pages.end) {
            let locked = match found {
                Next::Locked(locked) => Some(locked),
                Next::Busy { index, seen } => self.lock_after_wait(task, index, &seen).await,
            };
            if let Some(locked) = locked {
                self.write_entry(task, locked).await;
            }
            task.at(Y::Y3).await;
        }
    }

    /// The next entry with the mark TOWRITE, locked at once if that can be.
    fn next_to_write(&self, task: &Task, next: &mut u64, end: u64) -> Option<Next> {
        let mut tree = self.tree.lock();
        let (index, seen) = {
            let found = tree.array.find_marked(*next, end, TOWRITE)?;
            let index = found.index.max(*next);
            *next = found.end();
            (index, self.slot(&tree, index, &found))
        };
        Some(match seen.entry.is_locked() {
            true => Next::Busy { index, seen },
            false => Next::Locked(self.lock_to_write(task, &mut tree, index, seen)),
        })
    }

    /// Flushes an entry that this lane has locked.
    async fn write_entry(&self, task: &Task, Locked { held, flush }: Locked) {
        let (Some(pfns), pages) = (flush.pfns(), flush.range()) else {
            let index = held.index;
            self.report(format!("the entry of index {index} is marked dirty and has no page of the device"));
            return self.unlock(&held);
        };
        task.at(Y::X10).await;
        if self.armed(Fault::DaxFlushBeforeProtect) {
            self.device.flush(self.addrs(&pfns));
            task.at(Y::X11).await;
            self.page_table.write_protect(pages, pfns);
        } else {
            self.page_table.write_protect(pages, pfns.clone());
            task.at(Y::X11).await;
            self.device.flush(self.addrs(&pfns));
        }
        task.at(Y::X12).await;
        self.end_write(&held);
    }

    /// Waits for the entry. It is flushed only if it still is what it was, and nobody else has flushed it meanwhile.
    async fn lock_after_wait(&self, task: &Task, index: u64, seen: &Slot) -> Option<Locked> {
        let (mut tree, look) = self.unlocked(task, index, 0, Y::X1).await;
        let Look::Entry(slot) = look else { return None };
        if self.armed(Fault::DaxWritesStale) && slot.entry.pfn().is_some() {
            return Some(Locked { flush: *seen, ..self.lock_to_write(task, &mut tree, index, slot) });
        }
        if slot.entry.pfn() != seen.entry.pfn() || !slot.towrite {
            self.put_unlocked(&slot);
            return None;
        }
        Some(self.lock_to_write(task, &mut tree, index, slot))
    }

    /// Locks an entry that is unlocked, and says what of it is to be flushed: all.
    fn lock_to_write(&self, task: &Task, tree: &mut Tree, index: u64, slot: Slot) -> Locked {
        tree.lock(index, &slot, task.lane());
        let held = Held { index, slot };
        match slot.entry.pfn() {
            Some(pfn) if self.armed(Fault::DaxFlushesPart) => {
                let page = Entry::real(pfn + (index - slot.index) as u32, false);
                Locked { held, flush: Slot { index, order: 0, entry: page, ..slot } }
            }
            _ => Locked { held, flush: slot },
        }
    }

    /// Clears the marks and unlocks.
    ///
    /// TOWRITE stays until the flush is over: a sync that has set it as well, and comes to look, must find it and
    /// wait for the lock. (Linux 6.12 clears it when it locks the entry; a second sync that comes after finds nothing
    /// marked and returns before the flush.)
    fn end_write(&self, held: &Held) {
        let mut tree = self.tree.lock();
        tree.replace(held.index, held.slot.entry.unlocked());
        tree.array.clear_mark(held.index, DIRTY);
        tree.array.clear_mark(held.index, TOWRITE);
        tree.holders.remove(&held.slot.index);
        self.wake(&held.slot, Wake::Next);
    }

    /// The indices with dirty entries.
    pub fn dirty_pages(&self) -> Vec<Range<u64>> {
        let tree = self.tree.lock();
        tree.array.range_marked(0, u64::MAX, DIRTY).map(|found| found.index..found.end()).collect()
    }
}
