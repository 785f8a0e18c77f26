//! A set of bytes of the file, for what the permitted differences say of single bytes.

use std::ops::Range;

/// Disjoint ranges in ascending order. Nearly always empty.
#[derive(Clone, Debug, Default)]
pub(super) struct ByteSet {
    ranges: Vec<Range<u64>>,
}

impl ByteSet {
    pub(super) fn clear(&mut self) {
        self.ranges.clear();
    }

    /// Adds `range`.
    pub(super) fn insert(&mut self, range: Range<u64>) {
        self.remove(range.clone());
        if !range.is_empty() {
            let at = self.ranges.partition_point(|other| other.start < range.start);
            self.ranges.insert(at, range);
        }
    }

    /// Takes `range` out.
    pub(super) fn remove(&mut self, range: Range<u64>) {
        if range.is_empty() || !self.ranges.iter().any(|open| open.start < range.end && range.start < open.end) {
            return;
        }
        let cut = |open: &Range<u64>| [open.start..open.end.min(range.start), open.start.max(range.end)..open.end];
        self.ranges = self.ranges.iter().flat_map(cut).filter(|part| !part.is_empty()).collect();
    }

    /// The parts of `range` that are in the set.
    pub(super) fn inside(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> + Clone {
        let met = self.ranges.iter().map(move |open| open.start.max(range.start)..open.end.min(range.end));
        met.filter(|part| !part.is_empty())
    }

    /// The parts of `range` that are not in the set.
    pub(super) fn outside(&self, range: Range<u64>) -> impl Iterator<Item = Range<u64>> {
        let starts = std::iter::once(range.start).chain(self.inside(range.clone()).map(|part| part.end));
        let ends = self.inside(range.clone()).map(|part| part.start).chain(std::iter::once(range.end));
        starts.zip(ends).map(|(start, end)| start..end).filter(|part| !part.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_the_set_it_claims_to_be() {
        // Every sequence of three insertions or removals of ranges in [0, 6), against one flag per byte.
        let ranges: Vec<Range<u64>> = (0..6).flat_map(|from| (from..=6).map(move |to| from..to)).collect();
        let steps: Vec<(bool, &Range<u64>)> = ranges.iter().flat_map(|range| [(true, range), (false, range)]).collect();
        for first in &steps {
            for second in &steps {
                for third in &steps {
                    let mut open = ByteSet::default();
                    let mut flags = [false; 6];
                    for (insert, range) in [first, second, third] {
                        if *insert {
                            open.insert((*range).clone())
                        } else {
                            open.remove((*range).clone())
                        }
                        (*range).clone().for_each(|at| flags[at as usize] = *insert);
                    }
                    let closed: Vec<u64> = open.outside(0..6).flatten().collect();
                    let expected: Vec<u64> = (0..6).filter(|at| !flags[*at as usize]).collect();
                    assert_eq!(closed, expected, "{first:?} {second:?} {third:?}");
                    let inside: Vec<u64> = open.inside(0..6).flatten().collect();
                    assert!(inside.iter().all(|at| flags[*at as usize]) && inside.len() + expected.len() == 6);
                    let part: Vec<u64> = open.outside(1..4).flatten().collect();
                    assert!(part.iter().eq(expected.iter().filter(|at| (1..4).contains(*at))));
                }
            }
        }
    }
}
