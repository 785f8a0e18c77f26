//! `show`: who did what when.

use super::files::{armed, read};
use super::style::{BAD, DIM, GOOD, HEAD, paint, say};
use super::{Ending, Result, trouble};
use clap::Args;
use faults::Fault;
use foliofuzz::timeline::{Entry, entries, timeline};
use foliofuzz::verdict::Recorded;
use foliofuzz::{Expect, Reproducer, Runner};
use lanes::{Action, Anchor, Schedule};
use oracle::Geometry;
use serde::Serialize;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(super) struct Show {
    /// A reproducer
    file: PathBuf,
    /// Arm no fault, whatever the file says: see how it should go
    #[arg(long)]
    no_fault: bool,
    /// One line of JSON
    #[arg(long)]
    json: bool,
}

/// The run as data.
#[derive(Serialize)]
struct Line<'a> {
    file: &'a Path,
    /// `agree`, or the class of the divergence.
    found: String,
    detail: Option<String>,
    /// Id of the fault that was armed.
    fault: Option<&'static str>,
    /// Hash of the run, as the file would have it.
    trace: String,
    timeline: Vec<Event>,
    switches: Vec<Switch>,
}

/// One line of one column.
#[derive(Serialize)]
struct Event {
    step: usize,
    lane: String,
    text: String,
}

/// A deviation from the sequential run.
#[derive(Serialize)]
struct Switch {
    at: String,
    does: String,
    /// What the place means.
    place: &'static str,
}

impl From<&Anchor> for Switch {
    fn from(anchor: &Anchor) -> Switch {
        let does = match &anchor.action {
            Action::Pick(choice) => format!("picks candidate {choice}"),
            Action::Run(lanes) => {
                let names: Vec<String> = lanes.iter().map(ToString::to_string).collect();
                format!("{} run", names.join(", "))
            }
        };
        Switch { at: anchor.place.to_string(), does, place: anchor.place.y.doc() }
    }
}

const WIDTH: usize = 36;

impl Show {
    pub(super) fn run(self) -> Result<Ending> {
        let reproducer = read(&self.file)?;
        let fault = if self.no_fault { None } else { reproducer.fault };
        let recorded = Runner::thorough().record(&reproducer.program, armed(fault));
        if self.json {
            let line = self.line(&reproducer, fault, &recorded);
            say(serde_json::to_string(&line).map_err(|error| trouble(self.file.display(), error))?);
        } else {
            print(&reproducer, fault, &recorded);
        }
        Ok(if recorded.verdict.divergence.is_some() { Ending::Diverged } else { Ending::Agree })
    }

    fn line(&self, reproducer: &Reproducer, fault: Option<Fault>, recorded: &Recorded) -> Line<'_> {
        let events = entries(&reproducer.program, recorded).into_iter();
        Line {
            file: &self.file,
            found: recorded.verdict.class().map_or(Expect::Agree, Expect::Diverge).to_string(),
            detail: recorded.verdict.divergence.as_ref().map(ToString::to_string),
            fault: fault.map(|fault| fault.info().id),
            trace: format!("{:#018x}", recorded.verdict.trace),
            timeline: events.map(|Entry { step, lane, text }| Event { step, lane: lane.to_string(), text }).collect(),
            switches: recorded.anchors.iter().map(Switch::from).collect(),
        }
    }
}

fn print(reproducer: &Reproducer, fault: Option<Fault>, recorded: &Recorded) {
    reproducer.comment.iter().for_each(|line| say(paint(DIM, line)));
    say(sizes(reproducer));
    if let Some(fault) = fault {
        say(format!("armed: {fault}"));
    }
    say("");
    let text = timeline(&reproducer.program, recorded, WIDTH);
    let mut lines = text.lines();
    say(paint(HEAD, lines.next().unwrap_or_default()));
    lines.for_each(say);
    say("");
    legend(&recorded.anchors);
    match &recorded.verdict.divergence {
        None => say(paint(GOOD, "it agrees")),
        Some(divergence) => say(paint(BAD, divergence)),
    }
}

fn sizes(reproducer: &Reproducer) -> String {
    let Geometry { page, block, max_order, memory_pages, readahead_pages, stable_pages, flavour, .. } =
        reproducer.program.geometry;
    let memory =
        if memory_pages == 0 { "no memory limit".to_owned() } else { format!("{memory_pages} pages of memory") };
    let ahead = if readahead_pages == 0 { String::new() } else { format!(", {readahead_pages} pages read ahead") };
    let stable = if stable_pages { ", stable pages" } else { "" };
    let folio = page << max_order;
    format!("{flavour}, pages of {page} bytes, blocks of {block}, folios up to {folio}, {memory}{ahead}{stable}")
}

/// The switches of the run, with what each place means.
fn legend(anchors: &[Anchor]) {
    for Switch { at, does, place } in anchors.iter().map(Switch::from) {
        say(format!("at {at}: {does} {}", paint(DIM, format!("({place})"))));
    }
    if Schedule::Anchored(anchors.to_vec()).switches() == 0 {
        say(paint(DIM, "every lane ran to its end before the next"));
    }
}
