//! SIGINT and SIGTERM while nodes serve, and what they do before and after.
//!
//! While a node serves, the first of these signals has it stop gracefully. The next one does what the
//! system does by default: it ends the process, also where the stop hangs, since that is done by the
//! handler itself. A signal that finds the only node that serves stopping already, at the program's own
//! wish, ends the process too. When no node serves any more, signals do again what they do by default.
//!
//! The handlers of the process stay installed, because those of others may have been installed on top of
//! them: what they do follows the flag [`DEFAULT`]. The action that reads it was registered first, so it
//! runs first; the one that raises it, last.

use std::io;
use std::thread::JoinHandle;

use ringpost_mailbox::sync::atomic::Ordering;
use ringpost_mailbox::sync::{Mutex, SignalFlag};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;
use signal_hook::iterator::{Handle, Signals};
use signal_hook::low_level::emulate_default_handler;

use crate::mailbox::Stop;
use crate::node::handle::NodeHandle;

const SIGNALS: [i32; 2] = [SIGINT, SIGTERM];

/// Whether the next signal does what it does by default. Relaxed wherever it is written: it stands for
/// itself, and nothing is read on the strength of it.
static DEFAULT: SignalFlag = SignalFlag::new(true);

static SERVING: Mutex<Serving> = Mutex::new(Serving {
    installed: false,
    nodes: 0,
});

/// What the process has done about signals.
struct Serving {
    installed: bool,
    /// Nodes that serve now.
    nodes: usize,
}

/// Stops a node at the first signal, as long as it is kept.
pub(crate) struct SignalWatch {
    close: Handle,
    thread: Option<JoinHandle<()>>,
}

impl SignalWatch {
    /// Begins to watch.
    ///
    /// # Errors
    /// Of the system, which does not let the handlers be installed, or has no thread left.
    pub(crate) fn start(handle: NodeHandle) -> io::Result<Self> {
        let mut serving = SERVING.lock();
        serving.install()?;
        let mut signals = Signals::new(SIGNALS)?;
        let close = signals.handle();
        let watch = move || watch(&mut signals, &handle);
        let thread = std::thread::Builder::new()
            .name("ringpost-signals".into())
            .spawn(watch)?;
        if serving.nodes == 0 {
            DEFAULT.store(false, Ordering::Relaxed);
        }
        serving.nodes += 1;
        Ok(Self {
            close,
            thread: Some(thread),
        })
    }
}

impl Serving {
    /// Installs the handlers of this process, once.
    fn install(&mut self) -> io::Result<()> {
        if self.installed {
            return Ok(());
        }
        for signal in SIGNALS {
            flag::register_conditional_default(signal, &DEFAULT)?;
            flag::register(signal, &DEFAULT)?;
        }
        self.installed = true;
        Ok(())
    }
}

fn watch(signals: &mut Signals, handle: &NodeHandle) {
    for signal in signals.forever() {
        if !handle.begin_stop(Stop::Drain) && SERVING.lock().nodes <= 1 {
            end_process(signal);
        }
        tracing::info!(signal, "stopping at the system's request");
    }
    // What came when the node had ended found nobody to stop.
    for signal in signals.pending() {
        end_process(signal);
    }
}

fn end_process(signal: i32) {
    if emulate_default_handler(signal).is_err() {
        // The system does not know its own signal; the process is to end all the same.
        std::process::exit(128 + signal);
    }
}

impl Drop for SignalWatch {
    fn drop(&mut self) {
        {
            let mut serving = SERVING.lock();
            serving.nodes -= 1;
            if serving.nodes == 0 {
                DEFAULT.store(true, Ordering::Relaxed);
            }
        }
        self.close.close();
        if let Some(thread) = self.thread.take() {
            // It ends by itself once closed; a panic there has nothing left to harm.
            let _ = thread.join();
        }
    }
}
