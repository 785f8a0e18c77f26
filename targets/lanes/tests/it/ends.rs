//! How runs end when they do not end well, and what the report says then.

use crate::toy::{PATIENCE, World};
use lanes::anchored::record;
use lanes::policy::policy_of;
use lanes::{
    End, Event, InFlight, Lane, LaneId, Promise, Report, RwSem, Schedule, Sim, Task, WaitQueue, Waiting, Y, run,
};
use parking_lot::Mutex;
use std::sync::Arc;

const A: LaneId = LaneId(0);
const B: LaneId = LaneId(1);

fn sim(schedule: Schedule) -> Arc<Sim> {
    Sim::new(policy_of(&schedule), PATIENCE)
}

async fn both(task: Task, outer: &RwSem, inner: &RwSem) {
    let _outer = outer.write(&task, Y::W0).await;
    task.at(Y::T1).await;
    let _inner = inner.write(&task, Y::T7).await;
}

/// Two lanes that take two semaphores in opposite order, and a flusher that reads one of them. Another lane has
/// waited, too, but not for ever.
fn abba(schedule: Schedule) -> Report {
    let (sim, i_rwsem, extents) = (sim(schedule), RwSem::new("i_rwsem"), RwSem::new("extents"));
    let (flusher, end_io) = (sim.task(LaneId::FLUSHER), sim.task(LaneId::END_IO));
    let (other, idle, flight) = (sim.task(LaneId(2)), Event::default(), InFlight::default());
    let (flying, a) = (flight.begin(A), both(sim.task(A), &i_rwsem, &extents));
    let lanes: Vec<(LaneId, Lane<'_>)> = vec![
        (
            A,
            Box::pin(async {
                sim.task(A).at(Y::D3).await;
                drop(flying);
                a.await;
            }),
        ),
        (LaneId(2), Box::pin(flight.drained(&other, Y::I2, "direct I/O"))),
        (B, Box::pin(both(sim.task(B), &extents, &i_rwsem))),
        (LaneId::FLUSHER, Box::pin(async { drop(extents.read(&flusher, Y::B4a).await) })),
        (LaneId::END_IO, Box::pin(async { idle.wait(&end_io).await })),
    ];
    run(&sim, lanes)
}

#[test]
fn a_deadlock_names_who_waits_for_what_and_who_has_it() {
    let End::Deadlock(blocked) = abba(Schedule::RoundRobin { quantum: 1 }).end else { panic!("no deadlock") };
    let waiting = |y, what, holder: LaneId| Some(Waiting { y, what, id: Waiting::ONLY, holders: holder.bit() });
    let expected = [
        (A, waiting(Y::T7, "extents", B)),
        (B, waiting(Y::T7, "i_rwsem", A)),
        // Not end-io: it waits for work.
        (LaneId::FLUSHER, waiting(Y::B4a, "extents", B)),
    ];
    assert_eq!(blocked, expected);
    assert_eq!(blocked[0].1.unwrap().to_string(), "waits at T7 for extents, held by 1");
    assert!(matches!(abba(Schedule::default()).end, End::Done), "in sequence nothing is wrong");
}

/// A count and an answer that were handed on to a worker, which waits for work.
fn left_undone() -> Report {
    let (sim, flight, promise) = (sim(Schedule::default()), InFlight::default(), Promise::new(LaneId::DIRECT));
    let (a, b, worker, idle) = (sim.task(A), sim.task(B), sim.task(LaneId::DIRECT), Event::default());
    let own = flight.begin(B);
    flight.begin(A).hand_to(LaneId::DIRECT);
    let lanes: Vec<(LaneId, Lane<'_>)> = vec![
        (A, Box::pin(async { promise.kept(&a, Y::D3, "direct I/O").await })),
        (
            B,
            Box::pin(async {
                drop(own);
                flight.drained(&b, Y::P0, "direct I/O").await;
            }),
        ),
        (LaneId::DIRECT, Box::pin(async { idle.wait(&worker).await })),
    ];
    run(&sim, lanes)
}

#[test]
fn who_waits_for_what_was_handed_on_names_who_owes_it() {
    let End::Deadlock(blocked) = left_undone().end else { panic!("somebody has woken them") };
    let owed = LaneId::DIRECT.bit() | Waiting::OWED;
    let waiting = |y, id| Some(Waiting { y, what: "direct I/O", id, holders: owed });
    assert_eq!(blocked, [(A, waiting(Y::D3, Waiting::ONLY)), (B, waiting(Y::P0, 1))]);
    assert_eq!(blocked[0].1.unwrap().to_string(), "waits at D3 for direct I/O, to be woken by direct");
}

