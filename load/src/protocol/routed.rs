//! Frames of the TCP format that ringpost and nodes of the Ockam model speak, each carrying a message to a
//! worker and the address that the worker replies to.
//!
//! A message is sent as text in the encoding of strings, its length in front, so that it can be read by workers that
//! take strings, byte strings or any message at all. The reply must carry the same.

use ringpost_router::wire::{Decoder, Frame, Limits, Step, VERSION, WireError};
use ringpost_router::{Address, Route};

use super::Found;

/// The address that replies come back to.
const OWN_NAME: &str = "ringpost-load";

/// The frames of one connection. All messages have one size, so all frames begin with the same bytes; replies
/// do so too, as a rule, and those that begin like the last one that was decoded are not decoded again.
#[derive(Debug)]
pub(crate) struct Routed {
    /// What stands before the text of a message that is sent.
    head: Box<[u8]>,
    /// The length of the text, as it stands in the payload before it.
    prefix: Box<[u8]>,
    size: usize,
    own: Address,
    decoder: Decoder,
    known: Known,
}

/// How the last reply that was decoded began, length and routes included. A frame that begins with these bytes has
/// its payload at the same place.
#[derive(Debug, Default)]
struct Known {
    head: Vec<u8>,
    frame_bytes: usize,
}

impl Routed {
    /// Sends messages of `size` bytes along this route.
    ///
    /// # Errors
    /// A route or a size that does not fit into a frame.
    pub(crate) fn new(onward: &Route, size: usize) -> Result<Self, WireError> {
        let own = Address::local(OWN_NAME);
        let prefix = length_prefix(size);
        let payload = vec![0; prefix.len().saturating_add(size)];
        let limits = Limits::default();
        let mut head = Vec::new();
        let frame = Frame::new(onward.clone(), Route::from(own.clone()), &payload);
        frame.encode_head(&limits, &mut head)?;
        head.extend_from_slice(&prefix);
        Ok(Self {
            head: head.into(),
            prefix: prefix.into(),
            size,
            own,
            decoder: Decoder::new(limits),
            known: Known::default(),
        })
    }

    pub(crate) fn open(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
    }

    #[inline]
    pub(crate) fn write_head(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.head);
    }

    pub(crate) fn frame_bytes(&self) -> usize {
        self.head.len().saturating_add(self.size)
    }

    #[inline]
    pub(crate) fn read<'a>(&mut self, bytes: &'a [u8]) -> Result<Found<'a>, WireError> {
        match self.read_known(bytes) {
            Some(reply) => Ok(reply),
            None => self.decode(bytes),
        }
    }

    /// Reads a reply that begins like the last one that was decoded.
    #[inline]
    fn read_known<'a>(&self, bytes: &'a [u8]) -> Option<Found<'a>> {
        let Known { head, frame_bytes } = &self.known;
        let behind = bytes.get(..*frame_bytes)?.strip_prefix(head.as_slice())?;
        (!head.is_empty()).then_some(Found::Reply {
            text: behind.get(..self.size)?,
            consumed: *frame_bytes,
        })
    }

    fn decode<'a>(&mut self, bytes: &'a [u8]) -> Result<Found<'a>, WireError> {
        let was_open = self.decoder.is_open();
        let (frame, consumed) = match self.decoder.step(bytes)? {
            Step::More { consumed, .. } => return Ok(Found::Part { consumed }),
            Step::Frame { frame, consumed } => (frame, consumed),
        };
        if frame
            .onward
            .only()
            .is_none_or(|hop| hop.address != self.own)
        {
            return Ok(Found::Other { consumed });
        }
        let text = frame.payload.strip_prefix(&*self.prefix);
        let Some(text) = text.filter(|text| text.len() == self.size) else {
            return Ok(Found::Reply {
                text: frame.payload,
                consumed,
            });
        };
        let start = usize::from(!was_open);
        let at = frame.payload_range(bytes).map(|range| range.start);
        let head = at.and_then(|at| bytes.get(start..at.checked_add(self.prefix.len())?));
        self.known = Known {
            head: head.unwrap_or_default().to_vec(),
            frame_bytes: consumed.saturating_sub(start),
        };
        Ok(Found::Reply { text, consumed })
    }
}

/// A length in groups of seven bits, as BARE writes it before strings.
fn length_prefix(length: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = length;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
    out
}

#[cfg(test)]
mod tests {
    use ringpost_router::{Hop, Message, route};

    use super::*;
    use crate::stamp::Stamper;

