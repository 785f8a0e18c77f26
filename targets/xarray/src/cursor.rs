//! A walk in steps, between which the caller may drop its lock.

use crate::arena::{NodeId, PRESENT, Slot};
use crate::entry::{Entry, Found, Raw, Removed};
use crate::mark::Mark;
use crate::tree::{Place, XArray};
use crate::walk::{Begin, Range};

/// A position in an array: an index, and a remembered node that saves the way from the root to it.
///
/// It does not borrow the array, so the array may change between two steps. The remembered node is used only while no
/// node has been freed since ([`is_current`](Cursor::is_current)); otherwise the step walks from the root again. Either
/// way a step sees the array as it is at that moment, from the cursor's index on: entries are never reported twice,
/// unless one was replaced by a larger one that covers the index as well.
///
/// What a step reported may be gone by the next. The operations on "the entry last reported" act on whatever covers its
/// first index now, so a caller that dropped its lock has to look again first ([`recheck`](Cursor::recheck)).
///
/// A cursor belongs to one array. With another, its remembered node means nothing; [`reset`](Cursor::reset) it.
#[derive(Clone, Debug)]
pub struct Cursor {
    index: u64,
    last: Option<u64>,
    at: Option<Remembered>,
}

#[derive(Clone, Copy, Debug)]
struct Remembered {
    node: NodeId,
    /// First index of the node.
    base: u64,
    shift: u8,
    version: u64,
}

impl Cursor {
    /// A cursor before `index`.
    pub fn new(index: u64) -> Cursor {
        Cursor { index, last: None, at: None }
    }

    /// Where the next step begins: after the entry last reported.
    pub fn index(&self) -> u64 {
        self.index
    }

    /// First index of the entry last reported.
    pub fn last(&self) -> Option<u64> {
        self.last
    }

    /// Lets the next step begin at `index`. The remembered node stays, and is used if `index` is near.
    pub fn seek(&mut self, index: u64) {
        self.index = index;
    }

    /// Forgets the remembered node: the next step walks from the root. Never needed for a right result.
    pub fn reset(&mut self) {
        self.at = None;
    }

    /// Whether the remembered node, if there is one, is certain to be where it was.
    pub fn is_current<T>(&self, array: &XArray<T>) -> bool {
        self.at.is_none_or(|at| at.version == array.arena.version)
    }

