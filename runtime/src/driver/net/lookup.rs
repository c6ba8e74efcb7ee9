//! Names of hosts, looked up on threads of their own: the system's resolver blocks.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::thread;

use futures_channel::oneshot::{self, Receiver};
use ringpost_mailbox::sync::atomic::{AtomicU32, Ordering};

/// Look-ups that may be under way at one time in the process, each with a thread.
const LOOKUPS_MAX: u32 = 16;

static UNDER_WAY: AtomicU32 = AtomicU32::new(0);

/// One of the look-ups under way.
struct Place;

impl Place {
    fn take() -> Option<Self> {
        // Relaxed: only the number counts.
        if UNDER_WAY.fetch_add(1, Ordering::Relaxed) < LOOKUPS_MAX {
            return Some(Self);
        }
        drop(Self);
        None
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Relaxed: only the number counts.
        UNDER_WAY.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What comes of a look-up.
pub(crate) type Found = io::Result<Vec<SocketAddr>>;

/// Begins to look up a name like `host:port`.
pub(crate) fn begin(name: String) -> io::Result<Receiver<Found>> {
    let place = Place::take().ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::ResourceBusy,
            format!("{LOOKUPS_MAX} names are being looked up already"),
        )
    })?;
    let (answer, answered) = oneshot::channel();
    let body = move || {
        let _place = place;
        let found = name.to_socket_addrs().map(Iterator::collect);
        // Who asked may have given up.
        let _ = answer.send(found);
    };
    thread::Builder::new()
        .name("ringpost-lookup".to_owned())
        .spawn(body)?;
    Ok(answered)
}
