//! Running a program on a target that cannot be scheduled: lane after lane, beside the flat file.

use crate::answers::{content_at_rest, digest, refused, size_at_rest};
use crate::bytes::decode_into;
use crate::finding::Finding;
use crate::generate::Generator;
use crate::program::Program;
use crate::verdict::Verdict;
use lanes::LaneId;
use oracle::{Class, Divergence, Effect, FlatFile, Geometry, Loss, Op, OpId, OpKind, Outcome, Target, TargetError};

/// Runs programs on one target, keeping memory from one to the next.
#[derive(Default)]
pub struct Sequential {
    flat: Option<FlatFile>,
    /// The file system whose known differences are let pass.
    known_on: Option<String>,
    buf: Vec<u8>,
}

/// Tests a target of your own: runs `programs` fresh programs of the generator on it, and minimizes the first that
/// diverges.
///
/// # Errors
/// If the target cannot be set up or driven.
pub fn fuzz(target: &mut dyn Target, generator: &Generator, programs: u64) -> Result<Option<Finding>, TargetError> {
    let mut runner = Sequential::new();
    let mut bytes = Vec::new();
    let mut program = Program::empty();
    for number in 0..programs {
        generator.fill(number, &mut bytes);
        decode_into(&bytes, &mut program);
        let Some(seen) = runner.run(target, &program, |_| {})?.divergence else { continue };
        let mut run = |candidate: &Program| runner.run(target, candidate, |_| {});
        return Finding::on_target(&program, &seen, &mut run, "foliofuzz replay").map(Some);
    }
    Ok(None)
}

/// Looks at the file when all lanes are done: the target has to have what `flat` has, in its cache and on its device.
pub(crate) fn at_rest(
    target: &mut dyn Target,
    flat: &mut FlatFile,
    program: &Program,
) -> Result<Result<(), Divergence>, TargetError> {
    Run { target, flat, buf: &mut Vec::new(), limit: program.geometry.file_limit, trace: 0, ops: 0, steps: 0 }
        .at_rest(program)
}

/// One run.
struct Run<'a> {
    target: &'a mut dyn Target,
    flat: &'a mut FlatFile,
    buf: &'a mut Vec<u8>,
    /// No operation reaches further, bytes.
    limit: u64,
    trace: u64,
    ops: u64,
    steps: u64,
}

impl Sequential {
    /// A runner.
    pub fn new() -> Sequential {
        Sequential::default()
    }

    /// Lets pass what is known of this file system ([`oracle::flat::PERMITTED`]) instead of reporting it again.
    pub fn permit_known(&mut self, file_system: &str) {
        self.known_on = Some(file_system.to_owned());
    }

    /// Runs `program` on `target`. `progress` is told the number of every operation before it begins: whoever
    /// watches knows then where a target hangs.
    pub fn run(
        &mut self,
        target: &mut dyn Target,
        program: &Program,
        mut progress: impl FnMut(u64),
    ) -> Result<Verdict, TargetError> {
        target.start(&program.geometry)?;
        // One after the other they are one lane, and the flat file is exact.
        let (geometry, page) = (&program.geometry, target.page_size());
        let flat = self.flat.get_or_insert_with(|| FlatFile::new(geometry, 1, page));
        if let Some(file_system) = &self.known_on {
            flat.permit_known(file_system);
        }
        let crashes = program.ops().any(|(_, op)| op.kind == OpKind::Crash);
        let unit = target.crash_unit().filter(|_| crashes);
        flat.reset(&Geometry { block: unit.unwrap_or(geometry.block.into()) as u32, ..*geometry }, 1, page);
        let mut run = Run { target, flat, buf: &mut self.buf, limit: geometry.file_limit, trace: 0, ops: 0, steps: 0 };
        let mut divergence = if unit.is_some() { run.begin_durable()?.err() } else { None };
        if divergence.is_some() {
            return Ok(Verdict { divergence, trace: 0, steps: 0, switches: 0, ops: 0 });
        }
        for (number, (id, op)) in (0..).zip(program.ops()) {
            progress(number);
            divergence = run.step(id, op)?.err();
            if divergence.is_some() {
                break;
            }
        }
        if divergence.is_none() {
            progress(program.op_count() as u64);
            divergence = run.at_rest(program)?.err();
        }
        Ok(Verdict { divergence, trace: run.trace, steps: run.steps, switches: 0, ops: run.ops })
    }
}

