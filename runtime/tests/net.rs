//! Sockets: on the system's network, and on the simulation's.

use std::cell::Cell;
use std::future::poll_fn;
use std::io::{ErrorKind, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use ringpost::net::{
    Keepalive, ListenOptions, TcpListener, TcpStream, UdpSocket, UnixListener, UnixStream, resolve,
};
use ringpost::sim::Sim;
use ringpost::{BufMut, Context, Node, Result};

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().expect("an address")
}

async fn pair(ctx: &Context) -> Result<(TcpStream, TcpStream)> {
    let mut listener = TcpListener::bind(ctx, any(), &ListenOptions::default())?;
    let client = TcpStream::connect(ctx, listener.local_addr()?).await?;
    let (server, peer) = listener.accept().await?;
    assert_eq!(peer, client.local_addr()?);
    Ok((client, server))
}

/// Runs the same program on the system's network and on the simulation's, on several seeds.
fn on_both<F>(main: F)
where
    F: AsyncFnOnce(Context) -> Result<()> + Clone + Send + 'static,
{
    let real = main.clone();
    let body = async move |ctx: Context| {
        let outcome = real(ctx.detached()?).await;
        ctx.stop().await?;
        outcome
    };
    Node::builder().cores(1).run(body).expect("on a real node");
    for seed in 0..20 {
        let report = Sim::new(seed).run(main.clone());
        report.output.expect("in a simulation");
    }
}

#[cfg(unix)]
#[test]
fn a_unix_socket_carries_bytes_both_ways_and_then_the_end() {
    on_both(async |ctx: Context| {
        let name = format!("ringpost-net-{}.sock", std::process::id());
        let path = std::env::temp_dir().join(name);
        let mut listener = UnixListener::bind(&ctx, &path, &ListenOptions::default())?;
        assert_eq!(listener.path()?, path);
        let shared = ListenOptions::default().shared(true);
        UnixListener::bind(&ctx, &path, &shared).expect_err("it is not shared");
        let mut client = UnixStream::connect(&ctx, &path).await?;
        let mut server = listener.accept().await?;
        client.write_all(&pattern(1000)).await?;
        let mut bytes = vec![0; 1000];
        server.read_exact(&mut bytes).await?;
        assert!(bytes == pattern(1000));
        server.set_read_timeout(Some(Duration::from_millis(5)));
        let silent = server.read(&mut bytes).await.expect_err("nothing comes");
        assert_eq!(silent.kind(), ErrorKind::TimedOut);
        let parts = [IoSlice::new(b"to"), IoSlice::new(b"gether")];
        let mut count = server.write_vectored(&parts).await?;
        while count < 8 {
            count += server.write(&b"together"[count..]).await?;
        }
        server.shutdown(Shutdown::Write)?;
        client.read_exact(&mut bytes[..8]).await?;
        assert_eq!(&bytes[..8], b"together");
        assert_eq!(client.read(&mut bytes).await?, 0);
        drop(listener);
        let gone = UnixStream::connect(&ctx, &path).await;
        gone.expect_err("nobody listens there any more");
        Ok(())
    });
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 31 % 251) as u8).collect()
}

#[test]
fn more_than_the_buffers_hold_arrives_whole_and_in_order() {
    on_both(async |ctx: Context| {
        let (mut client, mut server) = pair(&ctx).await?;
        let sent = pattern(1_500_000);
        let expected = sent.clone();
        let mut done = ctx.detached()?;
        let to = done.address();
        let writer = ctx.detached()?;
        ctx.spawn(async move {
            let outcome = client.write_all(&sent).await;
            let shut = client.shutdown(Shutdown::Write);
            let both = outcome.and(shut).map_err(|error| error.to_string());
            writer.send_message(to, both).await.expect("somebody waits");
        });
        let mut received = Vec::new();
        let mut chunk = vec![0; 70_000];
        loop {
            match server.read(&mut chunk).await? {
                0 => break,
                count => received.extend_from_slice(&chunk[..count]),
            }
        }
        assert_eq!(received.len(), expected.len());
        assert!(received == expected);
        let outcome = done.receive::<std::result::Result<(), String>>().await?;
        assert_eq!(outcome.take(), Ok(()));
        // The end stays the end.
        assert_eq!(server.read(&mut chunk).await?, 0);
        Ok(())
    });
}

