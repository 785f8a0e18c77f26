//! The executor: one thread that polls the lane the policy names, and the report of how that went.

use crate::place::{LaneId, Y};
use crate::sim::{LaneWaker, NOBODY, Sim};
use std::any::Any;
use std::fmt;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};

/// A lane's future. `Send`, so that a short lock's guard held across an await does not compile.
///
/// Whatever it awaits must come from this crate, one thing at a time: a lane stands at one place.
pub type Lane<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// What a lane waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Where it waits.
    pub y: Y,
    /// Kind of thing, such as `folio lock`.
    pub what: &'static str,
    /// Which one, such as the folio's index; [`Waiting::ONLY`] if there is only one.
    pub id: u64,
    /// The lanes that hold it, as bits, when it began to wait; with [`Waiting::OWED`], those that have to wake it.
    pub holders: u64,
}

impl Waiting {
    /// The [`Waiting::id`] of what there is only one of.
    pub const ONLY: u64 = u64::MAX;

    /// Set in [`Waiting::holders`] if it is nothing that lanes hold: they have to do something and then wake it.
    pub const OWED: u64 = 1 << 63;

    /// Whether the holders do not hold a thing, but owe a wake-up.
    pub fn is_owed(&self) -> bool {
        self.holders & Waiting::OWED != 0
    }

    /// The lanes that hold it or owe the wake-up.
    pub fn holders(&self) -> impl Iterator<Item = LaneId> + use<> {
        let holders = self.holders;
        (0..LaneId::COUNT as u8).map(LaneId).filter(move |lane| holders & lane.bit() != 0)
    }

    /// The thing by name, such as `folio lock 3`.
    pub fn thing(&self) -> String {
        if self.id == Waiting::ONLY { self.what.to_owned() } else { format!("{} {}", self.what, self.id) }
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "waits at {} for {}", self.y, self.thing())?;
        let (by, nobody) = match self.is_owed() {
            true => ("to be woken by", "which no lane has to wake it for"),
            false => ("held by", "which no lane holds"),
        };
        let mut holders = self.holders();
        match holders.next() {
            None => write!(f, ", {nobody}"),
            Some(first) => {
                write!(f, ", {by} {first}")?;
                holders.try_for_each(|lane| write!(f, " and {lane}"))
            }
        }
    }
}

/// How a run ended.
#[derive(Debug)]
pub enum End {
    /// The last lane that is not a background lane has finished.
    Done,
    /// A lane has [halted](crate::Task::halt) the machine.
    Halted,
    /// No lane can run, and these wait for each other or for a wake-up nobody will send: all lanes that are not
    /// background lanes, and background lanes that wait for something else than work.
    Deadlock(Vec<(LaneId, Option<Waiting>)>),
    /// So many places were passed without an operation completing; the last ones, oldest first, and the lanes that
    /// sleep meanwhile.
    Livelock(Vec<(LaneId, Y)>, Vec<(LaneId, Option<Waiting>)>),
    /// A lane panicked.
    Panic {
        /// Which one.
        lane: LaneId,
        /// What it said.
        message: String,
    },
}

/// What a run did.
#[derive(Debug)]
pub struct Report {
    /// How it ended.
    pub end: End,
    /// Hash of every place passed and every answer given, in order. Equal programs have equal hashes.
    pub trace: u64,
    /// Places passed.
    pub steps: u64,
    /// Times another lane went on than the one before.
    pub switches: u64,
}

/// Runs the lanes until the last one that is not a background lane has finished, or a lane halts the machine.
///
/// A panic in a lane ends the run and is reported, also if it comes from what is dropped when a lane ends; all
/// lanes are dropped on every path.
pub fn run(sim: &Arc<Sim>, lanes: Vec<(LaneId, Lane<'_>)>) -> Report {
    let mut slots: [Option<Lane<'_>>; LaneId::COUNT] = Default::default();
    let mut live = 0u64;
    for (id, lane) in lanes {
        assert!(slots[id.0 as usize].replace(lane).is_none(), "lane {id} given twice");
        live |= id.bit();
    }
    sim.restart();
    sim.ready.store(live, Relaxed);
    let wakers: [Option<Waker>; LaneId::COUNT] = std::array::from_fn(|n| {
        let lane = LaneId(n as u8);
        slots[n].as_ref().map(|_| Arc::new(LaneWaker { sim: sim.clone(), lane }).into())
    });
    let mut switches = 0;
    // Who is asked about the first decision must not depend on which lanes there are: its place has a name.
    let mut current = LaneId(0);
    let mut end = loop {
        sim.live.store(live, Relaxed);
        if sim.halted.load(Relaxed) {
            break End::Halted;
        }
        if live & !LaneId::BACKGROUND_BITS == 0 {
            break End::Done;
        }
        let decided = sim.next.load(Relaxed);
        let lane = if decided != NOBODY {
            sim.next.store(NOBODY, Relaxed);
            LaneId(decided as u8)
        } else {
            let ready = sim.ready.load(Relaxed) & live;
            if ready == 0 {
                break End::Deadlock(sim.waiting_lanes(live & !LaneId::BACKGROUND_BITS));
            }
            sim.decide(ready, current, true)
        };
        if sim.is_overdue() {
            break End::Livelock(sim.recent(), sim.waiting_lanes(0));
        }
        switches += u64::from(lane != current && sim.current.load(Relaxed) != NOBODY);
        current = lane;
        sim.current.store(u32::from(lane.0), Relaxed);
        sim.ready.store(sim.ready.load(Relaxed) & !lane.bit(), Relaxed);
        let index = lane.0 as usize;
        let (Some(future), Some(waker)) = (&mut slots[index], &wakers[index]) else {
            unreachable!("lane {lane} is gone")
        };
        let mut context = Context::from_waker(waker);
        match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(&mut context))) {
            Ok(Poll::Pending) => {}
            Ok(Poll::Ready(())) => {
                live &= !lane.bit();
                sim.arrive(lane, Y::FINISH);
                if let Some(message) = drop_lane(&mut slots[index]) {
                    break End::Panic { lane, message };
                }
            }
            Err(payload) => break End::Panic { lane, message: panic_message(payload) },
        }
    };
    // Guards are released here; the wake-ups they send go nowhere.
    sim.live.store(0, Relaxed);
    for lane in (0..LaneId::COUNT as u8).map(LaneId) {
        let message = drop_lane(&mut slots[lane.0 as usize]);
        // Of what went wrong the first thing is reported: the rest may well follow from it.
        if let (Some(message), End::Done | End::Halted) = (message, &end) {
            end = End::Panic { lane, message };
        }
    }
    Report { end, trace: sim.trace.load(Relaxed), steps: sim.steps.load(Relaxed), switches }
}

/// Drops a lane and everything it holds. Two lanes that panic when dropped must not meet while unwinding.
fn drop_lane(slot: &mut Option<Lane<'_>>) -> Option<String> {
    let lane = slot.take()?;
    catch_unwind(AssertUnwindSafe(|| drop(lane))).err().map(panic_message)
}

fn panic_message(payload: Box<dyn Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => payload.downcast_ref::<&str>().copied().unwrap_or("a panic without a message").to_owned(),
    }
}
