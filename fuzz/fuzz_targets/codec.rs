//! libFuzzer's bytes as every form a program has: no input may panic, and no form may lose anything.

#![cfg_attr(fuzzing, no_main)]

use foliofuzz::inputs::check_codecs;

#[cfg(fuzzing)]
libfuzzer_sys::fuzz_target!(|bytes: &[u8]| check_codecs(bytes));

#[cfg(not(fuzzing))]
fn main() -> std::process::ExitCode {
    foliofuzz::inputs::replay(check_codecs)
}
