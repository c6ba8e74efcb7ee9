//! Frames, byte by byte: the format that nodes of the Ockam model speak over TCP, and its limits.
//!
//! The frames marked "sample" are those of the project's research on that format: they were written by
//! the peers' own codec crates (minicbor 0.24 in the peers' settings, serde_bare) and checked there. The
//! tolerances marked "observed" were found by feeding a peer's decoder. The others follow from the
//! grammar in the documentation of `wire` and from RFC 8949.

use ringpost_router::wire::{Decoder, FRAME_BYTES_MIN, Field, Frame, Limits, Step, WireError};
use ringpost_router::{
    Address, Handle, HandleKind, Hint, Hop, Message, NodeCore, Route, TransportType, route,
};

/// Sample: `String` "Hello Ockam!" from `app` to `echoer`, by a node without a tracer.
const HELLO: &[u8] = &[
    0x00, 0x00, 0x00, 0x23, // length 35
    0x84, // array of 4
    0x81, 0x82, 0x00, 0x46, 0x65, 0x63, 0x68, 0x6f, 0x65, 0x72, // onward: [[0, "echoer"]]
    0x81, 0x82, 0x00, 0x43, 0x61, 0x70, 0x70, // return: [[0, "app"]]
    0x4d, 0x0c, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x20, 0x4f, 0x63, 0x6b, 0x61, 0x6d,
    0x21, // payload
    0x62, 0x7b, 0x7d, // trace: "{}"
];

/// Sample: the body of the sign of life that older nodes send.
const HEARTBEAT: &[u8] = &[0x83, 0x80, 0x80, 0x40];

fn decode(body: &[u8]) -> Result<Frame<'_>, WireError> {
    Frame::decode(body, &Limits::default())
}

fn encoded(frame: &Frame<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    frame.encode(&Limits::default(), &mut out).unwrap();
    out
}

fn hello(payload: &[u8]) -> Frame<'_> {
    Frame::new(route!["echoer"], route!["app"], payload)
}

/// A body of two routes, given as bytes, and an empty payload.
fn body(onward: &[u8], return_route: &[u8]) -> Vec<u8> {
    [&[0x83], onward, return_route, &[0x40]].concat()
}

#[test]
fn the_sample_with_a_trace_is_written_and_read() {
    let mut payload = Vec::new();
    String::from("Hello Ockam!").encode(&mut payload).unwrap();
    let frame = hello(&payload).with_trace("{}");
    assert_eq!(encoded(&frame), HELLO);
    assert_eq!(decode(&HELLO[4..]).unwrap(), frame);
}

#[test]
fn the_sample_without_a_trace_has_32_bytes() {
    // Sample: the same body, three bytes shorter, as an array of 3.
    let mut expected = HELLO[..HELLO.len() - 3].to_vec();
    expected[3] = 32;
    expected[4] = 0x83;
    let frame = hello(b"\x0cHello Ockam!");
    assert_eq!(encoded(&frame), expected);
    assert_eq!(decode(&expected[4..]).unwrap(), frame);
}

#[test]
fn a_message_that_goes_nowhere_is_a_heartbeat() {
    let frame = decode(HEARTBEAT).unwrap();
    assert!(frame.is_heartbeat() && !hello(b"").is_heartbeat());
    assert_eq!(frame, Frame::new(route![], route![], b""));
    assert_eq!(encoded(&frame)[4..], *HEARTBEAT);
    assert_eq!(HEARTBEAT.len(), FRAME_BYTES_MIN as usize);
}

#[test]
fn addresses_of_all_transports_cross_the_wire() {
    let onward = Route::new()
        .append_t(TransportType::TCP, "127.0.0.1:4000")
        .append_t(TransportType(255), "x")
        .append(Address::local([0xff, 0x00]));
    let mut expected = vec![0x83, 0x83, 0x82, 0x01, 0x4e];
    expected.extend_from_slice(b"127.0.0.1:4000");
    // 255 takes two bytes: numbers from 24 stand behind a byte 0x18.
    expected.extend_from_slice(&[0x82, 0x18, 0xff, 0x41, b'x']);
    expected.extend_from_slice(&[0x82, 0x00, 0x42, 0xff, 0x00]);
    expected.extend_from_slice(&[0x80, 0x40]);
    let frame = Frame::new(onward, route![], b"");
    assert_eq!(encoded(&frame)[4..], expected);
    assert_eq!(decode(&expected).unwrap(), frame);
}

