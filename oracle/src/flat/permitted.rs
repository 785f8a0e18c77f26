//! The answers that differ from the plain one and are right nonetheless, as data.

use super::FlatFile;
use crate::op::{Op, OpKind};
use crate::outcome::{Errno, Outcome};
use std::ops::{Range, RangeInclusive};

/// One difference that a standard, a manual page or the sharing of a file permits.
#[derive(Debug)]
pub struct Permitted {
    /// Its name in the documentation and in tests.
    pub name: &'static str,
    /// The operations it concerns.
    pub ops: &'static [OpKind],
    /// Why it is right, and where that is written.
    pub reason: &'static str,
    /// Whether this answer, to this lane's operation on this file, is covered.
    holds: fn(&FlatFile, u8, &Op, Outcome) -> bool,
}

/// All permitted differences. Whatever is neither here nor the plain answer is a divergence.
pub static PERMITTED: &[Permitted] = &[
    Permitted {
        name: "holes-are-reported",
        ops: &[OpKind::SeekData, OpKind::SeekHole],
        reason: "lseek(2): a file system may report zeros as a hole or as data, at a granularity of its own; \
                 bytes that were written must never be reported as a hole",
        holds: holes_are_zeros,
    },
    Permitted {
        name: "size-belongs-to-lane-0",
        ops: &[OpKind::Read, OpKind::DirectRead, OpKind::MapRead, OpKind::Stat],
        reason: "lane 0 may change the size while another lane reads, so the other lane may find any size from \
                 the floor to the file limit",
        holds: some_size_explains,
    },
];

pub(super) fn is_permitted(file: &FlatFile, lane: u8, op: &Op, outcome: Outcome) -> bool {
    PERMITTED.iter().any(|row| row.ops.contains(&op.kind) && (row.holds)(file, lane, op, outcome))
}

impl FlatFile {
    /// The sizes that `lane` may have found.
    fn sizes(&self, lane: u8) -> RangeInclusive<u64> {
        if self.knows_size(lane) { self.size()..=self.size() } else { self.geometry.floor..=self.geometry.file_limit }
    }

    /// Where `range` first holds a byte that is not zero, as far as `lane` knows.
    pub(super) fn first_data(&self, lane: u8, range: Range<u64>) -> Option<u64> {
        let end = range.end.min(self.size());
        self.known(lane, range.start..end.max(range.start)).find_map(|part| {
            let bytes = &self.content[part.start as usize..part.end as usize];
            bytes.iter().position(|byte| *byte != 0).map(|at| part.start + at as u64)
        })
    }
}

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
    let floor = *file.sizes(lane).start();
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