impl Run<'_> {
    fn execute(&mut self, id: OpId, op: &Op) -> Result<Outcome, TargetError> {
        let outcome = self.target.execute(id, op, self.buf)?;
        let reads = op.kind.info().effect == Effect::Read;
        self.trace = self.trace.rotate_left(17) ^ digest(outcome, if reads { self.buf } else { &[] });
        self.steps += 1;
        Ok(outcome)
    }

    fn step(&mut self, id: OpId, op: &Op) -> Result<Result<(), Divergence>, TargetError> {
        let outcome = self.execute(id, op)?;
        self.ops += u64::from(!matches!(outcome, Outcome::Unsupported(_)));
        let judged = self.flat.apply(id, op, outcome, self.buf);
        if op.kind == OpKind::Crash && outcome == Outcome::Done {
            return self.come_up(id);
        }
        Ok(judged.map_err(|divergence| match self.target.evidence() {
            Some(evidence) => Divergence { detail: format!("{}; {evidence}", divergence.detail), ..divergence },
            None => divergence,
        }))
    }

    /// The program will crash: the file it starts with is on the device.
    fn begin_durable(&mut self) -> Result<Result<(), Divergence>, TargetError> {
        self.flat.expect_crashes();
        let id = OpId { lane: LaneId::CHECKER.0, index: 0 };
        Ok(match self.target.execute(id, &Op::plain(OpKind::Fsync), self.buf)? {
            Outcome::Done => Ok(()),
            other => Err(refused("fsync", other)),
        })
    }

    /// Looks at what the crash `id` has left, which is the file from here on.
    fn come_up(&mut self, id: OpId) -> Result<Result<(), Divergence>, TargetError> {
        if Loss::of(id) == Loss::Nothing {
            self.flat.all_durable();
        }
        let content = match self.read_whole(8)? {
            Ok((_, read)) => &self.buf[..read],
            Err(divergence) => return Ok(Err(Divergence { op: Some(id), ..divergence })),
        };
        Ok(self.flat.recovered(id, content).map_err(|divergence| {
            let how = Loss::of(id);
            Divergence { detail: format!("{} (the crash {how})", divergence.detail), ..divergence }
        }))
    }

    /// The whole file as it stands, and again after everything was written back and thrown out of the cache.
    fn at_rest(&mut self, program: &Program) -> Result<Result<(), Divergence>, TargetError> {
        let limit = program.geometry.file_limit;
        let cached = self.compare_whole(0)?;
        if cached.is_err() {
            return Ok(cached);
        }
        let whole = |kind| Op::range(kind, 0, limit);
        // Data on the device is what is asked for, not a commit of the journal, which takes milliseconds.
        let mut steps = vec![whole(OpKind::SyncRange)];
        if program.ops().any(|(_, op)| op.kind.info().mapped) {
            // Pages that are mapped stay in the cache.
            steps.push(Op::plain(OpKind::Reopen));
        }
        steps.push(whole(OpKind::DontNeed));
        for (index, op) in (2..).zip(steps) {
            let id = OpId { lane: LaneId::CHECKER.0, index };
            match self.execute(id, &op)? {
                Outcome::Done => {}
                // What cannot be dropped from the cache is read from there again, which does no harm.
                Outcome::Unsupported(_) => continue,
                other => return Ok(Err(refused(op.kind.info().name, other))),
            }
        }
        let stored = self.compare_whole(5)?.map_err(|divergence| match divergence.class {
            // The cache had it right a moment ago.
            Class::Content => Divergence { class: Class::Disk, ..divergence },
            _ => divergence,
        });
        if stored.is_err() { Ok(stored) } else { self.target.check() }
    }

    fn compare_whole(&mut self, index: u32) -> Result<Result<(), Divergence>, TargetError> {
        Ok(match self.read_whole(index)? {
            Ok((size, read)) => self.flat.check_whole(size, &self.buf[..read]),
            Err(divergence) => Err(divergence),
        })
    }

    /// Reads the whole file into the buffer. How large it is, and how many bytes could be read.
    fn read_whole(&mut self, index: u32) -> Result<Result<(u64, usize), Divergence>, TargetError> {
        let id = |index| OpId { lane: LaneId::CHECKER.0, index };
        let size = match size_at_rest(self.execute(id(index), &Op::plain(OpKind::Stat))?) {
            Ok(size) => size,
            Err(divergence) => return Ok(Err(divergence)),
        };
        let read = match size {
            0 => Outcome::Bytes(0),
            // Nobody has memory for a size that recovery made up.
            _ if size > self.limit => {
                let detail = format!("the file has {size} bytes, more than any operation reaches");
                return Ok(Err(Divergence { class: Class::Size, op: None, offset: None, detail }));
            }
            _ => self.execute(id(index + 1), &Op::range(OpKind::Read, 0, size))?,
        };
        Ok(content_at_rest(read, self.buf).map(|content| (size, content.len())))
    }
}
