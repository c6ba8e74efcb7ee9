//! Datagrams, one after the other, each behind two bytes that give its length: what is read is written alike, and none
//! is taken twice as long as there are no more than two sessions.

use std::collections::BTreeSet;

use ringpost_router::wire::{DATAGRAM_HEAD_BYTES, Datagram, Frame, Limits, Recent};

pub(super) fn run(mut bytes: &[u8]) {
    let limits = Limits {
        frame_bytes_max: 1200,
        ..Limits::default()
    };
    let mut recent = Recent::default();
    let (mut sessions, mut taken) = (BTreeSet::new(), BTreeSet::new());
    while let Some((length, rest)) = bytes.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes(*length)).min(rest.len());
        let (piece, rest) = rest.split_at(length);
        bytes = rest;
        let Ok(datagram) = Datagram::decode(piece, &limits) else {
            continue;
        };
        let head = Datagram::head(datagram.session, datagram.number);
        assert_eq!(piece.get(..DATAGRAM_HEAD_BYTES), Some(head.as_slice()));
        assert_eq!(piece.get(DATAGRAM_HEAD_BYTES..), Some(datagram.body));
        if let Ok(frame) = Frame::decode(datagram.body, &limits) {
            let lies_there = frame.payload_range(datagram.body).is_some();
            assert!(lies_there, "the payload lies in the datagram");
        }
        sessions.insert(datagram.session);
        let is_first = taken.insert((datagram.session, datagram.number));
        let is_taken = recent.take(datagram.session, datagram.number);
        assert!(
            is_first || !is_taken || sessions.len() > 2,
            "a datagram was taken twice"
        );
        assert!(
            !recent.take(datagram.session, datagram.number),
            "what was just taken or refused is taken"
        );
    }
}
