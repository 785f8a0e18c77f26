//! Simpler variants of one part of a program, most daring first. Every step leads down an order, so that taking
//! steps ends.

use crate::bytes::fit_ops;
use crate::program::Program;
use lanes::{Action, Schedule};
use oracle::{Flavour, Geometry, Op, OpKind, Shape, Sharing};

/// Kinds that may stand for another one and are simpler to think about.
fn simpler_kinds(kind: OpKind) -> &'static [OpKind] {
    use OpKind::*;
    match kind {
        AioWrite => &[DirectWrite, Write],
        MapWrite | DirectWrite | WriteFault | WriteFromMap | WriteDsync => &[Write],
        DirectWriteDsync => &[DirectWrite, WriteDsync, Write],
        MapRead | DirectRead => &[Read],
        ZeroRange => &[Write, Punch, Fallocate],
        Punch => &[Write],
        KeepSize => &[Fallocate],
        Fdatasync => &[Fsync],
        SyncRange | Msync => &[Fsync, Fdatasync],
        Writeback => &[Fsync, SyncRange],
        DontNeed => &[Evict],
        Reopen => &[Fsync, Evict],
        SeekData | SeekHole => &[Stat],
        MemoryFailure => &[Reopen],
        Read | Write | Truncate | Fallocate | Fsync | Stat | EndIo | Evict => &[],
        Crash | FailAlloc | FailWrite | FailRead | FailMap => &[],
    }
}

/// Simpler variants of the operation `nth` of all lanes.
pub(super) fn op(program: &Program, nth: usize) -> Vec<Program> {
    let Some((id, op)) = program.ops().nth(nth) else { return Vec::new() };
    let kinds = simpler_kinds(op.kind).iter().map(|kind| recast(op, *kind));
    let operands = smaller_operands(&program.geometry, op);
    let variants = kinds.chain(operands).map(|variant| {
        let mut changed = program.clone();
        changed.lanes[id.lane as usize][id.index as usize] = variant;
        changed
    });
    variants.collect()
}

/// The same operands for another kind, as far as it has them.
fn recast(op: &Op, kind: OpKind) -> Op {
    match kind.info().shape {
        Shape::Plain => Op::plain(kind),
        Shape::Size | Shape::Offset => Op::at(kind, op.off),
        Shape::Range | Shape::RangeReadable => Op::range(kind, op.off, op.len.max(1)),
    }
}

/// How far a position is from a round one: 0 is a multiple of the page.
fn roughness(geometry: &Geometry, at: u64) -> u32 {
    [geometry.page, geometry.block, geometry.sector(), 1]
        .iter()
        .position(|unit| at.is_multiple_of(u64::from(*unit)))
        .unwrap_or(3) as u32
}

/// What operands are ordered by: round ends first, then short, early and little readable.
fn rank(geometry: &Geometry, op: &Op) -> (u32, u64, u64, u64) {
    (roughness(geometry, op.off) + roughness(geometry, op.off + op.len), op.len, op.off, op.readable)
}

/// Where a position or length may go in one step.
fn steps(geometry: &Geometry, from: u64) -> Vec<u64> {
    let units = [geometry.page, geometry.block, geometry.sector(), 1].map(u64::from);
    let mut to = vec![0, from / 2];
    for unit in units {
        to.extend([from / unit * unit, from.next_multiple_of(unit), from / 2 / unit * unit, from.saturating_sub(unit)]);
    }
    to
}

fn smaller_operands(geometry: &Geometry, op: &Op) -> Vec<Op> {
    let mut found = Vec::new();
    let shape = op.kind.info().shape;
    if shape == Shape::Plain {
        return found;
    }
    let end = op.off + op.len;
    let ranged = matches!(shape, Shape::Range | Shape::RangeReadable);
    for off in steps(geometry, op.off) {
        found.push(Op { off, ..*op });
        if ranged && off < end {
            found.push(Op { off, len: end - off, ..*op });
        }
    }
    if ranged {
        found.extend(steps(geometry, op.len).into_iter().map(|len| Op { len, ..*op }));
        let ends = steps(geometry, end).into_iter().filter(|end| *end > op.off);
        found.extend(ends.map(|end| Op { len: end - op.off, ..*op }));
    }
    if shape == Shape::RangeReadable {
        found.extend(steps(geometry, op.readable).into_iter().map(|readable| Op { readable, ..*op }));
    }
    let now = rank(geometry, op);
    found.retain(|variant| rank(geometry, variant) < now);
    found.sort_by_key(|variant| rank(geometry, variant));
    found.dedup();
    found
}

