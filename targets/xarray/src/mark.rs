//! Marks: the bits of an entry by which it is found without looking at every entry.

use std::ops::{BitOr, BitOrAssign};

/// One of the three marks. Their meaning is the user's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Mark {
    /// A page cache uses it for "dirty".
    M0 = 0,
    /// A page cache uses it for "under writeback".
    M1 = 1,
    /// A page cache uses it for "to be written by this sync".
    M2 = 2,
}

impl Mark {
    /// All marks.
    pub const ALL: [Mark; 3] = [Mark::M0, Mark::M1, Mark::M2];
}

/// A set of marks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Marks(u8);

impl Marks {
    /// No mark.
    pub const NONE: Marks = Marks(0);

    /// Whether the set has `mark`.
    pub fn has(self, mark: Mark) -> bool {
        self.0 >> mark as u8 & 1 != 0
    }

    /// Whether the set has no mark.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set with `mark`, or without it.
    #[must_use]
    pub fn with(self, mark: Mark, on: bool) -> Marks {
        if on { Marks(self.0 | 1 << mark as u8) } else { Marks(self.0 & !(1 << mark as u8)) }
    }

    /// The marks of the set, in order.
    pub fn iter(self) -> impl Iterator<Item = Mark> {
        Mark::ALL.into_iter().filter(move |&mark| self.has(mark))
    }
}

impl From<Mark> for Marks {
    fn from(mark: Mark) -> Marks {
        Marks::NONE.with(mark, true)
    }
}

impl FromIterator<Mark> for Marks {
    fn from_iter<I: IntoIterator<Item = Mark>>(marks: I) -> Marks {
        marks.into_iter().fold(Marks::NONE, |set, mark| set.with(mark, true))
    }
}

impl BitOr for Marks {
    type Output = Marks;
    fn bitor(self, other: Marks) -> Marks {
        Marks(self.0 | other.0)
    }
}

impl BitOrAssign for Marks {
    fn bitor_assign(&mut self, other: Marks) {
        self.0 |= other.0;
    }
}
