//! The nodes of a simulation as its main function, and everybody else, can get at them.

use std::sync::Arc;
use std::time::Duration;

use ringpost_mailbox::sync::Mutex;

use crate::node::handle::NodeHandle;

/// What is done to the nodes of a simulation while it runs. Commands are obeyed before the next core has its
/// turn. A name that no node has is passed over.
///
/// ```
/// use ringpost::sim::Sim;
/// use ringpost::{Context, Error};
/// use std::time::Duration;
///
/// let sim = Sim::new(1).node("server", 2);
/// let cluster = sim.cluster();
/// let report = sim.run(async move |ctx: Context| {
///     let before = cluster.handle("server").expect("it runs");
///     cluster.crash("server");
///     ctx.sleep(Duration::from_millis(1)).await;
///     assert!(before.is_stopping() && cluster.handle("server").is_none());
///     cluster.restart("server");
///     ctx.sleep(Duration::from_millis(1)).await;
///     cluster.handle("server").map(drop).ok_or_else(|| Error::other("it is not back"))
/// });
/// report.output.unwrap();
/// ```
#[derive(Clone, Debug, Default)]
pub struct Cluster(Arc<Mutex<Board>>);

#[derive(Debug, Default)]
struct Board {
    commands: Vec<Command>,
    nodes: Vec<(String, Option<NodeHandle>)>,
    is_calm: bool,
}

/// Something to be done to the nodes.
#[derive(Debug, Clone)]
pub(super) enum Command {
    Crash { node: String, told: bool },
    Restart(String),
    Pause(String, Duration),
    Jump(String, Duration),
    Cut(String, String),
    Join(String, String),
    Heal,
}

impl Cluster {
    fn command(&self, command: Command) {
        self.0.lock().commands.push(command);
    }

    /// Ends the process of this node at once. Its system closes the connections. Nothing is handled, reported
    /// or shut down any more.
    pub fn crash(&self, node: &str) {
        let node = node.to_owned();
        self.command(Command::Crash { node, told: true });
    }

    /// As [`crash`](Self::crash), but the machine is gone too: nobody closes the connections, and peers find
    /// out when the node is back, or by a deadline of their own.
    pub fn cut_power(&self, node: &str) {
        let node = node.to_owned();
        self.command(Command::Crash { node, told: false });
    }

    /// Starts a node that has crashed again, with the main function that it was given by
    /// [`Sim::main`](super::Sim::main).
    pub fn restart(&self, node: &str) {
        self.command(Command::Restart(node.to_owned()));
    }

    /// Stops the process for so long. Then it goes on as if nothing had happened.
    pub fn pause(&self, node: &str, time: Duration) {
        self.command(Command::Pause(node.to_owned(), time));
    }

    /// Has the clock of this node jump ahead.
    pub fn jump(&self, node: &str, ahead: Duration) {
        self.command(Command::Jump(node.to_owned(), ahead));
    }

    /// Lets nothing that one node sends arrive at the other. The other direction is left as it is.
    pub fn cut(&self, from: &str, to: &str) {
        self.command(Command::Cut(from.to_owned(), to.to_owned()));
    }

    /// Ends a [cut](Self::cut). What was sent meanwhile arrives.
    pub fn join(&self, from: &str, to: &str) {
        self.command(Command::Join(from.to_owned(), to.to_owned()));
    }

    /// Ends every fault: nodes that have crashed are started again, and from now on nothing strikes.
    pub fn heal(&self) {
        self.command(Command::Heal);
    }

    /// Whether the time of faults is over.
    #[must_use]
    pub fn is_calm(&self) -> bool {
        self.0.lock().is_calm
    }

    /// The node of this name, if it runs.
    #[must_use]
    pub fn handle(&self, node: &str) -> Option<NodeHandle> {
        let board = self.0.lock();
        let mut nodes = board.nodes.iter();
        nodes.find(|(name, _)| name == node)?.1.clone()
    }

    pub(super) fn take_commands(&self) -> Vec<Command> {
        let mut board = self.0.lock();
        match board.commands.is_empty() {
            true => Vec::new(),
            false => std::mem::take(&mut board.commands),
        }
    }

    pub(super) fn note_node(&self, node: &str, handle: Option<NodeHandle>) {
        let mut board = self.0.lock();
        match board.nodes.iter_mut().find(|(name, _)| name == node) {
            Some((_, place)) => *place = handle,
            None => board.nodes.push((node.to_owned(), handle)),
        }
    }

    pub(super) fn note_calm(&self) {
        self.0.lock().is_calm = true;
    }
}
