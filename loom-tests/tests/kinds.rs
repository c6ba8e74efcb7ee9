//! The kinds of models keep what they say: two threads in every interleaving, three up to a bound,
//! and each with the threads it names.
#![cfg(loom)]

use std::fs;
use std::panic::catch_unwind;
use std::path::PathBuf;

use ringpost_loom_tests::{PREEMPTIONS_MAX, Threads, three_threads, two_threads};
use ringpost_mailbox::sync::Arc;
use ringpost_mailbox::sync::Counter;
use ringpost_mailbox::sync::atomic::{AcqRel, Acquire, AtomicU32};
use ringpost_mailbox::sync::thread::JoinHandle;

/// Moves a number on from each of `places`, where it finds it there.
fn step(turn: &AtomicU32, places: impl Iterator<Item = u32>) {
    for place in places {
        // Both pair with each other, on the other thread; a turn missed shows in the end.
        let _ = turn.compare_exchange(place, place + 1, AcqRel, Acquire);
    }
}

/// Two threads take turns, each `turns` times, if the scheduler lets them. To get to the end it has
/// to preempt the first after each turn but its last, and the other one as often.
fn take_turns(threads: &Threads, turns: u32) -> (Arc<AtomicU32>, JoinHandle<()>) {
    let turn = Arc::new(AtomicU32::new(0));
    let shared = Arc::clone(&turn);
    let other = threads.spawn(move || step(&shared, (0..turns).map(|n| 2 * n + 1)));
    (turn, other)
}

fn finish(turn: &AtomicU32, other: JoinHandle<()>, turns: u32, ends: &Counter) {
    step(turn, (0..turns).map(|n| 2 * n));
    other.join().unwrap();
    // Acquire: pairs with the exchanges, as the join does.
    ends.add(u64::from(turn.load(Acquire) == 2 * turns));
}

/// Whether a model of two threads gets to the end of so many turns, and one of three.
fn are_reached(turns: u32) -> (bool, bool) {
    let [two, three]: [&Counter; 2] = [(); 2].map(|()| &*Box::leak(Box::default()));
    two_threads("kinds: two take turns", move |threads| {
        let (turn, other) = take_turns(threads, turns);
        threads.begin();
        finish(&turn, other, turns, two);
    });
    three_threads("kinds: two of three take turns", move |threads| {
        let (turn, other) = take_turns(threads, turns);
        let idle = threads.spawn(|| ());
        threads.begin();
        finish(&turn, other, turns, three);
        idle.join().unwrap();
    });
    (two.value() > 0, three.value() > 0)
}

#[test]
fn a_model_of_two_threads_is_exhaustive_and_one_of_three_is_bounded() {
    let preemptions = |turns: usize| 2 * (turns - 1);
    for turns in 1..=5 {
        let within_bound = preemptions(turns) <= PREEMPTIONS_MAX;
        assert_eq!(are_reached(turns as u32), (true, within_bound), "{turns}");
    }
}

#[test]
fn a_model_with_other_threads_than_it_names_fails() {
    let refused = |model: fn()| catch_unwind(model).is_err();
    assert!(refused(|| {
        two_threads("kinds: one thread as two, fails", Threads::begin);
    }));
    assert!(refused(|| {
        two_threads("kinds: not begun, fails", |threads| {
            threads.spawn(|| ()).join().unwrap();
        });
    }));
    assert!(refused(|| {
        two_threads("kinds: three threads as two, fails", |threads| {
            let others = [(); 2].map(|()| threads.spawn(|| ()));
            threads.begin();
            for other in others {
                other.join().unwrap();
            }
        });
    }));
    assert!(refused(|| {
        three_threads("kinds: two threads as three, fails", |threads| {
            let other = threads.spawn(|| ());
            threads.begin();
            other.join().unwrap();
        });
    }));
}

#[test]
fn no_model_goes_round_the_kinds() {
    let mut folders = vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            // Whole nodes and components have the threads that they have, and are run by shuttle only.
            if path.ends_with("nodes.rs") || path.ends_with("flow.rs") {
                continue;
            }
            let source = fs::read_to_string(&path).unwrap();
            let around = [
                ["loom::", "model"],
                ["Builder::", "new"],
                ["thread::", "spawn"],
            ];
            for call in around.map(|parts| parts.concat()) {
                assert!(!source.contains(&call), "{call} in {}", path.display());
            }
        }
    }
}