#[test]
fn what_is_read_into_a_buffer_lies_behind_what_it_holds() {
    on_both(async |ctx: Context| {
        let (mut client, mut server) = pair(&ctx).await?;
        let sent = pattern(1_500_000);
        let expected = sent.clone();
        ctx.spawn(async move { client.write_all(&sent).await.expect("the server reads") });
        let mut received = Vec::new();
        let mut buf = BufMut::default();
        while received.len() < expected.len() {
            // Some of it is left, the more the further it goes, up to more than is read at a time.
            let before = buf.len();
            let count = server.read_buf(&mut buf).await?;
            assert!(count > 0 && buf.len() == before + count);
            let is_last = received.len() + buf.len() == expected.len();
            let kept = if is_last { 0 } else { received.len() / 10 };
            let done = buf.len().saturating_sub(kept);
            received.extend_from_slice(&buf[..done]);
            buf.advance(done);
        }
        assert!(received == expected);
        assert_eq!(server.read_buf(&mut buf).await?, 0, "the end");
        Ok(())
    });
}

#[test]
fn a_buffer_that_waits_has_room_for_what_it_holds_and_little_more() {
    on_both(async |ctx: Context| {
        let (mut client, mut server) = pair(&ctx).await?;
        server.set_read_timeout(Some(Duration::from_millis(1)));
        let mut buf = BufMut::default();
        for held in [0, 1000] {
            client.write_all(&[7; 3000]).await?;
            while buf.len() < 3000 {
                server.read_buf(&mut buf).await?;
            }
            assert!(buf.capacity() >= 16 * 1024);
            buf.advance(3000 - held);
            let error = server.read_buf(&mut buf).await.expect_err("nothing comes");
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            assert_eq!(buf.len(), held);
            assert!(buf.capacity() <= 2 * held + 256, "{}", buf.capacity());
        }
        Ok(())
    });
}

#[test]
fn parts_are_written_one_after_the_other() {
    on_both(async |ctx: Context| {
        let (mut client, mut server) = pair(&ctx).await?;
        let parts: [&[u8]; 4] = [b"one ", b"", b"two ", b"three"];
        let whole = parts.concat();
        let count = client.write_vectored(&parts.map(IoSlice::new)).await?;
        assert!(count > 0 && count <= whole.len());
        client.write_all(&whole[count..]).await?;
        let mut bytes = vec![0; whole.len()];
        server.read_exact(&mut bytes).await?;
        assert_eq!(bytes, whole);
        Ok(())
    });
}

#[test]
fn a_read_that_waits_too_long_says_so_and_may_be_repeated() {
    on_both(async |ctx: Context| {
        let (mut client, mut server) = pair(&ctx).await?;
        server.set_read_timeout(Some(Duration::from_millis(20)));
        let mut bytes = [0; 3];
        let error = server.read(&mut bytes).await.expect_err("nothing was sent");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.to_string().contains("20ms"), "{error}");
        client.write_all(b"now").await?;
        server.read_exact(&mut bytes).await?;
        assert_eq!(&bytes, b"now");
        Ok(())
    });
}

#[test]
fn a_write_that_nobody_reads_says_so() {
    on_both(async |ctx: Context| {
        let (mut client, _server) = pair(&ctx).await?;
        client.set_write_timeout(Some(Duration::from_millis(20)));
        let error = client.write_all(&vec![7; 64 << 20]).await;
        let error = error.expect_err("nobody reads");
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        Ok(())
    });
}

#[test]
fn nobody_there_is_an_error() {
    on_both(async |ctx: Context| {
        let listener = TcpListener::bind(&ctx, any(), &ListenOptions::default())?;
        let address = listener.local_addr()?;
        drop(listener);
        let error = TcpStream::connect(&ctx, address).await.err();
        let error = error.expect("nobody listens");
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        Ok(())
    });
}

