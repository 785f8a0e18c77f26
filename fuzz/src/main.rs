//! The command line of foliofuzz.

mod cli;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    foliofuzz::panics::install_hook();
    match cli::Cli::parse().run() {
        Ok(cli::Ending::Agree) => ExitCode::SUCCESS,
        Ok(cli::Ending::Diverged) => ExitCode::from(1),
        Err(error) => {
            anstream::eprintln!("foliofuzz: {error}");
            ExitCode::from(2)
        }
    }
}
