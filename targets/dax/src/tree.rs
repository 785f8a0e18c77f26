//! The index of a file, with what its lock protects.

use crate::entry::Entry;
use lanes::LaneId;
use std::collections::BTreeMap;
use std::ops::Range;
use xarray::{Found, Mark, XArray};

/// Set when stores are let in, cleared when they have been flushed.
pub(crate) const DIRTY: Mark = Mark::M0;
/// Set by a sync on what it has to flush.
pub(crate) const TOWRITE: Mark = Mark::M2;

/// A small shift brings about entries of several slots in nodes below the top.
const CHUNK_SHIFT: u8 = 2;

/// An entry where it stands, as its own value says: that it is huge is known from nowhere else.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    /// First index.
    pub(crate) index: u64,
    /// Number of indices, as a power of two.
    pub(crate) order: u8,
    /// The entry.
    pub(crate) entry: Entry,
    pub(crate) dirty: bool,
    pub(crate) towrite: bool,
}

impl Slot {
    /// The indices.
    pub(crate) fn range(&self) -> Range<u64> {
        self.index..self.index + (1 << self.order)
    }

    /// The pages of the device, if there are any.
    pub(crate) fn pfns(&self) -> Option<Range<u32>> {
        self.entry.pfn().map(|pfn| pfn..pfn + (1 << self.order))
    }
}

/// The index.
#[derive(Debug)]
pub(crate) struct Tree {
    /// The entries, all of them numbers.
    pub(crate) array: XArray<()>,
    /// How many indices have an entry.
    pub(crate) pages: u64,
    /// Who has locked an entry, by its first index.
    pub(crate) holders: BTreeMap<u64, LaneId>,
    /// Which index a page of the device is mapped at. Memory failures find the entry by it.
    pub(crate) associated: BTreeMap<u32, u64>,
    /// Order of a huge entry.
    pub(crate) huge: u8,
}

impl Tree {
    pub(crate) fn new(huge: u8) -> Tree {
        Tree { array: XArray::new(CHUNK_SHIFT), pages: 0, holders: BTreeMap::new(), associated: BTreeMap::new(), huge }
    }

    /// What was found at or around `index`. Its place follows from its value, not from the index asked for.
    pub(crate) fn slot(&self, index: u64, found: &Found<'_, ()>) -> Slot {
        let entry = Entry::from_value(found.value().unwrap_or_default());
        let order = if entry.is_huge() { self.huge } else { 0 };
        let (dirty, towrite) = (found.has(DIRTY), found.has(TOWRITE));
        Slot { index: index >> order << order, order, entry, dirty, towrite }
    }

    /// The entry that covers `index`.
    pub(crate) fn load(&self, index: u64) -> Option<Slot> {
        self.array.load(index).map(|found| self.slot(index, &found))
    }

    /// Replaces the value of the entry that covers `index`; extent and marks stay.
    pub(crate) fn replace(&mut self, index: u64, entry: Entry) {
        self.array.store(index, 0, xarray::Entry::Value(entry.value()));
    }

    /// A new entry, locked by `lane`.
    pub(crate) fn insert_locked(&mut self, index: u64, order: u8, lane: LaneId) -> Slot {
        let index = index >> order << order;
        let entry = Entry::empty(order > 0);
        self.array.store(index, order, xarray::Entry::Value(entry.locked().value()));
        self.pages += 1 << order;
        self.holders.insert(index, lane);
        Slot { index, order, entry, dirty: false, towrite: false }
    }

    /// Locks the entry in `slot`, found by `index`.
    pub(crate) fn lock(&mut self, index: u64, slot: &Slot, lane: LaneId) {
        self.replace(index, slot.entry.locked());
        self.holders.insert(slot.index, lane);
    }

    /// Takes out the entry in `slot`, found by `index`.
    pub(crate) fn erase(&mut self, index: u64, slot: &Slot) {
        self.disassociate(slot);
        self.array.erase(index);
        self.pages = self.pages.wrapping_sub(1 << slot.order);
    }

    /// The pages of the device in `slot` belong to these indices now. The first page that another index has already.
    pub(crate) fn associate(&mut self, slot: &Slot) -> Option<u32> {
        let mut taken = None;
        for (pfn, index) in slot.pfns().into_iter().flatten().zip(slot.range()) {
            if self.associated.insert(pfn, index).is_some_and(|old| old != index) {
                taken = taken.or(Some(pfn));
            }
        }
        taken
    }

    /// The pages of the device in `slot` belong to nobody.
    pub(crate) fn disassociate(&mut self, slot: &Slot) {
        for pfn in slot.pfns().into_iter().flatten() {
            self.associated.remove(&pfn);
        }
    }
}
