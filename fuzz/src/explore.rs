//! Every state a crash may leave, one after the other, without running the program again for each.

use oracle::{Divergence, FlatFile, OpId};
use targets::model::{Model, Question};

/// What was seen at one crash.
#[derive(Clone, Debug, Default)]
pub struct Exploration {
    /// How many states were looked at.
    pub states: u64,
    /// The first that is wrong: what to pick at the place CRASH to have it, and what is wrong.
    pub wrong: Option<(Vec<u32>, Divergence)>,
}

/// Looks at the states that a crash of `model` may leave: with every beginning of the log that is not durable; with
/// nothing of the device's cache, all of it, and all mixtures in which at most `units` units differ from one of these.
pub(crate) fn explore(model: &Model, flat: &FlatFile, crash: OpId, units: usize) -> Exploration {
    let mut script = Script { answers: Vec::new(), next: 0, units };
    let mut seen = Exploration::default();
    loop {
        script.next = 0;
        let Some(wreck) = model.crash(&mut |question, n| script.answer(question, n)) else { return seen };
        seen.states += 1;
        let recovered = model.recover(wreck);
        let judged = flat.judge_crash(crash, &recovered.content_on_device()).and_then(|()| recovered.check(false));
        if let Err(divergence) = judged {
            let picks = script.answers.iter().map(|answer| answer.choice).collect();
            seen.wrong = Some((picks, Divergence { op: Some(crash), ..divergence }));
            return seen;
        }
        if !script.advance() {
            return seen;
        }
    }
}

struct Answer {
    question: Question,
    choice: u32,
    n: u32,
}

/// The answers given so far, which are given again; behind them every answer is 0.
struct Script {
    answers: Vec<Answer>,
    next: usize,
    /// Most units for which another answer than 0 is tried at once.
    units: usize,
}

impl Script {
    fn answer(&mut self, question: Question, n: u32) -> u32 {
        if self.next == self.answers.len() {
            self.answers.push(Answer { question, choice: 0, n });
        }
        self.next += 1;
        self.answers[self.next - 1].choice
    }

    /// On to the next script; false if that was the last.
    fn advance(&mut self) -> bool {
        while let Some(mut last) = self.answers.pop() {
            let chosen = self.answers.iter().filter(|other| other.question == Question::Unit && other.choice > 0);
            let full = last.question == Question::Unit && last.choice == 0 && chosen.count() >= self.units;
            if last.choice + 1 < last.n && !full {
                last.choice += 1;
                self.answers.push(last);
                return true;
            }
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answers to a cache question and `units` unit questions, for every script.
    fn scripts(units: usize, most: usize) -> Vec<Vec<u32>> {
        let mut script = Script { answers: Vec::new(), next: 0, units: most };
        let mut all = Vec::new();
        loop {
            script.next = 0;
            let way = script.answer(Question::Cache, 3);
            let mut answers = vec![way];
            if way == 2 {
                answers.extend((0..units).map(|_| script.answer(Question::Unit, 3)));
            }
            all.push(answers);
            if !script.advance() {
                return all;
            }
        }
    }

    #[test]
    fn every_script_comes_once_with_few_units_chosen() {
        for (units, most, expected) in [(3, 0, 1), (3, 1, 1 + 3 * 2), (3, 2, 1 + 3 * 2 + 3 * 4), (3, 3, 27), (2, 9, 9)]
        {
            let mut all = scripts(units, most);
            assert_eq!(all.len(), 2 + expected, "{units} units, {most} chosen at most");
            assert!(all.iter().all(|script| script.iter().skip(1).filter(|choice| **choice > 0).count() <= most));
            all.sort();
            all.dedup();
            assert_eq!(all.len(), 2 + expected, "none comes twice");
        }
    }
}
