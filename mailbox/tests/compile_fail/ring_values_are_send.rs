//! What crosses threads has to be `Send`.

use std::rc::Rc;

fn main() {
    let _ = ringpost_mailbox::ring::ring::<Rc<u8>>(1);
}
