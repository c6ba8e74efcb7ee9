//! What the compiler shows of the standard library.

#![allow(clippy::print_stdout, reason = "it says what is passed over")]

use std::path::Path;
use std::process::Command;

/// Whether errors quote the standard library, as they do where its sources are installed: then what is said of the
/// programs that misuse it differs from what is written beside them, and they are passed over.
pub(crate) fn are_shown() -> bool {
    let asked = Command::new("rustc").args(["--print", "sysroot"]).output();
    let sysroot = asked.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let are_shown = sysroot.is_ok_and(|root| {
        Path::new(&root)
            .join("lib/rustlib/src/rust/library")
            .exists()
    });
    if are_shown {
        println!(
            "programs in std/ not tried, as the sources of the standard library are installed"
        );
    }
    are_shown
}
