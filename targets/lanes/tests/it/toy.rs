//! Toy lanes: programs drawn from a seed, with every primitive of the crate in them. They may deadlock, and some do.

use lanes::policy::policy_of;
use lanes::{
    Anchor, End, Event, InFlight, Lane, LaneId, Policy, Report, RwSem, Schedule, Sim, Task, WaitQueue, Waiting, Y,
};
use parking_lot::Mutex;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

/// Enough for every toy program, and soon over if one runs in circles.
pub(crate) const PATIENCE: u64 = 2_000;

pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_mul(0xd134_2543_de82_ef95).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (mixed ^ (mixed >> 32)) % n
    }

    pub(crate) fn schedule(&mut self) -> Schedule {
        match self.below(8) {
            0 => Schedule::Rare { seed: self.below(u64::MAX), one_in: self.below(20) as u16 },
            1 => Schedule::Uniform { seed: self.below(u64::MAX) },
            2 => Schedule::RoundRobin { quantum: self.below(9) as u16 },
            _ => {
                let len = self.below(40);
                // Short gaps, as the programs are short.
                Schedule::Pct((0..len).map(|n| self.below(if n > 1 && n % 2 == 0 { 24 } else { 256 }) as u8).collect())
            }
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Op {
    /// Passes places.
    Pass(u64),
    /// Reads under a semaphore.
    Shared(usize, u64),
    /// Writes under a semaphore.
    Exclusive(usize, u64),
    /// Takes both semaphores, this one first.
    Both(usize),
    /// Makes work for a background lane.
    Raise(usize),
    /// Makes a token.
    Put,
    /// Takes a token, and makes work so that somebody makes one.
    Take,
    /// Has a choice.
    Choose(u32),
    /// Is in flight for a while.
    Fly(u64),
    /// Waits until nobody is in flight.
    Drain,
}

#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) users: Vec<Vec<Op>>,
}

impl Program {
    pub(crate) fn random(random: &mut Random) -> Program {
        let users = 1 + random.below(3);
        let op = |random: &mut Random| match random.below(10) {
            0 => Op::Shared(random.below(2) as usize, random.below(4)),
            1 => Op::Exclusive(random.below(2) as usize, random.below(4)),
            2 => Op::Both(random.below(2) as usize),
            3 | 4 => Op::Raise(random.below(3) as usize),
            5 => Op::Put,
            6 => Op::Take,
            7 => Op::Choose(1 + random.below(5) as u32),
            8 if random.below(2) == 0 => Op::Drain,
            8 => Op::Fly(random.below(3)),
            _ => Op::Pass(1 + random.below(4)),
        };
        let lane = |random: &mut Random| (0..random.below(9)).map(|_| op(random)).collect();
        Program { users: (0..users).map(|_| lane(random)).collect() }
    }
}

/// The background lanes of the toy: as many as it has events.
pub(crate) const BACKGROUND: [LaneId; 3] = [LaneId::FLUSHER, LaneId::END_IO, LaneId::RECLAIM];

pub(crate) struct World {
    pub(crate) sems: [RwSem; 2],
    pub(crate) tokens: Mutex<u32>,
    pub(crate) queue: WaitQueue,
    pub(crate) events: [Event; 3],
    pub(crate) flight: InFlight,
    /// Tells background lanes on OS threads to end; under the executor they are dropped.
    pub(crate) stop: AtomicBool,
}

impl World {
    pub(crate) fn new() -> World {
        World {
            sems: [RwSem::new("a"), RwSem::new("b")],
            tokens: Mutex::new(0),
            queue: WaitQueue::default(),
            events: Default::default(),
            flight: InFlight::default(),
            stop: AtomicBool::new(false),
        }
    }

    pub(crate) fn put(&self) {
        *self.tokens.lock() += 1;
        self.queue.wake_all();
    }

    pub(crate) async fn take(&self, task: &Task) {
        let token = || {
            let mut tokens = self.tokens.lock();
            (*tokens > 0).then(|| *tokens -= 1)
        };
        self.queue.wait(task, token, || Waiting { y: Y::WBW, what: "token", id: 0, holders: 0 }).await;
    }

    async fn op(&self, task: &Task, op: Op) -> u64 {
        match op {
            Op::Pass(n) => pass(task, Y::W2, n).await,
            Op::Shared(sem, n) => {
                let _hold = self.sems[sem].read(task, Y::W1).await;
                pass(task, Y::R3, n).await;
            }
            Op::Exclusive(sem, n) => {
                let _hold = self.sems[sem].write(task, Y::W1).await;
                pass(task, Y::W9, n).await;
            }
            Op::Both(first) => {
                let _outer = self.sems[first].write(task, Y::W1).await;
                task.at(Y::T7).await;
                let _inner = self.sems[1 - first].write(task, Y::W1).await;
                task.at(Y::T8).await;
            }
            Op::Raise(event) => self.events[event].raise(),
            Op::Put => self.put(),
            Op::Take => {
                self.events[1].raise();
                self.take(task).await;
            }
            Op::Choose(n) => return u64::from(task.choose(Y::C0, n)),
            Op::Fly(n) => {
                let _flying = self.flight.begin(task.lane());
                pass(task, Y::D3, n).await;
            }
            Op::Drain => self.flight.drained(task, Y::I2, "direct I/O").await,
        }
        0
    }

    pub(crate) async fn user(&self, task: Task, ops: &[Op]) {
        // Before the first operation begins and after it has ended: the same place, with two names.
        task.at(Y::NEXT).await;
        for (n, op) in ops.iter().enumerate() {
            task.begin_op(n as u32);
            let answer = self.op(&task, *op).await;
            task.end_op(answer);
            task.at(Y::NEXT).await;
        }
    }

    /// The flusher reads under a semaphore and makes work for end-io, which makes tokens; reclaim writes.
    pub(crate) async fn background(&self, task: Task, which: usize) {
        for pass_number in 1.. {
            self.events[which].wait(&task).await;
            if self.stop.load(Relaxed) {
                break;
            }
            task.begin_op(pass_number);
            match which {
                0 => {
                    let _hold = self.sems[0].read(&task, Y::B4a).await;
                    pass(&task, Y::B7, 3).await;
                    self.events[1].raise();
                }
                1 => {
                    pass(&task, Y::E5, 1 + u64::from(task.choose(Y::E1, 3))).await;
                    self.put();
                }
                _ => {
                    let _hold = self.sems[1].write(&task, Y::C4).await;
                    pass(&task, Y::C6, 2).await;
                }
            }
        }
    }
}

async fn pass(task: &Task, y: Y, n: u64) {
    for _ in 0..n {
        task.at(y).await;
    }
}

pub(crate) fn play(program: &Program, policy: Box<dyn Policy>) -> Report {
    let world = World::new();
    let sim = Sim::new(policy, PATIENCE);
    let mut lanes: Vec<(LaneId, Lane<'_>)> = Vec::new();
    for (n, ops) in program.users.iter().enumerate() {
        let lane = LaneId(n as u8);
        lanes.push((lane, Box::pin(world.user(sim.task(lane), ops))));
    }
    for (which, lane) in BACKGROUND.into_iter().enumerate() {
        lanes.push((lane, Box::pin(world.background(sim.task(lane), which))));
    }
    lanes::run(&sim, lanes)
}

pub(crate) fn play_anchors(program: &Program, anchors: Vec<Anchor>) -> Report {
    play(program, policy_of(&Schedule::Anchored(anchors)))
}

/// A report as it is compared.
pub(crate) fn facts(report: &Report) -> String {
    format!("{:016x} {} {} {:?}", report.trace, report.steps, report.switches, report.end)
}

pub(crate) fn is_done(report: &Report) -> bool {
    matches!(report.end, End::Done)
}
