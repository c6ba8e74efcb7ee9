//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};

use crate::clock::nanos;
use crate::local::PAIRS_MAX;
use crate::metric::Limit;
use crate::quantity;
use crate::settings::Settings;
use crate::stamp::STAMP_BYTES;
use crate::target::Target;

/// Messages that may wait for replies on one connection of an open loop, unless told otherwise: enough to keep the
/// rate while replies are slow, so that what is measured is the server.
const WINDOW_OPEN: usize = 1024;

const CONNECTIONS_MAX: usize = 1_000_000;
const WINDOW_MAX: usize = 1 << 20;
const SIZE_MAX: usize = 16_000_000;
const THREADS_MAX: usize = 1024;

const ABOUT: &str = "Puts an echo service under load, and measures its rate and its latencies";

const LONG_ABOUT: &str = "\
Puts an echo service under load, and measures its rate and its latencies.

Every message carries its number and a checksum, and every reply is compared with what was sent: messages lost, \
duplicated, corrupted or reordered are counted, and fail the run.

Without --rate the loop is closed: each connection keeps --window messages under way, and a reply makes room for the \
next. That finds the highest rate, but a service that stalls is asked less while it stalls, so its latencies look \
better than users would see them. With --rate the loop is open: messages leave at fixed times, and each latency counts \
from the time at which its message should have left, however late it could leave. Quote latencies of open loops. \
Messages that were due and never left fail the run, and count in its latencies with the time they were waited for.";

const AFTER_HELP: &str = "\
Examples:
  The one command, with nothing running: start a plain echo here, and put it under load
    ringpost-load raw://127.0.0.1:0 --spawn-echo -c 16 --window 16

  The same for messages through a worker of a node
    ringpost-load tcp://127.0.0.1:0/echoer --spawn-echo -c 16 --window 16

  The worker `echoer` of a node, 64 connections with 16 messages under way on each
    ringpost-load tcp://127.0.0.1:4000/echoer -c 64 -d 10s --size 64 --window 16

  Latencies at a fixed rate, drawn and exported
    ringpost-load raw://127.0.0.1:4000 -c 16 --rate 200k --plot out.svg --hgrm out.hgrm

  The highest rate at which 99 % of the messages are answered within a millisecond
    ringpost-load raw://127.0.0.1:4000 -c 16 --find-rate p99=1ms

  A check for a script: the exit status is 1 if a bound is missed
    ringpost-load raw://127.0.0.1:4000 -c 16 --min rate=500k --max p99=2ms --json

  Messages between two cores of a node in this process, 4 pairs of workers
    ringpost-load local:// -c 4 --window 16 --from-core 0 --to-core 1

Figures for --max, --min and --find-rate:
  rate, mean, max, p50, p99, p99.9 (any percentile), lost, duplicated, corrupt, reordered, late, unsent, broken

Exit status:
  0  all went well
  1  a bound was missed, or messages were lost, duplicated, corrupt or reordered, or were due and never left
  2  the command line is wrong
  3  nothing could be measured: the server is not there, or refuses
  4  connections broke midway, or the server went away in a search; what was measured until then is reported
  130  ended by Ctrl-C; what was measured until then is reported. A second Ctrl-C ends at once, without a report";

/// The command line.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "ringpost-load",
    version,
    about = ABOUT,
    long_about = LONG_ABOUT,
    after_help = "More, with examples: ringpost-load --help",
    after_long_help = AFTER_HELP,
    max_term_width = 110
)]
pub(crate) struct Args {
    /// What is put under load: tcp://HOST:PORT/WORKER (a worker of a ringpost or Ockam node), framed://HOST:PORT (an
    /// echo of frames: four bytes of length, the highest first, and so many bytes), raw://HOST:PORT (a plain byte echo) or local://
    /// (workers of a node in this process)
    ///
    /// Behind tcp:// the path is the route, so tcp://HOST:PORT/relay/echoer passes by the worker `relay`, and
    /// tcp://HOST:PORT/1#10.0.0.1:4000/echoer goes on to another node.
    pub(crate) target: Target,

