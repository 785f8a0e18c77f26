//! The tables of operations, faults and known differences, as they are in the program.

use super::Ending;
use super::style::{DIM, HEAD, paint, say};
use faults::{FAULTS, UNARMED};
use oracle::flat::PERMITTED;
use oracle::{OPS, Op, OpInfo, Shape};

pub(super) fn ops() -> Ending {
    say(paint(HEAD, format!("{:<38} {}", "operation", "what it does")));
    for OpInfo { kind, shape, doc, weight, .. } in OPS {
        let example = match shape {
            Shape::Range => Op::range(*kind, 0, 4096),
            Shape::RangeReadable => Op { readable: 512, ..Op::range(*kind, 0, 4096) },
            Shape::Size | Shape::Offset => Op::at(*kind, 4096),
            Shape::Plain => Op::plain(*kind),
        };
        say(format!("{:<38} {doc} {}", example.to_string(), paint(DIM, format!("(weight {weight})"))));
    }
    Ending::Agree
}

pub(super) fn faults() -> Ending {
    say(paint(HEAD, format!("{:<4} {:<4} {:<48} {}", "id", "tier", "name", "detectors")));
    for row in FAULTS {
        say(format!("{:<4} {:<4} {:<48} {}", row.id, row.tier, row.name, row.detectors.join(" ")));
        say(paint(DIM, format!("          {}", row.doc)));
    }
    say(paint(HEAD, format!("\n{:<4} {:<53} {}", "id", "not armed", "why")));
    for row in UNARMED {
        say(format!("{:<4} {:<53} {}", row.id, row.name, paint(DIM, row.why)));
    }
    say(format!("\n{} of {} can be armed.", FAULTS.len(), FAULTS.len() + UNARMED.len()));
    say("tier 1: one user lane, in sequence. 2: one user lane and the background. 3: two user lanes.");
    Ending::Agree
}

pub(super) fn known() -> Ending {
    for row in PERMITTED {
        let on = if row.on.is_empty() { "everywhere".to_owned() } else { format!("on {}", row.on.join(" and ")) };
        let ops: Vec<&str> = row.ops.iter().map(|kind| kind.info().name).collect();
        say(format!("{} {on}: {}", paint(HEAD, row.name), ops.join(" ")));
        say(paint(DIM, format!("    {}", row.reason)));
    }
    say("\nThose limited to a file system are reported with --strict.");
    Ending::Agree
}
