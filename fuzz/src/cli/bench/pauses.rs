//! `bench --pauses`: what it costs to stop a system call half way and let it go on.

use super::{DIM, median, paint, say, table, trouble};
use crate::cli::Result;
use ffi::{File, PausableBuffer, Pausing, Seen, Supervisor, WriteOrder};
use oracle::TargetError;
use serde::Serialize;
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Length of the writes, all of which go to the start of a file of that length.
const LEN: u64 = 64 << 10;
/// The page of the source at which they stop.
const PAGE: u64 = 8;
/// How long a write may take to come to its stop.
const PATIENCE: Duration = Duration::from_secs(10);

/// How a write is stopped.
#[derive(Clone, Copy)]
enum Stop {
    Not,
    Once,
    Exactly,
}

/// Microseconds for a write, medians.
#[derive(Serialize)]
pub(super) struct PauseSpeed {
    place: String,
    /// What the file system asks for first, as the debug form of [`WriteOrder`] has it.
    order: String,
    write_us: f64,
    paused_us: f64,
    /// With a stop at which exactly the pages before it are written.
    exact_us: f64,
    writes: usize,
}

/// A thread that writes whenever it is told to, and says how long it took.
struct Writer {
    go: mpsc::Sender<()>,
    took: mpsc::Receiver<ffi::Result<Duration>>,
}

/// Measures on the file system of `dir`, for about as long as `share`.
pub(super) fn measure(dir: &Path, place: String, share: Duration) -> Result<PauseSpeed> {
    let pausing = Pausing::probe().map_err(|cannot| TargetError::new(cannot.to_string()))?;
    let failed = |error: ffi::Error| trouble(dir.display(), error);
    let file = File::nameless(dir).map_err(failed)?;
    let order = WriteOrder::of(&file, &pausing).map_err(failed)?;
    let (buffer, mut supervisor) = pausing.pair(LEN).map_err(failed)?;
    supervisor.fill(0, &vec![1; LEN as usize]).map_err(failed)?;
    let mut took: [Vec<f64>; 3] = Default::default();
    std::thread::scope(|scope| {
        let ((go, told), (tell, took_each)) = (mpsc::channel(), mpsc::channel());
        scope.spawn(|| write_when_told(&buffer, &file, told, tell));
        // In here, so that it ends before the thread is waited for, and with it every stop.
        let mut supervisor = supervisor;
        let writer = Writer { go, took: took_each };
        let begun = Instant::now();
        while took[0].len() < 10 || begun.elapsed() < share {
            for (stop, took) in [Stop::Not, Stop::Once, Stop::Exactly].into_iter().zip(&mut took) {
                took.push(one(&mut supervisor, &writer, stop, order)?.as_secs_f64() * 1e6);
            }
        }
        Ok(())
    })
    .map_err(failed)?;
    let [write_us, paused_us, exact_us] = [0, 1, 2].map(|n: usize| median(took[n].iter().copied()));
    Ok(PauseSpeed { place, order: format!("{order:?}"), write_us, paused_us, exact_us, writes: took[0].len() })
}

fn write_when_told(
    buffer: &PausableBuffer,
    file: &File,
    told: mpsc::Receiver<()>,
    tell: mpsc::Sender<ffi::Result<Duration>>,
) {
    for () in told {
        let begun = Instant::now();
        let written = buffer.during(|| buffer.pwrite_to(file, 0, LEN, 0));
        if tell.send(written.map(|_| begun.elapsed())).is_err() {
            return;
        }
    }
}

fn one(supervisor: &mut Supervisor, writer: &Writer, stop: Stop, order: WriteOrder) -> ffi::Result<Duration> {
    const EIO: i32 = 5;
    let silent = ffi::Error { call: "pwrite", errno: EIO };
    match stop {
        Stop::Not => {}
        Stop::Once => supervisor.leave_missing(PAGE)?,
        Stop::Exactly => drop(supervisor.stop_exactly_at(PAGE, order)?),
    }
    writer.go.send(()).map_err(|_| silent)?;
    let mut stops = 0;
    loop {
        match supervisor.wait(PATIENCE)? {
            Seen::Paused(pause) => pause.resume()?,
            Seen::Ended => break,
            Seen::TimedOut => return Err(silent),
        }
        stops += 1;
    }
    let took = writer.took.recv().map_err(|_| silent)??;
    // A write that has not stopped where it was to would be a flattering figure.
    if stops == usize::from(!matches!(stop, Stop::Not)) { Ok(took) } else { Err(silent) }
}

pub(super) fn print(speeds: &[PauseSpeed]) {
    let heading = ["us for a write of 64 KiB", "not stopped", "stopped", "a stop costs", "stopped exactly", "writes"];
    let row = |speed: &PauseSpeed| {
        let PauseSpeed { place, order, write_us, paused_us, exact_us, writes } = speed;
        let numbers = [*write_us, *paused_us, paused_us - write_us, *exact_us].map(|us| format!("{us:.1}"));
        let place = [format!("{place} ({order})")];
        place.into_iter().chain(numbers).chain([writes.to_string()]).collect()
    };
    table(&[heading.map(str::to_owned).to_vec()].into_iter().chain(speeds.iter().map(row)).collect::<Vec<_>>());
    say(paint(
        DIM,
        format!(
            "stopped at page {PAGE} of the source and resumed at once by another thread; exactly: with {PAGE} pages written"
        ),
    ));
}
