//! What nodes of this make tell each other besides messages.
//!
//! docs/notes.md describes them. A note travels as the payload of a frame without routes. Peers of other makes take such a frame for a
//! sign of life and drop it, so notes can be sent to anybody; who sends one is known to understand them.

use ringpost_mailbox::buf::Buf;

use super::cbor::{Reader, put_array, put_byte, put_bytes};
use crate::{Address, TransportType};

/// What each note begins with.
const MARK: &[u8] = b"ringpost\x01";

/// The kinds of notes, as they are written.
const HELLO: u8 = 0;
const REFUSED: u8 = 1;
const CREDIT: u8 = 2;
const WATCH: u8 = 3;
const UNWATCH: u8 = 4;
const ENDED: u8 = 5;

/// A note from the peer, or to it.
///
/// ```
/// use ringpost_router::wire::Note;
///
/// let note = Note::Hello { frames: 512, watches: 1024 };
/// assert_eq!(Note::decode(&note.encode()), Some(note));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// The first note of each side.
    Hello {
        /// How many frames the peer may send before it gets credit for more; 0 for any number.
        frames: u32,
        /// How many watches the peer may have here at one time; 0, which is also what is read where it is not said, for
        /// none.
        watches: u32,
    },
    /// A message was not taken.
    Refused {
        /// The first address of its return route.
        sender: Address,
        /// Where it could not go.
        address: Address,
        /// Why.
        refusal: Refusal,
    },
    /// So many more frames may be sent.
    Credit {
        /// How many.
        frames: u32,
    },
    /// The end of a worker is to be told, once.
    Watch {
        /// What it is told by: a number that the watching side has not used on this connection before.
        id: u32,
        /// The worker, as messages to it name it.
        address: Address,
    },
    /// It need not be told any more; it may be on its way.
    Unwatch {
        /// Of that watch.
        id: u32,
    },
    /// A worker that was watched has ended. It comes behind all messages of that worker to the watcher.
    Ended {
        /// Of that watch.
        id: u32,
        /// How.
        ending: Ending,
    },
}

/// How a worker of the peer has ended. What it said of that stays there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// It was stopped.
    Stopped,
    /// It panicked.
    Panicked,
    /// It returned an error.
    Failed,
    /// There was nobody, or nobody that this peer may know of.
    Nobody,
}

/// Why a peer does not take a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Refusal {
    /// The address is not exposed to this connection.
    Denied,
    /// Nobody is there, or no longer.
    Gone,
    /// The message is not one that can be taken there.
    Unreadable,
}

impl Note {
    /// The note as a payload.
    #[must_use]
    pub fn encode(&self) -> Buf {
        let mut out = MARK.to_vec();
        match self {
            Self::Hello { frames, watches } => {
                put_head(&mut out, 3, HELLO);
                put_number(&mut out, *frames);
                put_number(&mut out, *watches);
            }
            Self::Credit { frames } => {
                put_head(&mut out, 2, CREDIT);
                put_number(&mut out, *frames);
            }
            Self::Watch { id, address } => {
                put_head(&mut out, 3, WATCH);
                put_number(&mut out, *id);
                put_address(&mut out, address);
            }
            Self::Unwatch { id } => {
                put_head(&mut out, 2, UNWATCH);
                put_number(&mut out, *id);
            }
            Self::Ended { id, ending } => {
                put_head(&mut out, 3, ENDED);
                put_number(&mut out, *id);
                put_byte(&mut out, ending.number());
            }
            Self::Refused {
                sender,
                address,
                refusal,
            } => {
                put_head(&mut out, 4, REFUSED);
                put_address(&mut out, sender);
                put_address(&mut out, address);
                put_byte(&mut out, refusal.number());
            }
        }
        Buf::from(out)
    }

