//! A buffer has one owner; for more there is `share`.

use ringpost_mailbox::buf::Buf;

fn take(_: Buf) {}

fn main() {
    let buf = Buf::default();
    take(buf.clone());
}
