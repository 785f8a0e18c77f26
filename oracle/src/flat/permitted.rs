//! The answers that differ from the plain one and are right nonetheless, or known, as data.

use super::FlatFile;
use crate::op::{Op, OpKind};
use crate::outcome::{Errno, Outcome};
use std::ops::{Range, RangeInclusive};

/// One difference from the plain meaning that is not reported as a divergence.
#[derive(Debug)]
pub struct Permitted {
    /// Its name in the documentation and in tests.
    pub name: &'static str,
    /// The file systems it is limited to; none if a standard permits it everywhere. Limited ones hold only after
    /// [`FlatFile::permit_known`]: without that, they are divergences.
    pub on: &'static [&'static str],
    /// The operations it concerns.
    pub ops: &'static [OpKind],
    /// Why it is let pass, and where that is written.
    pub reason: &'static str,
    /// Whether it covers this answer, to this lane's operation on this file.
    answer: fn(&FlatFile, u8, &Op, Outcome) -> bool,
    /// What it does to the file besides what the operation does; called before that.
    effect: fn(&mut FlatFile, &Op, Outcome),
}

/// All permitted differences. Whatever is neither here nor the plain answer is a divergence. Effects are applied in
/// this order, so those that change the size come last.
pub static PERMITTED: &[Permitted] = &[
    Permitted {
        name: "holes-are-reported",
        on: &[],
        ops: &[OpKind::SeekData, OpKind::SeekHole],
        reason: "lseek(2): a file system may report zeros as a hole or as data, at a granularity of its own; \
                 bytes that were written must never be reported as a hole",
        answer: holes_are_zeros,
        effect: none,
    },
    Permitted {
        name: "size-belongs-to-lane-0",
        on: &[],
        ops: &[OpKind::Read, OpKind::DirectRead, OpKind::MapRead, OpKind::Stat],
        reason: "lane 0 may change the size while another lane reads, so the other lane may find any size from \
                 the floor to the file limit",
        answer: some_size_explains,
        effect: none,
    },
    Permitted {
        name: "fault-writes-less",
        on: &[],
        ops: &[OpKind::WriteFault],
        reason: "write(2): EFAULT if the buffer is not accessible, and a write may always be short; how much of a \
                 partly readable buffer is used is left to the kernel (btrfs of Linux 6.18 answers EFAULT where \
                 ext4, xfs and tmpfs write all that can be read)",
        answer: fault_writes_less,
        effect: none,
    },
    Permitted {
        name: "space-runs-out",
        on: &[],
        ops: SPENDS,
        reason: "write(2): ENOSPC if there is no room for the data, and a write may always be short; a store without a \
                 block to go to is a SIGBUS. Only after fail_alloc, and once",
        answer: space_runs_out,
        effect: none,
    },
    Permitted {
        name: "short-copy-exposes-memory",
        on: &["xfs"],
        ops: &[OpKind::WriteFault],
        reason: "seen on xfs of Linux 6.18: of a block without data that is written in part, the rest is zeroed and \
                 the block called up to date before the copy; if the copy is short, the bytes not copied show what \
                 the page of memory held before",
        answer: never,
        effect: short_copy_exposes,
    },
    Permitted {
        name: "seek-data-finds-end",
        on: &["ext4", "xfs"],
        ops: &[OpKind::SeekData],
        reason: "seen on ext4 and xfs of Linux 6.18 with blocks smaller than a page: if the end of file lies in an unwritten \
                 block whose page is cached, the size is answered where lseek(2) has ENXIO",
        answer: end_is_found,
        effect: none,
    },
    Permitted {
        name: "direct-read-meets-reservation",
        on: &["ext4", "xfs"],
        ops: &[OpKind::DirectRead],
        reason: "seen on ext4 and xfs of Linux 6.18: a write cut short by its buffer leaves blocks reserved but not \
                 allocated where nothing was copied; a direct read that meets them fails with EIO (Direct I/O \
                 collision with buffered writes, says the kernel log), however often the file is synced",
        answer: reservation_is_met,
        effect: none,
    },
    Permitted {
        name: "direct-write-extends-behind-mapping",
        on: &["ext4"],
        ops: &[OpKind::DirectWrite, OpKind::DirectWriteDsync, OpKind::AioWrite],
        reason: "seen on ext4 of Linux 6.18: a direct write that extends the file does not tell the page cache, as \
                 buffered writes, ftruncate and fallocate do. Stores past the old end of file show (mmap(2) leaves \
                 that open); later stores there, through a mapping that was writable before, get no block if blocks \
                 are smaller than pages: lseek calls them a hole, and after fsync they are lost. Zeroing a part of such \
                 a block changes nothing about that",
        answer: never,
        effect: extended_behind_mapping,
    },
    Permitted {
        name: "stores-past-eof-survive",
        on: &["tmpfs"],
        ops: GROWS,
        reason: "mmap(2): what stores past the end of file show after the size has changed is unspecified; tmpfs of \
                 Linux 6.18 never zeroes the rest of the last page when the file grows",
        answer: never,
        effect: stores_past_eof_survive,
    },
    Permitted {
        name: "stores-past-allocated-end-survive",
        on: &["ext4"],
        ops: GROWS,
        reason: "mmap(2) leaves open what stores past the end of file show after the size has changed. ext4 of Linux 6.18 \
                 with blocks smaller than pages zeroes them when the file grows, but not the second time if it is \
                 fallocate or zero_range that raised the size inside their page before",
        answer: never,
        effect: stores_past_allocated_end_survive,
    },
    Permitted {
        name: "size-before-data",
        on: &["ext4"],
        ops: &[OpKind::Crash],
        reason: "seen on ext4 of Linux 6.18: the size that an appending write leads to is logged when its I/O is submitted, \
                 or with the write itself where the block is there already, and its blocks become written ones when the \
                 I/O ends. A crash in between shows zeros, or what the file held there before, up to that size; never \
                 anything else",
        answer: never,
        effect: none,
    },
    Permitted {
        name: "stores-past-eof-reach-device",
        on: &["ext4", "xfs"],
        ops: &[OpKind::MapWrite],
        reason: "seen on ext4 and xfs of Linux 6.18: mmap(2) leaves open what becomes of stores past the end of file. They may reach the device with a page that is being written; if a crash \
                 then loses the truncate that made them lie past the end, they are in the file",
        answer: never,
        effect: stored_past_eof,
    },
    Permitted {
        name: "fallocate-logs-its-end",
        on: &["ext4"],
        ops: &[OpKind::Punch, OpKind::ZeroRange, OpKind::Fallocate],
        reason: "seen on ext4 of Linux 6.18: fallocate(2) beyond the size on the device and below the size in memory \
                 raises the former to where its range ends, in the middle of a block, too, whatever is dirty there",
        answer: never,
        effect: logs_its_end,
    },
    Permitted {
        name: "failed-write-extends",
        on: &["ext4", "tmpfs"],
        ops: &[OpKind::WriteFault],
        reason: "seen on ext4 and tmpfs of Linux 6.18: a write at an offset beyond the end of file that fails with \
                 EFAULT raises the size to its offset (the end of a copy of no bytes is taken for the new size); ext4 does \
                 not log that, so after a crash it may be gone though the file was synced",
        answer: never,
        effect: failed_write_extends,
    },
];

