//! The model on real threads: no scheduler, the same locks. Lanes write disjoint bytes, so the flat file stays exact.

use faults::{FaultSet, Needs};
use foliofuzz::Program;
use foliofuzz::bytes::{Profile, decode, fit_ops};
use foliofuzz::generate::Generator;
use lanes::{LaneId, Schedule, Task, block_on};
use oracle::{FlatFile, Flavour, Geometry, Op, OpId, OpKind, Outcome, Sharing};
use parking_lot::Mutex;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};
use targets::model::{Medium, Model};

/// Ends background lanes, which never end by themselves.
#[derive(Default)]
struct Stop {
    raised: AtomicBool,
    sleepers: Mutex<Vec<Waker>>,
}

impl Stop {
    fn raise(&self) {
        self.raised.store(true, Ordering::SeqCst);
        self.sleepers.lock().drain(..).for_each(Waker::wake);
    }
}

/// Stops the background lanes also when a check has failed: the scope waits for them before it lets a panic out.
struct StopAtEnd<'a>(&'a Stop);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.raise();
    }
}

/// A background lane until the stop.
struct Background<'a, F> {
    lane: Pin<&'a mut F>,
    stop: &'a Stop,
}

impl<F: Future<Output = ()>> Future for Background<'_, F> {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.stop.sleepers.lock().push(context.waker().clone());
        if self.stop.raised.load(Ordering::SeqCst) { Poll::Ready(()) } else { self.lane.as_mut().poll(context) }
    }
}

/// Runs every lane on its own thread, the background lanes beside them; how many operations there were.
fn run(program: &Program) -> usize {
    let model = Model::new(&program.geometry, Medium::Lasting, FaultSet::NONE);
    let flat = Mutex::new(FlatFile::new(&program.geometry, program.lanes.len(), model.page_size()));
    let (stop, ops) = (Stop::default(), AtomicUsize::new(0));
    thread::scope(|scope| {
        let _stop = StopAtEnd(&stop);
        for lane in LaneId::BACKGROUND {
            let (model, stop) = (&model, &stop);
            scope.spawn(move || {
                let task = Task::on_thread(lane);
                let lane = pin!(model.background(&task));
                block_on(Background { lane, stop });
            });
        }
        let users: Vec<_> = (0..program.lanes.len())
            .map(|lane| {
                let (model, flat, ops) = (&model, &flat, &ops);
                scope.spawn(move || user(program, lane, model, flat, ops))
            })
            .collect();
        let failed = users.into_iter().filter_map(|user| user.join().err()).count();
        assert_eq!(failed, 0, "a lane has failed");
        at_rest(&model, &flat.lock());
    });
    // With the background stopped nothing is half done.
    assert_eq!(model.check(true), Ok(()));
    ops.into_inner()
}

fn user(program: &Program, lane: usize, model: &Model, flat: &Mutex<FlatFile>, ops: &AtomicUsize) {
    let task = Task::on_thread(LaneId(lane as u8));
    let mut buf = Vec::new();
    for (index, op) in (0..).zip(&program.lanes[lane]) {
        let id = OpId { lane: lane as u8, index };
        let outcome = block_on(model.execute(&task, id, op, &mut buf));
        let judged = flat.lock().apply(id, op, outcome, &buf);
        assert_eq!(judged, Ok(()), "{program:#?}");
        ops.fetch_add(1, Ordering::Relaxed);
    }
}

/// The whole file through the cache, and again from the device.
fn at_rest(model: &Model, flat: &FlatFile) {
    let task = Task::on_thread(LaneId::CHECKER);
    for settled in [false, true] {
        if settled {
            assert_eq!(block_on(model.settle(&task)), Outcome::Done);
        }
        let (size, mut buf) = (model.size(), Vec::new());
        if size > 0 {
            let id = OpId { lane: LaneId::CHECKER.0, index: 0 };
            let whole = Op::range(OpKind::Read, 0, size);
            assert_eq!(block_on(model.execute(&task, id, &whole, &mut buf)), Outcome::Bytes(size));
        }
        assert_eq!(flat.check_whole(size, &buf[..size as usize]), Ok(()), "settled: {settled}");
    }
}

/// How long for each flavour, in seconds; a soak is `FOLIOFUZZ_TEST_SECONDS=300`.
fn seconds() -> u64 {
    std::env::var("FOLIOFUZZ_TEST_SECONDS").map_or(1, |text| text.parse().expect("a number of seconds"))
}

/// The operations of a program on four lanes of a file system of this flavour; none if they cannot be dealt out so.
fn on_four_lanes(program: &Program, flavour: Flavour) -> Option<Program> {
    // Where lanes do not own bytes, the flat file has no answer.
    if program.geometry.sharing == Sharing::Overlapping {
        return None;
    }
    let mut lanes = vec![Vec::new(); LANES];
    // A crash stops all lanes at a moment of the schedule, and threads have none; an operation has its effect and is
    // judged at different moments here, and others may meet a failure in between.
    let fit = |op: &Op| op.kind != OpKind::Crash && !op.kind.breaks_io();
    for (n, (_, op)) in program.ops().filter(|(_, op)| fit(op)).enumerate() {
        // Only lane 0 changes the size.
        let lane = if op.kind == OpKind::Truncate { 0 } else { n % LANES };
        lanes[lane].push(*op);
    }
    let geometry = Geometry { flavour, ..program.geometry };
    let dealt = fit_ops(Program { geometry, lanes, schedule: Schedule::default() });
    dealt.validate().is_ok().then_some(dealt)
}

const LANES: usize = 4;

#[test]
fn four_lanes_on_threads_of_their_own_agree_with_the_flat_file_in_every_flavour() {
    let needs = Needs { lanes: 2, ..Needs::ANY };
    let generators = [needs, Needs { ops: &["aio_write"], ..needs }].map(|needs| Generator {
        seed: 3,
        profile: Profile::Model(needs),
        strategy: None,
    });
    for flavour in Flavour::ALL {
        let (begun, mut bytes, mut ops) = (Instant::now(), Vec::new(), 0);
        let mut numbers = 0..;
        while begun.elapsed() < Duration::from_secs(seconds()) {
            let number = numbers.next().unwrap_or_default();
            generators[number as usize % 2].fill(number, &mut bytes);
            ops += on_four_lanes(&decode(&bytes), flavour).map_or(0, |program| run(&program));
        }
        assert!(ops > 100, "only {ops} operations in the time on {flavour:?}");
    }
}
