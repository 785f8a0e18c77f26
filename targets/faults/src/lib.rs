//! The historical bugs that can be armed in the model.
//!
//! One row per bug: its catalogue id and name, what the code does when it is armed, what a program needs to
//! reach it, and which detector must see it. The switch itself stands where the correct rule stands, in
//! `pagecache`, `iomap` or `simfs`: it removes, weakens or misplaces the rule and never damages data by itself.

use std::fmt;

/// What a program needs to be able to reach a fault. The hunt draws its programs accordingly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Names of the flavours that have the rule, empty for all of them.
    pub flavours: &'static [&'static str],
    /// Blocks smaller than the page.
    pub small_blocks: bool,
    /// Folios of more than one page.
    pub large_folios: bool,
    /// User lanes.
    pub lanes: u8,
}

const ANY: Needs = Needs { flavours: &[], small_blocks: false, large_folios: false, lanes: 1 };
const SMALL_BLOCKS: Needs = Needs { small_blocks: true, ..ANY };

/// One row of the table.
#[derive(Debug)]
pub struct FaultInfo {
    /// The fault.
    pub fault: Fault,
    /// Catalogue id, such as `A01`.
    pub id: &'static str,
    /// Catalogue name.
    pub name: &'static str,
    /// 1: one user lane, in sequence. 2: one user lane and the background. 3: two user lanes.
    pub tier: u8,
    /// Names of the divergence classes that count as having found it.
    pub detectors: &'static [&'static str],
    /// What a program needs to reach it.
    pub needs: Needs,
    /// What the code does when the fault is armed.
    pub doc: &'static str,
}

macro_rules! faults {
    ($($variant:ident $id:literal $name:literal $tier:literal [$($detector:literal)*] $needs:expr; $doc:literal)*) => {
        /// A fault that can be armed.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Fault { $(#[doc = $doc] $variant,)* }

        /// The table of faults, indexed by `Fault as usize`, in the order of the catalogue.
        pub static FAULTS: &[FaultInfo] = &[$(FaultInfo {
            fault: Fault::$variant, id: $id, name: $name, tier: $tier,
            detectors: &[$($detector),*], needs: $needs, doc: $doc,
        },)*];
    };
}

