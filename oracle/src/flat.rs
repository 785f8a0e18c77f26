//! The flat file: a byte vector and a size, which is all a file means to those who read it.
//!
//! Caching, writeback, reclaim and allocation never change what a file contains. So whatever a target did
//! inside, its answers must be the answers of this vector. With one user lane that holds exactly; with several,
//! lanes write disjoint bytes ([`Ownership`]) and each lane is held to the bytes that only it may change.
//!
//! Answers that differ from the plain one and are right nonetheless stand in one table, [`PERMITTED`].

mod blame;
mod bytes;
mod compare;
mod crash;
mod failures;
mod permitted;

pub use permitted::{PERMITTED, Permitted};

use crate::durable::{Durable, Fill};
use crate::fill::fill_written;
use crate::geometry::Geometry;
use crate::op::{Effect, Op, OpId, OpKind};
use crate::outcome::{Class, Divergence, Errno, Outcome};
use crate::ownership::Ownership;
use bytes::ByteSet;
use failures::Failures;
use std::ops::Range;

/// What a file must contain, one completed operation after the other.
pub struct FlatFile {
    /// The file's content; its length is the file's size.
    content: Vec<u8>,
    /// Bytes past the end of file that a mapping stored to, all in the last page. mmap(2) leaves open what a
    /// load finds there; the file itself must never show them.
    polluted: Range<u64>,
    /// Bytes of the file that a row of [`PERMITTED`] leaves open.
    open: ByteSet,
    /// Bytes of which the device may hold what this file has never been told of.
    unknown: ByteSet,
    /// Bytes which, when a mapping stores to them, a row of [`PERMITTED`] leaves open.
    fragile: ByteSet,
    /// Lanes for which space runs out, once, as bits.
    short_of_space: u64,
    /// What failing I/O leaves open, if the program makes any fail.
    failures: Option<Failures>,
    /// The file system whose known differences are let pass.
    known_on: Option<String>,
    /// Page size of the target's mappings, bytes.
    page: u64,
    geometry: Geometry,
    lanes: usize,
    rules: Ownership,
    /// What was to change the file, in order of completion, so that a wrong byte's writer can be named.
    history: Vec<(OpId, Op)>,
    /// What a crash may leave; kept only for a program that has one.
    durable: Option<Durable>,
}

/// How many operations the history names at least. Twice as many are kept before the older half is dropped.
const HISTORY: usize = 1 << 16;

impl FlatFile {
    /// The file a program starts with: [`Geometry::floor`] bytes, all of them a hole. `page` is the page size of
    /// the target's mappings ([`crate::Target::page_size`]), in bytes.
    pub fn new(geometry: &Geometry, lanes: usize, page: u64) -> FlatFile {
        let mut file = FlatFile {
            content: Vec::with_capacity(geometry.file_limit as usize),
            polluted: 0..0,
            open: ByteSet::default(),
            unknown: ByteSet::default(),
            fragile: ByteSet::default(),
            short_of_space: 0,
            failures: None,
            known_on: None,
            page,
            geometry: *geometry,
            lanes,
            rules: Ownership::new(geometry, lanes),
            history: Vec::new(),
            durable: None,
        };
        file.reset(geometry, lanes, page);
        file
    }

    /// Lets pass the rows of [`PERMITTED`] that are limited to `file_system`, named as statfs(2)'s type is (`xfs`).
    /// Holds until it is called again, across [`FlatFile::reset`]. To be called before a program starts.
    pub fn permit_known(&mut self, file_system: &str) {
        self.known_on = Some(file_system.to_owned());
    }

    /// As [`FlatFile::new`], keeping the memory and what [`FlatFile::permit_known`] permits.
    pub fn reset(&mut self, geometry: &Geometry, lanes: usize, page: u64) {
        self.content.clear();
        self.content.resize(geometry.floor as usize, 0);
        self.polluted = 0..0;
        self.open.clear();
        self.unknown.clear();
        self.fragile.clear();
        self.short_of_space = 0;
        self.failures = None;
        self.page = page;
        self.geometry = *geometry;
        self.lanes = lanes;
        self.rules = Ownership::new(geometry, lanes);
        self.history.clear();
        self.durable = None;
    }

