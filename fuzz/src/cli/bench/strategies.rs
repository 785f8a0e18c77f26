//! `bench --strategies`: which way of scheduling finds faults in the fewest programs.

use super::{DIM, grouped, paint, say, table};
use faults::{FAULTS, Fault};
use foliofuzz::Runner;
use foliofuzz::bytes::Strategy;
use foliofuzz::hunt::Hunt;
use serde::Serialize;
use std::sync::atomic::AtomicBool;

/// Faults of tiers 2 and 3, one of each family, that are found soon enough to be hunted many times.
const IDS: [&str; 5] = ["A01", "C03", "D11", "E05", "F03"];

/// Programs to try at most.
const CAP: u64 = 20_000;

/// The mix that runs have when nobody says otherwise, and what it is made of.
const STRATEGIES: [(&str, Option<Strategy>); 5] = [
    ("default mix", None),
    ("pct", Some(Strategy::Pct)),
    ("rare", Some(Strategy::Rare)),
    ("uniform", Some(Strategy::Uniform)),
    ("round robin", Some(Strategy::RoundRobin)),
];

/// One fault under one strategy.
#[derive(Serialize)]
pub(super) struct Cell {
    id: &'static str,
    strategy: &'static str,
    seeds: usize,
    found: usize,
    /// Programs until it was found, median over the seeds; the cap where it was not.
    executions: u64,
}

/// Hunts each fault under each strategy with `seeds` seeds from `seed` on.
pub(super) fn measure(seed: u64, seeds: u64) -> Vec<Cell> {
    let mut runner = Runner::new();
    let never = AtomicBool::new(false);
    let rows = FAULTS.iter().filter(|row| IDS.contains(&row.id));
    let pairs = rows.flat_map(|row| STRATEGIES.map(|(name, strategy)| (row.fault, name, strategy)));
    let mut cell = |(fault, name, strategy): (Fault, &'static str, Option<Strategy>)| {
        let outcomes = (seed..seed + seeds).map(|seed| Hunt { seed, budget: CAP, strategy });
        let outcomes: Vec<_> = outcomes.map(|hunt| hunt.run(&mut runner, fault, &never)).collect();
        let found = outcomes.iter().filter(|outcome| outcome.found.is_some()).count();
        let mut executions: Vec<u64> = outcomes.iter().map(|outcome| outcome.executions).collect();
        executions.sort_unstable();
        let executions = executions[executions.len() / 2];
        Cell { id: fault.info().id, strategy: name, seeds: outcomes.len(), found, executions }
    };
    pairs.map(&mut cell).collect()
}

pub(super) fn print(cells: &[Cell]) {
    let heading = ["programs until found"].into_iter().chain(STRATEGIES.map(|(name, _)| name)).map(str::to_owned);
    let row = |cells: &[Cell]| {
        let name = FAULTS.iter().find(|row| row.id == cells[0].id).map_or("", |row| row.name);
        let cell = |Cell { seeds, found, executions, .. }: &Cell| match (found, executions) {
            (0, _) => format!("0/{seeds}"),
            (found, executions) if found < seeds => format!("{} ({found}/{seeds})", grouped(*executions)),
            (_, executions) => grouped(*executions),
        };
        [format!("{} {name}", cells[0].id)].into_iter().chain(cells.iter().map(cell)).collect()
    };
    let rows = cells.chunks(STRATEGIES.len()).map(row);
    table(&[heading.collect::<Vec<_>>()].into_iter().chain(rows).collect::<Vec<_>>());
    say(paint(
        DIM,
        format!("medians over seeds, at most {} programs each; in brackets how many seeds found it", grouped(CAP)),
    ));
    say(paint(DIM, "not measured: libFuzzer's guidance; docs/STRATEGIES.md says how, with FOLIOFUZZ_FAULT"));
}
