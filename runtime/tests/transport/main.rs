//! Messages between nodes, and what hostile peers can do, on the simulation's network.

mod common;
mod ends;
mod flow;
mod handing;
mod hostile;
mod messages;
mod stalled;
mod unix;
mod watches;
