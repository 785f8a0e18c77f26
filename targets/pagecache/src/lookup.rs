//! Finding folios, and creating them.

use crate::folio::{Folio, FolioRef, Locked};
use crate::index::{Index, PreparedSplit, Room, Shadow, Slot};
use crate::invariants::Broken;
use crate::mapping::Mapping;
use crate::memory::Stat;
use crate::reclaim::{Reclaim, make_room};
use crate::tree::TreeGuard;
use faults::Fault;
use lanes::{Task, Y};
use std::sync::Arc;

impl Mapping {
    /// The folio that contains page `index`, referenced.
    ///
    /// Slot loaded, reference tried, slot loaded again: the folio can leave the file between any two of these.
    /// Whoever needs it to stay has to lock it and test [`Folio::is_attached`].
    pub async fn lookup(&self, task: &Task, index: u64) -> Option<FolioRef> {
        let load = || self.index().load(index).map(|entry| entry.folio.clone());
        let mut slot = load()?;
        loop {
            task.at(Y::LK1).await;
            let seen = match FolioRef::try_get(slot) {
                Ok(folio) => {
                    task.at(Y::LK2).await;
                    let is_there = || self.index().load(index).is_some_and(|entry| folio.is(entry.folio));
                    if self.faults.armed(Fault::LookupNoReload) || is_there() {
                        self.expect_contains(&folio, index);
                        return Some(folio);
                    }
                    folio.arc().clone()
                }
                Err(frozen) => frozen,
            };
            self.retry(task).await;
            slot = if self.faults.armed(Fault::RetriesFrozen) { seen } else { load()? };
        }
    }

    /// A folio that stands in the slot of `index` while somebody has a reference to it contains that page: it can be
    /// split only where nobody has one.
    fn expect_contains(&self, folio: &Folio, index: u64) {
        if !folio.contains(index) {
            let at = folio.index();
            self.report(Broken::invariant(format!("the lookup of page {index} answers folio {at}, which lacks it")));
        }
    }

    /// The folio that `find` finds in the index, referenced, for walks that test it under its lock anyway.
    ///
    /// A folio whose references are frozen is being removed or split, or will turn out to be in use and stay: it may
    /// not be passed over. Frozen sections are short and do not sleep, so this looks again until it is over.
    pub async fn peek(&self, task: &Task, find: impl Fn(&Index) -> Option<Slot<'_>>) -> Option<FolioRef> {
        loop {
            let found = find(&self.index())?.folio.clone();
            if let Ok(folio) = FolioRef::try_get(found) {
                return Some(folio);
            }
            self.retry(task).await;
        }
    }

    /// A lookup has met a frozen folio, or one that has left its slot: before it looks again.
    pub(crate) async fn retry(&self, task: &Task) {
        task.at(Y::LK3).await;
        self.tree_settled(task).await;
    }

    /// A reference to a folio found in the index, unless it is being removed or split at this moment.
    pub fn reference(&self, folio: &Arc<Folio>) -> Option<FolioRef> {
        FolioRef::try_get(folio.clone()).ok()
    }

    /// The folio that contains page `index`, locked; created if there is none, with an order that suits a
    /// transfer of `len` bytes. A created folio is not uptodate. Its bytes may be changed.
    pub async fn lock_or_create(&self, task: &Task, index: u64, len: u64) -> Locked {
        loop {
            if let Some(folio) = self.lookup(task, index).await {
                let locked = folio.lock(task, Y::LOCK).await;
                if locked.is_attached() && locked.contains(index) {
                    self.wait_stable(task, &locked, Y::WBW).await;
                    return locked;
                }
                continue; // truncated, reclaimed or split meanwhile
            }
            if let Some(created) = self.create(task, index, len).await {
                return created;
            }
        }
    }

    /// Whether a folio for `pages` pages from `index` on fits into memory, having evicted others for it if need be.
    pub(crate) async fn has_room(&self, task: &Task, index: u64, pages: u64) -> bool {
        let wanted = 1 << self.order_for(index, pages * self.sizes.page);
        if self.memory.is_short(task.lane(), wanted) {
            make_room(self, task, wanted, Reclaim::InFileSystem).await;
        }
        !self.memory.is_short(task.lane(), wanted)
    }

