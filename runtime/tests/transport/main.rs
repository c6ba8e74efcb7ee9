//! Messages between nodes, and what hostile peers can do, on the simulation's network.

mod access;
mod bounded;
mod circles;
mod common;
mod ends;
mod false_notes;
mod flow;
mod half_closed;
mod handing;
mod hostile;
mod isolated;
mod large;
mod last_words;
mod messages;
mod order;
mod raw;
mod remote_ends;
mod shares;
mod stalled;
mod udp;
mod unix;
mod watches;
mod withheld;
