//! Connections on their way from the core that accepted them to another.

use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::rc::Rc;

use crate::core::Core;
use crate::driver::net::Loose;
use crate::net::duplex::Duplex;

/// A connection that was accepted and that no core has yet: a [`TcpStream`](crate::net::TcpStream) or a
/// [`UnixStream`](crate::net::UnixStream) to be. It can be sent to any core of the node, attached there, and then
/// stays. Dropped before, it is closed.
///
/// ```
/// use ringpost::Context;
/// use ringpost::net::{ListenOptions, TcpListener, TcpStream};
///
/// # fn main() -> ringpost::Result<()> {
/// # ringpost::Node::builder().cores(2).run(async |ctx: Context| {
/// let any = "127.0.0.1:0".parse()?;
/// let mut listener = TcpListener::bind(&ctx, any, &ListenOptions::default())?;
/// let mut client = TcpStream::connect(&ctx, listener.local_addr()?).await?;
/// let (accepted, _) = listener.accept_detached().await?;
/// let other = (ctx.core() + 1) % ctx.cores();
/// let handle = ctx.handle();
/// let served = handle.run_on(other, async move |there: Context| {
///     let mut stream = TcpStream::attach(&there, accepted)?;
///     stream.write_all(b"from over there").await
/// });
/// served.await??;
///
/// let mut bytes = [0; 15];
/// client.read_exact(&mut bytes).await?;
/// assert_eq!(&bytes, b"from over there");
/// # ctx.stop().await
/// # })
/// # }
/// ```
pub struct Detached<S> {
    loose: Loose,
    kind: PhantomData<fn() -> S>,
}

impl<S> Detached<S> {
    pub(super) fn new(loose: Loose) -> Self {
        Self {
            loose,
            kind: PhantomData,
        }
    }

    pub(super) fn attach(self, core: &Rc<Core>) -> io::Result<Duplex> {
        Duplex::attach(core, self.loose)
    }
}

impl<S> fmt::Debug for Detached<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detached").finish_non_exhaustive()
    }
}
