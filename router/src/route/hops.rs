//! How the hops of a route are stored.

use core::hash::{Hash, Hasher};
use std::cell::Cell;
use std::sync::Arc;

use ringpost_mailbox::sync::thread_local;

use crate::{Address, Hop, Seen};

/// The hops of a route.
///
/// One hop, which is the route of every message between two workers of a node, lies here. More lie in one
/// counted block, last to first, which is shared until it is edited: the way back to a peer on another
/// node is the same for each of its messages, and each reply takes it along.
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
    /// With a short name, which is copied and forgotten as plain words.
    One,
    /// With a long name.
    OneLong,
    Many,
}

/// Cloned and dropped out of line, as the rest of a long name is.
struct More(Option<Arc<Many>>);

/// Two hops or more, last to first: there taking off and putting on the front, which every forwarding
/// worker does, is the cheap end of a `Vec`.
#[derive(Clone)]
enum Many {
    /// A connection and who is behind it: the usual way between nodes, without a block of its own.
    Two([Hop; 2]),
    List(Vec<Hop>),
}

impl Many {
    fn hops(&self) -> &[Hop] {
        match self {
            Self::Two(hops) => hops,
            Self::List(hops) => hops,
        }
    }
}

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
            count: match hop.address.is_short() {
                true => Count::One,
                false => Count::OneLong,
            },
            one: hop,
            many: More(None),
        }
    }

    /// As [`one`](Self::one), of a hop that is made here. Each form is made by itself, so that who has just made it knows which it is.
    #[inline(always)]
    pub(super) fn to_seen(address: &Address, seen: Seen) -> Self {
        if !address.is_short() {
            return Self::one(Hop::to_seen(address.clone(), seen));
        }
        Self {
            one: Hop::to_seen(address.copy_short(), seen),
            count: Count::One,
            many: More(None),
        }
    }

    fn many(many: Many) -> Self {
        Self {
            many: More(Some(Arc::new(many))),
            count: Count::Many,
            ..Self::none()
        }
    }

    /// The hops of a list, last to first.
    fn of_reversed(mut reversed: Vec<Hop>) -> Self {
        match reversed.len() {
            0 => Self::none(),
            1 => reversed.pop().map_or_else(Self::none, Self::one),
            _ => Self::many(match reversed.try_into() {
                Ok(two) => Many::Two(two),
                Err(list) => Many::List(list),
            }),
        }
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.count == Count::None
    }

    /// The hop of a route that has no other.
    #[inline]
    pub(super) fn only(&self) -> Option<&Hop> {
        matches!(self.count, Count::One | Count::OneLong).then_some(&self.one)
    }

    /// As [`only`](Self::only), if the hop's name is a short one.
    #[inline]
    pub(super) fn only_short(&self) -> Option<&Hop> {
        (self.count == Count::One).then_some(&self.one)
    }

    #[inline]
    pub(super) fn push_front(&mut self, hop: Hop) {
        match self.count {
            Count::None => *self = Self::one(hop),
            Count::One | Count::OneLong => {
                *self = Self::many(Many::Two([core::mem::take(self).one, hop]))
            }
            Count::Many => self.edit(|reversed| reversed.push(hop)),
        }
    }

    #[inline]
    pub(super) fn push_back(&mut self, hop: Hop) {
        match self.count {
            Count::None => *self = Self::one(hop),
            Count::One | Count::OneLong => {
                *self = Self::many(Many::Two([hop, core::mem::take(self).one]))
            }
            Count::Many => self.edit(|reversed| reversed.insert(0, hop)),
        }
    }

    #[inline]
    pub(super) fn pop_front(&mut self) -> Option<Hop> {
        match self.count {
            Count::None => None,
            Count::One | Count::OneLong => Some(core::mem::take(self).one),
            Count::Many => self.edit(Vec::pop),
        }
    }

    #[inline]
    pub(super) fn pop_back(&mut self) -> Option<Hop> {
        match self.count {
            Count::None => None,
            Count::One | Count::OneLong => Some(core::mem::take(self).one),
            Count::Many => self.edit(|reversed| Some(reversed.remove(0))),
        }
    }

    /// Puts all of `other` behind the last.
    pub(super) fn append(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
        } else if !other.is_empty() {
            let mut reversed = other.into_reversed();
            reversed.append(&mut core::mem::take(self).into_reversed());
            *self = Self::of_reversed(reversed);
        }
    }

    /// Edits the hops as a list, last to first; a list of more than two stays where it is as long as
    /// nobody shares it.
    #[inline(never)]
    fn edit<R>(&mut self, edit: impl FnOnce(&mut Vec<Hop>) -> R) -> R {
        // That of a clone which is gone is not to count as shared.
        drop(DROPPED.try_with(Cell::take));
        let own = self.many.0.as_mut().and_then(Arc::get_mut);
        if let Some(Many::List(reversed)) = own {
            let result = edit(reversed);
            if reversed.len() < 3 {
                *self = Self::of_reversed(core::mem::take(reversed));
            }
            return result;
        }
        let mut reversed = core::mem::take(self).into_reversed();
        let result = edit(&mut reversed);
        *self = Self::of_reversed(reversed);
        result
    }

    /// Whether both share one block of hops. Routes that do not may be equal all the same.
    #[inline]
    pub(super) fn shares_with(&self, other: &Self) -> bool {
        match (&self.many.0, &other.many.0) {
            (Some(own), Some(others)) => Arc::ptr_eq(own, others),
            _ => false,
        }
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
            (Count::One | Count::OneLong, _) => core::slice::from_ref(&self.one),
            (_, Some(many)) => many.hops(),
            (_, None) => &[],
        }
    }

    /// The hops, last to first.
    pub(super) fn into_reversed(mut self) -> Vec<Hop> {
        let many = match (self.count, self.many.0.take()) {
            (Count::One | Count::OneLong, _) => return vec![self.one],
            (_, Some(many)) => many,
            (_, None) => return Vec::new(),
        };
        match Arc::unwrap_or_clone(many) {
            Many::Two(hops) => hops.into(),
            Many::List(hops) => hops,
        }
    }
}

