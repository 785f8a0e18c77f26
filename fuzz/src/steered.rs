//! Running a program with an anchored schedule on a real file system: every lane is a thread, and its switch points
//! are pauses inside system calls.
//!
//! One lane goes on at a time, by the rule of the anchored schedule ([`lanes::anchored`]). Between operations that is
//! exact. Inside one a lane can be stopped where the kernel copies from or to its buffer (`ffi::Pausing`); `reach.rs`
//! says which places of the model that is, and for each switch there is an answer whether it was honoured. What the
//! background lanes of a schedule do is done to the whole file: the flusher starts its writeback, end-io waits for
//! what is under way, reclaim evicts it.
//!
//! A lane that does not come back while another one is stopped in a call waits for it: that is told, and the others go
//! on. It goes on by itself when the kernel lets it.

mod controller;
mod lane;
mod reach;
mod scale;

use crate::program::Program;
use crate::sequential::at_rest;
use crate::threaded::has_answer;
use crate::verdict::Verdict;
use controller::Controller;
use ffi::Pausing;
use lane::Means;
use lanes::{Action, LaneId, Schedule};
use oracle::{FlatFile, OpId, Target, TargetError};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::sync::mpsc::channel;
use std::thread;
use targets::directory::DirectoryTarget;

/// What running a program showed, and what became of its schedule.
#[derive(Clone, Debug)]
pub struct Steered {
    /// As of any run.
    pub verdict: Verdict,
    /// By how much offsets and lengths were multiplied, so that pages of the program are pages of the machine.
    pub times: u64,
    /// The switch points, in the order of the schedule.
    pub switches: Vec<Switch>,
}

/// What became of a switch point.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Switch {
    /// As the reproducer has it: `at 0.1 W3 #1 run flusher`.
    pub anchor: String,
    /// Whether the lane stopped there.
    pub fate: Fate,
    /// What else there is to say: which lane was blocked there.
    pub notes: Vec<String>,
}

/// Whether a switch point was honoured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Fate {
    /// The lane stopped there, and the others ran.
    Honoured,
    /// It stopped elsewhere, or something is different there from the place of the model.
    Nearly(String),
    /// It did not, for this reason.
    NotHonoured(String),
}

impl fmt::Display for Switch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.anchor)?;
        match &self.fate {
            Fate::Honoured => f.write_str("honoured")?,
            Fate::Nearly(what) => write!(f, "nearly honoured, {what}")?,
            Fate::NotHonoured(why) => write!(f, "not honoured, {why}")?,
        }
        self.notes.iter().try_for_each(|note| write!(f, "; {note}"))
    }
}

/// Where a run is, for whoever watches it.
#[derive(Clone, Copy, Debug)]
pub enum Moment {
    /// This operation begins.
    Begins(OpId),
    /// Something has happened, whatever it is.
    GoesOn,
    /// All are done, and the file is looked at.
    AtRest,
}

/// Whether the program is one for [`steer`]: it has a schedule with switches, its lanes own bytes, and the flat file has
/// answers when they overlap.
pub fn is_steered(program: &Program) -> bool {
    let anchored = matches!(&program.schedule, Schedule::Anchored(anchors) if !anchors.is_empty());
    anchored && has_answer(program)
}

/// Runs `program` on `target`, steered by its schedule. `known_on` is the file system whose known differences are let
/// pass.
///
/// # Errors
/// If the target cannot be set up or driven.
pub fn steer(
    target: &mut DirectoryTarget,
    program: &Program,
    known_on: Option<&str>,
    mut progress: impl FnMut(Moment),
) -> Result<Steered, TargetError> {
    let (program, times) = scale::scaled(program, target.page_size());
    let means = means(target, &program)?;
    target.start(&program.geometry)?;
    let lanes = program.lanes.len();
    let mut flat = FlatFile::new(&program.geometry, lanes, target.page_size());
    if let Some(file_system) = known_on {
        flat.permit_known(file_system);
        flat.reset(&program.geometry, lanes, target.page_size());
    }
    let (events, from_lanes) = channel();
    let mut threads = Vec::new();
    for lane in (0..lanes as u8).map(LaneId).chain([LaneId::FLUSHER, LaneId::END_IO, LaneId::RECLAIM]) {
        threads.push((lane, target.lane()?));
    }
    let run = thread::scope(|scope| {
        let start =
            |(lane, target)| (lane, lane::start(scope, lane, target, means.as_ref().ok().copied(), events.clone()));
        let orders = threads.into_iter().map(start).collect();
        // With it go the ends of all channels, so that every lane ends.
        let mut controller = Controller::new(&program, &mut flat, target, &means, orders, from_lanes);
        controller.run(&mut progress)?;
        Ok(controller.end())
    });
    let (mut verdict, switches) = run?;
    if verdict.divergence.is_none() {
        progress(Moment::AtRest);
        verdict.divergence = at_rest(target, &mut flat, &program)?.err();
    }
    Ok(Steered { verdict, times, switches })
}

/// What stops calls here, or why nothing does. Measured only if the schedule has switches of user lanes.
fn means(target: &DirectoryTarget, program: &Program) -> Result<Result<Means, String>, TargetError> {
    let Schedule::Anchored(anchors) = &program.schedule else { return Ok(Err("there is no schedule".to_owned())) };
    let stops = |action: &Action| matches!(action, Action::Run(_));
    if !anchors.iter().any(|anchor| anchor.place.lane.is_user() && stops(&anchor.action)) {
        return Ok(Err("nobody is to be stopped".to_owned()));
    }
    Ok(match Pausing::probe() {
        Ok(pausing) => Ok(Means { pausing, order: target.write_order(&pausing)? }),
        Err(cannot) => Err(cannot.to_string()),
    })
}
