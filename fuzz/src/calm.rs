//! Telling a livelock from bad luck.
//!
//! A strategy may, for ever, take away what a lane has just got: the flusher cleans and reclaim evicts the page
//! that a store is about to touch, again and again. No scheduler is that malicious that long, and no kernel
//! promises progress against one. So a lane that does not get on is left in peace after a while; if it does not
//! get on then either, the code is to blame.

use lanes::policy::policy_of;
use lanes::{LaneId, Place, Policy, Schedule, View};

/// So many places without progress are bad luck enough.
const BAD_LUCK: u64 = 2_000;

/// The policy that carries out `schedule`, and leaves lanes in peace that do not get on.
pub(crate) fn patient_policy_of(schedule: &Schedule) -> Box<dyn Policy> {
    let inner = policy_of(schedule);
    match schedule {
        // It has an end, and it must be replayed to the letter.
        Schedule::Anchored(_) => inner,
        _ => Box::new(Patient { inner, calm: None, ops: [0; LaneId::COUNT], since: 0 }),
    }
}

struct Patient {
    inner: Box<dyn Policy>,
    /// The sequential run, while it is in charge.
    calm: Option<Box<dyn Policy>>,
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
            self.calm = None;
        }
        let elapsed = view.steps - self.since;
        if elapsed >= BAD_LUCK {
            return self.calm.get_or_insert_with(|| policy_of(&Schedule::default())).next(view);
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