    /// A new folio that contains page `index`, locked; `None` if another lane was faster.
    pub(crate) async fn create(&self, task: &Task, index: u64, len: u64) -> Option<Locked> {
        self.create_with(task, index, len, Reclaim::InFileSystem).await
    }

    /// As [`Mapping::create`]; what reclaim may do if memory is short is for the caller to know.
    pub(crate) async fn create_with(&self, task: &Task, index: u64, len: u64, how: Reclaim) -> Option<Locked> {
        let wanted = self.order_for(index, len);
        task.at(Y::ALLOC).await;
        task.at(Y::G3).await;
        if self.memory.is_short(task.lane(), 1 << wanted) {
            make_room(self, task, 1 << wanted, how).await;
        }
        task.at(Y::ADD1).await;
        let mut order = wanted;
        let locked = loop {
            // Only the smallest order aligns the index down; the others are never larger than its alignment.
            let aligned_to = if self.faults.armed(Fault::FallbackNotRealigned) { wanted } else { order };
            let first = index >> aligned_to << aligned_to;
            let folio = Folio::create(&self.memory, first, order, (self.sizes.page << order) as usize, task.lane());
            if self.add(task, &folio).await {
                break Locked::created(folio);
            }
            drop(Locked::created(folio));
            if order == self.sizes.min_order {
                return None;
            }
            order -= 1;
        };
        task.at(Y::ADD4).await;
        Some(locked)
    }

    /// Largest order that `len` bytes fill, the index is aligned to, and the limits allow.
    fn order_for(&self, index: u64, len: u64) -> u8 {
        let pages = (len / self.sizes.page).max(1);
        let by_len = pages.ilog2() as u8;
        let aligned = index == 0 || self.faults.armed(Fault::FallbackNotRealigned);
        let by_index = if aligned { u8::MAX } else { index.trailing_zeros() as u8 };
        by_len.min(by_index).min(self.sizes.max_order).max(self.sizes.min_order)
    }

    /// Puts a new folio into the index. False if another one is there.
    ///
    /// A shadow larger than the folio is split first. That takes nodes, which are allocated without the tree lock and
    /// filled with what the shadow was then; so under the lock it is compared with what the shadow is now.
    async fn add(&self, task: &Task, folio: &FolioRef) -> bool {
        let mut prepared = None;
        let mut short = self.memory.is_short(task.lane(), folio.pages());
        loop {
            let tree = self.lock_tree(task).await;
            let room = tree.index().room(folio);
            if matches!(room, Room::Taken) {
                return false;
            }
            if std::mem::take(&mut short) {
                // The node for the folio's own slot is not to be had under the lock either.
                drop(tree);
                task.at(Y::ADD3).await;
                continue;
            }
            if let Err(shadow) = self.split_shadow(&tree, room, prepared.take()) {
                drop(tree);
                task.at(Y::ADD2).await;
                prepared = Some(shadow.prepare_split(folio.order()));
                continue;
            }
            tree.index().insert(folio.arc().clone());
            folio.add_refs(folio.pages() as i32);
            folio.change_attached(true);
            self.memory.count(Stat::Cached, folio, folio.pages() as i64);
            return true;
        }
    }

    /// Splits a shadow that is larger than the folio, if what was prepared is for it; otherwise the shadow to prepare for.
    fn split_shadow(&self, tree: &TreeGuard<'_>, room: Room, prepared: Option<PreparedSplit>) -> Result<(), Shadow> {
        let checked = !self.faults.armed(Fault::ShadowSplitStale);
        if prepared.is_some_and(|nodes| tree.index().split_shadow(nodes, checked)) {
            return Ok(());
        }
        match room {
            Room::Within(shadow) if !self.faults.armed(Fault::ShadowOverwritten) => Err(shadow),
            _ => Ok(()),
        }
    }
}
