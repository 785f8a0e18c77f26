//! Who goes on: the rule of the anchored schedule, with threads for lanes.

use super::lane::{Event, Means, Order};
use super::reach::{Reach, idle, reach};
use super::{Fate, Moment, Switch};
use crate::answers::digest;
use crate::program::Program;
use crate::text::AnchorText;
use crate::verdict::Verdict;
use ffi::WriteOrder;
use lanes::{Action, LaneId, Schedule};
use oracle::{Class, Divergence, Effect, FlatFile, Op, OpId, OpKind, Outcome, Target, TargetError};
use std::collections::{BTreeMap, VecDeque};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;
use targets::directory::DirectoryTarget;

/// A lane that has not come back after this time, while another one is stopped in a call, waits for that one.
const BLOCKED: Duration = Duration::from_millis(250);
/// How long a blocked lane is given to come back when somebody else has got on.
const GRACE: Duration = Duration::from_millis(20);

/// A switch that can be tried.
struct Stop {
    lane: LaneId,
    /// The operation it is in.
    op: u32,
    reach: Reach,
    /// What is different there from the place it stands for.
    different: Option<&'static str>,
    /// Who runs there; nobody once it was met.
    list: Vec<LaneId>,
    /// Its number in the schedule.
    switch: usize,
}

/// Where a user lane is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before its next operation, or behind the last.
    Between { served: bool },
    /// In a call. If it is not the current lane, it waits in there for somebody.
    Inside,
    /// Stopped in a call, at this page of its buffer.
    Stopped { page: u64, served: bool },
}

struct User {
    next: u32,
    state: State,
}

/// A lane that stopped, and who runs until it goes on.
struct Pending {
    lane: LaneId,
    list: VecDeque<(LaneId, usize)>,
}

pub(super) struct Controller<'a> {
    program: &'a Program,
    flat: &'a mut FlatFile,
    orders: BTreeMap<LaneId, Sender<Order>>,
    events: Receiver<(LaneId, Event)>,
    users: Vec<User>,
    /// Background lanes that have not come back.
    busy: Vec<LaneId>,
    stops: Vec<Stop>,
    plan: Vec<Pending>,
    switches: Vec<Switch>,
    /// The switch whose list ran last.
    here: Option<usize>,
    verdict: Verdict,
}

