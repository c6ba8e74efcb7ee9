//! Two handles on one end would be two writers of one counter.

fn main() {
    let (producer, _consumer) = ringpost_mailbox::ring::ring::<u8>(1);
    let _second = producer.clone();
}
