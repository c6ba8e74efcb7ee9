//! An end is used by one thread at a time.

fn needs_sync<T: Sync>(_: &T) {}

fn main() {
    let (producer, consumer) = ringpost_mailbox::ring::ring::<u8>(1);
    needs_sync(&producer);
    needs_sync(&consumer);
}
