//! Names that stand for return routes on a connection, and cannot be guessed.
//!
//! What a peer gets to see of a return route is one name of 22 characters. It holds the place of the
//! route in a table, so that it is found without a search, and 96 bits that only the owner of the key
//! can make (SipHash-1-3 under two keys of 128 bits, over a number that never comes twice).

use std::collections::BTreeMap;

use crate::address::hash_keyed;
use crate::{Address, HandleKind, Hop, Route};

/// The characters of a name, by six bits.
const CHARACTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const NAME_BYTES: usize = 22;
/// In the last character, of which two bits are used: the name is good for one reply.
const ONCE: u8 = 4;
/// How many places are looked at for one that was not used lately.
const LOOKS_MAX: usize = 8;

/// The routes of one connection that its peer may reply to.
///
/// There are at most as many as the limit says. Where there is no room, a route that was not used lately
/// makes way, and replies to it are not taken any more.
#[derive(Debug)]
pub struct Aliases {
    keys: [u64; 4],
    entries: Vec<Option<Entry>>,
    entries_max: usize,
    /// Where to look for a place next.
    next: usize,
    made: u64,
    free: Vec<usize>,
    /// The names of routes of one address, so that a worker that sends often has one.
    by_address: BTreeMap<Address, usize>,
}

#[derive(Debug)]
struct Entry {
    name: Address,
    route: Route,
    used: bool,
    once: bool,
}

impl Aliases {
    /// An empty table for at most so many routes, under secret keys.
    #[must_use]
    pub fn new(keys: [u64; 4], entries_max: usize) -> Self {
        Self {
            keys,
            entries: Vec::new(),
            entries_max: entries_max.max(1),
            next: 0,
            made: 0,
            free: Vec::new(),
            by_address: BTreeMap::new(),
        }
    }

    /// The name that stands for this route. A place that waits for one reply gets a name of its own,
    /// which is forgotten with the reply.
    pub fn name_for(&mut self, route: &Route) -> Address {
        let only = route.only();
        let once = only.is_some_and(is_reply);
        if !once
            && let Some(hop) = only
            && let Some(at) = self.by_address.get(&hop.address).copied()
            && let Some(Some(entry)) = self.entries.get_mut(at)
        {
            // The worker there may be another than before.
            entry.route = route.clone();
            entry.used = true;
            return entry.name.clone();
        }
        let at = self.place();
        let name = self.make_name(at, once);
        if !once && let Some(hop) = only {
            self.by_address.insert(hop.address.clone(), at);
        }
        let entry = Entry {
            name: name.clone(),
            route: route.clone(),
            used: true,
            once,
        };
        if let Some(place) = self.entries.get_mut(at) {
            *place = Some(entry);
        }
        name
    }

    /// Whether a name stands for a place that waits for one reply, as far as can be told without the table.
    /// Who is given such a name uses it once.
    ///
    /// ```
    /// use ringpost_router::{Address, Aliases, route};
    /// let mut aliases = Aliases::new([1, 2, 3, 4], 100);
    /// assert!(!Aliases::is_once(&aliases.name_for(&route!["worker"])));
    /// ```
    #[must_use]
    pub fn is_once(name: &Address) -> bool {
        let mark = match name.as_bytes() {
            bytes if bytes.len() == NAME_BYTES => bytes.last().copied().and_then(six_of),
            _ => None,
        };
        name.is_local() && mark.is_some_and(|six| six & !3 == ONCE)
    }

    /// The route that a name stands for, if it was given out here and is not forgotten.
    pub fn route_of(&mut self, name: &Address) -> Option<Route> {
        let at = place_of(name)?;
        let place = self.entries.get_mut(at)?;
        let entry = place.as_mut().filter(|entry| entry.name == *name)?;
        if !entry.once {
            entry.used = true;
            return Some(entry.route.clone());
        }
        let entry = place.take()?;
        self.free.push(at);
        Some(entry.route)
    }

    /// Takes the routes whose owners wait for one reply, which will not come.
    pub fn take_waiting(&mut self) -> Vec<Route> {
        let mut waiting = Vec::new();
        for (at, place) in self.entries.iter_mut().enumerate() {
            if let Some(entry) = place.take_if(|entry| entry.once) {
                waiting.push(entry.route);
                self.free.push(at);
            }
        }
        waiting
    }

    /// How many routes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len().saturating_sub(self.free.len())
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A place for a route: a free one, a new one, or that of a route not used lately.
    fn place(&mut self) -> usize {
        if let Some(at) = self.free.pop() {
            return at;
        }
        if self.entries.len() < self.entries_max {
            self.entries.push(None);
            return self.entries.len().saturating_sub(1);
        }
        let mut at = self.next;
        for _ in 0..LOOKS_MAX {
            at = self.next;
            self.next = match at.saturating_add(1) {
                next if next >= self.entries.len() => 0,
                next => next,
            };
            match self.entries.get_mut(at) {
                Some(Some(entry)) if entry.used => entry.used = false,
                _ => break,
            }
        }
        if let Some(Some(old)) = self.entries.get_mut(at).map(Option::take)
            && let Some(hop) = old.route.only()
            && self.by_address.get(&hop.address) == Some(&at)
        {
            self.by_address.remove(&hop.address);
        }
        at
    }

