//! What every byte can be, kept for runs of bytes that have the same past.

use super::Act;
use std::ops::Range;

/// What a byte is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Value {
    /// Beyond the end of file.
    Absent,
    /// Zero.
    Zero,
    /// What the call of this number wrote.
    By(u32),
}

/// One thing a byte can be: the value, and which of the operations in flight have had their effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct State {
    value: Value,
    applied: u32,
}

/// Bytes with the same past.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Run {
    end: u64,
    /// Sorted, never empty.
    states: Vec<State>,
    /// The operations in flight that change these bytes: bit and effect.
    pending: Vec<(u32, Act)>,
    /// Values that are possible no more, with when that became so; for readers that began before.
    past: Vec<(Value, u64)>,
    /// When an operation last began or completed here.
    touched: u64,
    /// Nothing is promised of the content: direct I/O met a store.
    open: bool,
    /// When that was last so.
    open_until: u64,
}

impl Run {
    /// The values a reader may have found that began at `began`, each once or more.
    pub(super) fn values(&self, began: u64) -> impl Iterator<Item = Value> {
        let past = self.past.iter().filter(move |(_, until)| *until >= began).map(|(value, _)| *value);
        self.states.iter().map(|state| state.value).chain(past)
    }

    pub(super) fn can_be(&self, value: Value, began: u64) -> bool {
        self.values(began).any(|other| other == value)
    }

    pub(super) fn can_be_there(&self, began: u64) -> bool {
        self.values(began).any(|value| value != Value::Absent)
    }

    /// Whether the content is not to be judged, for a reader that began at `began`.
    pub(super) fn is_open(&self, began: u64) -> bool {
        self.open || self.open_until >= began
    }

    /// Adds every state that operations in flight can lead to.
    fn close(&mut self) {
        let mut next = 0;
        while let Some(state) = self.states.get(next).copied() {
            next += 1;
            for (slot, act) in &self.pending {
                let bit = 1 << slot;
                let then = State { value: act.on(state.value), applied: state.applied | bit };
                if state.applied & bit == 0 && !self.states.contains(&then) {
                    self.states.push(then);
                }
            }
        }
        self.states.sort_unstable();
    }
}

/// All bytes up to the file limit.
#[derive(Debug)]
pub(super) struct Bytes {
    runs: Vec<Run>,
}

impl Bytes {
    /// A file of `size` zero bytes; those up to `limit` are absent.
    pub(super) fn new(size: u64, limit: u64) -> Bytes {
        let run = |end, value| Run {
            end,
            states: vec![State { value, applied: 0 }],
            pending: Vec::new(),
            past: Vec::new(),
            touched: 0,
            open: false,
            open_until: 0,
        };
        let runs = [(size, Value::Zero), (limit, Value::Absent)];
        let mut start = 0;
        let not_empty = runs.into_iter().filter(|(end, _)| std::mem::replace(&mut start, *end) < *end);
        Bytes { runs: not_empty.map(|(end, value)| run(end, value)).collect() }
    }

    /// The runs that meet `range`, cut to it.
    pub(super) fn runs(&self, range: Range<u64>) -> impl Iterator<Item = (Range<u64>, &Run)> {
        let first = self.runs.partition_point(|run| run.end <= range.start);
        let mut start = range.start;
        self.runs[first..].iter().map_while(move |run| {
            let part = start..run.end.min(range.end);
            start = part.end;
            (!part.is_empty()).then_some((part, run))
        })
    }

    /// Whether some byte of `range` can have been `value` since `began`.
    pub(super) fn can_be(&self, range: Range<u64>, value: Value, began: u64) -> bool {
        self.runs(range).any(|(_, run)| run.can_be(value, began))
    }

    /// Whether the byte at `at` can have been there since `began`.
    pub(super) fn can_be_there(&self, at: u64, began: u64) -> bool {
        self.runs(at..at + 1).any(|(_, run)| run.can_be_there(began))
    }

