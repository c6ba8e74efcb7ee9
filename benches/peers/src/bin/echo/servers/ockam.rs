//! Ockam's node, with its worker behind its TCP transport.

use std::io;
use std::sync::Arc;

use core_affinity::CoreId;
use ockam_node::workers::Echoer;
use ockam_node::{Context, NodeBuilder};
use ockam_transport_tcp::{TcpListenerOptions, TcpTransport};
use tokio::runtime::Builder;

use crate::servers::{ANYWHERE, Server, Speaks, listening};

pub const SERVER: Server = Server {
    name: "ockam, routed",
    setup: "its own worker `Echoer` on a multi-thread runtime of tokio with one worker, logging off",
    speaks: Speaks::Routes,
    serve,
};

fn serve(_cpu: CoreId) -> io::Result<()> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let builder = NodeBuilder::new().no_logging();
    let (ctx, mut executor) = builder.with_runtime(Arc::new(runtime)).build();
    let ended = executor.execute(async move {
        // Who has the context keeps the node.
        let _listener = listen(&ctx).await?;
        std::future::pending::<ockam_core::Result<()>>().await
    });
    ended.map_err(io::Error::other)?.map_err(io::Error::other)
}

async fn listen(ctx: &Context) -> ockam_core::Result<ockam_transport_tcp::TcpListener> {
    let options = TcpListenerOptions::new();
    let id = options.spawner_flow_control_id();
    ctx.flow_controls().add_consumer(&"echoer".into(), &id);
    ctx.start_worker("echoer", Echoer)?;
    let tcp = TcpTransport::get_or_create(ctx)?;
    let listener = tcp.listen(ANYWHERE, options).await?;
    // The parent finds out if nothing is said.
    let _ = listening(*listener.socket_address());
    Ok(listener)
}