    /// The entry that covers the cursor's index, which does not move. O(1) in the remembered node, else O(height).
    pub fn load<'a, T>(&mut self, array: &'a XArray<T>) -> Option<Found<'a, T>> {
        let mut cursor = self.clone();
        let found = cursor.step(array, self.index.saturating_add(1), PRESENT);
        self.at = cursor.at;
        self.last = found.map(|found| found.index);
        found
    }

    /// The first entry that covers an index from the cursor's on and below `end`; the cursor moves behind it.
    /// O(1) amortised over a walk; O(height) after a node was freed.
    pub fn next<'a, T>(&mut self, array: &'a XArray<T>, end: u64) -> Option<Found<'a, T>> {
        self.step(array, end, PRESENT)
    }

    /// As [`next`](Cursor::next), of entries with `mark`.
    pub fn next_marked<'a, T>(&mut self, array: &'a XArray<T>, end: u64, mark: Mark) -> Option<Found<'a, T>> {
        self.step(array, end, mark as usize)
    }

    fn step<'a, T>(&mut self, array: &'a XArray<T>, end: u64, bitmap: usize) -> Option<Found<'a, T>> {
        self.at = self.at.filter(|at| at.version == array.arena.version);
        if self.index >= end || !array.covers(self.index) {
            self.last = None;
            return None;
        }
        let (node, base) = self.start(array);
        let mut range = Range::below(array, node, base, self.index, end, bitmap, Begin::AtEntry);
        let found = range.next();
        if let Some((node, base)) = range.place() {
            let shift = array.arena.node(node).shift;
            self.at = Some(Remembered { node, base, shift, version: array.arena.version });
        }
        self.last = found.map(|found| found.index);
        self.index = found.map_or(self.index, |found| found.end());
        found
    }

    /// The lowest node known to cover the index, which the root does: the remembered one, which is current, or a
    /// parent of it.
    fn start<T>(&self, array: &XArray<T>) -> (NodeId, u64) {
        let Some(Remembered { mut node, mut base, .. }) = self.at else {
            return (array.root, 0);
        };
        while node != array.root {
            let at = array.arena.node(node);
            if self.index >= base && (self.index - base) >> at.shift < array.arena.width() as u64 {
                return (node, base);
            }
            base -= u64::from(at.offset) << (at.shift + array.arena.chunk);
            node = at.parent;
        }
        (array.root, 0)
    }

    /// What covers the first index of the entry last reported now. O(height).
    pub fn recheck<'a, T>(&self, array: &'a XArray<T>) -> Option<Found<'a, T>> {
        array.load(self.last?)
    }

    /// Replaces the value of the entry last reported, which keeps extent and marks. What it was; `None`, and nothing
    /// changes, if there is nothing any more. O(height).
    pub fn replace<T>(&mut self, array: &mut XArray<T>, entry: Entry<T>) -> Option<Entry<T>> {
        let (at, order) = array.locate(self.last?)?;
        array.put(at, Slot::new(order, entry)).into_entry()
    }

    /// Takes out the entry last reported. The cursor stays where it is. O(height + slots taken).
    pub fn erase<T>(&mut self, array: &mut XArray<T>) -> Option<Removed<T>> {
        array.erase(self.last?)
    }

    /// Sets or clears a mark of the entry last reported. False if there is nothing any more. O(height).
    pub fn change_mark<T>(&mut self, array: &mut XArray<T>, mark: Mark, on: bool) -> bool {
        let Some(index) = self.last else { return false };
        if on { array.set_mark(index, mark) } else { array.clear_mark(index, mark) }
    }

    /// What the remembered node has for the cursor's index, whether or not the cursor is current: the node may stand
    /// for other indices by now. [`Raw::Empty`] without a remembered node, and for one that was freed, or used again
    /// at another level. The first index of an entry reported is computed from the cursor's index, which then is
    /// wrong too. O(1).
    ///
    /// For callers that model a walk which was not reset after its lock was dropped. They ask before the next step,
    /// which forgets a node that is no longer current.
    pub fn load_stale<'a, T>(&self, array: &'a XArray<T>) -> Raw<'a, T> {
        match self.remembered_slot(array) {
            Some(at) => Raw::of(&array.arena, at.node, at.offset, self.index),
            None => Raw::Empty,
        }
    }

    /// Stores into the slot that [`load_stale`](Cursor::load_stale) looks at; an entry there is replaced in its
    /// extent, a subtree freed, an empty slot filled. The array stays well-formed, but the entry may stand at other
    /// indices than the cursor's. `Err` gives the entry back if there is no such slot. O(1), and O(nodes) of a subtree.
    ///
    /// # Errors
    /// The entry, if no node is remembered or it has been freed.
    pub fn store_stale<T>(&self, array: &mut XArray<T>, entry: Entry<T>) -> Result<Option<Entry<T>>, Entry<T>> {
        let Some(at) = self.remembered_slot(array) else { return Err(entry) };
        let at = array.canonical(at);
        let order = array.arena.slot(at.node, at.offset).order();
        Ok(match order {
            Some(order) => array.put(at, Slot::new(order, entry)).into_entry(),
            None => array.overwrite(at, array.arena.node(at.node).shift, entry),
        })
    }

    fn remembered_slot<T>(&self, array: &XArray<T>) -> Option<Place> {
        let Remembered { node, shift, .. } = self.at?;
        let there = array.arena.is_used(node) && array.arena.node(node).shift == shift;
        there.then(|| Place { node, offset: array.arena.offset(shift, self.index) })
    }
}
