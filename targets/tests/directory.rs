//! The directory target in the directory for temporary files, whatever file system that is on.
#![cfg(feature = "directory")]

mod programs;

use oracle::{Op, OpId, OpKind, Outcome, Target};
use std::path::Path;
use targets::directory::DirectoryTarget;

fn target() -> DirectoryTarget {
    DirectoryTarget::new(&std::env::temp_dir()).unwrap()
}

#[test]
fn random_programs_agree_with_the_flat_file() {
    assert!(programs::agree(&mut target(), 1, 0..300) > 5000);
}

#[test]
fn lanes_that_take_turns_agree_with_the_flat_file() {
    assert!(programs::agree(&mut target(), 3, 0..200) > 1000);
}

#[test]
fn nothing_is_left_in_the_directory() {
    let dir = std::env::temp_dir().join(format!("foliofuzz-left-{}", std::process::id()));
    std::fs::create_dir(&dir).unwrap();
    let target = DirectoryTarget::new(&dir).unwrap();
    let entries = std::fs::read_dir(&dir).unwrap().count();
    drop(target);
    std::fs::remove_dir(&dir).unwrap();
    assert_eq!(entries, 0);
}

#[test]
fn a_bad_directory_is_named_with_what_to_do() {
    let message = |dir: &str| DirectoryTarget::new(Path::new(dir)).map(drop).unwrap_err().message;
    let missing = message("/nonexistent/foliofuzz");
    assert_eq!(missing, "the directory /nonexistent/foliofuzz does not exist: create it or name another one");
    let file = std::env::current_exe().unwrap();
    let file = file.to_str().unwrap();
    let expected = format!("the directory {file} is not a directory: name the directory that is to hold the file");
    assert_eq!(message(file), expected);
}

#[test]
fn a_program_starts_with_a_hole_of_the_size_of_the_floor() {
    let mut target = target();
    let mut buf = Vec::new();
    let id = OpId { lane: 0, index: 0 };
    for lanes in [1, 2, 1] {
        let geometry = programs::geometry(lanes);
        target.start(&geometry).unwrap();
        let size = target.execute(id, &Op::plain(OpKind::Stat), &mut buf).unwrap();
        assert_eq!(size, Outcome::Position(geometry.floor));
        let whole = Op::range(OpKind::Read, 0, programs::LIMIT);
        assert_eq!(target.execute(id, &whole, &mut buf), Ok(Outcome::Bytes(geometry.floor)));
        assert!(buf[..geometry.floor as usize].iter().all(|byte| *byte == 0));
        target.execute(id, &Op::range(OpKind::KeepSize, 0, programs::LIMIT), &mut buf).unwrap();
        target.execute(id, &Op::range(OpKind::Write, 77, 100_000), &mut buf).unwrap();
    }
}

#[test]
fn what_is_lacking_answers_unsupported_and_everything_else_does_not() {
    let mut target = target();
    let lacks = target.lacks().to_vec();
    target.start(&programs::geometry(1)).unwrap();
    for kind in (0..OpKind::COUNT).filter_map(OpKind::from_index) {
        let op = Op { readable: 1, ..Op::range(kind, 0, 4096) };
        let outcome = target.execute(OpId { lane: 0, index: 0 }, &op, &mut Vec::new()).unwrap();
        let lacking = lacks.iter().find(|(lacking, _)| *lacking == kind).map(|(_, errno)| *errno);
        match outcome {
            // No directory has these, so that none is told to lack them.
            Outcome::Unsupported(_) if kind.breaks_io() => {}
            Outcome::Unsupported(_) if matches!(kind, OpKind::Crash | OpKind::MemoryFailure) => {}
            Outcome::Unsupported(errno) => assert_eq!(Some(errno), lacking, "{kind}"),
            outcome => assert_eq!(None, lacking, "{kind} answered {outcome}"),
        }
    }
}
