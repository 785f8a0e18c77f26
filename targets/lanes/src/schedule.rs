//! Schedules as data.

use crate::place::{LaneId, Place};

/// Who runs when. Every value is a legal schedule of every program: what it says about lanes and places that
/// never come up is ignored, and where it says nothing the current lane goes on. So a schedule survives the
/// removal of operations, lanes, or parts of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// Switches named by where they happen. Empty, it is the sequential run. This is what reproducers hold.
    Anchored(Vec<Anchor>),
    /// Stall-PCT, read from these bytes: lanes have priorities, change points move them, and a change point
    /// may stall a lane so that it runs only when nobody else can.
    Pct(Vec<u8>),
    /// At each place, one time in `one_in`, some other lane goes on.
    Rare {
        /// Seed of the choices.
        seed: u64,
        /// Switches are this rare; at least 1.
        one_in: u16,
    },
    /// At each place any runnable lane goes on, all alike.
    Uniform {
        /// Seed of the choices.
        seed: u64,
    },
    /// Lanes in turn, a fixed number of places each.
    RoundRobin {
        /// Places a lane passes before the next lane runs; at least 1.
        quantum: u16,
    },
}

impl Default for Schedule {
    fn default() -> Schedule {
        Schedule::Anchored(Vec::new())
    }
}

/// One deviation from "go on with the current lane".
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Anchor {
    /// Where it happens.
    pub place: Place,
    /// What happens.
    pub action: Action,
}

/// What happens at an anchor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// These lanes run in turn, each until it can go no further or has nothing left to do; then the lane that
    /// stopped at the anchor goes on. Each counts as one context switch.
    Run(Vec<LaneId>),
    /// The lane's choice at this place: 0, the default, stands for the obvious one (everything there is, in
    /// order), `k` for only the k-th candidate.
    Pick(u32),
}

impl Schedule {
    /// How many context switches an anchored schedule asks for; the return to the stopped lane is not counted.
    pub fn switches(&self) -> usize {
        match self {
            Schedule::Anchored(anchors) => anchors
                .iter()
                .map(|anchor| match &anchor.action {
                    Action::Run(lanes) => lanes.len(),
                    Action::Pick(_) => 0,
                })
                .sum(),
            _ => 0,
        }
    }

    /// The word reproducers use for this kind of schedule.
    pub fn name(&self) -> &'static str {
        match self {
            Schedule::Anchored(_) => "anchored",
            Schedule::Pct(_) => "pct",
            Schedule::Rare { .. } => "rare",
            Schedule::Uniform { .. } => "uniform",
            Schedule::RoundRobin { .. } => "round-robin",
        }
    }
}
