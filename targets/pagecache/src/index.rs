//! The index of a file's folios, with marks: what the kernel keeps in an XArray.
//!
//! This one is a B-tree of first indices. It has the XArray's meaning for folios of different orders (any
//! index inside a folio finds it; marks belong to the folio, not to the index asked for), in O(log n) a call; a search by
//! mark looks at every entry it passes.

use crate::folio::Folio;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A mark on a folio's entry, by which it is found without looking at every folio.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Mark {
    /// Has to be written some time.
    Dirty = 1 << 0,
    /// Is being written.
    Writeback = 1 << 1,
    /// Has to be written by the sync that set the mark.
    ToWrite = 1 << 2,
}

/// One folio's entry.
#[derive(Debug)]
pub struct Entry {
    /// The folio.
    pub folio: Arc<Folio>,
    marks: u8,
}

impl Entry {
    /// Whether the entry carries `mark`.
    pub fn has(&self, mark: Mark) -> bool {
        self.marks & mark as u8 != 0
    }
}

/// Folios by the index of their first page. Entries never overlap.
#[derive(Debug, Default)]
pub struct Index {
    entries: BTreeMap<u64, Entry>,
    pages: u64,
    /// Armed: every folio counts as one page when it is removed.
    pub(crate) miscounts: bool,
}

impl Index {
    /// An empty index.
    pub(crate) fn new(miscounts: bool) -> Index {
        Index { miscounts, ..Index::default() }
    }

    /// The entry of the folio that contains page `index`.
    pub fn load(&self, index: u64) -> Option<&Entry> {
        let (_, entry) = self.entries.range(..=index).next_back()?;
        entry.folio.contains(index).then_some(entry)
    }

    /// The first entry that ends after page `from` and begins before page `end`.
    pub fn find(&self, from: u64, end: u64) -> Option<&Entry> {
        if from >= end {
            return None;
        }
        self.load(from).or_else(|| self.entries.range(from..end).next().map(|(_, entry)| entry))
    }

    /// As [`Index::find`], for entries with `mark`. A search that starts inside a folio finds that folio.
    pub fn find_marked(&self, from: u64, end: u64, mark: Mark) -> Option<&Entry> {
        if from >= end {
            return None;
        }
        let first = self.load(from).filter(|entry| entry.has(mark));
        first.or_else(|| self.entries.range(from..end).map(|(_, entry)| entry).find(|entry| entry.has(mark)))
    }

    /// Puts the folio's entry in, without marks. False, and nothing changed, if its range is not free.
    pub fn insert(&mut self, folio: Arc<Folio>) -> bool {
        if self.find(folio.index(), folio.end_index()).is_some() {
            return false;
        }
        self.pages += folio.pages();
        self.entries.insert(folio.index(), Entry { folio, marks: 0 });
        true
    }

    /// Takes the entry of exactly this folio out.
    pub fn remove(&mut self, folio: &Arc<Folio>) -> bool {
        match self.entries.get(&folio.index()) {
            Some(entry) if Arc::ptr_eq(&entry.folio, folio) => {
                self.pages -= if self.miscounts { 1 } else { folio.pages() };
                self.entries.remove(&folio.index());
                true
            }
            _ => false,
        }
    }

    /// Replaces a folio's entry by entries of `pieces`, which cover a leading part of its range and inherit
    /// its marks. `pages` is how many pages the folio had.
    pub(crate) fn replace(&mut self, index: u64, pages: u64, pieces: &[Arc<Folio>]) {
        let Some(old) = self.entries.remove(&index) else { return };
        self.pages -= pages;
        for piece in pieces {
            self.pages += piece.pages();
            self.entries.insert(piece.index(), Entry { folio: piece.clone(), marks: old.marks });
        }
    }

    /// Sets or clears a mark of the folio's entry.
    pub fn set_mark(&mut self, folio: &Folio, mark: Mark, on: bool) {
        if let Some(entry) = self.entries.get_mut(&folio.index()) {
            if on {
                entry.marks |= mark as u8;
            } else {
                entry.marks &= !(mark as u8);
            }
        }
    }

    /// Sets `to` on entries that have `from` and meet pages `start..end`, at most `most` of them. Where to go on,
    /// if there may be more: the lock is dropped in between.
    pub fn tag(&mut self, start: u64, end: u64, from: Mark, to: Mark, most: usize) -> Option<u64> {
        let first = self.load(start).map_or(start, |entry| entry.folio.index());
        let mut marked = self.entries.range_mut(first..end).filter(|(_, entry)| entry.has(from));
        for (_, entry) in marked.by_ref().take(most) {
            entry.marks |= to as u8;
        }
        marked.next().map(|(index, _)| *index)
    }

    /// All entries, by index.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.entries.values()
    }

    /// How many pages the entries have.
    pub fn pages(&self) -> u64 {
        self.pages
    }
}
