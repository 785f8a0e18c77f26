//! Making a diverging program as small as it gets.
//!
//! Nothing here knows what a program runs on: a closure runs a candidate and gives the class of its divergence.
//! A candidate is taken if that is the class the search started with; another class is another bug. The result
//! is 1-minimal unless the budget ran out: no single operation, switch or pick can go, and no single step in
//! kind, operand or geometry can be taken, without losing the divergence.

mod edit;
mod schedule;
mod simplify;

use crate::program::Program;
use lanes::Schedule;
use oracle::Class;
use std::ops::Range;

/// Runs a candidate and gives the class of its divergence, none if it agrees.
pub type Test<'t> = dyn FnMut(&Program) -> Option<Class> + 't;

/// What came out.
#[derive(Clone, Debug)]
pub struct Minimized {
    /// The smallest program found.
    pub program: Program,
    /// How many candidates were run.
    pub executions: u64,
    /// Whether it is 1-minimal; if not, the budget ran out before.
    pub is_minimal: bool,
}

/// Shrinks `program`, which diverges with `class`, running at most `budget` candidates.
///
/// The schedule should be anchored: of other schedules only the replacement by the sequential run is tried.
pub fn minimize(program: &Program, class: Class, budget: u64, test: &mut Test<'_>) -> Minimized {
    let mut search = Search { best: program.clone(), class, used: 0, budget, test };
    // All passes must come to nothing after the last success, each once.
    while search.pass() {}
    Minimized { is_minimal: search.used < budget, program: search.best, executions: search.used }
}

struct Search<'s, 't> {
    best: Program,
    class: Class,
    used: u64,
    budget: u64,
    test: &'s mut Test<'t>,
}

impl Search<'_, '_> {
    /// One round of everything; whether anything got smaller.
    fn pass(&mut self) -> bool {
        let mut smaller = self.sequential();
        smaller |= self.lanes();
        smaller |= self.drop_items(Program::op_count, edit::without_ops);
        smaller |= self.drop_items(edit::switch_count, edit::without_switches);
        smaller |= self.steps(simplify::geometry);
        smaller |= self.steps(simplify::shifted);
        for nth in (0..self.best.op_count()).rev() {
            smaller |= self.steps(|program| simplify::op(program, nth));
        }
        smaller |= self.steps(simplify::picks);
        // Many candidates: only once the program itself is as small as it gets.
        smaller = smaller || self.steps(schedule::simpler);
        smaller && self.used < self.budget
    }

    /// Whether `candidate` still shows the divergence; it is the best one from then on.
    fn take(&mut self, candidate: Program) -> bool {
        if self.used >= self.budget || candidate == self.best || candidate.validate().is_err() {
            return false;
        }
        self.used += 1;
        let found = (self.test)(&candidate) == Some(self.class);
        if found {
            self.best = candidate;
        }
        found
    }

    fn sequential(&mut self) -> bool {
        self.take(Program { schedule: Schedule::default(), ..self.best.clone() })
    }

    fn lanes(&mut self) -> bool {
        let mut smaller = false;
        let mut lane = self.best.lanes.len();
        while lane > 0 && self.best.lanes.len() > 1 {
            lane -= 1;
            smaller |= edit::without_lane(&self.best, lane).into_iter().any(|candidate| self.take(candidate));
        }
        if self.best.lanes.len() > 1 {
            smaller |= edit::joined(&self.best).into_iter().any(|candidate| self.take(candidate));
        }
        smaller
    }

    /// Drops items in ever smaller groups, last ones first: what follows the divergence goes at once.
    fn drop_items(
        &mut self,
        count: impl Fn(&Program) -> usize,
        without: impl Fn(&Program, Range<usize>) -> Vec<Program>,
    ) -> bool {
        let mut smaller = false;
        let mut group = count(&self.best).next_power_of_two();
        while group > 0 {
            let mut end = count(&self.best);
            while end > 0 {
                let start = end.saturating_sub(group);
                smaller |= without(&self.best, start..end).into_iter().any(|candidate| self.take(candidate));
                end = start.min(count(&self.best));
            }
            group /= 2;
        }
        smaller
    }

    /// Takes simpler variants as long as there are any.
    fn steps(&mut self, variants: impl Fn(&Program) -> Vec<Program>) -> bool {
        let mut smaller = false;
        while variants(&self.best).into_iter().any(|candidate| self.take(candidate)) {
            smaller = true;
        }
        smaller
    }
}

#[cfg(test)]
mod tests;
