//! What many read nobody owns alone.

use ringpost_mailbox::buf::Buf;

fn main() {
    let shared = Buf::default().share();
    let _writable = shared.into_mut();
}
