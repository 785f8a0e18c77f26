//! All short programs that end in a crash, by number.
//!
//! A program is one to three steps. A step is an operation of a small set with arguments of a small set, and then one
//! of three degrees of persistence: nothing, on its way to the device's cache and waited for, synced. Behind the last
//! step stands the crash. The beginnings of a program are programs, too, so there is a crash behind every step of
//! each. This is the bound of ACE, with which CrashMonkey has found most of the crash bugs that were known (OSDI 2018).

use crate::program::{PLAIN, Program};
use lanes::Schedule;
use oracle::{Flavour, Geometry, Op, OpKind};

/// Page size, bytes: as small as it gets, as arguments are parts and multiples of it.
const PAGE: u64 = 128;
/// Ranges of the operations that have one: a page, the page behind it, and the halves of both that meet.
const RANGES: [(u64, u64); 3] = [(0, PAGE), (PAGE / 2, PAGE), (PAGE, PAGE)];
/// Sizes a truncate sets.
const SIZES: [u64; 4] = [0, PAGE / 2, PAGE, 3 * PAGE / 2];
/// The operations with a range.
const RANGED: [OpKind; 7] = [
    OpKind::Write,
    OpKind::MapWrite,
    OpKind::DirectWrite,
    OpKind::Fallocate,
    OpKind::KeepSize,
    OpKind::Punch,
    OpKind::ZeroRange,
];
/// No operation reaches beyond this.
const LIMIT: u64 = 4 * PAGE;
/// Block sizes: a page, and half of one.
const BLOCKS: [u64; 2] = [PAGE, PAGE / 2];

/// How far a step goes towards the device.
#[derive(Clone, Copy)]
enum Persistence {
    Nothing,
    Written,
    Synced,
}

const PERSISTENCE: [Persistence; 3] = [Persistence::Nothing, Persistence::Written, Persistence::Synced];

/// How many steps there are to choose from.
pub const STEPS: u64 = ((RANGED.len() * RANGES.len() + SIZES.len()) * PERSISTENCE.len()) as u64;

/// The sizes and flavours every program is run with.
pub fn geometries() -> impl Iterator<Item = Geometry> {
    let flavours = [Flavour::Xfs, Flavour::Ext4];
    flavours.into_iter().flat_map(|flavour| {
        let sizes = move |block| Geometry { page: PAGE as u32, block, flavour, file_limit: LIMIT, ..PLAIN };
        BLOCKS.into_iter().map(move |block| sizes(block as u32))
    })
}

/// How many programs of `length` steps there are.
pub fn count(length: u32) -> u64 {
    STEPS.pow(length)
}

/// Program `number` of those of `length` steps.
pub fn program(geometry: Geometry, length: u32, mut number: u64) -> Program {
    let mut ops = Vec::new();
    for _ in 0..length {
        step(number % STEPS, &mut ops);
        number /= STEPS;
    }
    ops.push(Op::plain(OpKind::Crash));
    Program { geometry, lanes: vec![ops], schedule: Schedule::default() }
}

fn step(number: u64, ops: &mut Vec<Op>) {
    let persistence = PERSISTENCE[(number % PERSISTENCE.len() as u64) as usize];
    let core = (number / PERSISTENCE.len() as u64) as usize;
    ops.push(match core.checked_sub(SIZES.len()) {
        None => Op::at(OpKind::Truncate, SIZES[core]),
        Some(ranged) => {
            let (off, len) = RANGES[ranged % RANGES.len()];
            Op::range(RANGED[ranged / RANGES.len()], off, len)
        }
    });
    match persistence {
        Persistence::Nothing => {}
        Persistence::Written => ops.push(Op::range(OpKind::SyncRange, 0, LIMIT)),
        Persistence::Synced => ops.push(Op::plain(OpKind::Fsync)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn programs_are_valid_and_no_two_are_the_same() {
        let mut seen = BTreeSet::new();
        for geometry in geometries() {
            for number in 0..count(2) {
                let program = program(geometry, 2, number);
                assert_eq!(program.validate(), Ok(()));
                let ops: Vec<String> = program.ops().map(|(_, op)| op.to_string()).collect();
                assert!(seen.insert((geometry.flavour.name(), geometry.block, ops)));
            }
        }
        assert_eq!(seen.len() as u64, 4 * 75 * 75);
    }
}
