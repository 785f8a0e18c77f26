//! Random programs for the tests on real file systems: made from a seed, run against the flat file, and cut
//! down to the operations that matter when the two disagree.
#![allow(dead_code, reason = "each test file uses its own part")]

use oracle::{
    Divergence, FlatFile, Flavour, Geometry, Loss, Op, OpId, OpKind, Outcome, Ownership, Shape, Sharing, Target,
};
use targets::directory::DirectoryTarget;

pub(crate) const LIMIT: u64 = 256 * 1024;
const PAGE: u64 = 4096;

pub(crate) fn geometry(lanes: usize) -> Geometry {
    let floor = if lanes > 1 { LIMIT / 2 + 1536 } else { 0 };
    Geometry {
        page: PAGE as u32,
        block: 1024,
        max_order: 0,
        memory_pages: 0,
        readahead_pages: 0,
        stable_pages: false,
        flavour: Flavour::Xfs,
        file_limit: LIMIT,
        sharing: Sharing::Owned,
        floor,
        stripe: 1536,
    }
}

/// xorshift64*, good enough to choose operations.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `end`, which is not zero.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16) % end
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

/// A program: who does what, in which order.
pub(crate) type Program = Vec<(OpId, Op)>;

/// Where the next operation goes: near an edge of an earlier one, or anywhere; aligned now and then.
fn place(random: &mut Random, edges: &[u64]) -> u64 {
    let off = match random.below(4) {
        0 => random.below(LIMIT),
        1 => random.below(8 * PAGE),
        _ => (random.pick(edges) + random.below(64)).saturating_sub(32),
    };
    let align = random.pick(&[1, 1, 512, 1024, PAGE]);
    (off / align * align).min(LIMIT - 512)
}

fn length(random: &mut Random) -> u64 {
    let longest = random.pick(&[16, 512, 1024, PAGE, 4 * PAGE, 16 * PAGE]);
    let len = random.below(longest) + 1;
    if random.below(3) == 0 { len.next_multiple_of(512) } else { len }
}

fn operation(random: &mut Random, kinds: &[OpKind], edges: &[u64]) -> Op {
    let kind = random.pick(kinds);
    let (mut off, mut len) = (place(random, edges), length(random));
    if kind.info().direct {
        let sector = random.pick(&[512, 512, 1024, PAGE]);
        (off, len) = (off / sector * sector, len.next_multiple_of(sector));
    }
    len = len.min(LIMIT - off);
    match kind.info().shape {
        Shape::Plain => Op::plain(kind),
        Shape::Size | Shape::Offset => Op::at(kind, off),
        Shape::Range => Op::range(kind, off, len),
        Shape::RangeReadable => Op { readable: random.below(len), ..Op::range(kind, off, len) },
    }
}

/// The program of this seed. With several lanes, each keeps to its own bytes.
pub(crate) fn program(seed: u64, lanes: usize) -> Program {
    let random = &mut Random::new(seed);
    let rules = Ownership::new(&geometry(lanes), lanes);
    // Some kinds are left out of each program, so that the others meet more often.
    let kinds: Vec<OpKind> =
        (0..OpKind::COUNT).filter_map(OpKind::from_index).filter(|_| random.below(3) > 0).collect();
    let kinds = if kinds.is_empty() { vec![OpKind::Write] } else { kinds };
    let mut edges = vec![0, PAGE];
    let mut next = vec![0; lanes];
    let mut program = Vec::new();
    for _ in 0..random.below(100) + 2 {
        let lane = random.below(lanes as u64) as usize;
        let mut op = operation(random, &kinds, &edges);
        let run = rules.run(op.off);
        if lanes > 1 && rules.check(lane as u8, &op).is_err() && !op.kind.info().direct {
            op.len = op.len.min(run.end - op.off);
            op.readable = op.readable.min(op.len - op.len.min(1));
        }
        if rules.check(lane as u8, &op).is_ok() {
            edges.push(op.off);
            edges.push(op.off + op.len);
            program.push((OpId { lane: lane as u8, index: next[lane] }, op));
            next[lane] += 1;
        }
    }
    program
}

/// Whether what is known of a file system is let pass.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    Permitted,
    Reported,
}

