//! What is measured, and what a library has to offer to take part.

use std::fmt;

use core_affinity::CoreId;
use ringpost_benches::Measured;

/// Messages that a bounded mailbox holds, where its size can be chosen. It is what a mailbox of ringpost
/// holds by default.
pub const MAILBOX: usize = 1024;

/// Senders of a fan-in.
pub const PRODUCERS: u64 = 64;

/// Workers of Savina's big.
pub const PLAYERS: u64 = 120;

/// Workers of Savina's thread ring.
pub const MEMBERS: u64 = 100;

/// Messages or new workers after which somebody whom nothing holds up lets others run: what would pile
/// up otherwise costs more than the messages themselves.
pub const BURST: u64 = 1000;

/// How long everybody rests before a message to a sleeping core.
pub const PAUSE: std::time::Duration = std::time::Duration::from_millis(1);

/// What is done, and for which operation the time is stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// One sender, one receiver; a message.
    OneWay,
    /// Two that answer each other; a round trip.
    PingPong,
    /// As ping-pong, with partners who never sleep; a round trip.
    AwakePingPong,
    /// As ping-pong, but both sleep in the kernel whenever a message is sent; a round trip.
    Parked,
    /// Somebody asks and awaits the answer; a request.
    Request,
    /// As request, with partners who never sleep; a request.
    AwakeRequest,
    /// Many senders, one receiver; a message.
    FanIn,
    /// Everybody pings somebody at random and waits for the pong; a message.
    Big,
    /// A token that is passed round; a hop.
    ThreadRing,
    /// Many are started, get one message, report and end; a worker.
    Create,
    /// One is started, gets a message and is stopped, and so on; a life.
    Lives,
}

impl Workload {
    /// What one operation is.
    pub fn operation(self) -> &'static str {
        match self {
            Workload::OneWay | Workload::FanIn | Workload::Big => "message",
            Workload::PingPong | Workload::AwakePingPong | Workload::Parked => "round trip",
            Workload::Request | Workload::AwakeRequest => "request",
            Workload::ThreadRing => "hop",
            Workload::Create => "worker",
            Workload::Lives => "life",
        }
    }

    /// Operations to begin with when nothing is known about the speed.
    pub fn probe(self) -> u64 {
        match self {
            Workload::Parked => 10,
            Workload::Create | Workload::Lives => 500,
            _ => 5_000,
        }
    }

    /// Whether two partners have one message between them.
    pub fn in_turn(self) -> bool {
        use Workload::{AwakePingPong, AwakeRequest, Parked, PingPong, Request};
        matches!(
            self,
            PingPong | AwakePingPong | Parked | Request | AwakeRequest
        )
    }

    /// Whether nobody may sleep.
    pub fn awake(self) -> bool {
        matches!(self, Workload::AwakePingPong | Workload::AwakeRequest)
    }

    /// Most operations of one run: a sleeping partner costs milliseconds that are not measured, and
    /// those that are created all live at once.
    pub fn limit(self) -> u64 {
        match self {
            Workload::Parked => 100,
            Workload::Create => 40_000,
            _ => 50_000_000,
        }
    }
}

/// One line of the table: a workload on so many cores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    pub workload: Workload,
    pub cores: usize,
}

impl Row {
    /// All that are measured on a machine with so many CPUs.
    pub fn all(cpus: usize) -> Vec<Row> {
        use Workload::{
            AwakePingPong, AwakeRequest, Big, Create, FanIn, Lives, OneWay, Parked, PingPong,
            Request, ThreadRing,
        };
        let on = |cores, workloads: &[Workload]| -> Vec<Row> {
            let row = |workload: &Workload| Row {
                workload: *workload,
                cores,
            };
            workloads.iter().map(row).collect()
        };
        let same = [
            OneWay, PingPong, Request, FanIn, Big, ThreadRing, Create, Lives,
        ];
        let mut rows = on(1, &same);
        if cpus >= 2 {
            let apart = [
                OneWay,
                FanIn,
                Big,
                AwakePingPong,
                AwakeRequest,
                PingPong,
                Request,
                Parked,
            ];
            rows.extend(on(2, &apart));
        }
        let more = [4, 8, 16, 32, 64, 128].into_iter();
        let more = more.filter(|cores| *cores < cpus).chain([cpus]);
        for cores in more.filter(|cores| *cores > 2) {
            rows.extend(on(cores, &[Big]));
        }
        rows
    }

    /// A short name for the command line and for files.
    pub fn id(self) -> String {
        format!("{:?}@{}", self.workload, self.cores).to_lowercase()
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Workload::OneWay => "one way",
            Workload::PingPong => "ping-pong",
            Workload::AwakePingPong => "ping-pong, nobody sleeps",
            Workload::Parked => "ping-pong, everybody asleep",
            Workload::Request => "request",
            Workload::AwakeRequest => "request, nobody sleeps",
            Workload::FanIn => "fan-in of 64",
            Workload::Big => "big",
            Workload::ThreadRing => "thread ring",
            Workload::Create => "fork-join create",
            Workload::Lives => "start, message, stop",
        })
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.cores {
            1 => write!(f, "{}, same core", self.workload),
            2 => write!(f, "{}, two cores", self.workload),
            cores => write!(f, "{}, {cores} cores", self.workload),
        }
    }
}

/// What a peer is asked to do.
#[derive(Debug, Clone)]
pub struct Task {
    pub workload: Workload,
    /// At least so many operations.
    pub n: u64,
    /// Where: partners are spread over these.
    pub cpus: Vec<CoreId>,
}

impl Task {
    pub fn cores(&self) -> usize {
        self.cpus.len()
    }

    /// For a peer that has no way to do this.
    pub fn dash(&self, reason: &str) -> Outcome {
        Err(Dash(reason.to_owned()))
    }
}

/// Why there is no figure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dash(pub String);

/// The time that something took, or why it was not done.
pub type Outcome = Result<Measured, Dash>;

/// What sort of library a peer is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// ringpost.
    Ours,
    /// ringpost, used in another way.
    OursByName,
    /// Actors or workers with addresses and mailboxes.
    Actors,
    /// Tasks or threads over channels, with nothing between the program and the queue.
    Channels,
    /// What the machine allows.
    Floor,
}

/// A library, used as its authors would.
#[derive(Debug)]
pub struct Peer {
    pub name: &'static str,
    pub kind: Kind,
    /// The package whose version is stated.
    pub package: &'static str,
    /// What holds up a sender whose receiver falls behind.
    pub mailbox: &'static str,
    /// What somebody does on a core of their own while there is nothing to handle.
    pub idle: &'static str,
    /// How it is used: executor, mailboxes.
    pub setup: &'static str,
    pub run: fn(&Task) -> Outcome,
}
