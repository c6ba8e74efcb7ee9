//! A cell holds what its catalog has an entry for, and nothing else.

use ringpost_mailbox::cell::{Catalog, Entry, MessageCell};

struct Numbers;
impl Catalog for Numbers {
    type Meta = ();
}
impl Entry<u32> for Numbers {
    const META: &'static () = &();
}

fn main() {
    let _number = MessageCell::<Numbers>::new(1u32);
    let _text = MessageCell::<Numbers>::new("one");
}
