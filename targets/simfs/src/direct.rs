//! Direct I/O: which of it runs alone, and how an asynchronous write ends.
//!
//! A synchronous write holds i_rwsem to its end. An asynchronous one gives it back as soon as its I/O is submitted; what
//! it leaves behind is a count. Whoever changes blocks or the size holds i_rwsem exclusive, so that nothing more is
//! submitted, and waits until the count is zero. Its end is a worker's, in the order of [`iomap::direct`]: data,
//! conversion, size, cache; then it no longer counts, and whoever has submitted it is told.

use crate::file::File;
use faults::Fault;
use iomap::writeback::write_and_wait;
use iomap::{DirectIo, UserBuffer, direct};
use lanes::{Held, LaneId, Promise, RwRead, RwWrite, Task, Y};
use pagecache::{Cursor, Error, Result};
use std::ops::Range;
use std::sync::Arc;

/// What a lane that waits for direct I/O says that it waits for.
const WHAT: &str = "direct I/O";

/// An asynchronous write on its way to the device.
#[derive(Debug)]
pub(crate) struct Submitted {
    pub(crate) io: DirectIo,
    done: Arc<Promise<Result<()>>>,
}

/// What a direct write holds while it is being submitted: i_rwsem one way or the other, and the cluster lock.
struct Locks<'a>((Held<'a>, Option<RwRead<'a>>, Option<RwWrite<'a>>));

impl Locks<'_> {
    /// The cluster lock first.
    fn release(self) {
        drop(self.0);
    }
}

impl File {
    /// Sleeps at `y` until no direct I/O is under way.
    pub(crate) async fn drain_direct(&self, task: &Task, y: Y) {
        self.dio.drained(task, y, WHAT).await;
    }

    /// Reads bytes `range` from the device; how many there were.
    ///
    /// # Errors
    /// [`Error::Io`] if a store slipped in.
    pub async fn direct_read(&self, task: &Task, range: Range<u64>, buf: &mut [u8]) -> Result<u64> {
        task.at(Y::R0).await;
        let _shared = self.i_rwsem.read(task, Y::R0).await;
        let _glock = self.hold_glock(task, Y::R0, true).await;
        let _counted = self.dio.begin(task.lane());
        direct::read(self, task, range, buf).await
    }

    /// Writes `bytes` at `pos` to the device; how many. With a description to report to, brings the rest of what it
    /// takes to find them there, too.
    ///
    /// # Errors
    /// Of the device; with a description, [`Error::Io`] if data was lost, whoever wrote it.
    pub async fn direct_write(&self, task: &Task, sync: Option<&Cursor>, pos: u64, bytes: &[u8]) -> Result<u64> {
        let range = pos..pos + bytes.len() as u64;
        let locks = self.lock_for_direct_write(task, &range).await?;
        let counted = self.dio.begin(task.lane());
        let written = match self.has_blocks_for(&range) {
            true => direct::write(self, task, pos, bytes).await,
            false => Err(Error::Busy),
        };
        drop(counted);
        task.at(Y::D8).await;
        if let (Ok(written), Some(open)) = (written, sync) {
            task.at(Y::D9).await;
            self.fsync(task, open, pos..pos + written).await?;
        }
        locks.release();
        match written {
            // It cannot go past the cache: go through it, and leave nothing in it.
            Err(Error::Busy) => self.write_instead(task, sync, pos, bytes).await,
            other => other,
        }
    }

