//! A file's cache: what the kernel calls an address_space, with the inode's size.

use crate::blocks::{BlockState, MAX_BLOCKS};
use crate::error::{Error, Result};
use crate::errseq::{Breach, Cursor, ErrSeq};
use crate::folio::Folio;
use crate::index::Index;
use crate::inode::InodeState;
use crate::invariants::{Broken, Reported};
use crate::memory::Memory;
use crate::pagetable::PageTable;
use crate::readahead::Windows;
use crate::tree::{Slots, Tree, TreeGuard};
use faults::{Fault, FaultSet};
use lanes::{RwSem, Task};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};
use std::sync::atomic::{AtomicBool, AtomicU64};

/// The error number of every error there is.
const EIO: u32 = 5;

/// The sizes of a cache, all powers of two.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// Page size in bytes.
    pub page: u64,
    /// Block size of the file system in bytes.
    pub block: u64,
    /// Smallest order of a folio: it holds at least a block.
    pub min_order: u8,
    /// Largest order of a folio.
    pub max_order: u8,
}

impl Sizes {
    /// The sizes, with `max_order` lowered so that no folio has more than [`MAX_BLOCKS`] blocks.
    pub fn new(page: u64, block: u64, max_order: u8) -> Sizes {
        let min_order = (block / page).max(1).trailing_zeros() as u8;
        let most = (u64::from(MAX_BLOCKS) * block / page).trailing_zeros() as u8;
        Sizes { page, block, min_order, max_order: max_order.min(most).max(min_order) }
    }

    /// The page that holds byte `pos`.
    pub fn index(&self, pos: u64) -> u64 {
        pos / self.page
    }

    /// The page after the last one that holds a byte below `end`.
    pub fn end_index(&self, end: u64) -> u64 {
        end.div_ceil(self.page)
    }

    /// First block that meets byte `pos`, rounded down to its start.
    pub fn block_down(&self, pos: u64) -> u64 {
        pos & !(self.block - 1)
    }

    /// `pos` rounded up to the end of its block.
    pub fn block_up(&self, pos: u64) -> u64 {
        pos.next_multiple_of(self.block)
    }

    /// `pos` rounded up to the end of its page.
    pub fn page_up(&self, pos: u64) -> u64 {
        pos.next_multiple_of(self.page)
    }
}

/// A file's cache.
#[derive(Debug)]
pub struct Mapping {
    /// The sizes.
    pub sizes: Sizes,
    tree: Tree,
    i_size: AtomicU64,
    /// Shared by whoever fills folios from the device, exclusive for whoever drops a range with its blocks.
    pub invalidate_lock: RwSem,
    /// The inode's dirty flag.
    pub inode: InodeState,
    /// The counters this cache contributes to.
    pub memory: Arc<Memory>,
    /// Page table entries of its shared mappings.
    pub page_table: PageTable,
    errors: ErrSeq,
    /// Data was lost since somebody last waited for writeback: for those who have no description of their own.
    lost: AtomicBool,
    pub(crate) reported: Reported,
    /// The page at which the next allocation that is short of memory looks for something to evict.
    pub(crate) reclaim_hand: AtomicU64,
    pub(crate) windows: Windows,
    /// The device needs what it writes to stay as it was submitted until it is written.
    pub stable_pages: bool,
    /// The historical bugs that are armed.
    pub faults: FaultSet,
}

impl Mapping {
    /// An empty cache of a file of size 0.
    pub fn new(sizes: Sizes, memory: Arc<Memory>, faults: FaultSet) -> Mapping {
        Mapping {
            sizes,
            tree: Tree::new(Index::new(faults)),
            i_size: AtomicU64::new(0),
            invalidate_lock: RwSem::new("invalidate_lock"),
            inode: InodeState::default(),
            memory,
            page_table: PageTable::default(),
            errors: ErrSeq::default(),
            lost: AtomicBool::new(false),
            reported: Reported::default(),
            reclaim_hand: AtomicU64::new(0),
            windows: Windows::default(),
            stable_pages: false,
            faults,
        }
    }

    /// Reads ahead `pages` at most; 0, as it is without this, is no readahead.
    pub fn with_readahead(mut self, pages: u64) -> Mapping {
        self.windows.most = pages;
        self
    }

    /// For a device that needs it or not; without this it does not.
    pub fn with_stable_pages(mut self, stable: bool) -> Mapping {
        self.stable_pages = stable;
        self
    }

