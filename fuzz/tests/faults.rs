//! Every historical bug has a minimized reproducer that shows it: with the fault armed the program diverges as it
//! did when it was found, without it the same program agrees.
#![cfg(feature = "faults")]

mod corpus;

use faults::{FAULTS, FaultSet};
use foliofuzz::finding::file_name;
use foliofuzz::{Expect, Reproducer, Runner};
use oracle::Class;
use std::collections::BTreeSet;
use std::path::PathBuf;

fn reproducers() -> Vec<(PathBuf, String, Reproducer)> {
    corpus::read("faults")
}

#[test]
fn every_fault_has_its_reproducer_and_every_reproducer_its_fault() {
    let have: BTreeSet<PathBuf> = reproducers().into_iter().map(|(path, ..)| path).collect();
    let want = FAULTS.iter().map(|row| corpus::folder("faults").join(format!("{}-{}.folio", row.id, row.name)));
    assert_eq!(have, want.collect());
}

#[test]
fn reproducers_print_back_as_they_stand_under_their_own_name() {
    for (path, text, reproducer) in reproducers() {
        assert_eq!(reproducer.to_string(), text, "{}", path.display());
        assert_eq!(path.file_name().unwrap().to_str().unwrap(), file_name(&reproducer));
    }
}

#[test]
fn armed_each_diverges_as_it_did_and_unarmed_it_agrees() {
    let mut runner = Runner::new();
    for (path, _, Reproducer { fault, expect, trace, program, .. }) in reproducers() {
        let path = path.display();
        let fault = fault.unwrap_or_else(|| panic!("{path} names no fault"));
        let Expect::Diverge(class) = expect else { panic!("{path} expects nothing") };
        assert!(fault.info().detectors.contains(&class.name()), "{path}: {class} does not count as having found it");
        let armed = runner.run(&program, FaultSet::only(fault));
        assert_eq!(armed.class(), Some(class), "{path}");
        assert_eq!(
            Some(armed.trace),
            trace,
            "{path}: the run has changed; `foliofuzz hunt --all --refresh --out corpus/faults`"
        );
        assert_eq!(runner.run(&program, FaultSet::NONE).divergence, None, "{path}, unarmed");
    }
}

/// What the project was asked to show first: the stale mapping, as short as the people who had it tell it.
#[test]
fn the_stale_mapping_takes_four_operations_and_three_switches_at_most() {
    let stale =
        |(_, _, reproducer): &(PathBuf, String, Reproducer)| reproducer.fault == Some(faults::Fault::StaleIomap);
    let (_, _, found) = reproducers().into_iter().find(stale).unwrap();
    assert_eq!(found.expect, Expect::Diverge(Class::Content));
    assert!(found.program.op_count() <= 4 && found.program.schedule.switches() <= 3);
}
