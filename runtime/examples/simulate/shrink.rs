//! Makes a failing setup smaller: what is left out is not to blame.

use std::time::Duration;

use crate::cluster::Setup;

/// Runs that may be spent on one failure.
const RUNS_MAX: usize = 400;

/// The smallest setup that is found to fail still, whatever it is that it then does wrong.
pub(crate) fn shrink(setup: &Setup) -> Setup {
    let mut smallest = setup.clone();
    let mut left = RUNS_MAX;
    loop {
        let mut is_smaller = false;
        for candidate in candidates(&smallest) {
            if left == 0 {
                return smallest;
            }
            left -= 1;
            if candidate.run(None).failure.is_some() {
                smallest = candidate;
                is_smaller = true;
                break;
            }
        }
        if !is_smaller {
            return smallest;
        }
    }
}

/// Setups that are each a little smaller than this one, the boldest first.
fn candidates(setup: &Setup) -> Vec<Setup> {
    let with = |change: &dyn Fn(&mut Setup)| {
        let mut smaller = setup.clone();
        change(&mut smaller);
        smaller
    };
    let mut all = vec![
        with(&|setup| setup.faults = ringpost::sim::Faults::none()),
        with(&|setup| setup.has_rare_paths = false),
        with(&|setup| setup.nodes = (setup.nodes / 2).max(1)),
        with(&|setup| setup.nodes = setup.nodes.saturating_sub(1).max(1)),
        with(&|setup| setup.cores = (setup.cores / 2).max(1)),
        with(&|setup| setup.cores = setup.cores.saturating_sub(1).max(1)),
        with(&|setup| setup.players = setup.players.saturating_sub(1).max(1)),
        with(&|setup| setup.faulty_for = (setup.faulty_for / 2).max(Duration::from_millis(1))),
        with(&|setup| {
            let eighth = setup.faulty_for / 8;
            setup.faulty_for = (setup.faulty_for - eighth).max(Duration::from_millis(1));
        }),
    ];
    all.extend(
        setup
            .faults
            .kinds()
            .map(|kind| with(&|setup| setup.faults = setup.faults.clone().without(kind))),
    );
    all.retain(|smaller| smaller != setup);
    all
}