/// A lane that tries again for ever, and has a choice each time.
fn in_circles(policy: Box<dyn lanes::Policy>, patience: u64, others: u8) -> Report {
    let sim = Sim::new(policy, patience);
    let lane = |lane: u8| {
        let task = sim.task(LaneId(lane));
        let circles = async move {
            while task.steps() < 10 * PATIENCE {
                task.at(Y::LK3).await;
                task.choose(Y::C0, 3);
            }
        };
        (LaneId(lane), Box::pin(circles) as Lane<'static>)
    };
    let mut lanes = vec![lane(0)];
    for n in 1..=others {
        let task = sim.task(LaneId(n));
        lanes.push((LaneId(n), Box::pin(async move { task.at(Y::W0).await })));
    }
    run(&sim, lanes)
}

#[test]
fn a_retry_loop_ends_at_its_deadline_whatever_the_policy() {
    let schedules = [
        Schedule::default(),
        Schedule::Pct(Vec::new()),
        Schedule::Pct(vec![5, 0xff, 3, 3, 200, 0x6c, 0, 0xff]),
        Schedule::Uniform { seed: 3 },
        Schedule::Rare { seed: 3, one_in: 1000 },
        Schedule::RoundRobin { quantum: 77 },
    ];
    for schedule in schedules {
        for (patience, others) in [(1, 0), (2, 0), (100, 0), (101, 3)] {
            let plain = in_circles(policy_of(&schedule), patience, others);
            // A choice is no place to stop at.
            assert!((patience..=patience + 1).contains(&plain.steps), "{} steps: {schedule:?}", plain.steps);
            let End::Livelock(recent, _) = &plain.end else { panic!("{schedule:?} ended {:?}", plain.end) };
            let circle = [(A, Y::LK3), (A, Y::C0)];
            let is_circle =
                |pair: &&[(LaneId, Y)]| pair == &&circle[..] || pair[0] == circle[1] && pair[1] == circle[0];
            assert!(patience < 100 || recent.windows(2).rev().take(8).filter(is_circle).count() == 8, "{recent:?}");

            let (policy, recording) = record(policy_of(&schedule));
            assert_eq!(in_circles(policy, patience, others).trace, plain.trace, "recorded: {schedule:?}");
            let anchored = policy_of(&Schedule::Anchored(recording.anchors()));
            assert_eq!(in_circles(anchored, patience, others).trace, plain.trace, "anchored: {schedule:?}");
        }
    }
}

#[test]
fn completed_operations_are_progress_and_patience_may_be_endless() {
    for patience in [10, u64::MAX] {
        let sim = Sim::new(policy_of(&Schedule::Pct(Vec::new())), patience);
        let task = sim.task(A);
        let busy = async move {
            for op in 0..1000 {
                task.begin_op(op);
                for _ in 0..8 {
                    task.at(Y::W9).await;
                }
                task.end_op(0);
            }
        };
        let report = run(&sim, vec![(A, Box::pin(busy))]);
        assert!(matches!(report.end, End::Done), "{:?}", report.end);
        assert_eq!(report.steps, 8001);
    }
}

#[test]
fn background_lanes_that_keep_each_other_busy_do_not_hide_a_blocked_user() {
    let (sim, world) = (sim(Schedule::default()), World::new());
    let (user, flusher, end_io) = (sim.task(A), sim.task(LaneId::FLUSHER), sim.task(LaneId::END_IO));
    let (ping, pong) = (Event::default(), Event::default());
    let lanes: Vec<(LaneId, Lane<'_>)> = vec![
        (A, Box::pin(world.take(&user))),
        (
            LaneId::FLUSHER,
            Box::pin(async {
                while flusher.steps() < 10 * PATIENCE {
                    pong.raise();
                    ping.wait(&flusher).await;
                    flusher.end_op(0);
                }
            }),
        ),
        (
            LaneId::END_IO,
            Box::pin(async {
                while end_io.steps() < 10 * PATIENCE {
                    pong.wait(&end_io).await;
                    ping.raise();
                    end_io.end_op(0);
                }
            }),
        ),
    ];
    let report = run(&sim, lanes);
    assert!(matches!(report.end, End::Livelock(..)), "{:?}", report.end);
    assert_eq!(report.steps, PATIENCE);
}

/// Panics when dropped, having told that it was.
struct Mine<'a>(&'a Mutex<Vec<LaneId>>, LaneId);

