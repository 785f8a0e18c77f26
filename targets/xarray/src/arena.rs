//! Storage of the nodes: slots of all nodes in one vector, what else a node has in another.
//!
//! A node is named by a number, so that nodes know their parent and cursors their node without a pointer, and a
//! lookup follows one dependent memory access a level. Numbers of freed nodes are used again; `version` counts
//! the frees, so that whoever kept a number over one can tell.

use crate::entry::{Entry, Found};
use crate::mark::{Mark, Marks};

pub(crate) type NodeId = u32;

/// Instead of a node: no parent, no root.
pub(crate) const NONE: NodeId = NodeId::MAX;

/// The bitmap after those of the three marks: slots that hold an entry or lead to a node. It follows the rules of
/// marks (canonical slots only, parents have the union), so searches for any entry are searches for this mark.
pub(crate) const PRESENT: usize = 3;

#[derive(Clone, Debug)]
pub(crate) enum Slot<T> {
    Empty,
    /// Offset of the canonical slot in the same node.
    Sibling(u8),
    Node(NodeId),
    // The order stands beside the tag, where it costs no space, so that no lookup has to count siblings.
    Item(u8, T),
    Value(u8, u64),
}

impl<T> Slot<T> {
    pub(crate) fn new(order: u8, entry: Entry<T>) -> Slot<T> {
        match entry {
            Entry::Item(item) => Slot::Item(order, item),
            Entry::Value(value) => Slot::Value(order, value),
        }
    }

    /// Order of the entry in this slot.
    pub(crate) fn order(&self) -> Option<u8> {
        match self {
            Slot::Item(order, _) | Slot::Value(order, _) => Some(*order),
            _ => None,
        }
    }

    pub(crate) fn into_entry(self) -> Option<Entry<T>> {
        match self {
            Slot::Item(_, item) => Some(Entry::Item(item)),
            Slot::Value(_, value) => Some(Entry::Value(value)),
            _ => None,
        }
    }

    /// The entry in this slot, which is the one at `node` and `offset` and covers `index`.
    #[inline]
    pub(crate) fn found<'a>(
        &'a self,
        arena: &'a Arena<T>,
        node: NodeId,
        offset: usize,
        index: u64,
    ) -> Option<Found<'a, T>> {
        let found = self.found_first(arena, node, offset, index)?;
        Some(Found { index: index >> found.order << found.order, ..found })
    }

    /// As [`Slot::found`], for the entry's first index.
    #[inline]
    pub(crate) fn found_first<'a>(
        &'a self,
        arena: &'a Arena<T>,
        node: NodeId,
        offset: usize,
        index: u64,
    ) -> Option<Found<'a, T>> {
        let (order, entry) = match self {
            Slot::Item(order, item) => (*order, Entry::Item(item)),
            Slot::Value(order, value) => (*order, Entry::Value(*value)),
            _ => return None,
        };
        Some(Found { index, order, entry, arena, node, offset: offset as u8 })
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Bit n is about slot n: three marks, then [`PRESENT`].
    pub(crate) bits: [u64; 4],
    pub(crate) parent: NodeId,
    /// Slot of the parent that leads here.
    pub(crate) offset: u8,
    /// Binary logarithm of the indices a slot covers.
    pub(crate) shift: u8,
}

#[derive(Clone, Debug)]
pub(crate) struct Arena<T> {
    /// Binary logarithm of the slots in a node.
    pub(crate) chunk: u8,
    slots: Vec<Slot<T>>,
    nodes: Vec<Node>,
    free: Vec<NodeId>,
    pub(crate) version: u64,
}

impl<T> Arena<T> {
    pub(crate) fn new(chunk: u8) -> Arena<T> {
        Arena { chunk, slots: Vec::new(), nodes: Vec::new(), free: Vec::new(), version: 0 }
    }

    /// Slots in a node.
    #[inline]
    pub(crate) fn width(&self) -> usize {
        1 << self.chunk
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len() - self.free.len()
    }

    /// Numbers given out so far, those of free nodes included.
    pub(crate) fn numbers(&self) -> usize {
        self.nodes.len()
    }

    /// Whether `node` is the number of a node in use.
    pub(crate) fn is_used(&self, node: NodeId) -> bool {
        self.nodes.get(node as usize).is_some_and(|node| node.bits[PRESENT] != 0)
    }

    #[inline]
    pub(crate) fn node(&self, node: NodeId) -> &Node {
        &self.nodes[node as usize]
    }

    pub(crate) fn node_mut(&mut self, node: NodeId) -> &mut Node {
        &mut self.nodes[node as usize]
    }

