//! A recorded run as a timeline: a column for each user lane, one for the background.

use crate::program::Program;
use crate::verdict::{Answer, Recorded};
use lanes::{LaneId, Place, Y};
use std::iter::Peekable;

/// One line of one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Places passed before it.
    pub step: usize,
    /// Whose it is.
    pub lane: LaneId,
    /// What happens.
    pub text: String,
}

/// The run of `program`, from its first place to its last. Columns are `width` characters wide.
pub fn timeline(program: &Program, recorded: &Recorded, width: usize) -> String {
    let users = program.lanes.len();
    let column = |lane: LaneId| (lane.0 as usize).min(users);
    let mut out = String::new();
    let mut heading = String::from("  step");
    for lane in 0..users {
        write_cell(&mut heading, &format!("lane {lane}"), width);
    }
    write_cell(&mut heading, "background", width);
    line(&mut out, &heading);
    for entry in entries(program, recorded) {
        let mut row = format!("{:>6}", entry.step);
        (0..column(entry.lane)).for_each(|_| write_cell(&mut row, "", width));
        write_cell(&mut row, &entry.text, width);
        line(&mut out, &row);
    }
    out
}

fn write_cell(row: &mut String, text: &str, width: usize) {
    row.push_str("  ");
    row.push_str(text);
    (text.chars().count()..width).for_each(|_| row.push(' '));
}

fn line(out: &mut String, row: &str) {
    out.push_str(row.trim_end());
    out.push('\n');
}

/// What happens in the run of `program`, in order.
pub fn entries(program: &Program, recorded: &Recorded) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut answers = recorded.answers.iter().peekable();
    let mut begun = [None; LaneId::COUNT];
    let mut at = 0;
    for stretch in recorded.steps.chunk_by(|a, b| a.lane == b.lane) {
        let lane = stretch[0].lane;
        let end = at + stretch.len();
        if lane.is_user() {
            user_stretch(program, stretch, at, &mut begun, &mut answers, &mut entries);
        } else if stretch.iter().any(|place| ![Y::START, Y::IDLE, Y::FINISH].contains(&place.y)) {
            // One that only finds that there is nothing to do yet is not worth a line.
            entries.push(Entry { step: at, lane, text: background_text(stretch) });
        }
        at = end;
    }
    entries
}

/// A user lane's operations in one stretch, their answers, and where it was stopped.
fn user_stretch<'a>(
    program: &Program,
    stretch: &[Place],
    at: usize,
    begun: &mut [Option<u32>; LaneId::COUNT],
    answers: &mut Peekable<impl Iterator<Item = &'a Answer>>,
    entries: &mut Vec<Entry>,
) {
    let lane = stretch[0].lane;
    let number = lane.0 as usize;
    let mut push = |step, text| entries.push(Entry { step, lane, text });
    for (step, place) in (at..).zip(stretch) {
        // The answer stands before the place at which the lane arrives next.
        while let Some(answer) = answers.next_if(|answer| answer.id.lane == lane.0 && answer.step as usize <= step) {
            push(step, format!("  = {}", answer.outcome));
        }
        if place.y != Y::FINISH
            && begun[number].replace(place.op) != Some(place.op)
            && let Some(op) = program.lanes[number].get(place.op as usize)
        {
            push(step, format!("{lane}.{} {op}", place.op));
        }
    }
    let last = stretch[stretch.len() - 1];
    if ![Y::FINISH, Y::NEXT, Y::START].contains(&last.y) {
        push(at + stretch.len() - 1, format!("  stops at {} #{}", last.y, last.nth));
    }
}

fn background_text(stretch: &[Place]) -> String {
    let lane = stretch[0].lane;
    if lane == LaneId::CHECKER {
        return "checker: compares the whole file".to_owned();
    }
    let places: Vec<&str> = stretch.iter().map(|place| place.y.name()).collect();
    format!("{lane}.{}: {}", stretch[0].op, places.join(" "))
}