    /// Connections to the server; for local://, pairs of workers
    #[arg(short, long, value_name = "N", default_value = "1", value_parser = quantity::positive)]
    pub(crate) connections: usize,

    /// Messages that may wait for replies on each connection [default: 1, with --rate or --find-rate 1024]
    #[arg(short, long, value_name = "N", value_parser = quantity::positive)]
    pub(crate) window: Option<usize>,

    /// Bytes of a message, at least 16 [e.g. 64, 1KiB]
    #[arg(short, long, value_name = "BYTES", default_value = "64", value_parser = quantity::bytes)]
    pub(crate) size: usize,

    /// Messages a second, over all connections [e.g. 5000, 200k]; each leaves at its time, whatever the replies do
    #[arg(short, long, value_name = "RATE", value_parser = quantity::rate)]
    pub(crate) rate: Option<f64>,

    /// How long is measured [default: 10s, in each trial of --find-rate 2s]
    #[arg(short, long, value_name = "TIME", value_parser = quantity::duration)]
    pub(crate) duration: Option<Duration>,

    /// How long messages are sent before anything is measured [default: a tenth of the duration, at most 1s]
    #[arg(long, value_name = "TIME", value_parser = quantity::duration)]
    pub(crate) warm_up: Option<Duration>,

    /// Ends after so many messages over all connections, measured without warm-up
    #[arg(short = 'n', long, value_name = "N", value_parser = quantity::positive)]
    pub(crate) messages: Option<usize>,

    /// Threads of the client [default: half of the CPUs; the server needs some too]
    #[arg(short, long, value_name = "N", value_parser = quantity::positive)]
    pub(crate) threads: Option<usize>,

    /// When a message without a reply counts as lost
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = quantity::duration)]
    pub(crate) timeout: Duration,

    /// How long the server may take to accept connections, at each of its addresses
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = quantity::duration)]
    pub(crate) connect_timeout: Duration,

    /// Starts the service in this process, at the target's address; port 0 takes a free port
    #[arg(long, help_heading = "Server")]
    pub(crate) spawn_echo: bool,

    /// Searches for the highest rate that keeps a latency [e.g. p99=1ms], without loss and without falling behind;
    /// --rate says where to begin [default: 1000]
    #[arg(long, value_name = "FIGURE=TIME", help_heading = "Search and bounds", value_parser = Limit::latency)]
    pub(crate) find_rate: Option<Limit>,

    /// A bound from above [e.g. p99=2ms, lost=10]; the exit status is 1 if it is missed
    #[arg(long, value_name = "FIGURE=VALUE", help_heading = "Search and bounds")]
    pub(crate) max: Vec<Limit>,

    /// A bound from below [e.g. rate=500k]; the exit status is 1 if it is missed
    #[arg(long, value_name = "FIGURE=VALUE", help_heading = "Search and bounds")]
    pub(crate) min: Vec<Limit>,

    /// Prints the report as JSON instead of text, or writes it to a file beside the text (--json=FILE)
    #[arg(long, value_name = "FILE", help_heading = "Output", num_args = 0..=1, require_equals = true,
          default_missing_value = "-")]
    pub(crate) json: Option<PathBuf>,

    /// Writes the distribution of latencies as HdrHistogram text, in microseconds
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) hgrm: Option<PathBuf>,

    /// Draws the latencies by percentile
    #[arg(long, value_name = "FILE.svg", help_heading = "Output", value_parser = svg)]
    pub(crate) plot: Option<PathBuf>,

    /// Prints nothing while it runs (nothing is, unless standard error is a terminal, or rates are searched)
    #[arg(short, long, help_heading = "Output")]
    pub(crate) quiet: bool,

    /// The core that the senders run on
    #[arg(long, value_name = "CORE", help_heading = "local:// only")]
    pub(crate) from_core: Option<usize>,

    /// The core that the echoing workers run on [default: the next one, if there is one]
    #[arg(long, value_name = "CORE", help_heading = "local:// only")]
    pub(crate) to_core: Option<usize>,
}