#[test]
fn hints_stay_at_home() {
    let handle = Handle {
        index: 7,
        generation: 1,
    };
    let hint = Hint {
        core: NodeCore::new(1, 3),
        kind: HandleKind::Worker,
        handle,
    };
    let hinted = Route::from(Hop::with_hint(Address::local("echoer"), hint));
    let bytes = encoded(&Frame::new(hinted, route!["app"], b""));
    assert_eq!(bytes, encoded(&hello(b"")));
    let frame = decode(&bytes[4..]).unwrap();
    assert!(frame.onward.hops().all(Hop::is_unseen));
}

#[test]
fn what_peers_accept_is_accepted() {
    let frame = hello(b"\x0cHello Ockam!").with_trace("{}");
    let sample = &HELLO[4..];

    // Observed: bytes behind the array are ignored.
    let trailing = [sample, &[1, 2, 3]].concat();
    assert_eq!(decode(&trailing).unwrap(), frame);
    // Observed: so are the items of a longer array.
    let longer = [&[0x86], &sample[1..], &[0xf6, 0x80]].concat();
    assert_eq!(decode(&longer).unwrap(), frame);
    // Observed: an array may be without a length; then the trace may be there or not.
    let open = [&[0x9f], &sample[1..], &[0xff]].concat();
    assert_eq!(decode(&open).unwrap(), frame);
    let untraced = [&[0x9f], &sample[1..sample.len() - 3], &[0xff]].concat();
    assert_eq!(decode(&untraced).unwrap(), hello(frame.payload));
    // The grammar: the trace may be null.
    let null = [&sample[..sample.len() - 3], &[0xf6]].concat();
    assert_eq!(decode(&null).unwrap(), hello(frame.payload));
    // RFC 8949: lengths and numbers may take more bytes than they need, routes may be open.
    let wide = body(
        &[0x9f, 0x9f, 0x18, 0, 0x59, 0, 1, b'a', 0xff, 0xff],
        &[0x98, 0],
    );
    assert_eq!(
        decode(&wide).unwrap(),
        Frame::new(route!["a"], route![], b"")
    );
}

#[test]
fn what_is_no_message_is_refused_by_the_name_of_its_part() {
    use Field::{Frame as Whole, OnwardAddress, OnwardRoute, Payload, ReturnRoute, Trace};
    let kind = |field, found| WireError::Kind { field, found };
    let ended = |field| WireError::Ended { field };
    let cases: &[(&[u8], WireError)] = &[
        (&[0x83, 0x80, 0x80], WireError::TooShort { bytes: 3 }),
        // Observed: fewer than three items fail.
        (&[0x82, 0x80, 0x80, 0x40], kind(Whole, 0x82)),
        (&[0x80, 0x80, 0x80, 0x40], kind(Whole, 0x80)),
        (&[0xa3, 0x80, 0x80, 0x40], kind(Whole, 0xa3)),
        (&[0x83, 0x40, 0x80, 0x40], kind(OnwardRoute, 0x40)),
        (&[0x83, 0x80, 0x00, 0x40], kind(ReturnRoute, 0x00)),
        (&[0x83, 0x80, 0x80, 0x60], kind(Payload, 0x60)),
        // Strings in chunks cannot be borrowed; the peers refuse them too.
        (&[0x83, 0x80, 0x80, 0x5f, 0xff], kind(Payload, 0x5f)),
        (&[0x84, 0x80, 0x80, 0x40, 0x40], kind(Trace, 0x40)),
        (&[0x84, 0x80, 0x80, 0x40], ended(Trace)),
        (&[0x9f, 0x80, 0x80, 0x40], ended(Trace)),
        (&[0x83, 0x80, 0x80, 0x41], ended(Payload)),
        (
            &[
                0x83, 0x80, 0x80, 0x5b, 255, 255, 255, 255, 255, 255, 255, 255,
            ],
            ended(Payload),
        ),
        (
            &[0x84, 0x80, 0x80, 0x40, 0x61, 0xff],
            WireError::Utf8 { field: Trace },
        ),
        (&[0x83, 0x81, 0x40, 0x80, 0x40], kind(OnwardAddress, 0x40)),
        (
            &[0x83, 0x81, 0x82, 0x40, 0x40, 0x80, 0x40],
            kind(OnwardAddress, 0x40),
        ),
        // A transport type of 256.
        (
            &[0x83, 0x81, 0x82, 0x19, 1, 0, 0x40, 0x80, 0x40],
            kind(OnwardAddress, 0x19),
        ),
        (
            &[0x83, 0x81, 0x83, 0x00, 0x40, 0x00, 0x80],
            WireError::Parts {
                field: OnwardAddress,
            },
        ),
        (
            &[0x83, 0x81, 0x9f, 0x00, 0x40, 0x00, 0xff],
            WireError::Parts {
                field: OnwardAddress,
            },
        ),
    ];
    for (body, error) in cases {
        assert_eq!(decode(body).unwrap_err(), *error, "{body:02x?}");
    }
}

