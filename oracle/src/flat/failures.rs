//! What I/O that fails leaves open: which answers it explains, and which older bytes may come back.
//!
//! Data that could not be written is in the cache until its folio is evicted, and then the file shows what the device
//! has: an older version. So every byte may be any of the versions it had, back to the last one that is known to be
//! good; never anything else. A version is known to be good when a sync that began after it was written returns
//! without an error, if the same open file description has not been told of lost data since before that write: a
//! sync tells of an error once, so after one that has told, the next says nothing of the data before it.

use super::FlatFile;
use crate::fill::fill_written;
use crate::op::{Effect, Op, OpId, OpKind};
use crate::outcome::{Class, Divergence, Errno, Outcome};
use std::ops::{Range, RangeInclusive};

/// Counts operations that begin and that complete.
type Time = u64;

/// Bytes as they were before an operation, or as it would have left them.
#[derive(Debug)]
struct Version {
    off: u64,
    bytes: Vec<u8>,
    /// When the operation began that put others in their place; 0 if no sync can say that it has.
    began: Time,
    ended: Time,
}

impl Version {
    fn inside(&self, range: &Range<u64>) -> Range<u64> {
        self.off.max(range.start)..(self.off + self.bytes.len() as u64).min(range.end)
    }

    /// What is left of it when the bytes of `part` are known to be newer.
    fn without(self, part: &Range<u64>) -> Vec<Version> {
        let cut = self.inside(part);
        if cut.is_empty() {
            return vec![self];
        }
        let Version { off, bytes, began, ended } = self;
        let (from, to) = ((cut.start - off) as usize, (cut.end - off) as usize);
        let head = Version { off, bytes: bytes[..from].to_vec(), began, ended };
        let tail = Version { off: cut.end, bytes: bytes[to..].to_vec(), began, ended };
        [head, tail].into_iter().filter(|version| !version.bytes.is_empty()).collect()
    }
}

/// What one lane's open file description was told, and when.
#[derive(Clone, Copy, Debug, Default)]
struct Description {
    /// How often it was told of lost data.
    told: u32,
    /// When it was last told, or opened.
    told_at: Time,
    /// When the lane's operation began.
    began: Time,
}

/// The failures of a program, and what they leave open.
#[derive(Debug, Default)]
pub(super) struct Failures {
    /// Writes, mappings included, and reads that were to fail so far.
    writes: u32,
    reads: u32,
    /// Operations that failed because of a read.
    failed_reads: u32,
    time: Time,
    /// The lane whose operation completes.
    current: u8,
    descriptions: Vec<Description>,
    /// Oldest first.
    older: Vec<Version>,
    /// The sizes that the last operation may have left behind; none if it is known.
    sizes: Option<RangeInclusive<u64>>,
}

impl Failures {
    fn lane(&mut self, lane: u8) -> &mut Description {
        let lane = lane as usize;
        if self.descriptions.len() <= lane {
            self.descriptions.resize(lane + 1, Description::default());
        }
        &mut self.descriptions[lane]
    }

    /// An operation of `lane` begins.
    pub(super) fn begins(&mut self, lane: u8) {
        self.time += 1;
        self.lane(lane).began = self.time;
    }

    fn has_failing_read(&mut self) -> bool {
        self.failed_reads += 1;
        self.failed_reads <= self.reads
    }

