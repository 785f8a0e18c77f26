//! Reproducers on changed code: the same program and the same proof, with the trace of the code as it is.

use crate::finding::{Finding, shows, story};
use crate::reproducer::{Expect, Reproducer};
use crate::runner::Runner;
use faults::FaultSet;
use lanes::Schedule;
use std::ops::Range;

/// The reproducer as the code shows it now; none if its program does not prove its fault any more.
///
/// The program stays as it is, unless the code has lost a place that its schedule names: then it is minimized
/// again. What was written into the comment by hand stays, if an empty line divides it from what the hunt wrote.
pub fn refresh(runner: &mut Runner, old: &Reproducer) -> Option<Reproducer> {
    let fault = old.fault?;
    let armed = FaultSet::only(fault);
    let class = shows(runner, &old.program, armed)?;
    if !fault.info().detectors.contains(&class.name()) {
        return None;
    }
    let recorded = runner.record(&old.program, armed);
    if let Schedule::Anchored(anchors) = &old.program.schedule {
        let happened = |place| recorded.anchors.iter().any(|anchor| anchor.place == place);
        if !anchors.iter().all(|anchor| happened(anchor.place)) {
            return Some(Finding::on_model(runner, &old.program, old.fault, class)?.reproducer);
        }
    }
    let mut new = Reproducer { expect: Expect::Diverge(class), trace: Some(recorded.verdict.trace), ..old.clone() };
    let told = story(&new, &recorded.verdict.divergence?, "foliofuzz replay");
    let head = format!("{}: ", fault.info().id);
    if let (Some(here), Some(there)) = (section(&new.comment, &head), section(&told, &head)) {
        new.comment.splice(here, told[there].iter().cloned());
    }
    Some(new)
}

/// The lines from the one that begins with `head` to the next empty one.
fn section(lines: &[String], head: &str) -> Option<Range<usize>> {
    let start = lines.iter().position(|line| line.starts_with(head))?;
    let len = lines[start..].iter().position(String::is_empty).unwrap_or(lines.len() - start);
    Some(start..start + len)
}
