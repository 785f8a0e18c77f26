//! Mappings, and what a file system has to offer.

use crate::fill::ReadIo;
use crate::writeback::WriteIo;
use lanes::Task;
use pagecache::{FileOps, Locked, Result};
use std::future::Future;
use std::ops::Range;

/// What a range of a file is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Nothing: reads as zero.
    Hole,
    /// Space is reserved, no blocks are chosen: the data is in the cache only.
    Delalloc,
    /// Blocks whose content does not count: reads as zero until the end of a write converts them.
    Unwritten,
    /// Blocks with data.
    Mapped,
}

/// What a range of a file was made of when the extents were looked up.
#[derive(Clone, Debug)]
pub struct Iomap {
    /// Bytes of the file, whole blocks.
    pub range: Range<u64>,
    /// What they are.
    pub kind: Kind,
    /// Device address of the first byte, of [`Kind::Unwritten`] and [`Kind::Mapped`].
    pub addr: u64,
    /// The blocks were allocated or reserved by this very lookup: they hold nothing of the file's.
    pub new: bool,
    /// The sequence of the extents at the lookup.
    pub cookie: u64,
}

impl Iomap {
    /// Device address of file position `pos`, inside the range.
    pub fn addr_of(&self, pos: u64) -> u64 {
        self.addr + (pos - self.range.start)
    }

    /// Whether a block that starts at `pos` holds nothing: to be zeroed instead of read.
    pub fn reads_as_zero(&self, pos: u64, i_size: u64) -> bool {
        self.kind != Kind::Mapped || self.new || pos >= i_size
    }
}

/// What a mapping is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To fill folios, read directly, or seek: changes nothing.
    Read,
    /// A buffered write or a store: holes become delayed allocation, or blocks at once.
    Write,
    /// Zeroing: allocates nothing over holes.
    Zero,
    /// A direct write: holes and delayed allocation become unwritten blocks, or it goes through the cache.
    DirectWrite,
}

/// A file with extents, on a device.
pub trait FileSystem: FileOps {
    /// Looks up, and for a write creates, what `range` begins with. The mapping covers `range.start`.
    fn begin(&self, task: &Task, range: Range<u64>, purpose: Purpose) -> impl Future<Output = Result<Iomap>> + Send;

    /// Begins a write to the folio at `range.start`: finds or creates it, with an order that suits the length, and
    /// locks it. What the file system needs for the write, such as a transaction, comes before the folio lock.
    fn get_folio(&self, task: &Task, range: Range<u64>) -> impl Future<Output = Locked> + Send {
        async move {
            let mapping = self.mapping();
            let len = range.end - range.start;
            mapping.lock_or_create(task, mapping.sizes.index(range.start), len).await
        }
    }

    /// Ends it: bytes `changed` of the folio were changed, none if the write gave it up. Called with the folio locked,
    /// so that what the file system does about the change comes before anybody else finds the folio; unlocks it.
    fn put_folio(&self, _: &Task, folio: Locked, _changed: Range<u64>) -> impl Future<Output = ()> + Send {
        async move { drop(folio) }
    }

    /// Whether changes go through a journal, which [`FileSystem::put_folio`] sees to, before they are dirty.
    fn journals_data(&self) -> bool {
        false
    }

    /// Somebody is about to look for dirty folios: what waits in a journal becomes dirty first.
    fn before_writeback(&self, _: &Task) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// A buffered write got as far as `written_to` with this mapping: gives back what was reserved beyond it
    /// and no dirty block covers.
    fn end_write(
        &self,
        task: &Task,
        map: &Iomap,
        range: Range<u64>,
        written_to: u64,
    ) -> impl Future<Output = ()> + Send;

    /// Whether the extents are still as they were when `map` was looked up.
    fn is_valid(&self, map: &Iomap) -> bool;

    /// Blocks for writing back `range` of a locked folio, delayed allocation turned into real blocks.
    fn map_blocks(&self, task: &Task, range: Range<u64>) -> impl Future<Output = Result<Iomap>> + Send;

    /// Queues a write; [`crate::writeback::complete`] ends it.
    fn submit(&self, io: WriteIo);

    /// Queues a read; [`crate::fill::complete_read`] ends it.
    fn submit_read(&self, io: ReadIo);

    /// Writeback found no blocks for `range` of a locked folio, and will not come back for it: gives up what is
    /// reserved there.
    fn discard(&self, range: Range<u64>);

    /// Reads the device.
    ///
    /// # Errors
    /// Of the device: `into` is as it was.
    fn read_device(&self, addr: u64, into: &mut [u8]) -> Result<()>;

    /// Writes the device.
    ///
    /// # Errors
    /// Of the device: nothing is written.
    fn write_device(&self, addr: u64, from: &[u8]) -> Result<()>;

    /// Unwritten blocks of `range` now hold data.
    fn convert(&self, range: Range<u64>);

    /// Data up to byte `end` is on the device: raises the size on the device, never beyond the size in memory.
    fn raise_disk_size(&self, end: u64);
}
