//! One lane: a thread that does operations as it is told, and stops in them where it is told.

use ffi::{PausableBuffer, Pausing, Seen, Supervisor, WriteOrder};
use lanes::LaneId;
use oracle::{Errno, Op, OpId, OpKind, Outcome, TargetError};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, Scope};
use std::time::Duration;
use targets::directory::DirectoryTarget;

/// What the lane's thread is to do. It ends when nobody can say any more.
pub(super) enum Order {
    /// To stop at these pages of its buffer, in ascending order.
    Perform { id: OpId, op: Op, stops: Vec<u64> },
    /// To evict the file.
    Evict,
    /// To go on where it has stopped.
    GoOn,
}

/// What a lane tells.
pub(super) enum Event {
    /// Its call has stopped at this page of its buffer.
    Stopped(u64),
    /// It is done, and this is what a read found.
    Done(Result<Outcome, TargetError>, Vec<u8>),
}

/// How calls are stopped here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Means {
    pub(super) pausing: Pausing,
    pub(super) order: WriteOrder,
}

struct Lane {
    lane: LaneId,
    target: DirectoryTarget,
    means: Option<Means>,
    orders: Receiver<Order>,
    events: Sender<(LaneId, Event)>,
}

/// Nobody looks less often whether a call has stopped or ended; whoever waits longer is told so by the controller.
const LOOK: Duration = Duration::from_secs(1);

/// Starts a lane. It ends when the sender of its orders is dropped; a call that is stopped then goes on.
pub(super) fn start<'scope>(
    scope: &'scope Scope<'scope, '_>,
    lane: LaneId,
    target: DirectoryTarget,
    means: Option<Means>,
    events: Sender<(LaneId, Event)>,
) -> Sender<Order> {
    let (sender, orders) = channel();
    scope.spawn(move || Lane { lane, target, means, orders, events }.serve());
    sender
}

impl Lane {
    fn serve(mut self) {
        while let Ok(order) = self.orders.recv() {
            let mut buf = Vec::new();
            let outcome = match order {
                // A crash takes all lanes with it, and they have no oracle for that here.
                Order::Perform { op, .. } if op.kind == OpKind::Crash => Ok(Outcome::Unsupported(Errno::EOPNOTSUPP)),
                Order::Perform { id, op, stops } if stops.is_empty() => {
                    oracle::Target::execute(&mut self.target, id, &op, &mut buf)
                }
                Order::Perform { id, op, stops } => self.stopping(id, &op, &stops, &mut buf),
                Order::Evict => self.target.evict(),
                Order::GoOn => continue,
            };
            if self.events.send((self.lane, Event::Done(outcome, buf))).is_err() {
                break;
            }
        }
    }

    fn stopping(&mut self, id: OpId, op: &Op, stops: &[u64], buf: &mut Vec<u8>) -> Result<Outcome, TargetError> {
        let Lane { lane, target, means, orders, events } = self;
        let means = means.ok_or_else(|| TargetError::new("a call is to be stopped, and nothing can stop it"))?;
        let capacity = op.off % oracle::Target::page_size(target) + op.len;
        let (buffer, mut supervisor) = means.pausing.pair(capacity).map_err(trouble)?;
        target.fill(id, op, &mut supervisor)?;
        // Where a copy begins matters to buffered writes alone; other calls stop where a page is missing.
        let exactly = matches!(op.kind, OpKind::Write | OpKind::WriteDsync).then_some(means.order);
        arm(&mut supervisor, stops[0], exactly).map_err(trouble)?;
        let mut watch = Watch { lane: *lane, stops: &stops[1..], exactly, orders, events };
        thread::scope(|scope| {
            let watching = scope.spawn(move || watch.until_it_has_ended(supervisor));
            let outcome = during(&buffer, target, op, buf);
            watching.join().map_err(|_| TargetError::new("who watches a stopped call has panicked"))??;
            outcome
        })
    }
}

fn during(
    buffer: &PausableBuffer,
    target: &mut DirectoryTarget,
    op: &Op,
    buf: &mut Vec<u8>,
) -> Result<Outcome, TargetError> {
    buffer.during(|| target.execute_with(op, buf, buffer))
}

fn trouble(error: ffi::Error) -> TargetError {
    TargetError::new(format!("stopping a system call: {error}"))
}

fn arm(supervisor: &mut Supervisor, page: u64, exactly: Option<WriteOrder>) -> ffi::Result<()> {
    match exactly {
        Some(order) if supervisor.stop_exactly_at(page, order)? => Ok(()),
        // At its last page a write that asks ahead cannot be stopped exactly: it stops before the chunk.
        _ => supervisor.leave_missing(page),
    }
}

/// Who ends the pauses of one call.
struct Watch<'a> {
    lane: LaneId,
    /// Where it is to stop next.
    stops: &'a [u64],
    exactly: Option<WriteOrder>,
    orders: &'a mut Receiver<Order>,
    events: &'a Sender<(LaneId, Event)>,
}

impl Watch<'_> {
    fn until_it_has_ended(&mut self, mut supervisor: Supervisor) -> Result<(), TargetError> {
        loop {
            match supervisor.wait(LOOK).map_err(trouble)? {
                Seen::Ended => return Ok(()),
                Seen::TimedOut => {}
                Seen::Paused(mut pause) => {
                    let at = pause.page();
                    // If nobody hears it or answers, the run is over: the call goes on, and nothing stops it again.
                    let told = self.events.send((self.lane, Event::Stopped(at))).is_ok();
                    if told
                        && self.orders.recv().is_ok()
                        && let Some((next, rest)) = self.stops.split_first()
                    {
                        self.stops = rest;
                        let exact = match self.exactly {
                            Some(order) => pause.stop_exactly_at(*next, order).map_err(trouble)?,
                            None => false,
                        };
                        if !exact {
                            pause.leave_missing(*next).map_err(trouble)?;
                        }
                    }
                    pause.resume().map_err(trouble)?;
                }
            }
        }
    }
}