#[test]
fn each_limit_holds_for_what_is_read_and_what_is_written() {
    let limits = Limits {
        frame_bytes_max: 40,
        hops_max: 2,
        address_bytes_max: 8,
        trace_bytes_max: 4,
    };
    let frames = [
        (
            Frame::new(route!["a", "b"], route!["12345678"], &[7; 12]).with_trace("1234"),
            None,
        ),
        (
            Frame::new(route!["a", "b", "c"], route![], b""),
            Some((Field::OnwardRoute, 3, 2)),
        ),
        (
            Frame::new(route![], route!["a", "b", "c"], b""),
            Some((Field::ReturnRoute, 3, 2)),
        ),
        (
            Frame::new(route!["123456789"], route![], b""),
            Some((Field::OnwardAddress, 9, 8)),
        ),
        (
            Frame::new(route![], route!["123456789"], b""),
            Some((Field::ReturnAddress, 9, 8)),
        ),
        (hello(b"").with_trace("12345"), Some((Field::Trace, 5, 4))),
        (
            Frame::new(route![], route![], &[0; 36]),
            Some((Field::Frame, 41, 40)),
        ),
    ];
    for (frame, over) in frames {
        let error = over.map(|(field, found, limit)| WireError::TooLong {
            field,
            found,
            limit,
        });
        let mut out = vec![1, 2, 3];
        assert_eq!(frame.encode(&limits, &mut out).err(), error);
        if error.is_some() {
            assert_eq!(
                out,
                [1, 2, 3],
                "what was there is untouched, and nothing added"
            );
        }
        let bytes = encoded(&frame);
        assert_eq!(Frame::decode(&bytes[4..], &limits).err(), error);
    }
}

#[test]
fn a_route_that_is_too_long_is_refused_before_and_after_it_is_read() {
    let over = |found| {
        Err(WireError::TooLong {
            field: Field::OnwardRoute,
            found,
            limit: 64,
        })
    };
    // An array that announces its addresses is refused on its word, one without a length at the first too many.
    assert_eq!(decode(&body(&[0x98, 65], &[0x80])), over(65));
    let most = [&[0x9b][..], &[0xff; 8]].concat();
    assert_eq!(decode(&body(&most, &[0x80])), over(u64::MAX));
    let open = |hops| [&[0x9f], &[0x82, 0x00, 0x40].repeat(hops)[..], &[0xff]].concat();
    assert_eq!(decode(&body(&open(65), &[0x80])), over(65));
    assert_eq!(decode(&body(&open(64), &[0x80])).unwrap().onward.len(), 64);

    let none = Limits {
        hops_max: 0,
        ..Limits::default()
    };
    let error = WireError::TooLong {
        field: Field::OnwardRoute,
        found: 1,
        limit: 0,
    };
    assert_eq!(Frame::decode(&HELLO[4..], &none), Err(error));
}

