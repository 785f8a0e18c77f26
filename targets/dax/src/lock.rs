//! The entry lock: finding an entry unlocked, waiting, locking, inserting, unlocking.

use crate::entry::Entry;
use crate::mapping::Mapping;
use crate::tree::{DIRTY, Slot, Tree};
use faults::Fault;
use lanes::{Sleep, Task, Waiting, Y};
use parking_lot::MutexGuard;
use xarray::{Found, Raw};

/// What stands in the range a lane came for, none of it locked.
#[derive(Debug)]
pub(crate) enum Look {
    Nothing,
    /// An entry smaller than what is wanted, locked or not: it is not waited for.
    Conflict,
    Entry(Slot),
}

/// An entry that this lane has locked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// The index it was locked by.
    pub(crate) index: u64,
    /// The entry, as it is to be when it is unlocked.
    pub(crate) slot: Slot,
}

/// Whom to wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    Next,
    All,
}

impl Mapping {
    /// What stands at the `1 << order` indices around `index`.
    fn look(&self, tree: &Tree, index: u64, order: u8) -> Look {
        let found = if order > 0 && self.armed(Fault::DaxMissesSmall) {
            match tree.array.load_order(index, order) {
                Raw::Internal | Raw::Sibling => return Look::Conflict,
                raw => raw.entry(),
            }
        } else {
            tree.array.find_conflict(index, order).next()
        };
        match found.map(|found| self.slot(tree, found.index.max(index), &found)) {
            None if order > 0 && self.armed(Fault::DaxNothingConflicts) => Look::Conflict,
            None => Look::Nothing,
            Some(slot) if slot.order < order && !self.armed(Fault::DaxWrongQueue) => Look::Conflict,
            Some(slot) if slot.order < order && !slot.entry.is_locked() => Look::Conflict,
            Some(slot) => Look::Entry(slot),
        }
    }

    /// The entry that was found by `index`, where it stands: its own value says how large it is.
    pub(crate) fn slot(&self, tree: &Tree, index: u64, found: &Found<'_, ()>) -> Slot {
        let slot = tree.slot(index, found);
        if self.armed(Fault::DaxMisreadsMulti) { Slot { index, order: 0, ..slot } } else { slot }
    }

    /// Waits until what stands around `index` is unlocked, or in conflict with an entry of `order`; the tree is locked.
    pub(crate) async fn unlocked(&self, task: &Task, index: u64, order: u8, y: Y) -> (MutexGuard<'_, Tree>, Look) {
        loop {
            let sleep = match self.unlocked_now(task, index, order, y) {
                Ok(found) => return found,
                Err(sleep) => sleep,
            };
            sleep.await;
        }
    }

    /// As [`Mapping::unlocked`], or the sleep that it takes first.
    fn unlocked_now(
        &self,
        task: &Task,
        index: u64,
        order: u8,
        y: Y,
    ) -> Result<(MutexGuard<'_, Tree>, Look), Sleep<'_>> {
        let tree = self.tree.lock();
        match self.look(&tree, index, order) {
            Look::Entry(slot) if slot.entry.is_locked() => {
                let key = if self.armed(Fault::DaxWrongQueue) { index >> order << order } else { slot.index };
                Err(self.enqueue(task, &tree, key, &slot, true, y))
            }
            look => Ok((tree, look)),
        }
    }

    /// Queues the lane for the entry in `slot`. With the tree locked.
    pub(crate) fn enqueue(&self, task: &Task, tree: &Tree, key: u64, slot: &Slot, exclusive: bool, y: Y) -> Sleep<'_> {
        let holders = tree.holders.get(&slot.index).map_or(0, |lane| lane.bit());
        let waiting = Waiting { y, what: "the DAX entry of index", id: slot.index, holders };
        self.waits.enqueue(task, key, exclusive, waiting)
    }

    /// Wakes lanes that wait for the entry in `slot`. With the tree locked.
    pub(crate) fn wake(&self, slot: &Slot, whom: Wake) {
        self.waits.wake(slot.index, whom == Wake::All);
    }

    /// The entry was found unlocked and stays so: whoever waits behind goes on. With the tree locked.
    pub(crate) fn put_unlocked(&self, slot: &Slot) {
        if !self.armed(Fault::DaxPutNoWake) {
            self.wake(slot, Wake::Next);
        }
    }

