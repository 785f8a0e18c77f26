//! Making any operation a valid one. Valid operations are left exactly as they are.

use oracle::{Effect, Geometry, Op, OpKind, Ownership, Shape};
use std::ops::Range;

/// The rules of one program, ready to be applied to its operations.
pub(super) struct Fit {
    limit: u64,
    sector: u64,
    floor: u64,
    stripe: u64,
    lanes: u64,
    rules: Ownership,
}

impl Fit {
    pub(super) fn new(geometry: &Geometry, lanes: usize) -> Fit {
        let rules = Ownership::new(geometry, lanes);
        Fit {
            limit: geometry.file_limit,
            sector: u64::from(geometry.sector()),
            floor: if rules.is_void() { 0 } else { geometry.floor },
            stripe: u64::from(geometry.stripe),
            lanes: lanes as u64,
            rules,
        }
    }

    /// Whether all lanes may change all bytes.
    pub(super) fn is_void(&self) -> bool {
        self.rules.is_void()
    }

    /// The valid operation nearest to `op` that `lane` may do.
    #[inline]
    pub(super) fn fit(&self, lane: u8, mut op: Op) -> Op {
        if op.kind == OpKind::WriteFromMap && self.is_void() {
            op.kind = OpKind::Write;
        }
        let info = op.kind.info();
        match info.shape {
            Shape::Plain if self.is_void() && !self.rules.may_use(lane, op.kind) => Op::plain(OpKind::Fsync),
            Shape::Plain => Op::plain(op.kind),
            Shape::Offset => Op::at(op.kind, op.off.min(self.limit)),
            Shape::Size => Op::at(op.kind, op.off.clamp(self.floor, self.limit)),
            Shape::Range | Shape::RangeReadable => {
                let range = self.inside(&op, info.direct);
                let shared =
                    self.lanes > 1 && !self.rules.is_void() && matches!(info.effect, Effect::Write | Effect::Size);
                match if shared { self.own(lane, range.clone(), info.direct) } else { Some(range.clone()) } {
                    Some(range) => {
                        let len = range.end - range.start;
                        let readable = if info.shape == Shape::RangeReadable { op.readable % len } else { 0 };
                        Op { kind: op.kind, off: range.start, len, readable }
                    }
                    // The lane owns nothing it could change. It can still look.
                    None => {
                        let kind = if info.direct { OpKind::DirectRead } else { OpKind::Read };
                        Op::range(kind, range.start, range.end - range.start)
                    }
                }
            }
        }
    }

    /// The range inside the file, not empty, in whole sectors if it is `direct`.
    fn inside(&self, op: &Op, direct: bool) -> Range<u64> {
        let start = op.off.min(self.limit - 1);
        let end = start + op.len.clamp(1, self.limit - start);
        // The limit is a multiple of the sector.
        if direct { start / self.sector * self.sector..end.next_multiple_of(self.sector) } else { start..end }
    }

    /// The range moved to bytes of the lane, and cut where they end; none if it owns no bytes for it.
    fn own(&self, lane: u8, range: Range<u64>, direct: bool) -> Option<Range<u64>> {
        let start = if self.rules.owner(range.start) == lane { range.start } else { self.nearby(lane, range.start)? };
        let mut end = self.rules.run(start).end.min(start + (range.end - range.start));
        if direct {
            end -= end % self.sector;
        }
        (start < end).then_some(start..end)
    }

    /// The same spot in a stripe of the lane, near `off` if it has one there. Stripes are whole sectors, so what
    /// was aligned stays aligned.
    fn nearby(&self, lane: u8, off: u64) -> Option<u64> {
        let off = if off < self.floor { off } else { 0 };
        let (stripe, within) = (off / self.stripe, off % self.stripe);
        let near = (stripe - stripe % self.lanes + u64::from(lane)) * self.stripe + within;
        let first = u64::from(lane) * self.stripe;
        [near, first + within, first].into_iter().find(|at| *at < self.floor)
    }
}