    /// What a service sends back, and how many bytes the first frame took.
    fn echoed(sent: &[u8], trace: Option<&str>) -> Vec<u8> {
        let limits = Limits::default();
        let mut decoder = Decoder::new(limits);
        let mut out = vec![VERSION];
        let mut rest = sent;
        while let Step::Frame { frame, consumed } = decoder.step(rest).unwrap() {
            let text = String::decode(frame.payload).expect("the payload is a string");
            assert!(text.is_ascii());
            let mut reply = Frame::new(frame.return_route, route!["9f2c"], frame.payload);
            reply.trace = trace;
            reply.encode(&limits, &mut out).unwrap();
            rest = &rest[consumed..];
        }
        out
    }

    fn messages(routed: &Routed, stamper: &Stamper, count: u64) -> Vec<u8> {
        let mut out = Vec::new();
        routed.open(&mut out);
        for number in 0..count {
            routed.write_head(&mut out);
            stamper.write(number, &mut out);
        }
        out
    }

    /// Reads bytes that arrive in pieces.
    fn read_all(routed: &mut Routed, bytes: &[u8], piece: usize) -> Vec<Vec<u8>> {
        let mut texts = Vec::new();
        let mut arrived = Vec::new();
        for piece in bytes.chunks(piece) {
            arrived.extend_from_slice(piece);
            let mut at = 0;
            loop {
                match routed.read(&arrived[at..]).unwrap() {
                    Found::Reply { text, consumed } => {
                        texts.push(text.to_vec());
                        at += consumed;
                    }
                    Found::Other { consumed } => at += consumed,
                    Found::Part { consumed } => {
                        at += consumed;
                        break;
                    }
                }
            }
            arrived.drain(..at);
        }
        assert!(arrived.is_empty());
        texts
    }

    #[test]
    fn replies_are_read_in_pieces_of_any_size() {
        for size in [16, 200, 20_000] {
            for trace in [None, Some("{}")] {
                let stamper = Stamper::new(1, 1, size);
                let mut routed = Routed::new(&route!["echoer"], size).unwrap();
                let sent = messages(&routed, &stamper, 5);
                assert_eq!(sent.len(), 1 + 5 * routed.frame_bytes());
                let reply = echoed(&sent, trace);
                for piece in [1, 7, 1000, reply.len()] {
                    let mut routed = Routed::new(&route!["echoer"], size).unwrap();
                    let texts = read_all(&mut routed, &reply, piece);
                    let numbers: Vec<_> = texts.iter().map(|text| stamper.read(text)).collect();
                    assert_eq!(numbers, [Ok(0), Ok(1), Ok(2), Ok(3), Ok(4)]);
                }
                let texts = read_all(&mut routed, &reply, reply.len());
                assert_eq!(texts.len(), 5);
                assert!(!routed.known.head.is_empty());
            }
        }
    }

    #[test]
    fn heartbeats_and_messages_for_others_are_no_replies() {
        let limits = Limits::default();
        let mut bytes = vec![VERSION];
        Frame::new(Route::new(), Route::new(), b"")
            .encode(&limits, &mut bytes)
            .unwrap();
        Frame::new(route!["other"], route!["x"], b"?")
            .encode(&limits, &mut bytes)
            .unwrap();
        let mut routed = Routed::new(&route!["echoer"], 16).unwrap();
        assert_eq!(routed.read(&bytes), Ok(Found::Other { consumed: 9 }));
        let rest = &bytes[9..];
        let consumed = rest.len();
        assert_eq!(routed.read(rest), Ok(Found::Other { consumed }));
    }

    #[test]
    fn a_reply_of_another_length_is_handed_on_as_it_is() {
        let mut bytes = vec![VERSION];
        let frame = Frame::new(route![OWN_NAME], route!["x"], b"\x05short");
        frame.encode(&Limits::default(), &mut bytes).unwrap();
        let mut routed = Routed::new(&route!["echoer"], 16).unwrap();
        let reply = Found::Reply {
            text: b"\x05short",
            consumed: bytes.len(),
        };
        assert_eq!(routed.read(&bytes), Ok(reply));
        assert!(routed.known.head.is_empty());
    }

    #[test]
    fn another_protocol_is_an_error() {
        let mut routed = Routed::new(&route!["echoer"], 16).unwrap();
        let error = routed.read(b"HTTP/1.1 400").unwrap_err();
        assert_eq!(error, WireError::Version { found: b'H' });
    }

    #[test]
    fn a_size_or_a_route_beyond_a_frame_is_refused() {
        assert!(Routed::new(&route!["echoer"], 17 << 20).is_err());
        let far = Route::from_hops((0..65).map(|_| Hop::new("x")));
        assert!(Routed::new(&far, 16).is_err());
    }
}
