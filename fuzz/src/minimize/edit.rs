//! Taking parts out of a program. What anchors say about the parts goes with them; what they say about the rest
//! is renumbered, so that it still means the same.

use crate::bytes::fit_ops;
use crate::program::Program;
use lanes::{Action, Anchor, LaneId, Schedule};
use oracle::{Op, OpKind, Sharing};
use std::ops::Range;

/// Applies `edit` to the anchors, dropping those for which it gives nothing and those that run nobody.
fn edit_anchors(schedule: &mut Schedule, mut edit: impl FnMut(Anchor) -> Option<Anchor>) {
    if let Schedule::Anchored(anchors) = schedule {
        let edited = std::mem::take(anchors).into_iter().filter_map(&mut edit);
        *anchors = edited.filter(|anchor| !matches!(&anchor.action, Action::Run(lanes) if lanes.is_empty())).collect();
    }
}

/// The program without the operations in `range`, counted through all lanes.
pub(super) fn without_ops(program: &Program, range: Range<usize>) -> Vec<Program> {
    let mut plain = program.clone();
    let mut first = 0;
    for (lane, ops) in plain.lanes.iter_mut().enumerate() {
        let count = ops.len();
        let part = |end: usize| end.clamp(first, first + count) - first;
        let gone = part(range.start)..part(range.end);
        first += count;
        if !gone.is_empty() {
            ops.drain(gone.clone());
            forget_ops(&mut plain.schedule, LaneId(lane as u8), gone);
        }
    }
    // With fewer operations the background has fewer passes, and their numbers move.
    let fewer_passes = with_earlier_background(&plain, range.len() as u32);
    [Some(plain), fewer_passes].into_iter().flatten().collect()
}

fn forget_ops(schedule: &mut Schedule, lane: LaneId, gone: Range<usize>) {
    edit_anchors(schedule, |mut anchor| {
        if anchor.place.lane == lane {
            let op = anchor.place.op as usize;
            if gone.contains(&op) {
                return None;
            }
            if op >= gone.end {
                anchor.place.op -= gone.len() as u32;
            }
        }
        Some(anchor)
    });
}

fn with_earlier_background(program: &Program, by: u32) -> Option<Program> {
    let mut earlier = program.clone();
    edit_anchors(&mut earlier.schedule, |mut anchor| {
        if LaneId::BACKGROUND.contains(&anchor.place.lane) {
            anchor.place.op = anchor.place.op.saturating_sub(by);
        }
        Some(anchor)
    });
    (earlier != *program).then_some(earlier)
}

/// The program without a lane. Later lanes move up, and all operations to bytes that are theirs then.
pub(super) fn without_lane(program: &Program, lane: usize) -> Vec<Program> {
    let mut fewer = program.clone();
    fewer.lanes.remove(lane);
    let rename = |id: LaneId| match id {
        id if !id.is_user() || (id.0 as usize) < lane => Some(id),
        id if id.0 as usize == lane => None,
        LaneId(n) => Some(LaneId(n - 1)),
    };
    edit_anchors(&mut fewer.schedule, |mut anchor| {
        anchor.place.lane = rename(anchor.place.lane)?;
        if let Action::Run(lanes) = &mut anchor.action {
            *lanes = lanes.iter().filter_map(|id| rename(*id)).collect();
        }
        Some(anchor)
    });
    if fewer.lanes.len() == 1 { alone(fewer) } else { vec![fit_ops(fewer)] }
}

/// The program with all lanes joined into one, one after the other.
pub(super) fn joined(program: &Program) -> Vec<Program> {
    let mut one = program.clone();
    let starts: Vec<usize> =
        program.lanes.iter().scan(0, |sum, ops| Some(std::mem::replace(sum, *sum + ops.len()))).collect();
    one.lanes = vec![program.lanes.concat()];
    edit_anchors(&mut one.schedule, |mut anchor| {
        if let Some(start) = starts.get(anchor.place.lane.0 as usize) {
            anchor.place.op += *start as u32;
            anchor.place.lane = LaneId(0);
        }
        if let Action::Run(lanes) = &mut anchor.action {
            lanes.retain(|id| !id.is_user());
        }
        Some(anchor)
    });
    alone(one)
}

/// A program whose last other lane has gone: it has no floor, and the file starts empty, or with the size it
/// had before.
fn alone(mut program: Program) -> Vec<Program> {
    if program.geometry.sharing == Sharing::Overlapping {
        return vec![program];
    }
    let size = Op::at(OpKind::Truncate, program.geometry.floor);
    program.geometry.floor = 0;
    program.geometry.stripe = 0;
    let empty = program.clone();
    program.lanes[0].insert(0, size);
    edit_anchors(&mut program.schedule, |mut anchor| {
        anchor.place.op += u32::from(anchor.place.lane.is_user());
        Some(anchor)
    });
    vec![empty, program]
}

fn switches_of(anchor: &Anchor) -> usize {
    match &anchor.action {
        Action::Run(lanes) => lanes.len(),
        Action::Pick(_) => 1,
    }
}

/// How many switches and picks the schedule has.
pub(super) fn switch_count(program: &Program) -> usize {
    match &program.schedule {
        Schedule::Anchored(anchors) => anchors.iter().map(switches_of).sum(),
        _ => 0,
    }
}

/// The program without the switches and picks in `range`, counted through all anchors.
pub(super) fn without_switches(program: &Program, range: Range<usize>) -> Vec<Program> {
    let mut fewer = program.clone();
    let mut next = 0;
    edit_anchors(&mut fewer.schedule, |mut anchor| {
        let first = next;
        next += switches_of(&anchor);
        match &mut anchor.action {
            Action::Pick(_) => (!range.contains(&first)).then_some(anchor),
            Action::Run(lanes) => {
                let mut at = first..;
                lanes.retain(|_| at.next().is_some_and(|n| !range.contains(&n)));
                Some(anchor)
            }
        }
    });
    vec![fewer]
}
