//! Names: lanes, places in the code, and one arrival of one lane at one place.

use std::fmt;

/// A lane. User lanes are 0 to 6; the others have fixed numbers, so that dropping a user lane renames none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneId(pub u8);

impl LaneId {
    /// How many user lanes there can be.
    pub const MAX_USERS: usize = 7;
    /// Runs when all user lanes are done: brings the system to rest and looks at it.
    pub const CHECKER: LaneId = LaneId(7);
    /// Background writeback.
    pub const FLUSHER: LaneId = LaneId(8);
    /// Completes I/O: data lands on the device, extents are converted, writeback ends.
    pub const END_IO: LaneId = LaneId(9);
    /// Evicts clean folios.
    pub const RECLAIM: LaneId = LaneId(10);
    /// Completes asynchronous direct writes. Not the end-io worker: it waits for folios, which that one unlocks.
    pub const DIRECT: LaneId = LaneId(11);
    /// One more than the largest lane number.
    pub const COUNT: usize = 12;
    /// The background lanes. The last one is there only if a program needs it.
    pub const BACKGROUND: [LaneId; 4] = [LaneId::FLUSHER, LaneId::END_IO, LaneId::RECLAIM, LaneId::DIRECT];
    /// The background lanes, as bits.
    pub const BACKGROUND_BITS: u64 =
        LaneId::FLUSHER.bit() | LaneId::END_IO.bit() | LaneId::RECLAIM.bit() | LaneId::DIRECT.bit();

    /// This lane's bit in a set of lanes.
    #[inline]
    pub const fn bit(self) -> u64 {
        1 << self.0
    }

    /// Whether this is a user lane.
    pub const fn is_user(self) -> bool {
        (self.0 as usize) < LaneId::MAX_USERS
    }

    /// The lane of this name: a number, `checker`, `flusher`, `end-io`, `reclaim` or `direct`.
    pub fn from_name(name: &str) -> Option<LaneId> {
        match name {
            "checker" => Some(LaneId::CHECKER),
            "flusher" => Some(LaneId::FLUSHER),
            "end-io" => Some(LaneId::END_IO),
            "reclaim" => Some(LaneId::RECLAIM),
            "direct" => Some(LaneId::DIRECT),
            _ => {
                let number = name.parse().ok().map(LaneId)?;
                (number.is_user() && number.0.to_string() == name).then_some(number)
            }
        }
    }
}

impl fmt::Display for LaneId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            LaneId::CHECKER => f.pad("checker"),
            LaneId::FLUSHER => f.pad("flusher"),
            LaneId::END_IO => f.pad("end-io"),
            LaneId::RECLAIM => f.pad("reclaim"),
            LaneId::DIRECT => f.pad("direct"),
            LaneId(n) => f.pad(&n.to_string()),
        }
    }
}

macro_rules! places {
    ($($name:ident $doc:literal;)*) => {
        /// A place where the kernel could sleep or be preempted, by the name section 2 of the catalogue of
        /// historical bugs gives it. The letter says whose path it is on: W buffered write, Z zeroing,
        /// R buffered read, F fault, M first store to a page, B writeback submission, E end of I/O,
        /// C reclaim, S folio split, T truncate, P punch, I invalidation for direct I/O, D direct I/O,
        /// X DAX, H memory failure, Y fsync, J journal, G throttling and daemons.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Y { $(#[doc = $doc] $name,)* }

        const PLACES: &[(Y, &str, &str)] = &[$((Y::$name, stringify!($name), $doc),)*];
    };
}

