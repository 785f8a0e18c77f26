//! Calls in one thread, watched by another.
//!
//! Where system calls cannot be paused tests say so and end; as root on a kernel that can they must run.
#![allow(dead_code, reason = "each test file uses its own part")]

use crate::common::{PAGE, pattern};
use ffi::{CannotPause, File, PausableBuffer, Pause, Pausing, Seen, Supervisor};
use std::os::unix::fs::MetadataExt;
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

pub(crate) const SOON: Duration = Duration::from_secs(10);

pub(crate) fn allowed_to_all() -> bool {
    let by_sysctl = std::fs::read_to_string("/proc/sys/vm/unprivileged_userfaultfd");
    let by_device = std::fs::metadata("/dev/userfaultfd");
    by_sysctl.is_ok_and(|value| value.trim() == "1") || by_device.is_ok_and(|device| device.mode() & 0o6 == 0o6)
}

/// None where this user may not, or where the kernel has no such thing; said, and never as root on one that has.
pub(crate) fn pausing() -> Option<Pausing> {
    match Pausing::probe() {
        Ok(pausing) => Some(pausing),
        Err(CannotPause::Forbidden) if !rustix::process::geteuid().is_root() && !allowed_to_all() => {
            println!("not tested: {}", CannotPause::Forbidden);
            None
        }
        Err(CannotPause::Absent) if !std::fs::exists("/proc/sys/vm/unprivileged_userfaultfd").unwrap() => {
            println!("not tested: {}", CannotPause::Absent);
            None
        }
        Err(cannot) => panic!("{cannot}"),
    }
}

pub(crate) fn filled(pausing: &Pausing, pages: u64) -> (PausableBuffer, Supervisor, Vec<u8>) {
    let (buffer, mut supervisor) = pausing.pair(pages * PAGE).unwrap();
    let bytes = pattern(pages * PAGE);
    supervisor.fill(0, &bytes).unwrap();
    (buffer, supervisor, bytes)
}

pub(crate) fn paused(supervisor: &mut Supervisor) -> Pause<'_> {
    match supervisor.wait(SOON).unwrap() {
        Seen::Paused(pause) => pause,
        other => panic!("no pause but {other:?}"),
    }
}

pub(crate) fn ended(supervisor: &mut Supervisor) {
    let seen = supervisor.wait(SOON).unwrap();
    assert!(matches!(seen, Seen::Ended), "{seen:?}");
}

pub(crate) fn content(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; file.size().unwrap() as usize];
    assert_eq!(file.pread(&mut bytes, 0), Ok(bytes.len() as u64));
    bytes
}

/// Starts `call` in another thread, watches it with `watch`, and returns what it answered.
pub(crate) fn watched<R: Send>(
    buffer: &PausableBuffer,
    supervisor: Supervisor,
    call: impl FnOnce(&PausableBuffer) -> R + Send,
    watch: impl FnOnce(Supervisor),
) -> R {
    thread::scope(|scope| {
        let lane = scope.spawn(|| buffer.during(|| call(buffer)));
        watch(supervisor);
        joined(lane)
    })
}

/// What the thread answers. There is no way to end a thread that waits for ever, so then all ends.
pub(crate) fn joined<R>(lane: ScopedJoinHandle<'_, R>) -> R {
    let begun = Instant::now();
    while !lane.is_finished() {
        if begun.elapsed() > SOON {
            eprintln!("a call was left waiting");
            std::process::abort();
        }
        thread::sleep(Duration::from_micros(200));
    }
    lane.join().unwrap()
}
