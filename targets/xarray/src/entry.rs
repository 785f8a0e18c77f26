//! What the array holds, and what a lookup reports.

use crate::arena::{Arena, NodeId, Slot};
use crate::mark::{Mark, Marks};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

/// What an index range leads to: an object, or a number that stands for the absence of one (a shadow of an
/// evicted folio) or is all there is to say (a DAX entry).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Entry<T> {
    /// An object.
    Item(T),
    /// A number; all 64 bits are the user's.
    Value(u64),
}

impl<T> Entry<T> {
    /// The object, if it is one.
    pub fn item(self) -> Option<T> {
        match self {
            Entry::Item(item) => Some(item),
            Entry::Value(_) => None,
        }
    }

    /// The number, if it is one.
    pub fn value(&self) -> Option<u64> {
        match self {
            Entry::Item(_) => None,
            Entry::Value(value) => Some(*value),
        }
    }

    /// The entry with its object borrowed.
    pub fn as_ref(&self) -> Entry<&T> {
        match self {
            Entry::Item(item) => Entry::Item(item),
            Entry::Value(value) => Entry::Value(*value),
        }
    }
}

impl<T: Clone> Entry<&T> {
    /// The entry with a clone of its object.
    pub fn cloned(self) -> Entry<T> {
        match self {
            Entry::Item(item) => Entry::Item(item.clone()),
            Entry::Value(value) => Entry::Value(value),
        }
    }
}

/// Identity of objects: whether an entry seen earlier is the entry seen now. Counted pointers are the same if they
/// lead to the same object, whatever is in it.
pub trait Same {
    /// Whether both are the same object.
    fn same(&self, other: &Self) -> bool;
}

impl<T: ?Sized> Same for Arc<T> {
    fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(self, other)
    }
}

impl<T: ?Sized> Same for Rc<T> {
    fn same(&self, other: &Self) -> bool {
        Rc::ptr_eq(self, other)
    }
}

macro_rules! same_by_value {
    ($($kind:ty),*) => {$(
        impl Same for $kind {
            fn same(&self, other: &Self) -> bool {
                self == other
            }
        }
    )*};
}
same_by_value!(u8, u16, u32, u64, usize, ());

impl<T: Same> Same for Entry<T> {
    fn same(&self, other: &Self) -> bool {
        match (self, other) {
            (Entry::Item(a), Entry::Item(b)) => a.same(b),
            (Entry::Value(a), Entry::Value(b)) => a == b,
            _ => false,
        }
    }
}

impl<T: Same> Same for &T {
    fn same(&self, other: &Self) -> bool {
        T::same(self, other)
    }
}

/// An entry as it stands in the array.
pub struct Found<'a, T> {
    /// First index it covers, a multiple of its size.
    pub index: u64,
    /// Binary logarithm of the number of indices it covers.
    pub order: u8,
    /// The entry.
    pub entry: Entry<&'a T>,
    pub(crate) arena: &'a Arena<T>,
    pub(crate) node: NodeId,
    pub(crate) offset: u8,
}

impl<'a, T> Found<'a, T> {
    /// How many indices it covers.
    pub fn size(&self) -> u64 {
        1 << self.order
    }

    /// The index after its last.
    pub fn end(&self) -> u64 {
        self.index + self.size()
    }

    /// Whether it covers `index`.
    pub fn contains(&self, index: u64) -> bool {
        index >> self.order == self.index >> self.order
    }

    /// The object, if it is one.
    pub fn item(&self) -> Option<&'a T> {
        self.entry.item()
    }

    /// The number, if it is one.
    pub fn value(&self) -> Option<u64> {
        self.entry.value()
    }

    /// Whether it is the very entry, wherever that was seen.
    pub fn is(&self, entry: &Entry<T>) -> bool
    where
        T: Same,
    {
        self.entry.same(&entry.as_ref())
    }

    /// Whether it carries `mark`. O(1).
    pub fn has(&self, mark: Mark) -> bool {
        self.arena.marks_at(self.node, self.offset as usize).has(mark)
    }

    /// Its marks. O(1).
    pub fn marks(&self) -> Marks {
        self.arena.marks_at(self.node, self.offset as usize)
    }
}

impl<T> Clone for Found<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Found<'_, T> {}

impl<T: fmt::Debug> fmt::Debug for Found<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}..{} {:?} {:?}", self.index, self.end(), self.entry, self.marks().iter().collect::<Vec<_>>())
    }
}

/// What is in one slot, as it is: what the limited and the unchecked lookups report.
#[derive(Debug)]
pub enum Raw<'a, T> {
    /// Nothing.
    Empty,
    /// The slot belongs to the entry in another slot of the same node.
    Sibling,
    /// The slot leads to a node further down. There is at least one entry in the slot's range, which need not be at
    /// its first index.
    Internal,
    /// An entry.
    Entry(Found<'a, T>),
}

impl<'a, T> Raw<'a, T> {
    /// The entry, if it is one.
    pub fn entry(self) -> Option<Found<'a, T>> {
        match self {
            Raw::Entry(found) => Some(found),
            _ => None,
        }
    }

    pub(crate) fn of(arena: &'a Arena<T>, node: NodeId, offset: usize, index: u64) -> Raw<'a, T> {
        match arena.slot(node, offset) {
            Slot::Empty => Raw::Empty,
            Slot::Sibling(_) => Raw::Sibling,
            Slot::Node(_) => Raw::Internal,
            slot => slot.found(arena, node, offset, index).map_or(Raw::Empty, Raw::Entry),
        }
    }
}

/// An entry that was taken out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removed<T> {
    /// First index it covered.
    pub index: u64,
    /// Binary logarithm of the number of indices it covered.
    pub order: u8,
    /// The marks it carried.
    pub marks: Marks,
    /// The entry.
    pub entry: Entry<T>,
}

/// Where a store went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored<T> {
    /// First index of the entry now, which is below the one asked for if a larger entry's value was replaced.
    pub index: u64,
    /// Its order now, at least the one asked for.
    pub order: u8,
    /// The entry that the first index of the range led to before. Smaller entries at later indices of the range are
    /// not reported; [`find_conflict`](crate::XArray::find_conflict) lists them beforehand.
    pub replaced: Option<Entry<T>>,
}
