//! The inbox against a plain queue, with payloads that count and panic, and between real threads.

#![cfg(not(loom))]

mod support;

use std::collections::VecDeque;

use proptest::prelude::*;
use ringpost_mailbox::inbox::{CAPACITY_MAX, InboxError, inbox};
use ringpost_mailbox::sync::thread;
use support::{Tally, each_sequence, panics};

const LENGTH: usize = 9;

#[test]
fn every_sequence_of_operations_does_what_a_queue_does() {
    for capacity in [1, 2, 4] {
        each_sequence(3, LENGTH, |ops| run(capacity, ops));
    }
}

fn run(capacity: u32, ops: &[u8]) {
    let (sender, mut receiver) = inbox(capacity);
    let (mut oracle, mut is_closed) = (VecDeque::new(), false);
    for (n, op) in ops.iter().enumerate() {
        match op {
            0 => match sender.push(n) {
                Ok(()) => {
                    assert!(!is_closed && oracle.len() < capacity as usize);
                    oracle.push_back(n);
                }
                Err(InboxError::Closed(back)) => assert!(is_closed && back == n),
                Err(InboxError::Full(back)) => {
                    assert!(!is_closed && back == n);
                    assert_eq!(oracle.len(), capacity as usize);
                }
            },
            1 => assert_eq!(receiver.pop(), oracle.pop_front()),
            _ => {
                receiver.close();
                is_closed = true;
            }
        }
        assert_eq!(receiver.is_empty(), oracle.is_empty());
        assert_eq!(sender.is_closed(), is_closed);
    }
    while let Some(expected) = oracle.pop_front() {
        assert_eq!(receiver.pop(), Some(expected));
    }
    assert_eq!(receiver.pop(), None);
}

proptest! {
    /// The receiver's end drops what was not taken, all of it, also if a destructor panics.
    #[test]
    fn leftovers_survive_a_panicking_destructor(
        pushes in 0..12_u64,
        pops in 0..12_u64,
        at in 1..12_u64,
    ) {
        let tally = Tally::default();
        let (sender, mut receiver) = inbox(16);
        (0..pushes).for_each(|_| sender.push(tally.payload()).unwrap());
        (0..pops).for_each(|_| drop(receiver.pop()));
        let left = pushes.saturating_sub(pops);
        tally.panic_at_drop(at);
        prop_assert_eq!(panics(|| drop(receiver)), at <= left);
        prop_assert_eq!(tally.alive(), 0);

        // Nothing that comes later stays behind either.
        let refused = sender.push(tally.payload()).unwrap_err();
        prop_assert!(matches!(refused, InboxError::Closed(_)));
        prop_assert_eq!(tally.alive(), 1);
        let _ = panics(|| drop(refused.into_inner()));
        prop_assert_eq!(tally.alive(), 0);
    }
}

#[test]
fn capacities_that_are_no_power_of_two_or_too_large_are_refused() {
    for capacity in [0, 3, CAPACITY_MAX * 2] {
        assert!(panics(|| drop(inbox::<u8>(capacity))), "{capacity}");
    }
}

#[test]
fn errors_and_ends_can_be_printed() {
    let (sender, mut receiver) = inbox(1);
    sender.push(1).unwrap();
    let full = sender.push(2).unwrap_err();
    receiver.close();
    let closed = sender.push(3).unwrap_err();
    assert_eq!(format!("{full:?} {closed:?}"), "Full(..) Closed(..)");
    assert!(full.to_string().contains("full") && closed.to_string().contains("closed"));
    assert_eq!(
        format!("{sender:?} {receiver:?}"),
        "InboxSender { capacity: 1, closed: true } InboxReceiver { capacity: 1, closed: true }"
    );
}

#[test]
fn values_of_each_thread_arrive_once_and_in_order() {
    const THREADS: u64 = 4;
    const EACH: u64 = 50_000;
    let (sender, mut receiver) = inbox::<(u64, u64)>(8);
    let senders: Vec<_> = (0..THREADS)
        .map(|who| {
            let sender = sender.clone();
            thread::spawn(move || {
                for n in 0..EACH {
                    while sender.push((who, n)).is_err() {
                        thread::yield_now();
                    }
                }
            })
        })
        .collect();
    let mut next = [0; THREADS as usize];
    while next.iter().sum::<u64>() < THREADS * EACH {
        match receiver.pop() {
            Some((who, n)) => {
                assert_eq!(next[who as usize], n);
                next[who as usize] += 1;
            }
            None => thread::yield_now(),
        }
    }
    senders
        .into_iter()
        .for_each(|sender| sender.join().unwrap());
    assert_eq!(receiver.pop(), None);
}

#[test]
fn accepted_values_are_all_taken_when_the_inbox_closes_under_its_senders() {
    for _ in 0..200 {
        let (sender, mut receiver) = inbox::<u64>(1 << 10);
        let senders: Vec<_> = (0..3)
            .map(|_| {
                let sender = sender.clone();
                thread::spawn(move || {
                    let mut accepted = 0_u64;
                    loop {
                        match sender.push(accepted) {
                            Ok(()) => accepted += 1,
                            Err(InboxError::Closed(_)) => return accepted,
                            Err(InboxError::Full(_)) => thread::yield_now(),
                        }
                    }
                })
            })
            .collect();
        let mut taken = 0;
        while taken < 100 {
            taken += u64::from(receiver.pop().is_some());
        }
        receiver.close();
        while receiver.pop().is_some() {
            taken += 1;
        }
        let accepted: u64 = senders
            .into_iter()
            .map(|sender| sender.join().unwrap())
            .sum();
        assert_eq!(taken, accepted);
    }
}
