//! Two parkers would both believe that they put the core to sleep.

fn main() {
    let (parker, _word) = ringpost_mailbox::wake::Parker::new();
    let _second = parker.clone();
}
