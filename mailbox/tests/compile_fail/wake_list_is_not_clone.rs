//! Two receivers would hand a wake out twice.

fn main() {
    let list = ringpost_mailbox::wake_list::WakeList::new();
    let _second = list.clone();
}
