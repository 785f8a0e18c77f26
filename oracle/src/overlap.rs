//! The second oracle: operations of several lanes that overlap.
//!
//! Where lanes change the same bytes there is no one right answer, but there are wrong ones. The oracle is told when
//! an operation begins and when it has completed. For every byte it keeps what the byte can be in some legal order of
//! what was done: a byte is absent (beyond the end of file), zero, or what an operation wrote. Operations that have
//! begun may take effect at any time until they complete; those that have completed took effect in between. That is
//! linearizability, byte by byte (`bytes`). The size needs no state of its own: it lies between a byte that can be
//! there and one that can be absent. With nothing in flight there is one value, and with one lane this oracle is the
//! flat file.
//!
//! On top of that, what a file system promises of whole operations (`atomic`), and what none promises: stores
//! through a mapping and direct I/O on the same folio at the same time (`collide`).

mod atomic;
mod blame;
mod bytes;
mod collide;
mod judge;

use crate::geometry::Geometry;
use crate::op::{Effect, Op, OpId, OpKind};
use crate::outcome::{Divergence, Errno, Outcome};
use bytes::{Bytes, Value};
use std::ops::Range;

/// What an operation does to one byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    /// The byte is this from now on.
    Set(Value),
    /// An absent byte becomes zero: the file grows past it.
    Grow,
    /// A byte that is there becomes this; beyond the end of file there is nothing to change.
    Change(Value),
}

impl Act {
    fn on(self, value: Value) -> Value {
        match self {
            Act::Set(new) => new,
            Act::Grow if value == Value::Absent => Value::Zero,
            Act::Change(new) if value != Value::Absent => new,
            Act::Grow | Act::Change(_) => value,
        }
    }
}

/// An operation, from when it began.
#[derive(Clone, Debug)]
struct Call {
    id: OpId,
    op: Op,
    began: u64,
    /// When it completed; `u64::MAX` while it is in flight.
    ended: u64,
    /// Its bit in the sets of operations in flight, if it changes the file.
    slot: Option<u32>,
    /// The bytes it changes, and how.
    acts: Vec<(Range<u64>, Act)>,
}

impl Call {
    /// Whether the two ran at the same time, at least for a moment.
    fn overlaps(&self, other: &Call) -> bool {
        self.began < other.ended && other.began < self.ended
    }
}

/// What a file may contain while operations overlap.
#[derive(Debug)]
pub struct Overlap {
    geometry: Geometry,
    /// Page size of the target's mappings, bytes.
    page: u64,
    /// Events so far: an operation began, or completed.
    clock: u64,
    /// All operations that read or change the file, in the order in which they began.
    calls: Vec<Call>,
    bytes: Bytes,
    /// Bits that operations in flight use.
    slots: u32,
    /// Bytes beyond the end of file to which a mapping may have stored: a load may find anything there.
    stored_beyond: Vec<Range<u64>>,
    /// Whether a direct write may have met what was dirty in the cache, which the next fsync reports as lost.
    collided: bool,
}

impl Overlap {
    /// The file a program starts with: [`Geometry::floor`] bytes, all of them a hole. `page` is the page size of the
    /// target's mappings.
    pub fn new(geometry: &Geometry, page: u64) -> Overlap {
        Overlap {
            geometry: *geometry,
            page,
            clock: 0,
            calls: Vec::new(),
            bytes: Bytes::new(geometry.floor, geometry.file_limit),
            slots: 0,
            stored_beyond: Vec::new(),
            collided: false,
        }
    }

    /// As [`Overlap::new`], keeping the memory.
    pub fn reset(&mut self, geometry: &Geometry, page: u64) {
        self.calls.clear();
        *self = Overlap { calls: std::mem::take(&mut self.calls), ..Overlap::new(geometry, page) };
    }

    /// The operation begins: from now on it may have an effect.
    pub fn begin(&mut self, id: OpId, op: &Op) {
        self.clock += 1;
        let acts = acts(op, self.calls.len() as u32, self.geometry.file_limit);
        let slot = (!acts.is_empty()).then(|| self.slots.trailing_ones());
        if let Some(slot) = slot {
            assert!(slot < u32::BITS, "more operations in flight than a valid program can have");
            self.slots |= 1 << slot;
            for (range, act) in &acts {
                self.bytes.begin(slot, range.clone(), *act, self.clock);
            }
        }
        self.calls.push(Call { id, op: *op, began: self.clock, ended: u64::MAX, slot, acts });
    }