    /// Takes out an entry that is not locked, or by this lane. With the tree locked.
    pub(crate) fn remove(&self, tree: &mut Tree, index: u64, slot: &Slot) {
        tree.erase(index, slot);
        self.wake(slot, if self.armed(Fault::DaxRemovalWakesOne) { Wake::Next } else { Wake::All });
    }

    /// Locks the entry around `index` for a fault of `order`, a new one that is empty if there is none. `None` if
    /// there are smaller ones.
    pub(crate) async fn grab(&self, task: &Task, index: u64, order: u8) -> Option<Held> {
        task.at(Y::X0).await;
        let slot = {
            let (mut tree, look) = self.unlocked(task, index, order, Y::X1).await;
            let slot = match look {
                Look::Conflict => {
                    self.expect_conflict(&tree, index, order);
                    return None;
                }
                Look::Nothing => tree.insert_locked(index, order, task.lane()),
                Look::Entry(slot) => {
                    tree.lock(index, &slot, task.lane());
                    slot
                }
            };
            // A huge page that has no blocks is of no use to a fault of one page, and makes room.
            let downgrade = slot.order > order && slot.entry.pfn().is_none();
            if !downgrade || self.armed(Fault::DaxOverwritesHuge) {
                return Some(Held { index, slot });
            }
            if slot.entry.is_empty() {
                return Some(self.downgrade(task, &mut tree, index, &slot));
            }
            slot
        };
        task.at(Y::X8).await;
        self.page_table.unmap(slot.range());
        task.at(Y::X8).await;
        Some(self.downgrade(task, &mut self.tree.lock(), index, &slot))
    }

    /// Puts an empty entry for one page in the place of the huge one, which this lane has locked.
    fn downgrade(&self, task: &Task, tree: &mut Tree, index: u64, slot: &Slot) -> Held {
        tree.holders.remove(&slot.index);
        self.remove(tree, index, slot);
        Held { index, slot: tree.insert_locked(index, 0, task.lane()) }
    }

    /// A fault gives a huge page up only if something is in its way.
    fn expect_conflict(&self, tree: &Tree, index: u64, order: u8) {
        if tree.array.find_conflict(index, order).next().is_none() {
            self.report(format!("a huge page at index {index} was given up with nothing in its way"));
        }
    }

    /// Lets the locked entry stand for `new`, unless it stands for pages of the device already; `dirty` if stores
    /// are about to be let in.
    pub(crate) async fn insert(&self, task: &Task, held: &mut Held, new: Entry, dirty: bool) {
        let old = held.slot;
        if old.entry.is_zero() && !new.is_zero() && !self.armed(Fault::DaxKeepsZeroPage) {
            self.page_table.unmap(old.range());
            task.at(Y::X5).await;
        }
        let mut tree = self.tree.lock();
        let order = if new.is_huge() { tree.huge } else { 0 };
        let inserted = Slot { index: held.index >> order << order, order, entry: new, ..old };
        let replaces = old.entry.pfn().is_none();
        if replaces || self.armed(Fault::DaxAssociatesPart) {
            tree.disassociate(&old);
            if let Some(pfn) = tree.associate(&inserted) {
                self.report(format!("page {pfn} of the device is mapped at index {} and another one", inserted.index));
            }
        }
        if replaces {
            tree.array.store(held.index, order, xarray::Entry::Value(new.locked().value()));
            held.slot = Slot { index: old.index, order: old.order.max(order), ..inserted };
        }
        if dirty {
            tree.array.set_mark(held.index, DIRTY);
            self.dirtied.raise();
        }
    }

    /// Unlocks an entry: stores what it is to be, and wakes the next lane that waits for it.
    pub(crate) fn unlock(&self, held: &Held) {
        let mut tree = self.tree.lock();
        let Held { index, slot } = held;
        let now = tree.load(*index).map(|slot| slot.entry);
        if !now.is_some_and(Entry::is_locked) {
            let now = now.map_or("gone".to_owned(), |entry| format!("{entry:?}"));
            self.report(format!("the entry of index {index} is unlocked by who had locked it, and is {now}"));
        }
        let value = match now {
            Some(now) if self.armed(Fault::DaxUnlockKeepsLocked) => now,
            _ => slot.entry.unlocked(),
        };
        match now {
            Some(_) => tree.replace(*index, value),
            None => drop(tree.array.store(*index, slot.order, xarray::Entry::Value(value.value()))),
        }
        tree.holders.remove(&slot.index);
        self.wake(slot, Wake::Next);
    }
}
