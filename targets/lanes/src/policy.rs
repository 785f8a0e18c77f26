//! Strategies that turn a schedule into choices. What the bytes of [`Schedule::Pct`] mean is said in `pct.rs`,
//! what anchors mean in [`crate::anchored`].

use crate::anchored::Anchored;
use crate::pct::Pct;
use crate::place::{LaneId, Place};
use crate::schedule::Schedule;
use crate::sim::{Policy, View};

/// The policy that carries out `schedule`.
pub fn policy_of(schedule: &Schedule) -> Box<dyn Policy> {
    match schedule {
        Schedule::Anchored(anchors) => Box::new(Anchored::new(anchors)),
        Schedule::Pct(bytes) => Box::new(Pct::new(bytes)),
        Schedule::Rare { seed, one_in } => Box::new(Rare { random: Random(*seed), one_in: *one_in, due: None }),
        Schedule::Uniform { seed } => Box::new(Uniform { random: Random(*seed) }),
        Schedule::RoundRobin { quantum } => Box::new(RoundRobin { quantum: u64::from(*quantum).max(1), due: None }),
    }
}

/// The lanes of a set, by number.
pub(crate) fn lanes_of(mut set: u64) -> impl Iterator<Item = LaneId> {
    std::iter::from_fn(move || {
        let lane = (set != 0).then(|| LaneId(set.trailing_zeros() as u8));
        set &= set.wrapping_sub(1);
        lane
    })
}

/// The budget that has the policy asked at the arrival which makes `steps` equal to `due`.
pub(crate) fn budget_until(due: u64, steps: u64) -> u32 {
    u32::try_from(due.saturating_sub(steps).saturating_sub(1)).unwrap_or(u32::MAX)
}

/// splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of `0..n`.
    fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }

    fn lane_of(&mut self, set: u64) -> LaneId {
        let index = self.below(u64::from(set.count_ones())) as usize;
        lanes_of(set).nth(index).expect("the index is below the number of lanes")
    }

    /// The obvious choice three times in four, so that most of what happens stays what usually happens.
    fn choice(&mut self, n: u32) -> u32 {
        if n < 2 || self.below(4) > 0 { 0 } else { 1 + self.below(u64::from(n) - 1) as u32 }
    }
}

struct Uniform {
    random: Random,
}

impl Policy for Uniform {
    fn next(&mut self, view: &View) -> (LaneId, u32) {
        // Alone, a lane needs no asking: the budget ends when another becomes runnable.
        let budget = if view.ready.count_ones() == 1 { u32::MAX } else { 0 };
        (self.random.lane_of(view.ready), budget)
    }

    fn choose(&mut self, _: Place, n: u32) -> u32 {
        self.random.choice(n)
    }
}

struct Rare {
    random: Random,
    one_in: u16,
    /// The step of the next switch.
    due: Option<u64>,
}

impl Policy for Rare {
    fn next(&mut self, view: &View) -> (LaneId, u32) {
        let current = view.place.lane;
        let is_due = self.due.is_none_or(|due| due <= view.steps);
        if is_due {
            // Gaps are uniform and not geometric: the same mean, one draw, and no logarithm whose last digit
            // depends on the machine.
            self.due = Some(view.steps + 1 + self.random.below(2 * u64::from(self.one_in.max(1)) - 1));
        }
        let others = view.ready & !current.bit();
        let lane = match others {
            _ if view.forced => self.random.lane_of(view.ready),
            0 => current,
            _ if is_due => self.random.lane_of(others),
            _ => current,
        };
        (lane, budget_until(self.due.unwrap_or(0), view.steps))
    }

    fn choose(&mut self, _: Place, n: u32) -> u32 {
        self.random.choice(n)
    }
}

struct RoundRobin {
    quantum: u64,
    /// The step at which the current lane's turn is over.
    due: Option<u64>,
}

impl Policy for RoundRobin {
    fn next(&mut self, view: &View) -> (LaneId, u32) {
        let current = view.place.lane;
        let lane = match self.due {
            Some(due) if due > view.steps && !view.forced => return (current, budget_until(due, view.steps)),
            Some(_) => {
                let after = view.ready & !(current.bit() | (current.bit() - 1));
                lanes_of(if after != 0 { after } else { view.ready }).next()
            }
            None => lanes_of(view.ready).next(),
        };
        let due = view.steps + self.quantum;
        self.due = Some(due);
        (lane.expect("some lane is runnable"), budget_until(due, view.steps))
    }

    fn choose(&mut self, _: Place, _: u32) -> u32 {
        0
    }
}
