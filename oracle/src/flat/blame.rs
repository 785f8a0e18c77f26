//! What a divergence tells a person: whose bytes were due, and whose were there. Runs only after a divergence.

use super::FlatFile;
use crate::fill::{fill_written, first_difference};
use crate::op::{Effect, Op, OpId, OpKind};
use crate::outcome::{Class, Divergence, Outcome};
use std::fmt::Write;

/// How many bytes are compared to tell one writer from another: seven bits each.
const SAMPLE: usize = 16;
/// A byte at the wrong place is blamed on a writer only if so many bytes agree, or chance would name anyone.
const MISPLACED: usize = 4;

impl FlatFile {
    /// The divergence for an answer that is neither the plain one nor permitted.
    #[cold]
    pub(super) fn wrong_answer(&self, id: OpId, op: &Op, outcome: Outcome) -> Divergence {
        let plain = self.plain_answer(op);
        let is_errno = |outcome| matches!(outcome, Outcome::Errno(_));
        let class = if is_errno(plain) || is_errno(outcome) { Class::Errno } else { Class::Size };
        let mut detail = format!("{op}: expected {plain}, found {outcome}; the file has {} bytes", self.size());
        let mut offset = None;
        let reported = match (op.kind, outcome) {
            (OpKind::SeekData, Outcome::Position(at)) => op.off..at,
            (OpKind::SeekData, Outcome::Errno(_)) => op.off..self.size(),
            (OpKind::SeekHole, Outcome::Position(at)) => at..at + 1,
            _ => 0..0,
        };
        if let Some(at) = self.first_data(id.lane, reported) {
            offset = Some(at);
            let bytes = &self.content[at as usize..];
            let _ = write!(detail, "; reported as a hole: {} at {at}", self.whose(at, bytes));
        }
        Divergence { class, op: Some(id), offset, detail }
    }

    /// The divergence for `found`, read at file offset `off` where `expected` was due; the two differ.
    #[cold]
    pub(super) fn wrong_bytes(
        &self,
        op: Option<OpId>,
        what: &str,
        off: u64,
        expected: &[u8],
        found: &[u8],
    ) -> Divergence {
        let run = first_difference(expected, found).unwrap_or(0..expected.len());
        let at = off + run.start as u64;
        let (expected, found) = (&expected[run.clone()], &found[run.clone()]);
        let detail = format!(
            "{what}{} wrong byte(s) from offset {at} on: expected {}, found {}",
            run.len(),
            self.describe(at, expected),
            self.describe(at, found)
        );
        Divergence { class: Class::Content, op, offset: Some(at), detail }
    }

    pub(super) fn describe(&self, at: u64, bytes: &[u8]) -> String {
        let hex: Vec<String> = bytes.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        format!("{} [{}{}]", self.whose(at, bytes), hex.join(" "), if bytes.len() > 8 { " .." } else { "" })
    }

    /// Whose `bytes`, at file offset `at`, are; judged by the first few, as later ones may have another writer.
    fn whose(&self, at: u64, bytes: &[u8]) -> String {
        let kind = |byte: &u8| (*byte == 0, byte % 2);
        let same = bytes.iter().take(SAMPLE).take_while(|byte| kind(byte) == kind(&bytes[0])).count();
        let sample = &bytes[..same];
        match sample.first() {
            None => "nothing".to_owned(),
            Some(0) => self.who_zeroed(at),
            Some(byte) if byte % 2 == 0 => "what the disk held before anything was written (garbage)".to_owned(),
            Some(_) => self.who_wrote(at, sample),
        }
    }

    fn who_zeroed(&self, at: u64) -> String {
        let zeroed = |(_, op): &&(OpId, Op)| match op.kind {
            OpKind::Punch | OpKind::ZeroRange => op.bytes().contains(&at),
            OpKind::Truncate => op.off <= at,
            _ => false,
        };
        match self.history.iter().rev().find(zeroed) {
            Some((id, op)) => format!("zeros (last zeroed by {id} {op})"),
            None => "zeros".to_owned(),
        }
    }

    fn who_wrote(&self, at: u64, sample: &[u8]) -> String {
        let writers = || self.history.iter().rev().filter(|(_, op)| op.kind.info().effect == Effect::Write);
        let in_place = writers().find(|(id, op)| op.bytes().contains(&at) && is_fill(sample, *id, at));
        if let Some((id, op)) = in_place {
            return format!("what {id} {op} wrote there");
        }
        if sample.len() >= MISPLACED {
            // Bytes go astray by whole sectors, blocks and pages; the smallest of these finds all of them.
            let granule = u64::from(self.geometry.sector().min(self.geometry.block).min(self.geometry.page));
            for (id, op) in writers() {
                let first = op.off + (at % granule + granule - op.off % granule) % granule;
                let mut places = (first..op.off + op.len).step_by(granule as usize);
                if let Some(from) = places.find(|from| is_fill(sample, *id, *from)) {
                    let by = from.abs_diff(at);
                    return format!("what {id} {op} wrote at {from}, misplaced by {by} bytes");
                }
            }
        }
        "bytes of no operation that can be named".to_owned()
    }
}

/// Whether `sample`, at most [`SAMPLE`] bytes, is what `writer` writes at `from`.
fn is_fill(sample: &[u8], writer: OpId, from: u64) -> bool {
    let mut fill = [0; SAMPLE];
    let fill = &mut fill[..sample.len()];
    fill_written(fill, writer, from);
    fill == sample
}