#[test]
fn the_peers_end_is_read_after_what_it_sent() {
    on_both(async |ctx: Context| {
        let (mut client, mut server) = pair(&ctx).await?;
        client.write_all(b"last words").await?;
        drop(client);
        let mut bytes = [0; 10];
        server.read_exact(&mut bytes).await?;
        assert_eq!(&bytes, b"last words");
        assert_eq!(server.read(&mut bytes).await?, 0);
        let error = server.read_exact(&mut bytes).await.expect_err("the end");
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        Ok(())
    });
}

#[test]
fn a_connection_that_always_has_more_lets_others_have_their_turn() {
    on_both(async |ctx: Context| {
        let (mut client, mut server) = pair(&ctx).await?;
        let writer = async move {
            let bytes = vec![1; 4096];
            while client.write_all(&bytes).await.is_ok() {}
        };
        ctx.spawn(writer);
        let reader = async move {
            let mut bytes = [0; 64];
            while server.read(&mut bytes).await.is_ok_and(|count| count > 0) {}
        };
        ctx.spawn(reader);
        for _ in 0..100 {
            ctx.yield_now().await;
        }
        Ok(())
    });
}

/// Reads of one byte that a connection with more to read may do while another has become readable: what it has left of
/// its turn, and one more turn.
const READS_BETWEEN_MAX: u64 = 64;

#[test]
fn who_has_become_readable_comes_before_a_second_turn_of_who_has_more() {
    let body = async move |ctx: Context| {
        let (mut feed, mut busy) = pair(&ctx).await?;
        let (mut bell, mut late) = pair(&ctx).await?;
        let reads = Rc::new(Cell::new(0));
        let heard = Rc::new(Cell::new((0, 0)));
        let (count, news) = (Rc::clone(&reads), Rc::clone(&heard));
        ctx.spawn(async move {
            let mut rung = [0; 8];
            while late.read_exact(&mut rung).await.is_ok() {
                let (rounds, most) = news.get();
                let between: u64 = count.get() - u64::from_le_bytes(rung);
                news.set((rounds + 1, between.max(most)));
            }
        });
        feed.write_all(&pattern(64 * 300)).await?;
        let mut byte = [0];
        // Whatever a loop does every few turns, some of these fall right behind it.
        for round in 0..64 {
            for _ in 0..300 - 4 * round {
                busy.read(&mut byte).await?;
                reads.set(reads.get() + 1);
            }
            bell.write_all(&reads.get().to_le_bytes()).await?;
        }
        while heard.get().0 < 64 {
            ctx.yield_now().await;
        }
        let most = heard.get().1;
        assert!(most <= READS_BETWEEN_MAX, "{most} reads went before");
        ctx.stop().await
    };
    Node::builder().cores(1).run(body).expect("on a real node");
}

#[test]
fn datagrams_keep_their_bounds() {
    on_both(async |ctx: Context| {
        let one = UdpSocket::bind(&ctx, any())?;
        let two = UdpSocket::bind(&ctx, any())?;
        for text in ["first", "", "third"] {
            one.send_to(text.as_bytes(), two.local_addr()?).await?;
            let mut bytes = [0; 32];
            let (count, from) = two.recv_from(&mut bytes).await?;
            assert_eq!(&bytes[..count], text.as_bytes());
            assert_eq!(from, one.local_addr()?);
        }
        Ok(())
    });
}

#[test]
fn protocols_of_others_run_on_the_traits_of_futures_io() {
    async fn echo_once(stream: impl AsyncRead + AsyncWrite) -> std::io::Result<usize> {
        let mut stream = Box::pin(stream);
        let mut bytes = [0; 16];
        let count = poll_fn(|polling| stream.as_mut().poll_read(polling, &mut bytes)).await?;
        poll_fn(|polling| stream.as_mut().poll_write(polling, &bytes[..count])).await?;
        poll_fn(|polling| stream.as_mut().poll_flush(polling)).await?;
        poll_fn(|polling| stream.as_mut().poll_close(polling)).await?;
        Ok(count)
    }
    on_both(async |ctx: Context| {
        let (mut client, server) = pair(&ctx).await?;
        client.write_all(b"x").await?;
        assert_eq!(echo_once(server).await?, 1);
        let mut bytes = [0; 1];
        client.read_exact(&mut bytes).await?;
        assert_eq!(&bytes, b"x");
        assert_eq!(client.read(&mut bytes).await?, 0);
        Ok(())
    });
}

