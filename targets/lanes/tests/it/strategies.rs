//! What the strategies reach, and with how few bytes.

use crate::anchors::writers;
use crate::toy::Random;
use lanes::anchored::record_steps;
use lanes::policy::policy_of;
use lanes::{Event, Lane, LaneId, Schedule, Sim, View, Y, run};
use std::collections::BTreeSet;

fn pct(bytes: &[u8]) -> String {
    writers(policy_of(&Schedule::Pct(bytes.to_vec()))).0
}

/// An action byte: what, and to which lane. Flusher, end-io and reclaim are 0 to 2, user lanes follow.
const fn action(what: u8, lane: u8) -> u8 {
    what | lane << 3
}

const ALL: &str = "flusherB1 flusherB2 flusherB3 end-ioB1 end-ioB2 end-ioB3 reclaimB1 reclaimB2 reclaimB3";

#[test]
fn four_bytes_freeze_a_writer_while_everybody_else_works() {
    // Stalled at its second place, it goes on when even the other writer is done.
    assert_eq!(pct(&[0, 0, 2, 1]), format!("0W13 0W13 1W13 1W13 1W13 {ALL} 0W13"));
    // The same for all user lanes: only background work comes between.
    assert_eq!(pct(&[0, 0, 2, 4]), format!("0W13 0W13 {ALL} 0W13 1W13 1W13 1W13"));
    // Reclaim first.
    let reclaim_first =
        "reclaimB1 reclaimB2 reclaimB3 1W13 1W13 1W13 flusherB1 flusherB2 flusherB3 end-ioB1 end-ioB2 end-ioB3";
    assert_eq!(pct(&[0, 0, 2, action(2, 2)]), format!("0W13 0W13 {reclaim_first} 0W13"));
}

#[test]
fn a_background_lane_takes_some_steps_and_freezes_in_the_middle() {
    // At the first place end-io runs; two places later it stops; two more and it is released, at once.
    let bytes = [0, 0, 1, action(3, 1), 2, 1, 1, action(3, 1)];
    assert_eq!(pct(&bytes), "0W13 end-ioB1 end-ioB2 0W13 end-ioB3 0W13 1W13 1W13 1W13");
    // Not released, it goes on when there is nobody else: the run is over before that.
    assert_eq!(pct(&bytes[..6]), "0W13 end-ioB1 end-ioB2 0W13 0W13 1W13 1W13 1W13");
}

#[test]
fn headers_order_lanes_and_make_background_lanes_eager() {
    assert_eq!(pct(&[1]), "1W13 1W13 1W13 0W13 0W13 0W13");
    // Eager reclaim: three bits for who, 3 << 3 to have it at all.
    assert_eq!(pct(&[0, 0b1001_1000]), "0W13 reclaimB1 reclaimB2 reclaimB3 0W13 0W13 1W13 1W13 1W13");
}

#[test]
fn gaps_are_fine_where_they_are_short() {
    for (byte, gap) in [(1, 1), (127, 127), (128, 128), (129, 131), (207, 365), (208, 368), (209, 384), (255, 1120)] {
        let place = crate::anchors::place(LaneId(0), 0, Y::START, 1);
        let (_, budget) =
            policy_of(&Schedule::Pct(vec![0, 0, byte, 1])).next(&View { ready: 1, place, forced: true, steps: 0 });
        // So many places are passed, and at the last of them the policy is asked.
        assert_eq!(budget, gap - 1, "byte {byte}");
    }
}

/// A user lane that makes work before W9 and again before W10, and the flusher, which sleeps at first.
fn worker(bytes: &[u8]) -> Vec<Y> {
    // The user lane is stalled until the flusher has gone to sleep; that is step 1.
    let schedule = Schedule::Pct([&[0, 0, 0, 4], bytes].concat());
    let (policy, recording) = record_steps(policy_of(&schedule));
    let sim = Sim::new(policy, 1000);
    let (user, flusher, work) = (sim.task(LaneId(0)), sim.task(LaneId::FLUSHER), Event::default());
    let user = async {
        user.at(Y::W0).await;
        user.at(Y::W1).await;
        work.raise();
        user.at(Y::W9).await;
        work.raise();
        user.at(Y::W10).await;
        user.at(Y::W11).await;
    };
    let flusher = async {
        while flusher.steps() < 1000 {
            work.wait(&flusher).await;
            flusher.at(Y::B1).await;
        }
    };
    run(&sim, vec![(LaneId(0), Box::pin(user)), (LaneId::FLUSHER, Box::pin(flusher))]);
    recording.steps().into_iter().map(|place| place.y).skip(1).collect()
}

