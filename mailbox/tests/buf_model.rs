//! Buffers against vectors of bytes.

#![cfg(not(loom))]

use std::io::Read;
use std::ops::Range;

use proptest::prelude::*;
use ringpost_mailbox::buf::{Buf, BufMut};
use ringpost_mailbox::pool::{Pool, PoolLimits};
use ringpost_mailbox::sync::thread;

/// What a property test may do with a buffer, each with what it does to a vector.
#[derive(Clone, Debug)]
enum Step {
    Extend(Vec<u8>),
    Resize(usize, u8),
    Truncate(usize),
    LeaveOut(usize),
    Clear,
    Read(Vec<u8>),
    Write(usize, u8),
    Slice(usize, usize),
    Advance(usize),
    TruncateFrozen(usize),
    Share(usize, usize),
    MoveToThread,
    Copy,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let bytes = |max| proptest::collection::vec(any::<u8>(), 0..max);
    let step = prop_oneof![
        bytes(300).prop_map(Step::Extend),
        bytes(300).prop_map(Step::Extend),
        (0..30_000usize, any::<u8>()).prop_map(|(len, byte)| Step::Extend(vec![byte; len])),
        (0..3000usize, any::<u8>()).prop_map(|(len, byte)| Step::Resize(len, byte)),
        (0..400usize).prop_map(Step::Truncate),
        (0..400usize).prop_map(Step::LeaveOut),
        Just(Step::Clear),
        bytes(100).prop_map(Step::Read),
        (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Step::Write(at, byte)),
        (any::<usize>(), any::<usize>()).prop_map(|(from, len)| Step::Slice(from, len)),
        any::<usize>().prop_map(Step::Advance),
        (0..400usize).prop_map(Step::TruncateFrozen),
        (any::<usize>(), any::<usize>()).prop_map(|(from, len)| Step::Share(from, len)),
        Just(Step::MoveToThread),
        Just(Step::Copy),
    ];
    proptest::collection::vec(step, 0..30)
}

/// A range of `0..len` made of any two numbers.
fn range_in(len: usize, from: usize, count: usize) -> Range<usize> {
    let from = from % (len + 1);
    from..from + count % (len - from + 1)
}

/// Does a step that writes to both, and says whether it was one.
fn write(step: &Step, buf: &mut BufMut, model: &mut Vec<u8>) -> bool {
    match step {
        Step::Extend(bytes) => {
            buf.extend_from_slice(bytes);
            model.extend_from_slice(bytes);
        }
        Step::Resize(len, byte) => {
            buf.resize(*len, *byte);
            model.resize(*len, *byte);
        }
        Step::Truncate(len) => {
            buf.truncate(*len);
            model.truncate(*len);
        }
        Step::LeaveOut(count) => {
            let count = (*count).min(model.len());
            buf.advance(count);
            model.drain(..count);
        }
        Step::Clear => {
            buf.clear();
            model.clear();
        }
        Step::Read(bytes) => {
            let count = (&bytes[..]).read(buf.spare()).expect("a slice can be read");
            buf.commit(count);
            model.extend_from_slice(&bytes[..count]);
        }
        Step::Write(at, byte) if !model.is_empty() => {
            let at = at % model.len();
            buf[at] = *byte;
            model[at] = *byte;
        }
        _ => return false,
    }
    true
}

/// Does a step that narrows, moves or shares both.
fn narrow(step: &Step, mut buf: Buf, model: &mut Vec<u8>) -> Buf {
    let len = model.len();
    match *step {
        Step::Slice(from, count) => {
            let range = range_in(len, from, count);
            *model = model[range.clone()].to_vec();
            buf.slice(range)
        }
        Step::Advance(count) => {
            buf.advance(count % (len + 1));
            model.drain(..count % (len + 1));
            buf
        }
        Step::TruncateFrozen(len) => {
            buf.truncate(len);
            model.truncate(len);
            buf
        }
        Step::Share(from, count) => {
            let range = range_in(len, from, count);
            let all = buf.share();
            let part = all.slice(range.clone());
            assert_eq!(all, *model);
            drop(all);
            *model = model[range].to_vec();
            assert_eq!(part.clone(), part);
            Buf::from(&*part)
        }
        Step::MoveToThread => thread::spawn(move || buf).join().expect("nothing panics"),
        Step::Copy => Buf::from(buf.to_vec()),
        _ => buf,
    }
}

proptest! {
    #[test]
    fn a_buffer_holds_what_a_vector_would(steps in steps()) {
        let pool = Pool::new(0, PoolLimits::default());
        let entered = pool.enter();
        let mut buf = pool.buf(10);
        let mut model = Vec::new();
        for step in &steps {
            if !write(step, &mut buf, &mut model) {
                let frozen = narrow(step, buf.freeze(), &mut model);
                prop_assert_eq!(&frozen, &model);
                buf = frozen.into_mut();
            }
            prop_assert_eq!(&buf, &model);
            prop_assert_eq!(buf.len(), model.len());
            prop_assert!(buf.capacity() >= buf.len());
            let text = format!("{buf:?}");
            prop_assert!(text.contains(&format!("len: {}", model.len())), "{}", text);
        }
        drop(buf);
        pool.reclaim();
        prop_assert_eq!(pool.outstanding(), 0);
        drop(entered);
    }
}
