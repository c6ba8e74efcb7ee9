//! Both sides of a connection: however its bytes are cut and whenever it rests, an intake hands out what a
//! decoder reads from the whole; what an outlet passes on arrives as it was; notes are read back; and no name
//! leads anywhere that was not given out.
//!
//! The first byte of the input says how to cut, the others are what the peer sends.

use std::io::IoSlice;

use ringpost_router::wire::{Decoder, Intake, Limits, Note, Outlet, Step, WireError};
use ringpost_router::{Address, Aliases, Route};

use super::pieces::Pieces;

/// What an intake may hold for one read, and what the largest block may be rounded up by.
const READ_BYTES: usize = 128 * 1024;
/// Few, so that names have to make way for others.
const ALIASES_MAX: usize = 4;

pub(super) fn run(bytes: &[u8]) {
    let Some((cut, sent)) = bytes.split_first() else {
        return;
    };
    let (messages, end) = decoded(sent);
    let mut received = Vec::new();
    let mut intake = Intake::new(Limits::default());
    let mut result = Ok(());
    for piece in Pieces::new(*cut, sent) {
        result = feed(&mut intake, piece, &mut received);
        if result.is_err() {
            break;
        }
        if piece.len() % 2 == 1 {
            intake.rest();
        }
        let bound = READ_BYTES + 2 * intake.held();
        assert!(intake.capacity() <= bound, "more memory than bytes");
    }
    assert_eq!(result.err(), end);
    assert_eq!(received, messages);
    check_notes(&messages);
    check_names(&messages);
    check_relay(*cut, &messages);
}

/// A message of a connection: onward route, return route, payload.
type Message = (Route, Route, Vec<u8>);

/// What the connection brings if all of it is there at once, and how it ends.
fn decoded(sent: &[u8]) -> (Vec<Message>, Option<WireError>) {
    let mut decoder = Decoder::new(Limits::default());
    let (mut messages, mut rest) = (Vec::new(), sent);
    loop {
        match decoder.step(rest) {
            Ok(Step::Frame { frame, consumed }) => {
                messages.push((frame.onward, frame.return_route, frame.payload.to_vec()));
                rest = rest
                    .get(consumed..)
                    .expect("no more is consumed than there is");
            }
            Ok(Step::More { .. }) => return (messages, None),
            Err(error) => return (messages, Some(error)),
        }
    }
}

/// Brings bytes to an intake, and takes the messages that are whole then.
fn feed(intake: &mut Intake, mut bytes: &[u8], into: &mut Vec<Message>) -> Result<(), WireError> {
    while !bytes.is_empty() {
        let room = intake.room();
        assert!(!room.is_empty(), "there is always room");
        let (now, later) = bytes.split_at(bytes.len().min(room.len()));
        room.get_mut(..now.len())
            .expect("so much fits")
            .copy_from_slice(now);
        intake.commit(now.len());
        bytes = later;
        while let Some(message) = intake.next()? {
            let before = into.last().cloned().unwrap_or_default();
            into.push((
                message.onward.unwrap_or(before.0),
                message.return_route.unwrap_or(before.1),
                message.payload.to_vec(),
            ));
        }
    }
    Ok(())
}

fn check_notes(messages: &[Message]) {
    for (onward, _, payload) in messages {
        if onward.is_empty()
            && let Some(note) = Note::decode(payload)
        {
            assert_eq!(Note::decode(&note.encode()), Some(note));
        }
    }
}

fn check_names(messages: &[Message]) {
    let mut aliases = Aliases::new([1, 2, 3, 4], ALIASES_MAX, usize::MAX);
    for (onward, back, _) in messages {
        if let Some(first) = onward.first() {
            assert!(
                aliases.route_of(&first.address).is_none(),
                "a name was guessed"
            );
        }
        let name = aliases.name_for(back);
        let like = |(at, byte): (usize, &u8)| byte ^ u8::from(at == onward.len() % 10);
        let other: Vec<u8> = name.as_bytes().iter().enumerate().map(like).collect();
        assert!(
            aliases.route_of(&Address::local(other)).is_none(),
            "a name was varied"
        );
        assert_eq!(aliases.route_of(&name).as_ref(), Some(back));
        assert!(aliases.len() <= ALIASES_MAX);
    }
}

/// Passes the messages on over another connection, written piece by piece.
fn check_relay(cut: u8, messages: &[Message]) {
    let mut outlet = Outlet::new(Limits::default());
    outlet.open();
    for (onward, back, payload) in messages {
        outlet
            .push_copy(onward.iter(), back.iter(), payload)
            .expect("it was within the limits");
    }
    assert_eq!(outlet.frames(), messages.len());
    let mut intake = Intake::new(Limits::default());
    let mut received = Vec::new();
    let mut written = usize::from(cut);
    while !outlet.is_empty() {
        let mut parts = [IoSlice::new(&[]); 3];
        let count = outlet.parts(&mut parts);
        let parts = parts
            .iter()
            .take(count)
            .flat_map(|part| part.iter().copied());
        written = written % 257 + 1;
        let bytes: Vec<u8> = parts.take(written).collect();
        outlet.advance(bytes.len());
        feed(&mut intake, &bytes, &mut received).expect("it was written here");
    }
    assert_eq!((outlet.frames(), outlet.messages()), (0, 0));
    assert_eq!(received, messages);
}
