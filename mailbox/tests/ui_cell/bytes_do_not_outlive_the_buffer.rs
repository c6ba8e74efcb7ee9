//! The memory goes home with the buffer.

use ringpost_mailbox::buf::BufMut;

fn main() {
    let mut buf = BufMut::with_capacity(10);
    let spare = buf.spare();
    drop(buf);
    spare[0] = 1;
}
