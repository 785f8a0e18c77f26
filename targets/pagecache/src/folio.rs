//! A folio: one or more pages of a file, naturally aligned, with one set of flags.

use crate::blocks::BlockState;
use crate::memory::Memory;
use lanes::{LaneId, Task, WaitQueue, Waiting, Y};
use parking_lot::{Mutex, RwLock};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU32};

const LOCKED: u32 = 1 << 0;
const UPTODATE: u32 = 1 << 1;
const DIRTY: u32 = 1 << 2;
const WRITEBACK: u32 = 1 << 3;
const ATTACHED: u32 = 1 << 4;
const MARKED: u32 = 1 << 5;
const READ_FAILED: u32 = 1 << 6;
const BUFFERED: u32 = 1 << 7;
const NO_OWNER: u8 = u8::MAX;

/// A folio. Its place in the file changes only by a split, under its lock and the index lock.
#[derive(Debug)]
pub struct Folio {
    /// Index of its first page.
    index: u64,
    order: AtomicU8,
    flags: AtomicU32,
    /// References: one a page from the index, one from each page table entry, one from each handle.
    refs: AtomicI32,
    lock_owner: AtomicU8,
    charged_to: LaneId,
    memory: Arc<Memory>,
    waiters: WaitQueue,
    /// The bytes. A folio is as long as this.
    pub data: RwLock<Box<[u8]>>,
    /// Per-block state, where there is some.
    pub blocks: Mutex<Option<BlockState>>,
    /// Journal buffers, where there are some: the blocks that are pinned, a bit each.
    pub(crate) buffers: Mutex<Option<u128>>,
}

impl Folio {
    /// A new folio of `1 << order` pages that is in no file yet, locked by `lane` and charged to its cgroup, all zero.
    pub(crate) fn create(memory: &Arc<Memory>, index: u64, order: u8, len: usize, lane: LaneId) -> FolioRef {
        Folio::create_charged(memory, index, order, len, lane, lane)
    }

    /// As [`Folio::create`], charged to the cgroup of another lane.
    pub(crate) fn create_charged(
        memory: &Arc<Memory>,
        index: u64,
        order: u8,
        len: usize,
        lane: LaneId,
        charged_to: LaneId,
    ) -> FolioRef {
        FolioRef(Arc::new(Folio {
            index,
            order: AtomicU8::new(order),
            flags: AtomicU32::new(LOCKED),
            refs: AtomicI32::new(1),
            lock_owner: AtomicU8::new(lane.0),
            charged_to,
            memory: memory.clone(),
            waiters: WaitQueue::default(),
            data: RwLock::new(vec![0; len].into_boxed_slice()),
            blocks: Mutex::new(None),
            buffers: Mutex::new(None),
        }))
    }

    /// The lane to whose cgroup its pages are charged.
    pub fn charged_to(&self) -> LaneId {
        self.charged_to
    }

    /// Index of the first page.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// It has `1 << order` pages.
    pub fn order(&self) -> u8 {
        self.order.load(Acquire)
    }

    /// Number of pages.
    pub fn pages(&self) -> u64 {
        1 << self.order()
    }

    /// Index after the last page.
    pub fn end_index(&self) -> u64 {
        self.index + self.pages()
    }

    /// Whether page `index` of the file is in it.
    pub fn contains(&self, index: u64) -> bool {
        (self.index..self.end_index()).contains(&index)
    }

    pub(crate) fn set_order(&self, order: u8) {
        self.order.store(order, Release);
    }

    fn has(&self, flag: u32) -> bool {
        self.flags.load(Acquire) & flag != 0
    }

    /// Sets or clears a flag; true if that changed it.
    fn change(&self, flag: u32, on: bool) -> bool {
        let before = if on { self.flags.fetch_or(flag, SeqCst) } else { self.flags.fetch_and(!flag, SeqCst) };
        (before & flag != 0) != on
    }

    /// Whether some lane holds the folio lock.
    pub fn is_locked(&self) -> bool {
        self.has(LOCKED)
    }

    /// Whether all bytes are valid.
    pub fn is_uptodate(&self) -> bool {
        self.has(UPTODATE)
    }

