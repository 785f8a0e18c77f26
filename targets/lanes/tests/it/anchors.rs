//! What an anchored schedule means, rule by rule, on lanes that only pass places.

use lanes::anchored::{record, record_steps};
use lanes::policy::policy_of;
use lanes::{Action, Anchor, Event, Lane, LaneId, Place, Schedule, Sim, Y, run};

const FLUSHER: LaneId = LaneId::FLUSHER;
const END_IO: LaneId = LaneId::END_IO;
const RECLAIM: LaneId = LaneId::RECLAIM;

pub(crate) fn place(lane: LaneId, op: u32, y: Y, nth: u16) -> Place {
    Place { lane, op, y, nth }
}

fn anchor(place: Place, lanes: &[LaneId]) -> Anchor {
    Anchor { place, action: Action::Run(lanes.to_vec()) }
}

/// Two writers pass W13 three times each; the first one's first makes work for all background lanes, and each of
/// those passes three places over it. Returns who was where, in words.
pub(crate) fn writers(policy: Box<dyn lanes::Policy>) -> (String, Vec<Anchor>) {
    let (policy, steps) = record_steps(policy);
    let (policy, recording) = record(policy);
    let sim = Sim::new(policy, 1000);
    let events: [Event; 3] = Default::default();
    let mut lanes: Vec<(LaneId, Lane<'_>)> = Vec::new();
    for lane in [LaneId(0), LaneId(1)] {
        let (task, events) = (sim.task(lane), &events);
        lanes.push((
            lane,
            Box::pin(async move {
                for n in 0..3 {
                    if lane == LaneId(0) && n == 0 {
                        events.iter().for_each(Event::raise);
                    }
                    task.at(Y::W13).await;
                }
            }),
        ));
    }
    for (n, lane) in crate::toy::BACKGROUND.into_iter().enumerate() {
        let (task, event) = (sim.task(lane), &events[n]);
        lanes.push((
            lane,
            Box::pin(async move {
                for pass in 1.. {
                    event.wait(&task).await;
                    task.begin_op(pass);
                    for y in [Y::B1, Y::B2, Y::B3] {
                        task.at(y).await;
                    }
                }
            }),
        ));
    }
    run(&sim, lanes);
    let words = steps.steps().into_iter().filter(|place| place.y != Y::IDLE && place.y != Y::FINISH);
    let words: Vec<String> = words.map(|place| format!("{}{}", place.lane, place.y)).collect();
    (words.join(" "), recording.anchors())
}

fn anchored(anchors: &[Anchor]) -> String {
    writers(policy_of(&Schedule::Anchored(anchors.to_vec()))).0
}

const SEQUENTIAL: &str = "0W13 0W13 0W13 1W13 1W13 1W13";
const FLUSH: &str = "flusherB1 flusherB2 flusherB3";

#[test]
fn the_lanes_of_a_list_run_in_turn_and_the_stopped_lane_goes_on() {
    assert_eq!(anchored(&[]), SEQUENTIAL);
    let at = place(LaneId(0), 0, Y::W13, 2);
    let list = anchored(&[anchor(at, &[FLUSHER, END_IO, RECLAIM])]);
    let background = "flusherB1 flusherB2 flusherB3 end-ioB1 end-ioB2 end-ioB3 reclaimB1 reclaimB2 reclaimB3";
    assert_eq!(list, format!("0W13 0W13 {background} 0W13 1W13 1W13 1W13"));
    let split = [anchor(at, &[FLUSHER]), anchor(at, &[END_IO, RECLAIM])];
    assert_eq!(anchored(&split), list, "two lists for one place are one");
}

#[test]
fn who_cannot_run_is_skipped_and_what_does_not_come_up_changes_nothing() {
    let at = place(LaneId(0), 0, Y::W13, 2);
    let list = anchored(&[anchor(at, &[LaneId(5), FLUSHER, FLUSHER, LaneId(200), LaneId::CHECKER])]);
    assert_eq!(list, format!("0W13 0W13 {FLUSH} 0W13 1W13 1W13 1W13"));
    let nowhere = [
        anchor(place(LaneId(0), 0, Y::W13, 4), &[FLUSHER]),
        anchor(place(LaneId(0), 1, Y::W13, 1), &[FLUSHER]),
        anchor(place(LaneId(9), 0, Y::W13, 1), &[FLUSHER]),
        anchor(place(LaneId(77), 0, Y::W13, 1), &[FLUSHER]),
        anchor(at, &[]),
        Anchor { place: at, action: Action::Pick(3) },
    ];
    assert_eq!(anchored(&nowhere), SEQUENTIAL);
}

#[test]
fn the_run_can_begin_with_any_lane() {
    let start = place(LaneId(0), 0, Y::START, 1);
    assert_eq!(anchored(&[anchor(start, &[LaneId(1)])]), "1W13 1W13 1W13 0W13 0W13 0W13");
}

#[test]
fn lists_nest_and_a_lane_named_in_one_is_no_longer_stopped() {
    let outer = anchor(place(LaneId(0), 0, Y::W13, 1), &[FLUSHER, RECLAIM]);
    let inner = anchor(place(FLUSHER, 1, Y::B2, 1), &[LaneId(1)]);
    assert_eq!(
        anchored(&[outer.clone(), inner]),
        "0W13 flusherB1 flusherB2 1W13 1W13 1W13 flusherB3 reclaimB1 reclaimB2 reclaimB3 0W13 0W13"
    );
    // The writer goes on while the flusher is frozen, and with it goes the rest of its list.
    let frozen = anchor(place(FLUSHER, 1, Y::B2, 1), &[LaneId(0)]);
    assert_eq!(anchored(&[outer, frozen]), "0W13 flusherB1 flusherB2 0W13 0W13 flusherB3 1W13 1W13 1W13");
}

#[test]
fn a_wait_has_a_place_of_its_own() {
    let idle = anchor(place(FLUSHER, 1, Y::IDLE, 1), &[LaneId(1)]);
    let run = anchor(place(LaneId(0), 0, Y::W13, 2), &[FLUSHER]);
    assert_eq!(anchored(&[run, idle]), format!("0W13 0W13 {FLUSH} 1W13 1W13 1W13 0W13"));
}

#[test]
fn a_freeze_is_recorded_as_one_anchor() {
    // The second place of the run: the current lane is stalled, and all user lanes with it.
    let (words, anchors) = writers(policy_of(&Schedule::Pct(vec![0, 0, 2, 4])));
    let expected = [anchor(place(LaneId(0), 0, Y::W13, 2), &[FLUSHER, END_IO, RECLAIM])];
    assert_eq!(anchors, expected);
    assert_eq!(words, anchored(&expected));
}

#[test]
fn a_pick_is_taken_as_far_as_there_are_candidates() {
    let pick = |choice| Anchor { place: place(LaneId(0), 0, Y::C0, 2), action: Action::Pick(choice) };
    let choices = |anchors: Vec<Anchor>| {
        let (policy, recording) = record(policy_of(&Schedule::Anchored(anchors)));
        let sim = Sim::new(policy, 100);
        let task = sim.task(LaneId(0));
        let mut choices = Vec::new();
        run(&sim, vec![(LaneId(0), Box::pin(async { choices.extend([3, 3, 1, 3].map(|n| task.choose(Y::C0, n))) }))]);
        (choices, recording.anchors())
    };
    assert_eq!(choices(vec![]).0, [0, 0, 0, 0]);
    assert_eq!(choices(vec![pick(1), pick(2)]), (vec![0, 1, 0, 0], vec![pick(1)]));
    assert_eq!(choices(vec![pick(9)]), (vec![0, 2, 0, 0], vec![pick(2)]), "recorded as what it came to");
}
