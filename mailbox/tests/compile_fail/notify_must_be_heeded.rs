//! A sender told to ring a sleeping core must not overlook it.

#![deny(unused_must_use)]

fn main() {
    let (_parker, word) = ringpost_mailbox::wake::Parker::new();
    word.notify();
}
