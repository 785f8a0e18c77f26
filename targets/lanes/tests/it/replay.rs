//! A run is a function of program and schedule; recording does not change it, and what was recorded repeats it.

use crate::toy::{Program, Random, facts, is_done, play, play_anchors};
use lanes::anchored::{record, record_steps};
use lanes::policy::policy_of;
use lanes::{Action, Schedule};

const PROGRAMS: u64 = if cfg!(miri) { 60 } else { 6_000 };

#[test]
#[cfg_attr(miri, ignore = "minutes")]
fn recording_changes_nothing_and_its_anchors_repeat_the_run() {
    let (mut switched, mut stuck, mut picks, mut merged) = (0, 0, 0, 0);
    for seed in 0..PROGRAMS {
        let mut random = Random(seed);
        let program = Program::random(&mut random);
        let schedule = random.schedule();
        let plain = play(&program, policy_of(&schedule));
        assert_eq!(facts(&play(&program, policy_of(&schedule))), facts(&plain), "again: {schedule:?} {program:?}");

        let (policy, recording) = record(policy_of(&schedule));
        assert_eq!(facts(&play(&program, policy)), facts(&plain), "recorded: {schedule:?} {program:?}");
        let anchors = recording.anchors();
        let (policy, again) = record(policy_of(&Schedule::Anchored(anchors.clone())));
        assert_eq!(facts(&play(&program, policy)), facts(&plain), "anchored: {anchors:?} {schedule:?} {program:?}");
        assert_eq!(again.anchors(), anchors, "recording a recording: {schedule:?} {program:?}");

        switched += u64::from(!anchors.is_empty());
        stuck += u64::from(!is_done(&plain));
        for anchor in &anchors {
            match &anchor.action {
                Action::Run(lanes) => merged += u64::from(lanes.len() > 1),
                Action::Pick(_) => picks += 1,
            }
        }
    }
    // Otherwise this test would compare nothing with nothing.
    assert!(switched > PROGRAMS / 2, "{switched} programs were scheduled");
    assert!(stuck > PROGRAMS / 50 && stuck < PROGRAMS / 2, "{stuck} programs got stuck");
    assert!(picks > PROGRAMS / 20 && merged > PROGRAMS / 20, "{picks} choices, {merged} lists");
}

#[test]
#[cfg_attr(miri, ignore = "minutes")]
fn every_part_of_a_recorded_schedule_is_a_schedule() {
    for seed in 0..PROGRAMS / 4 {
        let mut random = Random(seed << 20);
        let program = Program::random(&mut random);
        let (policy, recording) = record(policy_of(&random.schedule()));
        play(&program, policy);
        let mut anchors = recording.anchors();
        while !anchors.is_empty() {
            let n = random.below(anchors.len() as u64) as usize;
            match &mut anchors[n].action {
                Action::Run(lanes) if lanes.len() > 1 => {
                    lanes.remove(random.below(lanes.len() as u64) as usize);
                }
                _ => {
                    anchors.remove(n);
                }
            }
            // What is left also says the same thing twice, and of the same program less its last operation.
            let mut shorter = program.clone();
            shorter.users[0].pop();
            for program in [&program, &shorter] {
                let first = play_anchors(program, anchors.clone());
                assert_eq!(facts(&play_anchors(program, anchors.clone())), facts(&first));
            }
        }
    }
}

#[test]
fn no_bytes_and_zeros_are_the_sequential_run() {
    for seed in 0..PROGRAMS / 4 {
        let program = Program::random(&mut Random(seed));
        let sequential = play_anchors(&program, Vec::new());
        for bytes in [vec![], vec![0], vec![0; 64]] {
            assert_eq!(facts(&play(&program, policy_of(&Schedule::Pct(bytes)))), facts(&sequential), "{program:?}");
        }
        let (policy, recording) = record(policy_of(&Schedule::Pct(Vec::new())));
        play(&program, policy);
        assert_eq!(recording.anchors(), []);
    }
}

#[test]
fn steps_are_the_places_in_order_each_with_a_name_of_its_own() {
    for seed in 0..PROGRAMS / 10 {
        let mut random = Random(seed);
        let program = Program::random(&mut random);
        let (policy, recording) = record_steps(policy_of(&random.schedule()));
        let report = play(&program, policy);
        let steps = recording.steps();
        assert_eq!(steps.len() as u64, report.steps);
        let mut names = steps.clone();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), steps.len(), "{steps:?}");
    }
}
