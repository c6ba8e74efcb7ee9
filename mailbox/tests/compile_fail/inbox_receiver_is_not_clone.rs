//! Two receivers would take a value twice.

fn main() {
    let (_sender, receiver) = ringpost_mailbox::inbox::inbox::<u8>(1);
    let _second = receiver.clone();
}
