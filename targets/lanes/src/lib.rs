//! Lanes: the concurrency of the system under test, with the scheduler taken out of it.
//!
//! A *lane* is a thread of the kernel as far as the model is concerned: a user process inside a system call,
//! the flusher, the end-io worker, reclaim. It is an ordinary future. Wherever the kernel may sleep it awaits
//! a [`WaitQueue`] or an [`RwSem`]; wherever the kernel can be preempted with no lock of interest held it
//! passes a named place, [`Task::at`]. Sections under a spinlock are plain code under a `parking_lot` mutex,
//! which cannot be held over an await because lanes are `Send`.
//!
//! Under [`run()`] one thread polls the lane that a [`Policy`] names, so the interleaving is an input. The same
//! futures run on OS threads with [`block_on`]; places then do nothing.
//!
//! | module | what it has |
//! |---|---|
//! | [`place`] | lanes and places by name: [`LaneId`], [`Y`], [`Place`] |
//! | [`schedule`] | schedules as data: [`Schedule`], [`Anchor`] |
//! | [`policy`] | strategies that turn a schedule into choices |
//! | [`anchored`] | the anchored schedule: replaying one, recording one |
//! | [`sim`] | the executor, its report, and the question a policy answers |
//! | [`sync`] | sleeping primitives |
//! | [`flight`] | what is under way and ends in another lane |
//! | [`keyed`] | a wait queue with keys, from which one sleeper can be woken |
//!
//! Absent on purpose: clocks, threads, random numbers, hash maps, global state.

pub mod anchored;
pub mod flight;
pub mod keyed;
mod pct;
pub mod place;
pub mod policy;
mod run;
pub mod schedule;
pub mod sim;
pub mod sync;
mod task;

pub use flight::{InFlight, InFlightGuard, Promise};
pub use keyed::{KeyedQueue, Sleep};
pub use place::{LaneId, Place, Y};
pub use schedule::{Action, Anchor, Schedule};
pub use sim::{End, Lane, Policy, Report, Sim, Task, View, Waiting, block_on, run};
pub use sync::{Event, Held, RwRead, RwSem, RwWrite, WaitQueue};