    /// Whether a failure explains that the operation answered `outcome` where `plain` was due, the file having `size`
    /// bytes.
    fn explain(&mut self, lane: u8, op: &Op, size: u64, plain: Outcome, outcome: Outcome) -> bool {
        use OpKind::*;
        let (time, writes) = (self.time, self.writes);
        let fewer = |n: u64| matches!(plain, Outcome::Bytes(due) | Outcome::Sigbus(due) if n < due);
        match (op.kind, outcome) {
            (Fsync | Fdatasync | Msync | SyncRange, Outcome::Errno(Errno::EIO)) => {
                let description = self.lane(lane);
                description.told += 1;
                description.told_at = time;
                description.told <= writes
            }
            // It may have been a write or a read, so nothing is counted.
            (WriteDsync | DirectWriteDsync, Outcome::Errno(Errno::EIO)) => {
                self.lane(lane).told_at = time;
                writes > 0 || self.reads > 0
            }
            (
                DirectRead | DirectWrite | AioWrite | Truncate | Fallocate | Punch | ZeroRange,
                Outcome::Errno(Errno::EIO),
            ) => writes > 0 || self.reads > 0,
            // What lies between the end of file and the write may have to be written first.
            (Write | WriteFault, Outcome::Errno(Errno::EIO)) if op.off > size && writes > 0 => true,
            (Read | Write | WriteFault | WriteFromMap, Outcome::Errno(Errno::EIO)) => self.has_failing_read(),
            // The page its buffer shows could not be read.
            (WriteFromMap, Outcome::Errno(Errno::EFAULT)) => self.has_failing_read(),
            (Read, Outcome::Bytes(n)) if n > 0 && fewer(n) => self.has_failing_read(),
            (
                Write | WriteFault | WriteFromMap | DirectWrite | AioWrite | WriteDsync | DirectWriteDsync,
                Outcome::Bytes(n),
            ) if n > 0 && fewer(n) => self.has_failing_read(),
            (MapRead | MapWrite, Outcome::Sigbus(n)) if fewer(n) => self.has_failing_read(),
            _ => false,
        }
    }

    /// Bytes are about to be replaced by the operation that completes.
    fn supersede(&mut self, off: u64, bytes: &[u8]) {
        let (began, ended) = (self.lane(self.current).began, self.time);
        self.older.push(Version { off, bytes: bytes.to_vec(), began, ended });
    }

    /// A sync of `lane` has succeeded: of `range`, what was complete at `upto` is good.
    fn promise(&mut self, lane: u8, range: &Range<u64>, upto: Time) {
        let told_at = self.lane(lane).told_at;
        let good = self.older.iter().filter(|version| version.began > told_at && version.ended <= upto);
        let parts: Vec<(Range<u64>, Time)> = good.map(|version| (version.inside(range), version.ended)).collect();
        for (part, ended) in parts {
            let older = std::mem::take(&mut self.older).into_iter();
            let keep = |version: Version| if version.ended > ended { vec![version] } else { version.without(&part) };
            self.older = older.flat_map(keep).collect();
        }
    }

    /// Whether the byte at `off` may be `value`, which is not the newest version.
    fn may_be(&self, off: u64, value: u8) -> bool {
        let at = |version: &Version| version.bytes.get(off.checked_sub(version.off)? as usize).copied();
        self.older.iter().any(|version| at(version) == Some(value))
    }
}

impl FlatFile {
    /// The program makes I/O fail: from here on the file keeps older versions of its bytes. To be called at its start.
    /// Without it an error of the device is a divergence, and nothing is spent on it.
    pub fn expect_failures(&mut self) {
        self.failures = Some(Failures::default());
    }

    /// The size after an operation that has failed half done: one of those it may have left behind.
    ///
    /// # Errors
    /// If it is another one. `size` is called if it is not known.
    pub fn learn_size(&mut self, id: OpId, size: impl FnOnce() -> u64) -> Result<(), Divergence> {
        let Some(sizes) = self.failures.as_mut().and_then(|failures| failures.sizes.take()) else { return Ok(()) };
        let size = size();
        if !sizes.contains(&size) {
            let detail = format!(
                "the file has {size} bytes after the failure, it must have {} to {}",
                sizes.start(),
                sizes.end()
            );
            return Err(Divergence { class: Class::Size, op: Some(id), offset: Some(size), detail });
        }
        self.resize(size);
        Ok(())
    }

    /// An operation completes. To be called before it is judged.
    pub(super) fn completes(&mut self, lane: u8) {
        if let Some(failures) = &mut self.failures {
            failures.time += 1;
            failures.current = lane;
        }
    }

