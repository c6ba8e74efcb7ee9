//! Two cells would drop one value.

use ringpost_mailbox::cell::{Catalog, Entry, MessageCell};

struct Everything;
impl Catalog for Everything {
    type Meta = ();
}
impl<T> Entry<T> for Everything {
    const META: &'static () = &();
}

fn main() {
    let cell = MessageCell::<Everything>::new(1);
    let _second = cell.clone();
}