places! {
    LK1 "lookup: slot loaded, no reference yet";
    LK2 "lookup: reference taken, slot not read again";
    LK3 "lookup: slot changed, before the retry";
    LOCK "waiting for a folio lock, holding a reference";
    LOCKD "waiting for a folio lock without a reference, to look up again";
    WBW "waiting for writeback to end";
    TREE "waiting for the tree lock, or for its holder to be done with a frozen folio";
    ALLOC "allocating a folio: reclaim may run here";
    ADD1 "folio allocated, not in the cache yet";
    ADD2 "adding a folio: shadow found, before the nodes for its split are allocated; tree unlocked";
    ADD3 "adding a folio: tree unlocked to allocate a node";
    ADD4 "folio in the cache, locked, nothing in it";
    UNMAP "before page table entries are removed";
    W0 "before i_rwsem";
    W1 "i_rwsem taken, before the checks and the zeroing beyond the end of file";
    W2 "before dirty throttling";
    W3 "user buffer faulted in";
    W4a "in iomap_begin, before the extent lock";
    W4b "mapping in hand, no folio looked up";
    W6 "folio locked, mapping not validated";
    W7 "mapping validated, before the per-block state";
    W8 "before an edge block is read";
    W9 "bytes copied, no state changed";
    W10 "blocks uptodate and dirty, size not raised";
    W11 "size raised, folio still locked";
    W12 "folio unlocked";
    W13 "between two folios of one mapping";
    W14 "before iomap_end";
    W15 "waiting for invalidate_lock in iomap_end";
    W16 "releasing the reservation of a short write";
    W17 "before the next iomap_begin";
    W18 "i_rwsem released, before the flush of a synchronous write";
    Z1 "zeroing: cache tested for dirty folios, no mapping";
    Z2 "zeroing: mapping in hand";
    Z3 "zeroing: dirty range being written first";
    R0 "before the lock and the size check";
    R1 "between two folios of the batch a read looks up";
    R2a "before readahead takes invalidate_lock";
    R2b "folio in the cache and mapped, read not submitted";
    R2c "read submitted, not completed";
    R3 "folio in hand, not tested for uptodate";
    R5 "between the size load and the copy";
    R6 "folio locked to be filled";
    R7 "waiting for the read to complete";
    F0 "before the first size test of a fault";
    F1 "looked up, before readahead of a fault";
    F2 "waiting for invalidate_lock shared";
    F3 "folio found, not locked";
    F4 "folio locked, not uptodate";
    F5 "folio locked and uptodate, before the second size test";
    F6 "before the page table entry is installed";
    F7 "entry installed, folio unlocked";
    F8 "fault-around: folio found, before trylock";
    F9 "fault starts over";
    M0 "before invalidate_lock";
    M1 "before the folio lock";
    M2 "folio locked, still in the file";
    M3 "before blocks are reserved";
    M4 "folio dirty, before the wait for stable pages";
    M5 "waiting for stable pages";
    M6 "entry made writable, folio still locked";
    M7 "folio unlocked, before throttling";
    B0 "before dirty folios are tagged for an integrity pass";
    B1 "dirty folio found by tag, not locked";
    B2 "folio locked, nothing tested";
    B3 "folio cleaned: entries write-protected, flag cleared";
    B4 "before a dirty run is mapped";
    B4a "waiting for the extent lock in map_blocks";
    B5 "before the writeback flag is set";
    B7 "after each I/O submitted";
    B8 "submitter's bias dropped, folio unlocked";
    B9 "pages written, before the inode's dirty flag is brought in line";
    B10 "the inode's flag in line, before its metadata is written";
    B11 "between folios";
    B12 "mapping failed, before the reservation is discarded";
    E1 "a read of the device has completed";
    E2 "a write of the device has completed, its worker has not run";
    E3 "before extents are converted";
    E4 "before the size on disk is raised";
    E5 "before the writeback flag of a folio is cleared, and between that and the wake-up";
    E6 "between two completed writes";
    C0 "reclaim picks candidates";
    C1 "before trylock of a candidate";
    C2 "candidate locked, dirty and writeback not tested";
    C3 "before the candidate's entries are unmapped";
    C4 "private state released, references not frozen";
    C5 "references frozen, before the removal; tree locked";
    C6 "removed, not freed";
    C7 "before a large folio is split to evict part of it";
    C8 "waiting for a folio under writeback, to evict it";
    S0 "split: before the private state is released";
    S1 "split: allocating nodes";
    S2 "split: unmapped, before the tree lock";
    S3 "split: references frozen, nothing replaced yet; tree locked";
    S4 "split: tails in their slots, head still frozen; tree locked";
    S5 "split: done, tree unlocked";
    S6 "split: before the pieces are unlocked and freed";
    T0 "truncate: tail of the file system zeroed";
    T1 "truncate: size set, before the unmap";
    T2 "truncate: batch locked, before the removal";
    T3 "truncate: partly covered folio";
    T4 "truncate: second pass, waiting for an entry";
    T5 "truncate: second unmap";
    T6 "truncate: writing what lies below the new size";
    T7 "truncate: before extents are removed";
    T8 "truncate: locks released";
    P0 "punch: draining, flushing";
    P1 "punch: before the unmap";
    P2 "punch: cache dropped, extents intact";
    P3 "punch: extents removed";
    P4 "punch: zeroing partial blocks";
    P5 "punch: writing the page of the end of file";
    I0 "invalidation: flushed";
    I1 "invalidation: batch found, before the unmap";
    I2 "invalidation: waiting for a folio";
    I3 "invalidation: private state released, not rechecked";
    I4 "invalidation: folio removed";
    D1 "direct I/O: cache flushed";
    D2 "direct I/O: before iomap_begin";
    D3 "direct I/O: submitted";
    D4 "direct I/O: completed";
    D5 "direct I/O: between conversion and size";
    D6 "direct I/O: end_io done, before the invalidation";
    D7 "direct I/O: invalidated, still counted";
    D8 "direct I/O: no longer counted";
    D9 "direct I/O: before the flush of a synchronous write";
    D10 "direct I/O: falling back to the cache";
    X0 "DAX: before the tree lock";
    X1 "DAX: waiting for an entry";
    X3 "DAX: entry locked, before the file system is asked";
    X4 "DAX: block known, before the entry is inserted";
    X5 "DAX: zero page unmapped, entry not replaced";
    X6 "DAX: before the page table entry is installed";
    X7 "DAX: entry installed, before the unlock";
    X8 "DAX: a huge entry without blocks goes: between its lock, the unmap and its removal";
    X9 "DAX, MAP_SYNC: metadata being synced, the entry not found again";
    X10 "DAX writeback: entry locked, before the write protection";
    X11 "DAX writeback: between the write protection and the flush";
    X12 "DAX writeback: flushed, before the marks are cleared";
    X13 "DAX: waiting for an entry that is to be removed";
    H0 "memory failure: the page's owner read";
    H1 "memory failure: before the tree lock";
    H2 "memory failure: waiting for an entry";
    H3 "memory failure: entry locked, before and after its mappings go";
    H4 "memory failure: before the unlock";
    Y1 "fsync: before tagging";
    Y2 "fsync: tagged, before the first folio";
    Y3 "fsync: between folios";
    Y4 "fsync: waiting for a folio";
    Y5 "fsync: before the error cursor";
    Y6 "fsync: before the metadata";
    Y7 "fsync: before the device cache flush";
    G0 "before the counters of dirty pages are looked at";
    G1 "too much is dirty, before the flusher is woken";
    G2 "throttled: waiting for the flusher to get on";
    G3 "before a new folio is charged: reclaim may run here";
    G4 "flusher picks what to write";
    G5 "flusher decides whether the inode is queued again";
    IDLE "a background lane found nothing to do";
    START "before the first operation";
    NEXT "between two operations";
    FINISH "the lane has finished";
    J0 "before a transaction begins";
    J1 "flush of the log: waiting for the transactions that are open";
    J2 "flush of the log: written, a folio in it not yet dirty";
    CRASH "the machine stops: what of the log and of the device's cache is kept";
    BOOT "the machine has come up again, no lane has begun";
}

