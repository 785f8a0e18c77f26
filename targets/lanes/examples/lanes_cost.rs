//! What the executor costs: `cargo run --release -p lanes --example lanes_cost`. Each figure is the best of several runs,
//! as the machine has other things to do.
// A measurement has a clock.
#![allow(clippy::disallowed_types)]

use lanes::anchored::record;
use lanes::policy::policy_of;
use lanes::{Event, Lane, LaneId, Policy, RwSem, Schedule, Sim, Task, WaitQueue, Y, block_on, run};
use std::hint::black_box;
use std::time::Instant;

const PLACES: u64 = 200_000;

/// The best time of several, in nanoseconds.
fn best(times: u32, mut what: impl FnMut()) -> f64 {
    let once = |what: &mut dyn FnMut()| {
        let start = Instant::now();
        what();
        start.elapsed().as_nanos() as f64
    };
    (0..times).map(|_| once(&mut what)).fold(f64::MAX, f64::min)
}

async fn pass(task: &Task, n: u64) {
    for _ in 0..n {
        task.at(Y::W9).await;
    }
}

/// As deep as a write is when it reaches the folio.
async fn deep(task: &Task, n: u64) {
    Box::pin(async { async { async { async { pass(task, n).await }.await }.await }.await }).await;
}

fn lanes_passing(sim: &std::sync::Arc<Sim>, lanes: u8, n: u64) -> Vec<(LaneId, Lane<'static>)> {
    let lane = |lane| {
        let task = sim.task(lane);
        (lane, Box::pin(async move { deep(&task, n).await }) as Lane<'static>)
    };
    (0..lanes).map(|n| lane(LaneId(n))).collect()
}

/// Time per place passed, with the policy's own figures: steps and switches.
fn passing(name: &str, lanes: u8, policy: impl Fn() -> Box<dyn Policy>) {
    let mut counts = (0, 0);
    let time = best(15, || {
        let sim = Sim::new(policy(), u64::MAX);
        let report = run(&sim, lanes_passing(&sim, lanes, PLACES));
        counts = (report.steps, report.switches);
    });
    let (steps, switches) = counts;
    println!("{name:<44} {:6.1} ns a place ({switches} switches in {steps} places)", time / steps as f64);
}

fn main() {
    let of = |schedule: Schedule| move || policy_of(&schedule);
    passing("budget left", 1, of(Schedule::Pct(Vec::new())));
    passing("budget left, recorded", 1, || record(policy_of(&Schedule::Pct(Vec::new()))).0);
    passing("asked, stays (anchored, empty)", 1, of(Schedule::default()));
    passing("round robin 1: a switch at each place", 2, of(Schedule::RoundRobin { quantum: 1 }));
    passing("round robin 1, recorded", 2, || record(policy_of(&Schedule::RoundRobin { quantum: 1 })).0);
    passing("uniform", 4, of(Schedule::Uniform { seed: 1 }));
    passing("rare, one in 16", 4, of(Schedule::Rare { seed: 1, one_in: 16 }));

    let names = [LaneId(0), LaneId(1), LaneId::FLUSHER, LaneId::END_IO, LaneId::RECLAIM];
    for (name, schedule) in [
        ("set-up and end, 5 lanes, pct of 64 bytes", Schedule::Pct(vec![7; 64])),
        ("set-up and end, 5 lanes, anchored", Schedule::default()),
    ] {
        let time = best(200, || {
            for _ in 0..100 {
                let sim = Sim::new(policy_of(&schedule), 1000);
                let lane = |lane| {
                    let task = sim.task(lane);
                    (lane, Box::pin(async move { task.at(Y::W9).await }) as Lane<'static>)
                };
                black_box(run(&sim, names.map(lane).into()));
            }
        });
        println!("{name:<44} {:6.0} ns", time / 100.0);
    }

    let sem = RwSem::new("sem");
    let task = Task::on_thread(LaneId(0));
    let time = best(15, || {
        block_on(async {
            for _ in 0..PLACES {
                let _hold = sem.read(&task, Y::W1).await;
            }
        });
    });
    println!("{:<44} {:6.1} ns", "semaphore taken shared and released", time / PLACES as f64);
    let queue = WaitQueue::default();
    let time = best(15, || (0..PLACES).for_each(|_| black_box(&queue).wake_all()));
    println!("{:<44} {:6.1} ns", "wake-up that finds nobody", time / PLACES as f64);
    let time = best(15, || block_on(async { pass(&task, PLACES).await }));
    println!("{:<44} {:6.2} ns", "place on an OS thread", time / PLACES as f64);

    let time = best(15, || {
        let (there, back) = (Event::default(), Event::default());
        let sim = Sim::new(policy_of(&Schedule::default()), u64::MAX);
        let (first, second) = (sim.task(LaneId(0)), sim.task(LaneId(1)));
        let lanes: Vec<(LaneId, Lane<'_>)> = vec![
            (
                LaneId(0),
                Box::pin(async {
                    for _ in 0..PLACES {
                        there.raise();
                        back.wait(&first).await;
                    }
                }),
            ),
            (
                LaneId(1),
                Box::pin(async {
                    for _ in 0..PLACES {
                        there.wait(&second).await;
                        back.raise();
                    }
                }),
            ),
        ];
        black_box(run(&sim, lanes));
    });
    println!("{:<44} {:6.1} ns", "wait, wake-up and switch (anchored)", time / (2 * PLACES) as f64);
}
