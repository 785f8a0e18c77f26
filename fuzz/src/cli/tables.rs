//! The tables of operations and of faults, as they are in the program.

use super::Ending;
use super::style::{DIM, HEAD, paint, say};
use faults::FAULTS;
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
    say("\ntier 1: one user lane, in sequence. 2: one user lane and the background. 3: two user lanes.");
    Ending::Agree
}
