//! A file's mapping, and what a file system has to offer.

use crate::device::{Device, Garbage};
use crate::pagetable::PageTable;
use crate::tree::Tree;
use faults::{Fault, FaultSet};
use lanes::{Event, KeyedQueue, RwSem, Task};
use pagecache::{Broken, Result, Sizes};
use parking_lot::Mutex;
use std::future::Future;
use std::ops::Range;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Release};

/// What a range of a file is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing: reads as zero.
    Hole,
    /// Pages whose content does not count: reads as zero.
    Unwritten,
    /// Pages with data.
    Written,
}

/// A run of pages of one kind.
#[derive(Clone, Debug)]
pub struct Extent {
    /// Bytes of the file, whole pages.
    pub range: Range<u64>,
    /// What they are.
    pub kind: Kind,
    /// First page of the device, of [`Kind::Unwritten`] and [`Kind::Written`].
    pub pfn: u32,
    /// Metadata that leads to it has not reached the device.
    pub dirty: bool,
}

/// A file whose pages are on a persistent device.
pub trait FileSystem: Sync {
    /// The file's mapping.
    fn mapping(&self) -> &Mapping;

    /// Looks up what bytes `range` begin with, cut to `range` in whole pages. To `write`, what is not written is
    /// allocated, zeroed, and counts as written from then on.
    ///
    /// # Errors
    /// Of the allocation.
    fn begin(&self, task: &Task, range: Range<u64>, write: bool) -> impl Future<Output = Result<Extent>> + Send;

    /// Brings the metadata to the device.
    fn sync_metadata(&self, task: &Task) -> impl Future<Output = ()> + Send;
}

/// A file's mapping.
#[derive(Debug)]
pub struct Mapping {
    /// Page and block are one; the largest order is that of a huge page, 0 if there are none.
    pub sizes: Sizes,
    pub(crate) tree: Mutex<Tree>,
    /// Lanes that wait for an entry, by the entry's first index.
    pub(crate) waits: KeyedQueue,
    i_size: AtomicU64,
    /// Shared by whoever faults, exclusive for whoever drops a range with its blocks.
    pub invalidate_lock: RwSem,
    /// Page table entries of its shared mappings.
    pub page_table: PageTable,
    /// The device.
    pub device: Device,
    /// Raised when an entry becomes dirty: work for whoever syncs.
    pub dirtied: Event,
    pub(crate) reported: Mutex<Option<Broken>>,
    /// The historical bugs that are armed.
    pub faults: FaultSet,
}

impl Mapping {
    /// The mapping of an empty file on a new device.
    pub fn new(sizes: Sizes, garbage: Garbage, faults: FaultSet) -> Mapping {
        Mapping {
            sizes,
            tree: Mutex::new(Tree::new(sizes.max_order)),
            waits: KeyedQueue::default(),
            i_size: AtomicU64::new(0),
            invalidate_lock: RwSem::new("invalidate_lock"),
            page_table: PageTable::default(),
            device: Device::new(sizes.page, garbage),
            dirtied: Event::default(),
            reported: Mutex::new(None),
            faults,
        }
    }

    /// The size of the file.
    pub fn i_size(&self) -> u64 {
        self.i_size.load(Acquire)
    }

    /// Sets the size. The caller holds i_rwsem exclusive.
    pub fn set_i_size(&self, size: u64) {
        self.i_size.store(size, Release);
    }

    /// The pages that bytes `range` touches.
    pub fn pages_of(&self, range: &Range<u64>) -> Range<u64> {
        self.sizes.index(range.start)..self.sizes.end_index(range.end)
    }

    /// The bytes of `pages`.
    pub fn bytes_of(&self, pages: &Range<u64>) -> Range<u64> {
        pages.start * self.sizes.page..pages.end * self.sizes.page
    }

    /// Addresses on the device of pages `pfns`.
    pub(crate) fn addrs(&self, pfns: &Range<u32>) -> Range<u64> {
        self.device.addr(pfns.start, 0)..self.device.addr(pfns.end, 0)
    }

    pub(crate) fn armed(&self, fault: Fault) -> bool {
        self.faults.armed(fault)
    }

    /// Keeps the first rule found broken, for the next check.
    pub fn report(&self, message: String) {
        self.reported.lock().get_or_insert(Broken::invariant(message));
    }
}