    /// All bytes are valid.
    pub fn set_uptodate(&self) {
        self.change(UPTODATE, true);
    }

    /// Whether it has bytes the device does not have.
    pub fn is_dirty(&self) -> bool {
        self.has(DIRTY)
    }

    /// Whether it is being written to the device.
    pub fn is_writeback(&self) -> bool {
        self.has(WRITEBACK)
    }

    /// Whether it is in the file's index. Changes under the folio lock only.
    pub fn is_attached(&self) -> bool {
        self.has(ATTACHED)
    }

    /// Whether meeting it begins the next window of readahead.
    pub fn is_marked(&self) -> bool {
        self.has(MARKED)
    }

    pub(crate) fn set_mark(&self) {
        self.change(MARKED, true);
    }

    /// Clears the mark of readahead; whether there was one.
    pub(crate) fn take_mark(&self) -> bool {
        self.change(MARKED, false)
    }

    /// Whether a read of it has failed since it was last filled.
    pub(crate) fn read_has_failed(&self) -> bool {
        self.has(READ_FAILED)
    }

    pub(crate) fn set_read_failed(&self, failed: bool) {
        self.change(READ_FAILED, failed);
    }

    /// Whether it has ever had journal buffers: otherwise nobody has to look for them.
    pub(crate) fn was_buffered(&self) -> bool {
        self.has(BUFFERED)
    }

    pub(crate) fn set_buffered(&self) {
        self.change(BUFFERED, true);
    }

    pub(crate) fn change_dirty(&self, on: bool) -> bool {
        self.change(DIRTY, on)
    }

    pub(crate) fn change_writeback(&self, on: bool) -> bool {
        self.change(WRITEBACK, on)
    }

    pub(crate) fn change_attached(&self, on: bool) -> bool {
        self.change(ATTACHED, on)
    }

    /// Number of references.
    pub fn refs(&self) -> i32 {
        self.refs.load(Acquire)
    }

    pub(crate) fn add_refs(&self, count: i32) {
        self.refs.fetch_add(count, AcqRel);
    }

    /// Takes all references away if there are exactly `expected`: from here on lookups fail to get one.
    pub(crate) fn freeze(&self, expected: i32) -> bool {
        self.refs.compare_exchange(expected, 0, AcqRel, Relaxed).is_ok()
    }

    pub(crate) fn unfreeze(&self, count: i32) {
        self.refs.store(count, Release);
    }

    fn try_lock_flag(&self, lane: LaneId) -> Option<()> {
        if !self.change(LOCKED, true) {
            return None;
        }
        self.lock_owner.store(lane.0, Relaxed);
        Some(())
    }

    /// Also by the end of a read that the lock was handed to.
    pub(crate) fn unlock(&self) {
        self.lock_owner.store(NO_OWNER, Relaxed);
        assert!(self.change(LOCKED, false), "unlocking folio {} that is not locked", self.index);
        self.waiters.wake_all_fenced();
    }

    fn waiting(&self, y: Y, what: &'static str, holders: u64) -> Waiting {
        Waiting { y, what, id: self.index, holders }
    }

    /// The lane that holds the folio lock, as a bit; 0 if none does.
    pub fn lock_holder(&self) -> u64 {
        match self.lock_owner.load(Relaxed) {
            NO_OWNER => 0,
            lane => LaneId(lane).bit(),
        }
    }

    /// Sleeps at `y` until the folio is not locked, without taking the lock.
    pub async fn wait_unlocked(&self, task: &Task, y: Y) {
        let ready = || (!self.is_locked()).then_some(());
        self.waiters.wait(task, ready, || self.waiting(y, "folio lock", self.lock_holder())).await;
    }

    /// Sleeps until the folio is not under writeback. Woken is not enough: another writeback may have begun.
    pub async fn wait_writeback(&self, task: &Task, y: Y) {
        if !self.is_writeback() {
            return;
        }
        task.at(y).await;
        let ready = || (!self.is_writeback()).then_some(());
        let owed = LaneId::END_IO.bit() | Waiting::OWED;
        self.waiters.wait(task, ready, || self.waiting(y, "end of writeback of folio", owed)).await;
    }

