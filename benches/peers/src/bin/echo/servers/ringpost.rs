//! ringpost: frames echoed by tasks on its sockets, and messages echoed by a worker behind its transport.

use std::io;

use ::ringpost::net::{ListenOptions, TcpListener, TcpStream};
use ::ringpost::{Any, Context, Node, Result, Routed, TcpListenerOptions, TcpTransport, Worker};

use crate::frames::Inbox;
use crate::servers::{ANYWHERE, Server, Speaks, listening};

pub const FRAMED: Server = Server {
    name: "ringpost",
    setup: "a node of one core, a task for each connection",
    speaks: Speaks::Frames,
    serve: |_| run(frames),
};

pub const ROUTED: Server = Server {
    name: "ringpost, routed",
    setup: "a node of one core; the worker `echoer` replies to each message",
    speaks: Speaks::Routes,
    serve: |_| run(messages),
};

fn run<F>(main: F) -> io::Result<()>
where
    F: AsyncFnOnce(Context) -> Result<()> + Send + 'static,
{
    let node = Node::builder().cores(1);
    node.serve(main).map_err(io::Error::other)
}

async fn frames(ctx: Context) -> Result<()> {
    let address = ANYWHERE.parse()?;
    let mut listener = TcpListener::bind(&ctx, address, &ListenOptions::default())?;
    listening(listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        ctx.spawn(async {
            // Who is gone needs no answer.
            let _ = echo(stream).await;
        });
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut inbox = Inbox::new();
    loop {
        match stream.read(inbox.room()).await? {
            0 => return Ok(()),
            count => inbox.commit(count),
        }
        let frames = inbox.frames().map_err(|_| io::ErrorKind::InvalidData)?;
        let count = frames.len();
        stream.write_all(frames).await?;
        inbox.consume(count);
    }
}

/// Sends back whatever it gets.
struct Echoer;

impl Worker for Echoer {
    type Message = Any;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        ctx.send_message(msg.reply(), msg.take()).await
    }
}

async fn messages(ctx: Context) -> Result<()> {
    ctx.start_worker("echoer", Echoer).await?;
    let tcp = TcpTransport::create(&ctx).await?;
    let options = TcpListenerOptions::new().expose("echoer");
    let listener = tcp.listen(ANYWHERE, options).await?;
    listening(listener.socket_address())?;
    Ok(())
}
