//! Telling a livelock from bad luck.
//!
//! A strategy may, for ever, take away what a lane has just got: the flusher cleans and reclaim evicts the page
//! that a store is about to touch, again and again. No scheduler is that malicious that long, and no kernel
//! promises progress against one. So after a while without progress user lanes come first, one after the other,
//! and background lanes run in turns when no user lane can. If that does not help, the code is to blame.

use lanes::policy::policy_of;
use lanes::{LaneId, Place, Policy, Schedule, View};

/// So many places without progress are bad luck enough.
const BAD_LUCK: u64 = 2_000;

/// Places a background lane passes in its turn.
const TURN: u32 = 64;

/// The policy that carries out `schedule`, and is kind to lanes that do not get on.
pub(crate) fn patient_policy_of(schedule: &Schedule) -> Box<dyn Policy> {
    let inner = policy_of(schedule);
    match schedule {
        // It has an end, and it must be replayed to the letter.
        Schedule::Anchored(_) => inner,
        _ => Box::new(Patient { inner, ops: [0; LaneId::COUNT], since: 0 }),
    }
}

struct Patient {
    inner: Box<dyn Policy>,
    /// The operation each lane was seen in last; passes of the background lanes are no progress.
    ops: [u32; LaneId::COUNT],
    /// The step at which a lane was last seen to get on.
    since: u64,
}

impl Policy for Patient {
    fn next(&mut self, view: &View) -> (LaneId, u32) {
        let Place { lane, op, .. } = view.place;
        let seen = std::mem::replace(&mut self.ops[lane.0 as usize], op);
        if seen != op && !LaneId::BACKGROUND.contains(&lane) {
            self.since = view.steps;
        }
        let elapsed = view.steps - self.since;
        if elapsed >= BAD_LUCK {
            return kind(view);
        }
        let (next, budget) = self.inner.next(view);
        (next, budget.min((BAD_LUCK - elapsed) as u32))
    }

    fn choose(&mut self, place: Place, n: u32) -> u32 {
        self.inner.choose(place, n)
    }

    fn wants_places(&self) -> bool {
        self.inner.wants_places()
    }

    fn wants_arrivals(&self) -> bool {
        self.inner.wants_arrivals()
    }

    fn arrived(&mut self, place: Place) {
        self.inner.arrived(place);
    }
}

/// The kind choice.
fn kind(view: &View) -> (LaneId, u32) {
    let current = view.place.lane;
    let users = view.ready & !LaneId::BACKGROUND_BITS;
    let first = |set: u64| LaneId(set.trailing_zeros() as u8);
    if users & current.bit() != 0 {
        (current, TURN)
    } else if users != 0 {
        (first(users), TURN)
    } else {
        let later = view.ready & !(current.bit() | (current.bit() - 1));
        (first(if later != 0 { later } else { view.ready }), TURN)
    }
}