    /// Reads a payload; `None` if it is no note, or one of a later version.
    #[must_use]
    pub fn decode(payload: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(payload.strip_prefix(MARK)?);
        let items = reader.array().ok()?;
        match reader.byte().ok()? {
            HELLO => Some(Self::Hello {
                frames: take_number(&mut reader)?,
                watches: match items {
                    Some(2) => 0,
                    _ => take_number(&mut reader)?,
                },
            }),
            CREDIT => take_number(&mut reader).map(|frames| Self::Credit { frames }),
            WATCH => Some(Self::Watch {
                id: take_number(&mut reader)?,
                address: take_address(&mut reader)?,
            }),
            UNWATCH => take_number(&mut reader).map(|id| Self::Unwatch { id }),
            ENDED => Some(Self::Ended {
                id: take_number(&mut reader)?,
                ending: Ending::of(reader.byte().ok()?)?,
            }),
            REFUSED => Some(Self::Refused {
                sender: take_address(&mut reader)?,
                address: take_address(&mut reader)?,
                refusal: Refusal::of(reader.byte().ok()?)?,
            }),
            _ => None,
        }
    }
}

impl Refusal {
    fn number(self) -> u8 {
        match self {
            Self::Denied => 0,
            Self::Gone => 1,
            Self::Unreadable => 2,
        }
    }

    fn of(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Denied),
            1 => Some(Self::Gone),
            2 => Some(Self::Unreadable),
            _ => None,
        }
    }
}

impl Ending {
    fn number(self) -> u8 {
        match self {
            Self::Stopped => 0,
            Self::Panicked => 1,
            Self::Failed => 2,
            Self::Nobody => 3,
        }
    }

    fn of(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Stopped),
            1 => Some(Self::Panicked),
            2 => Some(Self::Failed),
            3 => Some(Self::Nobody),
            _ => None,
        }
    }
}

fn put_head(out: &mut Vec<u8>, items: u64, kind: u8) {
    put_array(out, items);
    put_byte(out, kind);
}

fn put_number(out: &mut Vec<u8>, number: u32) {
    put_bytes(out, 4);
    out.extend_from_slice(&number.to_be_bytes());
}

fn take_number(reader: &mut Reader<'_>) -> Option<u32> {
    let len = reader.bytes().ok()?;
    let bytes: [u8; 4] = reader.take(len).ok()?.try_into().ok()?;
    Some(u32::from_be_bytes(bytes))
}

fn put_address(out: &mut Vec<u8>, address: &Address) {
    let name = address.as_bytes();
    put_array(out, 2);
    put_byte(out, address.transport().0);
    put_bytes(out, name.len() as u64);
    out.extend_from_slice(name);
}

fn take_address(reader: &mut Reader<'_>) -> Option<Address> {
    if reader.array().ok()? != Some(2) {
        return None;
    }
    let transport = TransportType(reader.byte().ok()?);
    let len = reader.bytes().ok()?;
    if len > Address::WIRE_BYTES_MAX as u64 {
        return None;
    }
    let name = reader.take(len).ok()?;
    Some(Address::new(transport, name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_read_back_and_nothing_else_is_one() {
        let refused = Note::Refused {
            sender: Address::local("alias"),
            address: Address::from("1#there:1"),
            refusal: Refusal::Denied,
        };
        for note in [
            Note::Hello {
                frames: 7,
                watches: 9,
            },
            Note::Credit { frames: u32::MAX },
            Note::Watch {
                id: 1,
                address: Address::local("worker"),
            },
            Note::Unwatch { id: 1 },
            Note::Ended {
                id: 1,
                ending: Ending::Panicked,
            },
            refused,
        ] {
            let bytes = note.encode();
            assert_eq!(Note::decode(&bytes).as_ref(), Some(&note));
            for cut in 0..bytes.len() {
                assert_eq!(Note::decode(&bytes[..cut]), None);
            }
        }
        let old = b"ringpost\x01\x82\x00\x44\x00\x00\x00\x07";
        let (frames, watches) = (7, 0);
        assert_eq!(Note::decode(old), Some(Note::Hello { frames, watches }));
        assert_eq!(Note::decode(b""), None);
        assert_eq!(Note::decode(b"ringpost\x01\x82\x09"), None);
    }
}
