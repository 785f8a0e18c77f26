//! The array itself: what it counts, and lookup of one index.

use crate::arena::{Arena, NONE, NodeId, PRESENT, Slot};
use crate::entry::{Found, Raw};
use crate::mark::{Mark, Marks};
use std::fmt;

/// An ordered map from indices to entries, where an entry may cover a power of two of aligned indices.
///
/// Costs are given in the tree's height: the logarithm of the largest index present to base `1 << chunk_shift`.
#[derive(Clone)]
pub struct XArray<T> {
    pub(crate) arena: Arena<T>,
    pub(crate) root: NodeId,
    /// Shift of the root's slots; 0 without a root.
    pub(crate) top: u8,
    pub(crate) counts: Counts,
}

/// How many entries there are, and how many indices they cover.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Objects.
    pub items: u64,
    /// Indices that lead to objects.
    pub item_indices: u64,
    /// Values.
    pub values: u64,
    /// Indices that lead to values.
    pub value_indices: u64,
}

impl Counts {
    /// Adds what a slot holds itself.
    pub(crate) fn add<T>(&mut self, slot: &Slot<T>) {
        match slot {
            Slot::Item(order, _) => {
                (self.items, self.item_indices) = (self.items + 1, self.item_indices + (1 << order))
            }
            Slot::Value(order, _) => {
                (self.values, self.value_indices) = (self.values + 1, self.value_indices + (1 << order));
            }
            _ => {}
        }
    }

    /// Undoes [`Counts::add`].
    pub(crate) fn sub<T>(&mut self, slot: &Slot<T>) {
        match slot {
            Slot::Item(order, _) => {
                (self.items, self.item_indices) = (self.items - 1, self.item_indices - (1 << order))
            }
            Slot::Value(order, _) => {
                (self.values, self.value_indices) = (self.values - 1, self.value_indices - (1 << order));
            }
            _ => {}
        }
    }
}

/// A slot of a node.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) node: NodeId,
    pub(crate) offset: usize,
}

impl<T> XArray<T> {
    /// Indices are below this. (A file's pages are: its size is a signed 64-bit number of bytes.)
    pub const END: u64 = 1 << 63;

    /// Largest order of an entry.
    pub const MAX_ORDER: u8 = 62;

    /// An empty array whose nodes have `1 << chunk_shift` slots. The field uses 6; small shifts bring the shapes of
    /// large entries about with few indices.
    ///
    /// # Panics
    /// If `chunk_shift` is not in 1..=6.
    pub fn new(chunk_shift: u8) -> XArray<T> {
        assert!((1..=6).contains(&chunk_shift), "a node's slots are a power of two from 2 to 64");
        XArray { arena: Arena::new(chunk_shift), root: NONE, top: 0, counts: Counts::default() }
    }

    /// Binary logarithm of the slots in a node.
    pub fn chunk_shift(&self) -> u8 {
        self.arena.chunk
    }

    /// Whether there is no entry. O(1).
    pub fn is_empty(&self) -> bool {
        self.root == NONE
    }

    /// How many entries there are. O(1).
    pub fn len_entries(&self) -> u64 {
        self.counts.items + self.counts.values
    }

    /// How many indices lead to an entry: the sum of the entries' sizes. O(1).
    pub fn len_indices(&self) -> u64 {
        self.counts.item_indices + self.counts.value_indices
    }

    /// Objects and values counted apart. O(1).
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// How many nodes the entries stand in. O(1).
    pub fn len_nodes(&self) -> usize {
        self.arena.len()
    }

    /// How many nodes there is storage for; freed nodes stay in it for a while. At most four times the nodes in use, or
    /// a few more than these. O(1).
    pub fn len_storage(&self) -> usize {
        self.arena.numbers()
    }

    /// How many levels of nodes there are. O(1).
    pub fn height(&self) -> u8 {
        if self.root == NONE { 0 } else { self.top / self.arena.chunk + 1 }
    }

    /// A number that changes whenever a node is freed, which is when [`Cursor`](crate::Cursor)s lose their place.
    pub fn version(&self) -> u64 {
        self.arena.version
    }

    /// Shift of the slots that entries of `order` stand in: as many of them as fit the rest of the order.
    pub(crate) fn level(&self, order: u8) -> u8 {
        order - order % self.arena.chunk
    }

    /// Whether the root's slots cover `index`.
    #[inline]
    pub(crate) fn covers(&self, index: u64) -> bool {
        self.root != NONE && index >> self.top < self.arena.width() as u64
    }

