//! Names that stand for return routes on a connection, and cannot be guessed.
//!
//! What a peer gets to see of a return route is one name of 22 characters. It holds the place of the
//! route in a table, so that it is found without a search, and 96 bits that only the owner of the key
//! can make (SipHash-1-3 under two keys of 128 bits, over a number that never comes twice).

use std::collections::{BTreeMap, VecDeque};

use crate::address::hash_keyed;
use crate::{Address, HandleKind, Hop, Route};

/// The characters of a name, by six bits.
const CHARACTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const NAME_BYTES: usize = 22;
/// In the last character, of which two bits are used: the name is good for one reply.
const ONCE: u8 = 4;
/// How many routes are looked at for one that was not used lately.
const LOOKS_MAX: usize = 8;
/// What an entry takes besides its route.
const ENTRY_BYTES: usize = 256;

/// The routes of one connection that its peer may reply to.
///
/// There are at most as many as one limit says, and they take no more bytes than the other. Where there is no room, a route that was not used lately
/// makes way, and replies to it are not taken any more.
#[derive(Debug)]
pub struct Aliases {
    keys: [u64; 4],
    entries: Vec<Option<Entry>>,
    entries_max: usize,
    bytes: usize,
    bytes_max: usize,
    /// The routes by age or last use, the next to make way first: the place of each, and the number of its name.
    order: VecDeque<(usize, u64)>,
    made: u64,
    free: Vec<usize>,
    /// The names of routes of one address, so that a worker that sends often has one.
    by_address: BTreeMap<Address, usize>,
}

#[derive(Debug)]
struct Entry {
    name: Address,
    route: Route,
    /// The number that its name was made of.
    made: u64,
    used: bool,
    once: bool,
}

impl Aliases {
    /// An empty table for at most so many routes and bytes of routes, under secret keys. A single route may take more
    /// bytes; then it is alone.
    #[must_use]
    pub fn new(keys: [u64; 4], entries_max: usize, bytes_max: usize) -> Self {
        Self {
            keys,
            entries: Vec::new(),
            entries_max: entries_max.max(1),
            bytes: 0,
            bytes_max,
            order: VecDeque::new(),
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
            // The worker there may be another than before; the route has one hop of the same address still.
            entry.route = route.clone();
            entry.used = true;
            return entry.name.clone();
        }
        let at = self.place(bytes_of(route));
        let name = self.make_name(at, once);
        if !once && let Some(hop) = only {
            self.by_address.insert(hop.address.clone(), at);
        }
        let entry = Entry {
            name: name.clone(),
            route: route.clone(),
            made: self.made,
            used: false,
            once,
        };
        self.note_order(at, self.made);
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
    /// let mut aliases = Aliases::new([1, 2, 3, 4], 100, 1 << 20);
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
        self.take(at).map(|entry| entry.route)
    }

    /// The name that stands for the route to this address alone, if one was given out and is not forgotten.
    ///
    /// ```
    /// use ringpost_router::{Address, Aliases, route};
    /// let mut aliases = Aliases::new([1, 2, 3, 4], 100, 1 << 20);
    /// let name = aliases.name_for(&route!["worker"]);
    /// assert_eq!(aliases.name_of(&Address::local("worker")), Some(name));
    /// assert_eq!(aliases.name_of(&Address::local("other")), None);
    /// ```
    #[must_use]
    pub fn name_of(&self, address: &Address) -> Option<Address> {
        let at = self.by_address.get(address)?;
        let entry = self.entries.get(*at)?.as_ref()?;
        Some(entry.name.clone())
    }

