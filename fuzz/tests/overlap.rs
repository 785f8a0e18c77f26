//! Programs whose lanes change the same bytes, on the model with nothing armed, beside their oracle.

use faults::{FaultSet, Needs};
use foliofuzz::Runner;
use foliofuzz::bytes::{Profile, decode};
use foliofuzz::finding::Finding;
use foliofuzz::generate::Generator;
use oracle::Sharing;
use std::time::{Duration, Instant};

/// How long, in seconds; a soak is `FOLIOFUZZ_TEST_SECONDS=300`.
fn seconds() -> u64 {
    std::env::var("FOLIOFUZZ_TEST_SECONDS").map_or(5, |text| text.parse().expect("a number of seconds"))
}

/// The number of the first program; a soak is longer if it begins where another has ended.
fn first() -> u64 {
    std::env::var("FOLIOFUZZ_TEST_FIRST").map_or(0, |text| text.parse().expect("the number of a program"))
}

#[test]
fn the_model_is_right_where_lanes_overlap() {
    let flavours = &["xfs", "xfs-5.8", "ext4", "gfs2", "gfs2-jdata"];
    let needs = Needs { flavours, lanes: 2, overlapping: true, ..Needs::ANY };
    // Asynchronous writes and buffered ones exclude each other: half of the programs have the former for sure.
    let generators = [needs, Needs { ops: &["aio_write"], ..needs }].map(|needs| Generator {
        seed: 6,
        profile: Profile::Model(needs),
        strategy: None,
    });
    let (begun, mut bytes, mut runner, mut ops) = (Instant::now(), Vec::new(), Runner::new(), 0);
    for number in first().. {
        if begun.elapsed() >= Duration::from_secs(seconds()) {
            break;
        }
        generators[number as usize % 2].fill(number, &mut bytes);
        let program = decode(&bytes);
        assert_eq!(program.geometry.sharing, Sharing::Overlapping);
        let verdict = runner.run(&program, FaultSet::NONE);
        if let Some(class) = verdict.class() {
            let finding = Finding::on_model(&mut runner, &program, None, class);
            panic!("program {number}: {}", finding.map_or(String::new(), |finding| finding.reproducer.to_string()));
        }
        ops += verdict.ops;
    }
    assert!(ops > 1_000, "only {ops} operations in the time");
}
