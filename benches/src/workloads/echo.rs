//! Messages that come over TCP, and are answered by a worker behind the transport.

use std::time::Instant;

use ringpost::net::TcpStream;
use ringpost::{Any, Context, Error, Result, Routed, TcpListenerOptions, TcpTransport, Worker};
use ringpost_router::route;
use ringpost_router::wire::{Frame, LENGTH_BYTES, Limits, VERSION};

use crate::Measured;

/// Messages that are sent to a connection at once, and answered before the next.
const WINDOW: usize = 16;
const CONNECTIONS: usize = 4;
const PAYLOAD: [u8; 64] = [7; 64];

/// Sends back whatever it gets.
struct Echoer;

impl Worker for Echoer {
    type Message = Any;
    type Context = Context;

    async fn handle_message(&mut self, ctx: &mut Context, msg: Routed<Any>) -> Result<()> {
        ctx.send_message(msg.reply(), msg.take()).await
    }
}

/// About `n` messages over four connections, 16 at a time on each, through a worker that sends each back. What is at
/// the other end writes and reads bytes and does little else.
pub async fn routed_echo(ctx: Context, n: u64) -> Result<Measured> {
    ctx.start_worker("echoer", Echoer).await?;
    let tcp = TcpTransport::create(&ctx).await?;
    let options = TcpListenerOptions::new().expose("echoer");
    let listener = tcp.listen("127.0.0.1:0", options).await?;
    let mut frame = Vec::new();
    Frame::new(route!["echoer"], route!["client"], &PAYLOAD)
        .encode(&Limits::default(), &mut frame)
        .map_err(Error::other)?;
    let batch = frame.repeat(WINDOW);
    let mut streams = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(&ctx, listener.socket_address()).await?;
        stream.write_all(&[VERSION]).await?;
        skip_greeting(&mut stream).await?;
        streams.push(stream);
    }
    // An answer has both routes of its message, the other way round, and so the same length.
    let mut answers = vec![0; batch.len()];
    let rounds = n.div_ceil((WINDOW * CONNECTIONS) as u64);
    let begin = Instant::now();
    for _ in 0..rounds {
        for stream in &mut streams {
            stream.write_all(&batch).await?;
        }
        for stream in &mut streams {
            read_all(stream, &mut answers).await?;
        }
    }
    let took = begin.elapsed();
    let operations = rounds * (WINDOW * CONNECTIONS) as u64;
    drop(streams);
    listener.stop(&ctx).await?;
    ctx.stop_worker("echoer").await?;
    Ok(Measured::new(took, operations))
}

/// Reads the version of the protocol, and the first frame.
async fn skip_greeting(stream: &mut TcpStream) -> Result<()> {
    let mut head = [0; 1 + LENGTH_BYTES];
    read_all(stream, &mut head).await?;
    let [_, length @ ..] = head;
    let mut body = vec![0; u32::from_be_bytes(length) as usize];
    read_all(stream, &mut body).await
}

async fn read_all(stream: &mut TcpStream, bytes: &mut [u8]) -> Result<()> {
    let mut done = 0;
    while done < bytes.len() {
        match stream.read(&mut bytes[done..]).await? {
            0 => return Err(Error::other("the connection was closed")),
            count => done += count,
        }
    }
    Ok(())
}
