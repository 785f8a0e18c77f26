//! What parent and child say to each other: one line of JSON each way.

use crate::steered::Switch;
use oracle::{Class, Divergence, OpId};
use serde::{Deserialize, Serialize};

/// From the parent.
#[derive(Serialize, Deserialize)]
pub(super) enum Request {
    /// Run these programs of the generator with this seed, up to the first divergence.
    Batch { seed: u64, ops: Vec<String>, from: u64, count: u64 },
    /// Run this program.
    Program { text: String },
}

/// From the child.
#[derive(Serialize, Deserialize)]
pub(super) enum Reply {
    /// The target is there.
    Ready {
        file_system: String,
        lacks: Vec<Lack>,
        cannot_crash: Option<String>,
    },
    /// In the middle of a request: the file system is to be unmounted and mounted again. The parent answers with
    /// [`Restarted`].
    Restart,
    Batch {
        programs: u64,
        ops: u64,
        crashes: Crashes,
        divergent: Option<(u64, WireDivergence)>,
    },
    Program {
        divergence: Option<WireDivergence>,
        trace: u64,
        steps: u64,
        ops: u64,
        steering: Option<Steering>,
    },
    /// Something is wrong on our side.
    Error {
        message: String,
    },
}

/// What became of a program's schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Steering {
    /// By how much offsets and lengths were multiplied, so that pages of the program are pages of the machine.
    pub times: u64,
    /// The switch points, in the order of the schedule.
    pub switches: Vec<Switch>,
}

/// How often a file system went down and came up, and what that took.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crashes {
    /// How often.
    pub count: u64,
    /// From the call that stops it until the file is judged, microseconds, all together.
    pub spent_us: u64,
}

/// The parent's answer to [`Reply::Restart`].
#[derive(Serialize, Deserialize)]
pub(super) enum Restarted {
    Up,
    /// It did not come up; a new one is there.
    Refused {
        errno: i32,
        log: String,
    },
    /// Nobody knows what is there.
    Gone {
        why: String,
    },
}

/// An operation a file system does not have.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Lack {
    /// Its name.
    pub op: String,
    /// What it answers.
    pub errno: String,
}

#[derive(Serialize, Deserialize)]
pub(super) struct WireDivergence {
    class: String,
    op: Option<(u8, u32)>,
    offset: Option<u64>,
    detail: String,
}

impl From<Divergence> for WireDivergence {
    fn from(Divergence { class, op, offset, detail }: Divergence) -> WireDivergence {
        WireDivergence { class: class.name().to_owned(), op: op.map(|op| (op.lane, op.index)), offset, detail }
    }
}

impl From<WireDivergence> for Divergence {
    fn from(WireDivergence { class, op, offset, detail }: WireDivergence) -> Divergence {
        // Both ends are the same program, so the class has a name.
        let class = Class::from_name(&class).unwrap_or(Class::Panic);
        Divergence { class, op: op.map(|(lane, index)| OpId { lane, index }), offset, detail }
    }
}
