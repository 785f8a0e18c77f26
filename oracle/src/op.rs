//! The operations, each defined once.
//!
//! Everything that enumerates operations (the text form, the byte form, the generator's weights, the help
//! text, the table in the README) is derived from [`OpKind::info`]. To add an operation, add one row to the
//! table below; the compiler then names every `match` that has to learn about it.

use std::fmt;
use std::ops::Range;

/// Which of [`Op`]'s fields an operation uses, and what the reproducer's text calls them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// No operand.
    Plain,
    /// `size=`: a file size, kept in [`Op::off`].
    Size,
    /// `off=`: one file position.
    Offset,
    /// `off= len=`: the half-open byte range `[off, off + len)`.
    Range,
    /// `off= len= readable=`: a range whose user buffer can be read only up to `readable` bytes.
    RangeReadable,
}

/// What an operation does to the file, as far as sharing a file between lanes is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Returns file content.
    Read,
    /// Changes content inside its range only.
    Write,
    /// Changes the size of the file.
    Size,
    /// Changes neither content nor size: syncing, cache control, queries.
    Neutral,
}

/// One row of the table of operations.
#[derive(Debug)]
pub struct OpInfo {
    /// The operation.
    pub kind: OpKind,
    /// Its name in reproducers, reports and `--ops`.
    pub name: &'static str,
    /// Its operands.
    pub shape: Shape,
    /// Its effect on the shared file.
    pub effect: Effect,
    /// Whether the range may raise the size of the file.
    pub extends: bool,
    /// Whether offset and length are multiples of [`crate::Geometry::sector`] (direct I/O).
    pub direct: bool,
    /// Whether it goes through a shared mapping of the file.
    pub mapped: bool,
    /// Weight in generated programs before the swarm draw.
    pub weight: u8,
    /// What it does, in one line.
    pub doc: &'static str,
}

macro_rules! operations {
    ($($variant:ident $name:literal $shape:ident $effect:ident [$($flag:ident)*] $weight:literal $doc:literal;)*) => {
        /// An operation's identity. The order is part of the byte form: add new ones at the end.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum OpKind { $(#[doc = $doc] $variant,)* }

        /// The table of operations, indexed by `OpKind as usize`.
        pub static OPS: &[OpInfo] = &[$(OpInfo {
            $($flag: true,)*
            ..OpInfo::row(OpKind::$variant, $name, Shape::$shape, Effect::$effect, $weight, $doc)
        },)*];
    };
}

impl OpInfo {
    const fn row(
        kind: OpKind,
        name: &'static str,
        shape: Shape,
        effect: Effect,
        weight: u8,
        doc: &'static str,
    ) -> OpInfo {
        OpInfo { kind, name, shape, effect, extends: false, direct: false, mapped: false, weight, doc }
    }
}

operations! {
    Read       "read"        Range  Read    []               10 "pread(2) through the page cache";
    Write      "write"       Range  Write   [extends]        16 "pwrite(2) through the page cache";
    MapRead    "mapread"     Range  Read    [mapped]          8 "load through a shared mapping that lives across operations";
    MapWrite   "mapwrite"    Range  Write   [mapped]         10 "store through a shared mapping that lives across operations, not synced";
    Msync      "msync"       Range  Neutral [mapped]          3 "msync(2) with MS_SYNC";
    DirectRead "dread"       Range  Read    [direct]          5 "pread(2) with O_DIRECT";
    DirectWrite "dwrite"     Range  Write   [extends direct]  7 "pwrite(2) with O_DIRECT";
    Truncate   "truncate"    Size   Size    []                7 "ftruncate(2), up or down";
    Fallocate  "fallocate"   Range  Size    [extends]         4 "fallocate(2) mode 0: allocate, extend the file";
    KeepSize   "keep_size"   Range  Neutral []                3 "fallocate(2) with FALLOC_FL_KEEP_SIZE: allocate, leave the size";
    Punch      "punch"       Range  Write   []                6 "fallocate(2) with FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE";
    ZeroRange  "zero_range"  Range  Size    [extends]         5 "fallocate(2) with FALLOC_FL_ZERO_RANGE: zero, extend the file";
    Fsync      "fsync"       Plain  Neutral []                4 "fsync(2)";
    Fdatasync  "fdatasync"   Plain  Neutral []                2 "fdatasync(2)";
    SyncRange  "sync_range"  Range  Neutral []                3 "sync_file_range(2), wait before, write, wait after";
    DontNeed   "dontneed"    Range  Neutral []                4 "posix_fadvise(2) with POSIX_FADV_DONTNEED";
    SeekData   "seek_data"   Offset Neutral []                2 "lseek(2) with SEEK_DATA";
    SeekHole   "seek_hole"   Offset Neutral []                2 "lseek(2) with SEEK_HOLE";
    Stat       "stat"        Plain  Neutral []                1 "fstat(2): the size";
    Reopen     "reopen"      Plain  Neutral []                1 "unmap, close(2), open(2), map again";
    WriteFault "write_fault" RangeReadable Write [extends]    3 "pwrite(2) whose buffer can be read only in part: a short write, or EFAULT";
    Writeback  "writeback"   Range  Neutral []                4 "start writeback of the range, do not wait (sync_file_range(2) with SYNC_FILE_RANGE_WRITE)";
    EndIo      "end_io"      Plain  Neutral []                3 "wait until all writeback in flight has completed, errors left to fsync";
    Evict      "evict"       Range  Neutral []                5 "reclaim the clean folios of the range; dirty ones stay";
    WriteDsync "write_dsync" Range  Write   [extends]         2 "pwritev2(2) with RWF_DSYNC: what it wrote, and the size that shows it, are persistent when it returns";
    DirectWriteDsync "dwrite_dsync" Range Write [extends direct] 2 "pwritev2(2) with O_DIRECT and RWF_DSYNC: what it wrote, and the size that shows it, are persistent when it returns";
    Crash      "crash"       Plain  Neutral []                1 "the machine stops, what was not flushed may be lost, and comes up again; lane 0 goes on alone (a file system of --mkfs is shut down and mounted again)";
    FailAlloc  "fail_alloc"  Plain  Neutral []                2 "one more block is there for what this lane writes and stores through the cache; then, once, ENOSPC";
    MemoryFailure "memory_failure" Offset Neutral []          2 "a page of persistent memory fails and its mappings go, nothing is lost (madvise(2) with MADV_SOFT_OFFLINE, for DAX)";
    FailWrite  "fail_write"  Plain  Neutral []                3 "the next write of the device fails with EIO, and nothing of it gets there";
    FailRead   "fail_read"   Plain  Neutral []                2 "the next read of the device fails with EIO";
    FailMap    "fail_map"    Plain  Neutral []                2 "the next time writeback has to find blocks it fails with EIO, and what was dirty is lost";
    WriteFromMap "write_from_map" Range Write [mapped]        2 "pwrite(2) of what is in the file, from a shared mapping of the same bytes: nothing changes";
    AioWrite   "aio_write"   Range  Write   [extends direct]  5 "io_submit(2) of a write with O_DIRECT, and io_getevents(2): what it wrote is there when that returns";
}

