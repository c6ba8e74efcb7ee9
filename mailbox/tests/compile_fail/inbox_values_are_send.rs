//! What crosses threads has to be `Send`.

use std::rc::Rc;

fn main() {
    let _ = ringpost_mailbox::inbox::inbox::<Rc<u8>>(1);
}
