//! The journal of a file whose data is journaled.
//!
//! What a write changes in a folio is one transaction. It is begun before the folio is locked, and while the folio is
//! still locked the changed blocks are pinned: nobody may write them in place or release the folio before the log has
//! them. A flush of the log waits for the transactions that are open, takes all that is pinned, and makes it dirty.
//!
//! Order, outer to inner: transaction, folio lock. A flush locks folios, so nobody who holds one may wait for a flush.

use lanes::{LaneId, Task, WaitQueue, Waiting, Y};
use pagecache::{Broken, FolioRef, Mapping};
use parking_lot::Mutex;
use std::ops::Range;

/// Blocks the log has room for, before a transaction flushes it first.
const LOG_BLOCKS: u32 = 12;

/// What has to go to the log, and who is about to add to it.
#[derive(Debug, Default)]
pub struct Journal {
    state: Mutex<State>,
    changed: WaitQueue,
}

#[derive(Debug, Default)]
struct State {
    /// The lanes with an open transaction, as bits.
    open: u64,
    /// The lane that flushes the log.
    flushing: Option<LaneId>,
    /// Folios with pinned blocks, and how many those are.
    folios: Vec<FolioRef>,
    blocks: u32,
}

impl Journal {
    /// Begins a transaction of this lane. It must have none: they do not nest.
    pub async fn begin(&self, task: &Task, mapping: &Mapping) {
        task.at(Y::J0).await;
        if self.state.lock().blocks >= LOG_BLOCKS {
            self.flush(task, mapping).await;
        }
        let mut state = self.state.lock();
        if state.open & task.lane().bit() != 0 {
            mapping.report(Broken::invariant(format!("lane {} begins a transaction inside another one", task.lane())));
        }
        state.open |= task.lane().bit();
    }

    /// Adds the blocks of bytes `changed` of the folio to the open transaction of the caller's lane.
    pub fn add(&self, mapping: &Mapping, folio: &FolioRef, changed: &Range<u64>) {
        let added = if changed.is_empty() { 0 } else { mapping.pin(folio, changed) };
        if added > 0 {
            let mut state = self.state.lock();
            state.blocks += added;
            state.folios.push(folio.clone());
        }
    }

    /// Ends this lane's transaction.
    pub fn end(&self, task: &Task) {
        self.state.lock().open &= !task.lane().bit();
        self.changed.wake_all();
    }

    /// Writes to the log all that is pinned when the open transactions have ended. From then on it is dirty. Returns
    /// when that is so, whoever did it.
    pub async fn flush(&self, task: &Task, mapping: &Mapping) {
        if self.is_idle() {
            return;
        }
        task.at(Y::J1).await;
        let folios = self.changed.wait(task, || self.take(task), || self.waiting()).await;
        for folio in folios {
            task.at(Y::J2).await;
            let locked = folio.lock(task, Y::J2).await;
            mapping.unpin(task, &locked).await;
        }
        self.state.lock().flushing = None;
        self.changed.wake_all();
    }

    /// Nothing is pinned, and nobody is about to make dirty what was.
    fn is_idle(&self) -> bool {
        let state = self.state.lock();
        state.folios.is_empty() && state.flushing.is_none()
    }

    fn take(&self, task: &Task) -> Option<Vec<FolioRef>> {
        let mut state = self.state.lock();
        if state.open != 0 || state.flushing.is_some() {
            return None;
        }
        state.flushing = Some(task.lane());
        state.blocks = 0;
        Some(std::mem::take(&mut state.folios))
    }

    fn waiting(&self) -> Waiting {
        let state = self.state.lock();
        let holders = state.open | state.flushing.map_or(0, LaneId::bit);
        Waiting { y: Y::J1, what: "the end of open transactions", id: 0, holders }
    }

    /// At rest no transaction is open and the log has everything.
    ///
    /// # Errors
    /// What is left.
    pub fn check_at_rest(&self) -> Result<(), Broken> {
        let state = self.state.lock();
        if state.open != 0 || state.flushing.is_some() {
            return Err(Broken::invariant("a transaction is open though every operation has returned".into()));
        }
        match state.folios.iter().find(|folio| folio.is_pinned()) {
            Some(folio) => Err(Broken::invariant(format!("folio {} waits for the log after a sync", folio.index()))),
            None => Ok(()),
        }
    }
}
