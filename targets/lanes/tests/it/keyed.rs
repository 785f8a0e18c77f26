//! The queue from which one sleeper can be woken.

use crate::toy::PATIENCE;
use lanes::policy::policy_of;
use lanes::{End, KeyedQueue, Lane, LaneId, Schedule, Sim, Task, Waiting, Y, block_on, run};
use parking_lot::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

fn waiting(key: u64) -> Waiting {
    Waiting { y: Y::X1, what: "entry", id: key, holders: LaneId(3).bit() }
}

/// Lanes 0 to 2 sleep, on keys 1, 1 and 2, the first two exclusive; then lane 3 wakes key 1. Who was woken, and the
/// end.
fn sleep_and_wake(exclusive: bool, all: bool) -> (Vec<u8>, End) {
    let sim = Sim::new(policy_of(&Schedule::default()), PATIENCE);
    let (queue, woken) = (KeyedQueue::default(), Mutex::new(Vec::new()));
    let sleeper = |lane: u8, key: u64, exclusive: bool| -> (LaneId, Lane<'_>) {
        let (task, queue, woken) = (sim.task(LaneId(lane)), &queue, &woken);
        let lane_id = LaneId(lane);
        (
            lane_id,
            Box::pin(async move {
                queue.enqueue(&task, key, exclusive, waiting(key)).await;
                woken.lock().push(lane);
            }),
        )
    };
    let waker = sim.task(LaneId(3));
    let lanes = vec![
        sleeper(0, 1, exclusive),
        sleeper(1, 1, exclusive),
        sleeper(2, 2, true),
        (
            LaneId(3),
            Box::pin(async {
                waker.at(Y::W0).await;
                queue.wake(1, all);
            }),
        ),
    ];
    let end = run(&sim, lanes).end;
    (woken.into_inner(), end)
}

#[test]
fn one_exclusive_sleeper_of_the_key_is_woken_or_all() {
    assert_eq!(sleep_and_wake(true, false).0, [0]);
    assert_eq!(sleep_and_wake(true, true).0, [0, 1]);
    assert_eq!(sleep_and_wake(false, false).0, [0, 1], "those that are not exclusive are all woken");
}

#[test]
fn a_lost_wake_up_is_reported_with_who_owes_it() {
    let End::Deadlock(blocked) = sleep_and_wake(true, false).1 else { panic!("no deadlock") };
    let told: Vec<String> = blocked.iter().map(|(lane, waiting)| format!("{lane} {}", waiting.unwrap())).collect();
    let expected = ["1 waits at X1 for entry 1, to be woken by 0", "2 waits at X1 for entry 2, to be woken by 3"];
    assert_eq!(told, expected, "lane 0 was woken in the place of lane 1");
}

#[test]
fn a_wake_up_before_the_first_poll_is_not_lost_and_who_gives_up_leaves() {
    let (queue, task) = (KeyedQueue::default(), Task::on_thread(LaneId(0)));
    let sleep = queue.enqueue(&task, 5, true, waiting(5));
    queue.wake(5, false);
    block_on(sleep);
    drop(queue.enqueue(&task, 5, true, waiting(5)));
    assert_eq!(queue.sleepers(), []);
}

#[test]
#[allow(clippy::disallowed_methods)] // it is about threads
fn threads_hand_an_entry_on_one_by_one() {
    let (queue, held, turns) = (KeyedQueue::default(), Mutex::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for lane in 0..4 {
            let (queue, held, turns) = (&queue, &held, &turns);
            scope.spawn(move || {
                let task = Task::on_thread(LaneId(lane));
                for _ in 0..1000 {
                    loop {
                        let mut taken = held.lock();
                        if !*taken {
                            *taken = true;
                            break;
                        }
                        let sleep = queue.enqueue(&task, 0, true, waiting(0));
                        drop(taken);
                        block_on(sleep);
                    }
                    turns.fetch_add(1, SeqCst);
                    *held.lock() = false;
                    queue.wake(0, false);
                }
            });
        }
    });
    assert_eq!((turns.into_inner(), queue.sleepers().len()), (4000, 0));
}