    /// The operation has completed with this answer, and what it read in `buf`.
    ///
    /// # Errors
    /// No order of what was done explains the answer. Then the oracle is of no further use.
    pub fn complete(&mut self, id: OpId, outcome: Outcome, buf: &[u8]) -> Result<(), Divergence> {
        self.clock += 1;
        let Some(nth) = self.calls.iter().rposition(|call| call.id == id) else { return Ok(()) };
        self.calls[nth].ended = self.clock;
        let call = self.calls[nth].clone();
        // Direct writes that are still under way may have told of it already.
        let under_way = self.calls.iter().filter(|other| other.ended >= self.clock);
        self.collided |= under_way.into_iter().any(|other| self.meets_stores(other));
        if !matches!(outcome, Outcome::Unsupported(_)) {
            self.judge(&call, outcome, buf)?;
        }
        if let Some(slot) = call.slot {
            self.calls[nth].acts = self.take_effect(&call, slot, outcome);
        }
        let oldest = self.calls.iter().filter(|call| call.ended == u64::MAX).map(|call| call.began).min();
        self.bytes.forget(oldest.unwrap_or(u64::MAX));
        Ok(())
    }

    /// Compares a read of the whole file at rest.
    ///
    /// # Errors
    /// No order of what was done explains it.
    pub fn check_whole(&mut self, size: u64, content: &[u8]) -> Result<(), Divergence> {
        self.judge_whole(size, content)
    }

    /// Whether an fsync may say that data was lost.
    pub fn may_have_lost(&self) -> bool {
        self.collided
    }

    /// A change has completed: it took effect as far as its answer says, and beyond that it did not. What it did.
    fn take_effect(&mut self, call: &Call, slot: u32, outcome: Outcome) -> Vec<(Range<u64>, Act)> {
        let failed = matches!(outcome, Outcome::Errno(_) | Outcome::Unsupported(_));
        // Data was lost, and it told of that before it wrote, or afterwards.
        let unknown = outcome == Outcome::Errno(Errno::EIO);
        let end = call.op.off
            + match outcome {
                Outcome::Bytes(count) | Outcome::Sigbus(count) => count,
                Outcome::Done => call.op.len,
                Outcome::Errno(_) | Outcome::Position(_) | Outcome::Unsupported(_) => 0,
            };
        let mut done = Vec::new();
        let sized = call.op.kind == OpKind::Truncate;
        for (range, act) in &call.acts {
            if unknown {
                self.bytes.end(slot, range.clone(), None, self.clock);
                done.push((range.clone(), *act));
                continue;
            }
            // What lies before the range grows with it.
            let upto = if failed {
                range.start
            } else if sized || range.end <= call.op.off {
                range.end
            } else {
                end
            };
            let upto = upto.clamp(range.start, range.end);
            self.bytes.end(slot, range.start..upto, Some(true), self.clock);
            self.bytes.end(slot, upto..range.end, Some(false), self.clock);
            done.push((range.start..upto, *act));
        }
        self.slots &= !(1 << slot);
        if call.op.kind == OpKind::MapWrite && !failed && self.bytes.can_be(call.op.off..end, Value::Absent, call.began)
        {
            self.stored_beyond.push(call.op.off..end);
        }
        self.collide(call);
        done
    }
}

/// What `op` does to which bytes. Its own bytes come before those it only makes part of the file.
fn acts(op: &Op, number: u32, limit: u64) -> Vec<(Range<u64>, Act)> {
    use OpKind::*;
    let range = op.bytes();
    let grown = |end: u64| (0..end, Act::Grow);
    let written = |end: u64| vec![(op.off..end, Act::Set(Value::By(number))), grown(op.off)];
    let acts = match op.kind {
        Write | DirectWrite | AioWrite | WriteDsync | DirectWriteDsync => written(range.end),
        WriteFault if op.readable > 0 => written(op.off + op.readable),
        MapWrite => vec![(range, Act::Change(Value::By(number)))],
        Truncate => vec![(op.off..limit, Act::Set(Value::Absent)), grown(op.off)],
        Punch => vec![(range, Act::Change(Value::Zero))],
        ZeroRange => vec![(range, Act::Set(Value::Zero)), grown(op.off)],
        Fallocate => vec![grown(range.end)],
        WriteFault | Read | MapRead | Msync | DirectRead | KeepSize | Fsync | Fdatasync | SyncRange | DontNeed
        | SeekData | SeekHole | Stat | Reopen | Writeback | EndIo | Evict | FailAlloc | FailWrite | FailRead
        | FailMap | WriteFromMap | MemoryFailure | Crash => Vec::new(),
    };
    acts.into_iter().filter(|(range, _)| !range.is_empty()).collect()
}

/// Whether it writes past the cache.
fn is_direct_write(kind: OpKind) -> bool {
    let info = kind.info();
    info.direct && info.effect == Effect::Write
}
