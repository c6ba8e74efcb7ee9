//! glommio: a task for each connection, over io_uring.

use std::io;

use ::glommio::net::{TcpListener, TcpStream};
use ::glommio::{LocalExecutorBuilder, Placement, spawn_local};
use core_affinity::CoreId;
use futures_lite::{AsyncReadExt, AsyncWriteExt};

use crate::frames::Inbox;
use crate::servers::{ANYWHERE, Server, Speaks, listening};

pub const SERVER: Server = Server {
    name: "glommio",
    setup: "one executor, a task for each connection",
    speaks: Speaks::Frames,
    serve,
};

fn serve(cpu: CoreId) -> io::Result<()> {
    let builder = LocalExecutorBuilder::new(Placement::Fixed(cpu.id));
    let failed = |reason: String| io::Error::other(reason);
    let spawned = builder.spawn(accept);
    let executor = spawned.map_err(|error| failed(error.to_string()))?;
    let joined = executor.join();
    joined.map_err(|error| failed(error.to_string()))?
}

async fn accept() -> io::Result<()> {
    let listener = TcpListener::bind(ANYWHERE)?;
    listening(listener.local_addr()?)?;
    loop {
        let stream = listener.accept().await?;
        spawn_local(echo(stream)).detach();
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
