//! Splitting an entry into smaller ones, in three phases.
//!
//! Smaller entries may need nodes, and memory is not to be had under the lock that protects an array. So: prepare
//! without the lock what the split will need; take the lock and test that the entry is still the one prepared for;
//! put what was prepared in its place. The prepared nodes are filled already, with the entry seen at the time: used
//! without the test they overwrite whatever has come into the range since.

use crate::arena::{Arena, NONE, NodeId, PRESENT, Slot};
use crate::entry::{Entry, Same};
use crate::mark::Mark;
use crate::store::mask;
use crate::tree::{Place, XArray};
use std::fmt;

/// What a split needs: nodes, filled with copies of the entry that was seen.
#[derive(Clone)]
pub struct Preallocation<T> {
    index: u64,
    old_order: u8,
    new_order: u8,
    entry: Entry<T>,
    arena: Arena<T>,
    /// The nodes that take the place of the entry's slots; none if the pieces stand in slots of the same node.
    tops: Vec<NodeId>,
}

/// The entry is not, or no longer, the one that a preallocation was made for. Nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale;

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the entry is not the one the split was prepared for")
    }
}

impl std::error::Error for Stale {}

impl<T: Clone> Preallocation<T> {
    /// What replacing `entry`, said to be of `old_order` at `index` (which is aligned down), by pieces of `new_order`
    /// needs, whatever an array really has there. [`XArray::prepare_split`] is the one to use; this is for callers
    /// that know entry and order from elsewhere. O(pieces).
    ///
    /// # Panics
    /// If `new_order` is not below `old_order`, that is above [`MAX_ORDER`](XArray::MAX_ORDER), or the chunk shift is
    /// no chunk shift.
    pub fn new(chunk_shift: u8, index: u64, old_order: u8, new_order: u8, entry: Entry<T>) -> Preallocation<T> {
        assert!(new_order < old_order && old_order <= XArray::<T>::MAX_ORDER && (1..=6).contains(&chunk_shift));
        let index = index >> old_order << old_order;
        let (arena, tops) = (Arena::new(chunk_shift), Vec::new());
        let mut made = Preallocation { index, old_order, new_order, entry, arena, tops };
        let shift = old_order - old_order % chunk_shift;
        if shift > new_order {
            let slots = 1 << (old_order % chunk_shift);
            made.tops = (0..slots).map(|_| made.fill(shift - chunk_shift, NONE, 0)).collect();
        }
        made
    }

    /// A node of `shift` with pieces in it, or with nodes with pieces.
    fn fill(&mut self, shift: u8, parent: NodeId, offset: usize) -> NodeId {
        let id = self.arena.alloc(shift, parent, offset);
        let below = shift > self.new_order;
        let step = if below { 1 } else { 1 << (self.new_order % self.arena.chunk) };
        for first in (0..self.arena.width()).step_by(step) {
            let slot = match below {
                true => Slot::Node(self.fill(shift - self.arena.chunk, id, first)),
                false => Slot::new(self.new_order, self.entry.clone()),
            };
            self.arena.put(id, first, slot);
            self.arena.node_mut(id).bits[PRESENT] |= 1 << first;
            for sibling in first + 1..first + step {
                self.arena.put(id, sibling, Slot::Sibling(first as u8));
            }
        }
        id
    }
}

impl<T> Preallocation<T> {
    /// First index of the entry it was made for.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// Order of that entry.
    pub fn old_order(&self) -> u8 {
        self.old_order
    }

    /// Order of the pieces.
    pub fn new_order(&self) -> u8 {
        self.new_order
    }

    /// That entry.
    pub fn entry(&self) -> &Entry<T> {
        &self.entry
    }

    /// How many nodes were prepared.
    pub fn len_nodes(&self) -> usize {
        self.arena.len()
    }

    /// First indices of the pieces.
    pub fn pieces(&self) -> impl Iterator<Item = u64> + use<T> {
        let (index, order) = (self.index, self.new_order);
        (0..1u64 << (self.old_order - order)).map(move |n| index + (n << order))
    }

    /// Whether the array still has the very entry, in its old place and size, for which this was made. O(height).
    pub fn is_for(&self, array: &XArray<T>) -> bool
    where
        T: Same,
    {
        array.load(self.index).is_some_and(|found| {
            let place = (found.index, found.order) == (self.index, self.old_order);
            place && array.chunk_shift() == self.arena.chunk && found.is(&self.entry)
        })
    }
}

impl<T: Clone> XArray<T> {
    /// First phase, which needs no lock afterwards: prepares to split the entry that covers `index` into pieces of
    /// `new_order`. `None` if there is no entry or it is not larger than that. O(pieces).
    pub fn prepare_split(&self, index: u64, new_order: u8) -> Option<Preallocation<T>> {
        let found = self.load(index).filter(|found| found.order > new_order)?;
        Some(Preallocation::new(self.chunk_shift(), found.index, found.order, new_order, found.entry.cloned()))
    }

