//! Random programs on the deterministic driver. `RINGPOST_SEEDS` says how many of each kind, and
//! `RINGPOST_SEED` which one alone.

mod asking;
mod chaos;
mod dice;
mod hoarders;
mod knots;
mod pipelines;
mod relays;
mod watching;
