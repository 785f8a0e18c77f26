//! Runs that do not get on, in sentences: who waits for what, and who was to end that.

use lanes::{LaneId, Waiting, Y};
use oracle::{Class, OpId};

/// Lanes that sleep, with what they wait for where that is known.
type Sleepers = [(LaneId, Option<Waiting>)];

/// No lane can go on. A circle of lanes that wait for each other is a deadlock; without one somebody sleeps whom
/// nobody is left to wake.
pub(crate) fn nobody_goes_on(sleepers: &Sleepers, op_of: impl Fn(LaneId) -> Option<OpId>) -> (Class, String) {
    let (class, mut text) = match circle(sleepers).as_deref() {
        Some([lane]) => (Class::Deadlock, format!("lane {lane} waits for itself")),
        Some(lanes) => {
            let next = lanes.iter().cycle().skip(1);
            let pairs: Vec<String> =
                lanes.iter().zip(next).map(|(lane, other)| format!("{lane} for {other}")).collect();
            (Class::Deadlock, format!("lanes wait for each other, {}", pairs.join(", ")))
        }
        None => (Class::Hang, "no lane can go on, and nobody is left to wake those that sleep".to_owned()),
    };
    // The checker waits for the others to finish.
    for (lane, waiting) in sleepers.iter().filter(|(lane, _)| *lane != LaneId::CHECKER || sleepers.len() == 1) {
        text.push_str(&sleeper(*lane, *waiting, &op_of, &|other| whereabouts(sleepers, &[], other)));
    }
    (class, text)
}

/// Lanes run and no operation completes. `recent` are the last places passed, oldest first.
pub(crate) fn nothing_completes(
    recent: &[(LaneId, Y)],
    sleepers: &Sleepers,
    op_of: impl Fn(LaneId) -> Option<OpId>,
) -> String {
    let mut text = "lanes run on and on and no operation completes".to_owned();
    let mut runners: Vec<LaneId> = recent.iter().map(|(lane, _)| *lane).collect();
    runners.sort_unstable();
    runners.dedup();
    for lane in &runners {
        let passed: Vec<Y> = recent.iter().filter(|(other, _)| other == lane).map(|(_, y)| *y).collect();
        let (how, places) = match round(&passed) {
            Some(places) => ("goes round and round", places),
            None => ("has passed last", &passed[..]),
        };
        let names: Vec<&str> = places.iter().map(|y| y.name()).collect();
        text.push_str(&format!("\nlane {lane}{} {how}: {}", within(op_of(*lane)), names.join(" ")));
    }
    let asleep = sleepers.iter().filter(|(lane, _)| *lane != LaneId::CHECKER && !runners.contains(lane));
    for (lane, waiting) in asleep {
        text.push_str(&sleeper(*lane, *waiting, &op_of, &|other| whereabouts(sleepers, &runners, other)));
    }
    text
}

/// The shortest circle of lanes that each wait for the next that is found first.
fn circle(sleepers: &Sleepers) -> Option<Vec<LaneId>> {
    let next = |lane: LaneId| {
        let waiting = sleepers.iter().find(|(other, _)| *other == lane).and_then(|(_, waiting)| *waiting);
        waiting.into_iter().flat_map(|waiting| waiting.holders().collect::<Vec<_>>())
    };
    sleepers.iter().find_map(|(start, _)| {
        let mut paths = vec![vec![*start]];
        let mut seen = Vec::new();
        while !paths.is_empty() {
            let mut longer = Vec::new();
            for path in paths {
                for lane in next(path[path.len() - 1]) {
                    if lane == *start {
                        return Some(path);
                    }
                    if !seen.contains(&lane) {
                        seen.push(lane);
                        longer.push([&path[..], &[lane]].concat());
                    }
                }
            }
            paths = longer;
        }
        None
    })
}

fn sleeper(
    lane: LaneId,
    waiting: Option<Waiting>,
    op_of: &dyn Fn(LaneId) -> Option<OpId>,
    whereabouts: &dyn Fn(LaneId) -> String,
) -> String {
    let who = format!("\nlane {lane}{}", within(op_of(lane)));
    let Some(waiting) = waiting else { return format!("{who} sleeps, and does not say for what") };
    let holders: Vec<String> = waiting.holders().map(|lane| format!("{lane}, which {}", whereabouts(lane))).collect();
    let by = match (holders.is_empty(), waiting.is_owed()) {
        (true, true) => "which no lane is left to wake it for".to_owned(),
        (true, false) => "which no lane holds".to_owned(),
        (false, true) => format!("to be woken by {}", holders.join(", and ")),
        (false, false) => format!("held by {}", holders.join(", and ")),
    };
    format!("{who} waits at {} for {}, {by}", waiting.y, waiting.thing())
}

