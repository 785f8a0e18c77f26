//! What must hold, checked.

use crate::mapping::Mapping;
use crate::pagetable::{Mapped, Target};
use crate::tree::{DIRTY, TOWRITE, Tree};
use pagecache::Broken;
use std::collections::{BTreeMap, BTreeSet};

impl Mapping {
    /// Rules that hold whenever no lane is inside a short section. `block` says which page of the device has the
    /// data of a page of the file.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check(&self, block: impl Fn(u64) -> Option<u32>) -> Result<(), Broken> {
        if let Some(broken) = self.reported.lock().clone() {
            return Err(broken);
        }
        let tree = self.tree.lock();
        self.check_entries(&tree, block)?;
        self.check_associations(&tree)?;
        self.page_table.entries().iter().try_for_each(|entry| self.check_mapped(&tree, entry))?;
        self.check_unflushed(&tree)
    }

    /// An entry is as large as it says, is locked by one lane or not at all, and leads to the file's own blocks.
    fn check_entries(&self, tree: &Tree, block: impl Fn(u64) -> Option<u32>) -> Result<(), Broken> {
        let mut pages = 0;
        let mut locked = BTreeSet::new();
        for found in tree.array.iter() {
            pages += found.size();
            let slot = tree.slot(found.index, &found);
            let fail = |what: &str| {
                Err(Broken::invariant(format!("the entry of index {}, {:?}, {what}", found.index, slot.entry)))
            };
            if slot.entry.is_huge() != (found.order > 0) {
                return fail(&format!("stands at {} indices", found.size()));
            }
            if slot.entry.is_locked() {
                locked.insert(found.index);
                continue;
            }
            match slot.entry.pfn() {
                None if found.has(DIRTY) || found.has(TOWRITE) => return fail("is marked dirty"),
                None => {}
                Some(pfn) => {
                    let mut blocks = (found.index..found.end()).zip(u64::from(pfn)..);
                    if let Some((index, _)) = blocks.find(|(index, pfn)| block(*index).map(u64::from) != Some(*pfn)) {
                        return fail(&format!("is not where the file has page {index}: {:?}", block(index)));
                    }
                }
            }
        }
        if let Some(index) = locked.iter().find(|index| !tree.holders.contains_key(index)) {
            return Err(Broken::invariant(format!("the entry of index {index} is locked and no lane has locked it")));
        }
        if let Some((index, lane)) = tree.holders.iter().find(|(index, _)| !locked.contains(index)) {
            let what = format!("lane {lane} has locked the entry of index {index}, and it is not");
            return Err(Broken::invariant(what));
        }
        if pages != tree.pages {
            return Err(Broken::accounting(format!("the file counts {} mapped pages and has {pages}", tree.pages)));
        }
        Ok(())
    }

    /// Pages of the device know their index if, and only if, an entry leads to them.
    fn check_associations(&self, tree: &Tree) -> Result<(), Broken> {
        let mut expected = BTreeMap::new();
        for found in tree.array.iter() {
            let slot = tree.slot(found.index, &found);
            expected.extend(slot.pfns().into_iter().flatten().zip(slot.range()));
        }
        if let Some((pfn, index)) = expected.iter().find(|(pfn, index)| tree.associated.get(pfn) != Some(index)) {
            let what = format!("page {pfn} of the device is mapped at index {index}, which it does not know");
            return Err(Broken::invariant(what));
        }
        if let Some((pfn, index)) = tree.associated.iter().find(|(pfn, _)| !expected.contains_key(pfn)) {
            let what = format!("page {pfn} of the device believes to be mapped at index {index}");
            return Err(Broken::invariant(what));
        }
        Ok(())
    }

    /// What is mapped has an entry that covers it and agrees; where stores are let in, the entry is marked dirty.
    /// Not while a truncate is under way, nor for an entry that is locked.
    fn check_mapped(&self, tree: &Tree, mapped: &Mapped) -> Result<(), Broken> {
        let fail = |what: &str| {
            let (page, view) = (mapped.page, mapped.view);
            Err(Broken::invariant(format!("page {page} of the mapping ({view:?}) {what}")))
        };
        if self.invalidate_lock.is_write_locked() {
            return Ok(());
        }
        if mapped.pages().end > self.sizes.end_index(self.i_size()) {
            return fail("lies beyond the end of file");
        }
        let Some(slot) = tree.load(mapped.page) else { return fail("has no entry in the index") };
        if slot.range().end < mapped.pages().end || slot.index > mapped.page {
            return fail("is larger than its entry in the index");
        }
        if slot.entry.is_locked() {
            return Ok(());
        }
        let shown = match mapped.target {
            Target::Zeros => None,
            Target::Pages(pfn) => Some(pfn),
        };
        let pfn = slot.entry.pfn().map(|pfn| pfn + (mapped.page - slot.index) as u32);
        if shown != pfn || slot.entry.is_empty() {
            return fail(&format!("shows {:?}, its entry is {:?}", mapped.target, slot.entry));
        }
        if mapped.writable && !slot.dirty {
            return fail("is writable though its entry is clean: no sync will flush what is stored");
        }
        Ok(())
    }

    /// What was stored and not flushed belongs to an entry that is marked dirty, or being written, or removed.
    fn check_unflushed(&self, tree: &Tree) -> Result<(), Broken> {
        if self.invalidate_lock.is_write_locked() {
            return Ok(());
        }
        for (pfn, _) in self.device.unflushed() {
            let slot = tree.associated.get(&pfn).and_then(|index| tree.load(*index));
            if !slot.is_some_and(|slot| slot.dirty || slot.entry.is_locked()) {
                let what = format!("page {pfn} of the device has stores that are not flushed, and no entry says so");
                return Err(Broken::invariant(what));
            }
        }
        Ok(())
    }

    /// After a sync that began at `clock` and reached all of the file: what was stored before has been flushed.
    pub fn expect_flushed(&self, clock: u64) {
        if self.invalidate_lock.is_write_locked() {
            return;
        }
        if let Some((pfn, _)) = self.device.unflushed().into_iter().find(|(_, since)| *since <= clock) {
            self.report(format!("the file was synced, and stores to page {pfn} of the device are not flushed"));
        }
    }

    /// Rules that hold at rest, with everything flushed and what is clean invalidated.
    ///
    /// # Errors
    /// The first rule that is broken.
    pub fn check_at_rest(&self, block: impl Fn(u64) -> Option<u32>) -> Result<(), Broken> {
        self.check(block)?;
        if let Some((lane, index)) = self.waits.sleepers().first() {
            return Err(Broken::invariant(format!("lane {lane} still waits for the entry of index {index}")));
        }
        let tree = self.tree.lock();
        if let Some(lane) = tree.holders.values().next() {
            return Err(Broken::invariant(format!("lane {lane} has an entry locked though every operation returned")));
        }
        if tree.pages != 0 || !tree.array.is_empty() {
            let there = tree.array.len_entries();
            let what = format!("{} pages are counted and {there} entries there, all of them invalidated", tree.pages);
            return Err(Broken::accounting(what));
        }
        if self.invalidate_lock.holders() != 0 {
            return Err(Broken::invariant("invalidate_lock is held though every operation has returned".into()));
        }
        Ok(())
    }
}
