//! The index of a file's folios, with marks: an XArray, in the page cache's words.
//!
//! A folio of order k is one entry over 2^k indices; any of them finds it, and its marks belong to the entry. A folio
//! that reclaim took leaves a shadow, a number of the same order that says when that was; no search finds shadows.
//! Costs are those of [`xarray`]: O(height) for a lookup, a change, and each entry of a walk.

use crate::folio::Folio;
use faults::{Fault, FaultSet};
use std::sync::Arc;
use xarray::{Entry, Found, Preallocation, XArray};

/// Indices one node of the tree covers, as a power of two. Small, because the files of a model are: with it folios
/// of the usual orders stand in more than one level.
const CHUNK_SHIFT: u8 = 3;

/// A mark on a folio's entry, by which it is found without looking at every folio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mark {
    /// Has to be written some time.
    Dirty,
    /// Is being written.
    Writeback,
    /// Has to be written by the sync that set the mark.
    ToWrite,
}

impl Mark {
    fn raw(self) -> xarray::Mark {
        match self {
            Mark::Dirty => xarray::Mark::M0,
            Mark::Writeback => xarray::Mark::M1,
            Mark::ToWrite => xarray::Mark::M2,
        }
    }
}

/// A folio found in the index.
pub struct Slot<'a> {
    /// The folio.
    pub folio: &'a Arc<Folio>,
    found: Found<'a, Arc<Folio>>,
}

impl Slot<'_> {
    fn of<'a>(found: Found<'a, Arc<Folio>>) -> Option<Slot<'a>> {
        Some(Slot { folio: found.item()?, found })
    }

    /// Whether the entry carries `mark`.
    pub fn has(&self, mark: Mark) -> bool {
        self.found.has(mark.raw())
    }

    /// The indices the entry covers, which are the folio's unless the index is broken.
    pub fn range(&self) -> std::ops::Range<u64> {
        self.found.index..self.found.end()
    }
}

/// What splitting an entry needs, made before the lock is taken for it.
pub struct PreparedSplit(Preallocation<Arc<Folio>>);

/// A shadow, as it stood in the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shadow {
    index: u64,
    order: u8,
    value: u64,
}

impl Shadow {
    /// What splitting the shadow into shadows of `order` needs. The nodes are filled with its value.
    pub(crate) fn prepare_split(self, order: u8) -> PreparedSplit {
        let Shadow { index, order: old, value } = self;
        PreparedSplit(Preallocation::new(CHUNK_SHIFT, index, old, order, Entry::Value(value)))
    }
}

/// What stands where a folio is to be put.
pub(crate) enum Room {
    /// Nothing, or shadows that the folio covers.
    Free,
    /// A folio.
    Taken,
    /// A shadow larger than the folio, to be split first: storing over it would take all of its range.
    Within(Shadow),
}

/// Folios by index. Entries never overlap.
#[derive(Debug)]
pub struct Index {
    array: XArray<Arc<Folio>>,
    /// Pages of all folios: counted apart from the entries, as the kernel does.
    pages: u64,
    faults: FaultSet,
}

impl Index {
    /// An empty index.
    pub(crate) fn new(faults: FaultSet) -> Index {
        Index { array: XArray::new(CHUNK_SHIFT), pages: 0, faults }
    }

