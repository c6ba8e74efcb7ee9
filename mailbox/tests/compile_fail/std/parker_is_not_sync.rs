//! A core is put to sleep by its own thread only.

fn needs_sync<T: Sync>(_: &T) {}

fn main() {
    let (parker, _word) = ringpost_mailbox::wake::Parker::new();
    needs_sync(&parker);
}
