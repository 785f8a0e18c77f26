//! Loads and stores through shared mappings, and the faults they take; what the cache needs from the file system.

use crate::error::{Error, Result};
use crate::folio::{FolioRef, Locked};
use crate::mapping::Mapping;
use crate::reclaim::Reclaim;
use faults::Fault;
use lanes::{Held, Task, Y};
use std::collections::VecDeque;
use std::future::Future;
use std::ops::Range;

/// After so many faults in a row for one access, it is made before the folio is unlocked.
const PATIENT_FAULTS: u32 = 3;

/// What the cache needs from the file system.
pub trait FileOps: Sync {
    /// The file's cache.
    fn mapping(&self) -> &Mapping;

    /// Begins to fill the folio's bytes that are not valid. The folio is unlocked when that has ended: perhaps later,
    /// and by another lane. What could not be read is not uptodate then.
    fn read_folio(&self, task: &Task, folio: Locked) -> impl Future<Output = Result<FolioRef>> + Send;

    /// As [`FileOps::read_folio`] for consecutive folios, from the front; those that stay in `folios` have not been
    /// looked at.
    fn readahead(&self, task: &Task, folios: &mut VecDeque<Locked>) -> impl Future<Output = ()> + Send;

    /// Takes the lock of the file system's own that is held while a fault is served, outside of the cache's locks;
    /// `store` while an entry is made writable.
    fn lock_for_fault<'a>(&'a self, _: &'a Task, _: Y, _store: bool) -> impl Future<Output = Held<'a>> + Send {
        std::future::ready(Held::Nothing)
    }

    /// Reserves blocks for the first `len` bytes of the locked folio, which a store is about to change.
    fn reserve_for_store(&self, task: &Task, folio: &Locked, len: u64) -> impl Future<Output = Result<()>> + Send;
}

