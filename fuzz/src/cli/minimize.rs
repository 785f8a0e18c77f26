//! `minimize`: shrinking what diverges.

use super::files::{On, read};
use super::style::say;
use super::{Ending, Result, trouble};
use clap::Args;
use foliofuzz::finding::Finding;
use foliofuzz::{Expect, Runner};
use oracle::TargetError;
use serde::Serialize;
use std::fs;
use std::path::{Path, PathBuf};

#[derive(Args)]
pub(super) struct Minimize {
    /// A reproducer, or any program that diverges
    file: PathBuf,
    #[command(flatten)]
    on: On,
    /// Write here instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// One line of JSON
    #[arg(long)]
    json: bool,
}

/// What came of it.
#[derive(Serialize)]
struct Line<'a> {
    file: &'a Path,
    /// `agree`, or the class of the divergence.
    found: String,
    detail: Option<String>,
    ops: usize,
    switches: usize,
    /// Candidates run.
    executions: u64,
    /// Nothing single can go any more.
    minimal: bool,
    /// The minimized file, none if there was nothing to minimize.
    reproducer: Option<String>,
}

impl Minimize {
    pub(super) fn run(self) -> Result<Ending> {
        let reproducer = read(&self.file)?;
        let mut worker = self.on.worker()?;
        let verdict = self.on.run(&reproducer, worker.as_mut())?;
        let program = &reproducer.program;
        let Some(divergence) = verdict.divergence else {
            let (ops, switches) = (program.op_count(), program.schedule.switches());
            self.agree(ops, switches)?;
            return Ok(Ending::Agree);
        };
        let finding = match &mut worker {
            Some(worker) => {
                let replay = worker.settings().replay();
                Finding::on_target(program, &divergence, &mut |candidate| worker.run(candidate), &replay)?
            }
            None => Finding::on_model(&mut Runner::thorough(), program, self.on.fault(&reproducer)?, divergence.class)
                .ok_or_else(|| TargetError::new("the divergence did not come back"))?,
        };
        self.diverged(&finding)?;
        Ok(Ending::Diverged)
    }

    fn agree(&self, ops: usize, switches: usize) -> Result<()> {
        if !self.json {
            anstream::eprintln!("{}: it agrees, there is nothing to minimize", self.file.display());
            return Ok(());
        }
        let found = Expect::Agree.to_string();
        let (detail, reproducer) = (None, None);
        self.print(&Line { file: &self.file, found, detail, ops, switches, executions: 0, minimal: true, reproducer })
    }

    fn diverged(&self, finding: &Finding) -> Result<()> {
        let text = finding.reproducer.to_string();
        if let Some(path) = &self.out {
            fs::write(path, &text).map_err(|error| trouble(path.display(), error))?;
        }
        if self.json {
            let program = &finding.reproducer.program;
            return self.print(&Line {
                file: &self.file,
                found: finding.divergence.class.to_string(),
                detail: Some(finding.divergence.to_string()),
                ops: program.op_count(),
                switches: program.schedule.switches(),
                executions: finding.executions,
                minimal: finding.is_minimal,
                reproducer: Some(text),
            });
        }
        if self.out.is_none() {
            say(text.trim_end());
        }
        let rest = if finding.is_minimal { "nothing single can go any more" } else { "the budget ran out" };
        anstream::eprintln!("{} candidates run; {rest}", finding.executions);
        Ok(())
    }

    fn print(&self, line: &Line<'_>) -> Result<()> {
        say(serde_json::to_string(line).map_err(|error| trouble(self.file.display(), error))?);
        Ok(())
    }
}
