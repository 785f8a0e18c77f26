//! The items of a line: names, operations, schedules, anchors.

use super::cursor::{Cursor, ParseError};
use crate::reproducer::Expect;
use faults::{FAULTS, Fault};
use lanes::{Action, Anchor, LaneId, Place, Schedule, Y};
use oracle::{Class, Flavour, OPS, Op, OpKind, Shape, Sharing};

pub(super) fn fault(cursor: &mut Cursor<'_>) -> Result<Fault, ParseError> {
    cursor.name("the name of a fault", FAULTS.iter().map(|row| row.name), Fault::from_name)
}

pub(super) fn expect(cursor: &mut Cursor<'_>) -> Result<Expect, ParseError> {
    let names = Class::ALL.iter().map(|(_, name)| *name).chain(["agree"]);
    cursor.name("`agree` or a class of divergence", names, |word| match word {
        "agree" => Some(Expect::Agree),
        class => Class::from_name(class).map(Expect::Diverge),
    })
}

pub(super) fn flavour(cursor: &mut Cursor<'_>) -> Result<Flavour, ParseError> {
    let lookup = |word: &str| Flavour::ALL.into_iter().find(|flavour| flavour.name() == word);
    cursor.name("a flavour", Flavour::ALL.iter().map(|flavour| flavour.name()), lookup)
}

pub(super) fn sharing(cursor: &mut Cursor<'_>) -> Result<Sharing, ParseError> {
    let lookup = |word: &str| Sharing::ALL.into_iter().find(|sharing| sharing.name() == word);
    cursor.name("`owned` or `overlapping`", Sharing::ALL.iter().map(|sharing| sharing.name()), lookup)
}

pub(super) fn op(cursor: &mut Cursor<'_>) -> Result<Op, ParseError> {
    let kind = cursor.name("an operation", OPS.iter().map(|row| row.name), OpKind::from_name)?;
    let mut op = Op::plain(kind);
    let example = |op: Op| Op { len: 4096, ..op }.to_string();
    let shape = kind.info().shape;
    match shape {
        Shape::Plain => {}
        Shape::Size => op.off = cursor.operand("size", u64::MAX, &example(op))?,
        Shape::Offset | Shape::Range | Shape::RangeReadable => {
            op.off = cursor.operand("off", u64::MAX, &example(op))?
        }
    }
    if matches!(shape, Shape::Range | Shape::RangeReadable) {
        op.len = cursor.operand("len", u64::MAX, &example(op))?;
    }
    if shape == Shape::RangeReadable {
        op.readable = cursor.operand("readable", u64::MAX, &example(op))?;
    }
    Ok(op)
}

pub(super) fn schedule(cursor: &mut Cursor<'_>) -> Result<Schedule, ParseError> {
    const KINDS: [&str; 6] = ["sequential", "anchored", "pct", "rare", "uniform", "round-robin"];
    let word = cursor.peek();
    if !KINDS.contains(&word) {
        return Err(cursor.unknown("a kind of schedule", KINDS.into_iter()));
    }
    cursor.advance(word);
    const ONE: u64 = u16::MAX as u64;
    Ok(match word {
        "pct" => Schedule::Pct(hex(cursor)?),
        "rare" => {
            let example = "schedule rare seed=0x1 one_in=16";
            let seed = cursor.operand("seed", u64::MAX, example)?;
            Schedule::Rare { seed, one_in: cursor.operand("one_in", ONE, example)? as u16 }
        }
        "uniform" => Schedule::Uniform { seed: cursor.operand("seed", u64::MAX, "schedule uniform seed=0x1")? },
        "round-robin" => {
            let quantum = cursor.operand("quantum", ONE, "schedule round-robin quantum=4")?;
            Schedule::RoundRobin { quantum: quantum as u16 }
        }
        _ => Schedule::default(),
    })
}

fn hex(cursor: &mut Cursor<'_>) -> Result<Vec<u8>, ParseError> {
    let start = *cursor;
    let error = || start.error("expected an even number of hexadecimal digits after `0x`");
    let digits = cursor.word("bytes as `0x` and hexadecimal digits")?.strip_prefix("0x").ok_or_else(error)?;
    if digits.len() % 2 != 0 || !digits.bytes().all(|c| c.is_ascii_hexdigit()) {
        return Err(error());
    }
    let byte = |n: usize| u8::from_str_radix(&digits[2 * n..2 * n + 2], 16).map_err(|_| error());
    (0..digits.len() / 2).map(byte).collect()
}

fn lane(cursor: &mut Cursor<'_>, word: &str) -> Result<LaneId, ParseError> {
    LaneId::from_name(word).ok_or_else(|| {
        cursor.unknown("a lane, 0 to 6 or one of flusher, end-io, reclaim and checker", LANE_NAMES.into_iter())
    })
}

const LANE_NAMES: [&str; 4] = ["flusher", "end-io", "reclaim", "checker"];

pub(super) fn anchor(cursor: &mut Cursor<'_>) -> Result<Anchor, ParseError> {
    const EXAMPLE: &str = "at 0.2 W13 #1 run flusher, end-io";
    let word = cursor.peek();
    let Some((lane_word, op_word)) = word.rsplit_once('.') else {
        return Err(cursor.error(format!("expected a lane, a dot and the number of its operation, as in `{EXAMPLE}`")));
    };
    let lane_id = lane(cursor, lane_word)?;
    cursor.advance(&word[..lane_word.len() + 1]);
    debug_assert!(cursor.rest().starts_with(op_word));
    let op = cursor.number(u64::from(u32::MAX))? as u32;
    let places = (0..Y::COUNT).filter_map(Y::from_index).map(Y::name);
    let y = cursor.name("a place", places, Y::from_name)?;
    cursor.expect("#", EXAMPLE)?;
    let nth = cursor.number(u64::from(u16::MAX))? as u16;
    let what = cursor.word(&format!("`run` or `pick`, as in `{EXAMPLE}`"))?;
    let action = match what {
        "pick" => Action::Pick(cursor.number(u64::from(u32::MAX))? as u32),
        "run" => Action::Run(run(cursor)?),
        _ => return Err(cursor.error(format!("expected `run` or `pick` before this, as in `{EXAMPLE}`"))),
    };
    Ok(Anchor { place: Place { lane: lane_id, op, y, nth }, action })
}

fn run(cursor: &mut Cursor<'_>) -> Result<Vec<LaneId>, ParseError> {
    let mut lanes = Vec::new();
    loop {
        let word = cursor.peek();
        lanes.push(lane(cursor, word)?);
        cursor.advance(word);
        if !cursor.accept(",") {
            return Ok(lanes);
        }
    }
}
