//! What befalls the network of a simulation, and the end of that.

use super::fabric::Arrival;
use super::pipe::Pipe;
use super::{Inner, Place, READABLE, SimNet, WRITABLE};
use crate::driver::sim::Fault;
use crate::time::Time;

impl SimNet {
    /// Limits the descriptors of a host.
    pub(crate) fn limit_descriptors(&self, host: u16, most: usize) {
        if let Some(host) = self.0.borrow_mut().hosts.get_mut(usize::from(host)) {
            host.descriptors_max = most;
        }
    }

    /// Lets nothing from one host arrive at the other until [`join`](Self::join).
    pub(crate) fn cut(&self, from: u16, to: u16) {
        self.0.borrow_mut().fabric.cut(from, to);
    }

    /// Ends a cut: what was held up arrives.
    pub(crate) fn join(&self, from: u16, to: u16) {
        let inner = &mut *self.0.borrow_mut();
        inner.fabric.join(from, to);
        inner.release_held();
    }

    /// Makes everything from one host to the other slow until then.
    pub(crate) fn clog(&self, from: u16, to: u16, until: Time, nanos: u64) {
        self.0.borrow_mut().fabric.clog(from, to, until, nanos);
    }

    /// The host loses its power: nobody is told, and what its peers send goes nowhere.
    pub(crate) fn sever(&self, host: u16) {
        let inner = &mut *self.0.borrow_mut();
        let at_host = |(at, pipe): (usize, &Pipe)| pipe.touches(host).then_some(at);
        let all: Vec<usize> = inner.pipes.iter().filter_map(at_host).collect();
        for at in all {
            inner.pipes[at].swallow();
        }
    }

    /// The host is back: peers that still hold a connection to what it was learn that there is none.
    pub(crate) fn restore(&self, host: u16) {
        let inner = &mut *self.0.borrow_mut();
        let of_old =
            |(at, pipe): (usize, &Pipe)| (pipe.touches(host) && pipe.is_hole()).then_some(at);
        let all: Vec<usize> = inner.pipes.iter().filter_map(of_old).collect();
        all.into_iter().for_each(|at| inner.reset(at));
    }

    /// Ends every fault of the network: cuts, holes, slowness, and limits.
    pub(crate) fn heal(&self) {
        let inner = &mut *self.0.borrow_mut();
        inner.fabric.heal();
        for host in &mut inner.hosts {
            host.descriptors_max = usize::MAX;
        }
        let settings = inner.fabric.settings();
        let mut holes = Vec::new();
        for (at, pipe) in &mut inner.pipes {
            pipe.heal(&settings);
            if pipe.is_hole() {
                holes.push(at);
            }
        }
        holes.into_iter().for_each(|at| inner.reset(at));
        inner.release_held();
        inner.tell_all();
    }

    /// Tells a socket of the core that it is ready, though nothing has happened.
    pub(crate) fn tell_falsely(&self, core: usize) {
        let inner = &mut *self.0.borrow_mut();
        let places = inner.pipes.iter().flat_map(|(_, pipe)| pipe.places());
        let here: Vec<Place> = places.filter(|place| place.0 == core).collect();
        let drawn = inner.dice.place(here.len());
        if let Some(place) = here.get(drawn) {
            inner.fate.struck(Fault::SpuriousReadiness);
            inner.tell(Some(*place), READABLE);
        }
    }
}

impl Inner {
    /// Tells every stream that it may try again.
    fn tell_all(&mut self) {
        let places: Vec<Place> = self
            .pipes
            .iter()
            .flat_map(|(_, pipe)| pipe.places())
            .collect();
        for place in places {
            self.tell(Some(place), READABLE);
            self.tell(Some(place), WRITABLE);
        }
    }

    /// Holds what was cut off no longer.
    fn release_held(&mut self) {
        let now = self.fate.now();
        for (at, pipe) in &mut self.pipes {
            for to in pipe.sides_with_flight() {
                let (id, to) = (pipe.id(), to as u8);
                self.fabric
                    .schedule(now, Arrival::Segment { pipe: at, id, to });
            }
        }
    }
}
