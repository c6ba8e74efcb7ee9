//! What is shown while a run goes on, and the wish of the user to end it.

use std::sync::Arc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use ringpost_mailbox::sync::SignalFlag;
use ringpost_mailbox::sync::atomic::Ordering;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::clock::{Nanos, SECOND};
use crate::metric::Metric;
use crate::outcome::Watch;
use crate::settings::Timeline;

const TEMPLATE: &str = "{prefix}[{bar:30}] {elapsed:>4} {msg}";

/// A bar that is drawn where standard error is a terminal.
pub(crate) struct Progress {
    bar: ProgressBar,
    /// Set by the first signal; the next one ends the program at once, as by default.
    is_ended: Arc<SignalFlag>,
    before: (Nanos, u64),
}

impl Progress {
    /// For a program that is to be quiet, or not.
    pub(crate) fn new(quiet: bool) -> Self {
        let target = match quiet {
            true => ProgressDrawTarget::hidden(),
            false => ProgressDrawTarget::stderr(),
        };
        let bar = ProgressBar::with_draw_target(None, target);
        // The template is tested; without it the bar has its usual looks.
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self {
            bar,
            is_ended: catch_signals(),
            before: (0, 0),
        }
    }

    /// Begins the bar anew.
    pub(crate) fn begin(&mut self, prefix: impl Into<String>) {
        self.bar.reset();
        self.bar.set_prefix(prefix.into());
        self.bar.set_message("connecting");
        self.before = (0, 0);
    }

    /// Takes the bar off the terminal.
    pub(crate) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// A flag that is set by the signals that ask for the end.
fn catch_signals() -> Arc<SignalFlag> {
    let is_ended = Arc::new(SignalFlag::new(false));
    for signal in [SIGINT, SIGTERM] {
        // Where the system does not let signals be caught, they end the program at once.
        let _ = flag::register_conditional_default(signal, Arc::clone(&is_ended))
            .and_then(|_| flag::register(signal, Arc::clone(&is_ended)));
    }
    is_ended
}

impl Watch for Progress {
    fn wants_end(&mut self) -> bool {
        // Relaxed: the flag stands for itself.
        self.is_ended.load(Ordering::Relaxed)
    }

    fn look(&mut self, timeline: &Timeline, now: Nanos, answered: u64) -> bool {
        let (then, answered_then) = std::mem::replace(&mut self.before, (now, answered));
        let since = now.saturating_sub(then.max(timeline.start)).max(1);
        let rate = (answered - answered_then) as f64 * SECOND as f64 / since as f64;
        let stage = match now {
            now if now < timeline.measure => ", warming up",
            now if now >= timeline.stop => ", waiting for the last replies",
            _ => "",
        };
        self.bar
            .set_length(timeline.stop.saturating_sub(timeline.start));
        self.bar.set_position(now.saturating_sub(timeline.start));
        self.bar
            .set_message(format!("{}{stage}", Metric::Rate.show(rate)));
        self.bar.tick();
        !self.wants_end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_template_is_one() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }

    #[test]
    fn a_look_goes_on_while_nobody_asks_for_the_end() {
        let mut progress = Progress::new(true);
        let timeline = crate::settings::Settings::small().timeline(5);
        progress.begin("");
        assert!(progress.look(&timeline, 5 + SECOND, 1000));
        assert!(progress.look(&timeline, 5 + 2 * SECOND, 3000));
        assert_eq!(progress.before, (5 + 2 * SECOND, 3000));
        progress.end();
        assert!(!progress.wants_end());
    }
}
