//! Routes that are kept for the next message of their way.
//!
//! Who brings in many messages along one way, as a connection does, needs the same routes for each of them, and whoever
//! handles such a message drops them. Where that is done by the thread that made them they are put by, block and all, and
//! the next message of the way takes them as they are: its routes are not cloned, which would count their hops once more,
//! in an atomic word, are not written anew, and nothing is freed.
//!
//! What is kept is a number of blocks for each of a number of connections. A core lets go of what nobody has taken for a
//! while: not whenever it finds nothing to do, which is after each batch of messages, as the next one brings the same.

use std::cell::{Cell, RefCell};

use ringpost_mailbox::cell::Boxed;
use ringpost_mailbox::sync::thread_local;
use ringpost_router::Route;

use crate::envelope::Routes;

/// Connections whose routes are kept apart from each other; of more, some share a place. A word has a bit for each.
const PLACES: usize = u64::BITS as usize;

/// Blocks that are kept in each place: a usual window of messages.
const EACH: usize = 16;

/// What a core keeps at the most.
pub(crate) const KEPT_MAX: u64 = (PLACES * EACH) as u64;

/// Whose routes some are, and on which core they are kept. Nobody else's have the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kin {
    way: u32,
    core: u16,
    place: u8,
}

impl Kin {
    /// Of routes that are not kept.
    pub(crate) const NONE: Kin = Kin {
        way: 0,
        core: 0,
        place: 0,
    };

    /// The kin of somebody on this core who brings messages in; none of its way yet.
    pub(crate) fn new(core: u16) -> Self {
        let place = NUMBERS.with(|numbers| {
            let place = numbers.place.get();
            numbers.place.set((place + 1) % PLACES as u8);
            place
        });
        KEPT.with(|kept| kept.borrow_mut().core = core);
        let (way, core) = (0, core);
        Self { way, core, place }
    }

    /// Messages go another way from here on.
    pub(crate) fn turn(&mut self) {
        self.way = NUMBERS.with(|numbers| {
            let way = numbers.way.get().checked_add(1).unwrap_or(1);
            numbers.way.set(way);
            way
        });
    }

    /// Routes of this kin, which have these hops, if some are kept.
    #[inline]
    pub(crate) fn take(self, onward: &Route, back: &Route) -> Option<Boxed<Routes>> {
        let routes = KEPT.with(|kept| {
            let kept = &mut *kept.borrow_mut();
            kept.used |= 1 << self.place;
            kept.places.get_mut(usize::from(self.place))?.pop()
        });
        // What is not of this way is left from one before, or of another connection, and is dropped with nothing borrowed.
        let routes = routes.filter(|it| it.kin == self && it.back.shares_with(back))?;
        debug_assert!(
            routes.onward == *onward,
            "routes were kept that were edited"
        );
        routes.shared.set(false);
        Some(routes)
    }
}

struct Kept {
    core: u16,
    /// A bit for each place from which something was taken since it was looked at last.
    used: u64,
    places: [Vec<Boxed<Routes>>; PLACES],
}

struct Numbers {
    way: Cell<u32>,
    place: Cell<u8>,
}

/// The core of a thread that keeps none.
const NOWHERE: u16 = u16::MAX;

thread_local! {
    static KEPT: RefCell<Kept> = const {
        RefCell::new(Kept { core: NOWHERE, used: 0, places: [const { Vec::new() }; PLACES] })
    };
    static NUMBERS: Numbers = const { Numbers { way: Cell::new(0), place: Cell::new(0) } };
}

/// Keeps these routes, if they are of a kin of this core and there is room.
pub(crate) fn keep(mut routes: Boxed<Routes>) {
    // Whatever else hangs on them is told now.
    routes.hold = None;
    let refused = KEPT.try_with(|kept| {
        let kept = &mut *kept.borrow_mut();
        let Kin { core, place, .. } = routes.kin;
        let is_here = core == kept.core;
        match kept.places.get_mut(usize::from(place)) {
            Some(place) if is_here && place.len() < EACH => {
                place.push(routes);
                None
            }
            _ => Some(routes),
        }
    });
    // Dropped with nothing borrowed; a thread that ends keeps none.
    drop(refused);
}

