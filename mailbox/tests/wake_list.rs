//! The wake list: every short sequence against a model, panics, late wakes, and real threads.

#![cfg(not(loom))]

mod support;

use std::collections::VecDeque;

use ringpost_mailbox::sync::atomic::{AtomicU64, Relaxed};
use ringpost_mailbox::sync::{Arc, thread};
use ringpost_mailbox::wake_list::{WakeList, WakeNode};
use support::{each_sequence, panics};

const NODES: u64 = 3;

#[test]
fn every_sequence_of_operations_hands_out_each_wake_once_and_in_order() {
    each_sequence(NODES as u8 + 2, 7, |ops| {
        let mut list = WakeList::new();
        let handle = list.handle();
        let nodes: Vec<_> = (0..NODES).map(WakeNode::new).collect();
        let mut queued = VecDeque::new();
        for &op in ops {
            let key = u64::from(op);
            if key < NODES {
                let is_new = !queued.contains(&key);
                assert_eq!(handle.push(&nodes[op as usize]), is_new);
                if is_new {
                    queued.push_back(key);
                }
            } else {
                // The last operation is a drain whose closure panics at the second key.
                let panics_at = if key == NODES { usize::MAX } else { 1 };
                drain(&mut list, &mut queued, panics_at);
            }
            assert_eq!(list.is_empty(), queued.is_empty());
        }
        drop(list);
        for node in nodes {
            assert_eq!(Arc::strong_count(&node), 1);
        }
    });
}

fn drain(list: &mut WakeList, queued: &mut VecDeque<u64>, panics_at: usize) {
    let mut seen = Vec::new();
    let expected = queued.len();
    let panicked = panics(|| {
        let count = list.drain(|key| {
            seen.push(key);
            assert!(seen.len() <= panics_at, "the closure panics, as wanted");
        });
        assert_eq!(count, expected);
    });
    assert_eq!(panicked, expected > panics_at);
    assert!(queued.drain(..seen.len()).eq(seen));
}

#[test]
fn a_task_that_wakes_itself_comes_with_the_next_drain() {
    let mut list = WakeList::new();
    let handle = list.handle();
    let node = WakeNode::new(1);
    assert_eq!(node.key(), 1);
    handle.push(&node);
    for _ in 0..3 {
        assert_eq!(list.drain(|_| assert!(handle.push(&node))), 1);
    }
}

#[test]
fn a_list_that_is_gone_takes_no_wakes_and_keeps_no_nodes() {
    let list = WakeList::default();
    let handle = list.handle();
    let (early, late) = (WakeNode::new(1), WakeNode::new(2));
    assert!(handle.push(&early));
    drop(list);
    assert!(!handle.push(&early));
    assert!(!handle.push(&late));
    assert_eq!(
        (Arc::strong_count(&early), Arc::strong_count(&late)),
        (1, 1)
    );
}

#[test]
fn a_node_may_go_before_its_wake_is_drained() {
    let mut list = WakeList::new();
    let handle = list.handle();
    let node = WakeNode::new(9);
    handle.push(&node);
    drop((node, handle));
    let mut seen = Vec::new();
    list.drain(|key| seen.push(key));
    assert_eq!(seen, [9]);
}

#[test]
fn all_can_be_printed() {
    let list = WakeList::new();
    let (handle, node) = (list.handle(), WakeNode::new(4));
    assert_eq!(
        format!("{list:?} {handle:?}"),
        "WakeList { empty: true } WakeHandle { .. }"
    );
    assert!(format!("{node:?}").contains("key: 4"));
}

/// Each waker counts up before it wakes; whoever runs the task must see a count that includes every
/// wake absorbed.
#[test]
fn no_wake_is_lost_between_threads() {
    const EACH: u64 = 50_000;
    let mut list = WakeList::new();
    let counts: Arc<[AtomicU64; 2]> = Arc::default();
    let nodes: Vec<_> = (0..2).map(WakeNode::new).collect();
    let wakers: Vec<_> = (0..4)
        .map(|who| {
            let (handle, counts) = (list.handle(), Arc::clone(&counts));
            let node = Arc::clone(&nodes[who % 2]);
            thread::spawn(move || {
                for _ in 0..EACH {
                    // Relaxed: the wake is what publishes it.
                    counts[who % 2].fetch_add(1, Relaxed);
                    handle.push(&node);
                }
            })
        })
        .collect();
    let mut seen = [0; 2];
    while seen != [2 * EACH; 2] {
        // Relaxed: ordered by the wake.
        list.drain(|key| seen[key as usize] = counts[key as usize].load(Relaxed));
        thread::yield_now();
    }
    wakers.into_iter().for_each(|waker| waker.join().unwrap());
}
