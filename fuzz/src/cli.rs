//! Commands, their options, and how they end.

mod bench;
mod crash;
mod draw;
mod files;
mod hunt;
mod minimize;
mod mkfs;
mod run;
mod show;
mod style;
mod tables;

use clap::{Args, Parser, Subcommand};
use foliofuzz::worker;
use oracle::TargetError;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use targets::directory::Made;

const EXAMPLES: &str = "\
Examples:
  foliofuzz                                   ten seconds on the model and in the directory for temporary files
  foliofuzz run --dir /mnt/scratch --seconds 600
                                              ten minutes on the file system mounted there
  foliofuzz run --mkfs 'xfs -b size=1k' --mkfs ext4
                                              on file systems made in memory for the purpose, as root
  foliofuzz hunt --all                        can every historical bug be found? how fast?
  foliofuzz replay findings/*.folio           does it still happen?
  foliofuzz show findings/content-1234.folio  who did what when

Exit status: 0 everything agreed, 1 something diverged, 2 foliofuzz could not do its work.";

/// A differential fuzzer for page caches and file systems whose input includes the schedule.
///
/// Programs of file operations run on a target (a Rust model of the page cache, or any mounted file system) and
/// on a flat array of bytes. When the two disagree, the program is shrunk to the few operations and context
/// switches that it takes, and written to a text file that can be read, edited and replayed.
#[derive(Parser)]
#[command(name = "foliofuzz", version, after_help = EXAMPLES, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Fuzz the model and real file systems (what happens without a command)
    Run(run::Run),
    /// Arm historical bugs in the model, one at a time, and find them
    Hunt(hunt::Hunt),
    /// Run every short program up to a crash, and look at all that the crash may leave
    Crash(crash::Crash),
    /// Run reproducers again
    Replay(files::Replay),
    /// Shrink a reproducer
    Minimize(minimize::Minimize),
    /// Show who did what when in a reproducer's run
    Show(show::Show),
    /// Turn reproducers into corpus bytes for `cargo fuzz`, and bytes into reproducers
    Convert(files::Convert),
    /// Print a program of a seed, and the weights it was drawn with
    Draw(draw::Draw),
    /// List the operations
    Ops,
    /// List the historical bugs that can be armed
    Faults,
    /// List the differences between file systems that are no findings, and why
    Known,
    /// Measure what judging costs on real file systems, and the model's speed
    Bench(bench::Bench),
    /// Serve a campaign: run programs on a directory
    #[command(hide = true)]
    Worker(Worker),
    /// Serve `--mkfs`: keep a mount until this process's parent is gone, then give everything back
    #[command(hide = true)]
    Keeper,
}

#[derive(Args)]
struct Worker {
    dir: PathBuf,
    #[arg(long)]
    namespace: Option<PathBuf>,
    #[arg(long)]
    page: i32,
    #[arg(long)]
    parent: u32,
    #[arg(long)]
    made: Option<String>,
    #[arg(long)]
    device: Option<PathBuf>,
    #[arg(long)]
    strict: bool,
    #[arg(long)]
    threads: bool,
}

/// How a command ended that could do its work.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Agree,
    Diverged,
}

/// What a command says when it could not.
type Result<T> = std::result::Result<T, TargetError>;

fn trouble(what: impl std::fmt::Display, error: impl std::fmt::Display) -> TargetError {
    TargetError::new(format!("{what}: {error}"))
}

impl Cli {
    pub(crate) fn run(self) -> Result<Ending> {
        match self.command.unwrap_or(Command::Run(run::Run::default())) {
            Command::Run(run) => run.run(),
            Command::Hunt(hunt) => hunt.run(),
            Command::Crash(crash) => crash.run(),
            Command::Replay(replay) => replay.run(),
            Command::Minimize(minimize) => minimize.run(),
            Command::Show(show) => show.run(),
            Command::Convert(convert) => convert.run(),
            Command::Draw(draw) => Ok(draw.run()),
            Command::Ops => Ok(tables::ops()),
            Command::Faults => Ok(tables::faults()),
            Command::Known => Ok(tables::known()),
            Command::Bench(bench) => bench.run(),
            Command::Worker(Worker { dir, namespace, page, parent, made, device, strict, threads }) => {
                // Ctrl-C reaches the whole foreground group. The parent decides what becomes of this process.
                let _unheard = stop_flag()?;
                let made = made.as_deref().map(|file_system| Made { file_system, device: device.as_deref() });
                let namespace = namespace.as_deref();
                let duty = worker::Duty { dir: &dir, namespace, page, parent, made, strict, threads };
                worker::serve(duty).map(|()| Ending::Agree)
            }
            Command::Keeper => {
                mounts::keeper::serve().map(|()| Ending::Agree).map_err(|trouble| TargetError::new(trouble.to_string()))
            }
        }
    }
}

/// A flag that the first Ctrl-C raises. The second one kills as usual.
fn stop_flag() -> Result<Arc<AtomicBool>> {
    let flag = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        signal_hook::flag::register_conditional_default(signal, flag.clone())
            .and_then(|_| signal_hook::flag::register(signal, flag.clone()))
            .map_err(|error| trouble("catching Ctrl-C", error))?;
    }
    Ok(flag)
}