#[test]
fn a_stall_waits_until_there_is_somebody_to_run_and_happens_once() {
    // Stalled at W0, alone. It stops as soon as it can, and when it goes on, it is a lane like any other.
    let stalled = [Y::W0, Y::W1, Y::W9, Y::B1, Y::IDLE, Y::W10, Y::W11, Y::FINISH];
    assert_eq!(worker(&[2, 1]), stalled);
    // Unless it is raised again, the flusher runs once.
    assert_eq!(worker(&[2, action(3, 0)]), stalled);
    let eager = [Y::W0, Y::W1, Y::W9, Y::B1, Y::IDLE, Y::W10, Y::B1, Y::IDLE, Y::W11, Y::FINISH];
    assert_eq!(worker(&[2, action(5, 0)]), eager);
    assert_eq!(worker(&[2, 6]), eager, "who fell behind stays behind");
    // Stalled at W0 and released at W1.
    assert_eq!(worker(&[2, 1, 1, 0]), [Y::W0, Y::W1, Y::W9, Y::W10, Y::W11, Y::FINISH]);
}

/// Traces of runs over seeds.
fn traces(schedule: impl Fn(u64) -> Schedule) -> BTreeSet<String> {
    (0..200).map(|seed| writers(policy_of(&schedule(seed))).0).collect()
}

#[test]
fn seeds_differ() {
    assert!(traces(|seed| Schedule::Uniform { seed }).len() > 150);
    assert!(traces(|seed| Schedule::Rare { seed, one_in: 8 }).len() > 60);
    let pct = |seed| {
        let mut random = Random(seed);
        let pairs = (0..3).flat_map(|_| [random.below(4) as u8, random.below(256) as u8]);
        Schedule::Pct([0, 0].into_iter().chain(pairs).collect())
    };
    let number = traces(pct).len();
    assert!(number > 80, "{number}");
}

/// How often another lane goes on, in per mille of the places, when four lanes always can.
fn switch_rate(schedule: Schedule) -> u64 {
    let sim = Sim::new(policy_of(&schedule), u64::MAX);
    let lane = |n| {
        let task = sim.task(LaneId(n));
        let passing = async move {
            for _ in 0..5_000 {
                task.at(Y::W9).await;
            }
        };
        (LaneId(n), Box::pin(passing) as Lane<'static>)
    };
    let report = run(&sim, (0..4).map(lane).collect());
    report.switches * 1000 / report.steps
}

#[test]
fn switches_are_as_rare_as_asked_for() {
    assert!((720..780).contains(&switch_rate(Schedule::Uniform { seed: 1 })), "three of four");
    assert!((55..70).contains(&switch_rate(Schedule::Rare { seed: 1, one_in: 16 })));
    assert!((980..=1000).contains(&switch_rate(Schedule::Rare { seed: 1, one_in: 1 })));
    assert!((980..=1000).contains(&switch_rate(Schedule::RoundRobin { quantum: 1 })));
    assert!((95..=105).contains(&switch_rate(Schedule::RoundRobin { quantum: 10 })));
}

#[test]
fn choices_are_mostly_the_obvious_one() {
    for schedule in [
        Schedule::Uniform { seed: 5 },
        Schedule::Rare { seed: 5, one_in: 3 },
        Schedule::Pct((0..=255).map(|n: u8| n.wrapping_mul(181)).collect()),
    ] {
        let mut policy = policy_of(&schedule);
        let place = crate::anchors::place(LaneId::END_IO, 0, Y::E1, 0);
        let mut counts = [0; 4];
        (0..4096).for_each(|_| counts[policy.choose(place, 4) as usize] += 1);
        assert!((2900..3250).contains(&counts[0]), "{schedule:?}: {counts:?}");
        assert!(counts[1..].iter().all(|count| (260..420).contains(count)), "{schedule:?}: {counts:?}");
    }
    assert_eq!(
        policy_of(&Schedule::RoundRobin { quantum: 1 }).choose(crate::anchors::place(LaneId(0), 0, Y::C0, 0), 4),
        0
    );
}
