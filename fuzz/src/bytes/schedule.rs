//! Schedules as bytes: one byte for the kind, then what the kind needs.

use super::stream::{Input, Output};
use lanes::{Action, Anchor, LaneId, Place, Schedule, Y};

/// How random schedules are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// Each lane runs to its end, the background only when somebody waits for it.
    Sequential,
    /// Stall-PCT: priorities, change points, stalled lanes.
    Pct,
    /// Now and then another lane goes on.
    Rare,
    /// At every place any lane goes on.
    Uniform,
    /// Lanes in turn.
    RoundRobin,
}

impl Strategy {
    /// All of them.
    pub const ALL: [Strategy; 5] =
        [Strategy::Sequential, Strategy::Pct, Strategy::Rare, Strategy::Uniform, Strategy::RoundRobin];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Strategy::Sequential => "sequential",
            Strategy::Pct => "pct",
            Strategy::Rare => "rare",
            Strategy::Uniform => "uniform",
            Strategy::RoundRobin => "round-robin",
        }
    }

    /// The byte that says a schedule of this kind follows.
    pub(crate) fn byte(self) -> u8 {
        match self {
            Strategy::Sequential => SEQUENTIAL,
            Strategy::Pct => PCT,
            Strategy::Rare => RARE,
            Strategy::Uniform => UNIFORM,
            Strategy::RoundRobin => ROUND_ROBIN,
        }
    }

    /// What a random kind byte stands for; an anchored schedule needs names a random byte would not hit.
    pub(crate) fn of_byte(byte: u8) -> Strategy {
        match byte {
            PCT.. => Strategy::Pct,
            ROUND_ROBIN.. => Strategy::RoundRobin,
            UNIFORM.. => Strategy::Uniform,
            RARE.. => Strategy::Rare,
            _ => Strategy::Sequential,
        }
    }
}

// First values of each kind. The spans are the weights: most random schedules are stall-PCT.
const SEQUENTIAL: u8 = 0;
const ANCHORED: u8 = 24;
const RARE: u8 = 25;
const UNIFORM: u8 = 41;
const ROUND_ROBIN: u8 = 57;
const PCT: u8 = 65;

pub(super) fn decode(input: &mut Input<'_>) -> Schedule {
    match input.byte() {
        PCT.. => {
            let len = input.number();
            Schedule::Pct(input.take(len).to_vec())
        }
        ROUND_ROBIN.. => Schedule::RoundRobin { quantum: at_least_one(input) },
        UNIFORM.. => Schedule::Uniform { seed: input.long_word() },
        RARE.. => {
            let seed = input.long_word();
            Schedule::Rare { seed, one_in: at_least_one(input) }
        }
        ANCHORED => {
            let count = input.number();
            let anchors = (0..count).map_while(|_| (!input.is_empty()).then(|| decode_anchor(input)));
            Schedule::Anchored(anchors.collect())
        }
        _ => Schedule::Anchored(Vec::new()),
    }
}

fn at_least_one(input: &mut Input<'_>) -> u16 {
    (input.number() % u64::from(u16::MAX)) as u16 + 1
}

fn lane(input: &mut Input<'_>) -> LaneId {
    LaneId(input.byte() % LaneId::COUNT as u8)
}

fn decode_anchor(input: &mut Input<'_>) -> Anchor {
    let lane_id = lane(input);
    let op = input.number() as u32;
    let y = Y::from_index(input.byte() as usize % Y::COUNT).unwrap_or(Y::START);
    let nth = at_least_one(input);
    // The number of lanes to run; 0 is a pick.
    let action = match input.number() {
        0 => Action::Pick(input.number() as u32),
        count => {
            let first = lane(input);
            let others = (1..count).map_while(|_| (!input.is_empty()).then(|| lane(input)));
            Action::Run(std::iter::once(first).chain(others).collect())
        }
    };
    Anchor { place: Place { lane: lane_id, op, y, nth }, action }
}

pub(super) fn encode(output: &mut Output, schedule: &Schedule) {
    match schedule {
        Schedule::Anchored(anchors) if anchors.is_empty() => output.byte(SEQUENTIAL),
        Schedule::Anchored(anchors) => {
            output.byte(ANCHORED);
            output.number(anchors.len() as u64);
            anchors.iter().for_each(|anchor| encode_anchor(output, anchor));
        }
        Schedule::Pct(bytes) => {
            output.byte(PCT);
            output.number(bytes.len() as u64);
            output.put(bytes);
        }
        Schedule::Rare { seed, one_in } => {
            output.byte(RARE);
            output.long_word(*seed);
            output.number(u64::from(one_in - 1));
        }
        Schedule::Uniform { seed } => {
            output.byte(UNIFORM);
            output.long_word(*seed);
        }
        Schedule::RoundRobin { quantum } => {
            output.byte(ROUND_ROBIN);
            output.number(u64::from(quantum - 1));
        }
    }
}

fn encode_anchor(output: &mut Output, Anchor { place, action }: &Anchor) {
    output.byte(place.lane.0);
    output.number(u64::from(place.op));
    output.byte(place.y as u8);
    output.number(u64::from(place.nth - 1));
    match action {
        Action::Pick(choice) => {
            output.byte(0);
            output.number(u64::from(*choice));
        }
        Action::Run(lanes) => {
            output.number(lanes.len() as u64);
            lanes.iter().for_each(|lane| output.byte(lane.0));
        }
    }
}
