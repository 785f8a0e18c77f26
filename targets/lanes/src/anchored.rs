//! The anchored schedule: replaying one, recording one.
//!
//! An anchored run needs no numbers of steps. It follows one rule, and anchors are where it deviates:
//!
//! * The current lane goes on at every place that has no anchor.
//! * At a place with [`Action::Run`] the lane *stops*. The lanes of the list run in turn, each until it can go no
//!   further: it waits, is idle or has finished. One that is not runnable when its turn comes is skipped. When
//!   the list is used up, the stopped lane goes on.
//! * Where a lane can go no further, the list that was begun last continues; if it is used up, its stopped lane
//!   goes on; if that cannot, the list begun before it continues, and so forth. So lists nest: an anchor met
//!   while a list runs is served first. Without any list the lowest-numbered runnable lane goes on: user lanes,
//!   the checker, flusher, end-io, reclaim.
//! * A wait is an arrival too, so an anchor can also say who runs where a lane could not have gone on anyway. The
//!   waiting lane counts as stopped: after the list it goes on if it can by then.
//! * A stopped lane that goes on early, because the list of a later anchor named it, is no longer stopped, and
//!   what its own list had left is dropped.
//! * Several lists for one place are one list. Lanes and places that do not come up change nothing.
//! * At a choice with [`Action::Pick`] the lane takes that candidate, or the last if there are fewer. All other
//!   choices are 0.
//!
//! Any run of any policy can be written down this way: [`record`] wraps the policy, follows the rule alongside,
//! and notes an anchor where the policy deviates from it. Where the policy merely goes on with a list, the list
//! is made longer, so "stop lane 0 in its operation 2 at the first W13, run flusher, end-io, reclaim" is one
//! anchor. Recording an anchored run leaves out the anchors that did nothing.
//!
//! A place names one arrival as long as operations have different numbers and no place is passed more than 65,534
//! times in one operation.

use crate::place::{LaneId, Place};
use crate::policy::lanes_of;
use crate::schedule::{Action, Anchor};
use crate::sim::{Policy, View};
use parking_lot::Mutex;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A lane that stopped, and who runs until it goes on.
struct Stop<L> {
    lane: LaneId,
    /// Replaying, the lanes still to run. Recording, the number of the anchor whose list can be made longer.
    list: L,
}

/// The lanes that are stopped, the last one last.
struct Plan<L> {
    stops: Vec<Stop<L>>,
}

impl<L> Default for Plan<L> {
    fn default() -> Plan<L> {
        Plan { stops: Vec::new() }
    }
}

impl<L> Plan<L> {
    fn stop(&mut self, lane: LaneId, list: L) {
        self.stops.push(Stop { lane, list });
    }

    /// `lane` goes on: it is not stopped any more.
    fn go(&mut self, lane: LaneId) {
        self.stops.retain(|stop| stop.lane != lane);
    }

    /// What [`Plan::turn`] comes to if no list has a lane left.
    fn expected(&self, ready: u64) -> LaneId {
        let stopped = self.stops.iter().rev().map(|stop| stop.lane).find(|lane| ready & lane.bit() != 0);
        stopped.or_else(|| lanes_of(ready).next()).expect("some lane is runnable")
    }

    /// Whose turn it is when nobody can go on by themselves; `take` gives the next runnable lane of a list.
    fn turn(&mut self, ready: u64, mut take: impl FnMut(&mut L) -> Option<LaneId>) -> LaneId {
        while let Some(stop) = self.stops.last_mut() {
            if let Some(lane) = take(&mut stop.list) {
                return lane;
            }
            let lane = stop.lane;
            if ready & lane.bit() != 0 {
                return lane;
            }
            self.stops.pop();
        }
        lanes_of(ready).next().expect("some lane is runnable")
    }
}

/// Carries out an anchored schedule.
pub(crate) struct Anchored {
    runs: BTreeMap<Place, Vec<LaneId>>,
    picks: BTreeMap<Place, u32>,
    plan: Plan<std::vec::IntoIter<LaneId>>,
}

impl Anchored {
    pub(crate) fn new(anchors: &[Anchor]) -> Anchored {
        let mut runs: BTreeMap<Place, Vec<LaneId>> = BTreeMap::new();
        let mut picks = BTreeMap::new();
        for anchor in anchors {
            match &anchor.action {
                Action::Run(lanes) => {
                    runs.entry(anchor.place)
                        .or_default()
                        .extend(lanes.iter().filter(|lane| (lane.0 as usize) < LaneId::COUNT));
                }
                Action::Pick(choice) => {
                    picks.entry(anchor.place).or_insert(*choice);
                }
            }
        }
        Anchored { runs, picks, plan: Plan::default() }
    }
}

