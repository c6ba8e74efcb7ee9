//! The load generator behind the program `ringpost-load`.
//!
//! Read it from [`run`] down: a command line becomes a target and settings, threads put the target under
//! load, and what they have recorded becomes a report.
//!
//! - A *session* is a connection without its socket: protocol, schedule, numbers and checks of messages. It is handed
//!   bytes and the time, so tests run it against faulty services and any clock.
//! - An *event loop* has a thread, a poll and a share of the connections.
//! - An *outcome* is what was measured. Reports, bounds and the search for a rate only read it.
//!
//! Time enters in one module, `clock`.

#![forbid(unsafe_code)]

mod args;
mod bench;
mod check;
mod clock;
mod cpu;
mod echo;
mod error;
mod exit;
mod ledger;
mod local;
mod metric;
mod net;
mod outcome;
mod output;
mod progress;
mod protocol;
mod quantity;
mod recorder;
mod report;
mod rounds;
mod run;
mod schedule;
mod search;
mod session;
mod settings;
mod stamp;
mod target;

pub use run::run;
