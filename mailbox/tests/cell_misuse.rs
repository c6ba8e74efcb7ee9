//! Misuse of cells, pools and buffers that must not compile: each program in `ui_cell` is refused, for the
//! reason beside it. And what must: what may go to other threads.

#![cfg(not(loom))]

mod payload;
mod sources;

use payload::Cell;
use ringpost_mailbox::buf::{Buf, BufMut, SharedBuf};
use ringpost_mailbox::pool::Chain;

#[test]
fn misuse_is_a_type_error() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui_cell/*.rs");
    if !sources::are_shown() {
        cases.compile_fail("tests/ui_cell/std/*.rs");
    }
}

#[test]
fn what_carries_messages_may_be_sent() {
    fn sent<T: Send>() {}
    fn shared<T: Send + Sync>() {}

    sent::<Cell>();
    sent::<Chain>();
    shared::<Buf>();
    shared::<BufMut>();
    shared::<SharedBuf>();
}
