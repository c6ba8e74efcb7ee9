//! Sockets: what was not read is there for the next to read, what was not written was not sent, and no descriptor
//! stays open.

use std::io::{ErrorKind, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use ringpost::net::{ListenOptions, TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream};
use ringpost::sim::{Network, Sim};
use ringpost::{BufMut, Context, Result};

use crate::{drop_after, drop_at_every_poll};

/// The futures that are dropped here, after every number of polls.
pub(crate) const DROPPED: &[&str] = &[
    "Accept",
    "TcpListener::accept_detached",
    "TcpStream::connect",
    "TcpStream::connect_within",
    "UnixListener::accept",
    "UnixListener::accept_detached",
    "UnixStream::connect",
    // These are methods of both kinds of streams.
    "read",
    "read_buf",
    "read_exact",
    "write",
    "write_all",
    "write_vectored",
    "UdpSocket::recv_from",
    "UdpSocket::send_to",
];

/// How long an operation may take, which counts anew for each; and after how long there is something for it.
const TIMEOUT: Duration = Duration::from_millis(40);
const WAIT: Duration = Duration::from_millis(30);
const BUFFER: usize = 64;
const PATH: &str = "/run/socket";

fn listen(ctx: &Context) -> Result<(TcpListener, SocketAddr)> {
    let any = "127.0.0.1:0".parse().expect("an address");
    let listener = TcpListener::bind(ctx, any, &ListenOptions::default())?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

async fn pair(ctx: &Context) -> Result<(TcpStream, TcpStream)> {
    let (mut listener, address) = listen(ctx)?;
    let mut client = TcpStream::connect(ctx, address).await?;
    let (mut server, _) = listener.accept().await?;
    for stream in [&mut client, &mut server] {
        stream.set_read_timeout(Some(TIMEOUT));
        stream.set_write_timeout(Some(TIMEOUT));
    }
    Ok((client, server))
}

/// A connection is accepted by the next who waits for one, on this core or for any.
async fn accept(ctx: &Context, polls: usize, for_any: bool) -> Result<bool> {
    let (mut listener, address) = listen(ctx)?;
    let mine = ctx.detached()?;
    ctx.spawn(async move {
        mine.sleep(WAIT).await;
        let mut stream = TcpStream::connect(&mine, address).await.expect("room");
        stream.write_all(b"x").await.expect("it is read");
    });
    let accepted = match for_any {
        false => drop_after(ctx, polls, listener.accept())
            .await
            .transpose()?,
        true => {
            let accepted = drop_after(ctx, polls, listener.accept_detached()).await;
            let accepted = accepted.transpose()?;
            let attach = |(loose, peer)| TcpStream::attach(ctx, loose).map(|it| (it, peer));
            accepted.map(attach).transpose()?
        }
    };
    let done = accepted.is_some();
    let (mut stream, _) = match accepted {
        Some(accepted) => accepted,
        None => listener.accept().await?,
    };
    stream.read_exact(&mut [0]).await?;
    Ok(done)
}

/// The same over a Unix socket.
async fn accept_unix(ctx: &Context, polls: usize, for_any: bool) -> Result<bool> {
    let mut listener = UnixListener::bind(ctx, PATH, &ListenOptions::default())?;
    let mine = ctx.detached()?;
    ctx.spawn(async move {
        mine.sleep(WAIT).await;
        let mut stream = UnixStream::connect(&mine, PATH).await.expect("room");
        stream.write_all(b"x").await.expect("it is read");
    });
    let accepted = match for_any {
        false => drop_after(ctx, polls, listener.accept())
            .await
            .transpose()?,
        true => {
            let accepted = drop_after(ctx, polls, listener.accept_detached()).await;
            let attach = |loose| UnixStream::attach(ctx, loose);
            accepted.transpose()?.map(attach).transpose()?
        }
    };
    let done = accepted.is_some();
    let mut stream = match accepted {
        Some(accepted) => accepted,
        None => listener.accept().await?,
    };
    stream.read_exact(&mut [0]).await?;
    Ok(done)
}

/// A connection over a Unix socket that is given up leaves room for others.
async fn connect_unix(ctx: &Context, polls: usize) -> Result<bool> {
    let mut listener = UnixListener::bind(ctx, PATH, &ListenOptions::default())?;
    let done = drop_after(ctx, polls, UnixStream::connect(ctx, PATH)).await;
    let done = done.transpose()?.is_some();
    let mut next = UnixStream::connect(ctx, PATH).await?;
    next.write_all(b"n").await?;
    loop {
        let mut stream = listener.accept().await?;
        match stream.read(&mut [0]).await? {
            0 => {}
            _ => return Ok(done),
        }
    }
}

/// Of a connection that is given up, the other side finds the end, if it has heard of it at all.
async fn connect(ctx: &Context, polls: usize, timeout: Option<Duration>) -> Result<bool> {
    let (mut listener, address) = listen(ctx)?;
    let done = match timeout {
        None => drop_after(ctx, polls, TcpStream::connect(ctx, address)).await,
        Some(timeout) => {
            let connecting = TcpStream::connect_within(ctx, address, timeout);
            drop_after(ctx, polls, connecting).await
        }
    };
    let done = done.transpose()?.is_some();
    let mut next = TcpStream::connect(ctx, address).await?;
    next.write_all(b"n").await?;
    loop {
        let (mut stream, _) = listener.accept().await?;
        match stream.read(&mut [0]).await? {
            0 => {}
            _ => return Ok(done),
        }
    }
}

/// Somebody writes after a while; nothing of that is lost.
async fn read(ctx: &Context, polls: usize, how: &str) -> Result<bool> {
    let (mut client, mut server) = pair(ctx).await?;
    let mine = ctx.detached()?;
    let mut start = ctx.detached()?;
    let starter = start.address();
    ctx.spawn(async move {
        start.receive::<()>().await.expect("it is told");
        mine.sleep(WAIT).await;
        client.write_all(b"abcdef").await.expect("it is read");
        client.shutdown(Shutdown::Write).expect("it stands");
    });
    let (mut bytes, mut got) = ([0; 4], Vec::new());
    if polls.is_multiple_of(2) {
        // It comes while the first reads, or only when the second does.
        ctx.send_message(starter.clone(), ()).await?;
    }
    let mut buf = BufMut::default();
    let first = match how {
        "read_exact" => {
            let read = drop_after(ctx, polls, server.read_exact(&mut bytes)).await;
            read.map(|read| read.map(|()| 4))
        }
        "read_buf" => {
            let read = drop_after(ctx, polls, server.read_buf(&mut buf)).await;
            read.map(|read| read.map(|_| 0))
        }
        _ => drop_after(ctx, polls, server.read(&mut bytes)).await,
    };
    let done = matches!(first, Some(Ok(_)));
    match first {
        Some(Err(error)) if error.kind() == ErrorKind::TimedOut => {}
        other => got.extend_from_slice(&bytes[..other.transpose()?.unwrap_or(0)]),
    }
    got.extend_from_slice(&buf);
    if !polls.is_multiple_of(2) {
        ctx.send_message(starter, ()).await?;
    }
    loop {
        match server.read(&mut bytes).await? {
            0 => break,
            count => got.extend_from_slice(&bytes[..count]),
        }
    }
    match how == "read_exact" && !done {
        // A part may have been read by what was dropped.
        true => assert!(b"abcdef".ends_with(&got), "{got:?}"),
        false => assert_eq!(got, b"abcdef"),
    }
    Ok(done)
}

/// There is no room until somebody reads; what was not written was not sent.
async fn write(ctx: &Context, polls: usize, how: &str) -> Result<bool> {
    let (mut client, mut server) = pair(ctx).await?;
    let mut written = 0;
    let full = [b'f'; BUFFER];
    while written < BUFFER {
        written += client.write(&full[written..]).await?;
    }
    let mine = ctx.detached()?;
    let mut hear = ctx.detached()?;
    let to = hear.address();
    ctx.spawn(async move {
        mine.sleep(WAIT).await;
        let (mut bytes, mut got) = ([0; BUFFER], Vec::new());
        while let Ok(count) = server.read(&mut bytes).await
            && count > 0
        {
            got.extend_from_slice(&bytes[..count]);
        }
        mine.send_message(to, got).await.expect("somebody waits");
    });
    let more = b"ghijkl";
    let first = match how {
        "write" => drop_after(ctx, polls, client.write(more)).await,
        "write_vectored" => {
            let parts = [IoSlice::new(&more[..2]), IoSlice::new(&more[2..])];
            drop_after(ctx, polls, client.write_vectored(&parts)).await
        }
        _ => {
            let whole = drop_after(ctx, polls, client.write_all(more)).await;
            whole.map(|whole| whole.map(|()| more.len()))
        }
    };
    let count = first.transpose()?;
    client.write_all(b"!").await?;
    drop(client);
    let got = hear.receive::<Vec<u8>>().await?.take();
    let got = got
        .strip_prefix(&full[..])
        .expect("what was written before");
    let got = got.strip_suffix(b"!").expect("what was written after");
    match count {
        Some(count) => assert_eq!(got, &more[..count]),
        // A part may have been written by what was dropped.
        None if how == "write_all" => assert!(more.starts_with(got), "{got:?}"),
        None => assert_eq!(got, b""),
    }
    Ok(count.is_some())
}

/// A datagram is there for the next who waits for one.
async fn receive(ctx: &Context, polls: usize) -> Result<bool> {
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    let socket = UdpSocket::bind(ctx, any)?;
    let (to, mine) = (socket.local_addr()?, ctx.detached()?);
    ctx.spawn(async move {
        mine.sleep(WAIT).await;
        let other = UdpSocket::bind(&mine, any).expect("a socket");
        other.send_to(b"datagram", to).await.expect("it is sent");
    });
    let mut bytes = [0; 16];
    let received = drop_after(ctx, polls, socket.recv_from(&mut bytes)).await;
    let done = received.is_some();
    let (count, _) = match received {
        Some(received) => received?,
        None => socket.recv_from(&mut bytes).await?,
    };
    assert_eq!(&bytes[..count], b"datagram");
    Ok(done)
}

/// A datagram that was not sent does not arrive.
async fn send(ctx: &Context, polls: usize) -> Result<bool> {
    let any: SocketAddr = "127.0.0.1:0".parse().expect("an address");
    let (socket, other) = (UdpSocket::bind(ctx, any)?, UdpSocket::bind(ctx, any)?);
    let to = other.local_addr()?;
    let sent = drop_after(ctx, polls, socket.send_to(b"first", to)).await;
    let done = sent.transpose()?.is_some();
    ctx.sleep(WAIT).await;
    socket.send_to(b"second", to).await?;
    let mut bytes = [0; 16];
    for text in [b"first".as_slice(), b"second"]
        .iter()
        .skip(usize::from(!done))
    {
        let (count, _) = other.recv_from(&mut bytes).await?;
        assert_eq!(&&bytes[..count], text);
    }
    Ok(done)
}

async fn attempt(name: &str, ctx: &Context, polls: usize) -> Result<bool> {
    match name {
        "Accept" => accept(ctx, polls, false).await,
        "TcpListener::accept_detached" => accept(ctx, polls, true).await,
        "TcpStream::connect" => connect(ctx, polls, None).await,
        "TcpStream::connect_within" => connect(ctx, polls, Some(WAIT)).await,
        "UnixListener::accept" => accept_unix(ctx, polls, false).await,
        "UnixListener::accept_detached" => accept_unix(ctx, polls, true).await,
        "UnixStream::connect" => connect_unix(ctx, polls).await,
        "read" | "read_buf" | "read_exact" => read(ctx, polls, name).await,
        "UdpSocket::recv_from" => receive(ctx, polls).await,
        "UdpSocket::send_to" => send(ctx, polls).await,
        how => write(ctx, polls, how).await,
    }
}

/// G4: no byte, no connection and no descriptor is lost with a future that is dropped.
#[test]
fn g4_a_future_of_a_socket_that_is_dropped_leaves_nothing_behind() {
    let soon = Duration::from_millis(1);
    for name in DROPPED {
        for seed in 0..8 {
            let sim = Sim::new(seed).network(Network::new().latency(soon, 5 * soon).buffer(BUFFER));
            let report = sim.run(async move |ctx: Context| {
                drop_at_every_poll(async |polls| attempt(name, &ctx, polls).await).await
            });
            let output = report.output;
            output.unwrap_or_else(|error| panic!("{name}, seed {seed}: {error}"));
        }
    }
}
