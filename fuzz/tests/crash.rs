//! Crashes: what a program with one loses and keeps, and that such programs are as good as any other.

use faults::{FaultSet, Needs};
use foliofuzz::bytes::{Profile, decode};
use foliofuzz::generate::Generator;
use foliofuzz::{Reproducer, Runner, short};
use oracle::OpKind;

fn program(flavour: &str, lanes: &str, schedule: &str) -> foliofuzz::Program {
    let text = format!(
        "foliofuzz 1\nexpect agree\n\npage 256\nblock 256\nmax_order 0\nmemory_pages 0\nflavour {flavour}\n\
         file_limit 4096\n\n{lanes}\n\nschedule {schedule}\n"
    );
    text.parse::<Reproducer>().unwrap_or_else(|error| panic!("{error}\n{text}")).program
}

/// How many bytes the read that is operation 0.`index` found.
fn found(program: &foliofuzz::Program, index: u32) -> String {
    let recorded = Runner::new().record(program, FaultSet::NONE);
    assert_eq!(recorded.verdict.divergence, None);
    let answer = recorded.answers.iter().find(|answer| (answer.id.lane, answer.id.index) == (0, index));
    answer.expect("it ran").outcome.to_string()
}

#[test]
fn a_crash_loses_what_was_not_synced_unless_the_schedule_keeps_it() {
    let lanes = |sync: &str| format!("lane 0\n  write off=0 len=256\n  {sync}\n  crash\n  read off=0 len=256");
    let lost = program("xfs", &lanes("sync_range off=0 len=256"), "sequential");
    assert_eq!(found(&lost, 3), "0 bytes");
    assert_eq!(found(&program("xfs", &lanes("fsync"), "sequential"), 3), "256 bytes");
    // Three transactions: the block, its conversion, the size. Behind the last, the data is there, too.
    for (kept, expected) in
        [("pick 2", "0 bytes"), ("pick 2\n  at 0.2 CRASH #2 pick 1", "0 bytes"), ("pick 1", "256 bytes")]
    {
        let schedule = format!("anchored\n  at 0.2 CRASH #1 {kept}");
        assert_eq!(found(&program("ext4", &lanes("sync_range off=0 len=256"), &schedule), 3), expected, "{kept}");
    }
}

/// Blocks that xfs before Linux 5.9 has logged as written show garbage after a crash, so there is none.
#[test]
fn a_flavour_that_does_not_survive_crashes_has_none() {
    let lanes = "lane 0\n  write off=0 len=256\n  crash\n  read off=0 len=256";
    let old = program("xfs-5.8", lanes, "sequential");
    assert_eq!(found(&old, 2), "256 bytes");
    assert_eq!(Runner::new().run(&old, FaultSet::NONE).ops, 2);
}

#[test]
fn the_other_lanes_end_where_they_are() {
    let lanes = "floor 512\nstripe 256\n\nlane 0\n  stat\n  crash\n  read off=0 len=512\n\nlane 1\n  \
                 write off=256 len=256\n  write off=256 len=256\n  write off=256 len=256";
    for place in ["1.0 W9", "1.1 W3", "1.1 W11", "1.2 NEXT"] {
        let schedule = format!("anchored\n  at 0.0 START #1 run 1\n  at {place} #1 run 0");
        let program = program("xfs", lanes, &schedule);
        let verdict = Runner::new().run(&program, FaultSet::NONE);
        assert_eq!(verdict.divergence, None, "{place}");
        assert!(verdict.ops < 6, "{place}: all six operations were done");
    }
}

/// Many programs have a crash, most have none: it costs the lanes beside it their lives.
#[test]
fn fresh_programs_with_a_crash_agree_at_every_place() {
    let Profile::Model(any) = Profile::ANY else { unreachable!("it is the one of the model") };
    let needs = Needs { flavours: &["xfs", "ext4"], ..any };
    let generator = Generator { seed: 5, profile: Profile::Model(needs), strategy: None };
    let (mut bytes, mut crashing) = (Vec::new(), 0);
    for number in 0..6_000 {
        generator.fill(number, &mut bytes);
        let program = decode(&bytes);
        if program.ops().any(|(_, op)| op.kind == OpKind::Crash) {
            crashing += 1;
            let verdict = Runner::watching().run(&program, FaultSet::NONE);
            assert_eq!(verdict.divergence, None, "{program:#?}");
        }
    }
    assert!((300..2_000).contains(&crashing), "{crashing} of 6000");
}

/// The bound of ACE, as far as a test has time: programs of one step, and a part of those of two.
#[test]
fn every_state_after_a_short_program_is_sound() {
    let mut runner = Runner::new();
    let mut states = 0;
    for geometry in short::geometries() {
        let one = (0..short::count(1)).map(|number| short::program(geometry, 1, number));
        let two = (0..short::count(2)).step_by(7).map(|number| short::program(geometry, 2, number));
        for program in one.chain(two) {
            let (seen, wrong) = runner.explore(&program, FaultSet::NONE, 2);
            assert!(seen > 0, "{program:#?}");
            assert!(wrong.is_none(), "{wrong:#?}");
            states += seen;
        }
    }
    assert!(states > 50_000, "{states}");
}

/// What is found there is a program like any other: its schedule picks the state.
#[cfg(feature = "faults")]
#[test]
fn short_programs_find_what_a_sync_and_the_size_on_the_device_have_missed() {
    use faults::Fault;
    let mut runner = Runner::new();
    for fault in [Fault::SyncForcesEarly, Fault::DiskSizeBeforeData] {
        let armed = FaultSet::only(fault);
        let programs = short::geometries()
            .flat_map(|geometry| (0..short::count(1)).map(move |number| short::program(geometry, 1, number)));
        let (program, seen) =
            programs.filter_map(|program| runner.explore(&program, armed, 2).1).next().expect("found");
        assert!(fault.info().detectors.contains(&seen.class.name()), "{fault}: {seen}");
        assert_eq!(runner.run(&program, armed).divergence, Some(seen), "{fault}");
        assert_eq!(runner.run(&program, FaultSet::NONE).divergence, None, "{fault}");
    }
}
