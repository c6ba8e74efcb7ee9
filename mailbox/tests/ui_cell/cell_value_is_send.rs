//! A cell may be sent, so its value must be allowed to.

use std::rc::Rc;

use ringpost_mailbox::cell::{Catalog, Entry, MessageCell};

struct Everything;
impl Catalog for Everything {
    type Meta = ();
}
impl<T> Entry<T> for Everything {
    const META: &'static () = &();
}

fn main() {
    let _cell = MessageCell::<Everything>::new(Rc::new(1));
}
