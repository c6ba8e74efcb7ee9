//! The table against a map, with handles that have gone stale.

use std::collections::HashMap;

use proptest::collection::vec;
use proptest::prelude::*;
use ringpost_router::{Address, Handle, Named, Placement, Table};

#[derive(Clone, Debug)]
enum Step {
    Insert(u8),
    /// Removes by the handle that was given out so many handles ago, stale or not.
    Remove(usize),
    Find(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..24_u8).prop_map(Step::Insert),
        4 => (0..40_usize).prop_map(Step::Remove),
        2 => (0..24_u8).prop_map(Step::Find),
    ]
}

/// What the table should hold.
#[derive(Default)]
struct Model {
    live: HashMap<Handle, (u64, u8)>,
    names: HashMap<u8, Handle>,
    /// Every handle ever given out.
    given: Vec<Handle>,
}

impl Model {
    fn add(&mut self, handle: Handle, value: u64, name: u8) {
        assert!(
            !self.given.contains(&handle),
            "{handle:?} was given out twice"
        );
        self.given.push(handle);
        self.live.insert(handle, (value, name));
        self.names.insert(name, handle);
    }
}

#[derive(Debug, PartialEq)]
struct Value(Address, u64);

impl Named for Value {
    fn address(&self) -> &Address {
        &self.0
    }
}

struct Pair {
    table: Table<Value>,
    model: Model,
    placement: Placement,
    next: u64,
    /// Keeps so many bits of a bucket, so that names collide.
    bucket_mask: u64,
}

impl Pair {
    fn name(&self, name: u8) -> (Address, u64) {
        let address = Address::local([name]);
        let bucket = self.placement.bucket(&address) & self.bucket_mask;
        (address, bucket)
    }

    fn take(&mut self, step: Step) {
        self.next += 1;
        match step {
            Step::Insert(name) => {
                let (address, bucket) = self.name(name);
                match self.table.insert(bucket, Value(address, self.next)) {
                    Ok(handle) => {
                        assert!(!self.model.names.contains_key(&name));
                        self.model.add(handle, self.next, name);
                    }
                    Err(taken) => {
                        assert_eq!(taken.0.1, self.next);
                        assert!(self.model.names.contains_key(&name));
                    }
                }
            }
            Step::Remove(ago) => {
                let Some(&handle) = self.model.given.iter().rev().nth(ago) else {
                    return;
                };
                let expected = self.model.live.remove(&handle);
                if let Some((_, name)) = expected {
                    self.model.names.remove(&name);
                }
                let removed = self.table.remove(handle).map(|value| value.1);
                assert_eq!(removed, expected.map(|(value, _)| value));
            }
            Step::Find(name) => {
                let (address, bucket) = self.name(name);
                let found = self.table.find(&address, bucket);
                assert_eq!(found, self.model.names.get(&name).copied());
                let value = found.and_then(|handle| self.table.at(handle));
                assert_eq!(self.table.named(&address, bucket), value);
            }
        }
    }

    fn check(&self) {
        assert_eq!(self.table.len(), self.model.live.len());
        assert_eq!(self.table.is_empty(), self.model.live.is_empty());
        for handle in &self.model.given {
            let expected = self.model.live.get(handle);
            let expected = expected.map(|&(value, name)| Value(self.name(name).0, value));
            assert_eq!(self.table.at(*handle), expected.as_ref());
        }
        assert_eq!(self.table.iter().count(), self.model.live.len());
        for (handle, value) in self.table.iter() {
            assert_eq!(
                self.model.live.get(&handle).map(|(value, _)| *value),
                Some(value.1)
            );
        }
    }
}

proptest! {
    #[test]
    fn the_table_does_what_a_map_does(
        steps in vec(step(), 0..200),
        seed: u64,
        bucket_mask in prop_oneof![Just(u64::MAX), Just(1), Just(0)],
    ) {
        let mut pair = Pair {
            table: Table::new(),
            model: Model::default(),
            placement: Placement::new(seed, 1),
            next: 0,
            bucket_mask,
        };
        for step in steps {
            pair.take(step);
            prop_assert_eq!(pair.table.at(Handle::NONE), None);
        }
        pair.check();
    }
}
