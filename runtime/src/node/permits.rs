//! For each address, how many messages threads outside may have under way to it.
//!
//! A permit is taken and given back by one exchange of a word while nobody waits ([`Semaphore`]). Which
//! semaphore an address has is looked up in a table under a lock; each thread remembers what it found
//! lately, so one that goes on sending to the same addresses takes no lock.
//!
//! # Proof page
//! At any time an address has at most one semaphore that anybody holds. The table forgets, under its lock,
//! only what nobody else holds, and a semaphore is copied only by whoever holds it or, under the lock, out
//! of the table. So where the count says that the table is the only holder there can be no other, and none
//! comes while the lock is held; and what a thread remembers is a holder like any other.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use ringpost_mailbox::semaphore::{Closed, Semaphore};
use ringpost_mailbox::sync::{Mutex, thread_local};
use ringpost_router::Address;

use crate::core::entrance::Gate;

/// Addresses for which permits are remembered; those with nothing under way are forgotten first.
const ADDRESSES_MAX: usize = 4096;
/// Addresses that one thread remembers. They are a power of two.
const LATELY_MAX: usize = 16;

thread_local! {
    static LATELY: RefCell<[Option<Found>; LATELY_MAX]> = const { RefCell::new([const { None }; LATELY_MAX]) };
}

/// What a thread found lately.
struct Found {
    node: u32,
    gate: Gate,
    address: Address,
    permits: Arc<Semaphore>,
}

/// A permit to have one message under way to an address.
pub(crate) struct Permit(Arc<Semaphore>);

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.release(1);
    }
}

/// The permits of a node, for urgent messages or for others.
pub(crate) struct Permits {
    node: u32,
    gate: Gate,
    each: u32,
    by_address: Mutex<HashMap<Address, Arc<Semaphore>>>,
}

impl Permits {
    pub(crate) fn new(node: u32, gate: Gate, each: u32) -> Self {
        Self {
            node,
            gate,
            each,
            by_address: Mutex::new(HashMap::new()),
        }
    }

    /// A permit for this address, if there is one.
    pub(crate) fn try_acquire(&self, address: &Address) -> Option<Permit> {
        let permits = self.of(address);
        permits.try_acquire().then(|| Permit(permits))
    }

    /// Waits for a permit for this address.
    pub(crate) async fn acquire(&self, address: &Address) -> Result<Permit, Closed> {
        let permits = self.of(address);
        permits.acquire().await?;
        Ok(Permit(permits))
    }

    fn of(&self, address: &Address) -> Arc<Semaphore> {
        // A thread that ends has nothing to remember any more.
        let found = LATELY.try_with(|lately| {
            let place = &mut lately.borrow_mut()[address.hash64() as usize % LATELY_MAX];
            if let Some(found) = place
                && (found.node, found.gate) == (self.node, self.gate)
                && found.address == *address
            {
                return Arc::clone(&found.permits);
            }
            let permits = self.look_up(address);
            *place = Some(Found {
                node: self.node,
                gate: self.gate,
                address: address.clone(),
                permits: Arc::clone(&permits),
            });
            permits
        });
        found.unwrap_or_else(|_| self.look_up(address))
    }

    #[cold]
    fn look_up(&self, address: &Address) -> Arc<Semaphore> {
        let mut by_address = self.by_address.lock();
        if let Some(permits) = by_address.get(address) {
            return Arc::clone(permits);
        }
        if by_address.len() >= ADDRESSES_MAX {
            by_address.retain(|_, permits| Arc::strong_count(permits) > 1);
        }
        let permits = Arc::new(Semaphore::new(self.each));
        by_address.insert(address.clone(), Arc::clone(&permits));
        permits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(number: usize) -> Address {
        Address::from(format!("worker-{number}"))
    }

    #[test]
    fn a_thread_that_goes_on_with_an_address_takes_no_lock() {
        let permits = Permits::new(u32::MAX, Gate::Usual, 1);
        let permit = permits.try_acquire(&address(1));
        assert!(permit.is_some());
        let lock = permits.by_address.lock();
        assert!(permits.try_acquire(&address(1)).is_none(), "one is out");
        drop(permit);
        assert!(permits.try_acquire(&address(1)).is_some());
        drop(lock);
    }

    #[test]
    fn nodes_do_not_share_permits() {
        let one = Permits::new(u32::MAX - 1, Gate::Usual, 1);
        let other = Permits::new(u32::MAX - 2, Gate::Usual, 1);
        let _permit = one.try_acquire(&address(1)).unwrap();
        assert!(other.try_acquire(&address(1)).is_some());
        assert!(one.try_acquire(&address(1)).is_none());
    }

    #[test]
    fn urgent_messages_share_no_permits_with_others() {
        let usual = Permits::new(u32::MAX - 4, Gate::Usual, 1);
        let urgent = Permits::new(u32::MAX - 4, Gate::Urgent, 1);
        let permits: Vec<_> = [&usual, &urgent]
            .map(|it| it.try_acquire(&address(1)))
            .into();
        assert!(permits.iter().all(Option::is_some));
        let none = [&usual, &urgent].map(|it| it.try_acquire(&address(1)));
        assert!(none.iter().all(Option::is_none));
    }

    #[test]
    fn what_is_under_way_is_not_forgotten_and_the_rest_is() {
        let permits = Permits::new(u32::MAX - 3, Gate::Usual, 1);
        let held: Vec<_> = (0..8)
            .map(|number| permits.try_acquire(&address(number)))
            .collect();
        for number in 8..4 * ADDRESSES_MAX {
            assert!(permits.try_acquire(&address(number)).is_some());
        }
        assert!(permits.by_address.lock().len() <= ADDRESSES_MAX);
        let other = std::thread::scope(|threads| {
            let look = || (0..8).all(|number| permits.try_acquire(&address(number)).is_none());
            threads.spawn(look).join().unwrap()
        });
        assert!(other, "another thread finds the same permits");
        drop(held);
        assert!((0..8).all(|number| permits.try_acquire(&address(number)).is_some()));
    }
}
