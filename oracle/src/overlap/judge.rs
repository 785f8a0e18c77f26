//! Judging answers.

use super::bytes::{Run, Value};
use super::{Call, Overlap, is_direct_write};
use crate::fill::fill_written;
use crate::op::OpKind;
use crate::outcome::{Class, Divergence, Errno, Outcome};
use std::ops::Range;

/// What a read found in one run of bytes.
pub(super) struct Seen {
    pub(super) range: Range<u64>,
    /// Values that some byte can only have from here.
    pub(super) surely: Vec<Value>,
    /// Values that explain every byte.
    wholly: Vec<Value>,
}

/// The bit that all values share for which a word has no bit of their own: it is no evidence of any of them.
const LAST: usize = 63;

/// When nothing is in flight any more: what was possible before does not count.
const AT_REST: u64 = u64::MAX;

impl Overlap {
    pub(super) fn judge(&mut self, call: &Call, outcome: Outcome, buf: &[u8]) -> Result<(), Divergence> {
        let op = &call.op;
        let fits = match (op.kind, outcome) {
            (OpKind::Read | OpKind::DirectRead, Outcome::Bytes(count)) if count <= op.len => {
                return self.judge_read(call, count, buf);
            }
            (OpKind::DirectRead, Outcome::Errno(Errno::EIO)) => self.collided || self.meets_store(call),
            (OpKind::MapRead, Outcome::Bytes(count) | Outcome::Sigbus(count)) if self.reaches(call, outcome) => {
                return self.judge_bytes(call, count, buf).map(drop);
            }
            (OpKind::MapWrite, Outcome::Bytes(_) | Outcome::Sigbus(_)) => self.reaches(call, outcome),
            (OpKind::Stat, Outcome::Position(size)) => self.can_be_size(size, call.began),
            (OpKind::SeekData | OpKind::SeekHole, outcome) => self.may_seek(call, outcome),
            // Whatever writes the cache back may be told of data that was lost.
            (kind, Outcome::Errno(Errno::EIO)) if self.collided => {
                !matches!(kind, OpKind::Read | OpKind::MapRead | OpKind::MapWrite)
            }
            (OpKind::WriteFault, Outcome::Bytes(count)) => (1..=op.readable).contains(&count),
            (OpKind::WriteFault, outcome) => outcome == Outcome::Errno(Errno::EFAULT),
            (
                OpKind::Write | OpKind::DirectWrite | OpKind::AioWrite | OpKind::WriteDsync | OpKind::DirectWriteDsync,
                outcome,
            ) => outcome == Outcome::Bytes(op.len),
            (_, outcome) => outcome == Outcome::Done,
        };
        if fits { Ok(()) } else { Err(self.wrong_answer(call, outcome)) }
    }

    /// pread(2): everything asked for, or up to the end of file.
    fn judge_read(&mut self, call: &Call, count: u64, buf: &[u8]) -> Result<(), Divergence> {
        let end = call.op.off + count;
        let short = count < call.op.len && end < self.geometry.file_limit;
        if short && !self.bytes.can_be_absent(end, call.began) {
            return Err(self.wrong_answer(call, Outcome::Bytes(count)));
        }
        let mut seen = self.judge_bytes(call, count, buf)?;
        if short {
            seen.push(Seen { range: end..end + 1, surely: vec![Value::Absent], wholly: Vec::new() });
        }
        self.judge_atomic(call, &seen)
    }

    /// Compares the first `count` bytes read with what they can have been.
    fn judge_bytes(&mut self, call: &Call, count: u64, buf: &[u8]) -> Result<Vec<Seen>, Divergence> {
        let Some(found) = buf.get(..count as usize) else {
            let detail = format!("{}: the target counted {count} bytes and handed over {}", call.op, buf.len());
            return Err(Divergence { class: Class::Size, op: Some(call.id), offset: Some(call.op.off), detail });
        };
        let range = call.op.off..call.op.off + count;
        let mut seen = Vec::new();
        for (part, run) in self.bytes.runs(range.clone()) {
            let found = &found[(part.start - range.start) as usize..(part.end - range.start) as usize];
            seen.push(self.examine(Some(call), part, run, found)?);
        }
        for Seen { range, wholly, .. } in seen.iter().filter(|seen| !seen.wholly.is_empty()) {
            self.bytes.settle(range.clone(), call.began, wholly, self.clock);
        }
        Ok(seen)
    }

