//! An entry of the index: a number.

use std::fmt;

const LOCKED: u64 = 1;
const HUGE: u64 = 2;
const ZERO: u64 = 4;
const EMPTY: u64 = 8;
const PAGE_SHIFT: u32 = 4;

/// What the index says of a page of the file, or of a huge page of it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Entry(u64);

impl Entry {
    fn new(flags: u64, huge: bool) -> Entry {
        Entry(flags | if huge { HUGE } else { 0 })
    }

    /// Page `pfn` of the device is mapped here; if `huge`, it is the first of several.
    pub fn real(pfn: u32, huge: bool) -> Entry {
        Entry::new(u64::from(pfn) << PAGE_SHIFT, huge)
    }

    /// A page of zeros is mapped here: the file has a hole.
    pub fn zero(huge: bool) -> Entry {
        Entry::new(ZERO, huge)
    }

    /// Nothing is mapped: the entry is there to be locked.
    pub fn empty(huge: bool) -> Entry {
        Entry::new(EMPTY, huge)
    }

    /// The entry of this number.
    pub fn from_value(value: u64) -> Entry {
        Entry(value)
    }

    /// The number, as it stands in the index.
    pub fn value(self) -> u64 {
        self.0
    }

    /// The same entry, locked.
    #[must_use]
    pub fn locked(self) -> Entry {
        Entry(self.0 | LOCKED)
    }

    /// The same entry, unlocked.
    #[must_use]
    pub fn unlocked(self) -> Entry {
        Entry(self.0 & !LOCKED)
    }

    /// Whether somebody is changing what is mapped here.
    pub fn is_locked(self) -> bool {
        self.0 & LOCKED != 0
    }

    /// Whether it stands for a huge page.
    pub fn is_huge(self) -> bool {
        self.0 & HUGE != 0
    }

    /// Whether zeros are mapped.
    pub fn is_zero(self) -> bool {
        self.0 & ZERO != 0
    }

    /// Whether nothing is mapped.
    pub fn is_empty(self) -> bool {
        self.0 & EMPTY != 0
    }

    /// The first page of the device, if pages of the device are mapped.
    pub fn pfn(self) -> Option<u32> {
        (self.0 & (ZERO | EMPTY) == 0).then_some((self.0 >> PAGE_SHIFT) as u32)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let huge = if self.is_huge() { "huge " } else { "" };
        let locked = if self.is_locked() { ", locked" } else { "" };
        match self.pfn() {
            Some(pfn) => write!(f, "{huge}page {pfn}{locked}"),
            None if self.is_zero() => write!(f, "{huge}zeros{locked}"),
            None => write!(f, "{huge}nothing{locked}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_what_it_was_made_of_whether_locked_or_not() {
        for huge in [false, true] {
            for entry in [Entry::real(0, huge), Entry::real(u32::MAX, huge), Entry::zero(huge), Entry::empty(huge)] {
                assert!(entry.locked().is_locked() && !entry.is_locked());
                assert_eq!(entry.locked().unlocked(), entry);
                assert_eq!(entry.locked().pfn(), entry.pfn());
                assert_eq!(entry.is_huge(), huge);
                let kinds = [entry.pfn().is_some(), entry.is_zero(), entry.is_empty()];
                assert_eq!(kinds.iter().filter(|is| **is).count(), 1);
            }
        }
        assert_eq!(format!("{:?}", Entry::real(7, true).locked()), "huge page 7, locked");
    }
}