#[test]
fn no_limit_can_be_set_above_what_the_node_takes() {
    let limits = Limits {
        hops_max: usize::MAX,
        address_bytes_max: usize::MAX,
        ..Limits::default()
    };
    let long: Route = (0..=Route::HOPS_MAX).map(|_| Address::local("a")).collect();
    let name = Address::local([b'x'; Address::WIRE_BYTES_MAX + 1]);
    for onward in [long, name.into()] {
        let result = Frame::new(onward, route![], b"").encode(&limits, &mut Vec::new());
        assert!(matches!(result, Err(WireError::TooLong { .. })));
    }
}

/// Shows a decoder all the bytes at once and returns its first step.
fn first_step(bytes: &[u8]) -> Result<Step<'_>, WireError> {
    Decoder::new(Limits::default()).step(bytes)
}

#[test]
fn a_decoder_says_how_many_bytes_it_waits_for() {
    let more = |consumed, needed| Ok(Step::More { consumed, needed });
    assert_eq!(first_step(&[]), more(0, 1));
    assert_eq!(first_step(&[1]), more(1, 4));
    assert_eq!(first_step(&[1, 0, 0, 0]), more(1, 4));
    assert_eq!(first_step(&[1, 0, 0, 0, 4]), more(1, 8));
    assert_eq!(first_step(&[1, 0, 0, 0, 4, 0x83, 0x80, 0x80]), more(1, 8));
    let whole = first_step(&[1, 0, 0, 0, 4, 0x83, 0x80, 0x80, 0x40, 99]);
    assert!(
        matches!(whole, Ok(Step::Frame { consumed: 9, .. })),
        "{whole:?}"
    );
}

#[test]
fn a_length_over_the_limit_is_refused_from_its_four_bytes() {
    let over = |found| WireError::TooLong {
        field: Field::Frame,
        found,
        limit: 16 << 20,
    };
    assert_eq!(first_step(&[1, 1, 0, 0, 1]), Err(over((16 << 20) + 1)));
    assert_eq!(
        first_step(&[1, 255, 255, 255, 255]),
        Err(over(u64::from(u32::MAX)))
    );
    let most = first_step(&[1, 1, 0, 0, 0]);
    assert_eq!(
        most,
        Ok(Step::More {
            consumed: 1,
            needed: (16 << 20) + 4
        })
    );
}

#[test]
fn a_flood_of_empty_frames_ends_with_its_first() {
    let flood = [&[1][..], &[0; 64 * 1024]].concat();
    assert_eq!(first_step(&flood), Err(WireError::TooShort { bytes: 0 }));
    assert_eq!(
        first_step(&[1, 0, 0, 0, 3]),
        Err(WireError::TooShort { bytes: 3 })
    );
}

#[test]
fn a_decoder_that_has_failed_repeats_its_error() {
    let mut decoder = Decoder::new(Limits::default());
    let wrong = Err(WireError::Version { found: b'G' });
    assert_eq!(decoder.step(b"GET / HTTP/1.1"), wrong);
    assert_eq!(decoder.step(&[1]), wrong);
    assert_eq!(decoder.step(&[]), wrong);
    assert!(!decoder.is_open());
}

#[test]
fn only_what_lies_within_a_buffer_has_a_range_in_it() {
    let bytes = HELLO;
    let frame = decode(&bytes[4..]).unwrap();
    assert_eq!(frame.payload_range(bytes), Some(23..36));
    assert_eq!(&bytes[23..36], frame.payload);
    assert_eq!(frame.payload_range(&bytes[4..]), Some(19..32));
    assert_eq!(frame.payload_range(&bytes[..30]), None);
    assert_eq!(frame.payload_range(&bytes[30..]), None);
    assert_eq!(frame.payload_range(&[0; 64]), None);
}

#[test]
fn what_is_printed_of_a_frame_is_not_its_payload() {
    let text = format!("{:?}", hello(b"secret"));
    assert!(
        text.contains("payload_bytes: 6") && text.contains("0#echoer"),
        "{text}"
    );
    assert!(!text.contains("secret") && !text.contains("115"), "{text}");
}
