//! Running a program on a directory with a thread for each lane: who runs when is up to the kernel.
//!
//! Lanes that own bytes are held to these, whatever the others do meanwhile, and to a size that lane 0 may have changed:
//! the rules of the flat file for several lanes. An operation is judged when it has returned. The same program does
//! not take the same turn twice, so what is found is run again, and how often it is found is told.

use crate::program::Program;
use crate::sequential::at_rest;
use crate::verdict::Verdict;
use oracle::{Divergence, Effect, Errno, FlatFile, OpId, OpKind, Outcome, Sharing, Target, TargetError};
use parking_lot::Mutex;
use std::sync::Barrier;
use std::thread;
use targets::directory::DirectoryTarget;

/// What the lanes share.
struct Shared<'a> {
    flat: &'a mut FlatFile,
    /// The first thing that went wrong; all lanes end then.
    end: Option<Result<Divergence, TargetError>>,
    ops: u64,
    steps: u64,
}

/// Whether the program is one for [`run`]: it has several lanes, and they own bytes.
pub fn is_threaded(program: &Program) -> bool {
    program.lanes.len() > 1 && has_answer(program)
}

/// Whether the flat file has an answer to the program's operations when they overlap on a kernel.
///
/// - Where lanes own bytes, and no crash ends them all.
/// - Writes from a buffer that is readable in part leave blocks in which direct reads fail (`foliofuzz known`). Whether
///   one has begun to do so when the other comes is not known.
/// - An asynchronous direct write holds no lock while it is under way. Seen on ext4 of Linux 6.18: beside a truncate that
///   makes the file larger within the page that is written, the next sync fails with EIO, in two of ten runs. Such a
///   truncate dirties the page; a direct write that cannot remove what is cached behind it fails the next sync.
pub(crate) fn has_answer(program: &Program) -> bool {
    let uses = |kind| program.ops().any(|(_, op)| op.kind == kind);
    let alone = program.lanes.len() == 1;
    let sizes = program.ops().any(|(_, op)| op.kind.info().effect == Effect::Size || op.kind == OpKind::Punch);
    program.geometry.sharing == Sharing::Owned
        && !uses(OpKind::Crash)
        && (alone || !(uses(OpKind::WriteFault) && uses(OpKind::DirectRead)))
        && (alone || !(uses(OpKind::AioWrite) && sizes))
}

/// Runs `program` on `target`. `known_on` is the file system whose known differences are let pass. `progress` is told,
/// by the lanes themselves, of each operation that begins (`true`) and has returned.
///
/// # Errors
/// If the target cannot be set up or driven.
pub fn run(
    target: &mut DirectoryTarget,
    program: &Program,
    known_on: Option<&str>,
    progress: impl Fn(OpId, bool) + Sync,
) -> Result<Verdict, TargetError> {
    target.start(&program.geometry)?;
    let (lanes, page) = (program.lanes.len(), target.page_size());
    let mut flat = FlatFile::new(&program.geometry, lanes, page);
    if let Some(file_system) = known_on {
        flat.permit_known(file_system);
        flat.reset(&program.geometry, lanes, page);
    }
    let targets = program.lanes.iter().map(|_| target.lane()).collect::<Result<Vec<_>, _>>()?;
    let shared = Mutex::new(Shared { flat: &mut flat, end: None, ops: 0, steps: 0 });
    let together = Barrier::new(lanes);
    thread::scope(|scope| {
        for (lane, mut target) in (0..).zip(targets) {
            let (shared, together, progress) = (&shared, &together, &progress);
            scope.spawn(move || {
                together.wait();
                user(&mut target, program, lane, shared, progress);
            });
        }
    });
    let Shared { end, ops, steps, .. } = shared.into_inner();
    let divergence = match end.transpose()? {
        None => at_rest(target, &mut flat, program)?.err(),
        divergence => divergence,
    };
    Ok(Verdict { divergence, trace: 0, steps, switches: 0, ops })
}

/// One lane, to its end or until something has gone wrong anywhere.
fn user(
    target: &mut DirectoryTarget,
    program: &Program,
    lane: u8,
    shared: &Mutex<Shared<'_>>,
    progress: &impl Fn(OpId, bool),
) {
    let mut buf = Vec::new();
    for (index, op) in (0..).zip(&program.lanes[lane as usize]) {
        let id = OpId { lane, index };
        progress(id, true);
        let outcome = match op.kind {
            OpKind::Crash => Ok(Outcome::Unsupported(Errno::EOPNOTSUPP)),
            _ => target.execute(id, op, &mut buf),
        };
        progress(id, false);
        let mut shared = shared.lock();
        if shared.end.is_some() {
            return;
        }
        shared.steps += 1;
        shared.ops += u64::from(outcome.as_ref().is_ok_and(|outcome| !matches!(outcome, Outcome::Unsupported(_))));
        shared.end = match outcome {
            Ok(outcome) => shared.flat.apply(id, op, outcome, &buf).err().map(Ok),
            Err(error) => Some(Err(error)),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::program::PLAIN;
    use lanes::Schedule;
    use oracle::{Geometry, Op};

    #[test]
    fn what_has_no_answer_while_it_overlaps_is_not_for_threads() {
        let of = |lanes: Vec<Vec<Op>>| {
            let geometry = Geometry { file_limit: 8192, floor: 7680, stripe: 4096, ..PLAIN };
            is_threaded(&Program { geometry, lanes, schedule: Schedule::default() })
        };
        let at = |kind| vec![Op::range(kind, 4096, 512)];
        // As found on ext4 with a file whose last page holds the floor: EIO at the next sync, in some of many runs.
        assert!(!of(vec![vec![Op::at(OpKind::Truncate, 8192)], at(OpKind::AioWrite)]));
        assert!(of(vec![vec![Op::at(OpKind::Truncate, 8192)], at(OpKind::DirectWrite)]));
        assert!(of(vec![at(OpKind::DirectRead), at(OpKind::AioWrite)]));
        assert!(!of(vec![at(OpKind::DirectRead), at(OpKind::WriteFault)]));
        assert!(!of(vec![vec![Op::plain(OpKind::Crash)], at(OpKind::Write)]));
        assert!(!of(vec![at(OpKind::Write)]), "one lane needs no threads");
    }
}
