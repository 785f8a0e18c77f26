//! The historical bugs that can be armed in the model.
//!
//! One row per bug: its catalogue id and name, what the code does when it is armed, what a program needs to
//! reach it, and which detector must see it. The switch itself stands where the correct rule stands, in
//! `pagecache`, `iomap` or `simfs`: it removes, weakens or misplaces the rule and never damages data by itself.

mod unarmed;

pub use unarmed::{UNARMED, Unarmed};

use std::fmt;

/// The flavours with a page cache.
const CACHED: &[&str] = &["xfs", "ext4", "xfs-5.8", "gfs2", "gfs2-jdata"];

/// What a program needs to be able to reach a fault. The hunt draws its programs accordingly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Needs {
    /// Names of the flavours that have the rule, empty for all of them.
    pub flavours: &'static [&'static str],
    /// Blocks smaller than the page.
    pub small_blocks: bool,
    /// Folios of more than one page.
    pub large_folios: bool,
    /// Readahead.
    pub readahead: bool,
    /// A device that needs stable data.
    pub stable_pages: bool,
    /// User lanes.
    pub lanes: u8,
    /// Several lanes that own parts of one block.
    pub shared_blocks: bool,
    /// Lanes that change the same bytes. Needs two of them.
    pub overlapping: bool,
    /// Names of operations it cannot do without. If `crash` is one, a hunt puts one behind those of lane 0.
    pub ops: &'static [&'static str],
}

impl Needs {
    /// Any program will do.
    pub const ANY: Needs = Needs {
        flavours: &[],
        small_blocks: false,
        large_folios: false,
        readahead: false,
        stable_pages: false,
        lanes: 1,
        shared_blocks: false,
        overlapping: false,
        ops: &[],
    };
}

