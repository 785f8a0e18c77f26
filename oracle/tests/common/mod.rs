//! Helpers for the tests of the flat file: a file of 4 KiB pages and targets that answer what a test says.
#![allow(dead_code, reason = "each test file uses its own part")]

use oracle::fill::fill_written;
use oracle::{Divergence, FlatFile, Flavour, Geometry, Op, OpId, OpKind, Outcome, Sharing};

pub(crate) const PAGE: u64 = 4096;
pub(crate) const LIMIT: u64 = 64 * 1024;

pub(crate) fn geometry(floor: u64, stripe: u32) -> Geometry {
    Geometry {
        page: PAGE as u32,
        block: 1024,
        max_order: 0,
        memory_pages: 0,
        readahead_pages: 0,
        stable_pages: false,
        flavour: Flavour::Xfs,
        file_limit: LIMIT,
        sharing: Sharing::Owned,
        floor,
        stripe,
    }
}

/// A flat file, and how many operations each lane has run.
pub(crate) struct Bench {
    pub(crate) file: FlatFile,
    next: [u32; 4],
}

impl Bench {
    pub(crate) fn alone() -> Bench {
        Bench { file: FlatFile::new(&geometry(0, 0), 1, PAGE), next: [0; 4] }
    }

    pub(crate) fn shared(lanes: usize, floor: u64, stripe: u32) -> Bench {
        Bench { file: FlatFile::new(&geometry(floor, stripe), lanes, PAGE), next: [0; 4] }
    }

    /// One operation of `lane` that answered `outcome`, and brought `found` if it reads.
    pub(crate) fn answer(&mut self, lane: u8, op: Op, outcome: Outcome, found: &[u8]) -> Result<(), Divergence> {
        let id = OpId { lane, index: self.next[lane as usize] };
        self.next[lane as usize] += 1;
        self.file.begins(lane);
        self.file.apply(id, &op, outcome, found)
    }

    /// As [`Bench::answer`], for lane 0 and an answer that has to be accepted.
    #[track_caller]
    pub(crate) fn fine(&mut self, op: Op, outcome: Outcome) {
        if let Err(divergence) = self.answer(0, op, outcome, &[]) {
            panic!("{op} answering {outcome} must be accepted: {divergence}");
        }
    }

    #[track_caller]
    pub(crate) fn write(&mut self, off: u64, len: u64) {
        self.fine(Op::range(OpKind::Write, off, len), Outcome::Bytes(len));
    }

    #[track_caller]
    pub(crate) fn truncate(&mut self, size: u64) {
        self.fine(Op::at(OpKind::Truncate, size), Outcome::Done);
    }
}

/// What lane 0's operation number `index` writes at `[off, off + len)`.
pub(crate) fn written(index: u32, off: u64, len: u64) -> Vec<u8> {
    let mut bytes = vec![0; len as usize];
    fill_written(&mut bytes, OpId { lane: 0, index }, off);
    bytes
}