    /// Second and third phase: replaces the entry by pieces if it is still the one prepared for.
    ///
    /// `piece` is asked for each piece's entry by its first index, in order; a piece without one leaves its indices
    /// empty. Every piece inherits all marks of the old entry. O(pieces × height).
    ///
    /// A caller that must not show all new entries at once gives the old one for every piece, and stores the new ones
    /// into the pieces afterwards.
    ///
    /// # Errors
    /// [`Stale`] if the entry, its place or its size is another: prepare again.
    pub fn split(&mut self, prepared: Preallocation<T>, piece: impl FnMut(u64) -> Option<Entry<T>>) -> Result<(), Stale>
    where
        T: Same,
    {
        if !prepared.is_for(self) {
            return Err(Stale);
        }
        self.split_unchecked(prepared, piece);
        Ok(())
    }

    /// As [`split`](XArray::split) without the second phase: what is in the range by now, if it is not the entry
    /// prepared for, is overwritten by it, as by [`store`](XArray::store), and that is split. False, and nothing
    /// changes, if the range has become part of a larger entry, or the chunk shift is another.
    ///
    /// For callers that model a split which trusts what it saw before it dropped the lock. To leave the prepared
    /// entry in the pieces let `piece` return clones of it.
    pub fn split_unchecked(
        &mut self,
        prepared: Preallocation<T>,
        mut piece: impl FnMut(u64) -> Option<Entry<T>>,
    ) -> bool {
        let Preallocation { index, old_order, .. } = prepared;
        let larger = self.load(index).is_some_and(|found| found.order > old_order);
        if larger || prepared.arena.chunk != self.chunk_shift() {
            return false;
        }
        let pieces = prepared.pieces();
        self.store(index, old_order, prepared.entry.clone());
        self.install(prepared);
        for index in pieces {
            match piece(index) {
                Some(entry) => drop(self.store(index, 0, entry)),
                None => drop(self.erase(index)),
            }
        }
        true
    }

    /// Splits the value that covers `index` into pieces of `new_order` that all have it: what a shadow needs before
    /// something smaller is stored into its range. False if there is no value or it is not larger. All three phases
    /// at once, for callers that hold a lock under which they may allocate. O(pieces).
    pub fn split_value(&mut self, index: u64, new_order: u8) -> bool {
        let Some(prepared) = self.prepare_split(index, new_order) else { return false };
        if prepared.entry.value().is_none() {
            return false;
        }
        self.install(prepared);
        true
    }

    /// Puts the prepared slots or nodes in the place of the entry, which is there in the size prepared for.
    fn install(&mut self, prepared: Preallocation<T>) {
        let Preallocation { index, old_order, new_order, entry, arena, tops } = prepared;
        let Some((at, _)) = self.locate(index) else { return };
        let marks = self.arena.marks_at(at.node, at.offset);
        let slots = at.offset..at.offset + (1 << (old_order % self.arena.chunk));
        self.count_pieces(&entry, 1 << (old_order - new_order));
        let starts = if tops.is_empty() {
            let step = 1 << (new_order % self.arena.chunk);
            self.divide(at, &slots, step, new_order, &entry);
            mask(&slots) & multiples(step)
        } else {
            let map = self.arena.adopt(arena);
            for &node in &map {
                let node = self.arena.node_mut(node);
                marks.iter().for_each(|mark| node.bits[mark as usize] = node.bits[PRESENT]);
            }
            for (offset, top) in slots.clone().zip(tops) {
                let top = map[top as usize];
                let below = self.arena.node_mut(top);
                (below.parent, below.offset) = (at.node, offset as u8);
                self.arena.put(at.node, offset, Slot::Node(top));
            }
            mask(&slots)
        };
        // The slots had these bits before, in the first of them, so that parents need no change.
        let node = self.arena.node_mut(at.node);
        node.bits[PRESENT] |= starts;
        marks.iter().for_each(|mark: Mark| node.bits[mark as usize] |= starts);
        self.lower(); // an entry at index 0 may have been all that the top was for
    }

    /// Pieces that fit the slots of the same node.
    fn divide(&mut self, at: Place, slots: &std::ops::Range<usize>, step: usize, order: u8, entry: &Entry<T>) {
        for first in slots.clone().step_by(step) {
            self.arena.put(at.node, first, Slot::new(order, entry.clone()));
            for sibling in first + 1..first + step {
                self.arena.put(at.node, sibling, Slot::Sibling(first as u8));
            }
        }
    }

    /// One entry has become `pieces` entries that together cover the same indices.
    fn count_pieces(&mut self, entry: &Entry<T>, pieces: u64) {
        match entry {
            Entry::Item(_) => self.counts.items += pieces - 1,
            Entry::Value(_) => self.counts.values += pieces - 1,
        }
    }
}

/// Every `step`th bit, `step` being a power of two.
fn multiples(step: usize) -> u64 {
    (0..64).step_by(step).fold(0, |bits, n| bits | 1 << n)
}
