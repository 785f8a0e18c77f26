//! Page table entries of a file's shared mappings, small and huge.
//!
//! The file is mapped three times, as by three processes. Lanes see it in turn through a view that is aligned as the
//! file is, so that huge pages fit; through one in which they do not; and through one that is aligned and mapped with
//! MAP_SYNC. So the same range can be mapped in one piece by some and page by page by others.

use crate::device::Device;
use lanes::LaneId;
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::ops::Range;

/// One of the views.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum View {
    /// Huge pages fit.
    Aligned,
    /// They do not.
    Unaligned,
    /// Huge pages fit, and a store is let in only when the metadata that leads to it has reached the device (mmap(2),
    /// MAP_SYNC).
    Synced,
}

impl View {
    /// The view of a lane.
    pub fn of(lane: LaneId) -> View {
        match lane.0 % 3 {
            1 if lane.is_user() => View::Unaligned,
            2 if lane.is_user() => View::Synced,
            _ => View::Aligned,
        }
    }

    /// Whether huge pages fit.
    pub fn is_aligned(self) -> bool {
        self != View::Unaligned
    }
}

/// What an entry leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// Zeros.
    Zeros,
    /// Pages of the device, from this one on.
    Pages(u32),
}

impl Target {
    /// The first page of the device.
    pub fn pfn(self) -> Option<u32> {
        match self {
            Target::Zeros => None,
            Target::Pages(pfn) => Some(pfn),
        }
    }
}

/// An entry of the page table.
#[derive(Clone, Copy, Debug)]
pub struct Mapped {
    /// In which view.
    pub view: View,
    /// First page of the file.
    pub page: u64,
    /// How many pages, as a power of two.
    pub order: u8,
    /// What is there.
    pub target: Target,
    /// Whether stores are let in.
    pub writable: bool,
}

impl Mapped {
    /// The pages of the file.
    pub fn pages(&self) -> Range<u64> {
        self.page..self.page + (1 << self.order)
    }

    fn meets(&self, pages: &Range<u64>) -> bool {
        self.page < pages.end && pages.start < self.page + (1 << self.order)
    }

    /// Address of byte `at` of `page`, one of its pages.
    fn addr(&self, device: &Device, page: u64, at: u64) -> Option<u64> {
        match self.target {
            Target::Zeros => None,
            Target::Pages(pfn) => Some(device.addr(pfn + (page - self.page) as u32, at)),
        }
    }
}

/// The entries, by view and first page.
#[derive(Debug, Default)]
pub struct PageTable {
    entries: Mutex<BTreeMap<(View, u64), Mapped>>,
}

fn covering(entries: &BTreeMap<(View, u64), Mapped>, view: View, page: u64) -> Option<&Mapped> {
    let (_, last) = entries.range((view, 0)..=(view, page)).next_back()?;
    last.pages().contains(&page).then_some(last)
}

impl PageTable {
    /// Loads from byte `at` of page `page` on. False without an entry: the lane has to fault.
    pub fn load(&self, device: &Device, view: View, page: u64, at: u64, into: &mut [u8]) -> bool {
        let entries = self.entries.lock();
        let Some(entry) = covering(&entries, view, page) else { return false };
        match entry.addr(device, page, at) {
            Some(addr) => device.load(addr, into),
            None => into.fill(0),
        }
        true
    }

    /// Stores from byte `at` of page `page` on. False without a writable entry: the lane has to fault.
    pub fn store(&self, device: &Device, view: View, page: u64, at: u64, from: &[u8]) -> bool {
        let entries = self.entries.lock();
        let entry = covering(&entries, view, page).filter(|entry| entry.writable);
        let Some(addr) = entry.and_then(|entry| entry.addr(device, page, at)) else { return false };
        device.store(addr, from);
        true
    }

    /// Installs an entry, or makes the same one that is there writable. An entry that leads elsewhere stays: whoever
    /// wants to replace one has to unmap it first.
    pub(crate) fn install(&self, new: Mapped) {
        let mut entries = self.entries.lock();
        match entries.get_mut(&(new.view, new.page)) {
            Some(old) if old.target == new.target && old.order == new.order => old.writable |= new.writable,
            Some(_) => {}
            None => {
                let overlaps = entries.values().any(|old| old.view == new.view && old.meets(&new.pages()));
                if !overlaps {
                    entries.insert((new.view, new.page), new);
                }
            }
        }
    }

    /// Removes the entries that meet `pages`, huge ones as a whole, from all views.
    pub(crate) fn unmap(&self, pages: Range<u64>) {
        self.entries.lock().retain(|_, entry| !entry.meets(&pages));
    }

    /// Removes the entries of one view.
    pub fn unmap_view(&self, view: View) {
        self.entries.lock().retain(|(of, _), _| *of != view);
    }

    /// Removes all entries.
    pub fn unmap_all(&self) {
        self.entries.lock().clear();
    }

    /// Write-protects the entries of `pages` that lead to one of the device's pages `pfns`.
    pub(crate) fn write_protect(&self, pages: Range<u64>, pfns: Range<u32>) {
        let mut entries = self.entries.lock();
        for entry in entries.values_mut().filter(|entry| entry.meets(&pages)) {
            if let Target::Pages(first) = entry.target
                && first < pfns.end
                && pfns.start < first + (1 << entry.order)
            {
                entry.writable = false;
            }
        }
    }

    /// The order of the entry for `page`.
    pub(crate) fn order(&self, view: View, page: u64) -> Option<u8> {
        covering(&self.entries.lock(), view, page).map(|entry| entry.order)
    }

    /// Whether some of `pages` are mapped one by one in this view.
    pub(crate) fn has_small(&self, view: View, pages: &Range<u64>) -> bool {
        let entries = self.entries.lock();
        entries.range((view, pages.start)..(view, pages.end)).any(|(_, entry)| entry.order == 0)
    }

    /// Whether some of `pages` is mapped in any view.
    pub(crate) fn is_mapped(&self, pages: &Range<u64>) -> bool {
        self.entries.lock().values().any(|entry| entry.meets(pages))
    }

    /// The pages of the largest entry for `page` in any view.
    pub(crate) fn mapped_around(&self, page: u64) -> Option<Range<u64>> {
        let entries = self.entries.lock();
        let around = entries.values().filter(|entry| entry.pages().contains(&page));
        around.max_by_key(|entry| entry.order).map(Mapped::pages)
    }

    /// All entries.
    pub(crate) fn entries(&self) -> Vec<Mapped> {
        self.entries.lock().values().copied().collect()
    }
}
