//! Page table entries of a file's shared mappings.
//!
//! One table a file: all user lanes are threads of one process that maps the file once. An entry is the only
//! thing a load or a store looks at, so an entry that outlives its folio's place in the file shows stale bytes,
//! and a writable entry lets stores in that nobody is told of.

use crate::folio::{Folio, FolioRef};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ops::Range;

#[derive(Debug)]
struct Entry {
    folio: FolioRef,
    writable: bool,
    dirty: bool,
}

/// The entries, by page of the file.
#[derive(Debug, Default)]
pub struct PageTable {
    entries: Mutex<BTreeMap<u64, Entry>>,
}

/// Where the page stands in its folio's bytes.
fn window(folio: &Folio, page: u64, within: Range<u64>, page_size: u64) -> Range<usize> {
    let start = (page - folio.index()) * page_size;
    (start + within.start) as usize..(start + within.end) as usize
}

impl PageTable {
    /// Loads the bytes `within` page `page`. False without an entry: the lane has to fault.
    pub fn load(&self, page: u64, within: Range<u64>, page_size: u64, into: &mut [u8]) -> bool {
        let entries = self.entries.lock();
        let Some(entry) = entries.get(&page) else { return false };
        into.copy_from_slice(&entry.folio.data.read()[window(&entry.folio, page, within, page_size)]);
        true
    }

    /// Stores into page `page` from byte `at` of it. False without a writable entry: the lane has to fault.
    pub fn store(&self, page: u64, at: u64, page_size: u64, from: &[u8]) -> bool {
        let mut entries = self.entries.lock();
        let Some(entry) = entries.get_mut(&page).filter(|entry| entry.writable) else { return false };
        let window = window(&entry.folio, page, at..at + from.len() as u64, page_size);
        entry.folio.data.write()[window].copy_from_slice(from);
        entry.dirty = true;
        true
    }

    /// Installs an entry, or makes the one that is there writable. The caller holds the folio lock.
    pub(crate) fn install(&self, page: u64, folio: &FolioRef, writable: bool) {
        let mut entries = self.entries.lock();
        match entries.get_mut(&page) {
            Some(entry) if entry.folio.is(folio.arc()) => entry.writable |= writable,
            _ => {
                entries.insert(page, Entry { folio: folio.clone(), writable, dirty: false });
            }
        }
    }

    /// Installs a read-only entry if there is none. The caller holds the folio lock.
    pub(crate) fn install_absent(&self, page: u64, folio: &FolioRef) {
        let new = || Entry { folio: folio.clone(), writable: false, dirty: false };
        self.entries.lock().entry(page).or_insert_with(new);
    }

    /// Write-protects the folio's entries and takes their dirty bits. True if one was dirty.
    pub(crate) fn write_protect(&self, folio: &FolioRef) -> bool {
        let mut entries = self.entries.lock();
        let mut dirty = false;
        for (_, entry) in entries.range_mut(folio.index()..folio.end_index()) {
            if entry.folio.is(folio.arc()) {
                entry.writable = false;
                dirty |= std::mem::take(&mut entry.dirty);
            }
        }
        dirty
    }

    /// Removes the entries of pages `range` that `matches` accepts; the folios whose entry was dirty.
    pub(crate) fn unmap(&self, range: Range<u64>, matches: impl Fn(&FolioRef) -> bool) -> Vec<FolioRef> {
        let mut entries = self.entries.lock();
        if entries.is_empty() {
            return Vec::new();
        }
        let pages: Vec<u64> =
            entries.range(range).filter(|(_, entry)| matches(&entry.folio)).map(|(p, _)| *p).collect();
        let removed: Vec<Entry> = pages.iter().filter_map(|page| entries.remove(page)).collect();
        drop(entries);
        removed.into_iter().filter(|entry| entry.dirty).map(|entry| entry.folio).collect()
    }

    /// Whether the folio has an entry.
    pub fn is_mapped(&self, folio: &Folio) -> bool {
        let entries = self.entries.lock();
        let mut range = entries.range(folio.index()..folio.end_index());
        range.any(|(_, entry)| std::ptr::eq::<Folio>(&*entry.folio, folio))
    }

    /// Whether the folio has an entry that lets stores in.
    pub(crate) fn is_writable(&self, folio: &Folio) -> bool {
        let entries = self.entries.lock();
        let mut range = entries.range(folio.index()..folio.end_index());
        range.any(|(_, entry)| entry.writable && std::ptr::eq::<Folio>(&*entry.folio, folio))
    }

    /// Calls `f` with every entry: its page, folio, whether it is writable.
    pub(crate) fn for_each(&self, mut f: impl FnMut(u64, &FolioRef, bool)) {
        for (page, entry) in self.entries.lock().iter() {
            f(*page, &entry.folio, entry.writable);
        }
    }
}
