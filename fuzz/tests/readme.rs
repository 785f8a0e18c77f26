//! The README says what the program prints.
#![cfg(feature = "faults")]

use faults::FAULTS;
use std::path::Path;
use std::process::Command;

#[test]
fn the_readme_shows_what_show_prints_and_counts_what_there_is() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap();
    let show = Command::new(env!("CARGO_BIN_EXE_foliofuzz"))
        .args(["show", "corpus/faults/A01-stale-iomap-write-vs-writeback-reclaim.folio"])
        .current_dir(root)
        .output()
        .unwrap();
    let printed = String::from_utf8(show.stdout).unwrap();
    assert!(
        printed.contains("flusher") && readme.contains(&printed),
        "the README shows something else than:\n{printed}"
    );
    assert!(readme.contains(&format!("{} historical bugs can be armed", FAULTS.len())));
}