impl Mapping {
    /// Loads bytes `range` through a shared mapping; how many before a SIGBUS, if there was one.
    pub async fn load<F: FileOps>(&self, fs: &F, task: &Task, range: Range<u64>, buf: &mut [u8]) -> Result<u64> {
        let mut pos = range.start;
        while pos < range.end {
            let (page, within) = self.page_part(pos, range.end);
            let next = pos + (within.end - within.start);
            let into = &mut buf[(pos - range.start) as usize..(next - range.start) as usize];
            let mut access = || self.page_table.load(page, within.clone(), self.sizes.page, into);
            match self.access(fs, task, page, false, &mut access).await {
                Ok(()) => pos = next,
                // What cannot be read is a SIGBUS, too.
                Err(Error::Bus | Error::Io) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(pos - range.start)
    }

    /// Loads bytes `range` through a shared mapping as far as entries are there; how many. Nothing is faulted in.
    pub fn load_present(&self, range: Range<u64>, buf: &mut [u8]) -> u64 {
        let mut pos = range.start;
        while pos < range.end {
            let (page, within) = self.page_part(pos, range.end);
            let next = pos + (within.end - within.start);
            let into = &mut buf[(pos - range.start) as usize..(next - range.start) as usize];
            if !self.page_table.load(page, within, self.sizes.page, into) {
                break;
            }
            pos = next;
        }
        pos - range.start
    }

    /// Stores `bytes` at `pos` through a shared mapping; how many before a SIGBUS, if there was one.
    pub async fn store<F: FileOps>(&self, fs: &F, task: &Task, pos: u64, bytes: &[u8]) -> Result<u64> {
        let (start, end) = (pos, pos + bytes.len() as u64);
        let mut pos = pos;
        while pos < end {
            let (page, within) = self.page_part(pos, end);
            let next = pos + (within.end - within.start);
            let from = &bytes[(pos - start) as usize..(next - start) as usize];
            let mut access = || self.page_table.store(page, within.start, self.sizes.page, from);
            match self.access(fs, task, page, true, &mut access).await {
                Ok(()) => pos = next,
                // What cannot be read is a SIGBUS, too.
                Err(Error::Bus | Error::NoSpace | Error::Io) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(pos - start)
    }

    fn page_part(&self, pos: u64, end: u64) -> (u64, Range<u64>) {
        let page = self.sizes.index(pos);
        let start = page * self.sizes.page;
        (page, pos - start..end.min(start + self.sizes.page) - start)
    }

    /// Whether `page` lies wholly beyond the end of file, where an access is a SIGBUS.
    pub(crate) fn is_beyond_eof(&self, page: u64) -> bool {
        let armed = self.faults.armed(Fault::MappedPastEof);
        let page = if armed { page >> self.sizes.max_order << self.sizes.max_order } else { page };
        page >= self.sizes.end_index(self.i_size())
    }

    /// Tries `access`, a load or a store within page `page`, until an entry lets it through, faulting in between.
    async fn access<F: FileOps>(
        &self,
        fs: &F,
        task: &Task,
        page: u64,
        write: bool,
        access: &mut (dyn FnMut() -> bool + Send),
    ) -> Result<()> {
        for attempt in 1.. {
            if access() {
                break;
            }
            task.at(Y::F0).await;
            if !write && attempt < PATIENT_FAULTS && self.fault_around(task, page).await {
                continue;
            }
            let held = fs.lock_for_fault(task, Y::F0, false).await;
            let folio = self.fault_in(fs, task, page).await?;
            drop(held);
            let locked = match write {
                true => self.make_writable(fs, task, page, folio).await?,
                false => Some(folio),
            };
            let Some(locked) = locked else { continue };
            // An entry can be gone again before the access is repeated. A processor is never so slow that this
            // goes on for ever; a schedule can be.
            if attempt >= PATIENT_FAULTS && access() {
                break;
            }
            let reference = locked.unlock();
            task.at(if write { Y::M7 } else { Y::F7 }).await;
            drop(reference);
            if write {
                self.memory.throttle(task).await;
            }
        }
        Ok(())
    }

    /// Installs a read-only entry for `page`; its folio, locked.
    async fn fault_in<F: FileOps>(&self, fs: &F, task: &Task, page: u64) -> Result<Locked> {
        let mut found_nothing = false;
        loop {
            if self.is_beyond_eof(page) {
                return Err(Error::Bus);
            }
            let (locked, _shared) = match self.lookup(task, page).await {
                Some(folio) => {
                    task.at(Y::F1).await;
                    self.read_further(fs, task, &folio, 1).await;
                    task.at(Y::F3).await;
                    let locked = folio.lock(task, Y::LOCK).await;
                    if locked.is_uptodate() {
                        (locked, None)
                    } else {
                        // Filling needs invalidate_lock, which is outside the folio lock.
                        drop(locked);
                        let shared = self.invalidate_lock.read(task, Y::F2).await;
                        let Some(folio) = self.lookup(task, page).await else { continue };
                        (folio.lock(task, Y::LOCK).await, Some(shared))
                    }
                }
                None if !found_nothing => {
                    found_nothing = true;
                    task.at(Y::F1).await;
                    self.read_around(fs, task, page).await;
                    continue;
                }
                None => {
                    let shared = self.invalidate_lock.read(task, Y::F2).await;
                    let created = self.create_with(task, page, self.sizes.page, Reclaim::MayWait).await;
                    let Some(locked) = created else { continue };
                    (locked, Some(shared))
                }
            };
            let gone = !locked.is_attached() || !locked.contains(page);
            if gone && !(self.faults.armed(Fault::FaultMapsOrphan) && locked.contains(page)) {
                task.at(Y::F9).await;
                continue;
            }
            let Some(locked) = self.filled_for_fault(fs, task, page, locked).await? else {
                task.at(Y::F9).await;
                continue;
            };
            task.at(Y::F5).await;
            if self.is_beyond_eof(page) && !self.faults.armed(Fault::FaultNoSizeRecheck) {
                return Err(Error::Bus);
            }
            task.at(Y::F6).await;
            self.page_table.install(page, locked.folio(), false);
            return Ok(locked);
        }
    }

    /// The folio with all its bytes valid, locked; `None` if it has left the file while it was unlocked to be read.
    async fn filled_for_fault<F: FileOps>(
        &self,
        fs: &F,
        task: &Task,
        page: u64,
        folio: Locked,
    ) -> Result<Option<Locked>> {
        if folio.is_uptodate() {
            return Ok(Some(folio));
        }
        // The end of the read unlocks it. The reference keeps it from being evicted before it is locked again.
        let folio = fs.read_folio(task, folio).await?;
        folio.wait_unlocked(task, Y::F4).await;
        if !folio.is_uptodate() {
            return Err(Error::Io);
        }
        let locked = folio.lock(task, Y::LOCK).await;
        let there = locked.is_attached() && locked.contains(page);
        Ok(there.then_some(locked))
    }

    /// Lets stores into `page`: reserves blocks, marks the folio dirty, then makes the entry writable, all under
    /// the folio lock, so that writeback either sees the folio dirty or write-protects the entry afterwards.
    /// `None` if the folio has left the file: the access starts over.
    async fn make_writable<F: FileOps>(&self, fs: &F, task: &Task, page: u64, folio: Locked) -> Result<Option<Locked>> {
        let folio = folio.unlock(); // invalidate_lock is outside the folio lock
        task.at(Y::M0).await;
        let _held = fs.lock_for_fault(task, Y::M0, true).await;
        let _shared = self.invalidate_lock.read(task, Y::M0).await;
        task.at(Y::M1).await;
        let locked = folio.lock(task, Y::M1).await;
        let (start, size) = (self.pos(&locked), self.i_size());
        let gone = !locked.is_attached() || !locked.contains(page) || start >= size;
        let unchecked = self.faults.armed(Fault::MkwriteNoCheck);
        if gone && !unchecked {
            return Ok(None);
        }
        task.at(Y::M2).await;
        let len = size.min(self.byte_range(&locked).end).saturating_sub(start);
        fs.reserve_for_store(task, &locked, len).await?;
        if self.faults.armed(Fault::DirtyAfterUnlock) {
            self.page_table.install(page, locked.folio(), true);
            let folio = locked.unlock();
            task.at(Y::M6).await;
            self.dirty_folio(task, &folio).await;
            return Ok(None);
        }
        self.dirty_folio(task, &locked).await;
        task.at(Y::M4).await;
        self.wait_stable(task, &locked, Y::M5).await;
        if self.is_beyond_eof(page) && !unchecked {
            return Err(Error::Bus);
        }
        self.page_table.install(page, locked.folio(), true);
        task.at(Y::M6).await;
        Ok(Some(locked))
    }
}