    /// Takes the routes whose owners wait for one reply, which will not come.
    pub fn take_waiting(&mut self) -> Vec<Route> {
        let mut waiting = Vec::new();
        for at in 0..self.entries.len() {
            let entry = self.entries.get(at).and_then(Option::as_ref);
            if entry.is_some_and(|entry| entry.once) {
                waiting.extend(self.take(at).map(|entry| entry.route));
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

    /// A place for a route that takes so many bytes: a free one, or a new one.
    fn place(&mut self, bytes: usize) -> usize {
        let most = self.bytes_max.saturating_sub(bytes);
        while (self.bytes > most || self.len() >= self.entries_max) && self.make_way() {}
        self.bytes = self.bytes.saturating_add(bytes);
        if let Some(at) = self.free.pop() {
            return at;
        }
        self.entries.push(None);
        self.entries.len().saturating_sub(1)
    }

    /// Forgets a route that was not used lately. Whether there was one.
    fn make_way(&mut self) -> bool {
        let mut looks = 0;
        while let Some((at, made)) = self.order.pop_front() {
            let entry = self.entries.get_mut(at).and_then(Option::as_mut);
            match entry.filter(|entry| entry.made == made) {
                None => {}
                Some(entry) if entry.used && looks < LOOKS_MAX => {
                    entry.used = false;
                    looks = looks.saturating_add(1);
                    self.order.push_back((at, made));
                }
                Some(_) => {
                    self.forget(at);
                    return true;
                }
            }
        }
        false
    }

    fn forget(&mut self, at: usize) {
        if let Some(old) = self.take(at)
            && let Some(hop) = old.route.only()
            && self.by_address.get(&hop.address) == Some(&at)
        {
            self.by_address.remove(&hop.address);
        }
    }

    /// Takes a route out of its place.
    fn take(&mut self, at: usize) -> Option<Entry> {
        let entry = self.entries.get_mut(at)?.take()?;
        self.free.push(at);
        self.bytes = self.bytes.saturating_sub(bytes_of(&entry.route));
        Some(entry)
    }

    /// Notes a new route as the last to make way. Those that are gone leave their mark behind, for a while.
    fn note_order(&mut self, at: usize, made: u64) {
        if self.order.len() > self.entries.len().saturating_mul(2) {
            let entries = &self.entries;
            self.order.retain(|&(at, made)| {
                let entry = entries.get(at).and_then(Option::as_ref);
                entry.is_some_and(|entry| entry.made == made)
            });
        }
        self.order.push_back((at, made));
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

/// About what a route takes here.
fn bytes_of(route: &Route) -> usize {
    route.memory_bytes().saturating_add(ENTRY_BYTES)
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
        let mut aliases = Aliases::new([1, 2, 3, 4], 100, usize::MAX);
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
        let mut aliases = Aliases::new([1, 2, 3, 4], 100, usize::MAX);
        let name = aliases.name_for(&route!["worker"]);
        let other = Aliases::new([1, 2, 3, 5], 100, usize::MAX).name_for(&route!["worker"]);
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
        let mut aliases = Aliases::new([1, 2, 3, 4], 16, usize::MAX);
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

    #[test]
    fn long_routes_make_way_for_each_other_and_leave_what_is_used() {
        let most = 100_000;
        let mut aliases = Aliases::new([1, 2, 3, 4], 1000, most);
        let kept = aliases.name_for(&route!["kept"]);
        for index in 0..1000 {
            let long = "x".repeat(1000);
            let way =
                (0..index % 64).fold(route![format!("{index}")], |way, _| way.append(&long[..]));
            aliases.name_for(&way);
            assert!(aliases.route_of(&kept).is_some(), "{index}");
            let bytes = aliases
                .entries
                .iter()
                .flatten()
                .map(|entry| bytes_of(&entry.route));
            assert_eq!(bytes.sum::<usize>(), aliases.bytes);
            assert!(aliases.bytes <= most, "{index}");
            for once in 0..10 {
                let name = aliases.name_for(&reply(once));
                assert!(aliases.route_of(&name).is_some());
            }
            assert!(aliases.order.len() <= 2 * aliases.entries.len() + 1);
        }
        let alone = (0..200).fold(Route::new(), |way, _| way.append("x".repeat(1000)));
        let name = aliases.name_for(&alone);
        assert_eq!((aliases.len(), aliases.route_of(&name)), (1, Some(alone)));
    }
}