fn within(op: Option<OpId>) -> String {
    op.map_or(String::new(), |op| format!(", in {op},"))
}

/// What a lane that another one waits for does itself.
fn whereabouts(sleepers: &Sleepers, runners: &[LaneId], lane: LaneId) -> String {
    match sleepers.iter().find(|(other, _)| *other == lane) {
        Some((_, Some(waiting))) => format!("waits at {}", waiting.y),
        Some((_, None)) => "sleeps".to_owned(),
        None if runners.contains(&lane) => "goes on and on".to_owned(),
        None if LaneId::BACKGROUND.contains(&lane) => "has nothing to do".to_owned(),
        None => "has finished".to_owned(),
    }
}

/// The shortest sequence that `passed` repeats from its beginning to its end, at least twice.
fn round(passed: &[Y]) -> Option<&[Y]> {
    let repeats = |len: usize| passed[len..].iter().zip(passed).all(|(later, earlier)| later == earlier);
    (1..=passed.len() / 2).find(|len| repeats(*len)).map(|len| &passed[..len])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(lane: u8, y: Y, what: &'static str, holders: u64) -> (LaneId, Option<Waiting>) {
        (LaneId(lane), Some(Waiting { y, what, id: Waiting::ONLY, holders }))
    }

    fn op_of(lane: LaneId) -> Option<OpId> {
        lane.is_user().then_some(OpId { lane: lane.0, index: 4 })
    }

    #[test]
    fn a_circle_is_a_deadlock_and_names_its_lanes() {
        let [zero, one] = [LaneId(0).bit(), LaneId(1).bit()];
        let sleepers = [waits(0, Y::T7, "extents", one), waits(1, Y::W0, "i_rwsem", zero | LaneId(2).bit())];
        let (class, text) = nobody_goes_on(&sleepers, op_of);
        assert_eq!(class, Class::Deadlock);
        let expected = "lanes wait for each other, 0 for 1, 1 for 0
lane 0, in 0.4, waits at T7 for extents, held by 1, which waits at W0
lane 1, in 1.4, waits at W0 for i_rwsem, held by 0, which waits at T7, and 2, which has finished";
        assert_eq!(text, expected);
        let (class, text) = nobody_goes_on(&[waits(0, Y::LOCK, "folio lock", zero)], op_of);
        assert_eq!((class, text.lines().next()), (Class::Deadlock, Some("lane 0 waits for itself")));
    }

    /// Lane 0 waits for somebody in a circle, and is not in it.
    #[test]
    fn who_waits_for_a_circle_is_not_part_of_it() {
        let bit = |lane: u8| LaneId(lane).bit();
        let sleepers = [waits(0, Y::W0, "a", bit(1)), waits(1, Y::W0, "b", bit(2)), waits(2, Y::W0, "a", bit(1))];
        assert_eq!(circle(&sleepers), Some(vec![LaneId(1), LaneId(2)]));
    }

    #[test]
    fn a_wake_up_that_nobody_sends_is_a_hang() {
        let owed = LaneId::END_IO.bit() | Waiting::OWED;
        let sleepers = [waits(0, Y::WBW, "end of writeback", owed), waits(1, Y::LOCKD, "folio lock", 0)];
        let (class, text) = nobody_goes_on(&sleepers, op_of);
        assert_eq!(class, Class::Hang);
        let expected = "no lane can go on, and nobody is left to wake those that sleep
lane 0, in 0.4, waits at WBW for end of writeback, to be woken by end-io, which has nothing to do
lane 1, in 1.4, waits at LOCKD for folio lock, which no lane holds";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_livelock_names_the_round_of_every_lane_and_who_waits_meanwhile() {
        let turn = [(LaneId(0), Y::LK1), (LaneId::RECLAIM, Y::C1), (LaneId(0), Y::LK3), (LaneId::RECLAIM, Y::C2)];
        let mut recent = turn.repeat(4);
        recent.push((LaneId::FLUSHER, Y::B1));
        let text = nothing_completes(&recent, &[waits(1, Y::W0, "i_rwsem", LaneId(0).bit())], op_of);
        let expected = "lanes run on and on and no operation completes
lane 0, in 0.4, goes round and round: LK1 LK3
lane flusher has passed last: B1
lane reclaim goes round and round: C1 C2
lane 1, in 1.4, waits at W0 for i_rwsem, held by 0, which goes on and on";
        assert_eq!(text, expected);
    }
}