/// Lets go of what this thread keeps and nobody has taken from since this was called last.
pub(crate) fn let_go_unused() {
    let_go(|kept| std::mem::take(&mut kept.used));
}

/// Lets go of all that this thread keeps.
pub(crate) fn let_go_all() {
    let_go(|_| 0);
}

/// Lets go of what is kept in all places but those that are named by a bit.
fn let_go(but: impl FnOnce(&mut Kept) -> u64) {
    let kept = KEPT.try_with(|kept| {
        let kept = &mut *kept.borrow_mut();
        let but = but(kept);
        let places = (0..).zip(&mut kept.places);
        let unused = places.filter(|(at, place)| but & 1u64 << *at == 0 && !place.is_empty());
        unused
            .map(|(_, place)| std::mem::take(place))
            .collect::<Vec<_>>()
    });
    // Dropped with nothing borrowed.
    drop(kept);
}

#[cfg(test)]
mod tests {
    use ringpost_mailbox::pool::{Pool, PoolLimits};
    use ringpost_router::{Message, route};

    use super::*;
    use crate::envelope::Detour;

    const HERE: u16 = 3;

    fn kin() -> Kin {
        let mut kin = Kin::new(HERE);
        kin.turn();
        kin
    }

    /// The routes of a message that is sent by this kin.
    fn made(kin: Kin, onward: &Route, back: &Route) -> Boxed<Routes> {
        let body = Detour::along(kin, (onward, back), None, ().into_body());
        Detour::open(body).0.expect("it has routes")
    }

    #[test]
    fn the_next_message_of_a_way_has_the_routes_of_the_one_before() {
        let pool = Pool::new(0, PoolLimits::default());
        let _entered = pool.enter();
        let (mut kin, onward, back) = (kin(), route!["worker"], route!["connection", "peer"]);
        let routes = made(kin, &onward, &back);
        let at = std::ptr::from_ref(&*routes);
        routes.shared.set(true);
        keep(routes);
        assert_eq!(pool.outstanding(), 1);
        let again = made(kin, &onward, &back);
        assert_eq!(std::ptr::from_ref(&*again), at);
        assert!(!again.shared.get() && again.back == back && again.onward == onward);
        keep(again);
        kin.turn();
        let other = route!["another"];
        let routes = made(kin, &other, &back);
        assert_eq!((&routes.onward, pool.outstanding()), (&other, 1));
        drop(routes);
        assert!(kin.take(&other, &back).is_none());
    }

    #[test]
    fn no_more_is_kept_than_a_window_and_nothing_of_another_core() {
        let pool = Pool::new(0, PoolLimits::default());
        let _entered = pool.enter();
        let (kin, onward, back) = (kin(), route!["worker"], route!["connection", "peer"]);
        let many: Vec<_> = (0..=EACH).map(|_| made(kin, &onward, &back)).collect();
        many.into_iter().for_each(keep);
        assert_eq!(pool.outstanding() as usize, EACH);
        let foreign = Kin {
            core: HERE + 1,
            ..kin
        };
        let_go_all();
        keep(made(foreign, &onward, &back));
        assert_eq!(pool.outstanding(), 0);
    }

    #[test]
    fn what_nobody_takes_from_is_let_go() {
        let pool = Pool::new(0, PoolLimits::default());
        let _entered = pool.enter();
        let (used, unused) = (kin(), kin());
        let (onward, back) = (route!["worker"], route!["connection", "peer"]);
        for kin in [used, unused] {
            keep(made(kin, &onward, &back));
        }
        let_go_unused();
        assert_eq!(pool.outstanding(), 2, "both were asked for lately");
        keep(made(used, &onward, &back));
        let_go_unused();
        assert_eq!(pool.outstanding(), 1);
        let_go_unused();
        assert_eq!(pool.outstanding(), 0);
    }
}
