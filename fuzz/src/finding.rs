//! From a divergence to a file worth sending: anchored, minimized, explained, named.

use crate::minimize::{Minimized, minimize};
use crate::program::Program;
use crate::reproducer::{Expect, Reproducer};
use crate::runner::Runner;
use crate::verdict::Verdict;
use faults::{Fault, FaultSet};
use oracle::{Class, Divergence, TargetError};

/// Candidates a minimization may run. On the model that is well under a second.
pub const BUDGET: u64 = 20_000;

/// Candidates where each that shows the divergence costs a process, and perhaps the whole patience.
const HANG_BUDGET: u64 = 40;

/// A minimized divergence.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The divergence, as the minimized program shows it.
    pub divergence: Divergence,
    /// The file to write.
    pub reproducer: Reproducer,
    /// Candidates the minimizer ran.
    pub executions: u64,
    /// Whether nothing single can go any more.
    pub is_minimal: bool,
}

impl Finding {
    /// Minimizes a program that diverges on the model with `class`.
    ///
    /// None if the divergence does not come back, which means that the run is not deterministic.
    pub fn on_model(runner: &mut Runner, program: &Program, fault: Option<Fault>, class: Class) -> Option<Finding> {
        let faults = fault.map_or(FaultSet::NONE, FaultSet::only);
        let anchored = runner.anchored(program, faults);
        let start = if shows(runner, &anchored, faults) == Some(class) { &anchored } else { program };
        let mut test = |candidate: &Program| shows(runner, candidate, faults);
        let minimized = minimize(start, class, BUDGET, &mut test);
        let verdict = runner.run(&minimized.program, faults);
        Some(Finding::new(minimized, verdict.divergence?, fault, Some(verdict.trace), "foliofuzz replay"))
    }

    /// Adds a line to the story, before the command that replays it.
    pub fn tell(&mut self, line: String) {
        let story = &mut self.reproducer.comment;
        story.insert(story.len().saturating_sub(2), line);
    }

    /// Minimizes a program that diverges on some other target; `run` runs a candidate there, `replay` is the
    /// command that does so with a file. If the minimized program does not show it again, the divergence stands
    /// as it was seen: not everything comes back on a real kernel.
    ///
    /// # Errors
    /// The first error of `run`: a candidate that could not be run says nothing about the divergence.
    pub fn on_target(
        program: &Program,
        seen: &Divergence,
        run: &mut dyn FnMut(&Program) -> Result<Verdict, TargetError>,
        replay: &str,
    ) -> Result<Finding, TargetError> {
        let class = seen.class;
        let budget = if matches!(class, Class::Hang | Class::Panic) { HANG_BUDGET } else { BUDGET };
        let mut last = seen.clone();
        let mut failure = None;
        let sizes = |program: &Program| (program.geometry.page, program.geometry.block);
        let minimized = minimize(program, class, budget, &mut |candidate| {
            // Nobody but the file system chooses these sizes.
            if failure.is_some() || sizes(candidate) != sizes(program) {
                return None;
            }
            let divergence = run(candidate).map_err(|error| failure = Some(error)).ok()?.divergence?;
            if divergence.class == class {
                last = divergence.clone();
            }
            Some(divergence.class)
        });
        failure.map_or(Ok(Finding::new(minimized, last, None, None, replay)), Err)
    }

    /// A divergence as it was seen, where no candidate can be run any more.
    pub fn as_seen(program: &Program, seen: &Divergence, replay: &str) -> Finding {
        let minimized = Minimized { program: program.clone(), executions: 0, is_minimal: false };
        Finding::new(minimized, seen.clone(), None, None, replay)
    }

    fn new(
        minimized: Minimized,
        divergence: Divergence,
        fault: Option<Fault>,
        trace: Option<u64>,
        replay: &str,
    ) -> Finding {
        let Minimized { program, executions, is_minimal } = minimized;
        let expect = Expect::Diverge(divergence.class);
        let mut reproducer = Reproducer { comment: Vec::new(), fault, expect, trace, program };
        reproducer.comment = story(&reproducer, &divergence, replay);
        Finding { divergence, reproducer, executions, is_minimal }
    }
}

/// The class of the divergence that these faults cause; none if there is none, or one without them, too.
pub(crate) fn shows(runner: &mut Runner, program: &Program, faults: FaultSet) -> Option<Class> {
    let class = runner.run(program, faults).class()?;
    let innocent = faults == FaultSet::NONE || runner.run(program, FaultSet::NONE).divergence.is_none();
    innocent.then_some(class)
}

/// What is to be said about a reproducer before its program: the fault, the divergence, the command to paste.
pub(crate) fn story(reproducer: &Reproducer, divergence: &Divergence, replay: &str) -> Vec<String> {
    let Divergence { class, op, detail, .. } = divergence;
    let place = op.map_or("at rest, after the last operation".to_owned(), |op| format!("at operation {op}"));
    let fault = reproducer.fault.map(|fault| format!("{}: {}", fault.info().id, fault.info().doc));
    let detail = detail.lines().map(str::to_owned);
    let replay = ["".to_owned(), format!("Replay: {replay} {}", file_name(reproducer))];
    fault.into_iter().chain([format!("Shows: {class} {place}")]).chain(detail).chain(replay).collect()
}

/// What makes two findings the same one: the fault, the class, and which operations the lanes do.
pub fn signature(reproducer: &Reproducer) -> String {
    let fault = reproducer.fault.map_or(String::new(), |fault| format!("{} ", fault.info().id));
    let lane = |ops: &Vec<oracle::Op>| ops.iter().map(|op| op.kind.info().name).collect::<Vec<_>>().join(",");
    let lanes: Vec<String> = reproducer.program.lanes.iter().map(lane).collect();
    format!("{fault}{} {}", reproducer.expect, lanes.join("|"))
}

/// The file's name: the fault; or the class, the first operations, and a hash of the whole signature.
pub fn file_name(reproducer: &Reproducer) -> String {
    if let Some(fault) = reproducer.fault {
        return fault_file_name(fault);
    }
    let signature = signature(reproducer);
    let hash = signature
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let ops: Vec<&str> = reproducer.program.ops().take(3).map(|(_, op)| op.kind.info().name).collect();
    let hash = hash as u32 ^ (hash >> 32) as u32;
    format!("{}-{}-{hash:08x}.folio", reproducer.expect, ops.join("-"))
}

/// The name of the file with a fault's reproducer.
pub fn fault_file_name(fault: Fault) -> String {
    format!("{}-{}.folio", fault.info().id, fault.info().name)
}
