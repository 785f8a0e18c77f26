//! The minimizer on targets whose bug is known exactly.

use super::*;
use crate::bytes::{Profile, decode};
use crate::generate::Generator;
use lanes::{Action, Anchor, LaneId, Place, Y};
use oracle::{Op, OpKind};

/// Fresh programs with a schedule that switches now and then.
fn programs() -> impl Iterator<Item = Program> {
    let generator = Generator { seed: 11, profile: Profile::ANY, strategy: None };
    (0..2000).map(move |number| {
        let mut bytes = Vec::new();
        generator.fill(number, &mut bytes);
        let mut program = decode(&bytes);
        let anchors = program.ops().flat_map(|(id, _)| {
            let place = Place { lane: LaneId(id.lane), op: id.index, y: Y::W13, nth: 1 };
            let run = Anchor { place, action: Action::Run(vec![LaneId::END_IO, LaneId::FLUSHER, LaneId::RECLAIM]) };
            [run, Anchor { place, action: Action::Pick(3) }]
        });
        program.schedule = Schedule::Anchored(anchors.collect());
        program
    })
}

fn is_write(op: &Op) -> bool {
    matches!(op.kind, OpKind::Write | OpKind::DirectWrite)
}

/// A bug of three parts: a write of more than a page during which the flusher runs, and a later operation that
/// reads one of its bytes.
fn three_parts(program: &Program) -> Option<Class> {
    let Schedule::Anchored(anchors) = &program.schedule else { return None };
    let stopped = |lane: usize, index: usize| {
        anchors.iter().any(|anchor| {
            anchor.place.lane == LaneId(lane as u8)
                && anchor.place.op as usize == index
                && matches!(&anchor.action, Action::Run(lanes) if lanes.contains(&LaneId::FLUSHER))
        })
    };
    let page = u64::from(program.geometry.page);
    let shows = program.lanes.iter().enumerate().any(|(lane, ops)| {
        ops.iter().enumerate().any(|(index, op)| {
            let reads = |later: &Op| later.kind == OpKind::Read && later.bytes().contains(&op.off);
            is_write(op) && op.len > page && stopped(lane, index) && ops[index + 1..].iter().any(reads)
        })
    });
    shows.then_some(Class::Content)
}

#[test]
fn nothing_single_can_go_any_more() {
    let mut shrunk = 0;
    for program in programs().filter(|program| three_parts(program).is_some()) {
        let minimized = minimize(&program, Class::Content, 100_000, &mut three_parts);
        let small = minimized.program;
        assert!(minimized.is_minimal);
        assert_eq!(three_parts(&small), Some(Class::Content));
        assert_eq!((small.lanes.len(), small.op_count(), edit::switch_count(&small)), (1, 2, 1), "{small:#?}");
        let [write, read] = small.lanes[0][..] else { unreachable!() };
        assert_eq!((write.kind, write.off, read.off, read.len), (OpKind::Write, 0, 0, read.len));
        assert!(write.len <= 2 * u64::from(small.geometry.page) && read.len <= u64::from(small.geometry.page));
        shrunk += 1;
    }
    assert!(shrunk > 20, "only {shrunk} programs had the bug");
}

#[test]
fn the_class_is_kept() {
    // Short programs show another bug than the one searched for.
    let mut test = |program: &Program| Some(if program.op_count() < 3 { Class::Panic } else { Class::Size });
    for program in programs().filter(|program| program.op_count() > 4).take(20) {
        let minimized = minimize(&program, Class::Size, 100_000, &mut test);
        assert_eq!(minimized.program.op_count(), 3);
    }
}

#[test]
fn the_budget_is_kept() {
    let mut runs = 0;
    let mut test = |_: &Program| {
        runs += 1;
        Some(Class::Size)
    };
    let program = programs().find(|program| program.op_count() > 10).unwrap();
    let minimized = minimize(&program, Class::Size, 3, &mut test);
    assert_eq!((minimized.executions, minimized.is_minimal), (3, false));
    assert_eq!(runs, 3);
}

/// A search that goes round in circles uses up any budget.
#[test]
fn the_search_ends() {
    for (modulus, residue) in [(2, 0), (3, 1), (5, 2), (7, 3)] {
        let test = |program: &Program| {
            let sum: u64 = program.ops().map(|(_, op)| op.off / 32 + op.len / 32 * 3 + op.kind as u64).sum();
            (sum % modulus == residue).then_some(Class::Size)
        };
        for program in programs().take(300).filter(|program| test(program).is_some()) {
            assert!(minimize(&program, Class::Size, 50_000, &mut { test }).is_minimal, "{program:#?}");
        }
    }
}

#[test]
fn every_candidate_is_a_valid_program() {
    let mut test = |program: &Program| {
        assert_eq!(program.validate(), Ok(()));
        (program.op_count() % 3 != 1 && edit::switch_count(program).is_multiple_of(2)).then_some(Class::Size)
    };
    for program in programs().filter(|program| program.op_count().is_multiple_of(3)).take(50) {
        assert!(minimize(&program, Class::Size, 20_000, &mut test).is_minimal);
    }
}