impl Policy for Anchored {
    fn next(&mut self, view: &View) -> (LaneId, u32) {
        let current = view.place.lane;
        match self.runs.get(&view.place) {
            Some(list) => self.plan.stop(current, list.clone().into_iter()),
            None if !view.forced => return (current, 0),
            None => {}
        }
        let ready = view.ready;
        let lane = self.plan.turn(ready, |list| list.find(|lane| ready & lane.bit() != 0));
        self.plan.go(lane);
        (lane, 0)
    }

    fn choose(&mut self, place: Place, n: u32) -> u32 {
        self.picks.get(&place).map_or(0, |choice| (*choice).min(n - 1))
    }

    fn wants_places(&self) -> bool {
        true
    }
}

/// Wraps a policy, so that what it does can be had as an anchored schedule. The run is the same as without.
///
/// ```
/// use lanes::anchored::record;
/// use lanes::policy::policy_of;
/// use lanes::{LaneId, Schedule, Sim, Y, run};
///
/// let (policy, recording) = record(policy_of(&Schedule::Uniform { seed: 1 }));
/// let sim = Sim::new(policy, 1000);
/// let task = sim.task(LaneId(0));
/// let report = run(&sim, vec![(LaneId(0), Box::pin(async move { task.at(Y::W0).await }))]);
/// let same = Sim::new(policy_of(&Schedule::Anchored(recording.anchors())), 1000);
/// let task = same.task(LaneId(0));
/// assert_eq!(run(&same, vec![(LaneId(0), Box::pin(async move { task.at(Y::W0).await }))]).trace, report.trace);
/// ```
pub fn record(inner: Box<dyn Policy>) -> (Box<dyn Policy>, Recording) {
    recorder(inner, false)
}

/// Like [`record`], and keeps every arrival as well: 12 bytes for each place passed.
pub fn record_steps(inner: Box<dyn Policy>) -> (Box<dyn Policy>, Recording) {
    recorder(inner, true)
}

fn recorder(inner: Box<dyn Policy>, wants_steps: bool) -> (Box<dyn Policy>, Recording) {
    let recording = Recording::default();
    (Box::new(Recorder { inner, plan: Plan::default(), log: recording.log.clone(), wants_steps }), recording)
}

/// What a wrapped policy did, for whoever started the run.
#[derive(Clone, Default)]
pub struct Recording {
    log: Arc<Mutex<Log>>,
}

#[derive(Default)]
struct Log {
    anchors: Vec<Anchor>,
    steps: Vec<Place>,
}

impl Recording {
    /// The run so far as an anchored schedule, in the order in which it happened.
    pub fn anchors(&self) -> Vec<Anchor> {
        self.log.lock().anchors.clone()
    }

    /// Every arrival in order, if [`record_steps`] made the recording, else nothing.
    pub fn steps(&self) -> Vec<Place> {
        self.log.lock().steps.clone()
    }
}

struct Recorder {
    inner: Box<dyn Policy>,
    /// What the anchors noted so far lead to.
    plan: Plan<usize>,
    log: Arc<Mutex<Log>>,
    wants_steps: bool,
}

impl Recorder {
    /// Follows the rule of the anchored schedule, and notes what it would not have done.
    fn follow(&mut self, view: &View, lane: LaneId) {
        let current = view.place.lane;
        if lane == current && !view.forced {
            return;
        }
        let anchors = &mut self.log.lock().anchors;
        match self.plan.stops.last() {
            _ if view.forced && lane == self.plan.expected(view.ready) => {
                self.plan.turn(view.ready, |_| None);
            }
            Some(&Stop { list, .. }) if view.forced => {
                let Action::Run(lanes) = &mut anchors[list].action else { unreachable!("a choice stops nobody") };
                lanes.push(lane);
            }
            _ => {
                self.plan.stop(current, anchors.len());
                anchors.push(Anchor { place: view.place, action: Action::Run(vec![lane]) });
            }
        }
        self.plan.go(lane);
    }
}

impl Policy for Recorder {
    fn next(&mut self, view: &View) -> (LaneId, u32) {
        // The budget stays the wrapped policy's: at the places it does not want to be asked about the current
        // lane goes on, which is what an anchored run does without an anchor.
        let (lane, budget) = self.inner.next(view);
        self.follow(view, lane);
        (lane, budget)
    }

    fn choose(&mut self, place: Place, n: u32) -> u32 {
        let choice = self.inner.choose(place, n);
        if choice != 0 {
            self.log.lock().anchors.push(Anchor { place, action: Action::Pick(choice) });
        }
        choice
    }

    fn wants_places(&self) -> bool {
        true
    }

    fn wants_arrivals(&self) -> bool {
        self.wants_steps || self.inner.wants_arrivals()
    }

    fn arrived(&mut self, place: Place) {
        if self.wants_steps {
            self.log.lock().steps.push(place);
        }
        if self.inner.wants_arrivals() {
            self.inner.arrived(place);
        }
    }
}
