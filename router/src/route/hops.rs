//! How the hops of a route are stored.

use core::hash::{Hash, Hasher};

use crate::{Address, Hop};

/// The hops of a route.
///
/// One hop, which is the route of every message between two workers of a node, lies here. More are
/// boxed, last to first: there taking off and putting on the front, which every forwarding worker
/// does, is the cheap end of a `Vec`.
///
/// Not an enum of these forms, for the reason that an [`Address`] is none: what is copied for each
/// message is copied as plain words.
pub(super) struct Hops {
    /// The only hop; a hop without a name when there is none, or when there are more.
    one: Hop,
    count: Count,
    /// There if the count says so, and then of two hops or more.
    many: More,
}

/// A word, so that it is copied as one.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
enum Count {
    None,
    One,
    Many,
}

/// Cloned and dropped out of line, as the rest of a long name is.
struct More(Option<Box<Many>>);

#[derive(Clone)]
struct Many {
    reversed: Vec<Hop>,
}

/// Room for a route that grows by a hop or two on its way.
const MANY_CAPACITY: usize = 4;

impl Hops {
    #[inline]
    pub(super) fn none() -> Self {
        Self {
            one: Hop::new(Address::nameless()),
            count: Count::None,
            many: More(None),
        }
    }

    #[inline]
    pub(super) fn one(hop: Hop) -> Self {
        Self {
            one: hop,
            count: Count::One,
            many: More(None),
        }
    }

    /// The hops of a list, last to first.
    fn of_reversed(mut reversed: Vec<Hop>) -> Self {
        match reversed.len() {
            0 => Self::none(),
            1 => reversed.pop().map_or_else(Self::none, Self::one),
            _ => Self {
                many: More(Some(Box::new(Many { reversed }))),
                count: Count::Many,
                ..Self::none()
            },
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.count == Count::None
    }

    /// The hop of a route that has no other.
    #[inline]
    pub(super) fn only(&self) -> Option<&Hop> {
        (self.count == Count::One).then_some(&self.one)
    }

    #[inline]
    pub(super) fn push_front(&mut self, hop: Hop) {
        match self.count {
            Count::None => *self = Self::one(hop),
            _ => self.edit(|reversed| reversed.push(hop)),
        }
    }

    #[inline]
    pub(super) fn push_back(&mut self, hop: Hop) {
        match self.count {
            Count::None => *self = Self::one(hop),
            _ => self.edit(|reversed| reversed.insert(0, hop)),
        }
    }

    #[inline]
    pub(super) fn pop_front(&mut self) -> Option<Hop> {
        match self.count {
            Count::None => None,
            Count::One => Some(core::mem::take(self).one),
            Count::Many => self.edit(Vec::pop),
        }
    }

    #[inline]
    pub(super) fn pop_back(&mut self) -> Option<Hop> {
        match self.count {
            Count::None => None,
            Count::One => Some(core::mem::take(self).one),
            Count::Many => self.edit(|reversed| Some(reversed.remove(0))),
        }
    }

    /// Puts all of `other` behind the last.
    pub(super) fn append(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
        } else if !other.is_empty() {
            self.edit(|front| {
                let mut reversed = other.into_reversed();
                reversed.append(front);
                *front = reversed;
            });
        }
    }

    /// Edits the hops as a list, last to first; it stays where it is as long as it has two or more.
    #[inline(never)]
    fn edit<R>(&mut self, edit: impl FnOnce(&mut Vec<Hop>) -> R) -> R {
        if let Some(many) = &mut self.many.0 {
            let result = edit(&mut many.reversed);
            if many.reversed.len() < 2 {
                *self = Self::of_reversed(core::mem::take(&mut many.reversed));
            }
            return result;
        }
        let mut reversed = Vec::with_capacity(MANY_CAPACITY);
        if self.count == Count::One {
            reversed.push(core::mem::take(self).one);
        }
        let result = edit(&mut reversed);
        *self = Self::of_reversed(reversed);
        result
    }

    #[inline]
    pub(super) fn first(&self) -> Option<&Hop> {
        self.only().or_else(|| self.reversed().last())
    }

    #[inline]
    pub(super) fn last(&self) -> Option<&Hop> {
        self.reversed().first()
    }

    /// The hops, last to first.
    #[inline]
    pub(super) fn reversed(&self) -> &[Hop] {
        match (self.count, &self.many.0) {
            (Count::One, _) => core::slice::from_ref(&self.one),
            (_, Some(many)) => &many.reversed,
            (_, None) => &[],
        }
    }

    /// The hops, last to first.
    pub(super) fn into_reversed(mut self) -> Vec<Hop> {
        match (self.count, self.many.0.take()) {
            (Count::One, _) => vec![self.one],
            (_, Some(many)) => many.reversed,
            (_, None) => Vec::new(),
        }
    }
}

impl Clone for Hops {
    /// A plain copy for a route of one short name, which is what senders clone for each message.
    #[inline]
    fn clone(&self) -> Self {
        Self {
            one: self.one.clone(),
            count: self.count,
            many: self.many.clone(),
        }
    }
}

impl Clone for More {
    #[inline]
    fn clone(&self) -> Self {
        Self(match &self.0 {
            None => None,
            Some(many) => more(many),
        })
    }
}

#[cold]
#[inline(never)]
fn more(many: &Many) -> Option<Box<Many>> {
    Some(Box::new(many.clone()))
}

impl Drop for More {
    #[inline]
    fn drop(&mut self) {
        if let Some(many) = self.0.take() {
            no_more(many);
        }
    }
}

#[cold]
#[inline(never)]
fn no_more(many: Box<Many>) {
    drop(many);
}

impl Default for Hops {
    #[inline]
    fn default() -> Self {
        Self::none()
    }
}

impl PartialEq for Hops {
    fn eq(&self, other: &Self) -> bool {
        self.reversed() == other.reversed()
    }
}

impl Eq for Hops {}

impl Hash for Hops {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.reversed().hash(state);
    }
}

impl FromIterator<Hop> for Hops {
    fn from_iter<I: IntoIterator<Item = Hop>>(hops: I) -> Self {
        let mut reversed: Vec<Hop> = hops.into_iter().collect();
        reversed.reverse();
        Self::of_reversed(reversed)
    }
}