impl OpKind {
    /// How many operations there are.
    pub const COUNT: usize = OPS.len();

    /// This operation's row of the table.
    #[inline]
    pub fn info(self) -> &'static OpInfo {
        &OPS[self as usize]
    }

    /// Whether it makes I/O fail, or the allocation of space for it.
    pub fn breaks_io(self) -> bool {
        matches!(self, OpKind::FailWrite | OpKind::FailRead | OpKind::FailMap | OpKind::FailAlloc)
    }

    /// The operation with this index in the table.
    pub fn from_index(index: usize) -> Option<OpKind> {
        OPS.get(index).map(|row| row.kind)
    }

    /// The operation with this name.
    pub fn from_name(name: &str) -> Option<OpKind> {
        OPS.iter().find(|row| row.name == name).map(|row| row.kind)
    }
}

impl fmt::Display for OpKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.info().name)
    }
}

/// One operation with its operands. Operands its [`Shape`] does not name are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Op {
    /// What to do.
    pub kind: OpKind,
    /// First byte of the range, the position to seek from, or the new size.
    pub off: u64,
    /// Length of the range in bytes, never zero for an operation that has one.
    pub len: u64,
    /// How many bytes of the user buffer can be read ([`Shape::RangeReadable`]), less than `len`.
    pub readable: u64,
}

impl Op {
    /// An operation without operands.
    pub const fn plain(kind: OpKind) -> Op {
        Op { kind, off: 0, len: 0, readable: 0 }
    }

    /// An operation on one position, or `truncate` to a size.
    pub const fn at(kind: OpKind, off: u64) -> Op {
        Op { kind, off, len: 0, readable: 0 }
    }

    /// An operation on `[off, off + len)`.
    pub const fn range(kind: OpKind, off: u64, len: u64) -> Op {
        Op { kind, off, len, readable: 0 }
    }

    /// The bytes the operation names; empty for operations without a range.
    pub fn bytes(&self) -> Range<u64> {
        match self.kind.info().shape {
            Shape::Range | Shape::RangeReadable => self.off..self.off + self.len,
            Shape::Plain | Shape::Size | Shape::Offset => self.off..self.off,
        }
    }
}

/// The text form, `write off=0 len=4096`, as it stands in reproducers.
impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Op { kind, off, len, readable } = self;
        match kind.info().shape {
            Shape::Plain => write!(f, "{kind}"),
            Shape::Size => write!(f, "{kind} size={off}"),
            Shape::Offset => write!(f, "{kind} off={off}"),
            Shape::Range => write!(f, "{kind} off={off} len={len}"),
            Shape::RangeReadable => write!(f, "{kind} off={off} len={len} readable={readable}"),
        }
    }
}

/// Which operation of which lane: lane 2's fifth operation prints as `2.4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpId {
    /// The user lane.
    pub lane: u8,
    /// Position in the lane, from 0.
    pub index: u32,
}

impl fmt::Display for OpId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.lane, self.index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_indexed_by_kind_and_its_names_are_unique() {
        for (index, row) in OPS.iter().enumerate() {
            assert_eq!(row.kind as usize, index);
            assert_eq!(OpKind::from_name(row.name), Some(row.kind));
            assert_eq!(OpKind::from_index(index), Some(row.kind));
        }
    }
}
