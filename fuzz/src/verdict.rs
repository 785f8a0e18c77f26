//! What a run showed.

use crate::stuck::{nobody_goes_on, nothing_completes};
use lanes::{Anchor, End, LaneId, Place};
use oracle::{Class, Divergence, OpId, Outcome};

/// What running a program showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The proof that the target is wrong; none if it agrees with the flat file.
    pub divergence: Option<Divergence>,
    /// Hash of everything that happened in order. Equal programs on equal code have equal hashes.
    pub trace: u64,
    /// Places passed.
    pub steps: u64,
    /// Context switches.
    pub switches: u64,
    /// Operations the target executed; those it does not have are not counted.
    pub ops: u64,
}

impl Verdict {
    /// The class of the divergence, if there is one.
    pub fn class(&self) -> Option<Class> {
        self.divergence.as_ref().map(|divergence| divergence.class)
    }
}

/// A run with all its details.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// What it showed.
    pub verdict: Verdict,
    /// The schedule it followed, as deviations from the sequential run.
    pub anchors: Vec<Anchor>,
    /// Every arrival at a place, in order.
    pub steps: Vec<Place>,
    /// Every completed operation, in order of completion.
    pub answers: Vec<Answer>,
}

/// A completed operation.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// Which one.
    pub id: OpId,
    /// How many places all lanes together had passed when it completed.
    pub step: u64,
    /// What the target answered.
    pub outcome: Outcome,
}

/// The divergence an end of a run amounts to. `op_of` gives the operation a user lane is in.
pub(crate) fn divergence_of(end: End, op_of: impl Fn(LaneId) -> Option<OpId>) -> Option<Divergence> {
    let (class, lane, detail) = match end {
        End::Done | End::Halted => return None,
        End::Deadlock(sleepers) => {
            let (class, detail) = nobody_goes_on(&sleepers, &op_of);
            (class, sleepers.first().map(|(lane, _)| *lane), detail)
        }
        End::Livelock(recent, sleepers) => {
            let detail = nothing_completes(&recent, &sleepers, &op_of);
            (Class::Livelock, recent.last().map(|(lane, _)| *lane), detail)
        }
        End::Panic { lane, message } => (Class::Panic, Some(lane), format!("lane {lane} panicked: {message}")),
    };
    Some(Divergence { class, op: lane.and_then(op_of), offset: None, detail })
}
