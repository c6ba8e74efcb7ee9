//! A node whose one worker replies to each message.

use std::net::SocketAddr;

use ringpost::{
    Address, Any, Context, Node, Result, Routed, TcpListenerOptions, TcpTransport, Worker,
};

/// A node of its own; dropping it ends it.
#[derive(Debug)]
pub(crate) struct RoutedEcho {
    address: SocketAddr,
    _node: Node,
}

/// Sends back whatever it gets, undecoded.
struct Echoer;

impl Worker for Echoer {
    type Message = Any;
    type Context = Context;

    #[inline]
    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        ctx.send_message(msg.reply(), msg.take()).await
    }
}

impl RoutedEcho {
    /// Starts a node that listens at this address and exposes one worker, which is on every core.
    ///
    /// # Errors
    /// Those of the node and of listening.
    pub(super) fn start(server: &str, worker: Address, cores: usize) -> Result<Self> {
        let node = Node::builder().cores(cores).start()?;
        let server = server.to_owned();
        let begin = async move |ctx: Context| -> Result<SocketAddr> {
            ctx.start_replicated(worker.clone(), || Echoer).await?;
            let tcp = TcpTransport::create(&ctx).await?;
            let options = TcpListenerOptions::new().expose(worker);
            let listener = tcp.listen(server, options).await?;
            Ok(listener.socket_address())
        };
        let address = pollster::block_on(node.handle().run_on(0, begin))??;
        Ok(Self {
            address,
            _node: node,
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}
