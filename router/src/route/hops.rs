//! How the hops of a route are stored.

use crate::Hop;

/// The hops, first to last in the first two forms and last to first in the third, where taking off
/// and putting on the front, which every forwarding worker does, is then the cheap end of a `Vec`.
///
/// `Many` holds two hops or more, so each route has one form only.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub(super) enum Hops {
    #[default]
    None,
    One(Hop),
    Many(Vec<Hop>),
}

/// Room for a route that grows by a hop or two on its way.
const MANY_CAPACITY: usize = 4;

impl Hops {
    #[inline]
    pub(super) fn push_front(&mut self, hop: Hop) {
        match self {
            Self::None => *self = Self::One(hop),
            Self::One(_) => self.two(|old| [old, hop]),
            Self::Many(reversed) => reversed.push(hop),
        }
    }

    #[inline]
    pub(super) fn push_back(&mut self, hop: Hop) {
        match self {
            Self::None => *self = Self::One(hop),
            Self::One(_) => self.two(|old| [hop, old]),
            Self::Many(reversed) => reversed.insert(0, hop),
        }
    }

    fn two(&mut self, join: impl FnOnce(Hop) -> [Hop; 2]) {
        if let Self::One(old) = core::mem::take(self) {
            let mut reversed = Vec::with_capacity(MANY_CAPACITY);
            reversed.extend(join(old));
            *self = Self::Many(reversed);
        }
    }

    #[inline]
    pub(super) fn pop_front(&mut self) -> Option<Hop> {
        // Taken out whole and matched once, so that no form is left to be dropped.
        match core::mem::take(self) {
            Self::None => None,
            Self::One(hop) => Some(hop),
            Self::Many(reversed) => self.take_of_many(reversed, Vec::pop),
        }
    }

    #[inline]
    pub(super) fn pop_back(&mut self) -> Option<Hop> {
        match core::mem::take(self) {
            Self::None => None,
            Self::One(hop) => Some(hop),
            Self::Many(reversed) => self.take_of_many(reversed, |hops| Some(hops.remove(0))),
        }
    }

    #[inline(never)]
    fn take_of_many(
        &mut self,
        mut reversed: Vec<Hop>,
        take: impl FnOnce(&mut Vec<Hop>) -> Option<Hop>,
    ) -> Option<Hop> {
        let taken = take(&mut reversed);
        *self = match reversed.len() {
            1 => reversed.pop().map_or(Self::None, Self::One),
            _ => Self::Many(reversed),
        };
        taken
    }

    /// Puts all of `other` behind the last.
    pub(super) fn append(&mut self, other: Self) {
        match (core::mem::take(self), other) {
            (front, Self::None) => *self = front,
            (Self::None, back) => *self = back,
            (front, back) => {
                let mut reversed = back.into_reversed();
                reversed.append(&mut front.into_reversed());
                *self = Self::Many(reversed);
            }
        }
    }

    #[inline]
    pub(super) fn first(&self) -> Option<&Hop> {
        match self {
            Self::One(hop) => Some(hop),
            _ => self.reversed().last(),
        }
    }

    #[inline]
    pub(super) fn first_mut(&mut self) -> Option<&mut Hop> {
        match self {
            Self::None => None,
            Self::One(hop) => Some(hop),
            Self::Many(reversed) => reversed.last_mut(),
        }
    }

    #[inline]
    pub(super) fn last(&self) -> Option<&Hop> {
        self.reversed().first()
    }

    /// The hops, last to first.
    #[inline]
    pub(super) fn reversed(&self) -> &[Hop] {
        match self {
            Self::None => &[],
            Self::One(hop) => core::slice::from_ref(hop),
            Self::Many(reversed) => reversed,
        }
    }

    /// The hops, last to first.
    pub(super) fn into_reversed(self) -> Vec<Hop> {
        match self {
            Self::None => Vec::new(),
            Self::One(hop) => vec![hop],
            Self::Many(reversed) => reversed,
        }
    }
}

impl FromIterator<Hop> for Hops {
    fn from_iter<I: IntoIterator<Item = Hop>>(hops: I) -> Self {
        let mut hops = hops.into_iter();
        let (Some(first), second) = (hops.next(), hops.next()) else {
            return Self::None;
        };
        let Some(second) = second else {
            return Self::One(first);
        };
        let mut reversed: Vec<Hop> = [first, second].into_iter().chain(hops).collect();
        reversed.reverse();
        Self::Many(reversed)
    }
}
