//! monoio: a task for each connection, over io_uring where the system has it, else over epoll.

use std::io;

use ::monoio::buf::IoBufMut;
use ::monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use ::monoio::net::{TcpListener, TcpStream};
use ::monoio::{FusionDriver, RuntimeBuilder};
use core_affinity::CoreId;

use crate::frames::end_of_frames;
use crate::servers::{ANYWHERE, Server, Speaks, listening};

pub const SERVER: Server = Server {
    name: "monoio",
    setup: "its fusion driver, a task for each connection; it writes from a buffer that it owns, as its operations do",
    speaks: Speaks::Frames,
    serve,
};

/// What is read at a time.
const BUFFER_BYTES: usize = 64 << 10;

fn serve(_cpu: CoreId) -> io::Result<()> {
    let mut runtime = RuntimeBuilder::<FusionDriver>::new()
        .with_entries(32_768)
        .build()?;
    runtime.block_on(accept())
}

async fn accept() -> io::Result<()> {
    let listener = TcpListener::bind(ANYWHERE)?;
    listening(listener.local_addr()?)?;
    loop {
        let (stream, _) = listener.accept().await?;
        ::monoio::spawn(echo(stream));
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut bytes = Vec::with_capacity(BUFFER_BYTES);
    loop {
        if bytes.len() == bytes.capacity() {
            bytes.reserve(bytes.len());
        }
        let held = bytes.len();
        let (read, slice) = stream.read(bytes.slice_mut(held..)).await;
        bytes = slice.into_inner();
        if read? == 0 {
            return Ok(());
        }
        let end = end_of_frames(&bytes).map_err(|_| io::ErrorKind::InvalidData)?;
        let rest = bytes.split_off(end);
        let (written, mut frames) = stream.write_all(bytes).await;
        written?;
        frames.clear();
        frames.extend_from_slice(&rest);
        bytes = frames;
    }
}
