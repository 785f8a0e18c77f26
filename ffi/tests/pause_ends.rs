//! How system calls that have stopped go on, and that they do.

mod common;
mod stopping;

use common::{PAGE, scratch};
use ffi::{CannotPause, Pausing, Poison, Seen, Supervisor, WriteOrder};
use std::io::{BufRead, BufReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use stopping::{SOON, allowed_to_all, content, ended, filled, joined, paused, pausing, watched};

const BRIEFLY: Duration = Duration::from_millis(50);
const EFAULT: i32 = 14;

#[test]
fn poison_ends_a_write_where_it_stopped() {
    let Some(pausing) = pausing() else { return };
    // What older kernels do, too.
    for poison in [pausing.poison, Poison::Protection] {
        let pausing = Pausing { poison };
        let file = scratch();
        let order = WriteOrder::of(&file, &pausing).unwrap();
        let (buffer, mut supervisor, bytes) = filled(&pausing, 8);
        file.truncate(8 * PAGE).unwrap();
        supervisor.stop_exactly_at(5, order).unwrap();
        let answer = thread::scope(|scope| {
            let write = || buffer.during(|| buffer.pwrite_to(&file, 0, 8 * PAGE, 0));
            let lane = scope.spawn(write);
            paused(&mut supervisor).poison().unwrap();
            ended(&mut supervisor);
            joined(lane)
        });
        assert_eq!(answer, Ok(5 * PAGE), "{poison:?}");
        assert_eq!(content(&file), [&bytes[..5 * PAGE as usize], &[0; 3 * PAGE as usize]].concat());
        let mut seen = vec![0; 8 * PAGE as usize];
        assert_eq!(buffer.load(0, &mut seen), 5 * PAGE);
        // It stays so, does not wait, and ends when there are new bytes.
        assert_eq!(buffer.pwrite_to(&file, 5 * PAGE, PAGE, 0).unwrap_err().errno, EFAULT);
        supervisor.fill(0, &bytes).unwrap();
        assert_eq!(buffer.pwrite_to(&file, 0, 8 * PAGE, 0), Ok(8 * PAGE));
        assert_eq!(content(&file), bytes);
        // And a page that was poisoned can be missing again.
        supervisor.leave_missing(5).unwrap();
        let answer = watched(
            &buffer,
            supervisor,
            |buffer| buffer.pwrite_to(&file, 5 * PAGE, 10, 0),
            |mut supervisor| {
                assert_eq!(paused(&mut supervisor).page(), 5);
            },
        );
        assert_eq!(answer, Ok(10));
    }
}

#[test]
fn poison_fails_what_has_not_begun() {
    let Some(pausing) = pausing() else { return };
    let file = scratch();
    let (buffer, mut supervisor, _) = filled(&pausing, 2);
    supervisor.leave_missing(0).unwrap();
    let answer = watched(
        &buffer,
        supervisor,
        |buffer| buffer.pwrite_to(&file, 0, 2 * PAGE, 0),
        |mut supervisor| {
            paused(&mut supervisor).poison().unwrap();
            ended(&mut supervisor);
        },
    );
    assert_eq!(answer.unwrap_err().errno, EFAULT);
    assert_eq!(file.size(), Ok(0));
}

#[test]
fn a_pause_that_is_dropped_resumes() {
    let Some(pausing) = pausing() else { return };
    let file = scratch();
    let (buffer, mut supervisor, bytes) = filled(&pausing, 4);
    supervisor.leave_missing(2).unwrap();
    let answer = watched(
        &buffer,
        supervisor,
        |buffer| buffer.pwrite_to(&file, 0, 4 * PAGE, 0),
        |mut supervisor| {
            drop(paused(&mut supervisor));
            ended(&mut supervisor);
        },
    );
    assert_eq!(answer, Ok(4 * PAGE));
    assert_eq!(content(&file), bytes);
}

#[test]
fn nobody_is_left_waiting_when_a_supervisor_is_gone() {
    let Some(pausing) = pausing() else { return };
    // The call has stopped and nobody has looked; somebody has and panics; pages further on are missing, too.
    let ends: [fn(Supervisor); 3] = [
        drop,
        |mut supervisor| {
            let _pause = paused(&mut supervisor);
            panic!("of the test");
        },
        |mut supervisor| {
            thread::spawn(move || paused(&mut supervisor).resume_with(&[0]).unwrap()).join().unwrap_err();
        },
    ];
    for end in ends {
        let file = scratch();
        let (buffer, mut supervisor, bytes) = filled(&pausing, 6);
        supervisor.leave_missing(2).unwrap();
        supervisor.leave_missing(4).unwrap();
        let answer = watched(
            &buffer,
            supervisor,
            |buffer| buffer.pwrite_to(&file, 0, 6 * PAGE, 0),
            |supervisor| {
                thread::sleep(BRIEFLY);
                let _ = catch_unwind(AssertUnwindSafe(|| end(supervisor)));
            },
        );
        assert_eq!(answer, Ok(6 * PAGE));
        assert_eq!(content(&file), bytes);
    }
}

#[test]
fn waiting_has_an_end() {
    let Some(pausing) = pausing() else { return };
    let file = scratch();
    let (buffer, mut supervisor, _) = filled(&pausing, 2);
    supervisor.leave_missing(1).unwrap();
    let begun = Instant::now();
    assert!(matches!(supervisor.wait(BRIEFLY).unwrap(), Seen::TimedOut));
    assert!((BRIEFLY..SOON).contains(&begun.elapsed()), "{:?}", begun.elapsed());
    // What has happened is seen without waiting, each call once.
    for _ in 0..2 {
        buffer.during(|| buffer.pwrite_to(&file, 0, PAGE, 0)).unwrap();
    }
    for _ in 0..2 {
        assert!(matches!(supervisor.wait(Duration::ZERO).unwrap(), Seen::Ended));
    }
    assert!(matches!(supervisor.wait(Duration::ZERO).unwrap(), Seen::TimedOut));
    // A call that panics has ended, too.
    catch_unwind(AssertUnwindSafe(|| buffer.during(|| panic!("of the test")))).unwrap_err();
    ended(&mut supervisor);
}

/// Set in the process that is killed while its call has stopped.
const CHILD: &str = "FOLIOFUZZ_TEST_STOPPED";

#[test]
fn a_process_whose_call_has_stopped_can_be_killed() {
    if pausing().is_none() {
        return;
    }
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--ignored", "--exact", "child_stops_for_ever", "--nocapture"]).env(CHILD, "yes");
    let mut child = child.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("has stopped")), "the child ended before its call stopped");
    child.kill().unwrap();
    let begun = Instant::now();
    while child.try_wait().unwrap().is_none() {
        assert!(begun.elapsed() < SOON, "the process does not die");
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
#[ignore = "the child of another test"]
fn child_stops_for_ever() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let (buffer, mut supervisor, _) = filled(&Pausing::probe().unwrap(), 2);
    supervisor.leave_missing(1).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| buffer.pwrite_to(&scratch(), 0, 2 * PAGE, 0));
        let _pause = paused(&mut supervisor);
        println!("has stopped");
        thread::sleep(Duration::from_secs(60));
    });
}

#[test]
fn a_user_without_rights_is_told_so() {
    if !rustix::process::geteuid().is_root() || allowed_to_all() {
        println!("not tested: only root can become a user who may not");
        return;
    }
    // Of this thread alone, for good.
    let probed = thread::spawn(|| {
        let nobody = rustix::process::Uid::from_raw(65534);
        rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        Pausing::probe()
    });
    assert_eq!(probed.join().unwrap(), Err(CannotPause::Forbidden));
}
