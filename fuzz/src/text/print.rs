//! Printing the text form.

use super::VERSION;
use crate::program::Program;
use crate::reproducer::{Expect, Reproducer};
use lanes::{Action, Anchor, Schedule};
use oracle::{Geometry, Sharing};
use std::fmt::{self, Write};

/// Prints a reproducer. Reading it gives the reproducer back, and printing that gives the same text.
pub(crate) fn print(out: &mut impl Write, reproducer: &Reproducer) -> fmt::Result {
    let Reproducer { comment, fault, expect, trace, program } = reproducer;
    for line in comment.iter().flat_map(|text| text.split('\n')) {
        writeln!(out, "{}", format!("# {line}").trim_end())?;
    }
    writeln!(out, "foliofuzz {VERSION}")?;
    if let Some(fault) = fault {
        writeln!(out, "fault {fault}")?;
    }
    match expect {
        Expect::Agree => writeln!(out, "expect agree")?,
        Expect::Diverge(class) => writeln!(out, "expect {class}")?,
    }
    if let Some(trace) = trace {
        writeln!(out, "trace {trace:#018x}")?;
    }
    print_program(out, program)
}

fn print_program(out: &mut impl Write, program: &Program) -> fmt::Result {
    let Geometry {
        page,
        block,
        max_order,
        memory_pages,
        readahead_pages,
        stable_pages,
        flavour,
        sharing,
        file_limit,
        floor,
        stripe,
    } = program.geometry;
    writeln!(out, "\npage {page}\nblock {block}\nmax_order {max_order}\nmemory_pages {memory_pages}")?;
    if readahead_pages > 0 {
        writeln!(out, "readahead_pages {readahead_pages}")?;
    }
    if stable_pages {
        writeln!(out, "stable_pages 1")?;
    }
    writeln!(out, "flavour {flavour}\nfile_limit {file_limit}")?;
    if sharing == Sharing::Overlapping {
        writeln!(out, "sharing {}\nfloor {floor}", sharing.name())?;
    } else if program.lanes.len() > 1 {
        writeln!(out, "floor {floor}\nstripe {stripe}")?;
    }
    for (lane, ops) in program.lanes.iter().enumerate() {
        writeln!(out, "\nlane {lane}")?;
        ops.iter().try_for_each(|op| writeln!(out, "  {op}"))?;
    }
    writeln!(out)?;
    print_schedule(out, &program.schedule)
}

fn print_schedule(out: &mut impl Write, schedule: &Schedule) -> fmt::Result {
    match schedule {
        Schedule::Anchored(anchors) if anchors.is_empty() => writeln!(out, "schedule sequential"),
        Schedule::Anchored(anchors) => {
            writeln!(out, "schedule anchored")?;
            anchors.iter().try_for_each(|anchor| writeln!(out, "  {}", AnchorText(anchor)))
        }
        Schedule::Pct(bytes) => {
            out.write_str("schedule pct 0x")?;
            bytes.iter().try_for_each(|byte| write!(out, "{byte:02x}"))?;
            writeln!(out)
        }
        Schedule::Rare { seed, one_in } => writeln!(out, "schedule rare seed={seed:#x} one_in={one_in}"),
        Schedule::Uniform { seed } => writeln!(out, "schedule uniform seed={seed:#x}"),
        Schedule::RoundRobin { quantum } => writeln!(out, "schedule round-robin quantum={quantum}"),
    }
}

/// An anchor as it stands in a file.
pub(crate) struct AnchorText<'a>(pub(crate) &'a Anchor);

impl fmt::Display for AnchorText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {} ", self.0.place)?;
        match &self.0.action {
            Action::Pick(choice) => write!(f, "pick {choice}"),
            Action::Run(lanes) => {
                let names: Vec<String> = lanes.iter().map(ToString::to_string).collect();
                write!(f, "run {}", names.join(", "))
            }
        }
    }
}
