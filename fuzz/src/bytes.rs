//! Programs from bytes and back.
//!
//! The decoder is total: any bytes are a valid program, missing ones read as zero. It is the only way from
//! bytes to programs, shared by libFuzzer, bolero and `--seed`. A small change of the bytes is a small change of
//! the program, and the encoder is its inverse, so a text reproducer becomes corpus bytes and back.
//!
//! ```text
//! header | swarm seed (4) | schedule | operation | operation | ... until the bytes end
//! ```
//!
//! An operation is two bytes, which one and in which lane, and then its operands: in full, which is what the
//! encoder writes, or as a step from something that matters (a boundary of block, page or folio, the end of the
//! file, a range touched before), which is what makes random bytes interesting.

mod fit;
mod header;
mod operand;
mod schedule;
mod stream;
mod swarm;

pub use header::{HEADER_LEN, Profile, constrain};
pub use schedule::Strategy;
pub use swarm::constrain_draw;

use crate::program::{Exclusive, Program, check_geometry};
use arbitrary::{Arbitrary, Unstructured};
use fit::Fit;
use operand::Operands;
use oracle::{Geometry, Op, OpKind, Shape};
use stream::{Input, Output};
use swarm::Swarm;

/// The program these bytes stand for. Valid whatever they are.
pub fn decode(bytes: &[u8]) -> Program {
    let mut program = Program::empty();
    decode_into(bytes, &mut program);
    program
}

/// Which operations the program of these bytes was drawn from, with their shares: the swarm's weights.
pub fn drawn(bytes: &[u8]) -> String {
    let mut input = Input::new(bytes);
    let (_, lanes, cast) = header::decode(&mut input);
    let swarms = cast.swarms(input.word(), lanes);
    let described: Vec<String> = swarms.iter().map(Swarm::describe).collect();
    described.join("; ")
}

/// As [`decode`], keeping the memory of `program`.
pub fn decode_into(bytes: &[u8], program: &mut Program) {
    let mut input = Input::new(bytes);
    let (geometry, lanes, cast) = header::decode(&mut input);
    program.geometry = geometry;
    program.lanes.resize_with(lanes, Vec::new);
    program.lanes.iter_mut().for_each(Vec::clear);
    let swarms = cast.swarms(input.word(), lanes);
    program.schedule = schedule::decode(&mut input);
    decode_ops(&mut input, &geometry, &swarms, &mut program.lanes);
}

/// `swarms` has one vocabulary for all lanes, or one for each.
fn decode_ops(input: &mut Input<'_>, geometry: &Geometry, swarms: &[Swarm], lanes: &mut [Vec<Op>]) {
    let fit = Fit::new(geometry, lanes.len());
    let mut operands = Operands::new(geometry, swarms[0].window_pages());
    let mut exclusive = Exclusive::new(geometry, lanes.len());
    while !input.is_empty() {
        let (which, form) = (input.byte(), input.byte());
        let kind = swarms[(form & 7) as usize % lanes.len() % swarms.len()].kind(which);
        let raw = operands.decode(input, kind, form >> 3);
        // Only lane 0 changes the size, unless all do, and crashes.
        let first = matches!(raw.kind, OpKind::Truncate | OpKind::Crash) && !fit.is_void();
        let lane = if first { 0 } else { form & 7 } % lanes.len() as u8;
        let mut op = fit.fit(lane, raw);
        if exclusive.admit(op.kind).is_err() {
            op = stand_in(&fit, lane, op, exclusive);
            let admitted = exclusive.admit(op.kind);
            debug_assert_eq!(admitted, Ok(()), "{op}");
        }
        operands.note(&op);
        lanes[lane as usize].push(op);
    }
}

/// What the program may do instead of an operation that another one excludes.
fn stand_in(fit: &Fit, lane: u8, op: Op, exclusive: Exclusive) -> Op {
    let admits = |kind: OpKind| { exclusive }.admit(kind).is_ok();
    match op.kind {
        // What has the same operands fits wherever it does.
        OpKind::DirectRead => Op { kind: OpKind::Read, ..op },
        OpKind::AioWrite if admits(OpKind::DirectWrite) => Op { kind: OpKind::DirectWrite, ..op },
        kind if kind.info().shape == Shape::Plain => Op { kind: OpKind::Fsync, ..op },
        _ if admits(OpKind::Write) => Op { kind: OpKind::Write, ..op },
        // Another range: whole sectors, or a look if the lane has none.
        _ => fit.fit(lane, Op { kind: OpKind::AioWrite, ..op }),
    }
}

/// Bytes that decode to this program, for every valid program.
pub fn encode(program: &Program) -> Vec<u8> {
    let mut output = Output::new();
    header::encode(&mut output, &program.geometry, program.lanes.len());
    output.word(Swarm::PLAIN);
    schedule::encode(&mut output, &program.schedule);
    for (id, op) in program.ops() {
        output.byte(op.kind as u8);
        output.byte(operand::IN_FULL << 3 | id.lane);
        operand::encode(&mut output, op);
    }
    output.finish()
}

/// The program with every operation made to fit its geometry and lanes. Valid programs stay as they are.
pub fn fit_ops(mut program: Program) -> Program {
    if check_geometry(&program.geometry, program.lanes.len()).is_ok() {
        let fit = Fit::new(&program.geometry, program.lanes.len());
        for (lane, ops) in (0..).zip(&mut program.lanes) {
            ops.iter_mut().for_each(|op| *op = fit.fit(lane, *op));
        }
    }
    program
}

impl<'a> Arbitrary<'a> for Program {
    fn arbitrary(input: &mut Unstructured<'a>) -> arbitrary::Result<Program> {
        let rest = input.len();
        input.bytes(rest).map(decode)
    }

    fn arbitrary_take_rest(input: Unstructured<'a>) -> arbitrary::Result<Program> {
        Ok(decode(input.take_rest()))
    }

    fn try_size_hint(_: usize) -> Result<(usize, Option<usize>), arbitrary::MaxRecursionReached> {
        Ok((HEADER_LEN, None))
    }
}
