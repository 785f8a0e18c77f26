//! Reading through the cache.
//!
//! A read looks up a few folios at once and keeps references to them: what is uptodate is served without locks. Only
//! the last of a batch may not be uptodate. It is waited for or filled, after which what was found before it is
//! served in any case.

use crate::error::{Error, Result};
use crate::filemap::FileOps;
use crate::folio::{Folio, FolioRef, Locked};
use crate::invariants::Broken;
use crate::mapping::Mapping;
use faults::Fault;
use lanes::{Task, Y};
use std::ops::Range;

/// So many folios are looked up at once.
const BATCH: usize = 4;

impl Mapping {
    /// Copies bytes `range` of the file into `buf`, through the cache; how many there were below the end of
    /// file. Locks of the file system's own, such as i_rwsem, are the caller's business.
    ///
    /// # Errors
    /// Of the device, if there is nothing to return before them.
    pub async fn read<F: FileOps>(&self, fs: &F, task: &Task, range: Range<u64>, buf: &mut [u8]) -> Result<u64> {
        let mut pos = range.start;
        task.at(Y::R0).await;
        while pos < range.end && pos < self.i_size() {
            let early_size = self.faults.armed(Fault::SizeBeforeUptodate).then(|| self.i_size());
            let batch = match self.uptodate_batch(fs, task, pos..range.end).await {
                Ok(batch) => batch,
                Err(error) if pos == range.start => return Err(error),
                Err(_) => break,
            };
            // Loaded once, after the batch is known to be uptodate: a size that is seen comes with its bytes.
            let end = range.end.min(early_size.unwrap_or_else(|| self.i_size()));
            if pos >= end {
                break;
            }
            for folio in &batch {
                task.at(Y::R5).await;
                let into = &mut buf[(pos - range.start) as usize..(end - range.start) as usize];
                pos += self.copy_out(folio, pos, into);
                if pos >= end {
                    break;
                }
            }
        }
        self.note_read(task, self.sizes.index(pos));
        Ok(pos - range.start)
    }

    /// Copies from position `pos` on what the folio has of it; how many bytes.
    fn copy_out(&self, folio: &Folio, pos: u64, into: &mut [u8]) -> u64 {
        let data = folio.data.read();
        // Folios are naturally aligned.
        let from = (pos % data.len() as u64) as usize;
        let len = into.len().min(data.len() - from);
        into[..len].copy_from_slice(&data[from..from + len]);
        len as u64
    }

