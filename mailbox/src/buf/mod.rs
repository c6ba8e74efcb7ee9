//! Buffers: bytes in blocks of a pool, moved between threads and sliced without copying.
//!
//! Three views of the same memory, each turned into the next without touching the bytes:
//!
//! ```text
//!   BufMut  -- freeze -->  Buf  -- share -->  SharedBuf
//!   unique, written  <-- into_mut --  unique, read    counted, read by many
//! ```
//!
//! A buffer is unique unless somebody asks for sharing, so its fast path counts no references. All three are
//! `Send`; dropped on any thread, their memory finds its way home as told in [`pool`](crate::pool). Buffers
//! outlive their pool.
//!
//! Bytes begin at an address that is a multiple of [`BLOCK_ALIGN`](crate::pool::BLOCK_ALIGN); a slice
//! begins where it begins.
//!
//! ```
//! use ringpost_mailbox::buf::BufMut;
//!
//! let mut frame = BufMut::with_capacity(64);
//! frame.extend_from_slice(b"head:body");
//! let body = frame.freeze().slice(5..);
//! assert_eq!(body, *b"body");
//!
//! let shared = body.share();
//! assert_eq!(shared.slice(..2), *b"bo");
//! ```

mod bytes;
mod shared;
mod unique;
mod view;
mod writable;

pub use shared::SharedBuf;
pub use unique::Buf;
pub use writable::BufMut;