impl<'a> Controller<'a> {
    pub(super) fn new(
        program: &'a Program,
        flat: &'a mut FlatFile,
        target: &DirectoryTarget,
        means: &Result<Means, String>,
        orders: BTreeMap<LaneId, Sender<Order>>,
        events: Receiver<(LaneId, Event)>,
    ) -> Controller<'a> {
        let users = program.lanes.iter().map(|_| User { next: 0, state: State::Between { served: false } }).collect();
        let verdict = Verdict { divergence: None, trace: 0, steps: 0, switches: 0, ops: 0 };
        let (stops, plan, switches) = (Vec::new(), Vec::new(), Vec::new());
        let (busy, here) = (Vec::new(), None);
        let mut controller =
            Controller { program, flat, orders, events, users, busy, stops, plan, switches, here, verdict };
        controller.prepare(target, means);
        controller
    }

    /// Finds out which switches can be tried, and where.
    fn prepare(&mut self, target: &DirectoryTarget, means: &Result<Means, String>) {
        let Schedule::Anchored(anchors) = &self.program.schedule else { return };
        for (number, anchor) in anchors.iter().enumerate() {
            let place = anchor.place;
            let ops = self.program.lanes.get(place.lane.0 as usize).map_or(&[][..], |ops| ops);
            let found = match (&anchor.action, ops.get(place.op as usize)) {
                (Action::Pick(_), _) => Err("what is chosen there the kernel chooses for itself".to_owned()),
                (Action::Run(_), _) if place.lane.is_user() && place.y == lanes::Y::FINISH => {
                    Ok((Reach::Finished, None))
                }
                (Action::Run(_), None) if place.lane.is_user() => Err("there is no such operation".to_owned()),
                (Action::Run(_), op) => {
                    let op = op.copied().unwrap_or(Op::plain(OpKind::Stat));
                    let (geometry, page) = (&self.program.geometry, target.page_size());
                    let found = reach(place, &op, target.can_stop(&op), geometry, page).map_err(str::to_owned);
                    found.and_then(|reached| with_means(reached, &op, page, means))
                }
            };
            let why = match found {
                Ok((reach, different)) => {
                    let Action::Run(list) = &anchor.action else { continue };
                    let (lane, list) = (place.lane, list.clone());
                    let op = if reach == Reach::Finished { ops.len() as u32 } else { place.op };
                    self.stops.push(Stop { lane, op, reach, different, list, switch: number });
                    "the lane does not come there".to_owned()
                }
                Err(why) => why,
            };
            let fate = Fate::NotHonoured(why);
            self.switches.push(Switch { anchor: AnchorText(anchor).to_string(), fate, notes: Vec::new() });
        }
    }

    /// Runs all lanes to their ends, or to the first divergence.
    pub(super) fn run(&mut self, progress: &mut impl FnMut(Moment)) -> Result<(), TargetError> {
        while self.verdict.divergence.is_none() {
            let Some(lane) = self.turn() else {
                if !self.anybody_inside() {
                    return Ok(());
                }
                // Nobody is stopped any more: they are slow, or they hang. The parent knows how long to wait.
                self.hear(None)?;
                progress(Moment::GoesOn);
                continue;
            };
            self.plan.retain(|pending| pending.lane != lane);
            self.verdict.switches += 1;
            let met = if lane.is_user() { self.advance(lane, progress)? } else { self.background(lane, progress)? };
            if !met.is_empty() {
                let list = met.iter().flat_map(|stop| stop.list.iter().map(|lane| (*lane, stop.switch))).collect();
                self.plan.push(Pending { lane, list });
            }
            while self.verdict.divergence.is_none() && self.anybody_inside() && self.hear(Some(GRACE))? {
                progress(Moment::GoesOn);
            }
        }
        Ok(())
    }

    pub(super) fn end(mut self) -> (Verdict, Vec<Switch>) {
        (self.verdict, std::mem::take(&mut self.switches))
    }

    fn user(&mut self, lane: LaneId) -> &mut User {
        &mut self.users[lane.0 as usize]
    }

    fn op(&self, lane: LaneId, index: u32) -> Option<Op> {
        self.program.lanes[lane.0 as usize].get(index as usize).copied()
    }

    fn anybody_inside(&self) -> bool {
        !self.busy.is_empty() || self.users.iter().any(|user| user.state == State::Inside)
    }

    fn anybody_stopped(&self) -> bool {
        self.users.iter().any(|user| matches!(user.state, State::Stopped { .. }))
    }

    fn is_ready(&self, lane: LaneId) -> bool {
        let Some(user) = self.users.get(lane.0 as usize) else {
            return self.orders.contains_key(&lane) && !self.busy.contains(&lane);
        };
        match user.state {
            State::Inside => false,
            State::Stopped { .. } | State::Between { served: false } => true,
            State::Between { served: true } => self.op(lane, user.next).is_some(),
        }
    }

    /// Whose turn it is: that of the list begun last, then of its stopped lane, then of the lists before it; at last
    /// the lowest lane that can go on.
    fn turn(&mut self) -> Option<LaneId> {
        while let Some(mut pending) = self.plan.pop() {
            let mut next = None;
            while let (None, Some((lane, switch))) = (next, pending.list.pop_front()) {
                if self.is_ready(lane) {
                    (next, self.here) = (Some(lane), Some(switch));
                } else if let Some(why) = idle(lane) {
                    self.note(switch, why.to_owned());
                } else if self.users.get(lane.0 as usize).is_some_and(|user| user.state == State::Inside) {
                    self.note(switch, format!("lane {lane} is blocked here still"));
                }
            }
            let next = next.or_else(|| self.is_ready(pending.lane).then_some(pending.lane));
            if next.is_some() {
                self.plan.push(pending);
                return next;
            }
        }
        (0..self.users.len() as u8).map(LaneId).find(|lane| self.is_ready(*lane))
    }

    fn note(&mut self, switch: usize, note: String) {
        let notes = &mut self.switches[switch].notes;
        if !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// Notes something at the switch that is being served.
    fn note_here(&mut self, note: String) {
        if let Some(switch) = self.here {
            self.note(switch, note);
        }
    }

    /// The switches at which the lane is now. They are honoured by that.
    fn met(&mut self, lane: LaneId) -> Vec<Met> {
        let (next, finished) = (self.user(lane).next, self.op(lane, self.users[lane.0 as usize].next).is_none());
        let state = self.user(lane).state;
        let mut met = Vec::new();
        for stop in self.stops.iter_mut().filter(|stop| stop.lane == lane && stop.op == next) {
            let elsewhere = match (state, stop.reach) {
                (State::Between { .. }, Reach::Before) if !finished => None,
                (State::Between { .. }, Reach::Finished) if finished => None,
                (State::Stopped { page, .. }, Reach::Page(at)) if at <= page => Some((page, at)),
                _ => continue,
            };
            if stop.list.is_empty() {
                continue;
            }
            self.switches[stop.switch].fate = match (elsewhere, stop.different) {
                (Some((page, at)), _) if page != at => {
                    Fate::Nearly(format!("the call stops {} pages further", page - at))
                }
                (_, Some(different)) => Fate::Nearly(different.to_owned()),
                _ => Fate::Honoured,
            };
            met.push(Met { list: std::mem::take(&mut stop.list), switch: stop.switch });
        }
        met
    }

    /// Lets a user lane go on until it meets a switch, waits, or has finished.
    fn advance(&mut self, lane: LaneId, progress: &mut impl FnMut(Moment)) -> Result<Vec<Met>, TargetError> {
        loop {
            match self.user(lane).state {
                State::Between { served: false } => {
                    self.user(lane).state = State::Between { served: true };
                    let met = self.met(lane);
                    if !met.is_empty() {
                        return Ok(met);
                    }
                }
                State::Between { served: true } => {
                    let index = self.user(lane).next;
                    let Some(op) = self.op(lane, index) else { return Ok(Vec::new()) };
                    let id = OpId { lane: lane.0, index };
                    progress(Moment::Begins(id));
                    self.flat.begins(id.lane);
                    self.tell(lane, Order::Perform { id, op, stops: self.pages(lane, index) })?;
                    self.user(lane).state = State::Inside;
                }
                State::Stopped { served: false, page } => {
                    self.user(lane).state = State::Stopped { served: true, page };
                    let met = self.met(lane);
                    if !met.is_empty() {
                        return Ok(met);
                    }
                }
                State::Stopped { served: true, .. } => {
                    self.tell(lane, Order::GoOn)?;
                    self.user(lane).state = State::Inside;
                }
                State::Inside => {
                    if !self.comes_back(|controller| controller.users[lane.0 as usize].state != State::Inside)? {
                        let index = self.user(lane).next;
                        let op = self.op(lane, index).map_or_else(String::new, |op| op.to_string());
                        self.note_here(format!("{lane}.{index} {op} blocks here"));
                        return Ok(Vec::new());
                    }
                    progress(Moment::GoesOn);
                    if self.verdict.divergence.is_some() {
                        return Ok(Vec::new());
                    }
                }
            }
        }
    }

    /// A background lane does what it does.
    fn background(&mut self, lane: LaneId, progress: &mut impl FnMut(Moment)) -> Result<Vec<Met>, TargetError> {
        let perform =
            |kind| Order::Perform { id: OpId { lane: lane.0, index: 0 }, op: Op::range(kind, 0, 0), stops: Vec::new() };
        self.tell(
            lane,
            match lane {
                LaneId::FLUSHER => perform(OpKind::Writeback),
                LaneId::END_IO => perform(OpKind::EndIo),
                _ => Order::Evict,
            },
        )?;
        self.busy.push(lane);
        if !self.comes_back(|controller| !controller.busy.contains(&lane))? {
            self.note_here(format!("{lane} blocks here"));
        }
        progress(Moment::GoesOn);
        Ok(Vec::new())
    }

    /// The pages at which an operation is to stop.
    fn pages(&self, lane: LaneId, op: u32) -> Vec<u64> {
        let here = self.stops.iter().filter(|stop| stop.lane == lane && stop.op == op);
        let mut pages: Vec<u64> =
            here.filter_map(|stop| if let Reach::Page(page) = stop.reach { Some(page) } else { None }).collect();
        pages.sort_unstable();
        pages.dedup();
        pages
    }

    fn tell(&self, lane: LaneId, order: Order) -> Result<(), TargetError> {
        self.orders[&lane].send(order).map_err(|_| TargetError::new(format!("the thread of lane {lane} has ended")))
    }

    /// Waits for what `is_back` looks for: as long as it takes, or, if somebody is stopped in a call, until the lane can
    /// be taken to be blocked.
    fn comes_back(&mut self, is_back: impl Fn(&Controller<'_>) -> bool) -> Result<bool, TargetError> {
        while !is_back(self) {
            let limit = self.anybody_stopped().then_some(BLOCKED);
            if !self.hear(limit)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Hears of one lane. False if there was nothing to hear in that time.
    fn hear(&mut self, limit: Option<Duration>) -> Result<bool, TargetError> {
        let gone = || TargetError::new("the threads of all lanes have ended");
        let (lane, event) = match limit {
            None => self.events.recv().map_err(|_| gone())?,
            Some(limit) => match self.events.recv_timeout(limit) {
                Ok(event) => event,
                Err(RecvTimeoutError::Timeout) => return Ok(false),
                Err(RecvTimeoutError::Disconnected) => return Err(gone()),
            },
        };
        match event {
            Event::Stopped(page) => self.user(lane).state = State::Stopped { page, served: false },
            Event::Done(outcome, buf) if lane.is_user() => self.done(lane, outcome?, &buf),
            Event::Done(outcome, _) => {
                self.busy.retain(|busy| *busy != lane);
                self.background_done(lane, outcome?);
            }
        }
        Ok(true)
    }

    fn done(&mut self, lane: LaneId, outcome: Outcome, buf: &[u8]) {
        let index = self.user(lane).next;
        let (id, op) = (OpId { lane: lane.0, index }, self.op(lane, index).expect("it was begun"));
        self.user(lane).next += 1;
        self.user(lane).state = State::Between { served: false };
        let reads = op.kind.info().effect == Effect::Read;
        self.verdict.trace = self.verdict.trace.rotate_left(17) ^ digest(outcome, if reads { buf } else { &[] });
        self.verdict.steps += 1;
        self.verdict.ops += u64::from(!matches!(outcome, Outcome::Unsupported(_)));
        if let Err(divergence) = self.flat.apply(id, &op, outcome, buf) {
            self.verdict.divergence.get_or_insert(divergence);
        }
    }

    fn background_done(&mut self, lane: LaneId, outcome: Outcome) {
        match outcome {
            Outcome::Done => {}
            Outcome::Unsupported(errno) => self.note_here(format!("{lane} does nothing here: {errno}")),
            other => {
                let detail = format!("writeback or eviction of the whole file, as lane {lane}, answered {other}");
                let divergence = Divergence { class: Class::Errno, op: None, offset: None, detail };
                self.verdict.divergence.get_or_insert(divergence);
            }
        }
    }
}

/// A switch at which a lane is.
struct Met {
    list: Vec<LaneId>,
    switch: usize,
}

/// What the means of stopping a call have to say to it.
fn with_means(
    (reach, different): super::reach::Reached,
    op: &Op,
    page: u64,
    means: &Result<Means, String>,
) -> Result<super::reach::Reached, String> {
    let Reach::Page(at) = reach else { return Ok((reach, different)) };
    let means = means.as_ref().map_err(Clone::clone)?;
    let last = (op.off + op.len - 1) / page - op.off / page;
    let buffered = matches!(op.kind, OpKind::Write | OpKind::WriteDsync);
    let ahead = buffered && at > 0 && at == last && means.order == WriteOrder::AsksAhead;
    let early = "the last page is asked for before the others are copied, so less is written than there";
    Ok((reach, different.or(ahead.then_some(early))))
}
