//! A pop through a shared reference could be made in the middle of a burst.

fn main() {
    let (_producer, consumer) = ringpost_mailbox::ring::ring::<u8>(1);
    let shared = &consumer;
    let _ = shared.pop();
}