    #[inline]
    pub(crate) fn slot(&self, node: NodeId, offset: usize) -> &Slot<T> {
        &self.slots[(node as usize) << self.chunk | offset]
    }

    /// All slots of a node.
    #[inline]
    pub(crate) fn slots(&self, node: NodeId) -> &[Slot<T>] {
        let first = (node as usize) << self.chunk;
        &self.slots[first..first + self.width()]
    }

    pub(crate) fn slot_mut(&mut self, node: NodeId, offset: usize) -> &mut Slot<T> {
        &mut self.slots[(node as usize) << self.chunk | offset]
    }

    /// The slot's new content; the caller keeps the bitmaps right.
    pub(crate) fn put(&mut self, node: NodeId, offset: usize, slot: Slot<T>) -> Slot<T> {
        std::mem::replace(self.slot_mut(node, offset), slot)
    }

    /// The offset in `node` of the slot that covers `index`.
    #[inline]
    pub(crate) fn offset(&self, shift: u8, index: u64) -> usize {
        (index >> shift) as usize & (self.width() - 1)
    }

    /// A node with empty slots. It has to get content before it counts as used.
    pub(crate) fn alloc(&mut self, shift: u8, parent: NodeId, offset: usize) -> NodeId {
        let node = Node { bits: [0; 4], parent, offset: offset as u8, shift };
        if let Some(id) = self.free.pop() {
            self.nodes[id as usize] = node;
            return id;
        }
        let id = self.nodes.len() as NodeId;
        self.nodes.push(node);
        self.slots.resize_with(self.nodes.len() << self.chunk, || Slot::Empty);
        id
    }

    /// Frees a node whose slots are empty.
    pub(crate) fn release(&mut self, node: NodeId) {
        self.nodes[node as usize].bits = [0; 4];
        self.free.push(node);
        self.version += 1;
        if self.len() == 0 && self.numbers() > 4 {
            // Cursors test the number before they use it, so the storage can go. Small ones are soon needed again.
            let version = self.version;
            *self = Arena { version, ..Arena::new(self.chunk) };
        }
    }

    /// Whether so much of the storage is unused that [`Arena::adopt`] into a new one is worth its cost.
    pub(crate) fn is_wasteful(&self) -> bool {
        self.free.len() >= 16 && self.free.len() > 3 * self.len()
    }

    /// Moves the nodes of `other` here. The new numbers by old number; [`NONE`] for those not in use.
    pub(crate) fn adopt(&mut self, mut other: Arena<T>) -> Vec<NodeId> {
        let map = (0..other.nodes.len()).map(|old| {
            if !other.is_used(old as NodeId) {
                return NONE;
            }
            self.alloc(0, NONE, 0)
        });
        let map: Vec<NodeId> = map.collect();
        for (old, &new) in map.iter().enumerate().filter(|&(_, &new)| new != NONE) {
            let mut node = other.nodes[old].clone();
            node.parent = if node.parent == NONE { NONE } else { map[node.parent as usize] };
            self.nodes[new as usize] = node;
            for offset in 0..other.width() {
                let slot = match other.put(old as NodeId, offset, Slot::Empty) {
                    Slot::Node(child) => Slot::Node(map[child as usize]),
                    slot => slot,
                };
                self.put(new, offset, slot);
            }
        }
        map
    }

    pub(crate) fn marks_at(&self, node: NodeId, offset: usize) -> Marks {
        let bits = &self.node(node).bits;
        Mark::ALL.into_iter().filter(|&mark| bits[mark as usize] >> offset & 1 != 0).collect()
    }

    /// Sets bit `offset`, in parents too. O(height), less if a parent has it already.
    pub(crate) fn set_bit(&mut self, mut node: NodeId, mut offset: usize, bitmap: usize) {
        loop {
            let at = self.node_mut(node);
            let was = at.bits[bitmap];
            at.bits[bitmap] |= 1 << offset;
            if was != 0 || at.parent == NONE {
                return; // a parent's bit says "any", and was set already
            }
            (node, offset) = (at.parent, at.offset as usize);
        }
    }

    /// Clears bit `offset`, and those of parents that have no other left. O(height).
    pub(crate) fn clear_bit(&mut self, mut node: NodeId, mut offset: usize, bitmap: usize) {
        loop {
            let at = self.node_mut(node);
            let was = at.bits[bitmap];
            at.bits[bitmap] &= !(1 << offset);
            if was == 0 || at.bits[bitmap] != 0 || at.parent == NONE {
                return;
            }
            (node, offset) = (at.parent, at.offset as usize);
        }
    }
}
