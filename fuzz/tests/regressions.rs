//! Programs that once showed a fault of our own, each with its story. They agree now.

mod corpus;

use faults::FaultSet;
use foliofuzz::{Expect, Runner};
use lanes::Schedule;

#[test]
fn regressions_tell_their_story_and_agree() {
    let mut runner = Runner::new();
    for (path, text, reproducer) in corpus::read("regressions") {
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
