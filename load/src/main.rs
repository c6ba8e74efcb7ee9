//! The load generator's program.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(ringpost_load::run(std::env::args_os()))
}
