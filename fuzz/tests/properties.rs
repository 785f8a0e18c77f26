//! What holds for every program, in the ordinary test run. A fuzzer can take the same properties over:
//! `cargo bolero test -p foliofuzz any_program_agrees`.

use faults::FaultSet;
use foliofuzz::bytes::{Profile, Strategy, decode};
use foliofuzz::generate::Generator;
use foliofuzz::inputs::check_codecs;
use foliofuzz::{Program, Runner};
use lanes::Schedule;
use oracle::Outcome;

fn assert_agrees(runner: &mut Runner, program: &Program) {
    if let Some(divergence) = runner.run(program, FaultSet::NONE).divergence {
        panic!("{divergence}\n{program:#?}");
    }
}

#[test]
fn any_program_agrees() {
    bolero::check!().with_type::<Vec<u8>>().with_iterations(3_000).with_max_len(512).for_each(|bytes| {
        assert_agrees(&mut Runner::new(), &decode(bytes));
    });
}

#[test]
fn any_bytes_survive_every_form() {
    bolero::check!().with_type::<Vec<u8>>().with_iterations(10_000).for_each(|bytes| check_codecs(bytes));
}

#[test]
fn fresh_programs_agree_under_every_strategy() {
    let mut runner = Runner::new();
    let mut bytes = Vec::new();
    for strategy in Strategy::ALL {
        let generator = Generator { seed: 1, profile: Profile::ANY, strategy: Some(strategy) };
        for number in 0..3_000 {
            generator.fill(number, &mut bytes);
            assert_agrees(&mut runner, &decode(&bytes));
        }
    }
}

/// One run decides nothing by chance; recording changes nothing; and what was recorded is the same run again.
#[test]
fn a_run_can_be_repeated_and_written_down() {
    let mut runner = Runner::new();
    let mut bytes = Vec::new();
    let generator = Generator { seed: 2, profile: Profile::ANY, strategy: None };
    let mut switches = 0;
    for number in 0..10_000 {
        generator.fill(number, &mut bytes);
        let program = decode(&bytes);
        let first = runner.run(&program, FaultSet::NONE);
        assert_eq!(Runner::new().run(&program, FaultSet::NONE), first);
        let recorded = runner.record(&program, FaultSet::NONE);
        assert_eq!(recorded.verdict, first);
        let executed = recorded.answers.iter().filter(|answer| !matches!(answer.outcome, Outcome::Unsupported(_)));
        assert_eq!(executed.count() as u64, first.ops);
        let anchored = Program { schedule: Schedule::Anchored(recorded.anchors), ..program };
        assert_eq!(runner.run(&anchored, FaultSet::NONE), first, "program {number}");
        switches += first.switches;
    }
    assert!(switches > 100_000, "only {switches} switches: nothing was tested");
}

/// The rules hold wherever a lane could be stopped, in the middle of operations, too; watching changes nothing.
#[test]
fn the_rules_hold_at_every_place() {
    let (mut watching, mut plain) = (Runner::watching(), Runner::new());
    let mut bytes = Vec::new();
    let generator = Generator { seed: 4, profile: Profile::ANY, strategy: None };
    for number in 0..5_000 {
        generator.fill(number, &mut bytes);
        let program = decode(&bytes);
        let verdict = watching.run(&program, FaultSet::NONE);
        assert_eq!(verdict.divergence, None, "program {number}");
        assert_eq!(verdict, plain.run(&program, FaultSet::NONE), "program {number}");
    }
}

/// The test above can fail: what an armed fault breaks is seen at a place in the middle of an operation.
#[cfg(feature = "faults")]
#[test]
fn a_broken_rule_is_seen_at_the_place_that_breaks_it() {
    let mut watching = Runner::watching();
    let mut bytes = Vec::new();
    let generator = Generator { seed: 4, profile: Profile::ANY, strategy: None };
    let seen = (0..2_000).find_map(|number| {
        generator.fill(number, &mut bytes);
        let armed = FaultSet::only(faults::Fault::TruncateKeepsDirty);
        watching.run(&decode(&bytes), armed).divergence.filter(|divergence| divergence.op.is_none())
    });
    let detail = seen.expect("no program removed a dirty folio").detail;
    assert!(detail.contains("removed while dirty\nat "), "{detail}");
}
