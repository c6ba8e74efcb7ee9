//! A cell has no lifetime, so its value must not borrow.

use ringpost_mailbox::cell::{Catalog, Entry, MessageCell};

struct Everything;
impl Catalog for Everything {
    type Meta = ();
}
impl<T> Entry<T> for Everything {
    const META: &'static () = &();
}

fn main() {
    let number = 1;
    let cell = MessageCell::<Everything>::new(&number);
    drop(number);
    drop(cell);
}
