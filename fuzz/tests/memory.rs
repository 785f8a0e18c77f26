//! A campaign runs for days: what a run has used goes with it.

use faults::FaultSet;
use foliofuzz::Runner;
use foliofuzz::bytes::{Profile, decode};
use foliofuzz::generate::Generator;
use std::ops::Range;

/// Bytes of this process that are in memory: proc_pid_statm(5).
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * ffi::page_size()
}

fn run(runner: &mut Runner, programs: Range<u64>) {
    let generator = Generator { seed: 1, profile: Profile::ANY, strategy: None };
    let mut bytes = Vec::new();
    for number in programs {
        generator.fill(number, &mut bytes);
        let program = decode(&bytes);
        assert_eq!(runner.run(&program, FaultSet::NONE).divergence, None);
        assert_eq!(runner.record(&program, FaultSet::NONE).verdict.divergence, None);
    }
}

#[test]
fn memory_does_not_grow_with_the_number_of_runs() {
    let mut runner = Runner::thorough();
    run(&mut runner, 0..500);
    let before = resident();
    run(&mut runner, 500..3_000);
    let grown = resident().saturating_sub(before);
    // A run has some ten kilobytes: had every fifth left them behind, it would show.
    assert!(grown < 5 << 20, "{grown} bytes more after 2,500 programs");
}