/// The operations that may make a file larger.
const GROWS: &[OpKind] = &[
    OpKind::Write,
    OpKind::DirectWrite,
    OpKind::WriteDsync,
    OpKind::DirectWriteDsync,
    OpKind::AioWrite,
    OpKind::WriteFault,
    OpKind::Truncate,
    OpKind::Fallocate,
    OpKind::ZeroRange,
];

/// The operations that may find no space.
const SPENDS: &[OpKind] = &[
    OpKind::Write,
    OpKind::WriteFault,
    OpKind::WriteDsync,
    OpKind::DirectWrite,
    OpKind::DirectWriteDsync,
    OpKind::AioWrite,
    OpKind::MapWrite,
    OpKind::WriteFromMap,
];

/// Whether a row of the table covers this answer.
pub(super) fn is_permitted(file: &FlatFile, lane: u8, op: &Op, outcome: Outcome) -> bool {
    rows(file.known_on.as_deref(), op.kind).any(|row| (row.answer)(file, lane, op, outcome))
}

/// Lets the rows that hold for `op` do what they do to the file.
pub(super) fn take_effect(file: &mut FlatFile, op: &Op, outcome: Outcome) {
    for row in PERMITTED {
        if row.ops.contains(&op.kind) && row.holds_on(file.known_on.as_deref()) {
            (row.effect)(file, op, outcome);
        }
    }
}