    fn make_name(&mut self, at: usize, once: bool) -> Address {
        self.made = self.made.wrapping_add(1);
        let number = self.made.to_le_bytes();
        let [a, b, c, d] = self.keys;
        let high = u128::from(hash_keyed(a, b, &number));
        let low = u128::from(hash_keyed(c, d, &number) >> 32);
        let secret = high << 32 | low;
        let word = u128::from(u32::try_from(at).unwrap_or(u32::MAX)) << 96 | secret;
        let mut name = [0; NAME_BYTES];
        let mut rest = word;
        for place in &mut name {
            let six = usize::try_from(rest & 63).unwrap_or_default();
            *place = CHARACTERS.get(six).copied().unwrap_or_default();
            rest >>= 6;
        }
        if once && let Some(last) = name.last_mut() {
            let six = usize::from(six_of(*last).unwrap_or_default() | ONCE);
            *last = CHARACTERS.get(six).copied().unwrap_or_default();
        }
        Address::local(name)
    }
}

fn is_reply(hop: &Hop) -> bool {
    hop.hint()
        .is_some_and(|hint| hint.kind == HandleKind::Reply)
}

/// The six bits that a character stands for.
fn six_of(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte.wrapping_sub(b'A'),
        b'a'..=b'z' => byte.wrapping_sub(b'a').wrapping_add(26),
        b'0'..=b'9' => byte.wrapping_sub(b'0').wrapping_add(52),
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    })
}

/// The place that a name speaks of: its upper 32 bits, which its last characters hold.
fn place_of(name: &Address) -> Option<usize> {
    let bytes: &[u8; NAME_BYTES] = name.as_bytes().try_into().ok()?;
    let word = bytes.iter().rev().try_fold(0u128, |word, byte| {
        Some(word << 6 | u128::from(six_of(*byte)?))
    })?;
    usize::try_from(word >> 96).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Handle, Hint, NodeCore, route};

    fn reply(index: u32) -> Route {
        let hint = Hint {
            core: NodeCore::new(1, 0),
            kind: HandleKind::Reply,
            handle: Handle {
                index,
                generation: 1,
            },
        };
        Route::from(Hop::with_hint(Address::local("app"), hint))
    }

    #[test]
    fn a_worker_has_one_name_and_each_reply_its_own_for_once() {
        let mut aliases = Aliases::new([1, 2, 3, 4], 100);
        let worker = aliases.name_for(&route!["worker"]);
        assert_eq!(worker, aliases.name_for(&route!["worker"]));
        assert_eq!(worker.as_bytes().len(), NAME_BYTES);
        assert_eq!(aliases.route_of(&worker), Some(route!["worker"]));
        assert_eq!(aliases.route_of(&worker), Some(route!["worker"]));

        let (one, two) = (aliases.name_for(&reply(1)), aliases.name_for(&reply(2)));
        assert!(Aliases::is_once(&one) && Aliases::is_once(&two) && !Aliases::is_once(&worker));
        for other in [
            "worker",
            "",
            "AAAAAAAAAAAAAAAAAAAAA!",
            "AAAAAAAAAAAAAAAAAAAAAI",
        ] {
            assert!(!Aliases::is_once(&Address::local(other)), "{other}");
        }
        assert!(one != two && one != worker);
        let found = aliases.route_of(&two).expect("it was given out");
        let hint = found.first().and_then(Hop::hint).expect("with its hint");
        assert_eq!(hint.handle.index, 2);
        assert_eq!(aliases.route_of(&two), None, "once");
        assert_eq!(aliases.take_waiting().len(), 1);
        assert_eq!(aliases.route_of(&one), None);
        assert_eq!(aliases.len(), 1);
    }

    #[test]
    fn names_that_were_not_given_out_lead_nowhere() {
        let mut aliases = Aliases::new([1, 2, 3, 4], 100);
        let name = aliases.name_for(&route!["worker"]);
        let other = Aliases::new([1, 2, 3, 5], 100).name_for(&route!["worker"]);
        assert_ne!(name, other, "the keys are part of it");
        let mut changed = name.as_bytes().to_vec();
        changed[3] ^= 1;
        for wrong in [
            &b"worker"[..],
            b"",
            &changed,
            other.as_bytes(),
            &[0xff; 22],
            &[b'_'; 22],
        ] {
            assert_eq!(aliases.route_of(&Address::local(wrong)), None);
        }
    }

    #[test]
    fn the_table_stays_within_its_limit_and_keeps_what_is_used() {
        let mut aliases = Aliases::new([1, 2, 3, 4], 16);
        let kept = aliases.name_for(&route!["kept"]);
        for index in 0..1000 {
            let name = aliases.name_for(&reply(index));
            assert!(aliases.route_of(&kept).is_some(), "{index}");
            assert!(aliases.len() <= 16);
            if index % 3 == 0 {
                assert!(aliases.route_of(&name).is_some());
            }
        }
        for index in 0..1000 {
            aliases.name_for(&route![format!("worker-{index}")]);
        }
        assert!(aliases.len() <= 16 && aliases.by_address.len() <= 16);
    }
}
