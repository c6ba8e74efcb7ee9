//! What strikes when: the faults and rare paths of a run, drawn from its seed, with a note of each.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;

use super::EventHook;
use super::calls::{CallFault, Calls, SystemCall};
use super::dice::Dice;
use super::faults::{Fault, Faults};
use super::trace::{Event, Trace};
use crate::driver::rare::{Rare, RareDice, RareRates};
use crate::time::Time;

/// Shared by the schedule, the network and the cores of a run.
pub(crate) struct Fate {
    /// One generator for each kind of fault: to leave one kind out does not shift the others.
    dice: RefCell<Vec<Dice>>,
    faults: Faults,
    fired: RefCell<[u64; Fault::COUNT]>,
    rare: RareRates,
    reached: RefCell<[u64; Rare::COUNT]>,
    trace: RefCell<Trace>,
    calls: RefCell<Calls>,
    now: Cell<Time>,
    is_calm: Cell<bool>,
    on_event: Option<EventHook>,
}

impl Fate {
    pub(crate) fn new(
        seed: u64,
        faults: Faults,
        rare: RareRates,
        calls: Calls,
        on_event: Option<EventHook>,
    ) -> Rc<Self> {
        let dice = |fault: &Fault| Dice::new(seed, &fault.to_string());
        Rc::new(Self {
            dice: RefCell::new(Fault::ALL.iter().map(dice).collect()),
            faults,
            fired: RefCell::new([0; Fault::COUNT]),
            rare,
            reached: RefCell::new([0; Rare::COUNT]),
            trace: RefCell::new(Trace::new()),
            calls: RefCell::new(calls),
            now: Cell::new(Time::ZERO),
            is_calm: Cell::new(false),
            on_event,
        })
    }

    /// Whether this fault strikes now, at one of its opportunities.
    pub(crate) fn strikes(&self, fault: Fault) -> bool {
        let rate = self.faults.rate(fault);
        if rate == 0 || self.is_calm.get() || !self.roll(fault, |dice| dice.happens(rate)) {
            return false;
        }
        self.struck(fault);
        true
    }

    /// Whether there is this kind of fault in the run.
    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.faults.rate(fault) > 0
    }

    /// Notes that a fault had its effect.
    pub(crate) fn struck(&self, fault: Fault) {
        self.fired.borrow_mut()[fault.index()] += 1;
        self.note(Event::Fault { fault });
    }

    /// A node asks something of the system. What befalls the call, if anything does.
    pub(crate) fn call(&self, call: SystemCall) -> Option<CallFault> {
        self.calls.borrow_mut().note(call)
    }

    /// As [`call`](Self::call), where only an error matters.
    ///
    /// # Errors
    /// That of the call, if it is to fail.
    pub(crate) fn attempt(&self, call: SystemCall) -> io::Result<()> {
        let fault = self.call(call);
        fault.and_then(CallFault::error).map_or(Ok(()), Err)
    }

    /// What a call in the turn of a core leads to after it.
    pub(crate) fn after_turn(&self) -> Option<CallFault> {
        self.calls.borrow_mut().take_after()
    }

    pub(crate) fn calls(&self) -> Vec<SystemCall> {
        self.calls.borrow().listed()
    }

    /// Draws something about a fault.
    pub(crate) fn roll<R>(&self, fault: Fault, draw: impl FnOnce(&mut Dice) -> R) -> R {
        draw(&mut self.dice.borrow_mut()[fault.index()])
    }

    /// So many nanoseconds, from `least` to `most`, for a fault.
    pub(crate) fn nanos(&self, fault: Fault, least: u64, most: u64) -> u64 {
        self.roll(fault, |dice| dice.magnitude(least, most))
    }

    /// The dice by which one core takes rare paths.
    pub(crate) fn rare_dice(self: &Rc<Self>, dice: Dice) -> Option<RareDice> {
        (!self.rare.is_empty()).then(|| RareDice::new(Rc::clone(self), dice, self.rare.clone()))
    }

    pub(crate) fn took_rare(&self, path: Rare) {
        self.reached.borrow_mut()[path.index()] += 1;
        self.note(Event::Rare { path });
    }

    pub(crate) fn note(&self, event: Event) {
        self.trace.borrow_mut().note(self.now.get(), event);
        if let Some(hook) = &self.on_event {
            hook(self.now.get().saturating_since(Time::ZERO), &event);
        }
    }

    pub(crate) fn now(&self) -> Time {
        self.now.get()
    }

    pub(crate) fn set_now(&self, now: Time) {
        self.now.set(now);
    }

    pub(crate) fn pass(&self, time: std::time::Duration) {
        self.set_now(self.now.get().saturating_add(time));
    }

    /// From now on nothing strikes.
    pub(crate) fn calm(&self) {
        self.is_calm.set(true);
    }

    /// Whether anything may strike, now or later.
    pub(crate) fn may_strike(&self) -> bool {
        let is_faultless = self.faults.kinds().next().is_none() && self.rare.is_empty();
        !self.is_calm() && !is_faultless
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.is_calm.get()
    }

    pub(crate) fn trace(&self) -> std::cell::Ref<'_, Trace> {
        self.trace.borrow()
    }

    pub(crate) fn fired(&self) -> Vec<(Fault, u64)> {
        let fired = self.fired.borrow();
        Fault::ALL
            .iter()
            .map(|fault| (*fault, fired[fault.index()]))
            .collect()
    }

    pub(crate) fn reached(&self) -> Vec<(Rare, u64)> {
        let reached = self.reached.borrow();
        Rare::ALL
            .iter()
            .map(|path| (*path, reached[path.index()]))
            .collect()
    }
}