    /// The first folios of `range`, at least one, with their part of it valid.
    async fn uptodate_batch<F: FileOps>(&self, fs: &F, task: &Task, range: Range<u64>) -> Result<Vec<FolioRef>> {
        let pages = self.sizes.index(range.start)..self.sizes.end_index(range.end);
        loop {
            let mut batch = self.batch(task, pages.clone()).await;
            if batch.is_empty() {
                self.read_ahead(fs, task, pages.start, pages.end - pages.start).await;
                batch = self.batch(task, pages.clone()).await;
            }
            let Some(last) = batch.pop() else {
                match self.create_filled(fs, task, &range).await? {
                    Some(folio) => return Ok(vec![folio]),
                    None => continue, // another lane was faster
                }
            };
            self.read_further(fs, task, &last, pages.end - pages.start).await;
            task.at(Y::R3).await;
            let updated = if last.is_uptodate() { Ok(Some(last)) } else { self.update(fs, task, last, &range).await };
            match updated {
                Ok(Some(last)) => {
                    batch.push(last);
                    return Ok(batch);
                }
                _ if !batch.is_empty() => return Ok(batch),
                Ok(None) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The consecutive folios that `pages` begins with, up to the first that is not uptodate or carries the mark of
    /// readahead.
    async fn batch(&self, task: &Task, mut pages: Range<u64>) -> Vec<FolioRef> {
        let repeats = self.faults.armed(Fault::RepeatsInBatch);
        let mut batch: Vec<FolioRef> = Vec::with_capacity(BATCH);
        while batch.len() < BATCH && !pages.is_empty() {
            if !batch.is_empty() {
                task.at(Y::R1).await;
            }
            let Some(folio) = self.lookup(task, pages.start).await else { break };
            // In the middle of a folio: it has come after the one before was found, in place of smaller ones. The
            // next batch begins with it.
            if !batch.is_empty() && folio.index() != pages.start && !repeats {
                break;
            }
            pages.start = if repeats { pages.start + 1 } else { folio.end_index() };
            let is_last = !folio.is_uptodate() || folio.is_marked();
            batch.push(folio);
            if is_last {
                break;
            }
        }
        batch
    }

    /// Creates and fills the folio at `range.start`, which is not in the cache; `None` if it is meanwhile.
    async fn create_filled<F: FileOps>(&self, fs: &F, task: &Task, range: &Range<u64>) -> Result<Option<FolioRef>> {
        let index = self.sizes.index(range.start);
        task.at(Y::R2a).await;
        let _shared = self.invalidate_lock.read(task, Y::R2a).await;
        let want = range.end.min(self.sizes.page_up(self.i_size())).saturating_sub(index * self.sizes.page);
        match self.create(task, index, want).await {
            Some(locked) => self.fill(fs, task, locked).await.map(Some),
            None if self.faults.armed(Fault::ExistsNotRetried) => Err(Error::Exists),
            None => Ok(None),
        }
    }

    /// Makes the folio's part of `range` valid. `None` if it was locked or has left the file: to be looked up again.
    async fn update<F: FileOps>(
        &self,
        fs: &F,
        task: &Task,
        folio: FolioRef,
        range: &Range<u64>,
    ) -> Result<Option<FolioRef>> {
        let index = folio.index().max(self.sizes.index(range.start));
        let shared = self.invalidate_lock.read(task, Y::R6).await;
        let locked = match folio.try_lock(task) {
            Ok(locked) => locked,
            Err(folio) => {
                drop(shared);
                return Ok(self.wait_locked(task, folio).await);
            }
        };
        let gone = !locked.is_attached() || !locked.contains(index);
        if gone && !(self.faults.armed(Fault::ReadUsesTruncated) && locked.is_uptodate()) {
            return Ok(None);
        }
        self.expect_attached(&locked);
        let bytes = self.byte_range(&locked);
        if self.is_uptodate(&locked, &(range.start.max(bytes.start)..range.end.min(bytes.end))) {
            return Ok(Some(locked.unlock()));
        }
        self.fill(fs, task, locked).await.map(Some)
    }

    /// Waits until the folio is unlocked. Nothing is held meanwhile, not even a reference, and what is found
    /// afterwards may be another folio.
    async fn wait_locked(&self, task: &Task, folio: FolioRef) -> Option<FolioRef> {
        if self.faults.armed(Fault::ReadUsesTruncated) {
            folio.wait_unlocked(task, Y::LOCKD).await;
            return folio.is_uptodate().then(|| {
                self.expect_attached(&folio);
                folio
            });
        }
        let unreferenced = folio.arc().clone();
        drop(folio);
        unreferenced.wait_unlocked(task, Y::LOCKD).await;
        None
    }

    /// Nothing is served from a folio that has left the file, known under its lock or after waiting for it.
    fn expect_attached(&self, folio: &Folio) {
        if !folio.is_attached() {
            let message = format!("bytes are served from folio {} after it left the file", folio.index());
            self.report(Broken::invariant(message));
        }
    }

    async fn fill<F: FileOps>(&self, fs: &F, task: &Task, folio: Locked) -> Result<FolioRef> {
        task.at(Y::R6).await;
        let folio = fs.read_folio(task, folio).await?;
        folio.wait_unlocked(task, Y::R7).await;
        if folio.is_uptodate() { Ok(folio) } else { Err(Error::Io) }
    }
}
