//! The body of a frame: what is read can be written, and is then read alike.

use ringpost_router::wire::{Frame, LENGTH_BYTES, Limits};

pub(super) fn run(bytes: &[u8]) {
    let limits = Limits::default();
    let Ok(frame) = Frame::decode(bytes, &limits) else {
        return;
    };
    let range = frame
        .payload_range(bytes)
        .expect("the payload lies in the frame");
    assert_eq!(bytes.get(range), Some(frame.payload));

    let mut written = Vec::new();
    frame
        .encode(&limits, &mut written)
        .expect("it was within the limits");
    let body = written
        .get(LENGTH_BYTES..)
        .expect("a length is written first");
    assert!(body.len() <= bytes.len(), "written longer than it was read");
    let again = Frame::decode(body, &limits).expect("what was written can be read");
    assert_eq!(again, frame);
    assert_eq!(again.payload, frame.payload);
}
