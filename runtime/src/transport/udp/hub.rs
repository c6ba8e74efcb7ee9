//! A socket, and the peers that share it.
//!
//! One task reads the socket and gives each peer what came from there; each peer is a connection, whose task takes
//! that and sends. Whoever sends can write any sender on a datagram, so a peer costs no more than the limits
//! say, there are no more than they say, and each is forgotten when nothing comes or goes.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use ringpost_mailbox::buf::{Buf, BufMut};
use ringpost_router::wire::{Datagram, Frame, Recent};

use crate::context::Context;
use crate::core::Core;
use crate::error::{Error, ErrorKind, Result};
use crate::net::UdpSocket;
use crate::task::Wake;
use crate::transport::carrier::{Line, start};
use crate::transport::connection::Connection;
use crate::transport::listener::local_name;
use crate::transport::registry::Accepting;
use crate::transport::{Terms, UdpLimits};

/// How long to wait when the socket cannot be read.
const PAUSE: Duration = Duration::from_millis(10);

/// A socket and its peers.
pub(super) struct Hub {
    core: Rc<Core>,
    /// `None` once it is closed.
    socket: RefCell<Option<UdpSocket>>,
    peers: RefCell<BTreeMap<SocketAddr, Rc<Peer>>>,
    /// What is exposed, and what ends the task that reads.
    accepting: Rc<Accepting>,
    /// Whether whoever sends becomes a peer.
    is_open: bool,
}

/// Somebody to whom datagrams are sent, and from whom they come.
pub(crate) struct Peer {
    hub: Rc<Hub>,
    pub(super) address: SocketAddr,
    /// What tells this peer's datagrams from those that were sent to it when it was a peer before.
    pub(super) session: u64,
    recent: RefCell<Recent>,
    /// What has come and was not looked at.
    arrived: RefCell<VecDeque<Buf>>,
    /// Its task.
    pub(super) task: RefCell<Wake>,
    pub(super) is_heard: Cell<bool>,
}

impl Peer {
    pub(super) fn take_arrived(&self) -> Option<Buf> {
        self.arrived.borrow_mut().pop_front()
    }

    /// Whether nothing has come that was not looked at.
    pub(super) fn is_silent(&self) -> bool {
        self.arrived.borrow().is_empty()
    }

    /// Sends a datagram now; `None` if the socket is closed.
    pub(super) fn send(&self, bytes: &[u8]) -> Option<io::Result<usize>> {
        let socket = self.hub.socket.borrow();
        Some(socket.as_ref()?.try_send_to(bytes, self.address))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.hub.socket.borrow().is_none()
    }

    /// The peer is one no longer; a socket that is for it alone is closed.
    pub(super) fn leave(self: &Rc<Self>) {
        let hub = &self.hub;
        let mut peers = hub.peers.borrow_mut();
        if peers
            .get(&self.address)
            .is_some_and(|there| Rc::ptr_eq(there, self))
        {
            peers.remove(&self.address);
        }
        drop(peers);
        if !hub.is_open {
            hub.accepting.end(&hub.core);
        }
    }
}

impl Hub {
    /// Takes datagrams of anybody. Returns the number of the listener.
    pub(super) fn listen(core: &Rc<Core>, socket: UdpSocket, terms: Arc<Terms>) -> Result<u64> {
        let ctx = Context::detached_at(core, core.random_address())?;
        let id = core.random();
        let accepting = core.transports.note_listener(id, terms, true);
        let hub = Self::new(core, socket, accepting, true);
        let bytes = hub.room()?;
        let task = async move {
            hub.receive(&ctx, bytes).await;
            ctx.core.transports.listener_ended(&ctx.core, id);
        };
        core.tasks.spawn(Box::pin(task));
        Ok(id)
    }

    /// Takes datagrams of one peer alone.
    pub(super) fn dial(
        core: &Rc<Core>,
        socket: UdpSocket,
        terms: &Arc<Terms>,
        address: SocketAddr,
    ) -> Result<Rc<Peer>> {
        let ctx = Context::detached_at(core, core.random_address())?;
        let hub = Self::new(core, socket, Accepting::new(Arc::clone(terms), true), false);
        let bytes = hub.room()?;
        let peer = hub.add(address);
        core.tasks
            .spawn(Box::pin(async move { hub.receive(&ctx, bytes).await }));
        Ok(peer)
    }

    fn new(
        core: &Rc<Core>,
        socket: UdpSocket,
        accepting: Rc<Accepting>,
        is_open: bool,
    ) -> Rc<Self> {
        Rc::new(Self {
            core: Rc::clone(core),
            socket: RefCell::new(Some(socket)),
            peers: RefCell::default(),
            accepting,
            is_open,
        })
    }