    /// The index as it is now, looked at without the tree lock: somebody may be changing it.
    pub fn index(&self) -> Slots<'_> {
        self.tree.read()
    }

    /// Takes the tree lock, for changing the index.
    pub async fn lock_tree<'a>(&'a self, task: &'a Task) -> TreeGuard<'a> {
        self.tree.lock(task).await
    }

    /// Waits until nobody is changing the index.
    pub(crate) async fn tree_settled(&self, task: &Task) {
        self.tree.settled(task).await;
    }

    /// The size of the file. A reader that sees a size sees the bytes below it.
    pub fn i_size(&self) -> u64 {
        self.i_size.load(Acquire)
    }

    /// Sets the size. The caller holds i_rwsem exclusive, and no direct write is under way.
    pub fn set_i_size(&self, size: u64) {
        self.i_size.store(size, Release);
    }

    /// Raises the size to `size` if it is less; what it was. In one step: direct writes end beside each other.
    pub fn raise_i_size(&self, size: u64) -> u64 {
        self.i_size.fetch_max(size, AcqRel)
    }

    /// Records that data was lost, for every description to be told.
    pub fn set_error(&self) {
        self.errors.set(EIO);
        self.lost.store(true, Relaxed);
    }

    /// Whether data was ever lost.
    pub fn has_lost_data(&self) -> bool {
        self.errors.is_set()
    }

    /// Opens a description: which errors it will be told of.
    pub fn open(&self, cursor: &Cursor) {
        self.errors.open(cursor, self.faults.armed(Fault::OpenSkipsUnseen));
    }

    /// Tells the description of data that was lost since it was last told.
    ///
    /// # Errors
    /// [`Error::Io`] if there was some.
    pub fn check_error(&self, cursor: &Cursor) -> Result<()> {
        self.lost.store(false, Relaxed);
        let (told, kept) = self.errors.check_and_advance(cursor, self.faults.armed(Fault::ErrorToldOnce));
        if let Err(breach) = kept {
            let message = match breach {
                Breach::Withheld => "data was lost, and a sync that must tell of it does not",
                Breach::Repeated => "a sync tells of lost data that it has told of before",
            };
            self.report(Broken::invariant(message.to_owned()));
        }
        told.map_or(Ok(()), |_| Err(Error::Io))
    }

    /// Whether data was lost since the last call, or since anybody was told: what a flush without a description goes
    /// by. Whoever has one is told all the same.
    ///
    /// # Errors
    /// [`Error::Io`] if there was some.
    pub fn take_lost(&self) -> Result<()> {
        if self.lost.swap(false, Relaxed) { Err(Error::Io) } else { Ok(()) }
    }

    /// File position of the folio's first byte.
    pub fn pos(&self, folio: &Folio) -> u64 {
        folio.index() * self.sizes.page
    }

    /// The folio's bytes of the file.
    pub fn byte_range(&self, folio: &Folio) -> Range<u64> {
        self.pos(folio)..folio.end_index() * self.sizes.page
    }

    /// Number of blocks in the folio.
    pub fn block_count(&self, folio: &Folio) -> u32 {
        (folio.pages() * self.sizes.page / self.sizes.block) as u32
    }

    /// The folio's blocks that `range`, file positions inside the folio, touches: rounded outward.
    pub fn blocks_touched(&self, folio: &Folio, range: &Range<u64>) -> Range<u32> {
        let (start, block) = (self.pos(folio), self.sizes.block);
        ((range.start - start) / block) as u32..(range.end - start).div_ceil(block) as u32
    }

    /// The folio's blocks that lie wholly inside `range`: rounded inward.
    pub fn blocks_inside(&self, folio: &Folio, range: &Range<u64>) -> Range<u32> {
        let (start, block) = (self.pos(folio), self.sizes.block);
        let first = (range.start - start).div_ceil(block) as u32;
        first..(((range.end - start) / block) as u32).max(first)
    }

    /// Gives the folio per-block state if it has several blocks and none yet, and passes the state on.
    pub fn with_blocks<R>(&self, folio: &Folio, f: impl FnOnce(&mut BlockState) -> R) -> Option<R> {
        let count = self.block_count(folio);
        if count <= 1 {
            return None;
        }
        let mut blocks = folio.blocks.lock();
        let inherit = !self.faults.armed(Fault::StateNotInherited);
        let (uptodate, dirty) = (folio.is_uptodate() && inherit, folio.is_dirty() && inherit);
        let state = blocks.get_or_insert_with(|| BlockState::new(count, uptodate, dirty));
        Some(f(state))
    }

    /// Marks the blocks that `range` touches valid, and the folio if that were the last.
    pub fn mark_uptodate(&self, folio: &Folio, range: &Range<u64>) {
        if folio.read_has_failed() && self.faults.armed(Fault::FailedReadSticks) {
            return;
        }
        let touched = self.blocks_touched(folio, range);
        let full = match &mut *folio.blocks.lock() {
            Some(state) => state.set_uptodate(touched),
            None => *range == self.byte_range(folio) || folio.is_uptodate() || self.block_count(folio) <= 1,
        };
        if full {
            folio.set_uptodate();
        }
    }

    /// The folio's blocks that are valid, a bit each.
    pub fn uptodate_blocks(&self, folio: &Folio) -> u128 {
        if folio.is_uptodate() { u128::MAX } else { folio.blocks.lock().map_or(0, |state| state.uptodate()) }
    }

    /// Whether the bytes of `range` in the folio are valid.
    pub fn is_uptodate(&self, folio: &Folio, range: &Range<u64>) -> bool {
        if folio.is_uptodate() {
            return true;
        }
        let mut blocks = self.blocks_touched(folio, range);
        if self.faults.armed(Fault::FirstBlockUptodate) {
            blocks.end = blocks.end.min(blocks.start + 1);
        }
        folio.blocks.lock().is_some_and(|state| state.is_uptodate(blocks))
    }
}
