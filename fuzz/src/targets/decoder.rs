//! A connection: it brings the same frames and ends with the same error, however its bytes are cut.
//!
//! The first byte of the input says how to cut, the others are what the peer sends.

use ringpost_router::wire::{Decoder, Limits, Step, WireError};

use super::pieces::Pieces;

pub(super) fn run(bytes: &[u8]) {
    let Some((cut, sent)) = bytes.split_first() else {
        return;
    };
    let whole = receive([sent]);
    assert_eq!(receive(Pieces::new(*cut, sent)), whole);
}

/// The frames of a connection, each written anew, and how it ended.
type Received = (Vec<Vec<u8>>, Option<WireError>);

fn receive<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Received {
    let limits = Limits::default();
    let mut decoder = Decoder::new(limits);
    let (mut arrived, mut frames) = (Vec::new(), Vec::new());
    for piece in pieces {
        arrived.extend_from_slice(piece);
        let mut at = 0;
        loop {
            let rest = arrived
                .get(at..)
                .expect("no more is consumed than was there");
            match decoder.step(rest) {
                Ok(Step::Frame { frame, consumed }) => {
                    assert!(consumed > 0, "a frame of no bytes");
                    let mut written = Vec::new();
                    frame
                        .encode(&limits, &mut written)
                        .expect("it was within the limits");
                    frames.push(written);
                    at += consumed;
                }
                Ok(Step::More { consumed, needed }) => {
                    assert!(
                        needed > rest.len() - consumed,
                        "all that is needed is there"
                    );
                    at += consumed;
                    break;
                }
                Err(error) => {
                    assert_eq!(decoder.step(&[]), Err(error), "an error is final");
                    return (frames, Some(error));
                }
            }
        }
        arrived.drain(..at);
    }
    (frames, None)
}
