//! What is frozen is read only.

use ringpost_mailbox::buf::Buf;

fn main() {
    let buf = Buf::from(&b"bytes"[..]);
    buf[0] = 1;
}