fn rows(file_system: Option<&str>, kind: OpKind) -> impl Iterator<Item = &'static Permitted> {
    PERMITTED.iter().filter(move |row| row.ops.contains(&kind) && row.holds_on(file_system))
}

impl Permitted {
    fn holds_on(&self, file_system: Option<&str>) -> bool {
        self.on.is_empty() || file_system.is_some_and(|name| self.on.contains(&name))
    }
}

impl FlatFile {
    /// Whether this row about crashes holds here.
    pub(super) fn crashes_with(&self, name: &str) -> bool {
        rows(self.known_on.as_deref(), OpKind::Crash).any(|row| row.name == name)
    }

    /// The sizes that `lane` may have found.
    fn sizes(&self, lane: u8) -> RangeInclusive<u64> {
        if self.knows_size(lane) { self.size()..=self.size() } else { self.geometry.floor..=self.geometry.file_limit }
    }

    /// Keeps track of who runs out of space.
    pub(super) fn note_space(&mut self, lane: u8, op: &Op, outcome: Outcome) {
        if op.kind == OpKind::FailAlloc {
            self.short_of_space |= 1 << lane;
        } else if self.failures.is_none() // a read that failed may have been the reason
            && SPENDS.contains(&op.kind)
            && outcome != self.plain_answer(op)
            && space_runs_out(self, lane, op, outcome)
        {
            self.short_of_space &= !(1 << lane);
        }
    }

    /// Where `range` first holds a byte that is not zero, as far as `lane` can know.
    pub(super) fn first_data(&self, lane: u8, range: Range<u64>) -> Option<u64> {
        let end = range.end.min(self.size());
        let known = self.known(lane, range.start..end.max(range.start));
        known.flat_map(|part| self.open.outside(part)).find_map(|part| {
            let bytes = &self.content[part.start as usize..part.end as usize];
            let data = |(at, byte): &(u64, &u8)| **byte != 0 && !self.may_be_older(*at, 0);
            (part.start..).zip(bytes).find(data).map(|(at, _)| at)
        })
    }
}

fn never(_: &FlatFile, _: u8, _: &Op, _: Outcome) -> bool {
    false
}

fn none(_: &mut FlatFile, _: &Op, _: Outcome) {}

fn holes_are_zeros(file: &FlatFile, lane: u8, op: &Op, outcome: Outcome) -> bool {
    let sizes = file.sizes(lane);
    match (op.kind, outcome) {
        (OpKind::SeekData, Outcome::Position(at)) => {
            op.off <= at && at < *sizes.end() && file.first_data(lane, op.off..at.min(*sizes.start())).is_none()
        }
        (OpKind::SeekData, Outcome::Errno(Errno::ENXIO)) => file.first_data(lane, op.off..*sizes.start()).is_none(),
        (OpKind::SeekHole, Outcome::Position(at)) => {
            let here = at..(at + 1).min(*sizes.start());
            op.off <= at && op.off < *sizes.end() && at <= *sizes.end() && file.first_data(lane, here).is_none()
        }
        (OpKind::SeekHole, Outcome::Errno(Errno::ENXIO)) => op.off >= *sizes.start(),
        _ => false,
    }
}

fn some_size_explains(file: &FlatFile, lane: u8, op: &Op, outcome: Outcome) -> bool {
    if file.knows_size(lane) {
        return false;
    }
    let floor = file.geometry.floor;
    let sure = floor.saturating_sub(op.off).min(op.len);
    match (op.kind, outcome) {
        (OpKind::Read | OpKind::DirectRead, Outcome::Bytes(n)) => (sure..=op.len).contains(&n),
        (OpKind::MapRead, Outcome::Bytes(n)) => n == op.len,
        (OpKind::MapRead, Outcome::Sigbus(n)) => {
            // The first page that is missing lies past the floor, and all before it was read.
            let fault = op.off + n;
            let page = fault / file.page * file.page;
            n < op.len && page >= floor && (n == 0 || fault == page)
        }
        (OpKind::Stat, Outcome::Position(size)) => file.sizes(lane).contains(&size),
        _ => false,
    }
}

fn fault_writes_less(_: &FlatFile, _: u8, op: &Op, outcome: Outcome) -> bool {
    match outcome {
        Outcome::Bytes(n) => (1..=op.readable).contains(&n),
        outcome => outcome == Outcome::Errno(Errno::EFAULT),
    }
}

