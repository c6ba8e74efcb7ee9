//! Sockets of one node, used by hand: every operation ends, with what was asked or with an error, and no descriptor
//! stays open.

use std::io;
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use ringpost::net::{ListenOptions, TcpListener, TcpStream, UdpSocket};
use ringpost::sim::{CallFault, Report, Sim};
use ringpost::{Context, Result};

use crate::{Strike, at_every_call, is_harmless};

/// How long each operation may wait.
const PATIENCE: Duration = Duration::from_secs(1);

fn any() -> SocketAddr {
    "127.0.0.1:0".parse().expect("an address")
}

/// A stream of bytes there and back, and the end of it.
async fn stream(ctx: &Context) -> io::Result<()> {
    let mut listener = TcpListener::bind(ctx, any(), &ListenOptions::default())?;
    let mut client = TcpStream::connect_within(ctx, listener.local_addr()?, PATIENCE).await?;
    let (mut server, _) = listener.accept().await?;
    for stream in [&mut client, &mut server] {
        stream.set_read_timeout(Some(PATIENCE));
        stream.set_write_timeout(Some(PATIENCE));
        stream.set_nodelay(true)?;
    }
    let mut bytes = [0; 5];
    for text in [b"there", b"again"] {
        client.write_all(text).await?;
        server.read_exact(&mut bytes).await?;
        assert_eq!(&bytes, text);
        server.write_all(&bytes).await?;
        client.read_exact(&mut bytes).await?;
        assert_eq!(&bytes, text);
    }
    client.shutdown(Shutdown::Write)?;
    assert_eq!(server.read(&mut bytes).await?, 0);
    Ok(())
}

/// A datagram there and back.
async fn datagrams(ctx: &Context) -> io::Result<()> {
    let (one, two) = (UdpSocket::bind(ctx, any())?, UdpSocket::bind(ctx, any())?);
    one.send_to(b"there", two.local_addr()?).await?;
    let mut bytes = [0; 16];
    let (count, from) = two.recv_from(&mut bytes).await?;
    assert_eq!(&bytes[..count], b"there");
    two.send_to(b"back", from).await?;
    let (count, _) = one.recv_from(&mut bytes).await?;
    assert_eq!(&bytes[..count], b"back");
    Ok(())
}

/// What came of both, of one after the other: nothing of the first is left in the way of the second.
type Outcomes = [io::Result<()>; 3];

async fn play(ctx: Context) -> Result<Outcomes> {
    let outcomes = [
        stream(&ctx).await,
        datagrams(&ctx).await,
        stream(&ctx).await,
    ];
    // A timer works after all of that.
    ctx.sleep(PATIENCE).await;
    Ok(outcomes)
}

fn check(strike: Option<Strike>, report: &Report<Outcomes>, what: &str) {
    let outcomes = report.output.as_ref();
    let outcomes = outcomes.unwrap_or_else(|error| panic!("{what}: {error}"));
    let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    match strike {
        None => assert_eq!(failed, 0, "{what}: {outcomes:?}"),
        Some(strike) if is_harmless(strike.fault, strike.call) => {
            assert_eq!(failed, 0, "{what}: {outcomes:?}");
        }
        Some(strike) => {
            assert!(failed <= 1, "{what}: {outcomes:?}");
            if let CallFault::Errno(number) = strike.fault {
                // The error that the program is told is the system's.
                let errors = outcomes.iter().filter_map(|outcome| outcome.as_ref().err());
                let numbers: Vec<_> = errors.map(io::Error::raw_os_error).collect();
                assert!(numbers.iter().all(|told| *told == Some(number)), "{what}");
            }
        }
    }
}

/// G7: what befalls one call costs at the most what that call was for.
#[test]
fn g7_a_call_that_fails_costs_its_socket_alone() {
    for seed in 0..3 {
        let runs = at_every_call(|| Sim::new(seed), |sim| sim.run(play), check);
        assert!(runs > 200, "{runs}");
    }
}