    /// The size of the file in bytes.
    pub fn size(&self) -> u64 {
        self.content.len() as u64
    }

    /// What the file contains, from its first byte to its last.
    pub fn bytes(&self) -> &[u8] {
        &self.content
    }

    /// Judges the answer to one operation and lets the operation take effect. To be called when it completes.
    ///
    /// `buf` holds what a read found; only as many bytes as `outcome` counts are looked at. The error is a
    /// divergence of class content (wrong bytes), size (wrong count or position) or errno; after one the flat
    /// file is of no further use.
    pub fn apply(&mut self, id: OpId, op: &Op, outcome: Outcome, buf: &[u8]) -> Result<(), Divergence> {
        if matches!(outcome, Outcome::Unsupported(_)) {
            return Ok(());
        }
        self.completes(id.lane);
        let expected = outcome == self.plain_answer(op) || permitted::is_permitted(self, id.lane, op, outcome);
        if !expected && !self.failure_explains(id.lane, op, outcome) {
            return Err(self.wrong_answer(id, op, outcome));
        }
        self.note_space(id.lane, op, outcome);
        match op.kind.info().effect {
            Effect::Read => self.compare_read(id, op, outcome, buf)?,
            Effect::Write | Effect::Size => {
                if self.known_on.is_some() {
                    permitted::take_effect(self, op, outcome);
                }
                self.change(id, op, outcome);
            }
            Effect::Neutral => self.note_sync(id, op, outcome),
        }
        self.note_failures(id, op, outcome);
        Ok(())
    }

    /// Compares a read of the whole file at rest, when no operation is running: its `size` and all its bytes.
    pub fn check_whole(&self, size: u64, content: &[u8]) -> Result<(), Divergence> {
        if size != self.size() || content.len() as u64 != size {
            let detail =
                format!("the file must have {} bytes, it has {size} and {} could be read", self.size(), content.len());
            return Err(Divergence { class: Class::Size, op: None, offset: Some(size.min(self.size())), detail });
        }
        self.compare(None, 0..size, content)
    }

    /// What a file system that keeps no holes answers, with nobody else at work on the file.
    fn plain_answer(&self, op: &Op) -> Outcome {
        let size = self.size();
        let transfer = |n: u64| Outcome::Bytes(n.min(op.len));
        match op.kind {
            OpKind::Read | OpKind::DirectRead | OpKind::WriteFromMap => transfer(size.saturating_sub(op.off)),
            OpKind::Write | OpKind::DirectWrite | OpKind::AioWrite | OpKind::WriteDsync | OpKind::DirectWriteDsync => {
                Outcome::Bytes(op.len)
            }
            OpKind::WriteFault if op.readable == 0 => Outcome::Errno(Errno::EFAULT),
            OpKind::WriteFault => transfer(op.readable),
            OpKind::MapRead | OpKind::MapWrite => {
                let reach = size.next_multiple_of(self.page).saturating_sub(op.off);
                if op.len <= reach { Outcome::Bytes(op.len) } else { Outcome::Sigbus(reach) }
            }
            OpKind::SeekData | OpKind::SeekHole if op.off >= size => Outcome::Errno(Errno::ENXIO),
            OpKind::SeekData => Outcome::Position(op.off),
            OpKind::SeekHole | OpKind::Stat => Outcome::Position(size),
            OpKind::Msync
            | OpKind::Truncate
            | OpKind::Fallocate
            | OpKind::KeepSize
            | OpKind::Punch
            | OpKind::ZeroRange
            | OpKind::Fsync
            | OpKind::Fdatasync
            | OpKind::SyncRange
            | OpKind::DontNeed
            | OpKind::Reopen
            | OpKind::Writeback
            | OpKind::EndIo
            | OpKind::Evict
            | OpKind::Crash
            | OpKind::FailAlloc
            | OpKind::MemoryFailure
            | OpKind::FailWrite
            | OpKind::FailRead
            | OpKind::FailMap => Outcome::Done,
        }
    }

