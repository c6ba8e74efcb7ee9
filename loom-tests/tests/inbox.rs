//! Models of the inbox.
#![cfg(loom)]

use ringpost_loom_tests::explore;
use ringpost_mailbox::inbox::{InboxError, inbox};
use ringpost_mailbox::sync::{Arc, thread};

#[test]
fn two_senders_lose_nothing() {
    explore("inbox: two senders", Some(3), |first| {
        let (sender, mut receiver) = inbox(2);
        let senders = [1, 2].map(|n| {
            let sender = sender.clone();
            thread::spawn(move || sender.push(Arc::new(n)).unwrap())
        });
        first.wait();
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
    explore("inbox: slots used again", None, |first| {
        let (sender, mut receiver) = inbox(1);
        sender.push(Arc::new(0)).unwrap();
        let pusher = thread::spawn(move || {
            let mut sent = 1;
            for _ in 0..2 {
                sent += u32::from(sender.push(Arc::new(sent)).is_ok());
            }
            (sender, sent)
        });
        first.wait();
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
    explore("inbox: two senders, one slot", Some(3), |first| {
        let (sender, mut receiver) = inbox(1);
        let senders = [(); 2].map(|()| {
            let sender = sender.clone();
            thread::spawn(move || u32::from(sender.push(Arc::new(1)).is_ok()))
        });
        first.wait();
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
    explore("inbox: push against close", None, |first| {
        let (sender, mut receiver) = inbox(2);
        let pusher = thread::spawn(move || {
            let accepted = [(); 2].map(|()| sender.push(Arc::new(1)).is_ok());
            assert!(
                accepted[0] || !accepted[1],
                "nothing is accepted after a refusal"
            );
            accepted.into_iter().filter(|accepted| *accepted).count()
        });
        first.wait();
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
    explore("inbox: push against drop", None, |first| {
        let (sender, mut receiver) = inbox(1);
        let values = [0, 1].map(Arc::new);
        let pushed = values.clone();
        let pusher = thread::spawn(move || {
            for value in pushed {
                let _ = sender.push(value);
            }
            sender
        });
        first.wait();
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
