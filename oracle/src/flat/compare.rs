//! Comparing what was read with what the file contains, wherever the reader can know it.

use super::FlatFile;
use crate::op::{Op, OpId};
use crate::outcome::{Class, Divergence, Outcome};
use std::borrow::Cow;
use std::ops::Range;

impl FlatFile {
    /// Whether only `lane` changes the size, so that it knows how much it must read.
    pub(super) fn knows_size(&self, lane: u8) -> bool {
        self.lanes <= 1 || self.rules.owns_size(lane)
    }

    /// The parts of `range` that only `lane` may change, hence where it knows every byte.
    pub(super) fn known(&self, lane: u8, range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
        let mut at = range.start;
        std::iter::from_fn(move || {
            while at < range.end {
                let run = if self.lanes <= 1 { range.clone() } else { self.rules.run(at) };
                let part = at..run.end.max(at + 1).min(range.end);
                at = part.end;
                if self.lanes <= 1 || self.rules.owner(part.start) == lane {
                    return Some(part);
                }
            }
            None
        })
    }

    /// Compares what a read brought, wherever the reader can know what it must be.
    pub(super) fn compare_read(&self, id: OpId, op: &Op, outcome: Outcome, buf: &[u8]) -> Result<(), Divergence> {
        let (Outcome::Bytes(count) | Outcome::Sigbus(count)) = outcome else { return Ok(()) };
        let Some(found) = buf.get(..count as usize) else {
            let detail = format!("{op}: the target counted {count} bytes and handed over {}", buf.len());
            return Err(Divergence { class: Class::Size, op: Some(id), offset: Some(op.off), detail });
        };
        let end = op.off + count;
        // Another lane's size may have been larger when the bytes were read: past the floor it knows nothing.
        let file_end = if self.knows_size(id.lane) { self.size() } else { self.geometry.floor };
        for part in self.known(id.lane, op.off..end.min(file_end)) {
            let found = &found[(part.start - op.off) as usize..(part.end - op.off) as usize];
            self.compare(Some((id, op)), part, found)?;
        }
        if end > file_end && self.knows_size(id.lane) {
            self.compare_tail(id, op, file_end.max(op.off), found)?;
        }
        Ok(())
    }

    /// Compares `found`, read at `range`, with the file, except where its content is open.
    pub(super) fn compare(&self, op: Option<(OpId, &Op)>, range: Range<u64>, found: &[u8]) -> Result<(), Divergence> {
        let expected = &self.content[range.start as usize..range.end as usize];
        if expected == found {
            return Ok(());
        }
        for part in self.open.outside(range.clone()) {
            let part = (part.start - range.start) as usize..(part.end - range.start) as usize;
            let found = self.forgiven(part.start as u64 + range.start, &expected[part.clone()], &found[part.clone()]);
            let (expected, found) = (&expected[part.clone()], &*found);
            if expected != found {
                let what = op.map_or(String::new(), |(_, op)| format!("{op}: "));
                return Err(self.wrong_bytes(
                    op.map(|(id, _)| id),
                    &what,
                    range.start + part.start as u64,
                    expected,
                    found,
                ));
            }
        }
        Ok(())
    }

    /// What was found, with the newest version in place of the older ones that a failure may have left.
    fn forgiven<'a>(&self, off: u64, expected: &[u8], found: &'a [u8]) -> Cow<'a, [u8]> {
        let older = |at: &usize| expected[*at] != found[*at] && self.may_be_older(off + *at as u64, found[*at]);
        let places: Vec<usize> = (0..found.len()).filter(older).collect();
        let mut found = Cow::Borrowed(found);
        places.into_iter().for_each(|at| found.to_mut()[at] = expected[at]);
        found
    }

    /// A load past the end of file, inside the last page, finds zeros unless somebody stored there.
    fn compare_tail(&self, id: OpId, op: &Op, from: u64, found: &[u8]) -> Result<(), Divergence> {
        let tail = &found[(from - op.off) as usize..];
        if tail.iter().fold(0, |any, byte| any | byte) == 0 {
            return Ok(());
        }
        let mut strays = (from..).zip(tail).filter(|(at, byte)| **byte != 0 && !self.polluted.contains(at));
        let stray = strays.find(|(at, byte)| !self.may_be_older(*at, **byte));
        let Some((at, _)) = stray else { return Ok(()) };
        let found = &tail[(at - from) as usize..];
        let what = format!("{op}, past the end of file at {}: ", self.size());
        Err(self.wrong_bytes(Some(id), &what, at, &vec![0; found.len()], found))
    }
}