    fn add(self: &Rc<Self>, address: SocketAddr) -> Rc<Peer> {
        let [session, ..] = self.core.io.network.secret();
        let peer = Rc::new(Peer {
            hub: Rc::clone(self),
            address,
            session,
            recent: RefCell::default(),
            arrived: RefCell::default(),
            task: RefCell::new(Wake::Nobody),
            is_heard: Cell::new(false),
        });
        self.peers.borrow_mut().insert(address, Rc::clone(&peer));
        peer
    }

    /// Where datagrams are read. One that fills this is longer than it may be.
    fn room(&self) -> Result<BufMut> {
        let bytes = self.limits().datagram_bytes_max.saturating_add(1);
        let mut room = BufMut::try_with_capacity(bytes)
            .ok_or_else(|| Error::new(ErrorKind::NoMemory { bytes }))?;
        room.resize(bytes, 0);
        Ok(room)
    }

    /// Reads until told otherwise, and closes the socket.
    async fn receive(self: Rc<Self>, ctx: &Context, mut bytes: BufMut) {
        while let Some(received) = self.next(&mut bytes).await {
            match received {
                Ok((count, from)) => {
                    let datagram = bytes.get(..count).unwrap_or_default();
                    let tally = &self.core.tally().transport;
                    tally.bytes_read.add(count as u64);
                    if self.arrive(datagram, from).is_none() {
                        tally.datagrams_dropped.add(1);
                    }
                }
                Err(error) => {
                    tracing::debug!(%error, "datagrams cannot be read");
                    ctx.sleep(PAUSE).await;
                }
            }
        }
        self.socket.take();
        for peer in self.peers.take().into_values() {
            self.core.wake(&peer.task.replace(Wake::Nobody));
        }
    }

    /// The next datagram; `None` if there is to be none.
    async fn next(&self, bytes: &mut [u8]) -> Option<io::Result<(usize, SocketAddr)>> {
        poll_fn(|polling| {
            let socket = self.socket.borrow();
            let Some(socket) = socket.as_ref().filter(|_| !self.accepting.is_over.get()) else {
                return Poll::Ready(None);
            };
            let task = self.core.tasks.register(polling);
            self.accepting.task.replace(task);
            socket.poll_recv_from(polling, bytes).map(Some)
        })
        .await
    }

    fn limits(&self) -> UdpLimits {
        self.accepting.terms.datagrams.clone().unwrap_or_default()
    }

    /// Gives a datagram to its peer. `None` if it is dropped.
    fn arrive(self: &Rc<Self>, bytes: &[u8], from: SocketAddr) -> Option<()> {
        let frame_limits = &self.accepting.terms.limits.frame;
        let datagram = Datagram::decode(bytes, frame_limits).ok()?;
        let known = self.peers.borrow().get(&from).cloned();
        let peer = match known {
            Some(peer) => peer,
            None => {
                let frame = Frame::decode(datagram.body, frame_limits).ok()?;
                (self.is_open && !frame.is_heartbeat()).then_some(())?;
                self.welcome(from)?
            }
        };
        let mut arrived = peer.arrived.borrow_mut();
        if arrived.len() >= self.accepting.terms.limits.waiting_frames_max {
            return None;
        }
        let Some(body) = BufMut::try_copy(datagram.body) else {
            self.core.tally().memory_refused.add(1);
            return None;
        };
        if !peer
            .recent
            .borrow_mut()
            .take(datagram.session, datagram.number)
        {
            return None;
        }
        arrived.push_back(body.freeze());
        drop(arrived);
        peer.is_heard.set(true);
        self.core.wake(&peer.task.replace(Wake::Nobody));
        Some(())
    }

    /// A new peer, unless there are as many as are allowed.
    fn welcome(self: &Rc<Self>, from: SocketAddr) -> Option<Rc<Peer>> {
        if self.peers.borrow().len() >= self.limits().peers_max {
            return None;
        }
        let core = &self.core;
        let address = local_name(core);
        let terms = Arc::clone(&self.accepting.terms);
        let connection = Connection::new(core, address.clone(), terms);
        let peer = self.add(from);
        let line = Line::Datagrams(Rc::clone(&peer));
        if let Err(kind) = start(core, address, connection, Some(line)) {
            self.peers.borrow_mut().remove(&from);
            let error = Error::new(kind);
            tracing::debug!(%from, %error, "a peer was refused");
            return None;
        }
        Some(peer)
    }
}
