//! Models of a look at what its owner shows, hides and frees.
#![cfg(any(loom, shuttle, ringpost_mutable))]

use ringpost_loom_tests::two_threads;
use ringpost_mailbox::glance::Glance;
use ringpost_mailbox::sync::{Arc, cell::UnsafeCell};

/// A thing that is written before it is shown, and again when it is freed.
type Thing = UnsafeCell<u32>;

fn write(thing: &Thing, value: u32) {
    // SAFETY: the model fails if anybody reads meanwhile: that is what it asks.
    thing.with_mut(|place| unsafe { *place = value });
}

fn look(glance: &Glance<Thing>) -> Option<u32> {
    glance.look(|thing| {
        // SAFETY: both things outlive the model, whatever is freed in it.
        let thing = unsafe { &*thing };
        // SAFETY: the model fails if anybody writes meanwhile: that is what it asks.
        thing.with(|place| unsafe { *place })
    })
}

#[test]
fn nobody_looks_at_what_is_freed_or_not_yet_written() {
    two_threads("glance: a look against show, hide and free", |threads| {
        let things = Arc::new([UnsafeCell::new(0), UnsafeCell::new(0)]);
        let glance = Arc::new(Glance::<Thing>::new());
        let (theirs, shown) = (Arc::clone(&things), Arc::clone(&glance));
        let owner = threads.spawn(move || {
            let [one, two] = &*theirs;
            for thing in [one, two] {
                write(thing, 1);
                shown.show(std::ptr::from_ref(thing).cast_mut());
            }
            // The first is not shown any more.
            if shown.may_free() {
                write(one, 2);
            }
            shown.hide();
            if shown.may_free() {
                write(two, 2);
            }
        });
        threads.begin();
        let seen = look(&glance);
        assert!(seen.is_none_or(|value| value == 1), "{seen:?}");
        owner.join().unwrap();
        assert_eq!(look(&glance), None, "it is hidden");
        assert!(glance.may_free(), "nobody looks any more");
        glance.show(std::ptr::from_ref(&things[0]).cast_mut());
        assert!(look(&glance).is_some(), "it is shown again");
    });
}
