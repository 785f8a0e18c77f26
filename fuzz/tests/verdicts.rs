//! Runs that do not get on say which lanes do not, what each waits for, and who was to end that.
#![cfg(feature = "faults")]

mod corpus;

use faults::{Fault, FaultSet};
use foliofuzz::Runner;
use oracle::{Class, Divergence};

/// What the reproducer of a fault shows.
fn shown(fault: Fault) -> Divergence {
    let all = corpus::read("faults");
    let (.., reproducer) = all.into_iter().find(|(.., reproducer)| reproducer.fault == Some(fault)).unwrap();
    Runner::new().run(&reproducer.program, FaultSet::only(fault)).divergence.unwrap()
}

#[test]
fn a_deadlock_names_the_circle_and_what_each_lane_in_it_waits_for() {
    let Divergence { class, detail, .. } = shown(Fault::ThrottleLocked);
    let lines: Vec<&str> = detail.lines().collect();
    assert_eq!(class, Class::Deadlock);
    assert_eq!(lines[0], "lanes wait for each other, 0 for flusher, flusher for 0");
    assert!(lines[1].starts_with("lane 0, in 0.0, waits at G2 for fewer dirty pages than "), "{detail}");
    assert!(lines[1].contains("to be woken by flusher, which waits at B1, and end-io, which "), "{detail}");
    assert_eq!(lines[2], "lane flusher waits at B1 for folio lock 0, held by 0, which waits at G2");
}

/// Nobody unlocks a folio of a readahead window that was given up: no circle, and nobody left to wait for.
#[test]
fn a_hang_says_that_nobody_is_left_to_wake_the_sleeper() {
    let Divergence { class, detail, .. } = shown(Fault::LeftoverLocked);
    assert_eq!(class, Class::Hang);
    let lines: Vec<&str> = detail.lines().collect();
    assert_eq!(lines[0], "no lane can go on, and nobody is left to wake those that sleep");
    assert!(
        lines[1].contains(" for folio lock ") && lines[1].contains("held by end-io, which has nothing to do"),
        "{detail}"
    );
}

#[test]
fn a_livelock_names_the_places_it_goes_through() {
    let Divergence { class, detail, .. } = shown(Fault::FallbackNotRealigned);
    assert_eq!(class, Class::Livelock);
    let lines: Vec<&str> = detail.lines().collect();
    assert_eq!((lines[0], lines.len()), ("lanes run on and on and no operation completes", 2), "{detail}");
    let (lane, places) = lines[1].split_once(" goes round and round: ").unwrap_or_else(|| panic!("{detail}"));
    assert!(lane.starts_with("lane "), "{detail}");
    for place in ["R2a", "ALLOC", "ADD1"] {
        assert!(places.split(' ').any(|name| name == place), "{detail}");
    }
}
