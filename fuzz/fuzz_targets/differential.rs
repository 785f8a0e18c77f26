//! libFuzzer's bytes as a program: the model against the flat file.

#![cfg_attr(fuzzing, no_main)]

use faults::FaultSet;
use foliofuzz::bytes::decode;
use foliofuzz::{Expect, Reproducer, Runner};

fn differential(bytes: &[u8]) {
    let program = decode(bytes);
    if let Some(divergence) = Runner::new().run(&program, FaultSet::NONE).divergence {
        let expect = Expect::Diverge(divergence.class);
        let file = Reproducer { comment: vec![divergence.to_string()], fault: None, expect, trace: None, program };
        panic!("{file}");
    }
}

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| differential(bytes));

#[cfg(not(fuzzing))]
fn main() -> std::process::ExitCode {
    foliofuzz::inputs::replay(differential)
}
