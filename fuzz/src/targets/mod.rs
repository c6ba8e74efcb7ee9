//! The targets, by name.

mod connection;
mod datagram;
mod decoder;
mod frame;
mod message;
mod pieces;
mod route;

/// A function of some bytes that panics when something is wrong.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// The name, also of its folder in the corpus.
    pub name: &'static str,
    /// Runs it once.
    pub run: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target {
        name: "frame",
        run: frame::run,
    },
    Target {
        name: "decoder",
        run: decoder::run,
    },
    Target {
        name: "connection",
        run: connection::run,
    },
    Target {
        name: "datagram",
        run: datagram::run,
    },
    Target {
        name: "route",
        run: route::run,
    },
    Target {
        name: "message",
        run: message::run,
    },
];

/// The target of this name.
///
/// ```
/// let target = ringpost_fuzz::target("frame").expect("there is one");
/// (target.run)(b"any bytes");
/// assert!(ringpost_fuzz::target("fame").is_none());
/// ```
#[must_use]
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().copied().find(|target| target.name == name)
}
