//! tokio: a task for each connection.

use std::io;

use ::tokio::io::{AsyncReadExt, AsyncWriteExt};
use ::tokio::net::{TcpListener, TcpStream};
use ::tokio::runtime::Builder;

use crate::frames::Inbox;
use crate::servers::{ANYWHERE, Server, Speaks, listening};

pub const MULTI_THREAD: Server = Server {
    name: "tokio, multi-thread",
    setup: "the multi-thread runtime with one worker, a task for each connection",
    speaks: Speaks::Frames,
    serve: |_| run(Builder::new_multi_thread().worker_threads(1)),
};

pub const CURRENT_THREAD: Server = Server {
    name: "tokio, current-thread",
    setup: "the current-thread runtime, a task for each connection",
    speaks: Speaks::Frames,
    serve: |_| run(&mut Builder::new_current_thread()),
};

fn run(builder: &mut Builder) -> io::Result<()> {
    let runtime = builder.enable_all().build()?;
    // On a worker of the runtime, not on the thread that waits for it.
    let accepting = runtime.spawn(accept());
    runtime.block_on(accepting).map_err(io::Error::other)?
}

async fn accept() -> io::Result<()> {
    let listener = TcpListener::bind(ANYWHERE).await?;
    listening(listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        ::tokio::spawn(echo(stream));
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
