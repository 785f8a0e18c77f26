//! Reading, writing and zeroing by system call.

use crate::mapping::{FileSystem, Kind, Mapping};
use faults::Fault;
use lanes::{Task, Y};
use pagecache::{Error, Result};
use std::ops::Range;

impl Mapping {
    /// Reads bytes `range`; how many there were below the end of file. The caller holds i_rwsem.
    ///
    /// # Errors
    /// Of the file system.
    pub async fn read<F: FileSystem>(&self, fs: &F, task: &Task, range: Range<u64>, buf: &mut [u8]) -> Result<u64> {
        let end = range.end.min(self.i_size());
        let mut pos = range.start;
        while pos < end {
            task.at(Y::D2).await;
            let extent = fs.begin(task, pos..end, false).await?;
            task.at(Y::D3).await;
            let next = end.min(extent.range.end);
            let into = &mut buf[(pos - range.start) as usize..(next - range.start) as usize];
            match extent.kind {
                Kind::Written => self.device.load(self.device.addr(extent.pfn, pos - extent.range.start), into),
                Kind::Hole | Kind::Unwritten => into.fill(0),
            }
            pos = next;
        }
        Ok(pos.saturating_sub(range.start))
    }

    /// Writes `bytes` at `start`, of which `readable` can be read; how many were. The size is the caller's business,
    /// who holds i_rwsem exclusive.
    ///
    /// # Errors
    /// [`Error::BadAddress`] if not one byte could be read, or what the file system says.
    pub async fn write<F: FileSystem>(
        &self,
        fs: &F,
        task: &Task,
        start: u64,
        bytes: &[u8],
        readable: usize,
    ) -> Result<u64> {
        let end = start + bytes.len() as u64;
        let stop = start + readable as u64;
        let mut pos = start;
        while pos < end {
            task.at(Y::D2).await;
            let extent = fs.begin(task, pos..end, true).await?;
            task.at(Y::W4b).await;
            if !self.armed(Fault::DaxKeepsZeroPage) {
                self.drop_zeros(task, self.pages_of(&extent.range)).await;
            }
            let next = end.min(extent.range.end).min(stop);
            let from = &bytes[(pos - start) as usize..(next.max(pos) - start) as usize];
            self.device.write(self.device.addr(extent.pfn, pos - extent.range.start), from);
            task.at(Y::W9).await;
            pos = next.max(pos);
            if pos == stop {
                break;
            }
        }
        if pos > start { Ok(pos - start) } else { Err(Error::BadAddress) }
    }

    /// Makes bytes `range` read as zero where there is data. Never changes the size.
    ///
    /// # Errors
    /// Of the file system.
    pub async fn zero<F: FileSystem>(&self, fs: &F, task: &Task, range: Range<u64>) -> Result<()> {
        let mut pos = range.start;
        while pos < range.end {
            let extent = fs.begin(task, pos..range.end, false).await?;
            task.at(Y::Z2).await;
            let next = range.end.min(extent.range.end);
            if extent.kind == Kind::Written {
                let addr = self.device.addr(extent.pfn, pos - extent.range.start);
                self.device.write(addr, &vec![0; (next - pos) as usize]);
            }
            pos = next;
        }
        Ok(())
    }
}
