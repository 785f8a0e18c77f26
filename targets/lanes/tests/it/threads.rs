//! Sleeping: who sleeps is woken, under the executor and on OS threads.
// These are the tests on real threads.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)]

use crate::toy::{Op, Program, Random, World, play};
use lanes::policy::policy_of;
use lanes::{End, Event, LaneId, RwSem, Schedule, Sim, Task, WaitQueue, Waiting, Y, block_on, run};
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::time::Instant;

/// Fewer under Miri, which is thousands of times slower and looks at every access.
const ROUNDS: u64 = if cfg!(miri) { 40 } else { 20_000 };

#[test]
fn a_sleeping_writer_is_woken_by_the_last_reader() {
    let sem = RwSem::new("i_rwsem");
    let sim = Sim::new(policy_of(&Schedule::RoundRobin { quantum: 1 }), 100);
    let tasks = [0, 1, 2].map(|lane| sim.task(LaneId(lane)));
    let order = parking_lot::Mutex::new(Vec::new());
    let reader = async |task: &Task, places| {
        let _hold = sem.read(task, Y::R0).await;
        for _ in 0..places {
            task.at(Y::R3).await;
        }
        order.lock().push((task.lane(), sem.holders()));
    };
    let writer = async |task: &Task| {
        let _hold = sem.write(task, Y::W0).await;
        assert!(sem.is_write_locked());
        order.lock().push((task.lane(), sem.holders()));
    };
    let report = run(
        &sim,
        vec![
            (LaneId(0), Box::pin(reader(&tasks[0], 1))),
            (LaneId(1), Box::pin(writer(&tasks[1]))),
            (LaneId(2), Box::pin(reader(&tasks[2], 5))),
        ],
    );
    assert!(matches!(report.end, End::Done), "{:?}", report.end);
    assert_eq!(*order.lock(), [(LaneId(0), 0b101), (LaneId(2), 0b100), (LaneId(1), 0b010)]);
}

/// Lets threads loose at the same moment, so that what they race for is nanoseconds away.
#[derive(Default)]
struct Together(AtomicU64);

impl Together {
    fn meet(&self, round: u64) {
        self.0.fetch_add(1, SeqCst);
        self.await_until(|| self.0.load(SeqCst) >= 2 * (round + 1));
    }

    /// Spins for a moment, then lets others have the processor.
    fn await_until(&self, is_met: impl Fn() -> bool) {
        for spins in 0.. {
            if is_met() {
                break;
            }
            if spins > 2_000 {
                std::thread::yield_now();
            }
            std::hint::spin_loop();
        }
    }
}

#[test]
fn a_condition_made_true_by_a_plain_store_wakes_its_sleeper() {
    // Nothing but the queue orders the two: without its second test, or its fences, each side now and then
    // misses what the other just did.
    let (queue, set, seen, together) =
        (WaitQueue::default(), AtomicU64::new(0), AtomicU64::new(0), Together::default());
    let mut lost = 0;
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let task = Task::on_thread(LaneId(1));
            for round in 0..ROUNDS {
                together.meet(round);
                let is_set = || (set.load(Relaxed) > round).then_some(());
                block_on(queue.wait(&task, is_set, || Waiting { y: Y::G4, what: "flag", id: round, holders: 0 }));
                seen.store(round + 1, SeqCst);
            }
        });
        let mut random = Random(1);
        for round in 0..ROUNDS {
            let delay = random.below(200);
            together.meet(round);
            (0..delay).for_each(|_| std::hint::spin_loop());
            set.store(round + 1, Relaxed);
            queue.wake_all();
            let start = Instant::now();
            // Miri's clock counts what it interprets.
            let is_late = || start.elapsed().as_millis() >= if cfg!(miri) { 20 } else { 5_000 };
            together.await_until(|| seen.load(SeqCst) > round || is_late());
            if seen.load(SeqCst) <= round {
                lost += 1;
                // Anything but a hang.
                while seen.load(SeqCst) <= round {
                    queue.wake_all();
                    std::thread::yield_now();
                }
            }
        }
    });
    assert_eq!(lost, 0, "lost wake-ups");
}

#[test]
fn an_event_raised_while_its_lane_falls_asleep_is_not_lost() {
    let (work, done) = (Event::default(), Event::default());
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let task = Task::on_thread(LaneId::FLUSHER);
            block_on(async {
                for _ in 0..ROUNDS {
                    work.wait(&task).await;
                    done.raise();
                }
            });
        });
        let task = Task::on_thread(LaneId(0));
        block_on(async {
            for _ in 0..ROUNDS {
                work.raise();
                done.wait(&task).await;
            }
        });
    });
}

#[test]
fn readers_and_writers_on_threads_exclude_each_other() {
    let sem = RwSem::new("i_rwsem");
    // Two words that a writer changes one after the other: a reader beside a writer sees them differ.
    let words = [AtomicU64::new(0), AtomicU64::new(0)];
    let lane = |me: u8| {
        let task = Task::on_thread(LaneId(me));
        block_on(async {
            for round in 0..ROUNDS {
                if (round + u64::from(me)) % 3 == 0 {
                    let _hold = sem.write(&task, Y::W0).await;
                    assert_eq!(sem.holders(), task.lane().bit());
                    words.iter().for_each(|word| word.store(word.load(Relaxed) + 1, Relaxed));
                } else {
                    let _hold = sem.read(&task, Y::R0).await;
                    assert_eq!(words[0].load(Relaxed), words[1].load(Relaxed));
                }
            }
        });
    };
    std::thread::scope(|scope| {
        let lane = &lane;
        (0..3).for_each(|me| drop(scope.spawn(move || lane(me))));
    });
    assert_eq!(
        words[0].load(Relaxed),
        (0..3).map(|me| (0..ROUNDS).filter(|round| (round + me) % 3 == 0).count() as u64).sum()
    );
    assert_eq!(sem.holders(), 0);
}

/// Programs that cannot deadlock: both semaphores always in the same order, and whoever takes a token makes one
/// before, so that there are never fewer tokens than lanes that want one.
fn orderly(random: &mut Random) -> Program {
    let orderly = |op: &Op| match *op {
        Op::Both(_) => vec![Op::Both(0)],
        Op::Take => vec![Op::Put, Op::Take],
        op => vec![op],
    };
    let users = Program::random(random).users;
    Program { users: users.iter().map(|ops| ops.iter().flat_map(orderly).collect()).collect() }
}

#[test]
fn the_lanes_of_the_executor_run_on_threads() {
    let programs = if cfg!(miri) { 3 } else { 1_500 };
    for seed in 0..programs {
        let program = orderly(&mut Random(seed));
        let simulated = play(&program, policy_of(&Schedule::Uniform { seed }));
        let world = World::new();
        std::thread::scope(|scope| {
            let background = crate::toy::BACKGROUND.into_iter().enumerate();
            for (which, lane) in background {
                let world = &world;
                scope.spawn(move || block_on(world.background(Task::on_thread(lane), which)));
            }
            let mut users = Vec::new();
            for (n, ops) in program.users.iter().enumerate() {
                let world = &world;
                users.push(scope.spawn(move || block_on(world.user(Task::on_thread(LaneId(n as u8)), ops))));
            }
            for user in users {
                user.join().expect("no lane panics");
            }
            world.stop.store(true, Relaxed);
            world.events.iter().for_each(Event::raise);
        });
        assert!(matches!(simulated.end, End::Done), "{program:?} {simulated:?}");
        assert_eq!(world.sems.each_ref().map(RwSem::holders), [0, 0]);
    }
}
