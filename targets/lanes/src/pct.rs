//! Stall-PCT: priorities and the points at which they change, read from bytes.
//!
//! Two kinds of lane matter to a bug: the one that is stopped with something half done, and those that pull the
//! ground from under it meanwhile. A probabilistic change of priority at every place rarely holds a lane long
//! enough. So a change point here may *stall* a lane, below everyone else, until nobody else can run, and that
//! takes two bytes: how many places later, and what.
//!
//! ```text
//! byte 0        order of the user lanes; 0: by number
//! byte 1        order of the background lanes, and which of them run as soon as they have work; 0: none
//! then pairs    gap, action
//! from the end  one byte per choice
//! ```
//!
//! A gap counts places, of all lanes, since the change point before: 0 to 127 one by one, up to 365 in steps of
//! 3, up to 1,120 in steps of 16: an operation passes some thirty places. A gap of 0 makes two actions happen at one place. The action's low three bits
//! say what, the upper five which lane:
//!
//! | | |
//! |---|---|
//! | 0 | all stalled lanes are as before |
//! | 1 | the current lane is stalled |
//! | 2 | the current lane is stalled, lane x runs first |
//! | 3 | lane x runs as soon as it can, once, until it can go no further |
//! | 4 | all user lanes are stalled, the current one least: background work runs until there is none |
//! | 5 | lane x runs whenever it can |
//! | 6 | the current lane falls behind all that are not stalled |
//! | 7 | lane x is stalled |
//!
//! The lane that completes direct I/O stays behind the other background lanes. Lane x is one of those the run began with, background lanes first. Without a change point no lane is before
//! another: the current one goes on, and where it cannot, the first in order does. So no bytes, or any number of
//! zeros, are the sequential run.

use crate::place::{LaneId, Place};
use crate::policy::{budget_until, lanes_of};
use crate::sim::{Policy, View};

/// Below every lane that fell behind, however often.
const STALLED: i64 = -(1 << 40);

pub(crate) struct Pct {
    bytes: Vec<u8>,
    /// Where the next change point's bytes are.
    at: usize,
    /// The step of the next change point.
    due: u64,
    choices: usize,
    /// Lanes by the order in which they are taken where the current lane cannot go on; from the first decision on
    /// those that there are, which are all ready then.
    order: Vec<LaneId>,
    /// A lane whose level is above the current lane's runs instead of it. 0 unless a change point said otherwise.
    level: [i64; LaneId::COUNT],
    /// How many changes of level there were; each is beyond the ones before.
    moves: i64,
    /// Lanes whose raised level ends with their burst.
    bursting: u64,
    /// What the upper five bits of an action choose from; known from the first decision on.
    named: Vec<LaneId>,
}

impl Pct {
    pub(crate) fn new(bytes: &[u8]) -> Pct {
        let byte = |n: usize| bytes.get(n).copied().unwrap_or(0);
        let mut users: Vec<LaneId> = (0..LaneId::MAX_USERS as u8).map(LaneId).collect();
        take_to_front(&mut users, usize::from(byte(0)));
        let mut background = LaneId::BACKGROUND;
        take_to_front(&mut background[..3], usize::from(byte(1) & 7));
        let mut pct = Pct {
            bytes: bytes.to_vec(),
            at: 2,
            due: 0,
            choices: 0,
            order: users.into_iter().chain([LaneId::CHECKER]).chain(background).collect(),
            level: [0; LaneId::COUNT],
            moves: 0,
            bursting: 0,
            named: Vec::new(),
        };
        // One header in four makes background lanes eager: mostly they should be moved by change points, which
        // can do it at the place that matters.
        if byte(1) >> 3 & 3 == 3 {
            let eager = (0..3).filter(|n| byte(1) >> 5 & 1 << n != 0);
            eager.for_each(|n| pct.raise(background[n]));
        }
        pct.read_gap();
        pct
    }

