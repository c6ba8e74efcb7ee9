//! Messages between nodes, over TCP, over Unix sockets, and as datagrams.
//!
//! A connection is a worker of the core that opened or accepted it. What is sent to it leaves on the wire;
//! what comes from there is sent on from it, with the connection in front of the return route, so that a
//! reply takes the same way back. An address of type TCP, UDS or UDP is the name of such a worker, which is started
//! when the first message is sent to it.
//!
//! The peer sees nothing of the node but what is exposed to it: return routes travel as names that cannot
//! be guessed and that hold for their connection only.
//!
//! A route names the transport of each hop, and may lead over several:
//!
//! ```
//! use ringpost::{Any, Context, Node, Result, Route, Routed, TCP, TcpListenerOptions, TcpTransport, UDP};
//! use ringpost::{UDS, UdpListenerOptions, UdpTransport, UnixListenerOptions, UnixTransport, Worker};
//!
//! struct Echoer;
//!
//! impl Worker for Echoer {
//!     type Message = Any;
//!     type Context = Context;
//!
//!     async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
//!         ctx.send_message(msg.reply(), msg.take()).await
//!     }
//! }
//!
//! fn main() -> Result<()> {
//!     Node::builder().cores(1).run(async |ctx: Context| {
//!         ctx.start_worker("echoer", Echoer).await?;
//!         let unix = UnixTransport::create(&ctx).await?;
//!         let path = std::env::temp_dir().join(format!("node-{}.sock", std::process::id()));
//!         let unix = unix.listen(&path, UnixListenerOptions::new().expose("echoer")).await?;
//!         let udp = UdpTransport::create(&ctx).await?;
//!         let udp = udp.listen("127.0.0.1:0", UdpListenerOptions::new().expose("echoer")).await?;
//!         let tcp = TcpTransport::create(&ctx).await?;
//!         // Whoever connects over TCP may also go on to the socket.
//!         let on = Route::new().append_t(UDS, unix.address());
//!         let on = on.first().expect("it has one address").address.clone();
//!         let options = TcpListenerOptions::new().expose("echoer").relay_to_address(on);
//!         let tcp = tcp.listen("127.0.0.1:0", options).await?;
//!
//!         // This node asks itself; others would do so with the same routes.
//!         let ways = [
//!             Route::new().append_t(TCP, tcp.address()),
//!             Route::new().append_t(UDS, unix.address()),
//!             Route::new().append_t(UDP, udp.address()),
//!             Route::new().append_t(TCP, tcp.address()).append_t(UDS, unix.address()),
//!         ];
//!         for way in ways {
//!             let reply: String = ctx.request(way.append("echoer"), "Hello!".to_string()).await?;
//!             assert_eq!(reply, "Hello!");
//!         }
//!         ctx.stop().await
//!     })
//! }
//! ```

mod arrivals;
mod budget;
mod carrier;
mod connect;
mod connection;
mod covers;
mod credits;
mod end;
mod handing;
mod listener;
mod options;
mod owed;
mod passing;
mod pump;
mod registry;
mod shortage;
mod tally;
mod tcp;
mod timer;
mod udp;
mod unhandled;
mod unix;
mod watches;

pub use crate::backoff::Backoff;
pub use options::{
    Acceptor, TcpConnectionOptions, TcpLimits, TcpListenerOptions, UdpConnectionOptions, UdpLimits,
    UdpListenerOptions, UnixConnectionOptions, UnixListenerOptions,
};
pub use tally::TransportStats;
pub use tcp::{TcpListener, TcpTransport};
pub use udp::{UdpListener, UdpTransport};
pub use unix::{UnixListener, UnixTransport};

pub(crate) use carrier::{bounce, dial, goes_ahead, send_alike, send_straight};
pub(crate) use registry::Registry;
pub(crate) use tally::TransportTally;
pub(crate) use unhandled::Unhandled;
pub(crate) use watches::{ask_peer, ask_peer_no_more};

use options::Terms;

use std::fmt::Display;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use ringpost_router::{Address, Message, TransportType};

use crate::context::Context;
use crate::core::Core;
use crate::error::{Error, ErrorKind, Result};

/// An error of the system, with what was asked of it and for which address.
fn failed(asked: &str, address: &dyn Display, error: &io::Error) -> Error {
    Error::new(ErrorKind::Io(format!("cannot {asked} {address}: {error}")))
}

/// Lets every core send to addresses of this type. Returns a context for more of it.
async fn turn_on(ctx: &Context, transport: TransportType) -> Result<Context> {
    let ctx = ctx.detached()?;
    for core in 0..ctx.core.cores() {
        let install = move |core: &Rc<Core>, to| {
            core.transports.turn_on(transport);
            core.answer(to, Ok(().into_body()));
        };
        ctx.call(core, install).await?;
    }
    Ok(ctx)
}

/// Opens a connection, and waits until it stands.
async fn open(ctx: &Context, address: &Address, terms: Terms) -> Result<()> {
    let home = ctx.core.placement.home(address);
    let (name, terms) = (address.clone(), Arc::new(terms));
    let open = move |core: &Rc<Core>, to| carrier::open(core, &name, terms, to);
    ctx.call(home, open).await?;
    Ok(())
}
