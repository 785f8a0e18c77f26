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

/// What schedules are ordered by: few switches, few places, places of user lanes, places that tell how far an
/// operation has got rather than that it looks up a folio.
fn rank(program: &Program) -> (usize, usize, usize, usize) {
    let Schedule::Anchored(anchors) = &program.schedule else { return (usize::MAX, 0, 0, 0) };
    let count = |matches: fn(&Anchor) -> bool| anchors.iter().filter(|anchor| matches(anchor)).count();
    let background = count(|anchor| !anchor.place.lane.is_user());
    (switch_count(program), anchors.len(), background, count(|anchor| is_shared(anchor.place.y)))
}

/// Whether many kinds of operation pass this place.
fn is_shared(y: Y) -> bool {
    y < Y::W0
}

/// The program under every simpler schedule of one anchor in a user lane.
pub(super) fn simpler(program: &Program) -> Vec<Program> {
    let now = rank(program);
    if now.0 == usize::MAX || now.0 == 0 {
        return Vec::new();
    }
    let mut found = Vec::new();
    for lanes in ROUNDS {
        for (id, _) in program.ops() {
            let places = (0..Y::COUNT).filter_map(Y::from_index);
            for y in places.filter(|y| (lanes.len(), 1, 0, usize::from(is_shared(*y))) < now) {
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
