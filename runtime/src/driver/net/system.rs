//! Sockets of the operating system, made by socket2 and polled by mio.

use std::io;
use std::net::SocketAddr;

use mio::event::Source;
use mio::net::{TcpListener, TcpStream, UdpSocket};
use mio::{Interest, Registry, Token};
use socket2::{Domain, Protocol, SockRef, Socket, TcpKeepalive, Type};

use crate::net::{Keepalive, ListenOptions};

/// Both directions: a core that waits for one of them is not disturbed by the other, as edges come
/// once.
const BOTH: Interest = Interest::READABLE.add(Interest::WRITABLE);

pub(crate) fn register(
    registry: &Registry,
    source: &mut impl Source,
    key: usize,
) -> io::Result<()> {
    registry.register(source, Token(key), BOTH)
}

pub(crate) fn listen(
    registry: &Registry,
    address: SocketAddr,
    options: &ListenOptions,
    key: usize,
) -> io::Result<TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    // A server that is restarted finds its address still in use by connections of before, unless it
    // says this. On Windows it would let another program take the address over.
    #[cfg(not(windows))]
    socket.set_reuse_address(true)?;
    if options.shared {
        share_port(&socket)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
    let mut listener = TcpListener::from_std(socket.into());
    registry.register(&mut listener, Token(key), Interest::READABLE)?;
    Ok(listener)
}

/// Whether several sockets can listen at one address.
pub(crate) const SHARES_PORTS: bool = cfg!(all(
    unix,
    not(any(target_os = "solaris", target_os = "illumos"))
));

#[cfg(all(unix, not(any(target_os = "solaris", target_os = "illumos"))))]
fn share_port(socket: &Socket) -> io::Result<()> {
    socket.set_reuse_port(true)
}

#[cfg(not(all(unix, not(any(target_os = "solaris", target_os = "illumos")))))]
fn share_port(_socket: &Socket) -> io::Result<()> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "this system lets one socket alone listen at an address: listen on one core",
    ))
}

pub(crate) fn connect(
    registry: &Registry,
    address: SocketAddr,
    key: usize,
) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    register(registry, &mut stream, key)?;
    Ok(stream)
}

pub(crate) fn bind(registry: &Registry, address: SocketAddr, key: usize) -> io::Result<UdpSocket> {
    let mut socket = UdpSocket::bind(address)?;
    register(registry, &mut socket, key)?;
    Ok(socket)
}

pub(crate) fn check_connected(stream: &TcpStream) -> io::Result<()> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotConnected => {
            Err(io::ErrorKind::WouldBlock.into())
        }
        Err(error) => Err(error),
    }
}

pub(crate) fn set_keepalive(stream: &TcpStream, keepalive: Option<Keepalive>) -> io::Result<()> {
    let socket = SockRef::from(stream);
    let Some(Keepalive { idle, interval }) = keepalive else {
        return socket.set_keepalive(false);
    };
    let terms = TcpKeepalive::new().with_time(idle);
    #[cfg(not(any(target_os = "openbsd", target_os = "haiku")))]
    let terms = terms.with_interval(interval);
    #[cfg(any(target_os = "openbsd", target_os = "haiku"))]
    let _ = interval;
    socket.set_tcp_keepalive(&terms)
}
