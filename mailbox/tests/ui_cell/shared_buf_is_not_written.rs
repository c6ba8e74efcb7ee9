//! What many read nobody writes.

use ringpost_mailbox::buf::Buf;

fn main() {
    let shared = Buf::from(&b"bytes"[..]).share();
    shared[0] = 1;
}
