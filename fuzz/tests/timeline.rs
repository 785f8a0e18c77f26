//! The timeline shows what happened, in the order it happened, each lane in its column.

use faults::FaultSet;
use foliofuzz::timeline::timeline;
use foliofuzz::{Reproducer, Runner};

const TWO_LANES: &str = "\
foliofuzz 1
page 256
block 256
file_limit 1024
floor 512
stripe 256

lane 0
  write off=0 len=10

lane 1
  read off=256 len=5

schedule anchored
  at 0.0 W9 #1 run 1
";

#[test]
fn a_stopped_write_stands_around_what_ran_meanwhile() {
    let program = TWO_LANES.parse::<Reproducer>().unwrap().program;
    let recorded = Runner::new().record(&program, FaultSet::NONE);
    let text = timeline(&program, &recorded, 24);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "  step  lane 0                    lane 1                    background");
    let at =
        |what: &str| lines.iter().position(|line| line.contains(what)).unwrap_or_else(|| panic!("{what}:\n{text}"));
    let order = [at("0.0 write off=0 len=10"), at("stops at W9 #1"), at("1.0 read off=256 len=5"), at("= 10 bytes")];
    assert!(order.is_sorted(), "{text}");
    let column = |what: &str| lines[at(what)].find(what).unwrap();
    assert_eq!((column("0.0 write"), column("1.0 read"), column("checker")), (8, 34, 60), "{text}");
}
