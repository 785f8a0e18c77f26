//! The operations of a file, with the locking and ordering rules of each flavour.

use crate::extents::Block;
use crate::failures::Failing;
use crate::file::File;
use faults::Fault;
use iomap::UserBuffer;
use iomap::seek::Whence;
use iomap::zero::zero_range;
use lanes::{Task, Y};
use pagecache::{Cursor, Result};
use std::ops::Range;

impl File {
    /// Size of the file.
    pub fn size(&self) -> u64 {
        self.mapping.i_size()
    }

    /// Reads bytes `range` through the cache; how many there were.
    ///
    /// # Errors
    /// Of the device.
    pub async fn read(&self, task: &Task, range: Range<u64>, buf: &mut [u8]) -> Result<u64> {
        let _shared = match self.flavour.locks_reads() {
            true => Some(self.i_rwsem.read(task, Y::R0).await),
            false => None,
        };
        let _glock = self.hold_glock(task, Y::R0, false).await;
        self.mapping.read(self, task, range, buf).await
    }

    /// Writes through the cache at `pos`; how many bytes.
    ///
    /// # Errors
    /// [`pagecache::Error::BadAddress`] if not one byte of the buffer could be read.
    pub async fn write(&self, task: &Task, pos: u64, buffer: UserBuffer<'_>) -> Result<u64> {
        self.write_beside(task, pos, buffer, true).await
    }

    /// As [`File::write`]; with `direct` beside direct I/O, which no lock keeps out: it may be under way still.
    pub(crate) async fn write_beside(
        &self,
        task: &Task,
        pos: u64,
        buffer: UserBuffer<'_>,
        direct: bool,
    ) -> Result<u64> {
        task.at(Y::W0).await;
        let exclusive = self.i_rwsem.write(task, Y::W0).await;
        let glock = self.hold_glock(task, Y::W0, true).await;
        task.at(Y::W1).await;
        if !direct {
            self.drain_direct(task, Y::W1).await;
        }
        self.zero_gap(task, pos).await?;
        let written = iomap::write::write(self, task, pos, buffer).await;
        drop((glock, exclusive));
        task.at(Y::W18).await;
        written
    }

    /// As [`File::write`], and then brings what was written to the device, with everything it takes to find it.
    ///
    /// # Errors
    /// As [`File::write`]; and [`pagecache::Error::Io`] if data was lost, whoever wrote it: what was written is in the cache then.
    pub async fn write_dsync(&self, task: &Task, open: &Cursor, pos: u64, buffer: UserBuffer<'_>) -> Result<u64> {
        let written = self.write(task, pos, buffer).await?;
        self.fsync(task, open, pos..pos + written).await?;
        Ok(written)
    }

    /// Zeroes from the end of file to `pos`, where a write is about to begin. Direct I/O has ended before: it
    /// may move the end of file.
    pub(crate) async fn zero_gap(&self, task: &Task, pos: u64) -> Result<()> {
        if pos <= self.size() || self.armed(Fault::WriteNewSkipsZeroing) {
            return Ok(());
        }
        if !self.flavour.zeroes_on_extension() {
            self.mapping.zero_tail(task, self.size(), pos).await;
            return Ok(());
        }
        self.drain_direct(task, Y::W1).await;
        let _exclusive = self.mapping.invalidate_lock.write(task, Y::W1).await;
        zero_range(self, task, self.size()..pos).await?;
        Ok(())
    }

    /// Loads bytes `range` through a shared mapping; how many before a SIGBUS.
    ///
    /// # Errors
    /// Of the device.
    pub async fn load(&self, task: &Task, range: Range<u64>, buf: &mut [u8]) -> Result<u64> {
        self.mapping.load(self, task, range, buf).await
    }

    /// Stores `bytes` at `pos` through a shared mapping; how many before a SIGBUS.
    ///
    /// # Errors
    /// Of the device.
    pub async fn store(&self, task: &Task, pos: u64, bytes: &[u8]) -> Result<u64> {
        self.mapping.store(self, task, pos, bytes).await
    }

    /// One more block is left for what this lane writes and stores through the cache.
    pub fn run_out_of_space(&self, task: &Task) {
        self.space.run_out(task);
    }

    /// The next data or hole at or after `from`.
    ///
    /// # Errors
    /// [`pagecache::Error::NoData`].
    pub async fn seek(&self, task: &Task, from: u64, whence: Whence) -> Result<u64> {
        let _shared = self.i_rwsem.read(task, Y::R0).await;
        let _glock = self.hold_glock(task, Y::R0, false).await;
        iomap::seek::seek(self, task, from, whence).await
    }

    /// The next one of these fails.
    pub fn fail(&self, what: Failing) {
        self.failures.arm(what);
    }

    /// From here on nothing fails that has not failed yet.
    pub fn heal(&self) {
        self.failures.disarm();
    }

    /// Opens a description of the file.
    pub fn open(&self) -> Cursor {
        let cursor = Cursor::default();
        self.mapping.open(&cursor);
        cursor
    }

    /// Unmaps, closes the description and opens it again: entries go, what was preallocated beyond the end of file,
    /// and what the description has been told.
    pub async fn reopen(&self, task: &Task, open: &Cursor) {
        task.at(Y::UNMAP).await;
        self.mapping.unmap_all(task).await;
        self.mapping.forget_reads(task);
        let _exclusive = self.i_rwsem.write(task, Y::W0).await;
        self.drain_direct(task, Y::W1).await;
        let eof = self.eof_block();
        let mut extents = self.extents.lock();
        let reserved = (eof..extents.len()).filter(|index| extents.get(*index) == Block::Delalloc);
        for index in reserved.collect::<Vec<u64>>() {
            extents.set(index, Block::Hole);
        }
        drop(extents);
        self.mapping.open(open);
    }
}
