//! A shared cell would share its value, which need not be allowed to be: this would count from two threads.

use std::cell::Cell;

use ringpost_mailbox::cell::{Catalog, Entry, MessageCell};

struct Everything;
impl Catalog for Everything {
    type Meta = ();
}
impl<T> Entry<T> for Everything {
    const META: &'static () = &();
}

fn main() {
    let cell = MessageCell::<Everything>::new(Cell::new(1));
    let count = || cell.peek::<Cell<i32>>().unwrap().set(2);
    std::thread::scope(|scope| {
        scope.spawn(count);
    });
}
