//! Many peers of which half do not read.

use std::sync::Arc;
use std::time::Duration;

use ringpost::net::TcpStream;
use ringpost::sim::Sim;
use ringpost::transport::TcpLimits;
use ringpost::{Context, Error, Limits, NodeHandle, Result};
use ringpost_mailbox::sync::Mutex;
use ringpost_router::wire::VERSION;

use crate::common::{SERVER, frame, serve};

/// Rounds of each peer that reads.
const ROUNDS: usize = 10;
/// Requests of each peer that does not: more than all that could hold their replies.
const FLOOD: usize = 400;

fn request() -> Vec<u8> {
    frame(&[vec![0xe8, 0x07], vec![b'x'; 1000]].concat())
}

/// Asks and waits for the reply, some times.
async fn asks(mut stream: TcpStream) -> Result<()> {
    // A reply is as long: it has the two names the other way round.
    let request = request();
    let mut arrived = 0;
    let mut piece = [0; 1000];
    for round in 1..=ROUNDS {
        stream.write_all(&request).await?;
        // A version and a greeting come before the first reply.
        while arrived < round * request.len() {
            match stream.read(&mut piece).await? {
                0 => return Err(Error::other("cut off")),
                count => arrived += count,
            }
        }
    }
    Ok(())
}

/// How many turns the server took for the peers that read, beside so many that do not.
fn turns(reading: usize, stalled: usize) -> u64 {
    let server: Arc<Mutex<Option<NodeHandle>>> = Arc::default();
    let there = Arc::clone(&server);
    let mut limits = TcpLimits::default();
    limits.queued_frames_max = 128;
    let serve = async move |ctx: Context| {
        *there.lock() = Some(ctx.handle());
        serve(ctx, limits).await
    };
    let mut room = Limits::default();
    room.mailbox_credits = 64;
    let sim = Sim::new(7).limits(room).beside(serve);
    let report = sim.run(async move |ctx: Context| {
        ctx.sleep(Duration::from_millis(1)).await;
        let handle = server.lock().clone().expect("the server runs");
        let mut deaf = Vec::new();
        let flood = [vec![VERSION], request().repeat(FLOOD)].concat();
        for _ in 0..stalled {
            let mut stream = TcpStream::connect(&ctx, SERVER.parse()?).await?;
            stream.set_write_timeout(Some(Duration::from_millis(1)));
            // The server does not take all of it, some time.
            let _ = stream.write_all(&flood).await;
            deaf.push(stream);
        }
        ctx.sleep(Duration::from_millis(10)).await;
        let before = handle.stats().total(|core| core.turns);
        let mut tasks = Vec::new();
        for _ in 0..reading {
            let mut stream = TcpStream::connect(&ctx, SERVER.parse()?).await?;
            stream.write_all(&[VERSION]).await?;
            let (tell, told) = futures_channel::oneshot::channel();
            ctx.spawn(async move {
                let _ = tell.send(asks(stream).await);
            });
            tasks.push(told);
        }
        for told in tasks {
            told.await.map_err(Error::other)??;
        }
        Ok(handle.stats().total(|core| core.turns) - before)
    });
    // None had to wait for the deadline of one that does not read.
    assert!(
        report.elapsed < TcpLimits::default().stall,
        "{:?}",
        report.elapsed
    );
    report.output.expect("all that read are answered")
}

#[test]
fn g7_a_thousand_peers_that_do_not_read_leave_the_others_nine_tenths_of_their_speed() {
    let alone = turns(1000, 0);
    let beside = turns(1000, 1000);
    assert!(
        beside * 9 <= alone * 10,
        "{beside} turns instead of {alone}"
    );
}
