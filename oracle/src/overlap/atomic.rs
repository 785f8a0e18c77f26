//! Operations that exclude each other are seen wholly or not at all.
//!
//! xfs holds i_rwsem shared across a buffered read and exclusive across whatever changes the file other than through
//! a mapping or directly; every file system does so for a direct read. Between such a reader and such a writer there
//! is an order, and one cut decides for all bytes of the read: what is before it was seen, what is behind was not.

use super::bytes::Value;
use super::judge::Seen;
use super::{Act, Call, Overlap};
use crate::op::OpKind;
use crate::outcome::{Class, Divergence};

impl Overlap {
    /// Finds an operation of which `reader` has seen one part and missed another.
    pub(super) fn judge_atomic(&self, reader: &Call, seen: &[Seen]) -> Result<(), Divergence> {
        let excludes = match reader.op.kind {
            OpKind::Read => self.geometry.flavour.locks_reads(),
            kind => kind == OpKind::DirectRead,
        };
        if !excludes {
            return Ok(());
        }
        let beside: Vec<usize> = (0..self.calls.len())
            .filter(|nth| self.calls[*nth].overlaps(reader) && is_exclusive(&self.calls[*nth]))
            .collect();
        if beside.is_empty() {
            return Ok(());
        }
        let (mut taken, mut missed) = (vec![false; self.calls.len()], vec![false; self.calls.len()]);
        for Seen { range, surely, .. } in seen {
            for value in surely {
                if let Value::By(nth) = value {
                    taken[*nth as usize] = true;
                }
                for nth in &beside {
                    missed[*nth] |= self.came_before(*value, *nth, range.start);
                }
            }
        }
        // What was over before one that was seen began, was seen; and what began after one that was missed, was missed.
        for nth in &beside {
            let before = |other: &&usize| self.calls[*nth].ended < self.calls[**other].began;
            let after = |other: &&usize| self.calls[**other].ended < self.calls[*nth].began;
            let sees = taken[*nth] || beside.iter().filter(before).any(|other| taken[*other]);
            let misses = missed[*nth] || beside.iter().filter(after).any(|other| missed[*other]);
            if sees && misses {
                return Err(self.torn(reader, &self.calls[*nth]));
            }
        }
        Ok(())
    }

    /// Whether a byte at `at` that is `value` was found before call `nth` changed it: the call makes something else of
    /// it, and whoever may have made it `value` was done before.
    fn came_before(&self, value: Value, nth: usize, at: u64) -> bool {
        let call = &self.calls[nth];
        let changes = |(_, act): &&(std::ops::Range<u64>, Act)| act.on(value) != value;
        if !acts_on(call, at).any(|part| changes(&part)) {
            return false;
        }
        match value {
            Value::By(other) => self.calls[other as usize].ended < call.began,
            _ => {
                let was_absent = self.was_ever_absent(at);
                let makes = |act: Act| match act {
                    Act::Set(new) | Act::Change(new) => new == value,
                    Act::Grow => value == Value::Zero && was_absent,
                };
                let mut makers = self.calls.iter().filter(|other| acts_on(other, at).any(|(_, act)| makes(*act)));
                makers.all(|other| other.ended < call.began)
            }
        }
    }

    /// Whether the byte at `at` can ever have been beyond the end of file.
    fn was_ever_absent(&self, at: u64) -> bool {
        let cuts = |call: &Call| call.op.kind == OpKind::Truncate && call.op.off <= at;
        at >= self.geometry.floor || self.calls.iter().any(cuts)
    }

    fn torn(&self, reader: &Call, call: &Call) -> Divergence {
        let detail = format!(
            "{}: it has seen one part of {} {} and missed another, and the file system keeps the two apart",
            reader.op, call.id, call.op
        );
        Divergence { class: Class::Content, op: Some(reader.id), offset: Some(call.op.off), detail }
    }
}

fn acts_on(call: &Call, at: u64) -> impl Iterator<Item = &(std::ops::Range<u64>, Act)> {
    call.acts.iter().filter(move |(range, _)| range.contains(&at))
}

/// Whether the operation holds i_rwsem exclusive from before its first effect until after its last.
fn is_exclusive(call: &Call) -> bool {
    use OpKind::*;
    matches!(call.op.kind, Write | WriteFault | WriteDsync | Truncate | Fallocate | Punch | ZeroRange)
}
