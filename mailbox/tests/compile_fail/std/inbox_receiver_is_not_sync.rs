//! The receiver is used by one thread at a time.

fn needs_sync<T: Sync>(_: &T) {}

fn main() {
    let (_sender, receiver) = ringpost_mailbox::inbox::inbox::<u8>(1);
    needs_sync(&receiver);
}
