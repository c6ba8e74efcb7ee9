//! What `peek` lends goes with the cell.

use ringpost_mailbox::cell::{Catalog, Entry, MessageCell};

struct Everything;
impl Catalog for Everything {
    type Meta = ();
}
impl<T> Entry<T> for Everything {
    const META: &'static () = &();
}

fn main() {
    let cell = MessageCell::<Everything>::new(String::new());
    let seen = cell.peek::<String>();
    let _taken = cell.take::<String>();
    drop(seen);
}
