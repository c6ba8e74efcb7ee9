//! Models of the inbox.
#![cfg(any(loom, shuttle, ringpost_mutable))]

use ringpost_loom_tests::{three_threads, two_threads};
use ringpost_mailbox::inbox::{InboxError, inbox};
use ringpost_mailbox::sync::Arc;

#[test]
fn two_senders_lose_nothing() {
    three_threads("inbox: two senders", |threads| {
        let (sender, mut receiver) = inbox(2);
        let senders = [1, 2].map(|n| {
            let sender = sender.clone();
            threads.spawn(move || sender.push(Arc::new(n)).unwrap())
        });
        threads.begin();
        let mut sum = receiver.pop().map_or(0, |value| *value);
        for sender in senders {
            sender.join().unwrap();
        }
        while let Some(value) = receiver.pop() {
            sum += *value;
        }
        assert_eq!(sum, 3);
    });
}

#[test]
fn a_slot_is_used_again_only_after_it_was_taken() {
    two_threads("inbox: slots used again", |threads| {
        let (sender, mut receiver) = inbox(1);
        sender.push(Arc::new(0)).unwrap();
        let pusher = threads.spawn(move || {
            let mut sent = 1;
            for _ in 0..2 {
                sent += u32::from(sender.push(Arc::new(sent)).is_ok());
            }
            (sender, sent)
        });
        threads.begin();
        let mut next = 0;
        for _ in 0..2 {
            if let Some(value) = receiver.pop() {
                assert_eq!(*value, next);
                next += 1;
            }
        }
        let (sender, sent) = pusher.join().unwrap();
        while let Some(value) = receiver.pop() {
            assert_eq!(*value, next);
            next += 1;
        }
        assert_eq!(next, sent);
        sender.push(Arc::new(0)).unwrap();
    });
}

#[test]
fn two_senders_do_not_share_the_last_slot() {
    three_threads("inbox: two senders, one slot", |threads| {
        let (sender, mut receiver) = inbox(1);
        let senders = [(); 2].map(|()| {
            let sender = sender.clone();
            threads.spawn(move || u32::from(sender.push(Arc::new(1)).is_ok()))
        });
        threads.begin();
        let mut taken = u32::from(receiver.pop().is_some());
        let accepted: u32 = senders.into_iter().map(|s| s.join().unwrap()).sum();
        while receiver.pop().is_some() {
            taken += 1;
        }
        assert_eq!(taken, accepted);
        assert!(accepted >= 1);
    });
}

#[test]
fn what_was_accepted_is_taken_after_the_close() {
    two_threads("inbox: push against close", |threads| {
        let (sender, mut receiver) = inbox(2);
        let pusher = threads.spawn(move || {
            let accepted = [(); 2].map(|()| sender.push(Arc::new(1)).is_ok());
            assert!(
                accepted[0] || !accepted[1],
                "nothing is accepted after a refusal"
            );
            accepted.into_iter().filter(|accepted| *accepted).count()
        });
        threads.begin();
        receiver.close();
        let mut taken = 0;
        while receiver.pop().is_some() {
            taken += 1;
        }
        assert_eq!(pusher.join().unwrap(), taken);
        assert!(receiver.pop().is_none());
    });
}

#[test]
fn a_dropped_inbox_drops_what_it_took() {
    two_threads("inbox: push against drop", |threads| {
        let (sender, mut receiver) = inbox(1);
        let values = [0, 1].map(Arc::new);
        let pushed = values.clone();
        let pusher = threads.spawn(move || {
            for value in pushed {
                let _ = sender.push(value);
            }
            sender
        });
        threads.begin();
        drop(receiver.pop());
        drop(receiver);
        // The sender stays alive: what was accepted must not wait for its end.
        let sender = pusher.join().unwrap();
        for value in values {
            assert_eq!(Arc::strong_count(&value), 1);
        }
        let late = sender.push(Arc::new(2));
        assert!(matches!(late, Err(InboxError::Closed(_))));
    });
}

#[test]
fn what_two_senders_got_in_before_the_close_is_taken() {
    three_threads("inbox: two senders against close", |threads| {
        let (sender, mut receiver) = inbox(2);
        let senders = [(); 2].map(|()| {
            let sender = sender.clone();
            threads.spawn(move || u32::from(sender.push(Arc::new(1)).is_ok()))
        });
        threads.begin();
        receiver.close();
        let mut taken = 0;
        while receiver.pop().is_some() {
            taken += 1;
        }
        let accepted: u32 = senders.into_iter().map(|s| s.join().unwrap()).sum();
        assert_eq!(taken, accepted);
    });
}
