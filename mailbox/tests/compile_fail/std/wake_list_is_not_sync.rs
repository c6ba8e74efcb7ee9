//! A list is drained by its own thread only.

fn needs_sync<T: Sync>(_: &T) {}

fn main() {
    needs_sync(&ringpost_mailbox::wake_list::WakeList::new());
}