    /// Whether a failure explains this answer.
    pub(super) fn failure_explains(&mut self, lane: u8, op: &Op, outcome: Outcome) -> bool {
        let (plain, size) = (self.plain_answer(op), self.size());
        self.failures.as_mut().is_some_and(|failures| failures.explain(lane, op, size, plain, outcome))
    }

    /// `range` is about to change.
    pub(super) fn keep_older(&mut self, range: Range<u64>) {
        if let Some(failures) = &mut self.failures {
            let range = range.start.min(self.content.len() as u64)..range.end.min(self.content.len() as u64);
            if !range.is_empty() {
                failures.supersede(range.start, &self.content[range.start as usize..range.end as usize]);
            }
        }
    }

    /// Whether the byte at `off` may be `value`, an older version.
    pub(super) fn may_be_older(&self, off: u64, value: u8) -> bool {
        self.failures.as_ref().is_some_and(|failures| failures.may_be(off, value))
    }

    /// What an answered operation says of failures and of data that is good.
    pub(super) fn note_failures(&mut self, id: OpId, op: &Op, outcome: Outcome) {
        if outcome == Outcome::Errno(Errno::EIO) && matches!(op.kind.info().effect, Effect::Write | Effect::Size) {
            self.leave_open(id, op);
        }
        self.leave_part_open(id, op, outcome);
        let Some(failures) = &mut self.failures else { return };
        let (now, began) = (failures.time, failures.lane(id.lane).began);
        match (op.kind, outcome) {
            (OpKind::FailWrite | OpKind::FailMap, _) => failures.writes += 1,
            (OpKind::FailRead, _) => failures.reads += 1,
            (OpKind::Reopen, _) => failures.lane(id.lane).told_at = now,
            (OpKind::Fsync | OpKind::Fdatasync, Outcome::Done) => failures.promise(id.lane, &(0..u64::MAX), began),
            (OpKind::Msync | OpKind::SyncRange, Outcome::Done) => failures.promise(id.lane, &op.bytes(), began),
            (OpKind::WriteDsync | OpKind::DirectWriteDsync, Outcome::Bytes(n)) => {
                failures.promise(id.lane, &(op.off..op.off + n), now);
            }
            _ => {}
        }
    }

    /// A write whose buffer can be read only in part copies what it can, finds that it cannot keep that because the
    /// rest of the folio is not valid, and tries again with less. If the second try fails, what was copied into blocks
    /// that were valid is there, and no byte of it was promised.
    fn leave_part_open(&mut self, id: OpId, op: &Op, outcome: Outcome) {
        let kept = match outcome {
            Outcome::Bytes(n) => n,
            _ => 0,
        };
        let part = op.off + kept..(op.off + op.readable).min(self.size());
        let Some(failures) = self.failures.as_mut().filter(|_| op.kind == OpKind::WriteFault) else { return };
        if !part.is_empty() {
            let mut bytes = vec![0; (part.end - part.start) as usize];
            fill_written(&mut bytes, id, part.start);
            failures.older.push(Version { off: part.start, bytes, began: 0, ended: failures.time });
        }
    }

    /// An operation has failed that may have done a part of its work.
    fn leave_open(&mut self, id: OpId, op: &Op) {
        let (size, end) = (self.size(), op.off + op.len);
        let sizes = self.knows_size(id.lane);
        let Some(failures) = &mut self.failures else { return };
        let mut bytes = vec![0; op.len as usize];
        match op.kind {
            OpKind::DirectWrite | OpKind::AioWrite | OpKind::WriteDsync | OpKind::DirectWriteDsync => {
                fill_written(&mut bytes, id, op.off)
            }
            OpKind::Punch | OpKind::ZeroRange => {}
            _ => bytes.clear(),
        }
        failures.older.push(Version { off: op.off, bytes, began: 0, ended: failures.time });
        failures.sizes = match op.kind {
            _ if !sizes => None,
            OpKind::Truncate => Some(size.min(op.off)..=size.max(op.off)),
            kind if kind.info().extends => Some(size..=size.max(end)),
            _ => None,
        };
    }
}
