//! What reading a frame takes from the heap, counted: nothing for most, and for the worst no more than
//! there were bytes (G10).

#[path = "../../mailbox/tests/support/counting.rs"]
mod counting;

use counting::{begin_count, counted_since};
use ringpost_router::wire::{Decoder, Frame, Limits};
use ringpost_router::{Address, Route, route};

/// The most bytes held at once while `work` runs, besides those held before.
fn held_max(work: impl FnOnce()) -> u64 {
    let before = begin_count();
    work();
    counted_since(before)
}

fn body(frame: &Frame<'_>) -> Vec<u8> {
    let mut bytes = Vec::new();
    frame.encode(&Limits::default(), &mut bytes).unwrap();
    bytes.split_off(4)
}

/// A body that announces what it does not have.
fn announced(head: &[u8]) -> Vec<u8> {
    let most = [0xff; 8];
    [&[0x83], head, &most[..]].concat()
}

/// Bytes held for each byte of a frame: a hop takes 56 bytes and may come of three, and a list that
/// grows has room for up to twice as much and is held twice while it moves.
const HELD_PER_BYTE: u64 = 64;

// One test, since the count is of the whole process.
#[test]
fn a_frame_takes_no_memory_that_its_bytes_do_not_pay_for() {
    let payload = vec![7; 100_000];
    let common = body(&Frame::new(route!["echoer"], route!["app"], &payload).with_trace("{}"));
    let decode = |body: &[u8]| held_max(|| drop(Frame::decode(body, &Limits::default())));
    assert_eq!(decode(&common), 0, "short names, one hop each way");
    assert_eq!(decode(&[0x83, 0x80, 0x80, 0x40]), 0);

    let length = u32::to_be_bytes(common.len() as u32);
    let sent = [&[1][..], &length, &common].concat();
    let by_pieces = held_max(|| {
        let mut decoder = Decoder::new(Limits::default());
        // Nothing is consumed but the version, and the rest is shown again each time.
        for end in (1..sent.len()).step_by(1000) {
            let shown = if end == 1 { &sent[..1] } else { &sent[1..end] };
            drop(decoder.step(shown));
        }
    });
    assert_eq!(by_pieces, 0, "waiting for a frame takes nothing");
    let refused = held_max(|| {
        let error = Decoder::new(Limits::default()).step(&[1, 255, 255, 255, 255]);
        assert!(error.is_err());
    });
    assert_eq!(refused, 0);

    for head in [
        &[0x9b][..],
        &[0x80, 0x9b],
        &[0x80, 0x80, 0x5b],
        &[0x81, 0x9b],
        &[0x81, 0x82, 0, 0x5b],
    ] {
        assert_eq!(decode(&announced(head)), 0, "{head:02x?}");
    }

    let mut worst = 0;
    for name_bytes in [0, 22, 23, 1024] {
        for hops in 0..=Route::HOPS_MAX {
            let name = || Address::local(vec![b'x'; name_bytes]);
            let route = || (0..hops).map(|_| name()).collect::<Route>();
            let body = body(&Frame::new(route(), route(), b""));
            for end in [body.len() / 2, body.len()] {
                let held = decode(&body[..end]);
                assert!(
                    held <= HELD_PER_BYTE * end as u64,
                    "{hops} hops: {held} for {end}"
                );
                worst = worst.max(held);
            }
        }
    }
    assert!(worst > 100_000, "the allocator counts: {worst}");
}