/// Variants with simpler sizes.
pub(super) fn geometry(program: &Program) -> Vec<Program> {
    let now = program.geometry;
    let mut found = Vec::new();
    let mut with = |geometry: Geometry| {
        if geometry != now {
            found.push(fit_ops(Program { geometry, ..program.clone() }));
        }
    };
    with(Geometry { max_order: now.min_order(), ..now });
    with(Geometry { max_order: now.max_order.saturating_sub(1), ..now });
    with(Geometry { memory_pages: 0, ..now });
    with(Geometry { readahead_pages: 0, ..now });
    with(Geometry { stable_pages: false, ..now });
    for simpler in Flavour::ALL.into_iter().take_while(|flavour| *flavour != now.flavour) {
        with(Geometry { flavour: simpler, ..now });
    }
    let end = program.ops().map(|(_, op)| op.off + op.len).max().unwrap_or(0).max(now.floor).max(1);
    with(Geometry { file_limit: end.next_multiple_of(u64::from(now.page.max(now.block))), ..now });
    if now.block != now.page {
        let block = if now.block < now.page { now.block * 2 } else { now.block / 2 };
        with(Geometry { block: now.page, max_order: now.max_order, ..now });
        with(Geometry { block, ..now });
    }
    if program.lanes.len() > 1 || now.sharing == Sharing::Overlapping {
        let page = u64::from(now.page);
        with(Geometry { floor: now.floor.next_multiple_of(page), ..now });
        with(Geometry { floor: now.floor.saturating_sub(1) / page * page, ..now });
    }
    found.extend(halved(program));
    found.retain(|variant| variant.geometry.file_limit <= now.file_limit);
    found
}

/// Everything at half the scale, as long as pages are larger than the usual 256 bytes.
fn halved(program: &Program) -> Option<Program> {
    let now = program.geometry;
    if now.page <= 256 {
        return None;
    }
    let mut half = program.clone();
    half.geometry = Geometry {
        page: now.page / 2,
        block: now.block / 2,
        file_limit: now.file_limit / 2,
        floor: now.floor / 2,
        stripe: now.stripe / 2,
        ..now
    };
    for op in half.lanes.iter_mut().flatten() {
        *op = Op { kind: op.kind, off: op.off / 2, len: op.len.div_ceil(2), readable: op.readable / 2 };
    }
    half.geometry.validate().is_ok().then(|| fit_ops(half))
}

/// Variants in which all operations have moved towards the start of the file together, by whole pages.
pub(super) fn shifted(program: &Program) -> Vec<Program> {
    let geometry = &program.geometry;
    let page = u64::from(geometry.page);
    let nearest = program.ops().map(|(_, op)| op.off).filter(|off| *off >= page).min().unwrap_or(0);
    let shifted = [nearest / page * page, page].into_iter().filter(|by| (1..=nearest).contains(by)).map(|by| {
        let mut shifted = program.clone();
        for op in shifted.lanes.iter_mut().flatten() {
            op.off -= if op.off >= by { by } else { 0 };
        }
        fit_ops(shifted)
    });
    // With several lanes, making it fit can move or cut an operation for the worse.
    let no_worse =
        |other: &Program| program.ops().zip(other.ops()).all(|((_, a), (_, b))| rank(geometry, b) <= rank(geometry, a));
    shifted.filter(no_worse).collect()
}

/// Variants in which a lane's choice is nearer to the obvious one.
pub(super) fn picks(program: &Program) -> Vec<Program> {
    let Schedule::Anchored(anchors) = &program.schedule else { return Vec::new() };
    let mut found = Vec::new();
    for (n, anchor) in anchors.iter().enumerate() {
        if let Action::Pick(choice @ 2..) = anchor.action {
            for nearer in [1, choice / 2, choice - 1] {
                let mut anchors = anchors.clone();
                anchors[n].action = Action::Pick(nearer);
                found.push(Program { schedule: Schedule::Anchored(anchors), ..program.clone() });
            }
        }
    }
    found
}