    /// Compares `found`, read at `range`, with what `run` allows a reader; none is the reader at rest.
    fn examine(&self, call: Option<&Call>, range: Range<u64>, run: &Run, found: &[u8]) -> Result<Seen, Divergence> {
        let began = call.map_or(AT_REST, |call| call.began);
        let mapped = call.is_some_and(|call| call.op.kind == OpKind::MapRead);
        let mut values: Vec<Value> = run.values(began).collect();
        values.sort_unstable();
        values.dedup();
        if let [value] = values[..]
            && self.content(value, mapped, &range).is_some_and(|due| due == found)
        {
            let wholly = if mapped && value == Value::Absent { Vec::new() } else { values.clone() };
            return Ok(Seen { range, surely: values, wholly });
        }
        let mut matches = vec![0u64; found.len()];
        for (nth, value) in values.iter().enumerate() {
            let Some(due) = self.content(*value, mapped, &range) else { continue };
            for (matches, _) in matches.iter_mut().zip(found).zip(due).filter(|((_, found), due)| **found == *due) {
                *matches.0 |= 1 << nth.min(LAST);
            }
        }
        let stray = |at: u64, byte: u8| {
            let beyond = mapped && values.contains(&Value::Absent) && self.was_stored_beyond(at);
            // A byte of no operation is never right.
            let open = run.is_open(began) && (byte == 0 || byte % 2 == 1);
            !(open || beyond || byte == 0 && call.is_some_and(|call| self.may_show_zero(call, run, at)))
        };
        let wrong =
            (range.start..).zip(found.iter().zip(&matches)).find(|(at, (byte, m))| **m == 0 && stray(*at, **byte));
        if let Some((at, _)) = wrong {
            return Err(self.wrong_bytes(call, at, &values, &found[(at - range.start) as usize..]));
        }
        let which = |bits: u64| {
            let bits = if values.len() > LAST + 1 { bits & !(1 << LAST) } else { bits };
            values
                .iter()
                .enumerate()
                .filter(move |(nth, _)| *nth <= LAST && bits & 1 << nth != 0)
                .map(|(_, value)| *value)
        };
        let single = matches.iter().filter(|bits| bits.count_ones() == 1).fold(0, |all, bits| all | bits);
        let all = matches.iter().fold(u64::MAX, |all, bits| all & bits);
        // A load beyond the end of file may find anything, and decides nothing.
        let decides = !(mapped && values.contains(&Value::Absent));
        Ok(Seen { range, surely: which(single).collect(), wholly: which(all).filter(|_| decides).collect() })
    }

    /// The bytes of `range` if they are `value`; none if nobody can read them.
    fn content(&self, value: Value, mapped: bool, range: &Range<u64>) -> Option<Vec<u8>> {
        let mut bytes = vec![0; (range.end - range.start) as usize];
        match value {
            // A load finds zeros in the rest of the last page.
            Value::Absent if !mapped => return None,
            Value::Absent | Value::Zero => {}
            Value::By(call) => fill_written(&mut bytes, self.calls[call as usize].id, range.start),
        }
        Some(bytes)
    }

    fn was_stored_beyond(&self, at: u64) -> bool {
        let now = self.calls.iter().filter(|call| call.op.kind == OpKind::MapWrite && call.ended == u64::MAX);
        self.stored_beyond.iter().any(|range| range.contains(&at))
            || now.map(|call| call.op.bytes()).any(|range| range.contains(&at))
    }

    /// `range` rounded out to the largest folios there can be.
    pub(super) fn folios(&self, range: &Range<u64>) -> Range<u64> {
        let folio = u64::from(self.geometry.page.max(self.geometry.block)) << self.geometry.max_order;
        range.start / folio * folio..range.end.next_multiple_of(folio)
    }