/// Runs a program and compares every answer, then what the file contains at rest, from the cache and from disk.
pub(crate) fn run(
    target: &mut DirectoryTarget,
    known: Known,
    lanes: usize,
    program: &[(OpId, Op)],
) -> Result<u64, Divergence> {
    let geometry = geometry(lanes);
    let unit = target.crash_unit().filter(|_| program.iter().any(|(_, op)| op.kind == OpKind::Crash));
    let geometry = Geometry { block: unit.map_or(geometry.block, |bytes| bytes as u32), ..geometry };
    let mut file = FlatFile::new(&geometry, lanes, target.page_size());
    if known == Known::Permitted {
        file.permit_known(target.file_system());
    }
    let mut buf = Vec::new();
    target.start(&geometry).expect("the target starts");
    if unit.is_some() {
        file.expect_crashes();
        let fsync = target.execute(OpId { lane: 0, index: u32::MAX }, &Op::plain(OpKind::Fsync), &mut buf);
        assert_eq!(fsync, Ok(Outcome::Done), "the file is on the device when the program begins");
    }
    let mut executed = 0;
    for (id, op) in program {
        let outcome = target.execute(*id, op, &mut buf).expect("the target runs");
        file.apply(*id, op, outcome, &buf)?;
        executed += u64::from(!matches!(outcome, Outcome::Unsupported(_)));
        if (op.kind, outcome) == (OpKind::Crash, Outcome::Done) {
            come_up(target, &mut file, *id)?;
        }
    }
    let id = OpId { lane: 0, index: u32::MAX };
    let mut ask =
        |op| target.execute(id, &op, &mut buf).map(|outcome| (outcome, buf.clone())).expect("the target runs");
    // The kernel keeps what is mapped, so the mapping has to go before the cache can.
    let from_disk = [Op::plain(OpKind::Fdatasync), Op::plain(OpKind::Reopen), Op::range(OpKind::DontNeed, 0, LIMIT)];
    for prepare in [None, Some(from_disk)] {
        prepare.into_iter().flatten().for_each(|op| drop(ask(op)));
        let (Outcome::Position(size), _) = ask(Op::plain(OpKind::Stat)) else { panic!("fstat fails") };
        let (Outcome::Bytes(count), bytes) = ask(Op::range(OpKind::Read, 0, LIMIT)) else { panic!("pread fails") };
        file.check_whole(size, &bytes[..count as usize])?;
    }
    target.check().expect("the target checks")?;
    Ok(executed)
}

/// Judges what the crash `id` has left.
fn come_up(target: &mut DirectoryTarget, file: &mut FlatFile, id: OpId) -> Result<(), Divergence> {
    if Loss::of(id) == Loss::Nothing {
        file.all_durable();
    }
    let mut buf = Vec::new();
    match target.execute(id, &Op::range(OpKind::Read, 0, LIMIT), &mut buf) {
        Ok(Outcome::Bytes(count)) => file.recovered(id, &buf[..count as usize]),
        other => panic!("reading after a crash answered {other:?}"),
    }
}

/// Leaves out operations one by one while the program still diverges with the same class.
fn minimize(
    target: &mut DirectoryTarget,
    known: Known,
    lanes: usize,
    mut program: Program,
    first: Divergence,
) -> (Program, Divergence) {
    let mut divergence = first;
    loop {
        let before = program.len();
        for at in (0..before).rev() {
            let mut shorter = program.clone();
            shorter.remove(at);
            if let Err(found) = run(target, known, lanes, &shorter)
                && found.class == divergence.class
            {
                (program, divergence) = (shorter, found);
            }
        }
        if program.len() == before {
            return (program, divergence);
        }
    }
}

/// Runs the programs of many seeds. A divergence fails with the shortest program that shows it.
#[track_caller]
pub(crate) fn agree(target: &mut DirectoryTarget, lanes: usize, seeds: std::ops::Range<u64>) -> u64 {
    let mut executed = 0;
    for seed in seeds {
        let program = program(seed, lanes);
        match run(target, Known::Permitted, lanes, &program) {
            Ok(count) => executed += count,
            Err(divergence) => {
                let (program, divergence) = minimize(target, Known::Permitted, lanes, program, divergence);
                let lines: Vec<String> = program.iter().map(|(id, op)| format!("  {id} {op}")).collect();
                panic!("{}, seed {seed}: {divergence}\n{}", target.name(), lines.join("\n"));
            }
        }
    }
    executed
}