impl Args {
    /// Sees that the choices go together.
    ///
    /// # Errors
    /// The first that do not, for people.
    pub(crate) fn check(&self) -> Result<(), clap::Error> {
        let fail = |kind, text: String| Err(Self::command().error(kind, text));
        for (name, found, limit) in [
            ("--connections", self.connections, CONNECTIONS_MAX),
            ("--window", self.window.unwrap_or(1), WINDOW_MAX),
            ("--size", self.size, SIZE_MAX),
            ("--threads", self.threads.unwrap_or(1), THREADS_MAX),
        ] {
            if found > limit {
                let text = format!("{name} {found} is too much; at most {limit} are possible");
                return fail(ErrorKind::ValueValidation, text);
            }
        }
        if self.size < STAMP_BYTES {
            let text = format!(
                "--size {}: a message has at least {STAMP_BYTES} bytes, for its number and its checksum",
                self.size
            );
            return fail(ErrorKind::ValueValidation, text);
        }
        if self.duration == Some(Duration::ZERO) {
            let text = "--duration must be more than nothing".to_owned();
            return fail(ErrorKind::ValueValidation, text);
        }
        if self.target == Target::Local && self.connections > PAIRS_MAX {
            let text = format!(
                "--connections {}: local:// has at most {PAIRS_MAX} pairs",
                self.connections
            );
            return fail(ErrorKind::ValueValidation, text);
        }
        match self.contradiction() {
            Some(text) => fail(ErrorKind::ArgumentConflict, text.into()),
            None => Ok(()),
        }
    }

    fn contradiction(&self) -> Option<&'static str> {
        let is_local = self.target == Target::Local;
        let has_cores = self.from_core.is_some() || self.to_core.is_some();
        match () {
            () if is_local && self.spawn_echo => {
                Some("--spawn-echo: local:// has its workers in this process already")
            }
            () if self.spawn_echo && self.target.hops() > 1 => {
                Some("--spawn-echo starts one worker; write tcp://HOST:PORT/WORKER")
            }
            () if is_local && self.threads.is_some() => {
                Some("--threads: local:// runs on the cores of its node (--from-core, --to-core)")
            }
            () if !is_local && has_cores => Some("--from-core and --to-core are for local:// only"),
            () if self.find_rate.is_some() && self.messages.is_some() => {
                Some("--find-rate measures for a time in each trial (-d), not for --messages")
            }
            () => None,
        }
    }

    /// How the target is put under load, on a machine with so many CPUs.
    pub(crate) fn settings(&self, cpus: usize) -> Settings {
        let is_open = self.rate.is_some() || self.find_rate.is_some();
        let duration = self.duration.map(nanos);
        let usual = match (self.find_rate, self.messages) {
            (Some(_), _) => 2_000_000_000,
            (None, None) => 10_000_000_000,
            // The messages end it.
            (None, Some(_)) => u64::MAX / 4,
        };
        let duration = duration.unwrap_or(usual);
        let warm_up = match (self.warm_up, self.messages) {
            (Some(warm_up), _) => nanos(warm_up),
            (None, Some(_)) => 0,
            (None, None) => (duration / 10).min(1_000_000_000),
        };
        let threads = self.threads.unwrap_or((cpus / 2).max(1));
        Settings {
            connections: self.connections,
            window: self.window.unwrap_or(if is_open { WINDOW_OPEN } else { 1 }),
            size: self.size,
            rate: self.rate,
            threads: threads.min(self.connections),
            warm_up,
            duration,
            messages: self.messages.map(|messages| messages as u64),
            timeout: nanos(self.timeout),
            connect_timeout: nanos(self.connect_timeout),
        }
    }
}