const ANY: Needs = Needs { flavours: CACHED, ..Needs::ANY };
/// The flavours with delayed allocation.
const DELALLOC: &[&str] = &["xfs", "xfs-5.8", "ext4"];
const DAX: Needs = Needs { flavours: &["dax"], ..ANY };
const HUGE: Needs = Needs { large_folios: true, ..DAX };
/// The flavours on which writes may fail.
const FAILING: &[&str] = &["xfs", "ext4"];
/// Direct writes that extend the file run beside each other.
const XFS: &[&str] = &["xfs", "xfs-5.8"];
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
        pub const FAULTS: &[FaultInfo] = &[$(FaultInfo {
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
    FailedWriteTruncates "A07" "failed-write-truncates-dirty-cache" 3 ["content" "disk" "invariant"] Needs { flavours: DELALLOC, lanes: 2, ..ANY };
        "A write that ends short truncates the cache over the rest of its mapping."
    PunchesDirtyDelalloc "A08" "failed-write-punches-dirty-delalloc" 3 ["content" "disk" "invariant"] Needs { flavours: DELALLOC, lanes: 2, ..ANY };
        "A write that ends short gives up the whole rest of its reservation, dirty blocks included."
    ReleaseUnlocked "A09" "delalloc-release-without-invalidate-lock" 3 ["content" "disk" "invariant"] Needs { flavours: DELALLOC, lanes: 2, shared_blocks: true, ops: &["write_fault", "mapwrite"], ..ANY };
        "A write that ends short gives up its reservation without keeping faults out."
    ReleaseScansPastEof "A10" "delalloc-release-scans-past-eof" 1 ["accounting"] Needs { flavours: &["ext4"], ..SMALL_BLOCKS };
        "Giving up a reservation spares dirty blocks beyond the end of file, which are never written."
    ReleaseByFolio "A11" "delalloc-release-ignores-clean-blocks-in-dirty-folio" 1 ["accounting" "errno"] Needs { flavours: DELALLOC, ..SMALL_BLOCKS };
        "Giving up a reservation spares every block of a dirty folio, the clean ones included."
    SeekNotRepeated "A12" "delalloc-release-livelock-on-invalidate" 3 ["livelock"] Needs { flavours: DELALLOC, ops: &["write_fault"], ..ANY };
        "Giving up a reservation trusts in the data it has found, and seeks its end again when it is gone."
    WriteFailedBelowEof "A13" "write-failed-truncates-below-eof" 1 ["content" "disk" "invariant"] ANY;
        "After a copy that came to nothing the cache is dropped from the position of the write on, not from the end of file."
    ShortCopyUptodate "A14" "short-copy-marks-uptodate" 1 ["content" "disk"] ANY;
        "After a short copy into a folio that was not uptodate, the whole requested range is marked uptodate and dirty."
    CopyFaults "A15" "write-source-is-same-folio-deadlock" 1 ["deadlock"] Needs { ops: &["write_from_map"], ..ANY };
        "A write faults its buffer in while it copies, with the folio locked."
    SizeBeforeData "A16" "isize-published-before-data" 3 ["content"] Needs { flavours: &["ext4"], lanes: 2, overlapping: true, ..ANY };
        "A buffered write raises the size before it copies the bytes."
    SizeBeforeUptodate "A17" "isize-checked-before-uptodate" 3 ["content"] Needs { flavours: &["ext4"], lanes: 2, overlapping: true, ..ANY };
        "A read is clipped by a size that was loaded before its folios were found uptodate."
    ZeroSkipsDirty "A18" "zero-range-skips-dirty-over-unwritten" 1 ["content" "disk"] ANY;
        "Zeroing skips holes and unwritten extents even if the cache over them is dirty."
    ZeroTestsDirtyLate "A19" "zero-range-dirty-check-after-map" 2 ["content" "disk" "invariant"] ANY;
        "Zeroing tests for dirty folios after it has looked the mapping up."
    ExtendExposesTail "A20" "extend-exposes-posteof-mmap-data" 1 ["content" "disk"] Needs { flavours: &["ext4", "gfs2"], ..SMALL_BLOCKS };
        "Raising the size does not zero the tail of the cached folio at the old end of file."
    WritebackKeepsTail "A21" "writeback-skips-eof-tail-zeroing" 1 ["content" "disk" "invariant"] Needs { flavours: &["ext4", "gfs2"], ..SMALL_BLOCKS };
        "Writeback of the folio at the end of file does not zero what lies beyond it."
    EofSampledUnlocked "A22" "writeback-eof-size-sampled-unlocked" 2 ["content" "disk"] ANY;
        "Writeback zeroes the tail by a size it loaded before it locked the folio."
    IoSizeRounded "A23" "ioend-size-not-clamped-to-eof" 2 ["disk"] Needs { flavours: &["xfs", "ext4"], ops: &["crash"], ..ANY };
        "An I/O remembers its data as reaching to the end of its last block, not to the end of file."
    DiskSizeFromIo "A24" "setfilesize-exceeds-isize-or-shrinks" 2 ["size" "invariant" "disk"] ANY;
        "End of I/O sets the size on disk to the end of the I/O, whatever it was."
    SyncForcesEarly "A25" "fsync-misses-size-or-conversion" 1 ["disk" "size"] Needs { flavours: &["xfs", "ext4"], ops: &["crash"], ..ANY };
        "A sync forces the log as it was before the data was written: what the end of I/O logs is missed."
    DiskSizeBeforeData "A26" "disksize-updated-before-data" 2 ["disk"] Needs { flavours: &["ext4"], ops: &["crash"], ..ANY };
        "A buffered write raises the size on disk when it raises the size, not when its data is on the device."
    NonWriteMovesSize "A29" "non-write-op-moves-isize" 1 ["size" "content"] ANY;
        "Zeroing through the cache raises the size as a write does."
    NewFlagIgnored "A35" "write-begin-new-flag-ignored" 1 ["content" "disk"] Needs { flavours: &["gfs2"], ..ANY };
        "A write of part of a block that was just allocated reads the rest from the device."
    ReadPastEof "A36" "read-range-not-split-at-eof" 1 ["content"] Needs { flavours: &["xfs-5.8"], ..SMALL_BLOCKS };
        "Filling a folio reads mapped blocks that lie wholly beyond the end of file."
    RereadDirty "A37" "uptodate-block-reread-clobbers-dirty" 1 ["content" "disk"] SMALL_BLOCKS;
        "Filling a folio reads all its blocks, those that are uptodate included."
    StoreEndsAsWrite "A38" "enospc-on-write-fault-runs-write-end-hook" 1 ["deadlock"] Needs { ops: &["fail_alloc", "mapwrite"], ..SMALL_BLOCKS };
        "A store that finds no space for all its blocks gives back what it got by the hook that ends a write."
    FolioDoneUnlocked "A39" "gfs2-page-done-after-unlock" 2 ["invariant" "content" "disk"] Needs { flavours: &["gfs2-jdata"], ..ANY };
        "What a journaled write has changed in a folio is pinned after the folio is unlocked."
    GiveUpWithoutHook "A40" "gfs2-transaction-leak-on-begin-error" 1 ["invariant" "deadlock"] Needs { flavours: &["gfs2-jdata"], ..ANY };
        "A write that gives a folio up unlocks it without the hook that ends its transaction."
    ExtendedNoMkclean "A41" "isize-extended-no-mkclean" 1 ["content" "disk" "invariant"] Needs { flavours: &["ext4", "gfs2"], ..SMALL_BLOCKS };
        "Raising the size leaves the page of the old end of file writable: the next store gets no blocks."
    StraddleRoundsDown "A42" "straddle-arithmetic-wrong" 1 ["content" "disk" "invariant"] Needs { flavours: &["ext4", "gfs2"], ..SMALL_BLOCKS };
        "Whether raising the size brings blocks of the same page into the file is computed from the start of the last block."
    DirtyBeyondEof "A43" "mkwrite-writable-pte-across-eof-large-folio" 1 ["invariant" "accounting"] SMALL_BLOCKS;
        "Writeback leaves the dirty bits of blocks beyond the end of file set."
    WriteNewSkipsZeroing "A44" "xfs-write-past-eof-no-zeroing" 1 ["content" "disk"] Needs { flavours: &["xfs-5.8"], ..ANY };
        "A write that starts beyond the end of file does not zero what lies in between."
    ShadowSplitStale "B01" "stale-order-and-node-after-split-alloc" 3 ["content" "disk" "invariant" "accounting" "livelock" "panic"] Needs { large_folios: true, lanes: 2, ..ANY };
        "Adding a folio where a larger shadow was: after the tree lock was dropped to allocate nodes, the shadow is split without a look at what is there now."
    ShadowOverwritten "B02" "shadow-store-overwrites-range" 1 ["content" "invariant" "accounting" "panic"] Needs { large_folios: true, ..ANY };
        "A folio is stored over a larger shadow without splitting it: all its indices lead to the folio."
    MarkedFromSlot "B03" "tag-lookup-from-tail-misses-dirty" 1 ["content" "disk" "size" "errno" "invariant"] Needs { large_folios: true, ..ANY };
        "A search by mark that starts inside a folio does not step back to where the folio's marks are."
    SplitMarksHead "B04" "split-marks-wrong-slots" 2 ["invariant" "disk" "accounting"] Needs { large_folios: true, ..ANY };
        "Splitting a folio gives its marks to the first piece alone."
    RepeatsInBatch "B05" "sibling-returned-to-walker" 1 ["content" "size"] Needs { large_folios: true, ..ANY };
        "A read that looks up a batch of folios goes on one page after each: a large folio enters once for each of its pages."
    LookupNoReload "B06" "lookup-no-reload-after-ref" 3 ["content" "size" "errno" "panic" "invariant"] Needs { large_folios: true, lanes: 2, ..ANY };
        "A lookup does not load the slot again after it has taken its reference."
    RetriesFrozen "B07" "frozen-folio-lookup-livelock" 3 ["livelock"] Needs { lanes: 1, ..ANY };
        "A lookup that could not get a reference tries the same folio again, without loading the slot."
    HeadUnfrozenFirst "B08" "split-unfreeze-order" 3 ["content" "size" "errno" "panic" "invariant"] Needs { large_folios: true, lanes: 2, ..ANY };
        "A split gives the head its references back before the slots of the tails lead to the tails."
    SplitDropsDirty "B09" "split-drops-dirty-tail-unaccounted" 2 ["accounting"] Needs { large_folios: true, ..ANY };
        "A split that drops dirty pieces beyond the end of file clears their flag without accounting for it."
    SplitCleansTwice "B10" "split-double-clean-accounting" 2 ["accounting"] Needs { large_folios: true, ..ANY };
        "A split that drops dirty pieces beyond the end of file accounts for them twice."
    DroppedPieceRefs "B11" "split-dropped-tail-wrong-refs" 1 ["accounting"] Needs { large_folios: true, ..ANY };
        "A split that drops pieces beyond the end of file drops one of the index's references to each, however many pages it has."
    SplitKeepsState "B12" "split-keeps-subfolio-state" 1 ["content" "disk" "invariant"] Needs { large_folios: true, ..SMALL_BLOCKS };
        "A folio is split though its per-block state says more than its flags."
    SplitIgnoresRefs "B13" "split-not-excluding-extra-refs" 3 ["content" "panic" "invariant"] Needs { large_folios: true, lanes: 2, ..ANY };
        "A folio is split though somebody else has a reference."
    FallbackNotRealigned "B14" "fallback-order-not-realigned" 1 ["content" "invariant" "panic" "livelock"] Needs { large_folios: true, ..ANY };
        "A smaller folio is created at the index the larger one would have had."
    ExistsNotRetried "B15" "eexist-not-retried" 3 ["errno" "size"] Needs { lanes: 2, ..ANY };
        "A lane that finds the folio it wanted to create fails instead of looking it up."
    TruncateBeforeSize "C01" "truncate-before-isize" 3 ["content" "invariant" "accounting" "size" "errno"] Needs { lanes: 2, ..ANY };
        "Truncate drops the cache first and sets the size afterwards."
    TruncateNoWait "C02" "truncate-skips-writeback-wait" 2 ["content" "disk" "size" "invariant"] ANY;
        "Truncate removes folios that are under writeback."
    NoSecondPass "C03" "truncate-second-pass-missing" 3 ["content" "invariant"] ANY;
        "Truncate leaves the folios it could not lock at once."
    PunchDropsFolio "C04" "punch-drops-large-folio-outside-range" 1 ["content" "disk" "invariant" "accounting"] Needs { flavours: &["ext4"], large_folios: true, ..ANY };
        "Punch drops every folio that intersects the range."
    StateOutlivesFolio "C05" "truncate-partial-invalidate-not-called" 1 ["invariant"] SMALL_BLOCKS;
        "Truncate removes a folio without releasing its block state."
    TruncateKeepsDirty "C06" "truncate-dirty-not-cancelled" 1 ["accounting" "invariant"] ANY;
        "Truncate removes dirty folios without cancelling their dirty state."
    MappedPastEof "C07" "large-folio-mapped-past-eof" 1 ["size" "errno" "content" "invariant"] Needs { large_folios: true, ..ANY };
        "A fault maps any page of a folio that begins below the end of file."
    InvalidateNoUnmap "C08" "invalidate-without-unmap" 1 ["content" "invariant"] ANY;
        "Invalidation for direct I/O leaves the page table entries of the folios it removes."
    ReclaimUnderWriteback "C12" "reclaim-removes-under-writeback" 2 ["content" "invariant"] ANY;
        "Reclaim removes folios under writeback."
    UnlocksHandedOn "C13" "reclaim-processes-unlocked-folio" 2 ["invariant" "panic"] ANY;
        "Readahead that gives a folio up half submitted unlocks it, though its reads have the lock."
    ReleaseDirtyState "C14" "release-state-while-dirty" 2 ["disk" "content" "invariant"] SMALL_BLOCKS;
        "Reclaim frees the per-block state of a folio before it finds that it is dirty."
    ShadowCounted "C16" "shadow-counted-as-page" 1 ["accounting"] ANY;
        "The pages of an evicted folio, whose place a shadow has taken, stay counted."
    PagesMiscounted "C17" "nrpages-miscount-multi-order" 1 ["accounting" "panic"] Needs { large_folios: true, ..ANY };
        "Removing a folio takes one page off the count."
    ReclaimRecursion "C18" "reclaim-recursion-under-fs-lock" 2 ["deadlock" "hang"] ANY;
        "Every allocation that finds no room waits for writeback, those of a lane that is submitting one included."
    ReadUsesTruncated "D01" "read-uses-truncated-folio" 3 ["invariant" "content"] Needs { lanes: 2, ..ANY };
        "A read that waited for a folio serves its bytes though it has left the file."
    InvalidateBeforeSize "D02" "dio-extend-isize-after-invalidate" 3 ["content"] Needs { flavours: &["ext4"], lanes: 2, ..SMALL_BLOCKS };
        "A direct write invalidates the cache first and raises the size afterwards."
    InvalidateBeforeConversion "D03" "dio-invalidate-before-conversion" 3 ["content"] Needs { lanes: 2, ..ANY };
        "A direct write invalidates the cache first and converts the extents afterwards."
    AsyncNoInvalidate "D04" "aio-dio-no-completion-invalidate" 3 ["content"] Needs { lanes: 2, ops: &["aio_write", "read"], ..ANY };
        "An asynchronous direct write removes nothing from the cache when it ends."
    DirectSizeEarly "D05" "dio-isize-before-conversion" 3 ["content"] Needs { flavours: XFS, lanes: 2, overlapping: true, ops: &["aio_write", "dread"], ..ANY };
        "A direct write raises the size before it converts its extents."
    DirectSizeRaced "D06" "dio-isize-update-unserialised" 3 ["size" "content"] Needs { flavours: XFS, lanes: 2, overlapping: true, ops: &["aio_write", "dwrite"], ..ANY };
        "A direct write sets the size if it was less some time ago."
    DirectReadNoFlush "D07" "dio-read-without-flush" 1 ["content" "errno"] ANY;
        "A direct read does not write the cache back first."
    DirectWriteNoFlush "D08" "dio-write-without-pre-flush" 2 ["content" "disk" "invariant"] ANY;
        "A direct write neither writes the cache back nor removes it beforehand."
    NoSubBlockPad "D09" "dio-subblock-pad-missing" 1 ["content" "disk"] ANY;
        "A direct write of part of a new or unwritten block does not zero the rest of the block."
    NoPadPastEof "D10" "dio-subblock-tail-past-eof" 1 ["content" "invariant"] Needs { flavours: &["xfs-5.8"], ..ANY };
        "A direct write that ends at or beyond the end of file zeroes the rest of its block only if the block is new."
    UnalignedShared "D11" "dio-unaligned-concurrent-zeroing" 3 ["content" "disk"] Needs { lanes: 2, ..ANY };
        "Direct writes of parts of blocks run beside each other."
    ExtentsBesideDirect "D13" "dio-vs-truncate-not-drained" 3 ["content" "disk" "invariant" "size"] Needs { lanes: 2, overlapping: true, ops: &["aio_write"], ..ANY };
        "Truncate, punch and fallocate change blocks and size while asynchronous direct writes are under way."
    DirectReadPastEof "D15" "dio-read-eof" 1 ["size" "content"] ANY;
        "A direct read reports bytes beyond the end of file."
    StateNotInherited "D16" "subpage-uptodate-bitmap-race" 2 ["content" "disk" "invariant"] SMALL_BLOCKS;
        "New per-block state does not inherit what the folio's flags say."
    NoReadBias "D17" "read-pending-unlocks-early" 2 ["content" "disk" "invariant" "panic"] SMALL_BLOCKS;
        "A folio that is read in several parts is unlocked by the first one that has no other in flight."
    FirstBlockUptodate "D18" "partial-uptodate-range-math" 1 ["content" "invariant" "disk"] SMALL_BLOCKS;
        "A range counts as uptodate if its first block is."
    ReadErrorUptodate "D19" "read-error-left-uptodate" 1 ["content" "disk"] Needs { ops: &["fail_read"], ..ANY };
        "A block that could not be read counts as uptodate."
    FailedReadSticks "D20" "readahead-error-then-partial-write" 1 ["content" "disk" "invariant"] Needs { readahead: true, ..SMALL_BLOCKS };
        "While a folio remembers a failed read, the blocks a write fills are not marked uptodate."
    ReadaheadUnlocked "D21" "readahead-without-invalidate-lock" 3 ["content" "disk" "invariant"] Needs { readahead: true, lanes: 2, ..ANY };
        "Readahead does not take invalidate_lock."
    LeftoverLocked "D22" "readahead-leftover-folios" 1 ["hang" "deadlock"] Needs { readahead: true, ..ANY };
        "The folios of a window whose reads are not submitted stay locked."
    MarkMissesFolio "D23" "readahead-mark-wrong-order" 1 ["invariant"] Needs { readahead: true, large_folios: true, ..ANY };
        "The mark of readahead is set only on a folio that begins with the page that is to carry it."
    EntryDirtyLost "E01" "pte-dirty-lost-at-clean-for-io" 3 ["content" "disk" "invariant"] ANY;
        "Writeback clears the dirty flag first and write-protects the entries afterwards, forgetting their dirty bits."
    SyncSkipsWriteback "E05" "sync-skips-folio-under-writeback" 2 ["content" "disk"] ANY;
        "A sync skips folios that are under writeback, even if they are dirty again."
    NoWritebackBias "E07" "writeback-clears-flag-before-all-submitted" 2 ["content" "disk" "invariant" "accounting" "panic"] SMALL_BLOCKS;
        "Writeback of a folio in several I/Os ends with the first one that has no other in flight."
    WritesCleanBlocks "E08" "writeback-writes-nonuptodate-or-clean-blocks" 1 ["content" "disk" "invariant"] SMALL_BLOCKS;
        "Writeback of a folio writes all its blocks, not only the dirty ones."
    DirtyClearOutward "E09" "ifs-dirty-clear-rounding" 1 ["content" "disk" "invariant"] Needs { flavours: &["ext4"], ..SMALL_BLOCKS };
        "Clearing part of a folio's dirty state rounds outward to whole blocks."
    FailureLeavesDirty "E10" "writeback-failure-leaves-block-dirty" 1 ["invariant" "accounting"] Needs { flavours: FAILING, small_blocks: true, ops: &["fail_map"], ..ANY };
        "A folio for which writeback finds no blocks keeps the dirty bits of its blocks."
    MapErrorUnrecorded "E11" "writeback-error-not-recorded" 1 ["content" "disk"] Needs { flavours: FAILING, ops: &["fail_map"], ..ANY };
        "Only errors of the device are recorded: if writeback finds no blocks, no sync tells of it."
    ErrorToldOnce "E12" "errseq-reported-once-globally" 3 ["invariant" "content" "disk"] Needs { flavours: FAILING, ops: &["fail_write"], ..ANY };
        "Of data that was lost only the first description that asks is told."
    OpenSkipsUnseen "E13" "errseq-open-skips-unseen" 1 ["invariant" "content" "disk"] Needs { flavours: FAILING, ops: &["fail_write"], ..ANY };
        "A description that is opened knows of errors that nobody has been told of."
    InodeFlagLost "E14" "inode-dirty-flag-lost" 3 ["invariant" "hang" "deadlock"] ANY;
        "The flusher looks for dirty pages before it clears the inode's dirty flag, not after: a page dirtied in between is in no queue."
    MarkOnCleanFolio "E15" "stale-dirty-tag-on-clean-folio" 2 ["invariant"] ANY;
        "A folio that was cleaned and needed no I/O keeps its dirty mark."
    CachedMappingUnvalidated "E18" "writeback-uses-cached-mapping-unvalidated" 3 ["content" "disk" "invariant" "accounting"] ANY;
        "Writeback uses the mapping it looked up for an earlier folio without asking whether the extents have changed."
    ThrottleLocked "E22" "throttle-under-lock" 2 ["deadlock"] ANY;
        "A write waits for fewer dirty pages while it holds a folio lock."
    StablePageNotWaited "E23" "stable-page-not-waited" 3 ["invariant"] Needs { stable_pages: true, ..ANY };
        "Writes and stores change a folio that is being written, on a device that needs stable data."
    FailedIoConverted "E25" "failed-io-still-converted" 1 ["content" "disk"] Needs { flavours: FAILING, ops: &["fail_write"], ..ANY };
        "Unwritten blocks are converted and the size on the device is raised though the write has failed."
    FaultMapsOrphan "F01" "fault-maps-orphan" 3 ["content" "invariant"] ANY;
        "A fault maps the folio it found though it has left the file meanwhile."
    FaultNoSizeRecheck "F02" "fault-no-isize-recheck" 3 ["size" "content" "invariant" "errno"] Needs { lanes: 2, ..ANY };
        "A fault compares with the size only before it locks the folio."
    MkwriteNoCheck "F03" "mkwrite-no-truncate-check" 3 ["content" "disk" "invariant" "accounting"] ANY;
        "The first store to a page goes to the folio the fault found though it has left the file meanwhile."
    DirtyAfterUnlock "F04" "mkwrite-dirty-after-unlock" 3 ["content" "disk" "invariant"] ANY;
        "The first store to a page makes the folio dirty after it has unlocked it."
    PunchUnlocked "F05" "punch-vs-fault" 3 ["content" "invariant"] Needs { lanes: 2, ..ANY };
        "Punch and truncate do not take invalidate_lock."
    PunchKeepsEdges "F06" "punch-partial-page-not-zeroed" 1 ["content" "disk"] ANY;
        "Punch does not zero the parts of pages and blocks at the ends of the range."
    DaxUnlockRebuilds "G01" "dax-unlock-loses-pmd-bit" 1 ["invariant" "content" "accounting" "hang" "deadlock"] HUGE;
        "The memory failure handler unlocks an entry by storing what it makes of the failed page, which does not say how large the entry was."
    DaxMissesSmall "G02" "dax-pmd-lookup-misses-pte" 1 ["invariant" "accounting" "disk" "hang" "deadlock"] HUGE;
        "A huge fault looks at the first slot of its range only, not at every entry in it."
    DaxMisreadsMulti "G03" "dax-order0-lookup-misreads-multi" 1 ["disk" "invariant" "accounting" "hang" "deadlock"] HUGE;
        "A huge entry found by one of its indices is taken for a small one at that index."
    DaxNothingConflicts "G04" "dax-null-counts-as-conflict" 1 ["invariant"] HUGE;
        "A huge fault that finds no entry takes that for a smaller one, and falls back."
    DaxWrongQueue "G05" "dax-wait-on-wrong-queue" 3 ["hang" "deadlock"] Needs { lanes: 2, ..HUGE };
        "Who meets a locked entry waits for the index it came with, be the entry smaller or larger."
    DaxUnlockKeepsLocked "G06" "dax-unlock-stores-locked-entry" 3 ["hang" "deadlock" "invariant"] Needs { lanes: 2, ..DAX };
        "The unlock stores what it finds in the index, which is locked."
    DaxNoRetry "G07" "dax-no-retry-after-sleep" 3 ["invariant" "accounting" "hang" "deadlock"] Needs { lanes: 2, ..DAX };
        "The memory failure handler, having slept, locks the entry it saw before."
    DaxLocksOneIndex "G09" "dax-subpage-failure-locks-one-index" 3 ["invariant" "accounting"] Needs { lanes: 2, ..HUGE };
        "The memory failure handler splits a huge entry and locks the part for the failed page."
    DaxRemovalWakesOne "G10" "dax-invalidate-wakes-one" 3 ["hang" "deadlock"] Needs { lanes: 3, ..DAX };
        "Who removes an entry wakes one of those that wait for it."
    DaxPutNoWake "G11" "dax-put-unlocked-no-wake" 3 ["hang" "deadlock"] Needs { lanes: 2, ..DAX };
        "Who waited for an entry and leaves it as it is wakes nobody."
    DaxKeepsZeroPage "G12" "dax-zero-page-not-unmapped-on-write" 1 ["content" "invariant" "livelock"] DAX;
        "Blocks are allocated under a page of zeros that is mapped, and it stays mapped."
    DaxOverwritesHuge "G13" "dax-pmd-zero-downgrade" 1 ["content" "invariant" "accounting"] HUGE;
        "A fault of one page takes over a huge entry without blocks instead of removing it."
    DaxAssociatesPart "G14" "dax-disassociate-partial" 3 ["invariant"] Needs { lanes: 2, ..HUGE };
        "A fault of one page in a huge entry that stays lets the pages of the device forget their indices, but for its own."
    DaxFlushBeforeProtect "G15" "dax-flush-before-wrprotect" 3 ["disk" "invariant"] Needs { lanes: 2, ..DAX };
        "Writeback flushes an entry and write-protects it afterwards."
    DaxFlushesPart "G16" "dax-pmd-flush-partial" 1 ["disk" "invariant"] HUGE;
        "Writeback of a huge entry write-protects and flushes the page at which it found it."
    DaxWritesStale "G17" "dax-writeback-pfn-recheck" 3 ["disk" "invariant"] Needs { lanes: 2, ..DAX };
        "Writeback, having waited for an entry, flushes what it was before and calls what it is now clean."
    DaxMapsBlindly "G19" "dax-mkwrite-order-mismatch" 3 ["invariant" "accounting" "content" "disk"] Needs { lanes: 3, ..DAX };
        "A store that has waited for metadata is let in whatever has become of its entry."
}

/// A set of faults is so many words of bits: one bit for each entry of the catalogue.
const WORDS: usize = 3;
const _: () = assert!(FAULTS.len() <= WORDS * 64);

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
pub struct FaultSet([u64; WORDS]);

impl FaultSet {
    /// None: the correct implementation.
    pub const NONE: FaultSet = FaultSet([0; WORDS]);

    /// Only this one.
    pub const fn only(fault: Fault) -> FaultSet {
        let mut words = [0; WORDS];
        words[fault as usize / 64] = 1 << (fault as usize % 64);
        FaultSet(words)
    }

    /// Whether `fault` is armed. Always false in a build without the feature `armable`.
    #[inline]
    pub const fn armed(self, fault: Fault) -> bool {
        cfg!(feature = "armable") && self.0[fault as usize / 64] & 1 << (fault as usize % 64) != 0
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
        for row in FAULTS {
            let armed = FAULTS.iter().filter(|other| FaultSet::only(row.fault).armed(other.fault)).count();
            assert_eq!(armed, usize::from(cfg!(feature = "armable")), "{}", row.id);
        }
    }
}
