//! Checking the model's rules wherever a lane could be stopped, not only when an operation completes. What breaks
//! and mends within one operation is seen this way. It costs several times the run, so a campaign does it for one
//! program in sixteen, and replay for those that agree.

use lanes::{LaneId, Place, Policy, View};
use oracle::Divergence;
use parking_lot::Mutex;
use std::sync::{Arc, Weak};
use targets::model::Model;

/// The first broken rule, with the place at which it was found broken.
pub(crate) type Broken = Arc<Mutex<Option<(Place, Divergence)>>>;

/// The model that is running; a crash replaces it. Not kept alive from here: a lane that sleeps in it when the run ends
/// leaves a waker there, the waker has the run, the run has its policy, and the policy has this.
pub(crate) type Watched = Arc<Mutex<Weak<Model>>>;

/// A policy that decides as `inner` does, and has the model checked at every place.
pub(crate) struct Watch {
    pub(crate) inner: Box<dyn Policy>,
    /// The model that is running.
    pub(crate) model: Watched,
    pub(crate) broken: Broken,
}

impl Policy for Watch {
    fn next(&mut self, view: &View) -> (LaneId, u32) {
        self.inner.next(view)
    }

    fn choose(&mut self, place: Place, n: u32) -> u32 {
        self.inner.choose(place, n)
    }

    fn wants_places(&self) -> bool {
        true
    }

    fn wants_arrivals(&self) -> bool {
        true
    }

    fn arrived(&mut self, place: Place) {
        self.inner.arrived(place);
        let mut broken = self.broken.lock();
        if broken.is_none()
            && let Some(model) = self.model.lock().upgrade()
            && let Err(divergence) = model.check(false)
        {
            *broken = Some((place, divergence));
        }
    }
}
