//! libFuzzer's bytes as a program: the model against the flat file.
//!
//! With `FOLIOFUZZ_FAULT=A01` in the environment that historical bug is armed: so the runs can be counted that
//! libFuzzer's guidance needs to find it.

#![cfg_attr(fuzzing, no_main)]

use faults::{Fault, FaultSet};
use foliofuzz::bytes::decode;
use foliofuzz::{Expect, Reproducer, Runner};
use std::sync::LazyLock;

static FAULT: LazyLock<Option<Fault>> = LazyLock::new(|| {
    let name = std::env::var("FOLIOFUZZ_FAULT").ok()?;
    let fault = Fault::from_name(&name).filter(|_| cfg!(feature = "faults"));
    if fault.is_none() {
        eprintln!("FOLIOFUZZ_FAULT: no fault {name} can be armed here; `foliofuzz faults` lists them");
        std::process::exit(2);
    }
    fault
});

fn differential(bytes: &[u8]) {
    let program = decode(bytes);
    let faults = FAULT.map_or(FaultSet::NONE, FaultSet::only);
    if let Some(divergence) = Runner::new().run(&program, faults).divergence {
        let expect = Expect::Diverge(divergence.class);
        let file = Reproducer { comment: vec![divergence.to_string()], fault: *FAULT, expect, trace: None, program };
        panic!("{file}");
    }
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| differential(bytes));

#[cfg(not(fuzzing))]
fn main() -> std::process::ExitCode {
    foliofuzz::inputs::replay(differential)
}