/// Space is handed out by blocks, and a store needs all blocks of its page.
fn space_runs_out(file: &FlatFile, lane: u8, op: &Op, outcome: Outcome) -> bool {
    let block = u64::from(file.geometry.block);
    let due = if op.kind == OpKind::WriteFault { op.readable } else { op.len };
    file.short_of_space & 1 << lane != 0
        && match (op.kind, outcome) {
            (OpKind::MapWrite, Outcome::Sigbus(n)) => n < due && (n == 0 || (op.off + n).is_multiple_of(file.page)),
            (OpKind::MapWrite, _) => false,
            // Cut at any byte by a page that was missing, it may go on in the middle of a block.
            (OpKind::WriteFromMap, Outcome::Bytes(n)) => (1..due).contains(&n),
            (_, Outcome::Bytes(n)) => (1..due).contains(&n) && (op.off + n).is_multiple_of(block),
            (_, outcome) => outcome == Outcome::Errno(Errno::ENOSPC),
        }
}

fn end_is_found(file: &FlatFile, lane: u8, op: &Op, outcome: Outcome) -> bool {
    let size = file.size();
    file.knows_size(lane)
        && op.off < size
        && outcome == Outcome::Position(size)
        && file.first_data(lane, op.off..size).is_none()
}

fn reservation_is_met(file: &FlatFile, _: u8, op: &Op, outcome: Outcome) -> bool {
    // xfs reserves far more than was asked for, so there is a first byte and no last one.
    let from = |earlier: &Op| (earlier.off + earlier.readable) / file.page * file.page;
    let mut faults = file.history.iter().filter(|(_, earlier)| earlier.kind == OpKind::WriteFault);
    outcome == Outcome::Errno(Errno::EIO) && faults.any(|(_, earlier)| from(earlier) < op.off + op.len)
}

fn stored_past_eof(file: &mut FlatFile, op: &Op, outcome: Outcome) {
    if let Outcome::Bytes(count) | Outcome::Sigbus(count) = outcome {
        file.unknown.insert(op.off.max(file.size())..op.off + count);
    }
}

fn logs_its_end(file: &mut FlatFile, op: &Op, outcome: Outcome) {
    if outcome == Outcome::Done {
        file.note_passing((op.off + op.len).min(file.size()));
    }
}

fn failed_write_extends(file: &mut FlatFile, op: &Op, outcome: Outcome) {
    if outcome == Outcome::Errno(Errno::EFAULT) {
        file.note_mistaken(op.off);
        file.grow(op.off);
    }
}

fn short_copy_exposes(file: &mut FlatFile, op: &Op, outcome: Outcome) {
    let Outcome::Bytes(count) = outcome else { return };
    let end = op.off + count;
    // Where this row holds, operations come one after the other.
    file.note_size(0, op, end);
    file.grow(end);
    // Bytes that were written are in memory or on disk, and the rest of a block is read before a part is written.
    let missed = end..(op.off + op.len).min(file.size());
    file.open_zeros(missed);
    let page_end = file.size().next_multiple_of(file.page);
    file.pollute(end.max(file.size())..(op.off + op.len).min(page_end));
}

fn extended_behind_mapping(file: &mut FlatFile, op: &Op, outcome: Outcome) {
    stores_past_eof_survive(file, op, outcome);
    let page_end = file.size().next_multiple_of(file.page);
    file.fragile.insert(file.size()..op.off.min(page_end));
}

fn stores_past_eof_survive(file: &mut FlatFile, op: &Op, outcome: Outcome) {
    let end = match outcome {
        Outcome::Bytes(count) => op.off + count,
        Outcome::Done => op.off + op.len,
        // The size may have been raised to the offset nonetheless.
        _ => op.off,
    };
    let survive = file.polluted.start.max(file.size())..file.polluted.end.min(end);
    file.open.insert(survive.clone());
    file.unknown.insert(survive);
}

fn stores_past_allocated_end_survive(file: &mut FlatFile, op: &Op, outcome: Outcome) {
    let allocates = |kind| matches!(kind, OpKind::Fallocate | OpKind::ZeroRange);
    let in_page = file.size() / file.page * file.page + 1..=file.size();
    let raised = |earlier: &Op| allocates(earlier.kind) && in_page.contains(&(earlier.off + earlier.len));
    if file.history.iter().any(|(_, earlier)| raised(earlier)) {
        stores_past_eof_survive(file, op, outcome);
    }
}