    /// The entry that covers `index`: a lookup of order 0. O(height).
    #[inline]
    pub fn load(&self, index: u64) -> Option<Found<'_, T>> {
        if !self.covers(index) {
            return None;
        }
        let (mut node, mut shift) = (self.root, self.top);
        loop {
            let offset = self.arena.offset(shift, index);
            match self.arena.slot(node, offset) {
                Slot::Node(child) => (node, shift) = (*child, shift - self.arena.chunk),
                Slot::Sibling(canonical) => {
                    let canonical = *canonical as usize;
                    return self.arena.slot(node, canonical).found(&self.arena, node, canonical, index);
                }
                slot => return slot.found(&self.arena, node, offset, index),
            }
        }
    }

    /// What a lookup that was told `order` sees, which is *not* whether the range of that order is free.
    ///
    /// It goes down only to the node whose slots hold entries of that order, and looks there at the first slot of
    /// the range (or at the entry which that slot belongs to). If smaller entries stand under that slot the result
    /// is [`Raw::Internal`]; if the slot is empty it is [`Raw::Empty`], although later slots of the range may hold
    /// entries. A tree too low to have that level shows its root as [`Raw::Internal`]. To learn what is in the
    /// range use [`find_conflict`](XArray::find_conflict). O(height).
    pub fn load_order(&self, index: u64, order: u8) -> Raw<'_, T> {
        let (index, level) = (index >> order << order, self.level(order));
        if !self.covers(index) {
            return Raw::Empty;
        }
        if self.top < level {
            return Raw::Internal;
        }
        let at = self.descend(index, level);
        Raw::of(&self.arena, at.node, self.canonical(at).offset, index)
    }

    /// What is in the slot for `index`, without going to the canonical slot from a sibling: for those who want to
    /// see what a walker sees under which the tree changed. O(height).
    pub fn load_raw(&self, index: u64) -> Raw<'_, T> {
        if !self.covers(index) {
            return Raw::Empty;
        }
        let at = self.descend(index, 0);
        Raw::of(&self.arena, at.node, at.offset, index)
    }

    /// The slot for `index`, which the root covers, in a node of at least `level`.
    pub(crate) fn descend(&self, index: u64, level: u8) -> Place {
        let (mut node, mut shift) = (self.root, self.top);
        loop {
            let offset = self.arena.offset(shift, index);
            match self.arena.slot(node, offset) {
                Slot::Node(child) if shift > level => (node, shift) = (*child, shift - self.arena.chunk),
                _ => return Place { node, offset },
            }
        }
    }

    /// The canonical slot of the entry that the slot belongs to; the slot itself if it is no sibling.
    pub(crate) fn canonical(&self, at: Place) -> Place {
        match self.arena.slot(at.node, at.offset) {
            Slot::Sibling(offset) => Place { offset: *offset as usize, ..at },
            _ => at,
        }
    }

    /// The canonical slot of the entry that covers `index`, and the entry's order. O(height).
    pub(crate) fn locate(&self, index: u64) -> Option<(Place, u8)> {
        if !self.covers(index) {
            return None;
        }
        let at = self.canonical(self.descend(index, 0));
        Some((at, self.arena.slot(at.node, at.offset).order()?))
    }

    /// Whether any entry carries `mark`. O(1).
    pub fn any_marked(&self, mark: Mark) -> bool {
        self.root != NONE && self.arena.node(self.root).bits[mark as usize] != 0
    }

    /// Whether the entry that covers `index` carries `mark`; false without one. O(height).
    pub fn get_mark(&self, index: u64, mark: Mark) -> bool {
        self.load(index).is_some_and(|found| found.has(mark))
    }

    /// The marks of the entry that covers `index`. O(height).
    pub fn marks(&self, index: u64) -> Marks {
        self.load(index).map_or(Marks::NONE, |found| found.marks())
    }

    /// Marks the entry that covers `index`. False if there is none. O(height).
    pub fn set_mark(&mut self, index: u64, mark: Mark) -> bool {
        let Some((at, _)) = self.locate(index) else { return false };
        self.arena.set_bit(at.node, at.offset, mark as usize);
        true
    }

    /// Takes the mark from the entry that covers `index`. False if there is none. O(height).
    pub fn clear_mark(&mut self, index: u64, mark: Mark) -> bool {
        let Some((at, _)) = self.locate(index) else { return false };
        self.arena.clear_bit(at.node, at.offset, mark as usize);
        true
    }

    /// Clears the bits of all bitmaps for the slot of an entry that goes.
    pub(crate) fn clear_bits(&mut self, node: NodeId, offset: usize) {
        for bitmap in 0..=PRESENT {
            self.arena.clear_bit(node, offset, bitmap);
        }
    }
}

impl<T> Default for XArray<T> {
    /// An empty array with nodes of 64 slots.
    fn default() -> Self {
        XArray::new(6)
    }
}

impl<T: fmt::Debug> fmt::Debug for XArray<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