impl Y {
    /// How many places there are.
    pub const COUNT: usize = PLACES.len();

    /// The name, as the catalogue and reproducers write it.
    pub fn name(self) -> &'static str {
        PLACES[self as usize].1
    }

    /// What the lane has done and not done there.
    pub fn doc(self) -> &'static str {
        PLACES[self as usize].2
    }

    /// The place with this name.
    pub fn from_name(name: &str) -> Option<Y> {
        PLACES.iter().find(|(_, n, _)| *n == name).map(|(y, ..)| *y)
    }

    /// The place with this number.
    pub fn from_index(index: usize) -> Option<Y> {
        PLACES.get(index).map(|(y, ..)| *y)
    }
}

impl fmt::Display for Y {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// One arrival: lane 0, in its operation 2, for the first time at W13, prints as `0.2 W13 #1`.
///
/// A background lane's operations are its passes over the work it found, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Who.
    pub lane: LaneId,
    /// In which of its operations.
    pub op: u32,
    /// Where.
    pub y: Y,
    /// Which arrival there within the operation, from 1. A lane that has not run yet is at [`Y::START`] for the
    /// first time.
    pub nth: u16,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} {} #{}", self.lane, self.op, self.y, self.nth)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_lead_back_to_what_they_name() {
        for index in 0..Y::COUNT {
            let y = Y::from_index(index).unwrap();
            assert_eq!(y as usize, index);
            assert_eq!(Y::from_name(y.name()), Some(y));
        }
        for lane in (0..LaneId::COUNT as u8).map(LaneId) {
            assert_eq!(LaneId::from_name(&lane.to_string()), Some(lane));
        }
        assert_eq!(LaneId::from_name("07"), None);
    }
}
