//! Schedules drawn from a seed, half of them by chance alone, half with few changes at places drawn by chance
//! (PCT), which find what takes a thread that stands still for long.
//!
//! The seed is printed, with what the checker prints of a schedule that fails. `RINGPOST_SEED` starts from a
//! seed, `RINGPOST_SCHEDULE` replays one schedule, and `RINGPOST_SCHEDULES` says how many are drawn.

use std::collections::hash_map::RandomState;
use std::env;
use std::hash::BuildHasher;
use std::sync::{OnceLock, PoisonError};

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, MaxSteps, Runner};

use crate::model::{First, say};

pub use shuttle::future::block_on;

/// Schedules of a test, if nobody says how many.
const SCHEDULES: usize = 4_000;

/// How many changes of priority a schedule has in which they are few, and one more.
const DEPTH: usize = 3;

/// Steps that one execution may take; only a spin without end takes more.
const STEPS_MAX: usize = 500_000;

/// Room of each thread: what a node's core needs in a build that is not optimised.
const STACK: usize = 1 << 18;

/// Held by the test that runs: what is static in a node belongs to all tests of a process, and shuttle's atomics
/// are for one thread of the system.
#[allow(
    clippy::disallowed_types,
    reason = "it keeps tests apart, and is no part of them"
)]
static ONE_AT_A_TIME: std::sync::Mutex<()> = std::sync::Mutex::new(());

/// Runs a test in so many schedules, which come back in words.
pub(crate) fn explore(
    threads: usize,
    test: impl Fn(First) + Clone + Send + Sync + 'static,
) -> String {
    // One that failed has left nothing behind that the next would see.
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    if let Ok(schedule) = env::var("RINGPOST_SCHEDULE") {
        shuttle::replay(move || test(First::Main), &schedule);
        return "the schedule that was asked for".to_owned();
    }
    let seed = seed();
    let schedules = number("RINGPOST_SCHEDULES").map_or(SCHEDULES, |number| number as usize);
    let half = schedules.div_ceil(2);
    let other = test.clone();
    draw(RandomScheduler::new_from_seed(seed, half), move || {
        test(First::Main)
    });
    if threads > 1 {
        draw(PctScheduler::new_from_seed(seed, DEPTH, half), move || {
            other(First::Others)
        });
    }
    format!("drawn from {seed}")
}

fn draw(scheduler: impl Scheduler + 'static, test: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = STACK;
    config.max_steps = MaxSteps::FailAfter(STEPS_MAX);
    // What it would say of orderings is said in this crate's documentation.
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(test);
}

/// The seed of this process: the one that was asked for, or a new one.
fn seed() -> u64 {
    static SEED: OnceLock<u64> = OnceLock::new();
    let drawn = || RandomState::new().hash_one("schedules");
    *SEED.get_or_init(|| {
        let chosen = number("RINGPOST_SEED").unwrap_or_else(drawn);
        // Said at once, as a process that is ended says nothing later.
        say(&format!("schedules of RINGPOST_SEED={chosen}"));
        chosen
    })
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    let number = text.parse();
    Some(number.unwrap_or_else(|_| panic!("{variable} is a number, not {text:?}")))
}
