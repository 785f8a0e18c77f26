//! A write whose buffer is a mapping of the file itself.

use crate::file::File;
use faults::Fault;
use iomap::UserBuffer;
use iomap::write::{fault_in, fewer, write};
use lanes::{Task, Y};
use pagecache::{Error, Result};
use std::ops::Range;

impl File {
    /// Writes bytes `range`, as far as they are below the end of file, from a shared mapping of the same bytes; how
    /// many.
    ///
    /// # Errors
    /// Of the device or the allocation; [`Error::BadAddress`] if the mapping cannot be read.
    pub async fn write_from_map(&self, task: &Task, range: Range<u64>) -> Result<u64> {
        task.at(Y::W0).await;
        let exclusive = self.i_rwsem.write(task, Y::W0).await;
        task.at(Y::W1).await;
        let range = range.start..range.end.min(self.size());
        let written = match self.flavour.has_glock() {
            _ if range.is_empty() => Ok(0),
            true => self.write_between_faults(task, range).await,
            false => write(self, task, range.start, UserBuffer::mapping(range.end - range.start, true)).await,
        };
        drop(exclusive);
        task.at(Y::W18).await;
        written
    }

    /// A fault takes the cluster lock, so none is let happen while a write holds it. The write ends where its buffer is
    /// not there; then the lock is dropped, the buffer faulted in, and the write goes on.
    async fn write_between_faults(&self, task: &Task, range: Range<u64>) -> Result<u64> {
        let (mut pos, mut most) = (range.start, u64::MAX);
        while pos < range.end {
            let readable = match self.armed(Fault::CopyFaults) {
                true => range.end - pos,
                false => fault_in(self, task, pos..range.end.min(pos.saturating_add(most))).await,
            };
            if readable == 0 {
                break;
            }
            let glock = self.hold_glock(task, Y::W0, true).await;
            let written = write(self, task, pos, UserBuffer::mapping(readable, false)).await;
            drop(glock);
            match written {
                Ok(count) => (pos, most) = (pos + count, u64::MAX),
                // It was there, and is gone again.
                Err(Error::BadAddress) => most = fewer(&self.mapping, &(pos..pos + readable)),
                Err(error) if pos == range.start => return Err(error),
                Err(_) => break,
            }
            task.at(Y::W17).await;
        }
        if pos == range.start { Err(Error::BadAddress) } else { Ok(pos - range.start) }
    }
}