    /// The folio that contains page `index`.
    pub fn load(&self, index: u64) -> Option<Slot<'_>> {
        Slot::of(self.array.load(index)?)
    }

    /// The first folio that ends after page `from` and begins before page `end`.
    pub fn find(&self, from: u64, end: u64) -> Option<Slot<'_>> {
        self.array.range(from, end.min(XArray::<Arc<Folio>>::END)).find_map(Slot::of)
    }

    /// As [`Index::find`], for folios with `mark`. A search that starts inside a folio finds that folio.
    pub fn find_marked(&self, from: u64, end: u64, mark: Mark) -> Option<Slot<'_>> {
        let end = end.min(XArray::<Arc<Folio>>::END);
        Slot::of(match self.faults.armed(Fault::MarkedFromSlot) {
            true => self.array.find_marked_raw(from, end, mark.raw())?,
            false => self.array.find_marked(from, end, mark.raw())?,
        })
    }

    /// What stands where the folio is to be put.
    pub(crate) fn room(&self, folio: &Folio) -> Room {
        let mut room = Room::Free;
        for found in self.array.find_conflict(folio.index(), folio.order()) {
            match found.value() {
                None => return Room::Taken,
                Some(value) if found.order > folio.order() => {
                    room = Room::Within(Shadow { index: found.index, order: found.order, value });
                }
                Some(_) => {}
            }
        }
        room
    }

    /// Puts the folio in, without marks, where there is [`Room::Free`].
    pub(crate) fn insert(&mut self, folio: Arc<Folio>) {
        self.pages += folio.pages();
        self.array.store(folio.index(), folio.order(), Entry::Item(folio));
    }

    /// Takes exactly this folio out, and leaves a shadow if there is a value for one.
    pub(crate) fn remove(&mut self, folio: &Arc<Folio>, shadow: Option<u64>) -> bool {
        let here = |found: &Found<'_, Arc<Folio>>| found.item().is_some_and(|at| Arc::ptr_eq(at, folio));
        let Some(found) = self.array.load(folio.index()).filter(here) else { return false };
        let order = found.order;
        let marks = [Mark::Dirty, Mark::Writeback, Mark::ToWrite].map(|mark| found.has(mark.raw()).then_some(mark));
        let shadow_counts = shadow.is_some() && self.faults.armed(Fault::ShadowCounted);
        self.pages -= match () {
            () if shadow_counts => 0,
            () if self.faults.armed(Fault::PagesMiscounted) => 1,
            () => folio.pages(),
        };
        match shadow {
            Some(value) => {
                // In place; but marks stay with the slot, and a shadow must not have any.
                marks.into_iter().flatten().for_each(|mark| self.set_mark(folio, mark, false));
                self.array.store(folio.index(), order, Entry::Value(value));
            }
            None => drop(self.array.erase(folio.index())),
        }
        true
    }

    /// Splits a shadow, if it is the one prepared for; false if it is not.
    pub(crate) fn split_shadow(&mut self, prepared: PreparedSplit, value_checked: bool) -> bool {
        let shadow = prepared.0.entry().clone();
        match value_checked {
            true => self.array.split(prepared.0, |_| Some(shadow.clone())).is_ok(),
            false => self.array.split_unchecked(prepared.0, |_| Some(shadow.clone())),
        }
    }

    /// Takes out the shadows that meet pages `start..end`.
    pub(crate) fn clear_shadows(&mut self, start: u64, end: u64) {
        let (mut from, end) = (start, end.min(XArray::<Arc<Folio>>::END));
        while let Some(found) = self.array.find(from, end) {
            let (index, is_shadow) = (found.index, found.value().is_some());
            from = found.end();
            if is_shadow {
                self.array.erase(index);
            }
        }
    }

    /// Whether there are shadows.
    pub(crate) fn has_shadows(&self) -> bool {
        self.array.counts().values > 0
    }

    /// Whether the tree is in order: [`XArray::check`].
    pub(crate) fn check_tree(&self) -> Result<(), String> {
        self.array.check()
    }

    /// First phase of a split, which allocates; the lock may be dropped afterwards.
    pub(crate) fn prepare_split(&self, folio: &Folio, order: u8) -> Option<PreparedSplit> {
        self.array.prepare_split(folio.index(), order).map(PreparedSplit)
    }

    /// Whether the index still has what the split was prepared for.
    pub(crate) fn can_split(&self, prepared: &PreparedSplit) -> bool {
        prepared.0.is_for(&self.array)
    }

    /// Replaces a folio's entry by smaller ones that all lead to it still and have its marks. False, and nothing
    /// changed, if [`Index::can_split`] is.
    pub(crate) fn split(&mut self, prepared: PreparedSplit) -> bool {
        let head = prepared.0.entry().clone();
        self.array.split(prepared.0, |_| Some(head.clone())).is_ok()
    }

    /// Puts a piece of a folio into its own entry, which leads to the folio's head: the marks stay.
    pub(crate) fn replace(&mut self, piece: &Arc<Folio>) {
        self.array.store(piece.index(), 0, Entry::Item(piece.clone()));
        if self.faults.armed(Fault::SplitMarksHead) {
            for mark in [Mark::Dirty, Mark::Writeback, Mark::ToWrite] {
                self.set_mark(piece, mark, false);
            }
        }
    }

    /// Empties the entry of a piece that is not to stay in the file.
    pub(crate) fn drop_piece(&mut self, piece: &Folio) {
        self.pages -= piece.pages();
        self.array.erase(piece.index());
    }

    /// Sets or clears a mark of the folio's entry.
    pub fn set_mark(&mut self, folio: &Folio, mark: Mark, on: bool) {
        if on {
            self.array.set_mark(folio.index(), mark.raw());
        } else {
            self.array.clear_mark(folio.index(), mark.raw());
        }
    }

    /// Sets `to` on entries that have `from` and meet pages `start..end`, at most `most` of them. Where to go on,
    /// if there may be more: the lock is dropped in between.
    pub fn tag(&mut self, start: u64, end: u64, from: Mark, to: Mark, most: usize) -> Option<u64> {
        self.array.tag(start, end.min(XArray::<Arc<Folio>>::END), from.raw(), to.raw(), most)
    }

    /// All folios, by index.
    pub fn iter(&self) -> impl Iterator<Item = Slot<'_>> {
        self.array.iter().filter_map(Slot::of)
    }

    /// The folios with `mark`, by index.
    pub fn iter_marked(&self, mark: Mark) -> impl Iterator<Item = Slot<'_>> {
        self.array.range_marked(0, XArray::<Arc<Folio>>::END, mark.raw()).filter_map(Slot::of)
    }

    /// How many pages the folios have.
    pub fn pages(&self) -> u64 {
        self.pages
    }
}