faults! {
    StaleIomap "A01" "stale-iomap-write-vs-writeback-reclaim" 2 ["content" "disk"] ANY;
        "A buffered write uses its mapping for the next folio without comparing the validity cookie."
    StaleCheckBeforeLock "A02" "stale-check-before-folio-lock" 2 ["content" "disk"] ANY;
        "The validity cookie is compared before the folio is found and locked."
    CookieAfterUnlock "A03" "stale-cookie-sampled-after-extent-unlock" 2 ["content" "disk"] ANY;
        "The validity cookie is read after the extent lock of the lookup was dropped."
    EndBeforeConversion "A04" "end-writeback-before-conversion" 2 ["content" "disk" "invariant"] ANY;
        "End of I/O clears the writeback flag first and converts the extents afterwards."
    NoBumpOnConversion "A05" "sequence-not-bumped-on-conversion" 2 ["content" "disk"] ANY;
        "Converting an unwritten extent to written leaves the sequence counter as it was."
    StaleEndsWrite "A06" "stale-zero-progress-ends-write" 2 ["size" "content" "errno"] ANY;
        "A mapping found stale before anything was written ends the write instead of being looked up again."
    ShortCopyUptodate "A14" "short-copy-marks-uptodate" 1 ["content" "disk"] ANY;
        "After a short copy into a folio that was not uptodate, the whole requested range is marked uptodate and dirty."
    ZeroSkipsDirty "A18" "zero-range-skips-dirty-over-unwritten" 1 ["content" "disk"] ANY;
        "Zeroing skips holes and unwritten extents even if the cache over them is dirty."
    ExtendExposesTail "A20" "extend-exposes-posteof-mmap-data" 1 ["content" "disk"] Needs { flavours: &["ext4"], ..SMALL_BLOCKS };
        "Raising the size does not zero the tail of the cached folio at the old end of file."
    WritebackKeepsTail "A21" "writeback-skips-eof-tail-zeroing" 1 ["content" "disk" "invariant"] Needs { flavours: &["ext4"], ..SMALL_BLOCKS };
        "Writeback of the folio at the end of file does not zero what lies beyond it."
    DiskSizeFromIo "A24" "setfilesize-exceeds-isize-or-shrinks" 2 ["size" "invariant" "disk"] ANY;
        "End of I/O sets the size on disk to the end of the I/O, whatever it was."
    NonWriteMovesSize "A29" "non-write-op-moves-isize" 1 ["size" "content"] ANY;
        "Zeroing through the cache raises the size as a write does."
    ReadPastEof "A36" "read-range-not-split-at-eof" 1 ["content"] Needs { flavours: &["xfs-5.8"], ..SMALL_BLOCKS };
        "Filling a folio reads mapped blocks that lie wholly beyond the end of file."
    RereadDirty "A37" "uptodate-block-reread-clobbers-dirty" 1 ["content" "disk"] SMALL_BLOCKS;
        "Filling a folio reads all its blocks, those that are uptodate included."
    WriteNewSkipsZeroing "A44" "xfs-write-past-eof-no-zeroing" 1 ["content" "disk"] Needs { flavours: &["xfs-5.8"], ..ANY };
        "A write that starts beyond the end of file does not zero what lies in between."
    SplitDropsDirty "B09" "split-drops-dirty-tail-unaccounted" 2 ["accounting"] Needs { large_folios: true, ..ANY };
        "A split that drops dirty pieces beyond the end of file clears their flag without accounting for it."
    TruncateBeforeSize "C01" "truncate-before-isize" 3 ["content" "invariant" "accounting" "size" "errno"] Needs { lanes: 2, ..ANY };
        "Truncate drops the cache first and sets the size afterwards."
    PunchDropsFolio "C04" "punch-drops-large-folio-outside-range" 1 ["content" "disk" "invariant" "accounting"] Needs { flavours: &["ext4"], large_folios: true, ..ANY };
        "Punch drops every folio that intersects the range."
    TruncateKeepsDirty "C06" "truncate-dirty-not-cancelled" 1 ["accounting" "invariant"] ANY;
        "Truncate removes dirty folios without cancelling their dirty state."
    DirectReadNoFlush "D07" "dio-read-without-flush" 1 ["content" "errno"] ANY;
        "A direct read does not write the cache back first."
    NoSubBlockPad "D09" "dio-subblock-pad-missing" 1 ["content" "disk"] ANY;
        "A direct write of part of a new or unwritten block does not zero the rest of the block."
    NoWritebackBias "E07" "writeback-clears-flag-before-all-submitted" 2 ["content" "disk" "invariant" "accounting" "panic"] SMALL_BLOCKS;
        "Writeback of a folio in several I/Os ends with the first one that has no other in flight."
    WritesCleanBlocks "E08" "writeback-writes-nonuptodate-or-clean-blocks" 1 ["content" "disk" "invariant"] SMALL_BLOCKS;
        "Writeback of a folio writes all its blocks, not only the dirty ones."
    DirtyClearOutward "E09" "ifs-dirty-clear-rounding" 1 ["content" "disk" "invariant"] Needs { flavours: &["ext4"], ..SMALL_BLOCKS };
        "Clearing part of a folio's dirty state rounds outward to whole blocks."
    PunchKeepsEdges "F06" "punch-partial-page-not-zeroed" 1 ["content" "disk"] ANY;
        "Punch does not zero the parts of pages and blocks at the ends of the range."
}

impl Fault {
    /// This fault's row of the table.
    pub fn info(self) -> &'static FaultInfo {
        &FAULTS[self as usize]
    }

    /// The fault with this catalogue name or id.
    pub fn from_name(name: &str) -> Option<Fault> {
        FAULTS.iter().find(|row| row.name == name || row.id == name).map(|row| row.fault)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.info().name)
    }
}

/// The faults that are armed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaultSet(u128);

impl FaultSet {
    /// None: the correct implementation.
    pub const NONE: FaultSet = FaultSet(0);

    /// Only this one.
    pub const fn only(fault: Fault) -> FaultSet {
        FaultSet(1 << fault as u8)
    }

    /// Whether `fault` is armed. Always false in a build without the feature `armable`.
    #[inline]
    pub const fn armed(self, fault: Fault) -> bool {
        cfg!(feature = "armable") && self.0 & 1 << fault as u8 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_indexed_by_fault_and_sorted_by_id() {
        for (index, row) in FAULTS.iter().enumerate() {
            assert_eq!(row.fault as usize, index);
            assert_eq!(Fault::from_name(row.name), Some(row.fault));
            assert_eq!(Fault::from_name(row.id), Some(row.fault));
        }
        assert!(FAULTS.is_sorted_by_key(|row| row.id));
    }

    #[test]
    fn switches_follow_the_feature() {
        let set = FaultSet::only(Fault::StaleIomap);
        assert_eq!(set.armed(Fault::StaleIomap), cfg!(feature = "armable"));
        assert!(!set.armed(Fault::StaleEndsWrite));
        assert!(!FaultSet::NONE.armed(Fault::StaleIomap));
    }
}