/// The name of a file for a drawing. Others would get SVG by a name that says something else.
fn svg(name: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(name);
    match path.extension() {
        Some(extension) if extension.eq_ignore_ascii_case("svg") => Ok(path),
        _ => Err("it is drawn as SVG: the name has to end in .svg".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Args, clap::Error> {
        let words = std::iter::once("ringpost-load").chain(line.split_whitespace());
        let args = Args::try_parse_from(words)?;
        args.check().map(|()| args)
    }

    #[test]
    fn the_definition_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_command_of_the_readme_is_read() {
        let line = "tcp://127.0.0.1:4000/echoer -c 64 -d 10s --size 64 --window 16";
        let args = parse(line).unwrap();
        let settings = args.settings(8);
        assert_eq!(settings.connections, 64);
        assert_eq!(
            (settings.window, settings.size, settings.threads),
            (16, 64, 4)
        );
        assert_eq!(settings.duration, 10_000_000_000);
        assert_eq!((settings.warm_up, settings.rate), (1_000_000_000, None));
        assert_eq!(args.target.to_string(), "tcp://127.0.0.1:4000/echoer");
    }

    #[test]
    fn defaults_depend_on_the_kind_of_run() {
        let settings = |line: &str| parse(line).unwrap().settings(2);
        assert_eq!(settings("raw://h:1").window, 1);
        let open = settings("raw://h:1 --rate 10k");
        assert_eq!((open.window, open.rate), (WINDOW_OPEN, Some(10_000.0)));
        let search = settings("raw://h:1 --find-rate p99=1ms");
        assert_eq!(
            (search.window, search.duration),
            (WINDOW_OPEN, 2_000_000_000)
        );
        assert_eq!(search.warm_up, 200_000_000);
        let counted = settings("raw://h:1 -n 100k -t 9");
        assert_eq!((counted.messages, counted.warm_up), (Some(100_000), 0));
        assert_eq!(counted.threads, 1);
    }

    #[test]
    fn outputs_are_chosen() {
        let args =
            parse("raw://h:1 --json --hgrm a --plot b.svg --max p99=1ms --max lost=3").unwrap();
        assert_eq!(args.json, Some("-".into()));
        assert_eq!(
            (args.hgrm, args.plot),
            (Some("a".into()), Some("b.svg".into()))
        );
        assert_eq!(args.max.len(), 2);
        let args = parse("--json=out.json raw://h:1").unwrap();
        assert_eq!(args.json, Some("out.json".into()));
        // Without `=` the target is not taken for a file.
        assert_eq!(parse("--json raw://h:1").unwrap().json, Some("-".into()));
    }

    #[test]
    fn mistakes_are_explained() {
        for (line, part) in [
            ("", "<TARGET>"),
            ("127.0.0.1:4000", "no scheme in front"),
            ("raw://h:1 -c 0", "at least 1"),
            ("raw://h:1 -c x", "not a number"),
            ("raw://h:1 -d 10", "with its unit"),
            ("raw://h:1 -d 0s", "more than nothing"),
            ("raw://h:1 --size 8", "at least 16 bytes"),
            ("raw://h:1 --size 20M", "at most 16000000"),
            ("raw://h:1 --window 2M", "at most 1048576"),
            ("raw://h:1 --max p99", "no `=`"),
            ("raw://h:1 --plot out.png", "it is drawn as SVG"),
            ("raw://h:1 --find-rate rate=1", "no latency"),
            ("raw://h:1 --find-rate p99=1ms -n 5", "not for --messages"),
            ("raw://h:1 --to-core 1", "for local:// only"),
            ("local:// --spawn-echo", "in this process already"),
            ("tcp://h:1/a/b --spawn-echo", "starts one worker"),
            ("local:// -t 2", "cores of its node"),
            ("raw://h:1 --windw 2", "--window"),
            ("local:// -c 1001", "at most 1000 pairs"),
        ] {
            let error = parse(line).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(part), "{line}: {text}");
            assert_eq!(error.exit_code(), 2, "{line}");
        }
    }

    #[test]
    fn the_help_has_the_examples_and_the_exit_status() {
        let error = parse("--help").unwrap_err();
        assert_eq!(error.exit_code(), 0);
        let help = error.to_string();
        for part in [
            "--find-rate p99=1ms",
            "Exit status:",
            "--spawn-echo -c 16 --window 16",
        ] {
            assert!(help.contains(part), "no {part} in {help}");
        }
    }
}
