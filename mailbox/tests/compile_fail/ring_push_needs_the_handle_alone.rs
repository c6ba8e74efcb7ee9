//! A push through a shared reference could be made twice at once.

fn main() {
    let (producer, _consumer) = ringpost_mailbox::ring::ring::<u8>(1);
    let shared = &producer;
    let _ = shared.push(1);
}
