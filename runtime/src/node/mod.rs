//! A node: its cores, what they share, and how it is built, used from outside and stopped.

mod behalf;
pub(crate) mod builder;
mod circles;
pub(crate) mod handle;
pub(crate) mod outside;
pub(crate) mod patience;
pub(crate) mod permits;
mod question;
pub(crate) mod shared;
pub(crate) mod stats;
pub(crate) mod stop;
mod urgent;
pub(crate) mod waits;
