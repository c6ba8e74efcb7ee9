//! Sockets in the file system, for programs of one machine.
//!
//! The file of a socket stays when the process that made it is killed, and then nobody else could listen
//! there. So who finds one at which nobody answers takes its place; a socket at which somebody does, and a
//! file that is no socket, are left alone. Two processes that do so at one moment may take it from each other:
//! give each server a path of its own.

#[cfg(not(unix))]
pub(super) use elsewhere::{connect, listen};
#[cfg(unix)]
pub(super) use here::{SocketFile, connect, endpoint, listen};

#[cfg(unix)]
mod here {
    use std::fs;
    use std::io;
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    use std::os::unix::net::{SocketAddr, UnixListener as StdListener};
    use std::path::Path;
    use std::sync::Arc;

    use mio::net::{UnixListener, UnixStream};
    use mio::{Interest, Registry, Token};
    use socket2::{Domain, SockAddr, Socket, Type};

    use crate::driver::net::{Endpoint, Listener, Stream, system};
    use crate::net::ListenOptions;

    /// A socket that listens, and its file, which goes with it.
    pub(crate) struct SocketFile {
        socket: UnixListener,
        path: Arc<Path>,
        /// The file's device and number there, so that one which has taken its place is not removed.
        made: Option<(u64, u64)>,
    }

    impl SocketFile {
        pub(crate) fn socket(&mut self) -> &mut UnixListener {
            &mut self.socket
        }

        pub(crate) fn path(&self) -> &Arc<Path> {
            &self.path
        }

        pub(crate) fn accept(&self) -> io::Result<UnixStream> {
            Ok(self.socket.accept()?.0)
        }
    }

    impl Drop for SocketFile {
        fn drop(&mut self) {
            if self.made.is_some() && identity(&self.path) == self.made {
                // Whoever has removed it meanwhile has done this.
                let _ = fs::remove_file(&self.path);
            }
        }
    }

    fn identity(path: &Path) -> Option<(u64, u64)> {
        let found = fs::symlink_metadata(path).ok()?;
        Some((found.dev(), found.ino()))
    }

    pub(crate) fn listen(
        registry: &Registry,
        path: &Arc<Path>,
        options: &ListenOptions,
        key: usize,
    ) -> io::Result<Listener> {
        if options.shared {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "one socket alone listens at a path: listen on one core, and hand over what it accepts",
            ));
        }
        let address = SockAddr::unix(path)?;
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        match socket.bind(&address) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && is_stale(path) => {
                fs::remove_file(path)?;
                socket.bind(&address)?;
            }
            bound => bound?,
        }
        let made = identity(path);
        socket.listen(i32::try_from(options.backlog).unwrap_or(i32::MAX))?;
        let mut file = SocketFile {
            socket: UnixListener::from_std(StdListener::from(socket)),
            path: Arc::clone(path),
            made,
        };
        registry.register(&mut file.socket, Token(key), Interest::READABLE)?;
        Ok(Listener::Unix(file))
    }

    /// Whether this is a socket at which nobody listens any more.
    fn is_stale(path: &Path) -> bool {
        let is_socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
        let refused = |error: io::Error| error.kind() == io::ErrorKind::ConnectionRefused;
        is_socket && UnixStream::connect(path).is_err_and(refused)
    }

    pub(crate) fn connect(registry: &Registry, path: &Path, key: usize) -> io::Result<Stream> {
        let mut stream = UnixStream::connect(path)?;
        system::register(registry, &mut stream, key)?;
        Ok(Stream::Unix(stream))
    }

    pub(crate) fn endpoint(address: &SocketAddr) -> Endpoint {
        let path = address.as_pathname();
        path.map_or_else(Endpoint::unnamed, |path| Endpoint::Unix(path.into()))
    }
}

#[cfg(not(unix))]
mod elsewhere {
    use std::io;
    use std::path::Path;
    use std::sync::Arc;

    use mio::Registry;

    use crate::driver::net::{Listener, Stream};
    use crate::net::ListenOptions;

    fn missing() -> io::Error {
        io::Error::new(
            io::ErrorKind::Unsupported,
            "this system has no Unix sockets for this program: use TCP",
        )
    }

    pub(crate) fn listen(
        _registry: &Registry,
        _path: &Arc<Path>,
        _options: &ListenOptions,
        _key: usize,
    ) -> io::Result<Listener> {
        Err(missing())
    }

    pub(crate) fn connect(_registry: &Registry, _path: &Path, _key: usize) -> io::Result<Stream> {
        Err(missing())
    }
}
