//! The task of a connection: it connects if need be, again and again if that is asked for, and carries
//! messages as long as the connection stands.

use std::future::{Future, poll_fn};
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use crate::backoff::Attempts;
use crate::context::Context;
use crate::driver::net::Endpoint;
use crate::driver::stderr::fault;
use crate::net::{Duplex, Keepalive, resolve};
use crate::transport::carrier::Line;
use crate::transport::connection::Connection;
use crate::transport::end::End;
use crate::transport::pump::Pump;
use crate::transport::tcp::normal;
use crate::transport::udp;
use crate::{UDP, UDS};

/// How long to wait for one address of a peer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const KEEPALIVE: Keepalive = Keepalive {
    idle: Duration::from_secs(60),
    interval: Duration::from_secs(15),
};

/// Carries messages until the connection ends for good. The guard counts it among those of its listener.
pub(super) async fn run(ctx: Context, connection: Rc<Connection>, accepted: Option<Line>) {
    let end = match accepted {
        Some(Line::Stream(stream, _guard)) => carry(&ctx, &connection, *stream).await,
        Some(Line::Datagrams(peer)) => udp::carry(&ctx, &connection, &peer).await,
        None if connection.name.transport() == UDP => udp::dial(&ctx, &connection).await,
        None => dial(&ctx, &connection).await,
    };
    connection.ended(&ctx.mailbox, &end);
}

async fn dial(ctx: &Context, connection: &Rc<Connection>) -> End {
    let mut attempts = connection.terms.reconnect.map(Attempts::new);
    loop {
        let end = match connect(ctx, connection).await {
            Ok(stream) => {
                let opened = ctx.core.now.get();
                let end = carry(ctx, connection, stream).await;
                if let Some(attempts) = &mut attempts {
                    attempts.stood(ctx.core.now.get().saturating_since(opened));
                }
                end
            }
            Err(end) => {
                ctx.core.tally().transport.connects_failed.add(1);
                end
            }
        };
        let Some(attempts) = attempts.as_mut().filter(|_| !connection.ending.get()) else {
            return end;
        };
        connection.interrupted(&end);
        connection.begin();
        let wait = attempts.next(ctx.core.random());
        tracing::debug!(connection = %connection.name, %end, ?wait, "to be connected again");
        if let Err(end) = unless_ending(ctx, connection, ctx.sleep(wait)).await {
            return end;
        }
    }
}

async fn carry(ctx: &Context, connection: &Rc<Connection>, stream: Duplex) -> End {
    set_options(&stream);
    connection.opened();
    let mut pump = Pump::new(ctx, Rc::clone(connection), stream);
    let end = poll_fn(|polling| pump.poll(polling)).await;
    match end {
        End::Fault(_) => {
            fault(
                "a connection was ended for its peer's fault",
                &connection.name,
                &end,
            );
        }
        _ => tracing::debug!(connection = %connection.name, %end, "a connection ended"),
    }
    end
}

/// Speed and an early end of dead connections are wished for, not needed.
fn set_options(stream: &Duplex) {
    let socket = stream.socket();
    let set = socket
        .set_nodelay(true)
        .and_then(|()| socket.set_keepalive(Some(KEEPALIVE)));
    if let Err(error) = set {
        tracing::debug!(%error, "an option of a connection could not be set");
    }
}

async fn connect(ctx: &Context, connection: &Connection) -> Result<Duplex, End> {
    let mut last = End::Lost("it has no address".to_owned());
    for endpoint in endpoints(ctx, connection).await? {
        let connecting = Duplex::connect_within(ctx, &endpoint, CONNECT_TIMEOUT);
        match unless_ending(ctx, connection, connecting).await? {
            Ok(stream) => return Ok(stream),
            Err(error) => last = End::from(error),
        }
    }
    Err(last)
}

/// Where a connection with this name may lead.
async fn endpoints(ctx: &Context, connection: &Connection) -> Result<Vec<Endpoint>, End> {
    let Some(name) = connection.name.as_str() else {
        return Err(End::Lost("its name is no text".to_owned()));
    };
    if connection.name.transport() == UDS {
        return Ok(vec![Endpoint::Unix(Path::new(name).into())]);
    }
    let found = addresses(ctx, connection).await?;
    Ok(found.into_iter().map(Endpoint::Tcp).collect())
}

/// The addresses of the host and port that a connection is named by.
pub(super) async fn addresses(
    ctx: &Context,
    connection: &Connection,
) -> Result<Vec<SocketAddr>, End> {
    let name = normal(connection.name.as_str().unwrap_or_default());
    Ok(unless_ending(ctx, connection, resolve(ctx, &name)).await??)
}

/// What comes of the future, unless this node ends the connection before.
async fn unless_ending<F: Future>(
    ctx: &Context,
    connection: &Connection,
    future: F,
) -> Result<F::Output, End> {
    let mut future = Box::pin(future);
    poll_fn(|polling| {
        if connection.ending.get() {
            return Poll::Ready(Err(End::Own));
        }
        connection.pump.replace(ctx.core.tasks.register(polling));
        future.as_mut().poll(polling).map(Ok)
    })
    .await
}