impl Drop for Mine<'_> {
    fn drop(&mut self) {
        self.0.lock().push(self.1);
        panic!("dropped {}", self.1);
    }
}

#[test]
fn a_panic_in_a_lane_is_reported_and_all_lanes_are_dropped() {
    let dropped = Mutex::new(Vec::new());
    let sim = sim(Schedule::default());
    let tasks = [A, B, LaneId(2)].map(|lane| sim.task(lane));
    let never = WaitQueue::default();
    let sleeper = async |task: &Task| {
        let _mine = Mine(&dropped, task.lane());
        never.wait(task, || None::<()>, || Waiting { y: Y::WBW, what: "nothing", id: 7, holders: 0 }).await;
    };
    let sem = RwSem::new("sem");
    let lanes: Vec<(LaneId, Lane<'_>)> = vec![
        (A, Box::pin(sleeper(&tasks[0]))),
        (B, Box::pin(sleeper(&tasks[1]))),
        (
            LaneId(2),
            Box::pin(async {
                let _hold = sem.write(&tasks[2], Y::W1).await;
                tasks[2].at(Y::W9).await;
                panic!("page {} is gone", 3);
            }),
        ),
    ];
    let report = run(&sim, lanes);
    let End::Panic { lane, message } = report.end else { panic!("{:?}", report.end) };
    assert_eq!((lane, message.as_str()), (LaneId(2), "page 3 is gone"));
    assert_eq!(*dropped.lock(), [A, B], "both, though each panics when dropped");
    assert_eq!(sem.holders(), 0, "the panicking lane let go of what it held");
    assert_eq!(sim.current().map(|place| (place.lane, place.y)), Some((LaneId(2), Y::W9)));
}

#[test]
fn a_panic_while_lanes_are_dropped_is_reported() {
    let dropped = Mutex::new(Vec::new());
    let sim = sim(Schedule::default());
    let task = sim.task(LaneId::RECLAIM);
    let work = Event::default();
    let lanes: Vec<(LaneId, Lane<'_>)> = vec![
        (A, Box::pin(async {})),
        (
            LaneId::RECLAIM,
            Box::pin({
                let mine = Mine(&dropped, LaneId::RECLAIM);
                let work = &work;
                async move {
                    let _mine = mine;
                    work.wait(&task).await;
                }
            }),
        ),
    ];
    let End::Panic { lane, message } = run(&sim, lanes).end else { panic!("the panic is lost") };
    assert_eq!((lane, message.as_str()), (LaneId::RECLAIM, "dropped reclaim"));
}

/// A machine that halts drops its lanes; the next run of the same [`Sim`] goes on with its numbers.
#[test]
fn a_halted_machine_comes_up_again() {
    let sim = Sim::new(policy_of(&Schedule::default()), PATIENCE);
    let (first, waiting, flusher) = (sim.task(A), sim.task(B), sim.task(LaneId::FLUSHER));
    let (never, work) = (Event::default(), Event::default());
    let lanes: Vec<(LaneId, Lane<'_>)> = vec![
        (
            A,
            Box::pin(async {
                first.begin_op(3);
                work.raise();
                first.at(Y::CRASH).await;
                first.halt();
            }),
        ),
        (B, Box::pin(never.wait(&waiting))),
        (
            LaneId::FLUSHER,
            Box::pin(async {
                flusher.begin_pass();
                work.wait(&flusher).await;
            }),
        ),
    ];
    let report = run(&sim, lanes);
    assert!(matches!(report.end, End::Halted), "{:?}", report.end);
    sim.task(A).boot();
    let (again, flusher) = (sim.task(A), sim.task(LaneId::FLUSHER));
    let places = Mutex::new(Vec::new());
    let lanes: Vec<(LaneId, Lane<'_>)> = vec![(
        A,
        Box::pin(async {
            flusher.begin_pass();
            again.at(Y::NEXT).await;
            places.lock().extend(sim.current());
        }),
    )];
    let second = run(&sim, lanes);
    assert!(matches!(second.end, End::Done), "nothing is left of what the lanes waited for: {:?}", second.end);
    assert!(second.steps > report.steps && second.trace != report.trace);
    assert_eq!(places.into_inner()[0].op, 3);
}