    /// Submits a direct write of `bytes` at `pos`, and waits for its completion without holding anything; how many
    /// bytes. What may have to zero the rest of a block, or cannot extend the file later, is done at once instead.
    ///
    /// # Errors
    /// Of the device.
    pub async fn aio_write(&self, task: &Task, pos: u64, bytes: &[u8]) -> Result<u64> {
        let range = pos..pos + bytes.len() as u64;
        let locks = self.lock_for_direct_write(task, &range).await?;
        let counted = self.dio.begin(task.lane());
        let submitted = match self.has_blocks_for(&range) {
            false => Err(Error::Busy),
            true if self.may_end_later(&range) => direct::submit(self, task, pos, bytes).await.map(Some),
            true => direct::write(self, task, pos, bytes).await.map(|_| None),
        };
        match submitted {
            Ok(Some(io)) => {
                counted.hand_to(LaneId::DIRECT);
                let done = Arc::new(Promise::new(LaneId::DIRECT));
                self.direct_queue.lock().push_back(Submitted { io, done: done.clone() });
                self.direct_submitted.raise();
                locks.release();
                done.kept(task, Y::D3, WHAT).await?;
                Ok(range.end - range.start)
            }
            at_once => {
                drop(counted);
                task.at(Y::D8).await;
                locks.release();
                match at_once {
                    Err(Error::Busy) => self.write_instead(task, None, pos, bytes).await,
                    other => other.map(|_| range.end - range.start),
                }
            }
        }
    }

    /// Completes asynchronous writes, in any order.
    pub async fn direct_worker(&self, task: &Task) {
        loop {
            self.direct_submitted.wait(task).await;
            task.begin_pass();
            loop {
                let queued = self.direct_queue.lock().len() as u32;
                if queued == 0 {
                    break;
                }
                let pick = task.choose(Y::D3, queued) as usize;
                let Some(Submitted { io, done }) = self.direct_queue.lock().remove(pick) else { break };
                let ended = direct::complete(self, task, io).await;
                self.dio.end(task.lane());
                task.at(Y::D8).await;
                done.keep(ended);
            }
        }
    }

    /// A write of whole blocks runs beside others; on ext4 only below the end of file, on xfs if it begins there: then
    /// there is nothing to be zeroed before it. Any other runs alone, after all others have ended.
    async fn lock_for_direct_write<'a>(&'a self, task: &'a Task, range: &Range<u64>) -> Result<Locks<'a>> {
        task.at(Y::W0).await;
        let partial = !(self.is_whole_blocks(range) || self.armed(Fault::UnalignedShared));
        let reach = if self.flavour.extends_beside() { range.start } else { range.end };
        let alone = |size: u64| partial || reach > size;
        let shared = match alone(self.size()) {
            true => None,
            false => Some(self.i_rwsem.read(task, Y::W0).await).filter(|_| !alone(self.size())),
        };
        let exclusive = match shared {
            Some(_) => None,
            None => Some(self.i_rwsem.write(task, Y::W0).await),
        };
        let glock = self.hold_glock(task, Y::W0, true).await;
        task.at(Y::W1).await;
        if exclusive.is_some() {
            self.drain_direct(task, Y::W1).await;
            self.zero_gap(task, range.start).await?;
        }
        Ok(Locks((glock, shared, exclusive)))
    }

    fn is_whole_blocks(&self, range: &Range<u64>) -> bool {
        let block = self.mapping.sizes.block;
        range.start.is_multiple_of(block) && range.end.is_multiple_of(block)
    }

    /// Whether a direct write can have blocks there, or some that exist: not all flavours allocate any for it.
    fn has_blocks_for(&self, range: &Range<u64>) -> bool {
        !self.flavour.allocates_at_once() || range.end <= self.size()
    }

    /// Whether the write may end after its locks are given back. What has to zero parts of blocks may not, and on ext4
    /// neither may what extends the file.
    fn may_end_later(&self, range: &Range<u64>) -> bool {
        self.is_whole_blocks(range) && (self.flavour.extends_beside() || range.end <= self.size())
    }

    /// A direct write that cannot go past the cache: goes through it, and leaves nothing in it. Asynchronous writes have
    /// ended before: what this makes dirty they could not remove.
    async fn write_instead(&self, task: &Task, sync: Option<&Cursor>, pos: u64, bytes: &[u8]) -> Result<u64> {
        task.at(Y::D10).await;
        let buffer = UserBuffer::new(bytes, bytes.len());
        let written = self.write_beside(task, pos, buffer, false).await?;
        if let Some(open) = sync {
            self.fsync(task, open, pos..pos + written).await?;
        }
        let range = pos..pos + bytes.len() as u64;
        write_and_wait(self, task, range.clone()).await?;
        let _ = self.mapping.invalidate(task, &range).await;
        Ok(written)
    }
}