#[test]
fn options_are_set_and_names_are_looked_up() {
    let body = async |ctx: Context| {
        let (client, _server) = pair(&ctx).await?;
        client.set_nodelay(true)?;
        let terms = Keepalive {
            idle: Duration::from_secs(60),
            interval: Duration::from_secs(5),
        };
        client.set_keepalive(Some(terms))?;
        client.set_keepalive(None)?;
        let found = resolve(&ctx, "localhost:80").await?;
        assert!(found.iter().all(|address| address.port() == 80));
        assert!(found.iter().any(|address| address.ip().is_loopback()));
        assert!(resolve(&ctx, "no port").await.is_err());
        ctx.stop().await
    };
    Node::builder().cores(1).run(body).expect("on a real node");
}

#[test]
#[cfg(unix)]
fn every_core_accepts_at_one_address() {
    let body = async |ctx: Context| {
        let shared = ListenOptions::default().shared(true).backlog(64);
        let first = TcpListener::bind(&ctx, any(), &shared)?;
        let address = first.local_addr()?;
        let second = TcpListener::bind(&ctx, address, &shared)?;
        assert_eq!(second.local_addr()?, address);
        let alone = TcpListener::bind(&ctx, address, &ListenOptions::default());
        assert_eq!(alone.err().map(|e| e.kind()), Some(ErrorKind::AddrInUse));
        ctx.stop().await
    };
    Node::builder().cores(1).run(body).expect("on a real node");
}

#[test]
fn a_sleeping_core_is_woken_by_its_sockets() {
    let body = async |ctx: Context| {
        let (mut client, mut server) = pair(&ctx).await?;
        let there = ctx.detached()?;
        ctx.spawn(async move {
            for _ in 0..20 {
                there.sleep(Duration::from_millis(2)).await;
                client.write_all(b"ping").await.expect("the server reads");
                let mut bytes = [0; 4];
                client.read_exact(&mut bytes).await.expect("an echo");
            }
        });
        let mut bytes = [0; 4];
        for _ in 0..20 {
            server.read_exact(&mut bytes).await?;
            server.write_all(&bytes).await?;
        }
        let stats = ctx.handle().stats();
        assert!(stats.total(|core| core.parks) >= 20, "{stats:?}");
        assert_eq!(stats.total(|core| core.found_after_timeout), 0);
        ctx.stop().await
    };
    Node::builder().cores(1).run(body).expect("on a real node");
}

#[test]
fn g12_two_nodes_and_their_network_repeat_themselves() {
    let address: SocketAddr = "10.0.0.7:4000".parse().expect("an address");
    let server = async move |ctx: Context| -> Result<()> {
        let mut listener = TcpListener::bind(&ctx, address, &ListenOptions::default())?;
        let (mut stream, _) = listener.accept().await?;
        let mut bytes = vec![0; 1000];
        loop {
            match stream.read(&mut bytes).await? {
                0 => return Ok(()),
                count => stream.write_all(&bytes[..count]).await?,
            }
        }
    };
    let client = async move |ctx: Context| {
        let mut stream = loop {
            match TcpStream::connect(&ctx, address).await {
                Ok(stream) => break stream,
                Err(_) => ctx.sleep(Duration::from_millis(1)).await,
            }
        };
        let sent = pattern(10_000);
        stream.write_all(&sent).await?;
        let mut back = vec![0; sent.len()];
        stream.read_exact(&mut back).await?;
        assert!(back == sent);
        Ok(())
    };
    let run = |seed| {
        let report = Sim::new(seed).cores(2).beside(server).run(client);
        report.output.expect("the client ends well");
        let [(outcome, _)] = &report.neighbours[..] else {
            panic!("one neighbour")
        };
        assert!(matches!(outcome, Some(Ok(()))), "{outcome:?}");
        report.trace
    };
    for seed in 0..10 {
        assert_eq!(run(seed), run(seed), "seed {seed}");
    }
}
