//! Simpler schedules. Dropping switches one at a time ends in odd corners: two passes of the flusher that have to
//! meet just so, where one full round of the background at the right place would do. So the one-anchor
//! schedules people think in are tried outright.

use super::edit::switch_count;
use crate::program::Program;
use lanes::{Action, Anchor, LaneId, Place, Schedule, Y};

/// What one anchor may run, shortest first.
const ROUNDS: [&[LaneId]; 6] = [
    &[LaneId::FLUSHER],
    &[LaneId::END_IO],
    &[LaneId::RECLAIM],
    &[LaneId::FLUSHER, LaneId::END_IO],
    &[LaneId::END_IO, LaneId::RECLAIM],
    &[LaneId::FLUSHER, LaneId::END_IO, LaneId::RECLAIM],
];

/// What schedules are ordered by: few switches, few places, places of user lanes.
fn rank(program: &Program) -> (usize, usize, usize) {
    let Schedule::Anchored(anchors) = &program.schedule else { return (usize::MAX, 0, 0) };
    let background = anchors.iter().filter(|anchor| !anchor.place.lane.is_user()).count();
    (switch_count(program), anchors.len(), background)
}

/// The program under every simpler schedule of one anchor in a user lane.
pub(super) fn simpler(program: &Program) -> Vec<Program> {
    let now = rank(program);
    if now.0 == usize::MAX || now.0 == 0 {
        return Vec::new();
    }
    let mut found = Vec::new();
    for lanes in ROUNDS.iter().filter(|lanes| (lanes.len(), 1, 0) < now) {
        for (id, _) in program.ops() {
            for y in (0..Y::COUNT).filter_map(Y::from_index) {
                for nth in 1..=2 {
                    let place = Place { lane: LaneId(id.lane), op: id.index, y, nth };
                    let anchor = Anchor { place, action: Action::Run(lanes.to_vec()) };
                    found.push(Program { schedule: Schedule::Anchored(vec![anchor]), ..program.clone() });
                }
            }
        }
    }
    found
}