    /// Whether a reader may find a zero that no order of whole operations explains.
    ///
    /// Who reads through the cache without the lock of those who remove folios can hold a folio that has left the
    /// file. It looks at the size afterwards, and if the file has grown by then, finds the zeros behind the old end.
    /// And a truncate zeroes the rest of the folio of the new end while a reader who has seen the old size copies.
    fn may_show_zero(&self, reader: &Call, run: &Run, at: u64) -> bool {
        let locked = match reader.op.kind {
            OpKind::Read => self.geometry.flavour.locks_reads(),
            OpKind::MapRead => false,
            _ => return false,
        };
        let beside = || self.calls.iter().filter(|call| call.overlaps(reader));
        let grows = |call: &Call| {
            let mut acts = call.acts.iter().filter(|(range, _)| range.contains(&at));
            acts.any(|(_, act)| act.on(Value::Absent) != Value::Absent)
        };
        let comes_back = run.can_be(Value::Absent, reader.began) && beside().any(grows);
        beside().any(|call| {
            let folios = self.folios(&call.op.bytes());
            match call.op.kind {
                kind if is_direct_write(kind) => comes_back && folios.contains(&at),
                OpKind::Punch | OpKind::ZeroRange if !locked => comes_back && folios.contains(&at),
                OpKind::Truncate if !locked => {
                    let folio = self.folios(&(call.op.off..call.op.off + 1));
                    comes_back && at >= folio.start || (call.op.off..folio.end).contains(&at)
                }
                _ => false,
            }
        })
    }

    /// Whether a mapped access can have got as far as this: a page can be reached while its first byte is in the
    /// file, and the first page that cannot is where SIGBUS is due.
    fn reaches(&self, call: &Call, outcome: Outcome) -> bool {
        let (off, len) = (call.op.off, call.op.len);
        let count = match outcome {
            Outcome::Bytes(count) if count == len => count,
            Outcome::Sigbus(count) if count < len => {
                let fault = off + count;
                let page = fault / self.page * self.page;
                if !(count == 0 || fault == page) || !self.bytes.can_be_absent(page, call.began) {
                    return false;
                }
                count
            }
            _ => return false,
        };
        let first = if count == 0 { off } else { off / self.page * self.page };
        let mut pages = (first..off + count).step_by(self.page as usize);
        pages.all(|page| self.bytes.can_be_there(page, call.began))
    }

    pub(super) fn can_be_size(&self, size: u64, began: u64) -> bool {
        size <= self.geometry.file_limit
            && (size == 0 || self.bytes.can_be_there(size - 1, began))
            && self.bytes.can_be_absent(size, began)
    }

    /// lseek(2): what is skipped as a hole must have been zero or absent; data may be anything.
    fn may_seek(&self, call: &Call, outcome: Outcome) -> bool {
        let (off, began, limit) = (call.op.off, call.began, self.geometry.file_limit);
        let may_be_hole = |range: Range<u64>| {
            let mut runs = self.bytes.runs(range);
            runs.all(|(_, run)| {
                run.is_open(began) || run.values(began).any(|v| matches!(v, Value::Absent | Value::Zero))
            })
        };
        match (call.op.kind, outcome) {
            (OpKind::SeekData, Outcome::Position(at)) => {
                off <= at && at < limit && self.bytes.can_be_there(at, began) && may_be_hole(off..at)
            }
            (OpKind::SeekData, Outcome::Errno(Errno::ENXIO)) => may_be_hole(off..limit),
            (OpKind::SeekHole, Outcome::Position(at)) => {
                off <= at
                    && at <= limit
                    && off < limit
                    && self.bytes.can_be_there(off, began)
                    && may_be_hole(at..(at + 1).min(limit))
            }
            (OpKind::SeekHole, Outcome::Errno(Errno::ENXIO)) => self.bytes.can_be_absent(off, began),
            _ => false,
        }
    }

    pub(super) fn judge_whole(&mut self, size: u64, content: &[u8]) -> Result<(), Divergence> {
        if !self.can_be_size(size, AT_REST) || content.len() as u64 != size {
            return Err(self.wrong_size(size, content.len() as u64));
        }
        let mut seen = Vec::new();
        for (part, run) in self.bytes.runs(0..size) {
            let found = &content[part.start as usize..part.end as usize];
            seen.push(self.examine(None, part, run, found)?);
        }
        // The next look must find the same.
        for Seen { range, wholly, .. } in seen.iter().filter(|seen| !seen.wholly.is_empty()) {
            self.bytes.settle(range.clone(), AT_REST, wholly, self.clock);
        }
        self.bytes.settle(size..self.geometry.file_limit, AT_REST, &[Value::Absent], self.clock);
        Ok(())
    }
}
