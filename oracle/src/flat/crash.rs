//! The flat file and a crash: what may be left of it, and that what was left is the file from then on.

use super::FlatFile;
use crate::durable::{Bound, Durable, Fill, Scope, Wrong};
use crate::op::{Effect, Op, OpId, OpKind};
use crate::outcome::{Class, Divergence, Outcome};
use std::borrow::Cow;
use std::ops::Range;

impl FlatFile {
    /// The program has a crash in it: from here on the file keeps what may be on the device. To be called at its
    /// start. Without it a crash cannot be judged, and nothing is spent on it.
    pub fn expect_crashes(&mut self) {
        self.durable = Some(Durable::new(&self.content, u64::from(self.geometry.block)));
    }

    /// All that was done so far is on the device.
    pub fn all_durable(&mut self) {
        if let Some(durable) = &mut self.durable {
            durable.settled();
            self.make_known();
        }
    }

    /// All that is in the file is on the device, and known but for what is open. What lies behind its end is not in it.
    fn make_known(&mut self) {
        self.unknown.remove(0..self.size());
        self.open.inside(0..self.size()).for_each(|range| self.unknown.insert(range));
    }

    /// An operation of `lane` begins. Needed of syncs beside other lanes: they promise what is complete by now.
    pub fn begins(&mut self, lane: u8) {
        if let Some(durable) = &mut self.durable {
            durable.begin(lane);
        }
        if let Some(failures) = &mut self.failures {
            failures.begins(lane);
        }
    }

    /// `op` was under way in another lane when the machine stopped.
    pub fn interrupted(&mut self, id: OpId, op: &Op) {
        let Some(durable) = &mut self.durable else { return };
        let range = op.bytes();
        self.history.push((id, *op));
        match op.kind {
            OpKind::Punch | OpKind::ZeroRange => durable.interrupted(range, Fill::Zero),
            OpKind::WriteFault => durable.interrupted(op.off..op.off + op.readable, Fill::Written(id)),
            OpKind::WriteFromMap => {}
            kind if kind.info().effect == Effect::Write => durable.interrupted(range, Fill::Written(id)),
            _ => {}
        }
    }

    /// Judges what is left of the file after the crash `id`: all its bytes.
    ///
    /// # Errors
    /// The divergence: bytes of class disk, or a wrong size.
    pub fn judge_crash(&self, id: OpId, content: &[u8]) -> Result<(), Divergence> {
        let Some(durable) = &self.durable else { return Ok(()) };
        let bound = if self.crashes_with("size-before-data") { Bound::Apart } else { Bound::Together };
        let mut known = Cow::Borrowed(content);
        for range in self.unknown.inside(0..content.len() as u64) {
            for at in range {
                // What nobody knows is as good as the newest version.
                known.to_mut()[at as usize] = self.content.get(at as usize).copied().unwrap_or(0);
            }
        }
        durable.judge(&known, bound).map_err(|wrong| self.wrong_after_crash(id, &wrong, content))
    }

    /// As [`FlatFile::judge_crash`]; what is left is the file from here on.
    ///
    /// # Errors
    /// As there.
    pub fn recovered(&mut self, id: OpId, content: &[u8]) -> Result<(), Divergence> {
        self.judge_crash(id, content)?;
        self.content.clear();
        self.content.extend_from_slice(content);
        self.open.clear();
        self.fragile.clear();
        // What the last page has behind the end of file was on the device: nobody has zeroed it yet.
        self.polluted = self.size()..self.size().next_multiple_of(self.page);
        // What was lost behind the end of file may still be in its block.
        let block_end = self.size().next_multiple_of(u64::from(self.geometry.block));
        self.unknown.remove(0..self.size());
        self.unknown.remove(block_end..u64::MAX);
        if let Some(durable) = &mut self.durable {
            durable.restart(content);
        }
        Ok(())
    }