impl Clone for Hops {
    /// A plain copy for a route of one short name, which is what senders clone for each message. The words of any other are
    /// copied likewise, and what is counted is put there then.
    #[inline(always)]
    fn clone(&self) -> Self {
        let mut one = self.one.copy_short();
        let mut many = More(None);
        if self.count != Count::One {
            one.share_long(&self.one);
            many = self.many.clone();
        }
        Self {
            one,
            count: self.count,
            many,
        }
    }
}

impl Clone for More {
    #[inline]
    fn clone(&self) -> Self {
        Self(match &self.0 {
            None => None,
            Some(many) => counted(many),
        })
    }
}

thread_local! {
    /// The block that a route of this thread had which was dropped last. Who answers many messages of one peer has a
    /// route cloned for each answer, and drops one with it: what lies here is that clone, and nothing is counted, which
    /// takes an atomic operation each way.
    static DROPPED: Cell<Option<Arc<Many>>> = const { Cell::new(None) };
}

#[cold]
#[inline(never)]
fn counted(many: &Arc<Many>) -> Option<Arc<Many>> {
    let reused = DROPPED.try_with(|dropped| {
        let last = dropped.take()?;
        if Arc::ptr_eq(&last, many) {
            return Some(last);
        }
        dropped.set(Some(last));
        None
    });
    // A thread that ends has none.
    Some(reused.ok().flatten().unwrap_or_else(|| Arc::clone(many)))
}

impl Drop for More {
    #[inline]
    fn drop(&mut self) {
        if let Some(many) = self.0.take() {
            uncounted(many);
        }
    }
}

#[cold]
#[inline(never)]
fn uncounted(many: Arc<Many>) {
    let before = DROPPED.try_with(|dropped| dropped.replace(Some(many)));
    drop(before);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn route(names: &[&'static str]) -> Hops {
        names.iter().map(|name| Hop::new(*name)).collect()
    }

    fn block(hops: &Hops) -> &Arc<Many> {
        hops.many.0.as_ref().expect("there are several hops")
    }

    #[test]
    fn a_clone_is_the_one_that_was_dropped_last() {
        let (one, other) = (route(&["a", "b"]), route(&["c", "d"]));
        drop(one.clone());
        assert_eq!(Arc::strong_count(block(&one)), 2, "it lies there");
        let clone = one.clone();
        assert_eq!(Arc::strong_count(block(&one)), 2, "nothing was counted");
        assert!(clone == one && clone.shares_with(&one));
        drop(clone);
        assert!(other.clone() == other);
        drop(other.clone());
        assert_eq!(Arc::strong_count(block(&one)), 1);
    }

    #[test]
    fn a_list_that_was_shared_before_is_edited_where_it_is() {
        let mut hops = route(&["a", "b", "c"]);
        drop(hops.clone());
        let before = Arc::as_ptr(block(&hops));
        hops.push_front(Hop::new("d"));
        assert_eq!(Arc::as_ptr(block(&hops)), before);
        assert!(hops == route(&["d", "a", "b", "c"]));
    }
}
