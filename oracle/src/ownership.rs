//! Who may write which byte when several lanes share a file.
//!
//! Lanes write disjoint bytes that share blocks, pages and folios, so that one flat file stays the exact
//! answer under every interleaving. Below [`Geometry::floor`] the bytes belong to the lanes in turn, a
//! stripe each; the file never gets shorter than the floor. Above it everything, the size included,
//! belongs to lane 0.

use crate::geometry::{Geometry, Sharing};
use crate::op::{Effect, Op, OpKind, Shape};
use std::ops::Range;

/// The ownership rules of one program.
#[derive(Clone, Copy, Debug)]
pub struct Ownership {
    sharing: Sharing,
    lanes: u64,
    floor: u64,
    stripe: u64,
    limit: u64,
}

impl Ownership {
    /// The rules for `lanes` user lanes.
    pub fn new(geometry: &Geometry, lanes: usize) -> Ownership {
        Ownership {
            sharing: geometry.sharing,
            lanes: lanes as u64,
            floor: geometry.floor,
            stripe: u64::from(geometry.stripe),
            limit: geometry.file_limit,
        }
    }

    /// The lane that owns the byte at `off`.
    pub fn owner(&self, off: u64) -> u8 {
        if self.lanes <= 1 || off >= self.floor { 0 } else { (off / self.stripe % self.lanes) as u8 }
    }

    /// The maximal run of bytes around `off` that have one owner.
    pub fn run(&self, off: u64) -> Range<u64> {
        if self.lanes <= 1 {
            0..self.limit
        } else if off >= self.floor {
            let stripes = self.floor.div_ceil(self.stripe);
            // The stripe that touches the floor joins the tail when lane 0 owns both.
            let joined = self.floor > 0 && (stripes - 1).is_multiple_of(self.lanes);
            (if joined { (stripes - 1) * self.stripe } else { self.floor })..self.limit
        } else {
            let start = off / self.stripe * self.stripe;
            let end = start + self.stripe;
            if end < self.floor {
                start..end
            } else if self.owner(start) == 0 {
                start..self.limit
            } else {
                start..self.floor
            }
        }
    }

    /// Whether all lanes may change all bytes, and the size.
    pub fn is_void(&self) -> bool {
        self.sharing == Sharing::Overlapping
    }

    /// Whether `lane` owns every byte of `range`.
    pub fn owns(&self, lane: u8, range: &Range<u64>) -> bool {
        self.is_void()
            || range.is_empty()
            || (self.owner(range.start) == lane && range.end <= self.run(range.start).end)
    }

    /// Whether the only lane that may change the size is `lane`.
    pub fn owns_size(&self, lane: u8) -> bool {
        self.is_void() || lane == 0
    }

    /// Whether `lane` may use this kind of operation at all.
    pub fn may_use(&self, lane: u8, kind: OpKind) -> bool {
        match kind {
            // What a crash, or a device that fails or is full, leaves of operations that overlap, no oracle says yet;
            // and what a write from the file itself writes depends on their order.
            OpKind::Crash | OpKind::FailAlloc | OpKind::WriteFromMap if self.is_void() => false,
            kind if kind.breaks_io() && self.is_void() => false,
            OpKind::Truncate | OpKind::Crash => self.owns_size(lane),
            _ => true,
        }
    }

    /// Says what `op`, done by `lane`, breaks; nothing if it keeps to the lane's own bytes.
    pub fn check(&self, lane: u8, op: &Op) -> Result<(), &'static str> {
        let info = op.kind.info();
        if !self.may_use(lane, op.kind) {
            return Err(
                "only lane 0 may change the size of the file, or crash, and an overlapping program neither crashes nor fails nor writes from a mapping",
            );
        }
        if info.shape == Shape::Size && op.off < self.floor && !self.is_void() {
            return Err("the file may not get smaller than the floor");
        }
        match info.effect {
            Effect::Write | Effect::Size if !self.owns(lane, &op.bytes()) => {
                Err("the range holds bytes that belong to another lane")
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Flavour;

    fn rules(lanes: usize, floor: u64, stripe: u32) -> Ownership {
        let geometry = Geometry {
            page: 256,
            block: 128,
            max_order: 0,
            memory_pages: 0,
            readahead_pages: 0,
            stable_pages: false,
            flavour: Flavour::Xfs,
            sharing: Sharing::Owned,
            file_limit: 4096,
            floor,
            stripe,
        };
        Ownership::new(&geometry, lanes)
    }

    #[test]
    fn a_run_is_the_maximal_range_with_one_owner() {
        for lanes in 1..=4 {
            for (floor, stripe) in [(0, 64), (512, 64), (512, 192), (600, 64), (1024, 1024)] {
                let rules = rules(lanes, floor, stripe);
                for off in 0..4096 {
                    let run = rules.run(off);
                    let owner = rules.owner(off);
                    assert!(run.contains(&off));
                    assert!(run.clone().all(|b| rules.owner(b) == owner), "{lanes} {floor} {stripe} {off} {run:?}");
                    assert!(
                        run.start == 0 || lanes > 1 && rules.owner(run.start - 1) != owner,
                        "{lanes} {floor} {stripe} {off} {run:?}"
                    );
                    assert!(run.end == 4096 || rules.owner(run.end) != owner);
                }
            }
        }
    }
}
