//! Two handles on one end would take a value twice.

fn main() {
    let (_producer, consumer) = ringpost_mailbox::ring::ring::<u8>(1);
    let _second = consumer.clone();
}
