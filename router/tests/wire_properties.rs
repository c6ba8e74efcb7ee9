//! Frames of all kinds, whole, cut and spoiled; the peers' own codec, minicbor 0.24, is the witness.

use minicbor::data::Type;
use minicbor::decode::Error;
use minicbor::{Decoder as Cbor, Encoder};
use proptest::collection::vec;
use proptest::prelude::*;
use ringpost_router::wire::{Decoder, Frame, Limits, Step, VERSION, WireError};
use ringpost_router::{Address, Route, TransportType};

/// What a frame says, owned.
#[derive(Clone, Debug, PartialEq)]
struct Said {
    onward: Vec<Address>,
    return_route: Vec<Address>,
    payload: Vec<u8>,
    trace: Option<String>,
}

impl Said {
    fn frame(&self) -> Frame<'_> {
        let route = |addresses: &[Address]| addresses.iter().collect::<Route>();
        let frame = Frame::new(
            route(&self.onward),
            route(&self.return_route),
            &self.payload,
        );
        match &self.trace {
            Some(trace) => frame.with_trace(trace),
            None => frame,
        }
    }

    fn of(frame: &Frame<'_>) -> Self {
        Self {
            onward: frame.onward.iter().cloned().collect(),
            return_route: frame.return_route.iter().cloned().collect(),
            payload: frame.payload.to_vec(),
            trace: frame.trace.map(str::to_owned),
        }
    }

    fn encoded(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let result = self.frame().encode(&Limits::default(), &mut out);
        result.expect("the strategies keep to the limits");
        out
    }
}

fn address() -> impl Strategy<Value = Address> {
    let name = prop_oneof![8 => vec(any::<u8>(), 0..30), 1 => vec(any::<u8>(), 250..300)];
    (any::<u8>(), name).prop_map(|(transport, name)| Address::new(TransportType(transport), name))
}

fn said(payload_bytes_max: usize) -> impl Strategy<Value = Said> {
    let route =
        || prop_oneof![4 => vec(address(), 0..4), 1 => vec(address(), 20..=Route::HOPS_MAX)];
    let payload = vec(any::<u8>(), 0..payload_bytes_max);
    let trace = proptest::option::of(".{0,40}");
    (route(), route(), payload, trace).prop_map(|(onward, return_route, payload, trace)| Said {
        onward,
        return_route,
        payload,
        trace,
    })
}

/// Small messages, since each is decoded once for each of its bytes.
fn small() -> impl Strategy<Value = Said> {
    let route = || vec("[a-z]{0,3}".prop_map(Address::from), 0..3);
    let payload = vec(any::<u8>(), 0..8);
    let trace = proptest::option::of("[a-z]{0,3}");
    (route(), route(), payload, trace).prop_map(|(onward, return_route, payload, trace)| Said {
        onward,
        return_route,
        payload,
        trace,
    })
}

/// The body as the peers' codec writes it.
fn witness_encoded(said: &Said) -> Vec<u8> {
    let mut out = Encoder::new(Vec::new());
    let items = if said.trace.is_some() { 4 } else { 3 };
    out.array(items).unwrap();
    for route in [&said.onward, &said.return_route] {
        out.array(route.len() as u64).unwrap();
        for address in route {
            let out = out.array(2).unwrap().u8(address.transport().0).unwrap();
            out.bytes(address.as_bytes()).unwrap();
        }
    }
    out.bytes(&said.payload).unwrap();
    if let Some(trace) = &said.trace {
        out.str(trace).unwrap();
    }
    out.into_writer()
}

/// The body as the peers' codec reads it, up to the last item that is known.
fn witness_decoded(body: &[u8]) -> Result<Said, Error> {
    let mut cbor = Cbor::new(body);
    let items = cbor.array()?;
    if items.is_some_and(|items| items < 3) {
        return Err(Error::message("too few items"));
    }
    let onward = witness_route(&mut cbor)?;
    let return_route = witness_route(&mut cbor)?;
    let payload = cbor.bytes()?.to_vec();
    let has_trace = match items {
        Some(items) => items > 3,
        None => cbor.datatype()? != Type::Break,
    };
    let trace = match has_trace {
        false => None,
        true if cbor.datatype()? == Type::Null => None,
        true => Some(cbor.str()?.to_owned()),
    };
    Ok(Said {
        onward,
        return_route,
        payload,
        trace,
    })
}

fn witness_route(cbor: &mut Cbor<'_>) -> Result<Vec<Address>, Error> {
    let mut left = cbor.array()?;
    let mut route = Vec::new();
    loop {
        match &mut left {
            Some(0) => return Ok(route),
            Some(left) => *left -= 1,
            None if cbor.datatype()? == Type::Break => {
                cbor.skip()?;
                return Ok(route);
            }
            None => {}
        }
        let parts = cbor.array()?;
        let transport = TransportType(cbor.u8()?);
        let name = cbor.bytes()?;
        match parts {
            Some(2) => {}
            None if cbor.datatype()? == Type::Break => cbor.skip()?,
            _ => return Err(Error::message("not two parts")),
        }
        route.push(Address::new(transport, name));
    }
}

