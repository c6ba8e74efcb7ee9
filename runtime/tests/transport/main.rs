//! Messages between nodes, and what hostile peers can do, on the simulation's network.

mod common;
mod flow;
mod hostile;
mod messages;