    /// A sync that has succeeded makes durable what it covers. sync_file_range(2) promises nothing of the kind.
    pub(super) fn note_sync(&mut self, id: OpId, op: &Op, outcome: Outcome) {
        let Some(durable) = &mut self.durable else { return };
        let scope = match op.kind {
            OpKind::Fsync | OpKind::Fdatasync => Scope::File,
            OpKind::Msync => Scope::Bytes(op.bytes()),
            _ => return,
        };
        if outcome == Outcome::Done {
            let whole = scope == Scope::File && self.lanes == 1;
            durable.synced(id.lane, scope);
            if whole {
                self.make_known();
            }
        }
    }

    /// A write that has just changed `range` is one that is persistent when it returns, or not.
    pub(super) fn note_dsync(&mut self, kind: OpKind, range: Range<u64>) {
        if let Some(durable) = &mut self.durable
            && matches!(kind, OpKind::WriteDsync | OpKind::DirectWriteDsync)
        {
            durable.persisted(range);
        }
    }

    pub(super) fn note_change(&mut self, range: &Range<u64>, fill: Fill) {
        if let Some(durable) = &mut self.durable {
            durable.changed(range.clone(), fill);
        }
    }

    /// `op`, which got as far as `end`, is about to change the size, or to log it as it is.
    pub(super) fn note_size(&mut self, lane: u8, op: &Op, end: u64) {
        let size = self.size();
        let Some(durable) = &mut self.durable else { return };
        if matches!(op.kind, OpKind::Punch | OpKind::ZeroRange) {
            // At the end of file it may put the size on the device without the data below: the data's own end of
            // I/O will not come any more.
            durable.resized(lane, size, size, None);
        }
        match op.kind {
            OpKind::Truncate => durable.resized(lane, size.min(op.off), op.off, None),
            OpKind::Fallocate | OpKind::ZeroRange => durable.resized(lane, size, size.max(end), None),
            kind if kind.info().extends && end > size => durable.resized(lane, size, end, Some(op.off..end)),
            kind if kind.info().extends && kind.info().direct => durable.reached(op.off..end),
            _ => {}
        }
    }

    /// The size is about to be raised to `size` by an operation that has failed.
    pub(super) fn note_mistaken(&mut self, size: u64) {
        let from = self.size();
        if let Some(durable) = &mut self.durable
            && size > from
        {
            durable.mistaken(from, size);
        }
    }

    /// The size on the device may be `size` until a larger one is there.
    pub(super) fn note_passing(&mut self, size: u64) {
        if let Some(durable) = &mut self.durable {
            durable.passed(size);
        }
    }

    #[cold]
    fn wrong_after_crash(&self, id: OpId, wrong: &Wrong, content: &[u8]) -> Divergence {
        let found = |at: u64, len: usize| self.describe(at, &content[at as usize..at as usize + len]);
        let (class, offset, detail) = match wrong {
            Wrong::Size(least, most) if least == most => {
                (Class::Size, None, format!("the file must have {least} bytes, it has {}", content.len()))
            }
            Wrong::Size(least, most) => {
                let size = content.len();
                (Class::Size, None, format!("the file has {size} bytes, a size it never had, of {least} to {most}"))
            }
            Wrong::Bytes(at, versions) => {
                let mut due: Vec<String> = versions.iter().map(|bytes| self.describe(*at, bytes)).collect();
                due.dedup();
                let len = versions.first().map_or(0, Vec::len);
                let (due, found) = (due.join(" or "), found(*at, len));
                (
                    Class::Disk,
                    Some(*at),
                    format!("{len} wrong byte(s) from offset {at} on: expected {due}, found {found}"),
                )
            }
            Wrong::NotAppended(at, due) => {
                let (due, found) = (self.describe(*at, due), found(*at, due.len()));
                let detail = format!(
                    "the size {} on the device covers bytes from offset {at} on that are not there: expected {due}, found {found}",
                    content.len()
                );
                (Class::Disk, Some(*at), detail)
            }
        };
        Divergence { class, op: Some(id), offset, detail: format!("after the crash {detail}") }
    }
}