/// Decodes bytes that may be anything, and holds the outcome against the witness.
fn agrees(body: &[u8]) -> Result<(), TestCaseError> {
    let witness = witness_decoded(body);
    match Frame::decode(body, &Limits::default()) {
        Ok(frame) => {
            let said = Said::of(&frame);
            prop_assert_eq!(
                &said,
                &witness.expect("the witness reads what is read here")
            );
            let again = said.encoded();
            prop_assert_eq!(Frame::decode(&again[4..], &Limits::default()), Ok(frame));
        }
        Err(WireError::TooLong { .. } | WireError::TooShort { .. }) => {}
        Err(error) => prop_assert!(witness.is_err(), "{error} here, {witness:?} there"),
    }
    Ok(())
}

/// All frames of a connection whose bytes arrive in pieces, and how it ended.
fn received(pieces: &[&[u8]]) -> (Vec<Said>, Option<WireError>) {
    let mut decoder = Decoder::new(Limits::default());
    let (mut arrived, mut frames) = (Vec::new(), Vec::new());
    for piece in pieces {
        arrived.extend_from_slice(piece);
        loop {
            let (done, consumed) = match decoder.step(&arrived) {
                Ok(Step::Frame { frame, consumed }) => {
                    assert!(consumed > 0, "a frame without bytes");
                    frames.push(Said::of(&frame));
                    (false, consumed)
                }
                Ok(Step::More { consumed, needed }) => {
                    assert!(needed > arrived.len() - consumed, "it is all there");
                    (true, consumed)
                }
                Err(error) => return (frames, Some(error)),
            };
            arrived.drain(..consumed);
            if done {
                break;
            }
        }
    }
    (frames, None)
}

fn connection(messages: &[Said]) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    for said in messages {
        bytes.extend(said.encoded());
    }
    bytes
}

proptest! {
    #[test]
    fn a_frame_is_read_as_it_was_written_and_as_the_witness_writes_it(said in said(300)) {
        let bytes = said.encoded();
        let (length, body) = bytes.split_at(4);
        prop_assert_eq!(u32::from_be_bytes(length.try_into().unwrap()) as usize, body.len());
        prop_assert_eq!(body, &witness_encoded(&said));
        let frame = Frame::decode(body, &Limits::default()).unwrap();
        prop_assert_eq!(&Said::of(&frame), &said);
        let range = frame.payload_range(&bytes).unwrap();
        prop_assert_eq!(&bytes[range], &said.payload);
    }

    #[test]
    fn payloads_of_every_size_class_are_read(len in prop_oneof![0..70_000_usize, 250..260_usize, 65_530..65_540_usize]) {
        let said = Said { onward: vec!["a".into()], return_route: vec![], payload: vec![7; len], trace: None };
        let bytes = said.encoded();
        prop_assert_eq!(&bytes[4..], &witness_encoded(&said));
        prop_assert_eq!(Frame::decode(&bytes[4..], &Limits::default()).unwrap().payload, &said.payload);
    }

    #[test]
    fn every_frame_cut_short_is_an_error_or_agreed(said in small()) {
        let bytes = said.encoded();
        for end in 4..bytes.len() {
            prop_assert!(Frame::decode(&bytes[4..end], &Limits::default()).is_err());
            agrees(&bytes[4..end])?;
        }
    }

    #[test]
    fn every_byte_spoiled_in_some_way_is_an_error_or_agreed(said in small()) {
        let mut body = said.encoded().split_off(4);
        for at in 0..body.len() {
            let right = body[at];
            for wrong in (0..8).map(|bit| right ^ 1 << bit).chain([0x00, 0x1f, 0x5b, 0x5f, 0x9b, 0x9f, 0xf6, 0xff]) {
                body[at] = wrong;
                agrees(&body)?;
            }
            body[at] = right;
        }
    }

    #[test]
    fn any_bytes_are_an_error_or_agreed(body in vec(any::<u8>(), 0..60)) {
        agrees(&body)?;
    }

    /// More likely to be nearly right than any bytes.
    #[test]
    fn any_items_are_an_error_or_agreed(items in vec(prop_oneof![
        Just(0x80_u8), Just(0x81), Just(0x82), Just(0x83), Just(0x84), Just(0x9f), Just(0xff), Just(0xf6),
        Just(0x00), Just(0x18), Just(0x40), Just(0x41), Just(0x58), Just(0x60), Just(0x61), Just(b'a'),
    ], 4..24)) {
        agrees(&items)?;
        agrees(&[&[0x84], &items[..]].concat())?;
    }

    #[test]
    fn a_connection_split_at_every_position_brings_the_same_frames(messages in vec(small(), 0..4)) {
        let bytes = connection(&messages);
        let one_by_one: Vec<&[u8]> = bytes.chunks(1).collect();
        prop_assert_eq!(received(&one_by_one), (messages.clone(), None));
        for at in 0..=bytes.len() {
            let (left, right) = bytes.split_at(at);
            prop_assert_eq!(received(&[left, right]), (messages.clone(), None));
        }
    }

    #[test]
    fn a_connection_in_any_pieces_ends_alike(
        mut bytes in vec(small(), 1..4).prop_map(|messages| connection(&messages)),
        spoiled: prop::sample::Index,
        byte: u8,
        cuts in vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let at = spoiled.index(bytes.len());
        bytes[at] = byte;
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len())).collect();
        cuts.sort_unstable();
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in cuts.into_iter().chain([bytes.len()]) {
            pieces.push(&bytes[from..cut]);
            from = cut;
        }
        prop_assert_eq!(received(&pieces), received(&[&bytes]));
    }
}
