//! Running a target on one input after the other.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::{Mutator, Target};

/// An input that made a target panic.
#[derive(Debug)]
pub struct Crash {
    /// Which execution it was, counted from 1.
    pub execution: u64,
    /// The input.
    pub input: Vec<u8>,
}

/// Runs a target on inputs of a mutator while `goes_on` says so, which is told how many there were, and
/// returns that number.
///
/// # Errors
///
/// The input at which the target panicked. What it said has gone to the panic hook.
///
/// ```
/// use ringpost_fuzz::{Mutator, Target, fuzz};
///
/// let target = Target { name: "no a", run: |bytes| assert!(!bytes.starts_with(b"a")) };
/// let mut mutator = Mutator::new(1, vec![b"b".to_vec()]);
/// let crash = fuzz(target, &mut mutator, |executions| executions < 100_000).unwrap_err();
/// assert_eq!(crash.input[0], b'a');
/// ```
pub fn fuzz(
    target: Target,
    mutator: &mut Mutator,
    mut goes_on: impl FnMut(u64) -> bool,
) -> Result<u64, Crash> {
    let mut execution = 0;
    while goes_on(execution) {
        execution += 1;
        let input = mutator.next_input();
        // A target keeps nothing from one input to the next.
        if catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err() {
            let input = input.to_vec();
            return Err(Crash { execution, input });
        }
    }
    Ok(execution)
}
