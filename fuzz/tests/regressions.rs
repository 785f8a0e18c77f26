//! Programs that once showed a fault of our own, each with its story. They agree now.

use faults::FaultSet;
use foliofuzz::{Expect, Reproducer, Runner};
use lanes::Schedule;
use std::path::PathBuf;

fn regressions() -> Vec<(PathBuf, String, Reproducer)> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../corpus/regressions");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: PathBuf| {
        let text = std::fs::read_to_string(&path).unwrap();
        let reproducer = text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        (path, text, reproducer)
    };
    paths.into_iter().map(read).collect()
}

#[test]
fn regressions_tell_their_story_and_agree() {
    let regressions = regressions();
    assert!(!regressions.is_empty());
    let mut runner = Runner::new();
    for (path, text, reproducer) in regressions {
        let path = path.display();
        assert_eq!(reproducer.to_string(), text, "{path}");
        assert!(!reproducer.comment.is_empty(), "{path} tells no story");
        assert_eq!(reproducer.expect, Expect::Agree, "{path}");
        assert_eq!(runner.run(&reproducer.program, FaultSet::NONE).divergence, None, "{path}");
        let Schedule::Anchored(anchors) = &reproducer.program.schedule else { continue };
        let happened = runner.record(&reproducer.program, FaultSet::NONE).anchors;
        for anchor in anchors {
            assert!(happened.iter().any(|other| other.place == anchor.place), "{path}: nothing at {}", anchor.place);
        }
    }
}