    /// One of its flags was cleared.
    pub(crate) fn wake(&self) {
        self.waiters.wake_all_fenced();
    }
}

impl Drop for Folio {
    /// The memory goes back. Whoever still counts on a reference then, or has dropped one too many, is wrong.
    fn drop(&mut self) {
        self.memory.lost_refs.fetch_add(self.refs().unsigned_abs().into(), Relaxed);
    }
}

/// A reference to a folio.
#[derive(Debug)]
pub struct FolioRef(Arc<Folio>);

impl FolioRef {
    /// Takes a reference unless the folio is frozen or gone: then it gives the pointer back.
    pub(crate) fn try_get(folio: Arc<Folio>) -> std::result::Result<FolioRef, Arc<Folio>> {
        let mut refs = folio.refs.load(Acquire);
        while refs > 0 {
            match folio.refs.compare_exchange_weak(refs, refs + 1, AcqRel, Acquire) {
                Ok(_) => return Ok(FolioRef(folio)),
                Err(now) => refs = now,
            }
        }
        Err(folio)
    }

    pub(crate) fn arc(&self) -> &Arc<Folio> {
        &self.0
    }

    /// Whether both refer to one folio.
    pub fn is(&self, other: &Arc<Folio>) -> bool {
        Arc::ptr_eq(&self.0, other)
    }

    /// Takes the folio lock, sleeping at `y`.
    pub async fn lock(self, task: &Task, y: Y) -> Locked {
        {
            let folio = &*self.0;
            if folio.try_lock_flag(task.lane()).is_none() {
                task.at(y).await;
                let waiting = || folio.waiting(y, "folio lock", folio.lock_holder());
                folio.waiters.wait(task, || folio.try_lock_flag(task.lane()), waiting).await;
            }
        }
        Locked::of(self)
    }

    /// Takes the folio lock if it is free.
    pub fn try_lock(self, task: &Task) -> std::result::Result<Locked, FolioRef> {
        match self.0.try_lock_flag(task.lane()) {
            Some(()) => Ok(Locked::of(self)),
            None => Err(self),
        }
    }
}

impl Clone for FolioRef {
    fn clone(&self) -> FolioRef {
        self.0.add_refs(1);
        FolioRef(self.0.clone())
    }
}

impl Drop for FolioRef {
    fn drop(&mut self) {
        self.0.add_refs(-1);
    }
}

impl Deref for FolioRef {
    type Target = Folio;
    fn deref(&self) -> &Folio {
        &self.0
    }
}

/// A referenced folio whose lock this lane holds.
#[derive(Debug)]
#[must_use = "the folio is unlocked when this is dropped"]
pub struct Locked {
    /// None once the reference is taken out: the lock is somebody else's then, or nobody's.
    folio: Option<FolioRef>,
}

impl Locked {
    fn of(folio: FolioRef) -> Locked {
        Locked { folio: Some(folio) }
    }

    /// A folio that [`Folio::create`] made: locked already.
    pub(crate) fn created(folio: FolioRef) -> Locked {
        debug_assert!(folio.is_locked());
        Locked::of(folio)
    }

    /// The reference, without giving up the lock.
    pub fn folio(&self) -> &FolioRef {
        let Some(folio) = &self.folio else { unreachable!("the reference is taken out by what consumes this") };
        folio
    }

    fn into_folio(mut self) -> FolioRef {
        let Some(folio) = self.folio.take() else { unreachable!("the reference is taken out once") };
        folio
    }

    /// Hands the lock to the reads of the folio that are under way: the last one to end unlocks it.
    pub(crate) fn hand_to_reads(self) -> FolioRef {
        self.lock_owner.store(LaneId::END_IO.0, Relaxed);
        self.into_folio()
    }

    /// Unlocks, keeping the reference.
    pub fn unlock(self) -> FolioRef {
        let folio = self.into_folio();
        folio.unlock();
        folio
    }
}

impl Deref for Locked {
    type Target = Folio;
    fn deref(&self) -> &Folio {
        self.folio()
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        if let Some(folio) = &self.folio {
            folio.unlock();
        }
    }
}