    fn read_gap(&mut self) {
        let gap = match self.bytes.get(self.at) {
            Some(&byte @ 0..128) => u64::from(byte),
            Some(&byte @ 128..208) => 128 + 3 * (u64::from(byte) - 128),
            Some(&byte) => 368 + 16 * (u64::from(byte) - 208),
            None => u64::MAX,
        };
        self.due = self.due.saturating_add(gap);
    }

    fn change(&mut self, current: LaneId) {
        let action = self.bytes.get(self.at + 1).copied().unwrap_or(0);
        self.at += 2;
        let named = self.named.get(usize::from(action >> 3) % self.named.len().max(1)).copied();
        match (action & 7, named) {
            (0, _) => self.level.iter_mut().filter(|level| **level <= STALLED).for_each(|level| *level = 0),
            (1, _) => self.stall(current),
            (2, Some(lane)) => {
                self.stall(current);
                self.burst(lane);
            }
            (3, Some(lane)) => self.burst(lane),
            (4, _) => {
                if current.is_user() {
                    self.stall(current);
                }
                let others = (0..LaneId::MAX_USERS as u8).map(LaneId).filter(|lane| *lane != current);
                others.for_each(|lane| self.stall(lane));
            }
            (5, Some(lane)) => self.raise(lane),
            (6, _) => self.set_level(current, -1, 0),
            (7, Some(lane)) => self.stall(lane),
            _ => {}
        }
    }

    fn set_level(&mut self, lane: LaneId, sign: i64, base: i64) {
        self.moves += 1;
        self.level[lane.0 as usize] = base + sign * self.moves;
        self.bursting &= !lane.bit();
    }

    fn stall(&mut self, lane: LaneId) {
        self.set_level(lane, -1, STALLED);
    }

    fn raise(&mut self, lane: LaneId) {
        self.set_level(lane, 1, 0);
    }

    fn burst(&mut self, lane: LaneId) {
        self.raise(lane);
        self.bursting |= lane.bit();
    }

    fn level_of(&self, lane: LaneId) -> i64 {
        self.level[lane.0 as usize]
    }
}

/// Moves up to three items to the front, the digits of `code` saying which; the others keep their order.
fn take_to_front(lanes: &mut [LaneId], mut code: usize) {
    for n in 0..lanes.len().min(3) {
        let left = lanes.len() - n;
        lanes[n..=n + code % left].rotate_right(1);
        code /= left;
    }
}

impl Policy for Pct {
    fn next(&mut self, view: &View) -> (LaneId, u32) {
        let current = view.place.lane;
        if self.named.is_empty() {
            let users = lanes_of(view.ready).filter(|lane| lane.is_user());
            let background = LaneId::BACKGROUND.into_iter().filter(|lane| view.ready & lane.bit() != 0);
            self.named = background.chain(users).collect();
            self.order.retain(|lane| view.ready & lane.bit() != 0);
        }
        if view.forced && self.bursting & current.bit() != 0 {
            self.bursting &= !current.bit();
            self.level[current.0 as usize] = 0;
        }
        while self.due <= view.steps && self.at < self.bytes.len() {
            self.change(current);
            self.read_gap();
        }
        let ready = self.order.iter().copied().filter(|lane| view.ready & lane.bit() != 0);
        // Of equals the first: `max_by_key` would give the last.
        let best = ready.rev().max_by_key(|lane| self.level_of(*lane)).expect("some lane is runnable");
        let goes_on = !view.forced && self.level_of(best) <= self.level_of(current);
        let lane = if goes_on { current } else { best };
        // A stall is over when it has run its course. A lane that was stalled while nobody else could run has
        // not been stopped yet: it stays where it is until somebody can.
        if !goes_on && self.level_of(lane) <= STALLED {
            self.level[lane.0 as usize] = 0;
        }
        (lane, budget_until(self.due, view.steps))
    }

    fn choose(&mut self, _: Place, n: u32) -> u32 {
        let count = self.choices;
        self.choices += 1;
        let len = self.bytes.len();
        let byte = if len == 0 { 0 } else { u32::from(self.bytes[len - 1 - count % len]) };
        if n < 2 || byte & 3 != 3 { 0 } else { 1 + (byte >> 2) % (n - 1) }
    }
}
