//! The index of a file's folios, with marks: an XArray, in the page cache's words.
//!
//! A folio of order k is one entry over 2^k indices; any of them finds it, and its marks belong to the entry. Costs
//! are those of [`xarray`]: O(height) for a lookup, a change, and each entry of a walk.

use crate::folio::Folio;
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

/// What splitting a folio's entry needs, made before the lock is taken for it.
pub struct PreparedSplit(Preallocation<Arc<Folio>>);

/// Folios by index. Entries never overlap.
#[derive(Debug)]
pub struct Index {
    array: XArray<Arc<Folio>>,
    /// Pages of all folios: counted apart from the entries, as the kernel does.
    pages: u64,
    /// Armed: every folio counts as one page when it is removed.
    miscounts: bool,
}

impl Index {
    /// An empty index.
    pub(crate) fn new(miscounts: bool) -> Index {
        Index { array: XArray::new(CHUNK_SHIFT), pages: 0, miscounts }
    }

    /// The folio that contains page `index`.
    pub fn load(&self, index: u64) -> Option<Slot<'_>> {
        Slot::of(self.array.load(index)?)
    }

    /// The first folio that ends after page `from` and begins before page `end`.
    pub fn find(&self, from: u64, end: u64) -> Option<Slot<'_>> {
        Slot::of(self.array.find(from, end.min(XArray::<Arc<Folio>>::END))?)
    }

    /// As [`Index::find`], for folios with `mark`. A search that starts inside a folio finds that folio.
    pub fn find_marked(&self, from: u64, end: u64, mark: Mark) -> Option<Slot<'_>> {
        Slot::of(self.array.find_marked(from, end.min(XArray::<Arc<Folio>>::END), mark.raw())?)
    }

    /// Puts the folio in, without marks. False, and nothing changed, if its range is not free.
    pub fn insert(&mut self, folio: Arc<Folio>) -> bool {
        let (index, order) = (folio.index(), folio.order());
        if self.array.find_conflict(index, order).next().is_some() {
            return false;
        }
        self.pages += folio.pages();
        self.array.store(index, order, Entry::Item(folio));
        true
    }

    /// Takes exactly this folio out.
    pub fn remove(&mut self, folio: &Arc<Folio>) -> bool {
        if !self.load(folio.index()).is_some_and(|slot| Arc::ptr_eq(slot.folio, folio)) {
            return false;
        }
        self.pages -= if self.miscounts { 1 } else { folio.pages() };
        self.array.erase(folio.index());
        true
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

    /// How many pages the folios have.
    pub fn pages(&self) -> u64 {
        self.pages
    }
}