    /// Lets a judged write or change of size take effect.
    fn change(&mut self, id: OpId, op: &Op, outcome: Outcome) {
        if self.history.len() == 2 * HISTORY {
            self.history.drain(..HISTORY);
        }
        self.history.push((id, *op));
        let count = match outcome {
            Outcome::Bytes(n) | Outcome::Sigbus(n) => n,
            Outcome::Done => op.len,
            // It failed, as it had to, and changed nothing.
            Outcome::Errno(_) | Outcome::Position(_) | Outcome::Unsupported(_) => return,
        };
        let end = op.off + count;
        self.note_size(id.lane, op, end);
        match op.kind {
            OpKind::Truncate => self.resize(op.off),
            OpKind::MapWrite => {
                self.fill(id, op.off..end.min(self.size()));
                for lost in self.fragile.inside(op.off..end.min(self.content.len() as u64)) {
                    self.open.insert(lost.clone());
                    self.unknown.insert(lost);
                }
                self.pollute(op.off.max(self.size())..end);
            }
            OpKind::Punch => self.zero(op.off..end.min(self.size())),
            OpKind::ZeroRange => {
                self.zero(op.off..end.min(self.size()));
                self.grow(end);
            }
            OpKind::Fallocate => self.grow(end),
            OpKind::WriteFromMap => self.fragile.remove(op.off..end),
            kind => {
                debug_assert!(kind.info().effect == Effect::Write && kind.info().extends, "{kind}");
                self.grow(end);
                self.fragile.remove(op.off..end);
                self.fill(id, op.off..end);
                self.note_dsync(kind, op.off..end);
            }
        }
    }

    fn fill(&mut self, id: OpId, range: Range<u64>) {
        if !range.is_empty() {
            self.keep_older(range.clone());
            self.open.remove(range.clone());
            self.note_change(&range, Fill::Written(id));
            fill_written(&mut self.content[range.start as usize..range.end as usize], id, range.start);
        }
    }

    fn zero(&mut self, range: Range<u64>) {
        if !range.is_empty() {
            self.keep_older(range.clone());
            self.open.remove(range.clone());
            // To zero a part of a block gives it no place on the device. Half a page is the largest block that matters.
            let block = self.page / 2;
            self.fragile.remove(range.start.next_multiple_of(block)..range.end / block * block);
            self.note_change(&range, Fill::Zero);
            self.content[range.start as usize..range.end as usize].fill(0);
        }
    }

    /// Leaves open what the zeros of `range` are.
    fn open_zeros(&mut self, range: Range<u64>) {
        let bytes = &self.content[range.start as usize..range.end as usize];
        let mut at = range.start;
        for run in bytes.chunk_by(|a, b| (*a == 0) == (*b == 0)) {
            let end = at + run.len() as u64;
            if run[0] == 0 {
                self.open.insert(at..end);
                self.unknown.insert(at..end);
            }
            at = end;
        }
    }

    fn pollute(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        if self.polluted.is_empty() {
            self.polluted = range;
        } else {
            self.polluted = self.polluted.start.min(range.start)..self.polluted.end.max(range.end);
        }
    }

    fn grow(&mut self, size: u64) {
        if size > self.size() {
            self.resize(size);
        }
    }

    /// Sets the size. Cutting a file zeroes the rest of its last page, and another last page is a fresh one;
    /// only growth inside the page leaves stores beyond the new end where they are.
    fn resize(&mut self, size: u64) {
        if size < self.size() {
            self.keep_older(size..self.size());
            self.open.remove(size..self.size());
            // A cut inside a block gives it no place on the device either.
            self.fragile.remove(size.next_multiple_of(self.page)..self.size());
            self.note_change(&(size..self.size()), Fill::Zero);
            self.polluted = 0..0;
        } else {
            self.polluted.start = self.polluted.start.max(size);
        }
        self.content.resize(size as usize, 0);
    }
}