    /// Whether the byte at `at` can have been beyond the end of file since `began`.
    pub(super) fn can_be_absent(&self, at: u64, began: u64) -> bool {
        self.runs(at..at + 1).all(|(_, run)| run.can_be(Value::Absent, began))
    }

    /// An operation is in flight from now on.
    pub(super) fn begin(&mut self, slot: u32, range: Range<u64>, act: Act, now: u64) {
        for run in self.cut(range) {
            run.touched = now;
            run.pending.push((slot, act));
            run.close();
        }
    }

    /// The operation is over: it had its effect on `range`, or it had none, or nobody knows.
    pub(super) fn end(&mut self, slot: u32, range: Range<u64>, effect: Option<bool>, now: u64) {
        let bit = 1 << slot;
        for run in self.cut(range) {
            run.touched = now;
            let before = std::mem::take(&mut run.states);
            run.states = before
                .iter()
                .filter(|state| effect.is_none_or(|effect| (state.applied & bit != 0) == effect))
                .copied()
                .collect();
            run.states.iter_mut().for_each(|state| state.applied &= !bit);
            run.states.sort_unstable();
            run.states.dedup();
            let sets = run.pending.iter().any(|(other, act)| *other == slot && matches!(act, Act::Set(_)));
            run.pending.retain(|(other, _)| *other != slot);
            for State { value, .. } in before {
                if !run.states.iter().any(|state| state.value == value) && !run.past.contains(&(value, now)) {
                    run.past.push((value, now));
                }
            }
            // What was written since, and by nobody else at the same time, is certain again.
            if run.open && sets && effect == Some(true) && run.pending.is_empty() && run.states.len() == 1 {
                (run.open, run.open_until) = (false, now);
            }
        }
        self.join();
    }

    /// Nothing is promised of `range`'s content from now on, until it is written again.
    pub(super) fn open(&mut self, range: Range<u64>) {
        self.cut(range).iter_mut().for_each(|run| run.open = true);
    }

    /// A reader that began at `began` found one of `found` in `range`, and nothing was in flight there meanwhile:
    /// that is what the bytes are.
    pub(super) fn settle(&mut self, range: Range<u64>, began: u64, found: &[Value], now: u64) {
        for run in self.cut(range) {
            let quiet = run.pending.is_empty() && run.touched < began && !run.open;
            if quiet && run.states.len() > 1 {
                let (stay, go) = run.states.iter().copied().partition(|state| found.contains(&state.value));
                run.states = stay;
                // Who began earlier may have read before it was decided.
                run.past.extend(go.into_iter().map(|state: State| (state.value, now)));
            }
        }
    }

    /// Readers that began before `oldest` are gone.
    pub(super) fn forget(&mut self, oldest: u64) {
        for run in &mut self.runs {
            run.past.retain(|(_, until)| *until >= oldest);
            run.open_until *= u64::from(run.open_until >= oldest);
        }
        self.join();
    }

    /// The runs of exactly `range`.
    fn cut(&mut self, range: Range<u64>) -> &mut [Run] {
        if range.is_empty() {
            return &mut [];
        }
        let first = self.cut_at(range.start);
        let last = self.cut_at(range.end);
        &mut self.runs[first..last]
    }

    /// The number of the run that begins at `at`, after making one begin there.
    fn cut_at(&mut self, at: u64) -> usize {
        let nth = self.runs.partition_point(|run| run.end <= at);
        let start = if nth == 0 { 0 } else { self.runs[nth - 1].end };
        if start == at || nth == self.runs.len() {
            return nth;
        }
        let left = Run { end: at, ..self.runs[nth].clone() };
        self.runs.insert(nth, left);
        nth + 1
    }

    /// Joins neighbours with the same past.
    fn join(&mut self) {
        self.runs.dedup_by(|next, run| {
            let same = run.states == next.states
                && run.pending == next.pending
                && run.past == next.past
                && (run.open, run.open_until) == (next.open, next.open_until);
            if same {
                run.end = next.end;
                run.touched = run.touched.max(next.touched);
            }
            same
        });
    }
}
