//! A worker that feeds itself without end does not starve the others of its core (G7).
//!
//! Virtual time stands still while a core handles messages, so what somebody waits is told by how many messages of
//! others are handled meanwhile.

mod common;
mod cores;
mod greedy;
mod order;
