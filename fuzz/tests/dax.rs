//! The flavour without a page cache agrees with the flat file, and keeps its rules at every place a lane passes.

use faults::{FaultSet, Needs};
use foliofuzz::bytes::{Profile, decode_into};
use foliofuzz::finding::Finding;
use foliofuzz::generate::Generator;
use foliofuzz::{Program, Runner};
use oracle::Flavour;
use std::time::{Duration, Instant};

/// How long, in seconds; a soak is `FOLIOFUZZ_TEST_SECONDS=300`.
fn seconds() -> u64 {
    std::env::var("FOLIOFUZZ_TEST_SECONDS").map_or(5, |text| text.parse().expect("a number of seconds"))
}

fn soak(mut runner: Runner, seed: u64, lanes: u8) {
    let needs = Needs { flavours: &["dax"], lanes, ..Needs::ANY };
    let generator = Generator { seed, profile: Profile::Model(needs), strategy: None };
    let (begun, mut bytes, mut program) = (Instant::now(), Vec::new(), Program::empty());
    let (mut ops, mut huge) = (0, 0);
    for number in 0.. {
        if begun.elapsed() >= Duration::from_secs(seconds()) {
            break;
        }
        generator.fill(number, &mut bytes);
        decode_into(&bytes, &mut program);
        assert_eq!(program.geometry.flavour, Flavour::Dax);
        let verdict = runner.run(&program, FaultSet::NONE);
        if let Some(class) = verdict.class() {
            let told = verdict.divergence.map(|divergence| divergence.to_string());
            match Finding::on_model(&mut runner, &program, None, class) {
                Some(finding) => panic!("program {number} of seed {seed}:\n{}", finding.reproducer),
                None => panic!("program {number} of seed {seed}: {told:?}\n{program:#?}"),
            }
        }
        ops += verdict.ops;
        huge += u64::from(program.geometry.max_order > 0);
    }
    assert!(ops > 1_000 && huge > 10, "only {ops} operations, {huge} programs with huge pages");
}

#[test]
fn lanes_without_a_page_cache_agree() {
    soak(Runner::new(), 1, 1);
    soak(Runner::new(), 2, 2);
    soak(Runner::new(), 4, 3);
}

#[test]
fn the_rules_hold_at_every_place() {
    soak(Runner::watching(), 3, 3);
}
