//! `show`: who did what when.

use super::files::{armed, read};
use super::style::{BAD, DIM, GOOD, HEAD, paint, say};
use super::{Ending, Result};
use clap::Args;
use foliofuzz::timeline::timeline;
use foliofuzz::{Reproducer, Runner};
use lanes::{Action, Schedule};
use oracle::Geometry;
use std::path::PathBuf;

#[derive(Args)]
pub(super) struct Show {
    /// A reproducer
    file: PathBuf,
    /// Arm no fault, whatever the file says: see how it should go
    #[arg(long)]
    no_fault: bool,
}

const WIDTH: usize = 36;

impl Show {
    pub(super) fn run(self) -> Result<Ending> {
        let reproducer = read(&self.file)?;
        let fault = if self.no_fault { None } else { reproducer.fault };
        reproducer.comment.iter().for_each(|line| say(paint(DIM, line)));
        say(sizes(&reproducer));
        if let Some(fault) = fault {
            say(format!("armed: {fault}"));
        }
        let recorded = Runner::new().record(&reproducer.program, armed(fault));
        say("");
        let text = timeline(&reproducer.program, &recorded, WIDTH);
        let mut lines = text.lines();
        say(paint(HEAD, lines.next().unwrap_or_default()));
        lines.for_each(say);
        say("");
        legend(&recorded.anchors);
        match recorded.verdict.divergence {
            None => {
                say(paint(GOOD, "it agrees"));
                Ok(Ending::Agree)
            }
            Some(divergence) => {
                say(paint(BAD, divergence));
                Ok(Ending::Diverged)
            }
        }
    }
}

fn sizes(reproducer: &Reproducer) -> String {
    let Geometry { page, block, max_order, memory_pages, flavour, .. } = reproducer.program.geometry;
    let memory =
        if memory_pages == 0 { "no memory limit".to_owned() } else { format!("{memory_pages} pages of memory") };
    format!("{flavour}, pages of {page} bytes, blocks of {block}, folios up to {}, {memory}", page << max_order)
}

/// The switches of the run, with what each place means.
fn legend(anchors: &[lanes::Anchor]) {
    for anchor in anchors {
        let what = match &anchor.action {
            Action::Pick(choice) => format!("picks candidate {choice}"),
            Action::Run(lanes) => {
                let names: Vec<String> = lanes.iter().map(ToString::to_string).collect();
                format!("{} run", names.join(", "))
            }
        };
        say(format!("at {}: {what} {}", anchor.place, paint(DIM, format!("({})", anchor.place.y.doc()))));
    }
    if Schedule::Anchored(anchors.to_vec()).switches() == 0 {
        say(paint(DIM, "every lane ran to its end before the next"));
    }
}
