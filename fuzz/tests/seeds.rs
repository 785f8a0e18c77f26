//! The hand-written programs: each says one thing, agrees on the model, and survives every form.

use faults::FaultSet;
use foliofuzz::bytes::{decode, encode};
use foliofuzz::{Expect, Reproducer, Runner};
use lanes::Schedule;
use std::path::PathBuf;

fn seeds() -> Vec<(PathBuf, String)> {
    let dir = concat!(env!("CARGO_MANIFEST_DIR"), "/../corpus/seeds");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.into_iter().map(|path| (path.clone(), std::fs::read_to_string(path).unwrap())).collect()
}

fn parse(path: &std::path::Path, text: &str) -> Reproducer {
    text.parse().unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn seeds_print_back_as_they_stand_and_survive_their_bytes() {
    let seeds = seeds();
    assert!(seeds.len() >= 20);
    for (path, text) in seeds {
        let seed = parse(&path, &text);
        assert_eq!(seed.to_string(), text, "{}", path.display());
        assert_eq!(decode(&encode(&seed.program)), seed.program, "{}", path.display());
        assert!(!seed.comment.is_empty(), "{} does not tell its idea", path.display());
    }
}

#[test]
fn seeds_agree_and_their_switches_happen() {
    let mut runner = Runner::new();
    for (path, text) in seeds() {
        let Reproducer { expect, program, .. } = parse(&path, &text);
        let verdict = runner.run(&program, FaultSet::NONE);
        assert_eq!(expect, Expect::Agree, "{}", path.display());
        assert_eq!(verdict.divergence, None, "{}", path.display());
        let Schedule::Anchored(anchors) = &program.schedule else { panic!("{}", path.display()) };
        let recorded = runner.record(&program, FaultSet::NONE).anchors;
        for anchor in anchors {
            let happened = recorded.iter().any(|other| other.place == anchor.place);
            assert!(happened, "{}: nothing happens at {}", path.display(), anchor.place);
        }
    }
}

/// The seed that is about the fault which started it all is a program that shows it.
#[cfg(feature = "faults")]
#[test]
fn the_stale_mapping_seed_shows_the_fault() {
    let (path, text) = seeds().into_iter().find(|(path, _)| path.ends_with("stale-mapping.folio")).unwrap();
    let program = parse(&path, &text).program;
    let armed = FaultSet::only(faults::Fault::StaleIomap);
    assert_eq!(Runner::new().run(&program, armed).class(), Some(oracle::Class::Content));
    let sequential = foliofuzz::Program { schedule: Schedule::default(), ..program };
    assert_eq!(Runner::new().run(&sequential, armed).class(), None, "without the switches nothing is to be seen");
}
